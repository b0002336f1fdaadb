//! Server-sent events. `GET /v1/events` tells the admin page everything it shows: first all of it, so that nothing is
//! missing after a reconnect, then what changes. A slow browser sees only the latest state of a device, so it costs no
//! memory here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::poll_fn;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{config, device, message};
use crate::api::access::auth::Principal;
use crate::api::access::proof::Proof;
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};
use crate::api::state::State;
use crate::config::{Config, ReloadReport, Scope};
use crate::hooks::{EndpointReport, RuleReport};
use crate::model::{DeviceName, DeviceStatus, SentMessage};

/// Proxies wait longer than this for a silent server.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The numbers change with every message. Nobody could read them if they were shown more often than this.
const PACE: Duration = Duration::from_millis(200);

/// The sending end of an event stream. The stream ends when this is dropped.
pub(crate) struct Events {
    pieces: mpsc::Sender<Bytes>,
}

/// The client is gone.
pub(crate) struct Gone;

impl Events {
    pub(crate) async fn send(&self, name: &str, id: Option<u64>, data: &str) -> Result<(), Gone> {
        self.piece(event(name, id, data)).await
    }

    async fn json<T: Serialize>(&self, name: &str, data: &T) -> Result<(), Gone> {
        let data = serde_json::to_string(data).map_err(|error| {
            tracing::error!(%error, "An event could not be written as JSON.");
            Gone
        })?;
        self.send(name, None, &data).await
    }

    /// Sends a comment, so that proxies keep the connection and a client that has gone is noticed.
    pub(crate) async fn keep_alive(&self) -> Result<(), Gone> {
        self.piece(": keep-alive\n\n".to_owned()).await
    }

    async fn piece(&self, piece: String) -> Result<(), Gone> {
        self.pieces.send(piece.into()).await.map_err(|mpsc::error::SendError(_)| Gone)
    }

    /// Waits until the client is gone.
    pub(crate) async fn closed(&self) {
        self.pieces.closed().await;
    }
}

fn event(name: &str, id: Option<u64>, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 48);
    // Writing to a string cannot fail.
    if let Some(id) = id {
        writeln!(text, "id: {id}").ok();
    }
    writeln!(text, "event: {name}").ok();
    for line in data.lines() {
        writeln!(text, "data: {line}").ok();
    }
    text.push('\n');
    text
}

/// Opens an event stream. `produce` feeds it until it is done, the client leaves, what let the client in ends, or moonwa
/// stops.
pub(crate) fn open<F, P>(call: &Call, produce: F) -> Result<Response, Problem>
where
    F: FnOnce(Events) -> P,
    P: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let most = call.config.server.max_connections;
    let whose = match &call.who {
        Principal::Key { device, id, .. } => Some((device.clone(), id.clone())),
        Principal::Admin { .. } | Principal::Nobody => None,
    };
    let stream =
        call.state.streams.open(whose, most).ok_or_else(|| {
            Problem::from(Code::TooManyStreams).retry_after(Duration::from_secs(10))
        })?;
    let (pieces, mut received) = mpsc::channel::<Bytes>(8);
    let produced = produce(Events { pieces });
    let stop = call.state.api.tasks.stop().clone();
    let ended = Proof::of(&call.head, &call.who).ended(Arc::clone(&call.state), call.who.clone());
    call.state.api.tasks.spawn("event stream", async move {
        let produced = async {
            select! { _ = produced => {}, () = ended => {} }
        };
        stop.run_until_cancelled(produced).await;
        drop(stream);
    });
    let pieces =
        poll_fn(move |cx| received.poll_recv(cx).map(|piece| piece.map(Ok::<_, io::Error>)));
    let mut response = response::stream(pieces);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would buffer the events and so hold them back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// `GET /v1/events`.
pub(crate) fn events(call: &Call) -> Answer {
    let watcher = Watcher {
        state: Arc::clone(&call.state),
        config: Arc::clone(&call.config),
        who: call.who.clone(),
        statuses: call.state.api.fleet.statuses(),
        webhooks: call.state.api.webhooks.reports(),
        rules: call.state.api.webhooks.rule_news(),
        told: BTreeMap::new(),
        report: call.state.api.reload.reports(),
        messages: call.state.api.store.queue().changes(),
    };
    open(call, |events| watcher.run(events))
}

type Reports = Arc<BTreeMap<DeviceName, Vec<EndpointReport>>>;

/// Tells one open page what changes.
struct Watcher {
    state: Arc<State>,
    config: Arc<Config>,
    who: Principal,
    statuses: watch::Receiver<Arc<BTreeMap<DeviceName, DeviceStatus>>>,
    webhooks: watch::Receiver<Reports>,
    rules: watch::Receiver<()>,
    /// What was told of the rules of each device.
    told: BTreeMap<DeviceName, Vec<RuleReport>>,
    report: watch::Receiver<Arc<ReloadReport>>,
    messages: broadcast::Receiver<SentMessage>,
}

impl Watcher {
    async fn run(mut self, events: Events) -> Result<(), Gone> {
        events.piece("retry: 3000\n\n".to_owned()).await?;
        let mut statuses = self.statuses.borrow_and_update().clone();
        let mut webhooks = self.webhooks.borrow_and_update().clone();
        self.report.mark_unchanged();
        self.snapshot(&events).await?;
        let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                biased;
                () = events.closed() => return Err(Gone),
                changed = self.statuses.changed() => {
                    changed.map_err(|_closed| Gone)?;
                    let now = self.statuses.borrow_and_update().clone();
                    self.tell_statuses(&events, &statuses, &now).await?;
                    statuses = now;
                }
                changed = self.webhooks.changed() => {
                    changed.map_err(|_closed| Gone)?;
                    let now = self.webhooks.borrow_and_update().clone();
                    self.tell_webhooks(&events, &webhooks, &now).await?;
                    webhooks = now;
                }
                changed = self.rules.changed() => {
                    changed.map_err(|_closed| Gone)?;
                    self.catch_up(&events).await?;
                    self.tell_rules(&events).await?;
                }
                changed = self.report.changed() => {
                    changed.map_err(|_closed| Gone)?;
                    self.tell_config(&events).await?;
                }
                message = self.messages.recv() => {
                    self.tell_message(&events, message).await?;
                    // Every message is told, so there is nothing to gain from waiting.
                    continue;
                }
                _ = keep_alive.tick() => events.keep_alive().await?,
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn snapshot(&mut self, events: &Events) -> Result<(), Gone> {
        let devices = device::view_all(&self.state, &self.config, &self.who);
        let admin = matches!(self.who, Principal::Admin { .. });
        let config = admin.then(|| config::render(&self.report.borrow()));
        events.json("snapshot", &json!({ "devices": devices, "config": config })).await?;
        self.told.clear();
        self.tell_rules(events).await
    }

    async fn tell_statuses(
        &mut self,
        events: &Events,
        before: &BTreeMap<DeviceName, DeviceStatus>,
        now: &BTreeMap<DeviceName, DeviceStatus>,
    ) -> Result<(), Gone> {
        self.catch_up(events).await?;
        for (name, status) in now {
            if self.who.reaches(name) && before.get(name) != Some(status) {
                let device = device::view(&self.state, &self.config, &self.who, name);
                if !device.is_null() {
                    events.json("device", &device).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell_webhooks(
        &self,
        events: &Events,
        before: &BTreeMap<DeviceName, Vec<EndpointReport>>,
        now: &BTreeMap<DeviceName, Vec<EndpointReport>>,
    ) -> Result<(), Gone> {
        for (name, webhooks) in now {
            if self.who.reaches(name) && before.get(name) != Some(webhooks) {
                events.json("webhooks", &json!({ "device": name, "webhooks": webhooks })).await?;
            }
        }
        Ok(())
    }

    async fn tell_config(&mut self, events: &Events) -> Result<(), Gone> {
        self.catch_up(events).await?;
        if matches!(self.who, Principal::Admin { .. }) {
            let report = self.report.borrow_and_update().clone();
            events.json("config", &config::render(&report)).await?;
        }
        Ok(())
    }

    /// After a change of the configuration, tells a browser that is logged in everything again. For a key the stream
    /// ends, because the key may be gone from the configuration: the client reconnects by itself, and its key is
    /// checked again. A browser that a key logged in is cut off by what it showed.
    async fn tell_rules(&mut self, events: &Events) -> Result<(), Gone> {
        self.rules.mark_unchanged();
        if !self.who.may(Scope::Read) {
            return Ok(());
        }
        for name in self.config.devices.keys().filter(|name| self.who.reaches(name)) {
            let rules = self.state.api.webhooks.rules(name);
            if self.told.get(name).map_or(!rules.is_empty(), |told| *told != rules) {
                events.json("rules", &json!({ "device": name, "rules": rules })).await?;
                self.told.insert(name.clone(), rules);
            }
        }
        Ok(())
    }

    async fn catch_up(&mut self, events: &Events) -> Result<(), Gone> {
        let config = self.state.api.config.load_full();
        if Arc::ptr_eq(&config, &self.config) {
            return Ok(());
        }
        if self.who.login().is_none() {
            return Err(Gone);
        }
        self.config = config;
        self.snapshot(events).await
    }

    async fn tell_message(
        &self,
        events: &Events,
        message: Result<SentMessage, RecvError>,
    ) -> Result<(), Gone> {
        match message {
            Ok(sent) if !self.who.reaches(&sent.device) || !self.who.may(Scope::Read) => Ok(()),
            Ok(sent) if sent.request.content.is_message() => {
                events.json("message", &message::shown(&self.state.api.fleet, &sent).await).await
            }
            // Nobody sees a receipt, but what is unread has changed.
            Ok(sent) => events.json("read", &json!({ "device": sent.device })).await,
            // The page then asks for the messages it is waiting for.
            Err(RecvError::Lagged(_)) => events.json("messages_missed", &json!({})).await,
            Err(RecvError::Closed) => Err(Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_framed_line_by_line() {
        assert_eq!(event("device", None, "{}"), "event: device\ndata: {}\n\n");
        assert_eq!(
            event("x", Some(7), "a\nb\r\nc"),
            "id: 7\nevent: x\ndata: a\ndata: b\ndata: c\n\n"
        );
    }
}
