//! About whom it is to be known whether they are there.

use hyper::StatusCode;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::response;

/// `GET …/presence`.
pub(crate) fn list(call: &Call) -> Answer {
    Ok(response::ok(&json!({ "contacts": call.handle()?.presences() })))
}

/// `PUT …/contacts/{contact}/presence`.
pub(crate) async fn put(call: &Call) -> Answer {
    let contact = call.contact()?;
    Box::pin(call.handle()?.watch_presence(&contact)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `DELETE …/contacts/{contact}/presence`.
pub(crate) async fn delete(call: &Call) -> Answer {
    let contact = call.contact()?;
    Box::pin(call.handle()?.unwatch_presence(&contact)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
