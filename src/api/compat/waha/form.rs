//! What all of WAHA's operations share: the key, the session, and answers that say no more than "done".

use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::json;

use crate::api::call::Call;
use crate::api::compat::body::Given;
use crate::api::compat::face;
use crate::api::http::problem::Problem;
use crate::api::http::response::{self, Response};
use crate::model::DeviceName;

pub(super) fn key(head: &Parts) -> Option<String> {
    face::header(head, "x-api-key")
}

/// The body of a request that names its session there, and the device that it means.
pub(super) async fn given(call: &mut Call) -> Result<(Given, DeviceName), Problem> {
    let given = Given::read(call, None).await?;
    let device = face::choose(call, given.text("session").as_deref())?;
    Ok((given, device))
}

/// An answer that says no more than that it was done.
pub(super) fn done(status: StatusCode) -> Response {
    response::json(status, &json!({ "success": true }))
}
