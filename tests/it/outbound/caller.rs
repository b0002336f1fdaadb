//! Who sends: to each chat one message after another, each until it is accepted, under a key of its own. A gateway that
//! does not answer is asked again, as a careful program does.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::try_join_all;
use http_body_util::Full;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use moonwa_simulator::harness::{Moonwa, Reply, Rest, eventually_within};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{CHATS, Cast, PATIENCE};

/// A JPEG of 3 × 2 as far as anybody looks.
const PICTURE: [u8; 33] = [
    0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, //
    0xff, 0xc0, 0, 11, 8, 0, 2, 0, 3, 1, 1, 0x11, 0,
];

/// How far the run is, for the caller and the nemesis.
pub(super) struct Pace {
    /// How many messages may be sent by now.
    due: watch::Sender<usize>,
    /// How many sends were accepted.
    accepted: AtomicUsize,
    /// Where the gateway listens now.
    rest: watch::Sender<Rest>,
}

impl Pace {
    pub(super) fn new(moonwa: &Moonwa) -> Self {
        Self {
            due: watch::Sender::new(0),
            accepted: AtomicUsize::new(0),
            rest: watch::Sender::new(moonwa.key_of("toko")),
        }
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// That many messages may be sent now.
    pub(super) fn allow(&self, due: usize) {
        self.due.send_replace(due);
    }

    /// The gateway was started again.
    pub(super) fn moved(&self, moonwa: &Moonwa) {
        self.rest.send_replace(moonwa.key_of("toko"));
    }
}

pub(super) struct Caller<'a> {
    pub(super) cast: &'a Cast,
    pub(super) pace: &'a Pace,
    pub(super) sends: usize,
}

/// What the `n`th message says.
pub(super) fn words(n: usize) -> String {
    format!("message {n}")
}

/// Which message says so.
pub(super) fn number_of(words: &str) -> Option<usize> {
    words.strip_prefix("message ")?.parse().ok()
}

impl Caller<'_> {
    /// Sends everything, to all chats at once; answers the ids, in order.
    pub(super) async fn send(&self) -> Result<Vec<String>> {
        let chats = try_join_all((0..CHATS).map(|chat| self.send_to(chat))).await?;
        let id = |n: usize| chats[n % CHATS][n / CHATS].clone();
        Ok((0..self.sends).map(id).collect())
    }

    async fn send_to(&self, chat: usize) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut due = self.pace.due.subscribe();
        for n in (chat..self.sends).step_by(CHATS) {
            due.wait_for(|due| n < *due).await?;
            let body = self.body(n);
            let answered = async || self.once(n, &body).await.map_err(|error| format!("{error:#}"));
            let what = format!("message {n} is accepted");
            let reply = eventually_within(PATIENCE, &what, answered, Result::is_ok).await;
            let reply = reply.map_err(anyhow::Error::msg)?;
            ensure!(reply.status == 202, "message {n}: {} {}", reply.status, reply.text());
            ids.push(reply.json()["id"].as_str().unwrap_or_default().to_owned());
            self.pace.accepted.fetch_add(1, Ordering::SeqCst);
        }
        Ok(ids)
    }

    /// Every tenth message to a chat is a picture.
    fn body(&self, n: usize) -> Value {
        let to = self.cast.chat(n % CHATS);
        if n / CHATS % 10 == 4 {
            let image = json!({"base64": BASE64_STANDARD.encode(PICTURE), "caption": words(n)});
            json!({"to": to, "image": image})
        } else {
            json!({"to": to, "text": words(n)})
        }
    }

    async fn once(&self, n: usize, body: &Value) -> Result<Reply> {
        let rest = self.pace.rest.borrow().clone();
        let request = rest
            .request(Method::POST, "/v1/devices/toko/messages")
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", format!("send-{n}"))
            .body(Full::new(body.to_string().into()))?;
        rest.send(request).await
    }
}
