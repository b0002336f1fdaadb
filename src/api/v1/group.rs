//! Asking WhatsApp which groups a device is in, and who is in them.

use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::response;

/// `GET …/groups`.
pub(crate) async fn list(call: &Call) -> Answer {
    Ok(response::ok(&json!({ "groups": call.handle()?.groups().await? })))
}

/// `GET …/groups/{group}`.
pub(crate) async fn show(call: &Call) -> Answer {
    let group = call.group()?;
    Ok(response::ok(&call.handle()?.group(&group).await?))
}
