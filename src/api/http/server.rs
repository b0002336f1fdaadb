//! Accepts connections, with limits of number and time, and ends them gracefully. It does not look into requests.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::write_timeout::WriteTimeout;
use crate::api::access::origin;
use crate::api::access::throttle::block;
use crate::api::dispatch::Dispatch;

const CONNECTIONS: usize = 256;
/// How many of them one client may have. A trusted proxy stands for many clients, so this is not for proxies.
const PER_CLIENT: usize = 32;
/// How long a client may take to send the whole head of a request, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long open connections may go on when moonwa stops.
const DRAIN: Duration = Duration::from_secs(5);
/// The longest pause after a connection could not be accepted.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves until the stop token is cancelled.
pub(crate) async fn run(dispatch: Dispatch, listener: TcpListener) {
    let dispatch = Arc::new(dispatch);
    let api = &dispatch.state.api;
    let stop = api.tasks.stop().clone();
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let clients = Clients::default();
    let graceful = GracefulShutdown::new();
    let builder = builder();
    let mut pause = Duration::from_millis(10);
    loop {
        let accepted = select! {
            biased;
            () = stop.cancelled() => break,
            // Waiting for a permit is part of this future, so that moonwa can stop even when no connection is free.
            accepted = admit(&permits, &listener) => accepted,
        };
        let (permit, stream, peer) = match accepted {
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
        let trusted = origin::is_trusted(peer, &api.config.load());
        let Some(place) = clients.enter(peer, trusted) else {
            tracing::debug!(client = %peer, "Too many connections from one client.");
            continue;
        };
        let service = {
            let dispatch = Arc::clone(&dispatch);
            service_fn(move |request| {
                let dispatch = Arc::clone(&dispatch);
                async move { Ok::<_, Infallible>(dispatch.answer(request, peer).await) }
            })
        };
        let connection = builder.serve_connection(TokioIo::new(WriteTimeout::new(stream)), service);
        let connection = graceful.watch(connection);
        api.tasks.spawn("http connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(client = %peer, %error, "A connection ended early.");
            }
            drop((permit, place));
        });
    }
    // New clients are refused at once, instead of waiting for an answer that never comes.
    drop(listener);
    let open = graceful.count();
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(open, "Connections were still open at the deadline.");
    }
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

/// Waits for a free place before it accepts: until then a connection waits in the kernel, where it costs nothing.
async fn admit(
    permits: &Arc<Semaphore>,
    listener: &TcpListener,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, IpAddr)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small answers should not wait for more data (Nagle's algorithm). If this fails, they are some milliseconds late.
    stream.set_nodelay(true).ok();
    Ok((permit, stream, peer.ip().to_canonical()))
}

#[derive(Clone, Default)]
struct Clients(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One connection of a client, counted until this is dropped.
struct Place(Clients, Option<IpAddr>);

impl Clients {
    fn enter(&self, peer: IpAddr, trusted: bool) -> Option<Place> {
        if trusted {
            return Some(Place(self.clone(), None));
        }
        let client = block(peer);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(client).or_default();
        (*count < PER_CLIENT).then(|| {
            *count += 1;
            Place(self.clone(), Some(client))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.1 else { return };
        let mut clients = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
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

    #[test]
    fn one_client_cannot_take_every_place() {
        let clients = Clients::default();
        let peer = "192.0.2.1".parse().unwrap();
        let mut places: Vec<_> =
            (0..PER_CLIENT).filter_map(|_| clients.enter(peer, false)).collect();
        assert_eq!(places.len(), PER_CLIENT);
        assert!(clients.enter(peer, false).is_none());
        assert!(clients.enter(peer, true).is_some(), "a trusted proxy is many clients");
        assert!(clients.enter("192.0.2.2".parse().unwrap(), false).is_some());
        places.pop();
        assert!(clients.enter(peer, false).is_some());
        drop(places);
        assert!(clients.0.lock().unwrap().is_empty(), "nothing is kept of who left");
    }
}
