//! How WAHA says what is wrong: as its framework does.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};

pub(super) fn refuse(problem: &Problem) -> Response {
    let (_, status, title) = problem.code.row();
    let status = match problem.code {
        Code::Conflict
        | Code::DeviceNotConnected
        | Code::AlreadyLinked
        | Code::NoQr
        | Code::SendingLocked
        | Code::WhatsAppRefused => StatusCode::UNPROCESSABLE_ENTITY,
        _ => status,
    };
    let mut message = problem.detail.as_deref().unwrap_or(title).to_owned();
    // What a person has to write, or to put right, where a session cannot be made by this.
    for (name, value) in &problem.more {
        match (*name, value) {
            ("toml", Value::String(toml)) => message = format!("{message}\n\n{toml}"),
            ("problems", Value::Array(problems)) => {
                let words = problems.iter().filter_map(|problem| problem.get("message")?.as_str());
                message = words.fold(message, |told, words| format!("{told}\n{words}"));
            }
            _ => {}
        }
    }
    let error = status.canonical_reason().unwrap_or_default();
    let body = json!({ "message": message, "error": error, "statusCode": status.as_u16() });
    response::json(status, &body)
}
