//! An event on its way into the log, as bytes there, and read back.

use bytes::Bytes;

use crate::model::{DeviceName, Event, EventId, EventType, UnixMillis};
use crate::store::database::bytes;
use crate::store::key::{Key, Parts};
use crate::store::tally::Counted;
use crate::store::{Seq, StoreError};

/// An event to be appended. `body` is its JSON, the exact bytes that get signed.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub device: DeviceName,
    /// Appending the same id twice is the same as once.
    pub id: EventId,
    pub kind: EventType,
    pub at: UnixMillis,
    pub body: Bytes,
    pub counts: Counted,
}

impl From<&Event> for NewEvent {
    fn from(event: &Event) -> Self {
        // Nothing in an event can fail to serialise: no key is anything but text.
        let body = serde_json::to_vec(event)
            .inspect_err(|error| tracing::error!(%error, "An event could not be serialised."))
            .unwrap_or_default();
        Self {
            device: event.device.clone(),
            id: event.id.clone(),
            kind: event.kind,
            at: event.timestamp,
            body: body.into(),
            counts: Counted::of(event),
        }
    }
}

/// An event read back.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub seq: Seq,
    pub id: EventId,
    pub kind: EventType,
    pub at: UnixMillis,
    /// When it was stored.
    pub stored: UnixMillis,
    pub body: Bytes,
}

/// What `read_after` found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub events: Vec<StoredEvent>,
    /// How many events before these retention dropped.
    pub dropped: u64,
    /// Whether there are events after these.
    pub more: bool,
}

pub(super) fn encode(event: &NewEvent, stored: UnixMillis) -> Vec<u8> {
    let head = Key::default().number(stored.millis()).number(event.at.millis());
    head.part(event.kind.as_str()).part(event.id.as_str()).rest(&event.body).into_bytes()
}

pub(crate) fn decode(seq: Seq, value: &[u8]) -> Result<StoredEvent, StoreError> {
    let mut parts = Parts::of(value);
    let mut event = || {
        let (stored, at) = (parts.number()?, parts.number()?);
        let (kind, id) = (EventType::parse(parts.text()?)?, EventId::parse(parts.text()?)?);
        let (stored, at) = (UnixMillis::from_millis(stored), UnixMillis::from_millis(at));
        Some(StoredEvent { seq, id, kind, at, stored, body: bytes(parts.rest()) })
    };
    event().ok_or_else(|| StoreError::Damaged(format!("event {}", seq.0)))
}
