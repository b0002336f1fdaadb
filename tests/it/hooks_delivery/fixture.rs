//! A gateway's delivery side on a temporary store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moonwa::facade::config::{DeviceConfig, EndpointConfig};
use moonwa::facade::hooks::{EndpointReport, Webhooks};
use moonwa::facade::model::{
    DeviceName, Event, EventData, EventId, EventType, MessageData, Person, SentMessage, UnixMillis,
};
use moonwa::facade::store::{Counted, NewEvent, Store, StoreOptions};
use moonwa::facade::task::Tasks;
use tempfile::TempDir;

use super::receiver::DEADLINE;

/// Seconds of the ladder become milliseconds.
pub(crate) const FAST: f64 = 0.001;
pub(crate) const REAL: f64 = 1.0;

pub(crate) struct Gate {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
    pub(crate) tasks: Tasks,
    pub(crate) hooks: Arc<Webhooks>,
}

pub(crate) fn device() -> DeviceName {
    DeviceName::parse("toko").unwrap()
}

impl Gate {
    /// What waits to be sent.
    pub(crate) async fn queued(&self) -> Vec<SentMessage> {
        let rows = self.store.queue().pending(&device(), 0, 10).await.unwrap();
        rows.into_iter().map(|(_, message)| message).collect()
    }

    pub(crate) async fn open(scale: f64) -> Self {
        Self::open_in(TempDir::new().unwrap(), scale, 64 * 1024 * 1024).await
    }

    pub(crate) async fn open_in(dir: TempDir, scale: f64, max_size: u64) -> Self {
        let store = Store::open(options(dir.path(), max_size)).await.unwrap();
        let tasks = Tasks::new();
        let hooks = Webhooks::start_scaled(store.clone(), tasks.clone(), scale).await.unwrap();
        Self { dir, store, tasks, hooks }
    }

    /// Stops everything, as moonwa does; the directory remains.
    pub(crate) async fn close(self) -> TempDir {
        assert_eq!(self.tasks.shutdown(Duration::from_secs(20)).await, 0, "tasks were left");
        drop(self.hooks);
        self.store.close().await.unwrap();
        self.dir
    }

    pub(crate) async fn configure(&self, webhooks: &[EndpointConfig]) {
        let webhooks = webhooks.iter().zip(1..);
        let webhooks = webhooks.map(|(webhook, n)| EndpointConfig { n, ..webhook.clone() });
        let config = DeviceConfig { webhooks: webhooks.collect(), ..DeviceConfig::new("Toko") };
        self.hooks.reconcile(&BTreeMap::from([(device(), config)])).await.unwrap();
    }

    /// Appends one message per text, and tells their ids.
    pub(crate) async fn say(&self, texts: &[&str]) -> Vec<EventId> {
        let events: Vec<NewEvent> = texts.iter().map(|text| message(text)).collect();
        let ids = events.iter().map(|event| event.id.clone()).collect();
        self.store.log().append(events).await.unwrap();
        ids
    }

    /// Waits until the first endpoint's report is as wanted.
    pub(crate) async fn report(&self, wanted: impl Fn(&EndpointReport) -> bool) -> EndpointReport {
        self.report_of(1, wanted).await
    }

    pub(crate) async fn report_of(
        &self,
        n: usize,
        wanted: impl Fn(&EndpointReport) -> bool,
    ) -> EndpointReport {
        let mut reports = self.hooks.reports();
        let of = |reports: &BTreeMap<DeviceName, Vec<EndpointReport>>| {
            let mine = reports.get(&device()).into_iter().flatten();
            mine.into_iter().find(|report| report.n == n && wanted(report)).cloned()
        };
        let found = tokio::time::timeout(DEADLINE, reports.wait_for(|all| of(all).is_some())).await;
        match found {
            Ok(found) => of(&found.unwrap()).unwrap(),
            Err(_) => panic!("not in time: {:?}", self.hooks.reports().borrow()),
        }
    }
}

fn options(path: &Path, max_size: u64) -> StoreOptions {
    let keep = Duration::from_hours(72);
    StoreOptions { path: path.to_owned(), power_safe: false, keep, max_size }
}

/// A plain endpoint, new ones from the tail.
pub(crate) fn endpoint(url: &str) -> EndpointConfig {
    EndpointConfig::new(0, url.to_owned())
}

/// A message from somebody.
pub(crate) fn message(text: &str) -> NewEvent {
    let id = EventId::derive(&["toko", text]);
    let jid = "628123456789@s.whatsapp.net".to_owned();
    let phone = Some("628123456789".to_owned());
    let from = Person { jid, phone, lid: None, name: Some("Budi".into()) };
    // As an older version kept it.
    let data =
        MessageData { chat_kind: None, ..MessageData::written(format!("3EB0{text}"), from, text) };
    let at = UnixMillis::now();
    let kind = EventType::MessageReceived;
    let data = EventData::Message(Box::new(data));
    let event = Event { id: id.clone(), kind, timestamp: at, device: device(), data };
    let body = Bytes::from(serde_json::to_vec(&event).unwrap());
    NewEvent { device: device(), id, kind, at, body, counts: Counted::Nothing }
}

/// An event of another type.
pub(crate) fn state_event(nonce: &str) -> NewEvent {
    let id = EventId::derive(&["toko", "state", nonce]);
    let (kind, at) = (EventType::DeviceState, UnixMillis::now());
    let data = EventData::Other(serde_json::json!({"state": "connected"}));
    let event = Event { id: id.clone(), kind, timestamp: at, device: device(), data };
    let body = Bytes::from(serde_json::to_vec(&event).unwrap());
    NewEvent { device: device(), id, kind, at, body, counts: Counted::Nothing }
}

pub(crate) fn texts(n: usize) -> Vec<String> {
    (1..=n).map(|n| format!("m{n}")).collect()
}

pub(crate) fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
