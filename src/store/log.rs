//! The durable, ordered log of events, in generations that are dropped whole. It knows nothing of endpoints beyond
//! their cursors.

use bytes::Bytes;
use tokio::sync::watch;

use super::StoreError;
use crate::model::{DeviceName, EventId, EventType, UnixMillis};

/// An event's place in its device's log, from 1.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Seq(pub u64);

/// An event to be appended. `body` is its JSON, the exact bytes that get signed.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Whose log.
    pub device: DeviceName,
    /// Appending the same id twice is the same as once.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// When it happened.
    pub at: UnixMillis,
    /// Its JSON.
    pub body: Bytes,
}

/// An event read back.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// When it happened.
    pub at: UnixMillis,
    /// When it was stored.
    pub stored: UnixMillis,
    /// Its JSON.
    pub body: Bytes,
}

/// What `read_after` found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The events, in order.
    pub events: Vec<StoredEvent>,
    /// How many events after the asked place were dropped by retention before these.
    pub dropped: u64,
}

/// The log of all devices.
pub struct EventLog {}

impl EventLog {
    /// Appends events in order, all or none, durable before `Ok`. Ids seen before are skipped.
    pub async fn append(&self, _events: Vec<NewEvent>) -> Result<(), StoreError> {
        todo!()
    }

    /// Up to `limit` events after `after`.
    pub async fn read_after(
        &self,
        _device: &DeviceName,
        _after: Seq,
        _limit: usize,
    ) -> Result<Page, StoreError> {
        todo!()
    }

    /// The place of the newest event; `Seq(0)` when there is none. Changes wake the receiver: a nudge that may
    /// coalesce but is never lost.
    pub fn tail(&self, _device: &DeviceName) -> watch::Receiver<Seq> {
        todo!()
    }

    /// The place before the first event stored at or after `at` (for replays), or before the oldest one kept.
    pub async fn before(&self, _device: &DeviceName, _at: UnixMillis) -> Result<Seq, StoreError> {
        todo!()
    }

    /// The place of an event that is still kept.
    pub async fn find(
        &self,
        _device: &DeviceName,
        _id: &EventId,
    ) -> Result<Option<Seq>, StoreError> {
        todo!()
    }
}
