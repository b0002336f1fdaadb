//! The `/api` routes of docs.moonwa.id. Their requests and answers must stay as documented there, byte for byte,
//! because programs were written for them. They only translate: what is sent goes the same way as through `/v1`.
//! Beside them the faces: the API of other products, each in a room of its own. `face` says what one is, `faces` which of
//! them a request is for, and `body`, `link` and `message` are what they share.

mod body;
pub(crate) mod error;
mod evolution;
pub(crate) mod face;
pub(crate) mod faces;
pub(crate) mod fields;
mod gowa;
pub(crate) mod groups;
mod link;
mod message;
pub(crate) mod send;
mod waha;
pub(crate) mod wanted;
mod wuzapi;

use serde_json::json;

use super::call::Call;
use super::http::response::{self, Response};

/// `GET /api`.
pub(crate) fn hello() -> Response {
    response::ok(&json!({ "message": "Server Running!" }))
}

/// `GET /v1/faces`: whose API is spoken, and what callers asked for lately that is not offered.
pub(crate) fn spoken(call: &Call) -> Response {
    let faces: Vec<_> = call.config.server.faces.iter().map(|face| face.as_str()).collect();
    response::ok(&json!({ "faces": faces, "not_offered": call.state.wanted.list() }))
}
