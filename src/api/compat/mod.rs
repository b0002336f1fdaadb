//! The `/api` routes of docs.moonwa.id. Their requests and answers must stay as documented there, byte for byte,
//! because programs were written for them. They only translate: what is sent goes the same way as through `/v1`.

pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod groups;
pub(crate) mod send;

use serde_json::json;

use super::http::response::{self, Response};

/// `GET /api`.
pub(crate) fn hello() -> Response {
    response::ok(&json!({ "message": "Server Running!" }))
}
