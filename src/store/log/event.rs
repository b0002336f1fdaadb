//! An event on its way into the log, as bytes there, and read back.

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;

use crate::model::{DeviceName, Event, EventId, EventType, UnixMillis};
use crate::store::database::bytes;
use crate::store::key::{Key, Parts};
use crate::store::pack::{pack, unpack};
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

/// How a row begins whose body begins as `head` writes it. It has this of it only once, and the rest packed.
const SHORT: u8 = 1;

pub(super) fn encode(event: &NewEvent, stored: UnixMillis) -> Vec<u8> {
    let head = head(&event.id, event.kind, event.at);
    if let (Some(id), Some(rest)) = (hash(&event.id), event.body.strip_prefix(head.as_bytes())) {
        let row = Key::new(SHORT).short(stored.millis()).short(event.at.millis());
        return row.rest(id).rest([code(event.kind)]).rest(pack(rest)).into_bytes();
    }
    let head = Key::default().number(stored.millis()).number(event.at.millis());
    head.part(event.kind.as_str()).part(event.id.as_str()).rest(&event.body).into_bytes()
}

pub(crate) fn decode(seq: Seq, value: &[u8]) -> Result<StoredEvent, StoreError> {
    let event = match value.split_first() {
        // The others begin with the time when they were stored, whose first byte is 0.
        Some((&SHORT, rest)) => short(seq, Parts::of(rest)),
        _ => long(seq, Parts::of(value)),
    };
    event.ok_or_else(|| StoreError::Damaged(format!("event {}", seq.0)))
}

fn short(seq: Seq, mut parts: Parts<'_>) -> Option<StoredEvent> {
    let (stored, at) = (parts.short()?, parts.short()?);
    let (stored, at) = (UnixMillis::from_millis(stored), UnixMillis::from_millis(at));
    let (id, kind) = (id_of(parts.array()?)?, parts.tag()?);
    let kind = EventType::ALL.into_iter().find(|known| code(*known) == kind)?;
    let mut body = head(&id, kind, at).into_bytes();
    body.extend_from_slice(&unpack(parts.rest()).ok()?);
    Some(StoredEvent { seq, id, kind, at, stored, body: body.into() })
}

fn long(seq: Seq, mut parts: Parts<'_>) -> Option<StoredEvent> {
    let (stored, at) = (parts.number()?, parts.number()?);
    let (kind, id) = (EventType::parse(parts.text()?)?, EventId::parse(parts.text()?)?);
    let (stored, at) = (UnixMillis::from_millis(stored), UnixMillis::from_millis(at));
    Some(StoredEvent { seq, id, kind, at, stored, body: bytes(parts.rest()) })
}

/// The half of a hash that an id is made of; `None` when it is not written as ids are.
fn hash(id: &EventId) -> Option<[u8; 16]> {
    let letters = id.as_str().strip_prefix("evt_")?.to_ascii_uppercase();
    BASE32_NOPAD.decode(letters.as_bytes()).ok()?.try_into().ok()
}

fn id_of(hash: [u8; 16]) -> Option<EventId> {
    EventId::parse(&format!("evt_{}", BASE32_NOPAD.encode(&hash).to_ascii_lowercase()))
}

/// How the JSON of an event begins.
fn head(id: &EventId, kind: EventType, at: UnixMillis) -> String {
    format!(r#"{{"id":"{id}","type":"{kind}","timestamp":"{at}","#)
}

/// What stands for a type in a row, for ever.
fn code(kind: EventType) -> u8 {
    match kind {
        EventType::MessageReceived => 1,
        EventType::MessageSent => 2,
        EventType::StatusReceived => 3,
        EventType::ChannelReceived => 4,
        EventType::MessageReaction => 5,
        EventType::MessageEdited => 6,
        EventType::MessageRevoked => 7,
        EventType::MessageUndecryptable => 8,
        EventType::MessageStatus => 9,
        EventType::PollVote => 10,
        EventType::GroupUpdated => 11,
        EventType::CallOffer => 12,
        EventType::DeviceState => 13,
        EventType::IdentityResolved => 14,
        EventType::CallEnded => 15,
        EventType::PresenceUpdated => 16,
        EventType::LabelUpdated => 17,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn new(body: &str, at: UnixMillis) -> NewEvent {
        let (device, counts) = (DeviceName::parse("toko").unwrap(), Counted::Nothing);
        let (id, kind) = (EventId::derive(&["a"]), EventType::MessageReceived);
        NewEvent { device, id, kind, at, body: Bytes::from(body.to_owned()), counts }
    }

    #[test]
    fn an_event_comes_back_byte_for_byte_and_is_stored_once() {
        let (at, stored) = (UnixMillis::from_millis(1_796_001_345_701), UnixMillis::now());
        let id = EventId::derive(&["a"]);
        let written = Event {
            id: id.clone(),
            kind: EventType::MessageReceived,
            timestamp: at,
            device: DeviceName::parse("toko").unwrap(),
            data: crate::model::EventData::Other(json!({"text": "halo", "mentions": []})),
        };
        let whole = NewEvent::from(&written);
        let row = encode(&whole, stored);
        assert!(row.len() < 80 && whole.body.len() > 150, "{} of {}", row.len(), whole.body.len());
        // An older version wrote the same with other words, or none.
        for event in [whole, new("{}", at), new("", at), new(r#"{"id":"x","type":"y"}"#, at)] {
            let read = decode(Seq(7), &encode(&event, stored)).unwrap();
            assert_eq!((read.seq, &read.id, read.kind), (Seq(7), &event.id, event.kind));
            assert_eq!((read.at, read.stored, read.body), (at, stored, event.body));
        }
    }

    #[test]
    fn a_row_of_an_older_version_is_read() {
        let event = new(r#"{"n":1}"#, UnixMillis::from_secs(5));
        let row = Key::default().number(9).number(5000).part("message.received");
        let row = row.part(event.id.as_str()).rest(&event.body).into_bytes();
        let read = decode(Seq(1), &row).unwrap();
        assert_eq!(
            (read.id, read.at, read.stored.millis(), read.body),
            (event.id, event.at, 9, event.body)
        );
    }

    #[test]
    fn an_id_that_is_no_hash_is_written_as_it_is() {
        let event = new("{}", UnixMillis::from_secs(5));
        assert_eq!(hash(&event.id).and_then(id_of), Some(event.id.clone()));
        let odd = EventId::parse("evt_aaaaaaaaaaaaaaaaaaaaaaaaab").unwrap();
        assert_eq!(hash(&odd), None);
        let event = NewEvent { id: odd.clone(), ..event };
        assert_eq!(decode(Seq(1), &encode(&event, event.at)).unwrap().id, odd);
    }

    #[test]
    fn every_type_has_a_code_of_its_own() {
        let codes = EventType::ALL.map(code);
        assert_eq!(codes.iter().collect::<std::collections::BTreeSet<_>>().len(), codes.len());
    }
}
