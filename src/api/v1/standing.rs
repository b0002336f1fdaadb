//! How a device's account stands with WhatsApp.

use crate::api::call::{Answer, Call};
use crate::api::http::response;

/// `GET …/standing`.
pub(crate) async fn show(call: &Call) -> Answer {
    Ok(response::ok(&call.handle()?.standing().await?))
}
