//! Messages that are marked: with a star, for the account alone, or pinned, for everybody in the chat.

use hyper::StatusCode;
use serde::Deserialize;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::api::http::request::{MAX_JSON, whole};
use crate::api::http::response;
use crate::api::v1::message::{follow_up, queued_answer};
use crate::model::Content;

const DAY: u32 = 86_400;

/// `PUT …/messages/{message}/star`.
pub(crate) async fn star(call: &Call) -> Answer {
    set_star(call, true).await
}

/// `DELETE …/messages/{message}/star`.
pub(crate) async fn unstar(call: &Call) -> Answer {
    set_star(call, false).await
}

async fn set_star(call: &Call, on: bool) -> Answer {
    let message = call.message()?;
    Box::pin(call.handle()?.star(&message, on)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinBody {
    #[serde(deserialize_with = "whole")]
    days: u32,
}

/// `PUT …/messages/{message}/pin`.
pub(crate) async fn pin(call: &mut Call) -> Answer {
    let PinBody { days } = call.json(MAX_JSON).await?;
    if ![1, 7, 30].contains(&days) {
        return Err(Problem::field("days", "1, 7 or 30"));
    }
    set_pin(call, days * DAY).await
}

/// `DELETE …/messages/{message}/pin`.
pub(crate) async fn unpin(call: &Call) -> Answer {
    set_pin(call, 0).await
}

async fn set_pin(call: &Call, seconds: u32) -> Answer {
    let message = call.message()?;
    let place = call.handle()?.place(&message).await?;
    let content = Content::Pin { message, author: place.author, seconds };
    Ok(queued_answer(call, &follow_up(call, place.chat, content).await?))
}
