//! How far each endpoint has got in its device's log, and the events it refused for good.

use bytes::Bytes;

use super::{Seq, StoreError};
use crate::model::{DeviceName, EventId, UnixMillis};

/// An endpoint, across edits of everything but its device and URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointId(String);

impl EndpointId {
    /// The endpoint of a device at a URL.
    pub fn of(_device: &DeviceName, _url: &str) -> Self {
        todo!()
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an endpoint's machine remembers across restarts.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// Whose log it reads.
    pub device: DeviceName,
    /// Everything up to here is delivered, parked or filtered out.
    pub acked: Seq,
    /// Tries of the event after `acked` that failed.
    pub tries: u32,
    /// Failures of the endpoint in a row, for the ladder.
    pub failures: u32,
    /// Since when nothing was delivered, while failing.
    pub failing_since: Option<UnixMillis>,
    /// Not before then.
    pub next_try: Option<UnixMillis>,
    /// Whether it delivers.
    pub state: EndpointState,
    /// The last attempt's HTTP status.
    pub last_status: Option<u16>,
    /// The last attempt's error, for people.
    pub last_error: Option<String>,
    /// Events delivered.
    pub delivered: u64,
    /// Events parked as dead letters.
    pub parked: u64,
    /// Events that retention dropped before they were delivered.
    pub dropped: u64,
    /// Since when the endpoint is not in the file any more.
    pub removed_at: Option<UnixMillis>,
}

/// Whether an endpoint delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// It delivers.
    Active,
    /// A person paused it.
    Paused,
    /// It answered 410.
    Gone,
}

/// An event an endpoint refused for good.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DeadLetter {
    /// The event's place in the log.
    pub seq: Seq,
    /// The event.
    pub id: EventId,
    /// When it was parked.
    pub parked_at: UnixMillis,
    /// How often it was tried.
    pub tries: u32,
    /// The last HTTP status.
    pub status: Option<u16>,
    /// Why, for people.
    pub reason: String,
    /// The beginning of the last answer.
    pub answer: String,
    /// The event's JSON.
    #[serde(skip)]
    pub body: Bytes,
}

/// All cursors and dead letters.
pub struct Cursors {}

impl Cursors {
    /// An endpoint's cursor, when it has one.
    pub async fn load(&self, _endpoint: &EndpointId) -> Result<Option<Cursor>, StoreError> {
        todo!()
    }

    /// Every endpoint with a cursor.
    pub async fn all(&self) -> Result<Vec<(EndpointId, Cursor)>, StoreError> {
        todo!()
    }

    /// Saves a cursor: survives `kill -9` at once, a power cut within a second.
    pub async fn save(&self, _endpoint: &EndpointId, _cursor: &Cursor) -> Result<(), StoreError> {
        todo!()
    }

    /// Forgets an endpoint and its dead letters.
    pub async fn forget(&self, _endpoint: &EndpointId) -> Result<(), StoreError> {
        todo!()
    }

    /// Keeps a dead letter and moves the cursor, together, durable before `Ok`. The oldest go beyond 1,000 per
    /// endpoint or 16 MiB in all.
    pub async fn park(
        &self,
        _endpoint: &EndpointId,
        _letter: DeadLetter,
        _cursor: &Cursor,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Up to `limit` dead letters after `after`, oldest first.
    pub async fn dead_letters(
        &self,
        _endpoint: &EndpointId,
        _after: Seq,
        _limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        todo!()
    }

    /// Removes a dead letter (it was delivered after all).
    pub async fn bury(&self, _endpoint: &EndpointId, _seq: Seq) -> Result<(), StoreError> {
        todo!()
    }
}
