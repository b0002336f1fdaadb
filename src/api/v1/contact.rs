//! Asking WhatsApp whether a number is there.

use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::response;

/// `GET …/contacts/{phone}`.
pub(crate) async fn show(call: &Call) -> Answer {
    let phone = call.phone()?;
    let found = call.handle()?.lookup(&phone).await?;
    Ok(response::ok(&json!({
        "phone": phone,
        "on_whatsapp": found.is_some(),
        "jid": found.as_ref().map(|found| &found.jid),
        "lid": found.as_ref().and_then(|found| found.lid.as_ref()),
        "name": found.as_ref().and_then(|found| found.name.as_ref()),
    })))
}
