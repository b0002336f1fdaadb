//! What went wrong with a delivery: a word for programs, which never changes, and a sentence for people, which may.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::{Error, Timeout};

use super::class::Class;
use super::reply::ReplyError;
use super::resolver::{CONNECT, RESOLVE, ResolveError};

/// Why an event was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// One of the words in `openapi.json`.
    pub(super) code: &'static str,
    /// For people. Never the URL: it may hold credentials.
    pub(super) sentence: String,
}

impl Fault {
    fn new(code: &'static str, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }

    /// The failure was on this side, so nothing is known about the receiver.
    pub(super) fn here(sentence: impl Into<String>) -> Self {
        Self::new("moonwa", sentence)
    }

    /// What the status of an answer says; `None` when nothing went wrong. The word is that of the class.
    pub(super) fn of_status(status: u16) -> Option<Self> {
        let class = Class::of(Ok(status));
        let sentence = || format!("the receiver answered {status}");
        (class != Class::Delivered).then(|| Self::new(class.as_str(), sentence()))
    }

    /// Why there was no answer. The whole attempt was allowed to take `timeout`.
    pub(super) fn of_error(error: &Error, timeout: Duration) -> Self {
        match error {
            Error::Timeout(Timeout::Resolve) => {
                Self::new("dns", format!("the name was not resolved within {RESOLVE:?}"))
            }
            Error::Timeout(Timeout::Connect) => {
                Self::new("connect", format!("no connection within {CONNECT:?}"))
            }
            Error::Timeout(_) => Self::new("timeout", format!("no answer within {timeout:?}")),
            Error::HostNotFound => Self::new("dns", error.to_string()),
            Error::BadUri(_) => Self::new("request", "the URL cannot be posted to"),
            Error::Http(error) => {
                Self::new("request", format!("a header of the endpoint is not valid: {error}"))
            }
            Error::Io(error) => Self::of_io(error),
            Error::Tls(_) | Error::Rustls(_) => Self::new("tls", error.to_string()),
            Error::ConnectionFailed => Self::new("connect", error.to_string()),
            Error::Other(error) => {
                let code = match error.downcast_ref::<ResolveError>() {
                    Some(ResolveError::Forbidden(_)) => "forbidden",
                    Some(_) => "dns",
                    None => "protocol",
                };
                Self::new(code, error.to_string())
            }
            error => Self::new("protocol", error.to_string()),
        }
    }

    fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            // What rustls refuses comes as this kind: an untrusted certificate, no cipher in common, no TLS at all.
            ErrorKind::InvalidData => Self::new(
                "tls",
                format!(
                    "no TLS: {error} (the receiver must offer TLS 1.2 or 1.3 with a modern cipher, and a certificate of a public authority)"
                ),
            ),
            _ if is_hang_up(error) => Self::new("hung_up", error.to_string()),
            _ => Self::new("connect", error.to_string()),
        }
    }
}

impl From<ReplyError> for Fault {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::Full => Self::new("queue_full", error.to_string()),
            ReplyError::Store(_) => Self::here(error.to_string()),
        }
    }
}

/// Whether the other side closed the connection.
pub(super) fn is_hang_up(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word there is: what the API's description lists.
    const CODES: [&str; 14] = [
        "dns",
        "connect",
        "timeout",
        "tls",
        "hung_up",
        "forbidden",
        "request",
        "protocol",
        "endpoint",
        "message",
        "ambiguous",
        "gone",
        "queue_full",
        "moonwa",
    ];

    #[test]
    fn the_api_description_lists_every_code() {
        let openapi: serde_json::Value =
            serde_json::from_str(include_str!("../../web/openapi.json")).unwrap();
        let listed = &openapi["components"]["schemas"]["DeliveryCode"]["enum"];
        assert_eq!(*listed, serde_json::json!(CODES));
    }

    #[test]
    fn every_error_has_its_word() {
        let io = |kind: ErrorKind| Error::Io(kind.into());
        let other = |error: ResolveError| Error::Other(Box::new(error));
        let rows = [
            ("dns", Error::Timeout(Timeout::Resolve)),
            ("dns", Error::HostNotFound),
            ("dns", other(ResolveError::Slow("a.example".into()))),
            ("forbidden", other(ResolveError::Forbidden([169, 254, 169, 254].into()))),
            ("connect", Error::Timeout(Timeout::Connect)),
            ("connect", io(ErrorKind::ConnectionRefused)),
            ("connect", io(ErrorKind::HostUnreachable)),
            ("timeout", Error::Timeout(Timeout::Global)),
            ("tls", io(ErrorKind::InvalidData)),
            ("tls", Error::Tls("no")),
            ("hung_up", io(ErrorKind::ConnectionReset)),
            ("hung_up", io(ErrorKind::UnexpectedEof)),
            ("request", Error::BadUri("ftp:".into())),
            ("protocol", Error::LargeResponseHeader(2, 1)),
        ];
        for (code, error) in rows {
            let fault = Fault::of_error(&error, Duration::from_secs(15));
            assert_eq!(fault.code, code, "{error:?}");
            assert!(CODES.contains(&fault.code) && !fault.sentence.is_empty());
        }
    }

    #[test]
    fn a_status_has_the_word_of_its_class() {
        let word = |status| Fault::of_status(status).map(|fault| fault.code);
        let words = [204, 503, 422, 500, 410].map(word);
        let wanted = [None, Some("endpoint"), Some("message"), Some("ambiguous"), Some("gone")];
        assert_eq!(words, wanted);
    }
}
