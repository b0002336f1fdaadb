//! Accepts connections, with limits of number and time, and ends them gracefully. It does not look into requests.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::Answered;
use super::connection::{Arrival, Connections, Place};
use super::socket::ClientSocket;
use crate::api::access::origin;
use crate::api::dispatch::Dispatch;

/// How long a client may take to send the whole head of a request, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long open connections may go on when moonwa stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long new connections wait when all places are taken, before they are told.
const RUSH: Duration = Duration::from_millis(500);
/// How long a connection that has lost its place may take to tell its client.
const LAST_WORD: Duration = Duration::from_secs(1);
/// So many may do so at once.
const LAST_WORDS: usize = 32;
/// The longest pause after a connection could not be accepted.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves until the stop token is cancelled.
pub(crate) async fn run(dispatch: Dispatch, listener: TcpListener) {
    let dispatch = Arc::new(dispatch);
    let api = &dispatch.state.api;
    let stop = api.tasks.stop().clone();
    let connections = Connections::default();
    let last_words = Arc::new(Semaphore::new(LAST_WORDS));
    let graceful = GracefulShutdown::new();
    let builder = builder();
    let mut pause = Duration::from_millis(10);
    // Whether a rush has lasted too long to wait for its end.
    let mut crowded = false;
    loop {
        let accepted = select! {
            biased;
            () = stop.cancelled() => break,
            // A short rush waits in the kernel, where it costs nothing; a long one is told so.
            accepted = async {
                let most = api.config.load().server.max_connections;
                if !crowded || connections.has_room(most) {
                    crowded = timeout(RUSH, connections.room(most)).await.is_err();
                }
                accept(&listener).await
            } => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Errors like EMFILE pass by themselves. To try again at once would only make them worse.
                tracing::warn!(%error, "A connection could not be accepted.");
                pause = (pause * 2).min(LONGEST_PAUSE);
                if timeout(pause, stop.cancelled()).await.is_ok() {
                    break;
                }
                continue;
            }
        };
        pause = Duration::from_millis(10);
        let place = {
            let config = api.config.load();
            let many = origin::is_many(peer, &config);
            connections.enter(Arrival { peer, many, most: config.server.max_connections })
        };
        let socket = ClientSocket::new(stream, place.clone());
        let gone = place.gone_token();
        let service = service(Arc::clone(&dispatch), place);
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(socket), service));
        let last_words = Arc::clone(&last_words);
        api.tasks.spawn("http connection", async move {
            let mut connection = pin!(connection);
            let ended = select! {
                ended = connection.as_mut() => ended,
                () = gone.cancelled() => {
                    tracing::debug!(client = %peer, "A connection that waited for its client gave way to another.");
                    let Ok(_permit) = last_words.try_acquire() else { return };
                    timeout(LAST_WORD, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::debug!(client = %peer, %error, "A connection ended early.");
            }
        });
    }
    // New clients are refused at once, instead of waiting for an answer that never comes.
    drop(listener);
    let open = graceful.count();
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(open, "Connections were still open at the deadline.");
    }
}

fn service(
    dispatch: Arc<Dispatch>,
    place: Place,
) -> impl Service<Request<Incoming>, Response = Response<Answered>, Error = Infallible, Future: Send>
+ Send {
    service_fn(move |request| {
        let (dispatch, place) = (Arc::clone(&dispatch), place.clone());
        async move {
            let response = dispatch.answer(request, &place).await;
            Ok(response.map(|body| Answered::new(body, place)))
        }
    })
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(64)
        .max_header_size(16 * 1024)
        .max_buf_size(32 * 1024);
    builder
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, peer) = listener.accept().await?;
    // Small answers should not wait for more data (Nagle's algorithm). If this fails, they are some milliseconds late.
    stream.set_nodelay(true).ok();
    Ok((stream, peer.ip().to_canonical()))
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::Instant;

    use super::super::response;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_whole_head_is_dropped_after_ten_seconds() {
        for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let (mut theirs, ours) = tokio::io::duplex(1024);
            let service = service_fn(|_request| async {
                Ok::<_, Infallible>(response::empty(StatusCode::OK))
            });
            theirs.write_all(sent.as_bytes()).await.unwrap();
            let started = Instant::now();
            builder().serve_connection(TokioIo::new(ours), service).await.ok();
            assert_eq!(started.elapsed(), HEAD, "{sent:?}");
        }
    }
}
