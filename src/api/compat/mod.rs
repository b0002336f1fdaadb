//! The `/api` routes of docs.moonwa.id. Other programs depend on them: their requests and answers must stay as they are
//! documented there, byte for byte.

pub(crate) mod error;
mod fields;
pub(crate) mod groups;
pub(crate) mod send;

use serde_json::json;

use super::call::Answer;
use super::http::response;

/// `GET /api`.
#[expect(clippy::unnecessary_wraps, reason = "what handlers return")]
pub(crate) fn hello() -> Answer {
    Ok(response::ok(&json!({ "message": "Server Running!" })))
}
