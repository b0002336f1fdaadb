//! Invite links. A link is shown as text, or as a QR code to hang up in a shop.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::api::http::request::MAX_JSON;
use crate::api::http::response;
use crate::api::v1::qr::drawn;
use crate::whatsapp::InviteCode;

/// `GET …/groups/{group}/invite`.
pub(crate) async fn show(call: &Call) -> Answer {
    answer(call, false).await
}

/// `POST …/groups/{group}/invite`: a new link; the old one leads nowhere from now on.
pub(crate) async fn reset(call: &Call) -> Answer {
    answer(call, true).await
}

async fn answer(call: &Call, reset: bool) -> Answer {
    let group = call.group()?;
    let code = call.handle()?.invite(&group, reset).await?;
    if call.accepts("image/svg+xml") && !call.accepts("application/json") {
        let picture = drawn(&code.link())?;
        return Ok(response::bytes_of(StatusCode::OK, "image/svg+xml", picture));
    }
    Ok(response::ok(&json!({ "link": code.link(), "code": code.as_str() })))
}

/// `GET …/groups/preview?code=`.
pub(crate) async fn preview(call: &Call) -> Answer {
    let code = parse(&call.query("code")?.unwrap_or_default())?;
    Ok(response::ok(&call.handle()?.preview_group(&code).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinBody {
    code: String,
}

/// `POST …/groups/join`.
pub(crate) async fn join(call: &mut Call) -> Answer {
    let body: JoinBody = call.json(MAX_JSON).await?;
    let code = parse(&body.code)?;
    Ok(response::ok(&call.handle()?.join_group(&code).await?))
}

fn parse(text: &str) -> Result<InviteCode, Problem> {
    let wrong = || Problem::field("code", "an invite link, or the code at its end");
    InviteCode::parse(text).ok_or_else(wrong)
}
