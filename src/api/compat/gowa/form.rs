//! What all of GOWA's operations share: the key, the device, receivers, and the form of an answer.

use hyper::http::request::Parts;
use serde::Serialize;
use serde_json::json;

use crate::api::call::Call;
use crate::api::compat::face;
use crate::api::http::problem::Problem;
use crate::api::http::response::{self, Response};
use crate::model::DeviceName;

/// Its callers have a name and a password; the password is the key.
pub(super) fn key(head: &Parts) -> Option<String> {
    face::password(head)
}

/// The device that a request names: in its path, in a header, or in the query.
pub(super) fn choose(call: &mut Call) -> Result<DeviceName, Problem> {
    let named = match call.path.device() {
        Some(named) => Some(named.to_owned()),
        None => match face::header(&call.head, "x-device-id") {
            Some(named) => Some(named),
            None => call.query("device_id")?,
        },
    };
    face::choose(call, named.as_deref())
}

/// The form of every answer.
pub(super) fn done(message: &str, results: impl Serialize) -> Response {
    response::ok(&json!({ "code": "SUCCESS", "message": message, "results": results }))
}

/// A receiver as its callers write it: fifteen digits are a person's at most.
pub(super) fn receiver(phone: &str) -> String {
    let is_group = !phone.contains('@')
        && (phone.len() > 15 || phone.contains('-'))
        && phone.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if is_group { format!("{phone}@g.us") } else { phone.to_owned() }
}
