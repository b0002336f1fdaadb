//! The events of one device, the same that its webhooks get: page by page, or as a stream that goes on where the client
//! left off. Reading here moves no webhook's cursor.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};

use super::live::{self, Events, Gone};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};
use crate::api::state::State;
use crate::config::Config;
use crate::model::{DeviceName, EventId, UnixMillis};
use crate::store::{Seq, StoredEvent};

const LISTED: usize = 100;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET …/events`.
pub(crate) async fn read(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    let asked = call.query("after")?;
    let mut after = None;
    // A client that reconnects by itself repeats its first `after`, but `Last-Event-ID` says what it saw last.
    for text in asked.as_deref().into_iter().chain(call.header("last-event-id")) {
        after = Some(place(call, &name, text).await?);
    }
    if call.accepts("text/event-stream") {
        return follow(call, name, after);
    }
    let page = call.state.api.store.log().read_after(&name, after.unwrap_or_default(), LISTED);
    let page = page.await?;
    let cursor = page.events.last().map(|event| event.seq).or(after).unwrap_or_default();
    let events = page.events.iter().map(|event| raw(call, event));
    let events = events.collect::<Result<Vec<_>, _>>()?;
    Ok(response::ok(&Listed {
        events,
        dropped: page.dropped,
        cursor,
        next: page.more.then_some(cursor),
    }))
}

#[derive(serde::Serialize)]
struct Listed {
    events: Vec<Box<RawValue>>,
    /// How many events after the place asked for are no longer kept.
    dropped: u64,
    cursor: Seq,
    next: Option<Seq>,
}

/// The event as a webhook gets it.
fn raw(call: &Call, event: &StoredEvent) -> Result<Box<RawValue>, Problem> {
    let body = call.state.api.webhooks.media_urls().given_out(&event.body, UnixMillis::now());
    serde_json::from_slice(&body).map_err(|error| {
        tracing::error!(event = %event.id, %error, "A stored event is not JSON.");
        Code::Internal.into()
    })
}

/// Where a client left off: a place in the log, an event, or a number of events before the end of the log.
async fn place(call: &Call, name: &DeviceName, text: &str) -> Result<Seq, Problem> {
    if let Ok(seq) = text.parse() {
        return Ok(Seq(seq));
    }
    if let Some(Ok(newest)) = text.strip_prefix('-').map(str::parse) {
        let tail = *call.state.api.store.log().tail(name).borrow();
        return Ok(Seq(tail.0.saturating_sub(newest)));
    }
    let id = EventId::parse(text)
        .ok_or_else(|| Problem::field("after", "a place in the log (a number) or an event id"))?;
    let found = call.state.api.store.log().find(name, &id).await?;
    found.ok_or_else(|| Code::EventNotFound.into())
}

fn follow(call: &Call, device: DeviceName, after: Option<Seq>) -> Result<Response, Problem> {
    let mut tail = call.state.api.store.log().tail(&device);
    let after = after.unwrap_or_else(|| *tail.borrow_and_update());
    let state = Arc::clone(&call.state);
    let config = Arc::clone(&call.config);
    live::open(call, move |events| tell(state, config, device, after, tail, events))
}

async fn tell(
    state: Arc<State>,
    config: Arc<Config>,
    device: DeviceName,
    mut after: Seq,
    mut tail: watch::Receiver<Seq>,
    events: Events,
) -> Result<(), Gone> {
    let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    loop {
        tail.borrow_and_update();
        let page = state.api.store.log().read_after(&device, after, LISTED).await;
        let page = page.map_err(|error| {
            tracing::warn!(%device, %error, "An event stream could not read the log.");
            Gone
        })?;
        if page.dropped > 0 {
            let dropped: Value = json!({ "dropped": page.dropped });
            events.send("dropped", None, &dropped.to_string()).await?;
        }
        for event in &page.events {
            let body = state.api.webhooks.media_urls().given_out(&event.body, UnixMillis::now());
            let Ok(text) = str::from_utf8(&body) else { continue };
            events.send(event.kind.as_str(), Some(event.seq.0), text).await?;
            after = event.seq;
        }
        // The key that opened the stream may be gone from the new configuration. The client reconnects by itself, and
        // its key is checked again.
        if !Arc::ptr_eq(&config, &state.api.config.load_full()) {
            return Ok(());
        }
        if page.events.is_empty() {
            select! {
                biased;
                () = events.closed() => return Err(Gone),
                changed = tail.changed() => changed.map_err(|_closed| Gone)?,
                _ = keep_alive.tick() => events.keep_alive().await?,
            }
        }
    }
}
