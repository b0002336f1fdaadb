//! One gateway without its faces: a store, a fleet with one device, and looking at what they did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use moonwa::facade::config::DeviceConfig;
use moonwa::facade::model::{
    Content, DeviceName, DeviceState, EventType, IdempotencyKey, Linking, MediaSource, MessageId,
    MessageStatus, Recipient, SendRequest, SentMessage, UnixMillis,
};
use moonwa::facade::store::{Enqueued, Seq, Store, StoreOptions};
use moonwa::facade::task::Tasks;
use moonwa::facade::whatsapp::{DeviceHandle, Fleet, FleetOptions};
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{Phone, Simulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Gateway {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) store: Store,
    tasks: Tasks,
    directory: TempDir,
    sim: Simulator,
}

pub(crate) fn name() -> DeviceName {
    DeviceName::parse("toko").expect("a name")
}

pub(crate) fn config() -> DeviceConfig {
    DeviceConfig::new("Toko")
}

/// Whatever happened in a story, the phones of its devices must go on ringing.
pub(crate) async fn phones_ring(sim: &Simulator, fleet: &Fleet) {
    let statuses = fleet.statuses().borrow().clone();
    let accounts = statuses.values().filter_map(|status| status.account.as_ref());
    let numbers = accounts.filter_map(|account| account.phone.as_ref());
    let phones = numbers.filter_map(|number| sim.find_phone(&number.to_string()));
    for phone in phones {
        phone.expect_nobody_there().await.expect("nobody is there");
    }
}

impl Gateway {
    pub(crate) async fn start(sim: &Simulator) -> Result<Self> {
        Self::open(sim, tempfile::tempdir()?).await
    }

    async fn open(sim: &Simulator, directory: TempDir) -> Result<Self> {
        let options = StoreOptions {
            path: directory.path().to_owned(),
            power_safe: false,
            keep: Duration::from_secs(3600),
            max_size: 64 << 20,
        };
        let store = Store::open(options).await?;
        let tasks = Tasks::new();
        let options = FleetOptions {
            whatsapp_url: Some(sim.ws_url()),
            max_media: 8 << 20,
            version: None,
            allow_nets: vec!["127.0.0.0/8".parse()?],
        };
        let fleet = Fleet::start(store.clone(), tasks.clone(), options).await?;
        fleet.reconcile(&BTreeMap::from([(name(), config())])).await;
        Ok(Self { fleet, store, tasks, directory, sim: sim.clone() })
    }

    pub(crate) fn device(&self) -> DeviceHandle {
        self.fleet.device(&name()).expect("the device")
    }

    /// A file that was uploaded.
    pub(crate) async fn uploaded(&self, bytes: &[u8]) -> Result<MediaSource> {
        let mut upload = self.store.spool().upload(&name(), &self.tasks).await?;
        upload.write(bytes).await?;
        upload.finish().await?;
        let source = MediaSource::Uploaded(upload.name().clone());
        upload.keep();
        Ok(source)
    }

    /// So ends a story.
    pub(crate) async fn stop(self) {
        phones_ring(&self.sim, &self.fleet).await;
        self.close().await;
    }

    async fn close(self) -> TempDir {
        self.fleet.shutdown().await;
        assert_eq!(self.tasks.shutdown(PATIENCE).await, 0, "every task ends");
        self.store.close().await.expect("the store closes");
        self.directory
    }

    pub(crate) async fn restart(self, sim: &Simulator) -> Result<Self> {
        let directory = self.close().await;
        Self::open(sim, directory).await
    }

    pub(crate) async fn expect_state(&self, good: impl Fn(&DeviceState) -> bool) -> DeviceState {
        let mut watch = self.device().watch();
        let found = timeout(PATIENCE, watch.wait_for(|status| good(&status.state))).await;
        match found {
            Ok(status) => status.expect("the device lives").state.clone(),
            Err(_) => panic!("last seen: {:?}", self.device().status()),
        }
    }

    pub(crate) async fn qr(&self) -> String {
        let shown = self
            .expect_state(|state| {
                matches!(state, DeviceState::Linking(Linking { qr: Some(_), .. }))
            })
            .await;
        let DeviceState::Linking(Linking { qr: Some(qr), .. }) = shown else { unreachable!() };
        qr.code.expose().to_owned()
    }

    pub(crate) async fn link(&self, phone: &Phone) -> Result<()> {
        self.device().start().await?;
        phone.scan(&self.qr().await).await?;
        self.expect_state(|state| matches!(state, DeviceState::Connected)).await;
        Ok(())
    }

    pub(crate) async fn send(&self, request: SendRequest) -> Result<SentMessage> {
        let now = UnixMillis::now();
        let row = SentMessage {
            id: MessageId::random(),
            device: name(),
            request,
            status: MessageStatus::Queued,
            created: now,
            updated: now,
            due: None,
            expires: None,
            list: None,
            by: None,
        };
        match self.store.queue().enqueue(row, None::<IdempotencyKey>, 1000).await? {
            Enqueued::Queued(row) => Ok(row),
            other => anyhow::bail!("{other:?}"),
        }
    }

    pub(crate) async fn message_status(&self, id: &MessageId) -> Option<MessageStatus> {
        let row = self.store.queue().get(&name(), id).await.expect("the queue answers");
        row.map(|row| row.status)
    }

    pub(crate) async fn expect_status(&self, id: &MessageId, status: MessageStatus) {
        eventually("a status", || self.message_status(id), |seen| *seen == Some(status.clone()))
            .await;
    }

    pub(crate) async fn expect_settled(&self, id: &MessageId) -> MessageStatus {
        let settled =
            |seen: &Option<MessageStatus>| seen.as_ref().is_some_and(MessageStatus::is_settled);
        eventually("an outcome", || self.message_status(id), settled).await.expect("settled")
    }

    pub(crate) async fn events(&self) -> Vec<Value> {
        let page = self.store.log().read_after(&name(), Seq(0), 10_000).await.expect("the log");
        page.events.iter().map(|event| serde_json::from_slice(&event.body).expect("JSON")).collect()
    }

    pub(crate) async fn expect_connected(&self) {
        self.expect_state(|state| matches!(state, DeviceState::Connected)).await;
    }

    /// The file of a received message, as callers get it.
    pub(crate) async fn media(&self, id: &str) -> Result<Vec<u8>> {
        let id = MessageId::parse(id).context("an id")?;
        let mut stream = self.device().media(&id).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.chunks.recv().await {
            bytes.extend(chunk?);
        }
        Ok(bytes)
    }

    pub(crate) async fn send_poll(
        &self,
        number: &str,
        question: &str,
        options: &[&str],
    ) -> Result<String> {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let content =
            Content::Poll { question: question.into(), options, selectable: 2, correct: None };
        Ok(self.send(to(number, content)).await?.id.to_string())
    }

    pub(crate) async fn expect_event(
        &self,
        kind: EventType,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        let wanted = |event: &Value| event["type"] == kind.as_str() && good(&event["data"]);
        let events =
            eventually(kind.as_str(), || self.events(), |events| events.iter().any(wanted)).await;
        let mut found: Vec<Value> = events.into_iter().filter(wanted).collect();
        let ids: BTreeSet<String> = found.iter().map(|event| event["id"].to_string()).collect();
        assert_eq!(ids.len(), found.len(), "an event is stored once");
        found.pop().expect("found")
    }

    /// Waits for a change of that type in a group; that it was made is a change, too.
    pub(crate) async fn expect_change(&self, group: &str, change: &str) -> Value {
        let good = |data: &Value| data["group"] == group && data["change"]["type"] == change;
        self.expect_event(EventType::GroupUpdated, good).await
    }
}

pub(crate) fn to(number: &str, content: Content) -> SendRequest {
    SendRequest {
        to: Recipient::parse(number, None).context("a receiver").expect("a receiver"),
        content,
        reply_to: None,
        mentions: Vec::new(),
        mention_all: false,
        view_once: false,
        album: None,
        send_at: None,
        expires: None,
        audience: None,
        typing: None,
    }
}

pub(crate) fn text_to(number: &str, text: &str) -> SendRequest {
    to(number, Content::Text { text: text.into() })
}
