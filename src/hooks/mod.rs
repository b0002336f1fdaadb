//! Webhooks out: one state machine per endpoint reads the log from its cursor, posts one event at a time and keeps the
//! order. It never sees a device's connection; a reply in an answer becomes a row in the send queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::DeviceConfig;
use crate::model::{DeviceName, EventId, UnixMillis};
use crate::store::{DeadLetter, EndpointState, Seq, Store, StoreError};
use crate::task::Tasks;

/// All endpoints of all devices.
pub struct Webhooks {}

impl Webhooks {
    /// No endpoints yet; the delivery threads are up.
    pub fn start(_store: Store, _tasks: Tasks) -> Arc<Self> {
        todo!()
    }

    /// Makes the endpoints match the file. A removed endpoint's cursor is kept for 24 hours; an edited one goes on
    /// where it was, with its new values from the next attempt on.
    pub async fn reconcile(
        &self,
        _devices: &BTreeMap<DeviceName, DeviceConfig>,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// How every endpoint does; latest wins.
    pub fn reports(&self) -> watch::Receiver<Arc<BTreeMap<DeviceName, Vec<EndpointReport>>>> {
        todo!()
    }

    /// The last attempts of an endpoint, newest first.
    pub fn attempts(&self, _device: &DeviceName, _n: usize) -> Option<Vec<Attempt>> {
        todo!()
    }

    /// Moves an endpoint's cursor to just before that event or time.
    pub async fn replay(
        &self,
        _device: &DeviceName,
        _n: usize,
        _from: ReplayFrom,
    ) -> Result<Seq, HookError> {
        todo!()
    }

    /// Posts a made-up event now, beside the queue, and tells what came back.
    pub async fn test(&self, _device: &DeviceName, _n: usize) -> Result<Attempt, HookError> {
        todo!()
    }

    /// Stops delivering until `resume`.
    pub async fn pause(&self, _device: &DeviceName, _n: usize) -> Result<(), HookError> {
        todo!()
    }

    /// Delivers again, at once.
    pub async fn resume(&self, _device: &DeviceName, _n: usize) -> Result<(), HookError> {
        todo!()
    }

    /// Dead letters of an endpoint after `after`, oldest first.
    pub async fn dead_letters(
        &self,
        _device: &DeviceName,
        _n: usize,
        _after: Seq,
        _limit: usize,
    ) -> Result<Vec<DeadLetter>, HookError> {
        todo!()
    }

    /// Posts a dead letter again; it is buried when it is taken.
    pub async fn retry(
        &self,
        _device: &DeviceName,
        _n: usize,
        _event: &EventId,
    ) -> Result<Attempt, HookError> {
        todo!()
    }
}

/// From where to deliver again.
#[derive(Clone, Debug)]
pub enum ReplayFrom {
    /// The first event stored at or after this.
    Time(UnixMillis),
    /// This event.
    Event(EventId),
}

/// Why an endpoint operation was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HookError {
    /// The device has no endpoint of that number.
    #[error("the device has no such webhook")]
    NoEndpoint,
    /// The event is not kept any more.
    #[error("there is no such event")]
    NoEvent,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How an endpoint does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EndpointReport {
    /// Its place in the file, from 1.
    pub n: usize,
    /// Its URL, without user info and query.
    pub url: String,
    /// Whether it delivers.
    pub state: EndpointState,
    /// Events waiting for it (an upper bound: filtered ones count until they are passed).
    pub backlog: u64,
    /// Since when nothing was delivered, while failing.
    pub failing_since: Option<UnixMillis>,
    /// When it tries again.
    pub next_try: Option<UnixMillis>,
    /// The last answer's status.
    pub last_status: Option<u16>,
    /// The last error, for people.
    pub last_error: Option<String>,
    /// Everything up to here is done.
    pub cursor: u64,
    /// Events delivered, parked, dropped.
    pub delivered: u64,
    /// Events parked as dead letters.
    pub parked: u64,
    /// Events dropped by retention before they were delivered.
    pub dropped: u64,
}

/// One POST and what came back.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Attempt {
    /// The event.
    pub event: EventId,
    /// When it began.
    pub at: UnixMillis,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// `delivered`, `endpoint`, `message`, `ambiguous` or `gone`.
    pub class: &'static str,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// The first 256 bytes of the answer.
    pub answer: String,
}
