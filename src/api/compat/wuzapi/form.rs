//! What every operation of wuzapi shares: which device it is about, how its body is read, and the form of its answers.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::call::Call;
use crate::api::compat::body::Given;
use crate::api::compat::face;
use crate::api::compat::message::FAILURE;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};
use crate::model::{Jid, Recipient};

/// Chooses the device whose token it is, and reads the body. Go reads names without regard to case.
pub(super) async fn given(call: &mut Call) -> Result<Given, Problem> {
    face::choose(call, None)?;
    Ok(Given::read(call, None).await?.uncased())
}

/// The form of every answer.
pub(super) fn done(data: &Value) -> Response {
    response::ok(&json!({ "code": 200, "data": data, "success": true }))
}

pub(super) fn refuse(problem: &Problem) -> Response {
    let (_, own, title) = problem.code.row();
    let failure = problem.more.iter().find(|(name, _)| *name == FAILURE);
    let (status, words) = match (problem.code, failure.and_then(|(_, code)| code.as_str())) {
        (_, Some("not_on_whatsapp")) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "error sending message: not on WhatsApp")
        }
        (Code::Unauthorized, _) => (own, "unauthorized"),
        (Code::DeviceNotConnected, _) => (StatusCode::INTERNAL_SERVER_ERROR, "no session"),
        (Code::AlreadyLinked, _) => (StatusCode::INTERNAL_SERVER_ERROR, "already logged in"),
        (Code::NoQr, _) => (StatusCode::INTERNAL_SERVER_ERROR, "not connected"),
        (Code::WhatsAppRefused, _) => {
            (StatusCode::INTERNAL_SERVER_ERROR, problem.detail.as_deref().unwrap_or(title))
        }
        _ => (own, problem.detail.as_deref().unwrap_or(title)),
    };
    let body = json!({ "code": status.as_u16(), "error": words, "success": false });
    response::json(status, &body)
}

/// The chat that a field names.
pub(super) fn chat(call: &Call, given: &Given, field: &str) -> Result<Jid, Problem> {
    let phone = given.need(field)?;
    let (_, device) = call.device()?;
    let chat = Recipient::parse(&phone, device.country_code.as_deref());
    Ok(chat.map_err(|error| Problem::field(field, error))?.jid())
}
