//! `/message/{message}/…`: what is done with a message that was sent or came in.

use serde_json::json;

use super::form::{choose, done, receiver};
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::face::address;
use crate::api::compat::message::{author, followed, send};
use crate::api::http::problem::Problem;
use crate::api::http::response::Response;
use crate::api::v1::message::content::{ForwardBody, ReactionBody, SendBody};
use crate::api::v1::message::{change, mark_read, take_back};
use crate::model::{Jid, MessageId, Recipient, UnixMillis};

/// The body of a request, and the chat that it names.
async fn given(call: &mut Call) -> Result<(Given, Jid), Problem> {
    choose(call)?;
    let given = Given::read(call, None).await?;
    let phone = receiver(&given.need("phone")?);
    let (_, device) = call.device()?;
    let chat = Recipient::parse(&phone, device.country_code.as_deref())
        .map_err(|error| Problem::field("phone", error))?;
    Ok((given, chat.jid()))
}

fn answer(id: &MessageId, words: &str) -> Response {
    done(words, json!({ "message_id": id, "status": words }))
}

pub(super) async fn react(call: &mut Call) -> Answer {
    let (given, chat) = given(call).await?;
    let message = call.message()?;
    let author = author(call, &message, &chat).await?.map(String::from);
    let emoji = given.text("emoji").unwrap_or_default();
    let reaction = ReactionBody { message: message.to_string(), emoji, author };
    let body = SendBody { to: chat.to_string(), reaction: Some(reaction), ..SendBody::default() };
    let sent = send(call, body, None).await?;
    let words = format!("Reaction sent to {chat} (server timestamp: {})", sent.updated);
    Ok(answer(&sent.id, &words))
}

pub(super) async fn revoke(call: &mut Call) -> Answer {
    let (_, chat) = given(call).await?;
    let author = author(call, &call.message()?, &chat).await?;
    let sent = followed(call, take_back(call, Some(chat.clone()), author)).await?;
    let words = format!("Revoke success {chat} (server timestamp: {})", sent.updated);
    Ok(answer(&sent.id, &words))
}

pub(super) async fn update(call: &mut Call) -> Answer {
    let (given, chat) = given(call).await?;
    let sent = followed(call, change(call, given.need("message")?)).await?;
    let words = format!("Update message success {chat} (server timestamp: {})", sent.updated);
    Ok(answer(&sent.id, &words))
}

pub(super) async fn forward(call: &mut Call) -> Answer {
    let (_, chat) = given(call).await?;
    let forward = ForwardBody { message: call.message()?.to_string() };
    let body = SendBody { to: chat.to_string(), forward: Some(forward), ..SendBody::default() };
    let sent = send(call, body, None).await?;
    let words = format!("Message forwarded to {chat} (server timestamp: {})", sent.updated);
    Ok(answer(&sent.id, &words))
}

/// `GET /message/{message}/download`: the file is fetched from its URL, which needs no key for a day. GOWA's path is
/// below its own address, and so is this one.
pub(super) async fn download(call: &mut Call) -> Answer {
    let device = choose(call)?;
    let message = call.message()?;
    // That it can be had is known only from asking for it.
    let file = call.handle()?.media(&message).await?;
    let kind = file.mime.as_deref().and_then(|mime| mime.split('/').next());
    let kind = kind.filter(|kind| ["image", "video", "audio"].contains(kind)).unwrap_or("document");
    let urls = call.state.api.webhooks.media_urls();
    let signature = urls.signature(device.as_str(), message.as_str(), UnixMillis::now());
    let path = format!("v1/devices/{device}/media/{message}?{signature}");
    let words = "Media downloaded successfully";
    let results = json!({
        "message_id": message,
        "status": words,
        "media_type": kind,
        "filename": file.filename.unwrap_or_else(|| message.to_string()),
        "file_path": path,
        "file_url": format!("{}/{path}", address(call)),
        "file_size": file.size,
    });
    Ok(done(words, results))
}

pub(super) async fn read(call: &mut Call) -> Answer {
    let (_, chat) = given(call).await?;
    mark_read(call).await?;
    let message = call.message()?;
    Ok(answer(&message, &format!("Mark as read success {message} in {chat}")))
}
