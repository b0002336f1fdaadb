//! How Evolution API answers, and how it says what is wrong.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::compat::message::FAILURE;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};

/// What a problem says beside its code: the receiver as the caller wrote it.
pub(super) const NUMBER: &str = "number";

/// A message was taken, or something else was done for one.
pub(super) fn created(value: &Value) -> Response {
    response::json(StatusCode::CREATED, value)
}

pub(super) fn refuse(problem: &Problem) -> Response {
    let (_, own, title) = problem.code.row();
    let said = |name: &str| {
        let found = problem.more.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.as_str())
    };
    let words = problem.detail.as_deref().unwrap_or(title);
    let (status, message) = match (problem.code, said(FAILURE)) {
        (_, Some("not_on_whatsapp")) => {
            let number = said(NUMBER).unwrap_or_default();
            let absent = json!({ "jid": jid(number), "exists": false, "number": number });
            (StatusCode::BAD_REQUEST, json!([absent]))
        }
        (Code::Unauthorized, _) => (own, json!("Unauthorized")),
        (Code::DeviceNotConnected, _) => {
            (StatusCode::BAD_REQUEST, json!(["Error: Connection Closed"]))
        }
        (Code::DeviceNotFound, _) => (own, json!(["The instance does not exist"])),
        (Code::WhatsAppRefused | Code::AlreadyLinked | Code::UnsupportedMediaType, _) => {
            (StatusCode::BAD_REQUEST, json!([words]))
        }
        _ => (own, json!([words])),
    };
    let error = status.canonical_reason().unwrap_or_default();
    let body =
        json!({ "status": status.as_u16(), "error": error, "response": { "message": message } });
    response::json(status, &body)
}

/// The address of a receiver as callers write it: a number of eighteen digits or more is a group's.
pub(super) fn jid(number: &str) -> String {
    if number.contains('@') {
        return number.to_owned();
    }
    let plain: String =
        number.chars().filter(|sign| sign.is_ascii_digit() || *sign == '-').collect();
    if plain.len() >= 18 {
        return format!("{plain}@g.us");
    }
    format!("{}@s.whatsapp.net", plain.replace('-', ""))
}

/// A receiver for moonwa, which reads numbers as people write them.
pub(super) fn receiver(number: &str) -> String {
    let jid = jid(number);
    if jid.ends_with("@g.us") { jid } else { number.to_owned() }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn refused(problem: Problem) -> (u16, Value) {
        let response = refuse(&problem);
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_in_evolutions_form() {
        let absent = Problem::new(Code::WhatsAppRefused, "x")
            .with(FAILURE, "not_on_whatsapp")
            .with(NUMBER, "5511999999999");
        let row = json!({
            "jid": "5511999999999@s.whatsapp.net", "exists": false, "number": "5511999999999",
        });
        let rows = [
            (absent, 400, "Bad Request", json!([row])),
            (Code::Unauthorized.into(), 401, "Unauthorized", json!("Unauthorized")),
            (Problem::field("text", "required"), 400, "Bad Request", json!(["text: required"])),
            (Code::NotOffered.into(), 501, "Not Implemented", json!([Code::NotOffered.row().2])),
            (
                Code::DeviceNotConnected.into(),
                400,
                "Bad Request",
                json!(["Error: Connection Closed"]),
            ),
        ];
        for (problem, status, error, message) in rows {
            let wanted =
                json!({ "status": status, "error": error, "response": { "message": message } });
            assert_eq!(refused(problem).await, (status, wanted));
        }
    }

    #[test]
    fn long_numbers_are_groups() {
        for (number, wanted) in [
            ("5511999999999", "5511999999999@s.whatsapp.net"),
            ("+55 11 99999-9999", "5511999999999@s.whatsapp.net"),
            ("120363025486632919", "120363025486632919@g.us"),
            ("5511999999999-1600000000", "5511999999999-1600000000@g.us"),
            ("77@lid", "77@lid"),
        ] {
            assert_eq!(jid(number), wanted);
        }
        assert_eq!(receiver("0812 3456 789"), "0812 3456 789");
    }
}
