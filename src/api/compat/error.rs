//! How the `/api` routes refuse: in the documented sentences, with a stable code beside each.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::http::problem::{Issue, Problem};
use crate::api::http::response::{self, Response};
use crate::whatsapp::WhatsAppError;

/// What was to be sent: the sentences differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Media,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Invalid(Vec<Issue>),
    /// Nobody has that key.
    Key,
    NotConnected,
    NotOnWhatsApp,
    /// Sending failed, with this code.
    Failed(Kind, String),
    /// It may be on its way: nobody can say yet whether it failed.
    Unconfirmed,
    /// What `/v1` refuses for the same reason: too large, too fast, broken.
    Other(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl Refusal {
    pub(crate) fn render(self) -> Response {
        let (status, body) = self.parts();
        let mut response = response::json(status, &body);
        if let Self::Other(problem) = &self {
            problem.add_headers(&mut response);
        }
        response
    }

    pub(crate) fn parts(&self) -> (StatusCode, Value) {
        let (status, message, error) = match self {
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "Invalid request.", "invalid_request"),
            Self::Key => (StatusCode::BAD_REQUEST, "Invalid API Key.", "invalid_api_key"),
            Self::NotConnected => {
                (StatusCode::BAD_REQUEST, "Device is stopped.", "device_not_connected")
            }
            Self::NotOnWhatsApp => {
                (StatusCode::BAD_REQUEST, "Invalid WhatsApp number.", "not_on_whatsapp")
            }
            Self::Unconfirmed => {
                (StatusCode::BAD_REQUEST, "The message is not confirmed yet.", "unconfirmed")
            }
            Self::Failed(Kind::Message, code) => {
                (StatusCode::BAD_REQUEST, "Failed to send message.", code.as_str())
            }
            Self::Failed(Kind::Media, code) => {
                (StatusCode::BAD_REQUEST, "Failed to send media.", code.as_str())
            }
            Self::Other(problem) => {
                let (code, status, title) = problem.code.row();
                (status, title, code)
            }
        };
        let mut body = Map::new();
        body.insert("status".into(), false.into());
        body.insert("message".into(), message.into());
        body.insert("error".into(), error.into());
        if let Self::Invalid(issues) = self {
            body.insert("errors".into(), json!(issues));
        }
        (status, Value::Object(body))
    }
}

/// A problem from outside the handlers, in the form of an `/api` answer.
pub(crate) fn refuse(problem: &Problem) -> Response {
    Refusal::Other(problem.clone()).render()
}

/// Turns an error of WhatsApp's into a refusal.
pub(crate) fn asked<T>(kind: Kind, answer: Result<T, WhatsAppError>) -> Result<T, Refusal> {
    answer.map_err(|error| match error {
        WhatsAppError::NotConnected => Refusal::NotConnected,
        error => match Problem::from(error) {
            problem if problem.retry_after.is_some() => problem.into(),
            problem if problem.status() == StatusCode::SERVICE_UNAVAILABLE => problem.into(),
            problem => Refusal::Failed(kind, problem.code.row().0.to_owned()),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::http::problem::Code;

    fn refused(refusal: &Refusal) -> (u16, String) {
        let (status, body) = refusal.parts();
        (status.as_u16(), body.to_string())
    }

    #[test]
    fn every_refusal_stays_as_documented() {
        let failed = |kind| Refusal::Failed(kind, "463".into());
        let rows = [
            (
                Refusal::Invalid(vec![Issue::new("receiver", "required")]),
                "{\"status\":false,\"message\":\"Invalid request.\",\"error\":\"invalid_request\",\
                 \"errors\":[{\"path\":\"receiver\",\"msg\":\"required\"}]}",
            ),
            (
                Refusal::Key,
                "{\"status\":false,\"message\":\"Invalid API Key.\",\"error\":\"invalid_api_key\"}",
            ),
            (
                Refusal::NotConnected,
                "{\"status\":false,\"message\":\"Device is stopped.\",\"error\":\"device_not_connected\"}",
            ),
            (
                Refusal::NotOnWhatsApp,
                "{\"status\":false,\"message\":\"Invalid WhatsApp number.\",\"error\":\"not_on_whatsapp\"}",
            ),
            (
                failed(Kind::Message),
                "{\"status\":false,\"message\":\"Failed to send message.\",\"error\":\"463\"}",
            ),
            (
                failed(Kind::Media),
                "{\"status\":false,\"message\":\"Failed to send media.\",\"error\":\"463\"}",
            ),
        ];
        for (refusal, body) in rows {
            assert_eq!(refused(&refusal), (400, body.to_owned()));
        }
        let (status, body) = refused(&Problem::new(Code::TooLarge, "x").into());
        assert_eq!(
            (status, body.as_str()),
            (
                413,
                "{\"status\":false,\"message\":\"The request is too large.\",\"error\":\"too_large\"}"
            )
        );
        let busy = Problem::from(Code::QueueFull).retry_after(Duration::from_mins(1));
        let response = Refusal::Other(busy).render();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &"60".parse().unwrap())
        );
    }
}
