//! Whom the account keeps out.

use hyper::StatusCode;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::response;

/// `GET …/blocks`.
pub(crate) async fn list(call: &Call) -> Answer {
    Ok(response::ok(&json!({ "blocks": call.handle()?.blocks().await? })))
}

/// `PUT …/contacts/{contact}/block`.
pub(crate) async fn put(call: &Call) -> Answer {
    set(call, true).await
}

/// `DELETE …/contacts/{contact}/block`.
pub(crate) async fn delete(call: &Call) -> Answer {
    set(call, false).await
}

async fn set(call: &Call, on: bool) -> Answer {
    let contact = call.contact()?;
    Box::pin(call.handle()?.block(&contact, on)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
