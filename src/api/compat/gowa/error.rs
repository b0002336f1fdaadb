//! How GOWA says what is wrong: in the form of every answer of its, with its own codes where it has one.

use hyper::StatusCode;
use serde_json::json;

use crate::api::compat::message::FAILURE;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};

pub(super) fn refuse(problem: &Problem) -> Response {
    let (own, status, title) = problem.code.row();
    let failure = problem.more.iter().find(|(name, _)| *name == FAILURE);
    let failure = failure.and_then(|(_, code)| code.as_str());
    let (status, code) = match (problem.code, failure) {
        (_, Some("not_on_whatsapp")) => (StatusCode::BAD_REQUEST, "INVALID_JID".to_owned()),
        (Code::SendingLocked, _) | (_, Some("463")) => {
            (StatusCode::TOO_MANY_REQUESTS, "WA_REACHOUT_TIMELOCK".to_owned())
        }
        (Code::InvalidRequest | Code::UnsupportedMediaType, _) => {
            (StatusCode::BAD_REQUEST, "VALIDATION_ERROR".to_owned())
        }
        (Code::Unauthorized | Code::DeviceNotConnected, _) => {
            (StatusCode::UNAUTHORIZED, "AUTHENTICATION_ERROR".to_owned())
        }
        (Code::AlreadyLinked, _) => (StatusCode::BAD_REQUEST, "ALREADY_LOGGED_IN".to_owned()),
        (Code::WhatsAppRefused, _) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR".to_owned())
        }
        (Code::NotOffered, _) => (status, "NOT_IMPLEMENTED".to_owned()),
        _ => (status, own.to_uppercase()),
    };
    let message = problem.detail.as_deref().unwrap_or(title);
    response::json(status, &json!({ "code": code, "message": message, "results": null }))
}
