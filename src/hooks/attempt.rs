//! One POST and what came back. It blocks, so it runs on the delivery threads only. What the outcome means for the queue
//! is decided by the endpoint's machine.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, header};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};
use ureq::{Agent, Error};

use super::backoff::{Hint, retry_after};
use super::class::{Class, is_overload};
use super::fault::{Fault, is_hang_up};
use super::resolver::{CONNECT, PolicyResolver, RESOLVE};
use super::signature;
use crate::config::{EndpointConfig, Format};
use crate::model::{EventId, UnixMillis};

/// A reused connection that dies sooner than this was dead before, so the request is made again on a new one.
const STALE: Duration = Duration::from_secs(1);
/// How much of an answer is read when it is only shown.
const ANSWER: u64 = 4 * 1024;
/// How much of an answer is read when it can be a reply: WhatsApp's longest text and its JSON.
const REPLY: u64 = 96 * 1024;

/// What is posted, and where to.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) endpoint: Arc<EndpointConfig>,
    pub(super) event: EventId,
    /// The exact bytes.
    pub(super) body: Bytes,
}

/// What came back.
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

impl Outcome {
    /// Something failed on this side, so nothing is known about the receiver.
    pub(super) fn failed_here(at: UnixMillis, error: impl Into<String>) -> Self {
        Self {
            class: Class::Endpoint,
            at,
            took: Duration::ZERO,
            status: None,
            fault: Some(Fault::here(error)),
            hint: Hint::default(),
            answer: Vec::new(),
        }
    }
}

/// The HTTP clients of all deliveries, one per timeout: for a request with settings of its own, ureq would read all
/// root certificates again whenever it opens a connection.
pub(super) struct Agents {
    resolver: PolicyResolver,
    /// `None` once shut down.
    by_timeout: Mutex<Option<BTreeMap<Duration, Agent>>>,
}

impl Agents {
    pub(super) fn new() -> Self {
        let by_timeout = Mutex::new(Some(BTreeMap::new()));
        Self { resolver: PolicyResolver::new(), by_timeout }
    }

    /// Interrupts requests under way and refuses new ones.
    pub(super) fn shutdown(&self) {
        let agents = self.lock().take();
        agents.into_iter().flatten().for_each(|(_, agent)| agent.shutdown());
    }

    fn get(&self, timeout: Duration) -> Result<Agent, Error> {
        let mut agents = self.lock();
        let stopped = || Error::Io(ErrorKind::NotConnected.into());
        let agents = agents.as_mut().ok_or_else(stopped)?;
        let fresh = || agent(timeout, self.resolver.clone());
        Ok(agents.entry(timeout).or_insert_with(fresh).clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<Duration, Agent>>> {
        self.by_timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// ureq's defaults are made for downloads: no timeouts, ten redirects, a proxy from the environment (which would
/// bypass the resolver's rule), large buffers.
fn agent(timeout: Duration, resolver: PolicyResolver) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .timeout_resolve(Some(RESOLVE))
        .timeout_connect(Some(CONNECT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("moonwa/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .input_buffer_size(16 * 1024)
        .output_buffer_size(16 * 1024)
        .max_response_header_size(16 * 1024)
        .max_idle_connections(8)
        .max_idle_connections_per_host(2)
        .max_idle_age(Duration::from_secs(15))
        .build();
    Agent::with_parts(config, Fresh.chain(DefaultConnector::default()), resolver)
}

thread_local! {
    /// Whether the request under way on this thread opened a connection of its own.
    static OPENED: Cell<bool> = const { Cell::new(false) };
}

/// Notices that a connection is opened; opens nothing.
#[derive(Debug)]
struct Fresh;

impl<In: Transport> Connector<In> for Fresh {
    type Out = In;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<In>, Error> {
        OPENED.set(true);
        Ok(chained)
    }
}

/// Signs the event with the present time and posts it.
pub(super) fn post(agents: &Agents, post: &Post) -> Outcome {
    let at = UnixMillis::now();
    let started = Instant::now();
    let mut result = headers(post, at).and_then(|headers| {
        let agent = agents.get(post.endpoint.timeout)?;
        let first = send(&agent, post, &headers);
        match first {
            // The receiver closed an idle connection just when it was used again, which is no failure.
            Err(Error::Io(error))
                if !OPENED.get() && is_hang_up(&error) && started.elapsed() < STALE =>
            {
                send(&agent, post, &headers)
            }
            other => other,
        }
    });
    let asked = result.as_ref().ok().and_then(|answer| answer.headers().get(header::RETRY_AFTER));
    let retry_after = asked.and_then(|value| retry_after(value.to_str().ok()?, at));
    let answer =
        result.as_mut().map(|answer| read(answer, post.endpoint.format)).unwrap_or_default();
    let status = result.as_ref().map(|answer| answer.status().as_u16());
    Outcome {
        class: Class::of(status),
        at,
        took: started.elapsed(),
        status: status.ok(),
        fault: match status {
            Ok(status) => Fault::of_status(status),
            Err(error) => Some(Fault::of_error(error, post.endpoint.timeout)),
        },
        hint: Hint { retry_after, overload: is_overload(status) },
        answer,
    }
}

fn headers(post: &Post, at: UnixMillis) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in &post.endpoint.headers {
        let name = HeaderName::try_from(name).map_err(http::Error::from)?;
        let value = HeaderValue::try_from(value).map_err(http::Error::from)?;
        headers.insert(name, value);
    }
    // Framing is ours: a body without its length arrives empty at PHP behind FPM.
    headers.remove(header::TRANSFER_ENCODING);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(post.body.len()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let endpoint = &post.endpoint;
    signature::sign(&mut headers, &endpoint.secrets, &endpoint.compat, &post.event, at, &post.body);
    Ok(headers)
}

fn send(
    agent: &Agent,
    post: &Post,
    headers: &HeaderMap,
) -> Result<http::Response<ureq::Body>, Error> {
    OPENED.set(false);
    let mut request = agent.post(&post.endpoint.url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send(&post.body[..])
}

/// The beginning of the answer's body. The status has decided already, so it does no harm when the body breaks off.
fn read(answer: &mut http::Response<ureq::Body>, format: Format) -> Vec<u8> {
    let limit = match format {
        Format::Standard => ANSWER,
        Format::Moonwa => REPLY,
    };
    let mut bytes = Vec::new();
    match answer.body_mut().as_reader().take(limit).read_to_end(&mut bytes) {
        Ok(_) | Err(_) => bytes,
    }
}
