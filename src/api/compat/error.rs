//! How the frozen face says no: the documented sentences, and a stable code beside each.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::http::problem::{Issue, Problem};
use crate::api::http::response::{self, Response};

/// What is being sent; decides the sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Media,
}

/// Why it was not done, in the words of this face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The body is wrong.
    Invalid(Vec<Issue>),
    /// Nobody has that key.
    Key,
    /// The device cannot send now.
    NotConnected,
    /// The number is not on WhatsApp.
    NotOnWhatsApp,
    /// It went wrong for that reason.
    Failed(Kind, String),
    /// Something every face says alike: too large, too fast, broken.
    Other(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl Refusal {
    /// The answer.
    pub(crate) fn render(self) -> Response {
        let (status, body) = self.parts();
        let mut response = response::json(status, &body);
        if let Self::Other(problem) = &self {
            problem.add_headers(&mut response);
        }
        response
    }

    /// Status and body.
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

/// A problem from outside the operations of this face, in its shape.
pub(crate) fn refuse(problem: &Problem) -> Response {
    Refusal::Other(problem.clone()).render()
}
