//! `/api/send…`: one operation for each kind of message, all with JSON.

use hyper::StatusCode;

use super::form::given;
use super::view;
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::message;
use crate::api::http::problem::Problem;
use crate::api::http::response;
use crate::api::v1::message::content::{
    ContactBody, ForwardBody, LocationBody, MediaBody, PollBody, SendBody,
};
use crate::model::MediaKind;

/// Reads the content of one kind of message.
type Content = fn(&mut Given, &mut SendBody) -> Result<(), Problem>;

pub(super) async fn send(call: &mut Call, content: Content) -> Answer {
    let (mut given, _) = given(call).await?;
    let mut body = SendBody { to: given.need("chatId")?, ..SendBody::default() };
    content(&mut given, &mut body)?;
    body.reply_to = given.text("reply_to").map(|id| view::bare_id(&id).to_owned());
    body.mentions = given.list("mentions");
    let sent = message::send(call, body, None).await?;
    Ok(response::json(StatusCode::CREATED, &view::message(call, &sent)))
}

pub(super) fn text(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let text = given.need("text")?;
    // WAHA shows the card of a link unless it is told not to; a text without a link has none to show.
    body.link_preview = given.flag_or("linkPreview", true)
        && (text.contains("http://") || text.contains("https://"));
    body.text = Some(text);
    Ok(())
}

pub(super) fn link(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let url = given.need("url")?;
    body.text = Some(match given.text("title") {
        Some(title) => format!("{title}\n{url}"),
        None => url,
    });
    body.link_preview = true;
    Ok(())
}

/// The file of a message, by URL or in Base64.
fn media(given: &mut Given, body: &mut SendBody, kind: MediaKind) -> Result<(), Problem> {
    let mut file = given.take("file").ok_or_else(|| Problem::field("file", "required"))?;
    let document = kind == MediaKind::Document;
    let media = MediaBody {
        url: file.text("url"),
        base64: file.take_text("data"),
        mime: file.text("mimetype").filter(|_| document),
        filename: file.text("filename").filter(|_| document),
        caption: given.text("caption").filter(|_| kind.has_caption()),
        ..MediaBody::default()
    };
    body.set_media(kind, media);
    Ok(())
}

pub(super) fn image(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    media(given, body, MediaKind::Image)
}

pub(super) fn file(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    media(given, body, MediaKind::Document)
}

pub(super) fn voice(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    media(given, body, MediaKind::Voice)
}

pub(super) fn video(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    media(given, body, MediaKind::Video)
}

pub(super) fn sticker(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    media(given, body, MediaKind::Sticker)
}

pub(super) fn location(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    body.location = Some(LocationBody {
        latitude: given.number("latitude")?,
        longitude: given.number("longitude")?,
        name: given.text("title"),
        address: None,
    });
    Ok(())
}

/// Contacts, each as a vCard or by its fields.
pub(super) fn contact(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let cards: Vec<_> = given.inners("contacts").iter().map(card).collect::<Result<_, _>>()?;
    if cards.is_empty() {
        return Err(Problem::field("contacts", "required"));
    }
    body.set_contacts(cards);
    Ok(())
}

fn card(card: &Given) -> Result<ContactBody, Problem> {
    let one_line = |text: String| text.replace(['\r', '\n'], " ");
    if let Some(vcard) = card.text("vcard") {
        let named = vcard.lines().find_map(|line| line.trim().strip_prefix("FN:"));
        return Ok(ContactBody { name: named.unwrap_or("Contact").to_owned(), vcard });
    }
    let name = one_line(card.need("fullName")?);
    let phone = one_line(card.need("phoneNumber")?);
    let company = card.text("organization").map(|name| format!("ORG:{};\n", one_line(name)));
    let digits = card.text("whatsappId").unwrap_or_else(|| phone.clone());
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let vcard = format!(
        "BEGIN:VCARD\nVERSION:3.0\nFN:{name}\n{}TEL;type=CELL;type=VOICE;waid={digits}:{phone}\nEND:VCARD",
        company.unwrap_or_default()
    );
    Ok(ContactBody { name, vcard })
}

pub(super) fn poll(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let poll = given.take("poll").ok_or_else(|| Problem::field("poll", "required"))?;
    body.poll = Some(PollBody {
        question: poll.need("name")?,
        options: poll.list("options"),
        selectable: Some(u32::from(!poll.flag("multipleAnswers"))),
        correct: None,
    });
    Ok(())
}

pub(super) fn forward(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let message = given.need("messageId")?;
    body.forward = Some(ForwardBody { message: view::bare_id(&message).to_owned() });
    Ok(())
}
