//! How WAHA says what is wrong: as its framework does.

use hyper::StatusCode;
use serde_json::json;

use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};

pub(super) fn refuse(problem: &Problem) -> Response {
    let (_, status, title) = problem.code.row();
    let status = match problem.code {
        Code::DeviceNotConnected
        | Code::AlreadyLinked
        | Code::NoQr
        | Code::SendingLocked
        | Code::WhatsAppRefused => StatusCode::UNPROCESSABLE_ENTITY,
        _ => status,
    };
    let message = problem.detail.as_deref().unwrap_or(title);
    let error = status.canonical_reason().unwrap_or_default();
    let body = json!({ "message": message, "error": error, "statusCode": status.as_u16() });
    response::json(status, &body)
}
