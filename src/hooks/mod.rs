//! Webhooks out: one state machine per endpoint reads the log from its cursor, posts one event at a time and keeps the
//! order. It never sees a device's connection; a reply in an answer becomes a row in the send queue.

mod attempt;
mod backoff;
mod class;
mod delivery;
mod endpoint;
mod fault;
mod pool;
mod profile;
mod registry;
mod reply;
mod resolver;
mod signature;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use self::class::Class;
use self::delivery::{Delivery, Parcel};
use self::endpoint::Command;
use self::pool::Pool;
use self::registry::{Handle, Registry};
use crate::config::DeviceConfig;
use crate::knobs::knobs;
use crate::model::{
    DeviceName, Event, EventData, EventId, EventType, MessageData, Person, UnixMillis,
};
use crate::store::{DeadLetter, EndpointState, Seq, Store, StoreError};
use crate::task::Tasks;

/// Dead letters looked through at a time.
const LETTERS: usize = 100;

/// All endpoints of all devices.
pub struct Webhooks {
    registry: Arc<Registry>,
    delivery: Delivery,
}

impl Webhooks {
    /// No endpoints yet; the delivery threads are up.
    pub fn start(store: Store, tasks: Tasks) -> Arc<Self> {
        Self::start_scaled(store, tasks, knobs().retry_scale)
    }

    /// As `start`, with every wait multiplied by `scale`: tests of what happens after five minutes need not take them.
    pub fn start_scaled(store: Store, tasks: Tasks, scale: f64) -> Arc<Self> {
        let delivery = Delivery { store, pool: Pool::start(&tasks), scale };
        let registry = Registry::start(delivery.clone(), tasks);
        Arc::new(Self { registry, delivery })
    }

    /// Makes the endpoints match the file. A removed endpoint's cursor is kept for 24 hours; an edited one goes on
    /// where it was, with its new values from the next attempt on. Another URL is another endpoint.
    pub async fn reconcile(
        &self,
        devices: &BTreeMap<DeviceName, DeviceConfig>,
    ) -> Result<(), StoreError> {
        self.registry.reconcile(devices).await
    }

    /// How every endpoint does; latest wins.
    pub fn reports(&self) -> watch::Receiver<Arc<BTreeMap<DeviceName, Vec<EndpointReport>>>> {
        self.registry.reports()
    }

    /// The last attempts of an endpoint, newest first.
    pub fn attempts(&self, device: &DeviceName, n: usize) -> Option<Vec<Attempt>> {
        self.registry.find(device, n).map(|handle| handle.view.attempts())
    }

    /// Moves an endpoint's cursor to just before that event or time.
    pub async fn replay(
        &self,
        device: &DeviceName,
        n: usize,
        from: ReplayFrom,
    ) -> Result<Seq, HookError> {
        let handle = self.handle(device, n)?;
        let log = self.delivery.store.log();
        let seq = match from {
            ReplayFrom::Time(at) => log.before(device, at).await?,
            ReplayFrom::Event(event) => {
                let seq = log.find(device, &event).await?.ok_or(HookError::NoEvent)?;
                Seq(seq.0.saturating_sub(1))
            }
        };
        handle.order(Command::Rewind(seq)).await?;
        Ok(seq)
    }

    /// Posts a made-up event now, beside the queue, and tells what came back.
    pub async fn test(&self, device: &DeviceName, n: usize) -> Result<Attempt, HookError> {
        let handle = self.handle(device, n)?;
        let (event, source) = made_up(device);
        let endpoint = handle.config();
        let body = profile::body(endpoint.format, &source).ok_or(HookError::NoEvent)?;
        let post = attempt::Post { endpoint, event, body };
        // Past the delivery: a reply to a made-up message has nobody to go to.
        let outcome = self.delivery.pool.post(post.clone(), false).await;
        Ok(handle.view.record(&post.endpoint, &post.event, &outcome))
    }

    /// Stops delivering until `resume`.
    pub async fn pause(&self, device: &DeviceName, n: usize) -> Result<(), HookError> {
        Ok(self.handle(device, n)?.order(Command::Pause).await?)
    }

    /// Delivers again, at once.
    pub async fn resume(&self, device: &DeviceName, n: usize) -> Result<(), HookError> {
        Ok(self.handle(device, n)?.order(Command::Resume).await?)
    }

    /// Dead letters of an endpoint after `after`, oldest first.
    pub async fn dead_letters(
        &self,
        device: &DeviceName,
        n: usize,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, HookError> {
        let handle = self.handle(device, n)?;
        Ok(self.delivery.store.cursors().dead_letters(&handle.id, after, limit).await?)
    }

    /// Posts a dead letter again; it is buried when it is taken.
    pub async fn retry(
        &self,
        device: &DeviceName,
        n: usize,
        event: &EventId,
    ) -> Result<Attempt, HookError> {
        let handle = self.handle(device, n)?;
        let letter = self.letter(&handle, event).await?;
        let endpoint = handle.config();
        let body = profile::body(endpoint.format, &letter.body).ok_or(HookError::NoEvent)?;
        let (id, source) = (handle.id.clone(), letter.body);
        let parcel = Parcel { id, endpoint, event: letter.id, source, body };
        let outcome = self.delivery.deliver(&parcel, false).await;
        let attempt = handle.view.record(&parcel.endpoint, event, &outcome);
        if outcome.class == Class::Delivered {
            self.delivery.store.cursors().bury(&handle.id, letter.seq).await?;
        }
        Ok(attempt)
    }

    async fn letter(&self, handle: &Handle, event: &EventId) -> Result<DeadLetter, HookError> {
        let mut after = Seq(0);
        loop {
            let cursors = self.delivery.store.cursors();
            let letters = cursors.dead_letters(&handle.id, after, LETTERS).await?;
            after = letters.last().ok_or(HookError::NoEvent)?.seq;
            if let Some(letter) = letters.into_iter().find(|letter| letter.id == *event) {
                return Ok(letter);
            }
        }
    }

    fn handle(&self, device: &DeviceName, n: usize) -> Result<Arc<Handle>, HookError> {
        self.registry.find(device, n).ok_or(HookError::NoEndpoint)
    }
}

/// The event of the Test button, and its JSON. Its sender is WhatsApp's own address, which belongs to nobody.
#[expect(clippy::expect_used, reason = "its keys are strings")]
fn made_up(device: &DeviceName) -> (EventId, Bytes) {
    let now = UnixMillis::now();
    let id = EventId::derive(&["test", device.as_str(), &now.millis().to_string()]);
    let jid = "0@s.whatsapp.net".to_owned();
    let from = Person { jid: jid.clone(), phone: None, lid: None, name: Some("moonwa".to_owned()) };
    let message = MessageData {
        id: id.as_str().to_owned(),
        chat: jid,
        from,
        from_me: false,
        group: None,
        kind: "text".to_owned(),
        text: Some("This is a test by moonwa.".to_owned()),
        mentions: Vec::new(),
        reply_to: None,
        media: None,
        details: None,
    };
    let event = Event {
        id: id.clone(),
        kind: EventType::MessageReceived,
        timestamp: now,
        device: device.clone(),
        data: EventData::Message(Box::new(message)),
    };
    (id, serde_json::to_vec(&event).expect("an event is JSON").into())
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
    /// What went wrong last, for programs.
    pub last_code: Option<String>,
    /// The same for people.
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
    /// What went wrong, for programs.
    pub code: Option<&'static str>,
    /// The same for people.
    pub error: Option<String>,
    /// The first 256 bytes of the answer.
    pub answer: String,
}
