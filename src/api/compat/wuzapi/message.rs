//! `/chat/…`: what is done with messages that were sent or came in, and "typing…".

use serde_json::json;

use super::form::{chat, done, given};
use crate::api::call::{Answer, Call};
use crate::api::compat::message::{about, author, followed, send};
use crate::api::http::problem::Problem;
use crate::api::v1::message::content::{ReactionBody, SendBody};
use crate::api::v1::message::{change, mark_read, show_typing, take_back};

/// What stands before the id of a message of one's own.
const OWN: &str = "me:";

/// `POST /chat/react`.
pub(super) async fn react(call: &mut Call) -> Answer {
    let given = given(call).await?;
    let chat = chat(call, &given, "phone")?;
    let (own, id) = match given.need("id")?.strip_prefix(OWN) {
        Some(id) => (true, id.to_owned()),
        None => (false, given.need("id")?),
    };
    about(call, &id);
    let author = match given.text("participant") {
        _ if own => None,
        Some(author) => Some(author),
        None => author(call, &call.message()?, &chat).await?.map(String::from),
    };
    // Its callers take a reaction back with a word.
    let emoji = given.need("body")?;
    let emoji = if emoji == "remove" { String::new() } else { emoji };
    let reaction = ReactionBody { message: id.clone(), emoji, author };
    let body = SendBody { to: chat.to_string(), reaction: Some(reaction), ..SendBody::default() };
    let sent = send(call, body, None).await?;
    Ok(done(&json!({ "Details": "Sent", "Timestamp": sent.updated.secs(), "Id": id })))
}

/// `POST /chat/delete`.
pub(super) async fn delete(call: &mut Call) -> Answer {
    let given = given(call).await?;
    let chat = chat(call, &given, "phone")?;
    let id = given.need("id")?;
    about(call, &id);
    let sent = followed(call, take_back(call, Some(chat), None)).await?;
    Ok(done(&json!({ "Details": "Deleted", "Timestamp": sent.updated.secs(), "Id": id })))
}

/// `POST /chat/send/edit`.
pub(super) async fn edit(call: &mut Call) -> Answer {
    let given = given(call).await?;
    let id = given.need("id")?;
    about(call, &id);
    let sent = followed(call, change(call, given.need("body")?)).await?;
    Ok(done(&json!({ "Details": "Sent", "Timestamp": sent.updated.secs(), "Id": id })))
}

/// `POST /chat/markread`.
pub(super) async fn read(call: &mut Call) -> Answer {
    let given = given(call).await?;
    let ids = given.list("id");
    if ids.is_empty() {
        return Err(Problem::field("Id", "required"));
    }
    for id in ids {
        about(call, &id);
        mark_read(call).await?;
    }
    Ok(done(&json!({ "Details": "Message(s) marked as read" })))
}

/// `POST /chat/presence`.
pub(super) async fn typing(call: &mut Call) -> Answer {
    let given = given(call).await?;
    let to = given.need("phone")?;
    let on = match given.need("state")?.as_str() {
        "composing" => true,
        "paused" => false,
        _ => return Err(Problem::field("State", "must be composing or paused")),
    };
    show_typing(call, &to, on).await?;
    Ok(done(&json!({ "Details": "Chat presence set successfuly" })))
}
