//! The one type of response that all handlers return, and the ways to make one.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Response = hyper::Response<Body>;

pub(crate) fn empty(status: StatusCode) -> Response {
    with_status(status, Empty::new().map_err(never).boxed_unsync())
}

pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes_of(status, "application/json", bytes),
        Err(error) => {
            tracing::error!(%error, "An answer could not be written as JSON.");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// A JSON response with status 200.
pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Response {
    json(StatusCode::OK, value)
}

pub(crate) fn bytes_of(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response {
    let mut response = with_status(status, Full::new(bytes.into()).map_err(never).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response whose body comes in pieces. An error breaks the connection off, so that no client takes a part for the
/// whole.
pub(crate) fn stream(
    pieces: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
) -> Response {
    with_status(StatusCode::OK, StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync())
}

fn with_status(status: StatusCode, body: Body) -> Response {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = status;
    response
}

fn never(never: Infallible) -> io::Error {
    match never {}
}
