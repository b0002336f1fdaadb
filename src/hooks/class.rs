//! What the outcome of an attempt means for the endpoint's queue, as a pure table. `backoff` says when to try again.

use super::client::PostError;

/// What an outcome means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The receiver has the event.
    Delivered,
    /// The receiver cannot take anything now: the cursor stays, the order is kept.
    Endpoint,
    /// The receiver will not take this event: after a few tries it becomes a dead letter.
    Message,
    /// It may be either of the two: the cursor stays until the receiver takes another event.
    Ambiguous,
    /// The receiver wants nothing any more.
    Gone,
}

impl Class {
    /// The meaning of what came back. Nothing that goes wrong before a status arrives can be the event's fault.
    pub(super) fn of(outcome: Result<u16, &PostError>) -> Self {
        outcome.map_or(Self::Endpoint, Self::of_status)
    }

    /// The meaning of an answer's status. Redirects are failures: following one would hand the event to somebody the
    /// file does not name.
    fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            400 | 413 | 415 | 422 => Self::Message,
            100..=199 | 300..=399 | 401 | 403 | 404 | 405 | 408 | 425 | 429 | 502 | 503 | 504 => {
                Self::Endpoint
            }
            // 500, and everything the table does not name: a program that cannot cope with one event, or one whose
            // database is down.
            _ => Self::Ambiguous,
        }
    }

    /// The word for it in reports, logs and metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Endpoint => "endpoint",
            Self::Message => "message",
            Self::Ambiguous => "ambiguous",
            Self::Gone => "gone",
        }
    }
}

/// Whether the receiver is overloaded rather than broken. It then gets at least a minute of rest.
pub(super) fn is_overload(outcome: Result<u16, &PostError>) -> bool {
    matches!(outcome, Ok(408 | 429) | Err(PostError::Timeout(_) | PostError::NoConnection))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let rows: [(Class, &[u16]); 5] = [
            (Class::Delivered, &[200, 201, 202, 204, 299]),
            (
                Class::Endpoint,
                &[
                    300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 408, 425, 429, 502, 503,
                    504,
                ],
            ),
            (Class::Message, &[400, 413, 415, 422]),
            (Class::Ambiguous, &[500, 501, 505, 507, 520, 599, 402, 409, 418, 451]),
            (Class::Gone, &[410]),
        ];
        for (class, statuses) in rows {
            for status in statuses {
                assert_eq!(Class::of(Ok(*status)), class, "{status}");
            }
        }
    }

    #[test]
    fn only_2xx_is_success() {
        for status in 100..=999 {
            let delivered = Class::of_status(status) == Class::Delivered;
            assert_eq!(delivered, (200..300).contains(&status), "{status}");
        }
    }

    #[test]
    fn an_error_is_the_endpoints_and_timeouts_ask_for_patience() {
        let refused = PostError::Io(io::ErrorKind::ConnectionRefused.into());
        let timeout = PostError::Timeout(Duration::from_secs(15));
        for error in [&refused, &timeout, &PostError::NoConnection, &PostError::ServerName] {
            assert_eq!(Class::of(Err(error)), Class::Endpoint);
        }
        assert!(is_overload(Err(&timeout)));
        assert!(is_overload(Ok(429)));
        assert!(!is_overload(Err(&refused)));
        assert!(!is_overload(Ok(503)));
    }
}
