//! The bodies of a connection: each tells the connection's place when it is done.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::connection::Place;
use super::response;

/// What a client sends. It breaks off when another connection takes the place.
pub(crate) struct Received {
    body: Incoming,
    place: Place,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Received {
    pub(crate) fn new(body: Incoming, place: Place) -> Self {
        let gone: CancellationToken = place.gone_token();
        Self { body, place, gone: Box::pin(gone.cancelled_owned()) }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(io::Error::other("another connection has the place"))));
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() && self.body.is_end_stream() {
            self.place.read();
        }
        frame.map_err(io::Error::other)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer. Once all of it is written the connection waits for the next request.
pub(crate) struct Answered {
    body: response::Body,
    place: Place,
}

impl Answered {
    pub(crate) fn new(body: response::Body, place: Place) -> Self {
        Self { body, place }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.place.answered();
    }
}
