//! The HTTP client of the webhooks: one POST at a time over a connection that an endpoint keeps for itself, so that no
//! endpoint waits for another. Nothing here retries or knows of queues.

mod connect;
mod error;
mod request;
mod resolver;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{LOCATION, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connect::Connector;
pub(super) use self::error::PostError;
use self::request::Target;
pub(super) use self::request::{Ask, Post};
pub(super) use self::resolver::ResolveError;
use crate::model::UnixMillis;
use crate::task::Tasks;

/// How long a request under way may still take when moonwa stops. Most receivers need less, and an answer that is read
/// is an event that is not delivered twice.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// How long a connection is kept open without a request.
const IDLE: Duration = Duration::from_secs(15);
/// A kept connection that dies sooner than this after a request was dead before, so the request is made again.
const STALE: Duration = Duration::from_secs(1);
/// The longest head of an answer. It bounds the memory of a connection as well.
const HEAD: usize = 16 * 1024;

/// Posts events. Clones share everything.
#[derive(Clone)]
pub(super) struct Client {
    connector: Connector,
    underway: TaskTracker,
    /// Cancelled some time after the stop: no request goes on then.
    interrupt: CancellationToken,
}

/// The connection that an endpoint keeps open between its requests.
#[derive(Default)]
pub(super) struct KeepAlive(Option<Connection>);

struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// What reads and writes, while it does. It is no task of its own: to wake one for each request and for each answer
    /// costs more than both.
    wire: Option<Wire>,
    idle_since: Instant,
}

type Wire = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Connection {
    /// Does something that needs the wire.
    async fn drive<T>(wire: &mut Option<Wire>, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        poll_fn(|context| {
            // A request is written as soon as it is there, and an answer is there as soon as it is read.
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            if let Some(running) = wire
                && let Poll::Ready(ended) = running.as_mut().poll(context)
            {
                // Whoever waits for an answer is told of the error.
                if let Err(error) = ended {
                    tracing::debug!(%error, "A webhook connection broke.");
                }
                *wire = None;
            }
            work.as_mut().poll(context)
        })
        .await
    }
}

/// A request, and where it goes.
struct Exchange {
    target: Target,
    request: Request<Full<Bytes>>,
    /// Whether it is made again when the connection turns out to have been dead.
    again: bool,
}

/// What the receiver answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Its `Retry-After`.
    pub(super) retry_after: Option<String>,
    /// Its `Location`.
    pub(super) location: Option<String>,
    /// The beginning of the body. The status has decided already, so it does no harm when the body breaks off.
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn start(tasks: &Tasks) -> Self {
        let client = Self {
            connector: Connector::new(),
            underway: TaskTracker::new(),
            interrupt: CancellationToken::new(),
        };
        let (stop, underway, interrupt) =
            (tasks.stop().clone(), client.underway.clone(), client.interrupt.clone());
        tasks.spawn("webhook interrupter", async move {
            stop.cancelled().await;
            underway.close();
            if tokio::time::timeout(GRACE, underway.wait()).await.is_err() {
                tracing::warn!(requests = underway.len(), "Webhook requests are interrupted.");
            }
            interrupt.cancel();
        });
        client
    }

    /// Posts an event, signed with the time `at`, and reads up to `limit` bytes of the answer.
    pub(super) async fn post(
        &self,
        post: &Post,
        at: UnixMillis,
        limit: usize,
        keep_alive: &mut KeepAlive,
    ) -> Result<Answer, PostError> {
        let target = Target::of(&post.endpoint.url)?;
        let request = request::signed(post, &target, at)?;
        let exchange = Exchange { target, request, again: true };
        self.exchange(exchange, post.endpoint.timeout, limit, keep_alive).await
    }

    /// Asks an API, and reads up to `limit` bytes of the answer. The request is made once, whatever comes of it.
    pub(super) async fn ask(
        &self,
        ask: Ask<'_>,
        limit: usize,
        keep_alive: &mut KeepAlive,
    ) -> Result<Answer, PostError> {
        let (target, timeout) = (Target::of(ask.url)?, ask.endpoint.timeout);
        let request = request::asking(ask, &target)?;
        self.exchange(Exchange { target, request, again: false }, timeout, limit, keep_alive).await
    }

    async fn exchange(
        &self,
        exchange: Exchange,
        timeout: Duration,
        limit: usize,
        keep_alive: &mut KeepAlive,
    ) -> Result<Answer, PostError> {
        let _underway = self.underway.token();
        let deadline = Instant::now() + timeout;
        let interrupted = || PostError::Interrupted;
        let answering = timeout_at(deadline, self.answer(exchange, keep_alive.take()));
        let answering = self.interrupt.run_until_cancelled(Box::pin(answering));
        let (response, mut connection) = answering
            .await
            .ok_or_else(interrupted)?
            .map_err(|_elapsed| PostError::Timeout(timeout))??;
        let (head, mut body) = response.into_parts();
        let mut read = Vec::new();
        let reading = read_body(&mut body, limit, &mut read);
        let reading = timeout_at(deadline, Connection::drive(&mut connection.wire, reading));
        if let Some(Ok(true)) = self.interrupt.run_until_cancelled(reading).await {
            keep_alive.keep(connection);
        }
        let header = |name| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        let (retry_after, location) = (header(RETRY_AFTER), header(LOCATION));
        Ok(Answer { status: head.status, retry_after, location, body: read })
    }

    /// The head of the answer, and the connection it came over.
    async fn answer(
        &self,
        exchange: Exchange,
        kept: Option<Connection>,
    ) -> Result<(Response<Incoming>, Connection), PostError> {
        let Exchange { target, request, again } = exchange;
        if let Some(Connection { mut requests, mut wire, idle_since }) = kept
            && Connection::drive(&mut wire, requests.ready()).await.is_ok()
        {
            let sent = Instant::now();
            let answering = requests.send_request(request.clone());
            match Connection::drive(&mut wire, answering).await.map_err(PostError::from) {
                // The receiver closed the idle connection just when it was used again, which is no failure.
                Err(error) if again && error.is_hang_up() && sent.elapsed() < STALE => {}
                answer => return Ok((answer?, Connection { requests, wire, idle_since })),
            }
        }
        let Connection { mut requests, mut wire, idle_since } = self.connect(&target).await?;
        let response = Connection::drive(&mut wire, requests.send_request(request)).await?;
        Ok((response, Connection { requests, wire, idle_since }))
    }

    async fn connect(&self, target: &Target) -> Result<Connection, PostError> {
        let stream = self.connector.connect(target).await?;
        let (requests, wire) =
            http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await?;
        Ok(Connection { requests, wire: Some(Box::pin(wire)), idle_since: Instant::now() })
    }
}

impl KeepAlive {
    /// Closes the connection once it has been idle for long, or the receiver closes it; waits for ever when there is
    /// none.
    pub(super) async fn expire(&mut self) {
        let Some(connection) = &mut self.0 else { return std::future::pending().await };
        if let Some(wire) = &mut connection.wire {
            // However it ends, it is of no use any more.
            drop(timeout_at(connection.idle_since + IDLE, wire).await);
        }
        self.0 = None;
    }

    fn take(&mut self) -> Option<Connection> {
        self.0.take().filter(|connection| connection.idle_since.elapsed() < IDLE)
    }

    fn keep(&mut self, connection: Connection) {
        self.0 = Some(Connection { idle_since: Instant::now(), ..connection });
    }
}

/// Reads the beginning of a body into `read`. Returns whether that was all of it: only then the connection can be used
/// again.
async fn read_body(body: &mut Incoming, limit: usize, read: &mut Vec<u8>) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Ok(data) = frame.into_data() else { continue };
        let room = limit.saturating_sub(read.len());
        read.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let (requests, wire) = http1::handshake(TokioIo::new(ours)).await.unwrap();
        let wire: Option<Wire> = Some(Box::pin(wire));
        let mut keep_alive = KeepAlive::default();
        keep_alive.keep(Connection { requests, wire, idle_since: Instant::now() });
        let began = Instant::now();
        keep_alive.expire().await;
        assert!(began.elapsed() >= IDLE);
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0, "it is open");
        assert!(keep_alive.take().is_none());
    }
}
