//! What is done with messages that were sent or came in, and typing.

use hyper::StatusCode;

use super::form::{done, given};
use super::view;
use crate::api::call::{Answer, Call, PathName};
use crate::api::compat::body::Given;
use crate::api::compat::message::{author, followed, send};
use crate::api::http::problem::Problem;
use crate::api::http::response;
use crate::api::v1::message::content::{ReactionBody, SendBody};
use crate::api::v1::message::{change, mark_read, show_typing, take_back};
use crate::model::{Jid, Recipient};

/// A chat as callers write it.
fn chat(call: &Call, text: &str) -> Result<Jid, Problem> {
    let (_, device) = call.device()?;
    let chat = Recipient::parse(text, device.country_code.as_deref());
    chat.map(|chat| chat.jid()).map_err(|error| Problem::field("chatId", error))
}

/// Names the message that a request is about by WAHA's id of it.
fn about(call: &mut Call, id: &str) {
    call.path.set(PathName::Message, view::bare_id(id).to_owned());
}

/// `PUT /api/reaction`. The chat is part of the message's id.
pub(super) async fn react(call: &mut Call) -> Answer {
    let (given, _) = given(call).await?;
    let id = given.need("messageId")?;
    let words = "write the id as WAHA gives it: false_628…@c.us_3EB0…";
    let named = id.split('_').nth(1).filter(|chat| chat.contains('@'));
    let chat = chat(call, named.ok_or_else(|| Problem::field("messageId", words))?)?;
    about(call, &id);
    let message = call.message()?;
    let author = author(call, &message, &chat).await?.map(String::from);
    let emoji = given.text("reaction").unwrap_or_default();
    let reaction = ReactionBody { message: message.to_string(), emoji, author };
    let body = SendBody { to: chat.to_string(), reaction: Some(reaction), ..SendBody::default() };
    let sent = send(call, body, None).await?;
    Ok(response::ok(&view::message(call, &sent)))
}

/// `POST /api/sendSeen`: those messages, or the newest one of the chat.
pub(super) async fn seen(call: &mut Call) -> Answer {
    let (given, _) = given(call).await?;
    let chat = chat(call, &given.need("chatId")?)?;
    let mut ids = given.list("messageIds");
    ids.extend(given.text("messageId"));
    if ids.is_empty() {
        ids.extend(call.handle()?.newest_in(&chat).await?.map(String::from));
    }
    for id in ids {
        about(call, &id);
        mark_read(call).await?;
    }
    Ok(done(StatusCode::CREATED))
}

/// `POST /api/startTyping` and `POST /api/stopTyping`.
pub(super) async fn typing(call: &mut Call, on: bool) -> Answer {
    let (given, _) = given(call).await?;
    show_typing(call, &given.need("chatId")?, on).await?;
    Ok(done(StatusCode::CREATED))
}

/// `PUT /api/{session}/chats/{chat}/messages/{message}`.
pub(super) async fn edit(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let id = call.path.message().unwrap_or_default().to_owned();
    about(call, &id);
    let sent = followed(call, change(call, given.need("text")?)).await?;
    Ok(response::ok(&view::message(call, &sent)))
}

/// `DELETE /api/{session}/chats/{chat}/messages/{message}`: for everybody.
pub(super) async fn delete(call: &mut Call) -> Answer {
    let id = call.path.message().unwrap_or_default().to_owned();
    let chat = chat(call, call.path.chat().unwrap_or_default())?;
    about(call, &id);
    let author = author(call, &call.message()?, &chat).await?;
    followed(call, take_back(call, Some(chat), author)).await?;
    Ok(done(StatusCode::OK))
}
