//! What programs and people are told about an endpoint and its attempts.

use crate::model::{EventId, UnixMillis};
use crate::store::EndpointState;

/// How an endpoint does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EndpointReport {
    /// Its place in the file, from 1.
    pub n: usize,
    /// Without user info and query, which may hold credentials.
    pub url: String,
    /// Whether it delivers.
    pub state: EndpointState,
    /// Events waiting for it. Those that it does not want count only until they are looked at, at once while it waits.
    pub backlog: u64,
    /// Since when nothing was delivered, while it fails.
    pub failing_since: Option<UnixMillis>,
    /// When it is tried again.
    pub next_try: Option<UnixMillis>,
    /// The HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// What went wrong last, for programs.
    pub last_code: Option<String>,
    /// The same for people.
    pub last_error: Option<String>,
    /// The place in the log up to which everything is done.
    pub cursor: u64,
    /// Events the receiver took.
    pub delivered: u64,
    /// Events that became dead letters, since ever.
    pub parked: u64,
    /// The dead letters that are kept now.
    pub dead_letters: u64,
    /// Events that retention removed before they were delivered.
    pub dropped: u64,
    /// Whether events that wait for it will be dropped soon.
    pub at_risk: bool,
}

/// One POST and what came back.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Attempt {
    /// Which event was posted.
    pub event: EventId,
    /// When it began.
    pub at: UnixMillis,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// `delivered`, `endpoint`, `message`, `ambiguous` or `gone`.
    pub class: &'static str,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// What went wrong, for programs.
    pub code: Option<&'static str>,
    /// The same for people.
    pub error: Option<String>,
    /// The first 256 bytes of the answer.
    pub answer: String,
}

/// The host of a webhook's URL, as metrics name it.
pub(crate) fn host_of(url: &str) -> String {
    let uri = url.parse::<hyper::Uri>().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
}
