//! Why there was no answer to a request.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use hyper::http;

use super::resolver::ResolveError;

/// How long all addresses of a receiver together may take to accept a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the URL cannot be posted to")]
    Url,
    #[error("a header of the endpoint is not valid: {0}")]
    Header(#[from] http::Error),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("no connection within {CONNECT:?}")]
    NoConnection,
    /// The whole attempt took longer than the endpoint's `timeout`.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no certificate can be made out to that host")]
    ServerName,
    #[error(transparent)]
    Io(io::Error),
    #[error("{0}")]
    Protocol(hyper::Error),
    #[error("moonwa stops")]
    Interrupted,
}

impl PostError {
    /// Whether the other side closed the connection.
    pub(crate) fn is_hang_up(&self) -> bool {
        let Self::Io(error) = self else { return false };
        matches!(
            error.kind(),
            ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
        )
    }
}

impl From<hyper::Error> for PostError {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::Io(io::Error::new(ErrorKind::UnexpectedEof, "Peer disconnected"));
        }
        match error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
            Some(cause) => Self::Io(io::Error::new(cause.kind(), cause.to_string())),
            None => Self::Protocol(error),
        }
    }
}
