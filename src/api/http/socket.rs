//! A socket that gives up if the client reads nothing for too long, or when another connection has taken its place, and
//! that waits a little at its end for a client that is still sending. hyper itself sets no limit to how long a client may
//! take to read an answer.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::connection::Place;

/// How long a client may read nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the end waits for a client that is still sending. The kernel resets a connection that is closed on it, and the
/// answer, which says why nobody reads on, can be lost with that.
const LINGER: Duration = Duration::from_secs(5);

/// For a client whose head never came whole. hyper answers whole ones only.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

pub(crate) struct ClientSocket<S> {
    socket: S,
    place: Place,
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
    /// Whether the end was sent, and only the client's is waited for.
    lingers: bool,
}

impl<S> ClientSocket<S> {
    pub(crate) fn new(socket: S, place: Place) -> Self {
        let deadline = Box::pin(tokio::time::sleep(PATIENCE));
        Self { socket, place, deadline, waiting: false, lingers: false }
    }

    /// Starts the clock when a write has to wait, and stops it when a write succeeds.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.waiting {
                self.waiting = false;
                self.place.set_unsent(false);
            }
            return outcome;
        }
        if !self.waiting {
            self.waiting = true;
            self.place.set_unsent(true);
            self.deadline.as_mut().reset(Instant::now() + PATIENCE);
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.place.is_over() {
            if self.place.has_begun() {
                // The client may have gone as well.
                let _told = Pin::new(&mut self.socket).poll_write(cx, REFUSAL);
            }
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "its place is taken");
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.place.came();
        }
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.lingers {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            self.lingers = true;
            self.deadline.as_mut().reset(Instant::now() + LINGER);
        }
        let mut piece = [0; 8 * 1024];
        while self.place.is_unread() && !self.place.is_gone() {
            let mut piece = ReadBuf::new(&mut piece);
            if Pin::new(&mut self.socket).poll_read(cx, &mut piece)?.is_pending() {
                ready!(self.deadline.as_mut().poll(cx));
                break;
            }
            if piece.filled().is_empty() || self.deadline.is_elapsed() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_left_after_thirty_seconds() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let started = Instant::now();
        let error = ClientSocket::new(ours, Place::alone()).write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_still_sends_is_read_at_the_end_for_five_seconds() {
        let end = async |unread: bool, theirs: &mut tokio::io::DuplexStream, ours| {
            let place = Place::alone();
            place.begin(place.peer(), true, unread).unwrap();
            let mut socket = ClientSocket::new(ours, place);
            let started = Instant::now();
            let (ended, ()) = tokio::join!(socket.shutdown(), async {
                let mut answer = Vec::new();
                theirs.read_to_end(&mut answer).await.unwrap();
            });
            ended.unwrap();
            started.elapsed()
        };
        let (ours, mut theirs) = tokio::io::duplex(16);
        assert_eq!(end(false, &mut theirs, ours).await, Duration::ZERO);
        let (ours, mut theirs) = tokio::io::duplex(16);
        assert_eq!(end(true, &mut theirs, ours).await, LINGER, "it neither sends nor closes");
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut sent = Duration::ZERO;
        let place = Place::alone();
        place.begin(place.peer(), true, true).unwrap();
        let mut socket = ClientSocket::new(ours, place);
        let started = Instant::now();
        let (ended, ()) = tokio::join!(socket.shutdown(), async {
            for _ in 0..8 {
                theirs.write_all(&[0; 64]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            sent = started.elapsed();
            drop(theirs);
        });
        ended.unwrap();
        assert_eq!(started.elapsed(), sent, "it ends with the client's end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_served_to_the_end() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let reader = async {
            let mut piece = [0; 16];
            for _ in 0..4 {
                tokio::time::sleep(PATIENCE.saturating_sub(Duration::from_secs(1))).await;
                theirs.read_exact(&mut piece).await.unwrap();
            }
        };
        let mut socket = ClientSocket::new(ours, Place::alone());
        let (written, ()) = tokio::join!(socket.write_all(&[0; 64]), reader);
        assert!(written.is_ok());
    }
}
