//! Outgoing webhooks: each endpoint has a state machine that reads the log from its cursor, posts one event at a time
//! and keeps the order. It never sees a device's connection; a reply in an answer becomes a row in the send queue. Rules
//! read the log in the same way, and answer by themselves.

mod attempt;
mod backoff;
pub(crate) mod chatwoot;
mod class;
mod client;
mod delivery;
mod endpoint;
mod fault;
mod filter;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod media_url;
mod monitor;
mod profile;
mod qr;
mod registry;
mod reply;
mod report;
pub(crate) mod rule;
mod signature;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use self::chatwoot::Phones;
use self::class::Class;
use self::client::{Client, KeepAlive, Post};
use self::delivery::{Deliverer, Delivery};
use self::endpoint::Action;
pub(crate) use self::media_url::{MediaUrls, UrlRefused};
pub(crate) use self::profile::png as qr_png;
use self::registry::{Registry, RunningEndpoint};
pub(crate) use self::report::Attempt;
pub use self::report::EndpointReport;
pub(crate) use self::report::host_of;
pub(crate) use self::rule::RuleReport;
use self::rule::Rules;
use crate::config::{DeviceConfig, Format};
use crate::knobs::knobs;
use crate::model::{
    DeviceName, DeviceStatus, Event, EventData, EventId, EventType, MessageData, Person, UnixMillis,
};
use crate::store::{DeadLetter, Seq, Store, StoreError};
use crate::task::Tasks;

/// How many dead letters are read at a time while looking for one.
const LETTERS: usize = 100;

/// All endpoints of all devices.
pub struct Webhooks {
    registry: Arc<Registry>,
    rules: Arc<Rules>,
    deliverer: Deliverer,
}

impl Webhooks {
    /// Starts without endpoints; they come with `reconcile`.
    pub async fn start(store: Store, tasks: Tasks) -> Result<Arc<Self>, StoreError> {
        Self::start_scaled(store, tasks, knobs().retry_scale).await
    }

    /// Like `start`, with every wait multiplied by `scale`, so that a test of what happens after five minutes is quick.
    pub async fn start_scaled(
        store: Store,
        tasks: Tasks,
        scale: f64,
    ) -> Result<Arc<Self>, StoreError> {
        let urls = Arc::new(MediaUrls::load(&store).await?);
        let (client, statuses) = (Client::start(&tasks), Arc::default());
        let phones = Arc::default();
        let deliverer = Deliverer { store, client, urls, statuses, phones, scale };
        let rules = Rules::start(deliverer.store.clone(), tasks.clone(), scale);
        let registry = Registry::start(deliverer.clone(), rules.handovers().clone(), tasks);
        Ok(Arc::new(Self { registry, rules, deliverer }))
    }

    /// The URLs of received files.
    pub(crate) fn media_urls(&self) -> &MediaUrls {
        &self.deliverer.urls
    }

    /// Says under which address receivers reach moonwa.
    pub fn publish_under(&self, public_url: Option<&str>) {
        self.deliverer.urls.publish_under(public_url);
    }

    /// Says where it is known whose accounts the devices are linked to, and which codes they show. Only the first one
    /// told is asked.
    pub fn know(&self, statuses: watch::Receiver<Arc<BTreeMap<DeviceName, DeviceStatus>>>) {
        let known = self.deliverer.statuses.set(statuses.clone());
        if known.is_ok() {
            self.registry.tell_codes(statuses);
        }
    }

    /// Says where the files of received messages are. Only the first one told is asked.
    pub(crate) fn ask_phones(&self, phones: Arc<dyn Phones>) {
        self.deliverer.phones.set(phones).ok();
    }

    /// Makes the endpoints and the rules match the file. A removed endpoint's cursor is kept for 24 hours; an edited one goes on
    /// where it was, with its new values from the next attempt on. Another URL is another endpoint.
    pub async fn reconcile(
        &self,
        devices: &BTreeMap<DeviceName, DeviceConfig>,
    ) -> Result<(), StoreError> {
        // No webhook passes by what a rule is about to hand it.
        let turn = self.rules.prepare(devices).await?;
        self.registry.reconcile(devices).await?;
        self.rules.reconcile(turn).await
    }

    /// How the rules of a device do.
    pub(crate) fn rules(&self, device: &DeviceName) -> Vec<RuleReport> {
        self.rules.reports(device)
    }

    /// Woken whenever a rule does something.
    pub(crate) fn rule_news(&self) -> watch::Receiver<()> {
        self.rules.news()
    }

    /// How every endpoint does. Only the latest reports are kept.
    pub fn reports(&self) -> watch::Receiver<Arc<BTreeMap<DeviceName, Vec<EndpointReport>>>> {
        self.registry.reports()
    }

    /// The last attempts of an endpoint, newest first.
    pub fn attempts(&self, device: &DeviceName, n: usize) -> Option<Vec<Attempt>> {
        self.registry.find(device, n).map(|running| running.monitor.attempts())
    }

    /// Moves an endpoint's cursor to just before that event or time.
    pub async fn replay(
        &self,
        device: &DeviceName,
        n: usize,
        from: ReplayFrom,
    ) -> Result<Seq, HookError> {
        let running = self.endpoint(device, n)?;
        let log = self.deliverer.store.log();
        let seq = match from {
            ReplayFrom::Time(at) => log.before(device, at).await?,
            ReplayFrom::Event(event) => {
                let seq = log.find(device, &event).await?.ok_or(HookError::NoEvent)?;
                Seq(seq.0.saturating_sub(1))
            }
        };
        running.request(Action::Rewind(seq)).await?;
        Ok(seq)
    }

    /// Posts a sample event at once, outside the queue, and returns what came back.
    pub async fn test(&self, device: &DeviceName, n: usize) -> Result<Attempt, HookError> {
        let running = self.endpoint(device, n)?;
        let (event, source) = sample_event(device);
        let endpoint = running.config();
        if endpoint.format == Format::Chatwoot {
            let outcome = self.deliverer.bridge(&running.id, &endpoint).test().await;
            return Ok(running.monitor.record(&endpoint, &event, &outcome));
        }
        let body = self.deliverer.body(&endpoint, &source).ok_or(HookError::NoEvent)?;
        let post = Post { endpoint, event, body };
        // Not through `deliver`: a reply to a sample message has nobody to go to.
        let outcome = attempt::post(&self.deliverer.client, &post, &mut KeepAlive::default()).await;
        Ok(running.monitor.record(&post.endpoint, &post.event, &outcome))
    }

    /// Stops delivering until `resume`.
    pub async fn pause(&self, device: &DeviceName, n: usize) -> Result<(), HookError> {
        Ok(self.endpoint(device, n)?.request(Action::Pause).await?)
    }

    /// Delivers again, without waiting for the next try.
    pub async fn resume(&self, device: &DeviceName, n: usize) -> Result<(), HookError> {
        Ok(self.endpoint(device, n)?.request(Action::Resume).await?)
    }

    /// The dead letters of an endpoint after `after`, oldest first.
    pub async fn dead_letters(
        &self,
        device: &DeviceName,
        n: usize,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, HookError> {
        let running = self.endpoint(device, n)?;
        Ok(self.deliverer.store.cursors().dead_letters(&running.id, after, limit).await?)
    }

    /// Posts a dead letter again, and removes it when the receiver takes it.
    pub async fn retry(
        &self,
        device: &DeviceName,
        n: usize,
        event: &EventId,
    ) -> Result<Attempt, HookError> {
        let running = self.endpoint(device, n)?;
        let letter = self.letter(&running, event).await?;
        let endpoint = running.config();
        let body = self.deliverer.body(&endpoint, &letter.body).ok_or(HookError::NoEvent)?;
        let (id, source) = (running.id.clone(), letter.body);
        let delivery = Delivery { id, endpoint, event: letter.id, source, body };
        let outcome = self.deliverer.deliver(&delivery, &mut KeepAlive::default()).await;
        let attempt = running.monitor.record(&delivery.endpoint, event, &outcome);
        if outcome.class == Class::Delivered {
            self.deliverer.store.cursors().bury(&running.id, letter.seq).await?;
            running.request(Action::Recount).await?;
        }
        Ok(attempt)
    }

    async fn letter(
        &self,
        running: &RunningEndpoint,
        event: &EventId,
    ) -> Result<DeadLetter, HookError> {
        let mut after = Seq(0);
        loop {
            let cursors = self.deliverer.store.cursors();
            let letters = cursors.dead_letters(&running.id, after, LETTERS).await?;
            after = letters.last().ok_or(HookError::NoEvent)?.seq;
            if let Some(letter) = letters.into_iter().find(|letter| letter.id == *event) {
                return Ok(letter);
            }
        }
    }

    fn endpoint(&self, device: &DeviceName, n: usize) -> Result<Arc<RunningEndpoint>, HookError> {
        self.registry.find(device, n).ok_or(HookError::NoEndpoint)
    }
}

/// The event of the Test button and its JSON. The sender is WhatsApp's own address, which belongs to nobody.
#[expect(clippy::expect_used, reason = "its keys are strings")]
fn sample_event(device: &DeviceName) -> (EventId, Bytes) {
    let now = UnixMillis::now();
    let id = EventId::derive(&["test", device.as_str(), &now.millis().to_string()]);
    let jid = "0@s.whatsapp.net".to_owned();
    let from = Person { jid, phone: None, lid: None, name: Some("moonwa".to_owned()) };
    let message = MessageData::written(id.as_str(), from, "This is a test by moonwa.");
    let event = Event {
        id: id.clone(),
        kind: EventType::MessageReceived,
        timestamp: now,
        device: device.clone(),
        data: EventData::Message(Box::new(message)),
    };
    (id, serde_json::to_vec(&event).expect("an event is JSON").into())
}

/// Where a replay begins.
#[derive(Clone, Debug)]
pub enum ReplayFrom {
    /// With the first event stored at or after this time.
    Time(UnixMillis),
    /// With this event.
    Event(EventId),
}

/// Why an endpoint operation was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HookError {
    /// The device has no endpoint of that number.
    #[error("the device has no such webhook")]
    NoEndpoint,
    /// There never was such an event, or it is not kept any more.
    #[error("there is no such event")]
    NoEvent,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
