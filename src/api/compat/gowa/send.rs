//! `/send/…`: what is sent, by JSON, by a form, or with a file in parts.

use serde_json::json;

use super::form::{choose, done, receiver};
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::message;
use crate::api::http::problem::Problem;
use crate::api::v1::message::content::{ContactBody, LocationBody, MediaBody, PollBody, SendBody};
use crate::api::v1::message::show_typing;
use crate::model::MediaKind;

/// One of the operations: what it reads, and what it says when it is done.
pub(super) struct Sending {
    /// The part with the file.
    file: Option<&'static str>,
    content: fn(&Given, &mut SendBody) -> Result<(), Problem>,
    done: &'static str,
}

const fn plain(
    content: fn(&Given, &mut SendBody) -> Result<(), Problem>,
    done: &'static str,
) -> Sending {
    Sending { file: None, content, done }
}

const fn file(
    file: &'static str,
    content: fn(&Given, &mut SendBody) -> Result<(), Problem>,
    done: &'static str,
) -> Sending {
    Sending { file: Some(file), content, done }
}

pub(super) static TEXT: Sending = plain(text, "Message sent to");
pub(super) static LINK: Sending = plain(link, "Link sent to");
pub(super) static CONTACT: Sending = plain(contact, "Contact sent to");
pub(super) static LOCATION: Sending = plain(location, "Send location success");
pub(super) static POLL: Sending = plain(poll, "Send poll success");
pub(super) static IMAGE: Sending = file(
    "image",
    |given, body| media(given, body, MediaKind::Image, "image_url"),
    "Message sent to",
);
pub(super) static VIDEO: Sending =
    file("video", |given, body| media(given, body, MediaKind::Video, "video_url"), "Video sent to");
pub(super) static FILE: Sending = file(
    "file",
    |given, body| media(given, body, MediaKind::Document, "file_url"),
    "Document sent to",
);
pub(super) static STICKER: Sending = file(
    "sticker",
    |given, body| media(given, body, MediaKind::Sticker, "sticker_url"),
    "Sticker sent to",
);
pub(super) static AUDIO: Sending = file("audio", audio, "Send audio success");

pub(super) async fn send(call: &mut Call, what: &'static Sending) -> Answer {
    choose(call)?;
    let mut given = Given::read(call, what.file).await?;
    let phone = given.need("phone")?;
    let mut body = SendBody { to: receiver(&phone), ..SendBody::default() };
    (what.content)(&given, &mut body)?;
    body.reply_to = given.text("reply_message_id");
    let sent = message::send(call, body, given.upload.take()).await?;
    let words = format!("{} {phone} (server timestamp: {})", what.done, sent.updated);
    Ok(done(&words, json!({ "message_id": sent.id, "status": words })))
}

fn text(given: &Given, body: &mut SendBody) -> Result<(), Problem> {
    let text = given.need("message")?;
    body.mentions = mentions(&text, &given.list("mentions"));
    body.text = Some(text);
    Ok(())
}

/// Who is mentioned: those in the list, and everybody whose number stands after an @ in the text.
fn mentions(text: &str, listed: &[String]) -> Vec<String> {
    let everybody = |name: &String| name == "@everyone" || name == "everyone";
    let mut all: Vec<String> = listed
        .iter()
        .map(|name| if everybody(name) { "all".to_owned() } else { name.clone() })
        .collect();
    for part in text.split('@').skip(1) {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        if (7..=15).contains(&digits.len()) && !all.contains(&digits) {
            all.push(digits);
        }
    }
    all
}

fn link(given: &Given, body: &mut SendBody) -> Result<(), Problem> {
    let link = given.need("link")?;
    body.text = Some(match given.text("caption") {
        Some(caption) => format!("{caption}\n{link}"),
        None => link,
    });
    body.link_preview = true;
    Ok(())
}

fn contact(given: &Given, body: &mut SendBody) -> Result<(), Problem> {
    let one_line = |text: String| text.replace(['\r', '\n'], " ");
    let name = one_line(given.need("contact_name")?);
    let phone = one_line(given.need("contact_phone")?);
    let digits = phone.trim_start_matches('+');
    let vcard = format!(
        "BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\nTEL;type=CELL;waid={digits}:+{digits}\nEND:VCARD"
    );
    body.contact = Some(ContactBody { name, vcard });
    Ok(())
}

fn location(given: &Given, body: &mut SendBody) -> Result<(), Problem> {
    body.location = Some(LocationBody {
        latitude: given.number("latitude")?,
        longitude: given.number("longitude")?,
        name: None,
        address: None,
    });
    Ok(())
}

fn poll(given: &Given, body: &mut SendBody) -> Result<(), Problem> {
    let most = given.number("max_answer")?;
    let most = most.as_u64().and_then(|most| u32::try_from(most).ok());
    body.poll = Some(PollBody {
        question: given.need("question")?,
        options: given.list("options"),
        selectable: Some(most.ok_or_else(|| Problem::field("max_answer", "must be a number"))?),
        correct: None,
    });
    Ok(())
}

fn media(given: &Given, body: &mut SendBody, kind: MediaKind, url: &str) -> Result<(), Problem> {
    let mut media = given.media(url);
    if media.url.is_none() && media.spool.is_none() {
        let words = format!("give a file, or {url}");
        return Err(Problem::field(url.trim_end_matches("_url"), words));
    }
    media.caption = given.text("caption").filter(|_| kind.has_caption());
    if kind != MediaKind::Document {
        // Every upload has a file name, but only a document shows it.
        media.filename = None;
    }
    body.view_once = given.flag("view_once");
    body.set_media(kind, media);
    Ok(())
}

/// A sound, or a voice note where the caller says that it is one.
fn audio(given: &Given, body: &mut SendBody) -> Result<(), Problem> {
    let kind = if given.flag("ptt") { MediaKind::Voice } else { MediaKind::Audio };
    media(given, body, kind, "audio_url")?;
    // Its callers name the type of what they upload as they like; moonwa looks at the file.
    for media in [&mut body.audio, &mut body.voice].into_iter().flatten() {
        *media = MediaBody { mime: None, ..std::mem::take(media) };
    }
    Ok(())
}

/// `/send/chat-presence`.
pub(super) async fn typing(call: &mut Call) -> Answer {
    choose(call)?;
    let given = Given::read(call, None).await?;
    let phone = given.need("phone")?;
    let on = match given.need("action")?.as_str() {
        "start" => true,
        "stop" => false,
        _ => return Err(Problem::field("action", "must be start or stop")),
    };
    show_typing(call, &receiver(&phone), on).await?;
    let words =
        format!("Send chat presence typing {} success {phone}", if on { "start" } else { "stop" });
    Ok(done(&words, json!({ "message_id": "chat-presence", "status": words })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_mentioned_by_their_number_in_the_text() {
        let listed = ["@everyone".to_owned()];
        assert_eq!(mentions("halo @628123456789, a@b.example", &listed), ["all", "628123456789"]);
        assert!(mentions("halo", &[]).is_empty());
    }
}
