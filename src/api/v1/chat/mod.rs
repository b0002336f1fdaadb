//! Chats as the account's devices show them, and what is marked in them.

pub(crate) mod channel;
pub(crate) mod history;
pub(crate) mod label;
pub(crate) mod mark;

use hyper::StatusCode;
use serde::Deserialize;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::api::http::request::{MAX_JSON, given, given_whole};
use crate::api::http::response;
use crate::api::v1::message::queue::{check_state, enqueue};
use crate::model::{Content, SendRequest, UnixMillis};
use crate::store::Due;
use crate::whatsapp::{ChatChange, Mute};

/// After how many seconds messages may disappear, as phones offer it.
const TIMERS: [u32; 4] = [0, 86_400, 604_800, 7_776_000];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChatBody {
    #[serde(deserialize_with = "given")]
    archived: Option<bool>,
    #[serde(deserialize_with = "given")]
    pinned: Option<bool>,
    #[serde(deserialize_with = "given")]
    unread: Option<bool>,
    #[serde(deserialize_with = "given")]
    mute: Option<String>,
    #[serde(deserialize_with = "given_whole")]
    disappears_after: Option<u32>,
}

/// `PATCH …/chats/{chat}`.
pub(crate) async fn change(call: &mut Call) -> Answer {
    let body: ChatBody = call.json(MAX_JSON).await?;
    let mute = body.mute.as_deref().map(mute).transpose()?;
    let ChatBody { archived, pinned, unread, disappears_after, .. } = body;
    let change = ChatChange { archived, mute, pinned, unread };
    let any = [archived, pinned, unread].iter().any(Option::is_some) || mute.is_some();
    if !any && disappears_after.is_none() {
        return Err(Problem::field("", "give archived, pinned, unread, mute or disappears_after"));
    }
    if disappears_after.is_some_and(|seconds| !TIMERS.contains(&seconds)) {
        let words = "0, 86400 (a day), 604800 (a week) or 7776000 (90 days)";
        return Err(Problem::field("disappears_after", words));
    }
    let chat = call.chat()?;
    let handle = call.handle()?;
    if any {
        Box::pin(handle.change_chat(&chat, &change)).await?;
    }
    let Some(seconds) = disappears_after else {
        return Ok(response::empty(StatusCode::NO_CONTENT));
    };
    if chat.jid().is_group() {
        handle.set_group_timer(&chat.jid(), seconds).await?;
    } else {
        // People are told by a message.
        check_state(&handle.status().state)?;
        let (name, _) = call.device()?;
        let request = SendRequest::plain(chat, Content::Timer { seconds });
        enqueue(call, &name, (request, None, None), Vec::new(), None, Due::Now).await?;
    }
    Ok(response::empty(StatusCode::NO_CONTENT))
}

fn mute(text: &str) -> Result<Mute, Problem> {
    match text {
        "off" => Ok(Mute::Off),
        "always" => Ok(Mute::Always),
        time => UnixMillis::parse(time).map(Mute::Until).ok_or_else(|| {
            Problem::field("mute", "off, always, or a time such as 2026-12-01T19:00:00+07:00")
        }),
    }
}

/// `DELETE …/chats/{chat}`.
pub(crate) async fn delete(call: &Call) -> Answer {
    let chat = call.chat()?;
    Box::pin(call.handle()?.delete_chat(&chat)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
