//! One attempt to deliver: the POST, and what came of it. What the outcome means for the queue is decided by the
//! endpoint's machine.

use std::time::{Duration, Instant};

use super::backoff::{Hint, retry_after};
use super::class::{Class, is_overload};
use super::client::{Answer, Client, KeepAlive, Post, PostError};
use super::fault::Fault;
use crate::config::Format;
use crate::model::UnixMillis;

/// How much of an answer is read when it is only shown.
const ANSWER: usize = 4 * 1024;
/// How much of an answer is read when it can be a reply: WhatsApp's longest text and its JSON.
const REPLY: usize = 96 * 1024;

#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) class: Class,
    pub(super) at: UnixMillis,
    pub(super) took: Duration,
    pub(super) status: Option<u16>,
    /// Why the event was not delivered.
    pub(super) fault: Option<Fault>,
    pub(super) hint: Hint,
    /// The beginning of the answer.
    pub(super) answer: Vec<u8>,
}

/// Signs the event with the present time and posts it.
pub(super) async fn post(client: &Client, post: &Post, keep_alive: &mut KeepAlive) -> Outcome {
    let at = UnixMillis::now();
    let started = Instant::now();
    let limit = match post.endpoint.format {
        Format::Moonwa => REPLY,
        _ => ANSWER,
    };
    let result = client.post(post, at, limit, keep_alive).await;
    Outcome::of(result, at, started.elapsed(), &post.endpoint.url)
}

impl Outcome {
    /// What an answer means, or that there was none, to a request that was made to `url`.
    pub(super) fn of(
        result: Result<Answer, PostError>,
        at: UnixMillis,
        took: Duration,
        url: &str,
    ) -> Self {
        let status = result.as_ref().map(|answer| answer.status.as_u16());
        let class = Class::of(status);
        let fault = match &result {
            Ok(answer) => {
                let moved = answer.location.as_deref().filter(|_| answer.status.is_redirection());
                let fault = Fault::of_status(answer.status.as_u16());
                fault.map(|fault| fault.moved(url, moved))
            }
            Err(error) => Some(Fault::of_error(error)),
        };
        let overload = is_overload(status);
        let asked = result.as_ref().ok().and_then(|answer| answer.retry_after.as_deref());
        let hint = Hint { retry_after: asked.and_then(|asked| retry_after(asked, at)), overload };
        let status = status.ok();
        let answer = result.map(|answer| answer.body).unwrap_or_default();
        Self { class, at, took, status, fault, hint, answer }
    }
}
