//! What went wrong with a delivery: a word for programs, which never changes, and a sentence for people, which may.

use std::io::ErrorKind;

use super::class::Class;
use super::client::{PostError, ResolveError};
use super::reply::ReplyError;
use crate::config::shown_url;

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

    /// The receiver answered what it never would.
    pub(super) fn unreadable(sentence: impl Into<String>) -> Self {
        Self::new("protocol", sentence)
    }

    /// Adds what to look at.
    pub(super) fn with(self, hint: &str) -> Self {
        Self { sentence: format!("{}: {hint}", self.sentence), ..self }
    }

    /// Adds where the receiver wants to be asked instead. moonwa never follows: the file says who gets the events.
    pub(super) fn moved(self, from: &str, to: Option<&str>) -> Self {
        let Some(to) = to else { return self };
        let answered = self.sentence;
        let host = from.split_inclusive('/').take(3).collect::<String>();
        let whole = if to.starts_with('/') && !to.starts_with("//") {
            format!("{}{to}", host.trim_end_matches('/'))
        } else {
            to.to_owned()
        };
        let shown = shown_url(&whole);
        let sentence = format!(
            "{answered}: it has moved to {shown}; if that is right, write that URL into moonwa.toml"
        );
        Self { sentence, ..self }
    }

    /// Why there was no answer.
    pub(super) fn of_error(error: &PostError) -> Self {
        let code = match error {
            PostError::Url | PostError::Header(_) => "request",
            PostError::Resolve(ResolveError::Forbidden(_)) => "forbidden",
            PostError::Resolve(_) => "dns",
            PostError::Timeout(_) => "timeout",
            PostError::ServerName => "tls",
            // What rustls refuses comes as this kind: an untrusted certificate, no cipher in common, no TLS at all.
            PostError::Io(error) if error.kind() == ErrorKind::InvalidData => {
                return Self::new(
                    "tls",
                    format!(
                        "no TLS: {error} (the receiver must offer TLS 1.2 or 1.3 with a modern cipher, and a certificate of a public authority)"
                    ),
                );
            }
            PostError::Io(_) if error.is_hang_up() => "hung_up",
            PostError::NoConnection | PostError::Io(_) => "connect",
            PostError::Protocol(_) => "protocol",
            PostError::Interrupted => "moonwa",
        };
        Self::new(code, error.to_string())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::header::HeaderValue;
    use hyper::http;

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
        let io = |kind: ErrorKind| PostError::Io(kind.into());
        let header = HeaderValue::try_from("line\nbreak").map_err(http::Error::from).unwrap_err();
        let rows = [
            ("dns", PostError::Resolve(ResolveError::Slow("a.example".into()))),
            ("dns", PostError::Resolve(ResolveError::Busy)),
            ("forbidden", PostError::Resolve(ResolveError::Forbidden([169, 254, 169, 254].into()))),
            ("connect", PostError::NoConnection),
            ("connect", io(ErrorKind::ConnectionRefused)),
            ("connect", io(ErrorKind::HostUnreachable)),
            ("timeout", PostError::Timeout(Duration::from_secs(15))),
            ("tls", io(ErrorKind::InvalidData)),
            ("tls", PostError::ServerName),
            ("hung_up", io(ErrorKind::ConnectionReset)),
            ("hung_up", io(ErrorKind::UnexpectedEof)),
            ("request", PostError::Url),
            ("request", PostError::Header(header)),
            ("moonwa", PostError::Interrupted),
        ];
        for (code, error) in rows {
            let fault = Fault::of_error(&error);
            assert_eq!(fault.code, code, "{error:?}");
            assert!(CODES.contains(&fault.code) && !fault.sentence.is_empty());
        }
    }

    #[test]
    fn a_receiver_that_moved_is_said_to_and_its_secrets_are_not() {
        let from = "http://crm.example/wa?key=old";
        let fault = |to| Fault::of_status(301).unwrap().moved(from, to).sentence;
        assert_eq!(fault(None), "the receiver answered 301");
        for (to, shown) in [
            ("https://user:pass@crm.example/wa?key=new", "https://crm.example/wa"),
            ("/wa/", "http://crm.example/wa/"),
        ] {
            let sentence = fault(Some(to));
            assert!(sentence.contains(&format!("moved to {shown};")), "{sentence}");
            assert!(!sentence.contains("key"), "{sentence}");
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
