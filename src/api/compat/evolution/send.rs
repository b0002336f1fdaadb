//! `/message/…`: what is sent, by JSON, or with a file in parts.

use serde_json::{Value, json};

use super::form::{NUMBER, created, jid, receiver};
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::message;
use crate::api::http::problem::Problem;
use crate::api::v1::message::content::{
    ContactBody, LocationBody, PollBody, ReactionBody, SendBody,
};
use crate::model::{Content, Jid, MediaKind, SentMessage};

/// One of the operations.
pub(super) struct Sending {
    /// Whether a file may come in the part `file`.
    file: bool,
    content: fn(&mut Given, &mut SendBody) -> Result<(), Problem>,
}

pub(super) static TEXT: Sending = Sending { file: false, content: text };
pub(super) static MEDIA: Sending = Sending { file: true, content: media };
pub(super) static VOICE: Sending =
    Sending { file: true, content: |given, body| file(given, body, MediaKind::Voice, "audio") };
pub(super) static STICKER: Sending =
    Sending { file: true, content: |given, body| file(given, body, MediaKind::Sticker, "sticker") };
pub(super) static LOCATION: Sending = Sending { file: false, content: location };
pub(super) static CONTACT: Sending = Sending { file: false, content: contact };
pub(super) static POLL: Sending = Sending { file: false, content: poll };

pub(super) async fn send(call: &mut Call, what: &'static Sending) -> Answer {
    let mut given = Given::read(call, what.file.then_some("file")).await?;
    let number = given.need("number")?;
    let mut body = body(&mut given, &number, what)?;
    body.reply_to = given.inner("quoted").inner("key").text("id");
    let upload = given.upload.take();
    let sent = message::send(call, body, upload).await;
    Ok(created(&answer(&sent.map_err(|problem| problem.with(NUMBER, number))?)))
}

fn body(given: &mut Given, number: &str, what: &Sending) -> Result<SendBody, Problem> {
    let mut body = SendBody { to: receiver(number), ..SendBody::default() };
    (what.content)(given, &mut body)?;
    let everybody = given.flag("mentionsEveryOne") || given.flag("everyOne");
    body.mentions = if everybody && body.to.ends_with("@g.us") {
        vec!["all".to_owned()]
    } else {
        given.list("mentioned")
    };
    Ok(body)
}

fn text(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let text = given.need("text")?;
    // Evolution shows a link's page unless it is told not to.
    let links = text.contains("https://") || text.contains("http://");
    body.link_preview = links && given.flag_or("linkPreview", true);
    body.text = Some(text);
    Ok(())
}

fn media(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let kind = match given.need("mediatype")?.as_str() {
        "image" => MediaKind::Image,
        "video" | "ptv" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        "document" => MediaKind::Document,
        _ => return Err(Problem::field("mediatype", "must be image, video, audio or document")),
    };
    file(given, body, kind, "media")
}

fn file(
    given: &mut Given,
    body: &mut SendBody,
    kind: MediaKind,
    field: &'static str,
) -> Result<(), Problem> {
    let mut media = given.file(field)?;
    media.caption = given.text("caption").filter(|_| kind.has_caption());
    // Callers name the type of a picture as they like, and moonwa looks at it; of a document only they know it.
    let document = kind == MediaKind::Document;
    media.mime = given.text("mimetype").or(media.mime).filter(|_| document);
    media.filename = given.text("fileName").or(media.filename).filter(|_| document);
    body.set_media(kind, media);
    Ok(())
}

fn location(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    body.location = Some(LocationBody {
        latitude: given.number("latitude")?,
        longitude: given.number("longitude")?,
        name: given.text("name"),
        address: given.text("address"),
    });
    Ok(())
}

fn contact(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let cards: Vec<_> = given.inners("contact").iter().map(card).collect::<Result<_, _>>()?;
    if cards.is_empty() {
        return Err(Problem::field("contact", "required"));
    }
    body.set_contacts(cards);
    Ok(())
}

fn card(card: &Given) -> Result<ContactBody, Problem> {
    let line = |name: &str| card.text(name).map(|text| text.replace(['\r', '\n'], " "));
    let name = line("fullName").ok_or_else(|| Problem::field("contact.fullName", "required"))?;
    let phone = line("phoneNumber").or_else(|| line("wuid"));
    let phone = phone.ok_or_else(|| Problem::field("contact.phoneNumber", "required"))?;
    let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let id = digits(line("wuid").unwrap_or_else(|| phone.clone()));
    let mut vcard = vec!["BEGIN:VCARD".to_owned(), "VERSION:3.0".to_owned()];
    vcard.extend([format!("N:{name}"), format!("FN:{name}")]);
    let others = [("ORG", "organization", ";"), ("EMAIL", "email", ""), ("URL", "url", "")];
    let known = |(field, given, end)| Some(format!("{field}:{}{end}", line(given)?));
    vcard.extend(others.into_iter().filter_map(known));
    vcard.push(format!("item1.TEL;waid={id}:{phone}\nitem1.X-ABLabel:Celular\nEND:VCARD"));
    Ok(ContactBody { name, vcard: vcard.join("\n") })
}

fn poll(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    let most = given.number("selectableCount")?.as_u64();
    let most = most.and_then(|most| u32::try_from(most).ok());
    body.poll = Some(PollBody {
        question: given.need("name")?,
        options: given.list("values"),
        selectable: Some(
            most.ok_or_else(|| Problem::field("selectableCount", "must be a number"))?,
        ),
        correct: None,
    });
    Ok(())
}

/// `POST /message/sendReaction/{device}`.
pub(super) async fn react(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let key = given.inner("key");
    let chat = jid(&key.need("remoteJid").map_err(|_absent| Problem::field("key", "required"))?);
    let chat = Jid::parse(&chat).map_err(|error| Problem::field("key.remoteJid", error))?;
    let id = key.need("id").map_err(|_absent| Problem::field("key.id", "required"))?;
    message::about(call, &id);
    let author = match key.text("participant") {
        _ if key.flag("fromMe") => None,
        Some(author) => Some(author),
        None => message::author(call, &call.message()?, &chat).await?.map(String::from),
    };
    let emoji = given.text("reaction").unwrap_or_default();
    let reaction = ReactionBody { message: id, emoji, author };
    let body = SendBody { to: chat.to_string(), reaction: Some(reaction), ..SendBody::default() };
    Ok(created(&answer(&message::send(call, body, None).await?)))
}

/// A message that was sent, as Baileys' callers know one.
fn answer(sent: &SentMessage) -> Value {
    let (kind, content) = said(&sent.request.content);
    json!({
        "key": { "remoteJid": sent.request.to.jid(), "fromMe": true, "id": sent.id },
        "pushName": "",
        "status": "PENDING",
        "message": { kind: content },
        "contextInfo": null,
        "messageType": kind,
        "messageTimestamp": sent.updated.secs(),
        "instanceId": sent.device,
        "source": "unknown",
    })
}

fn said(content: &Content) -> (&'static str, Value) {
    match content {
        Content::Media { media, mime, filename, caption, .. } => {
            let kind = match media {
                MediaKind::Image => "imageMessage",
                MediaKind::Video => "videoMessage",
                MediaKind::Audio | MediaKind::Voice => "audioMessage",
                MediaKind::Document => "documentMessage",
                MediaKind::Sticker => "stickerMessage",
            };
            (kind, json!({ "mimetype": mime, "caption": caption, "fileName": filename }))
        }
        Content::Location { latitude, longitude, name, address } => {
            let degrees = |text: &String| text.parse::<f64>().ok();
            let place = json!({
                "degreesLatitude": degrees(latitude),
                "degreesLongitude": degrees(longitude),
                "name": name,
                "address": address,
            });
            ("locationMessage", place)
        }
        Content::Contact { name, vcard } => {
            ("contactMessage", json!({ "displayName": name, "vcard": vcard }))
        }
        Content::Contacts { contacts } => {
            let cards = contacts.iter();
            let cards = cards.map(|card| json!({ "displayName": card.name, "vcard": card.vcard }));
            ("contactsArrayMessage", json!({ "contacts": cards.collect::<Vec<_>>() }))
        }
        Content::Poll { question, options, selectable, .. } => {
            let options = options.iter().map(|option| json!({ "optionName": option }));
            let poll = json!({
                "name": question,
                "options": options.collect::<Vec<_>>(),
                "selectableOptionsCount": selectable,
            });
            ("pollCreationMessage", poll)
        }
        Content::Reaction { message, emoji, .. } => {
            ("reactionMessage", json!({ "key": { "id": message }, "text": emoji }))
        }
        other => ("conversation", json!(other.words())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MediaSource, SendRequest};

    fn request(what: &Sending, json: &Value) -> Result<SendRequest, Problem> {
        let mut given = Given::of(json);
        let number = given.need("number")?;
        Ok(body(&mut given, &number, what)?.request(Some("55"))?.request)
    }

    #[test]
    fn the_documented_bodies_are_understood() {
        let text =
            json!({ "number": "5511999999999", "text": "Olá", "delay": 1200, "linkPreview": true });
        let sent = request(&TEXT, &text).unwrap();
        assert_eq!(sent.to.jid().as_str(), "5511999999999@s.whatsapp.net");
        assert_eq!(sent.content, Content::Text { text: "Olá".into() });
        let link = json!({ "number": 5_511_999_999_999_u64, "text": "https://a.b" });
        let sent = request(&TEXT, &link).unwrap();
        assert_eq!(sent.content, Content::LinkedText { text: "https://a.b".into() });
        let without =
            json!({ "number": "5511999999999", "text": "https://a.b", "linkPreview": false });
        assert!(matches!(request(&TEXT, &without).unwrap().content, Content::Text { .. }));

        let group =
            json!({ "number": "120363025486632919", "text": "oi", "mentionsEveryOne": true });
        let sent = request(&TEXT, &group).unwrap();
        assert!(sent.mention_all && sent.to.jid().is_group());
        let poll = json!({
            "number": "5511999999999", "name": "Cor?", "selectableCount": 1, "values": ["a", "b"],
        });
        assert!(matches!(
            request(&POLL, &poll).unwrap().content,
            Content::Poll { selectable: 1, .. }
        ));
        let place = json!({
            "number": "5511999999999", "name": "Bora", "address": "Rua", "latitude": -16.5, "longitude": "-49.3",
        });
        assert!(matches!(request(&LOCATION, &place).unwrap().content, Content::Location { .. }));
    }

    #[test]
    fn a_file_is_a_url_or_base64() {
        let media = |kind: &str, media: &str| {
            let body = json!({
                "number": "5511999999999", "mediatype": kind, "mimetype": "image/jpeg",
                "caption": "foto", "media": media, "fileName": "a.jpg",
            });
            request(&MEDIA, &body).unwrap().content
        };
        let Content::Media { source, mime, filename, caption, .. } = media("image", "https://a/b")
        else {
            panic!("no file")
        };
        assert!(matches!(source, MediaSource::Url(_)));
        assert_eq!((mime, filename, caption.as_deref()), (None, None, Some("foto")));
        for text in ["aGFsbw==", "data:image/png;base64,aGFsbw=="] {
            let Content::Media { source, .. } = media("image", text) else { panic!("no file") };
            assert_eq!(source, MediaSource::Inline(b"halo".to_vec()));
        }
        let Content::Media { filename, mime, .. } = media("document", "https://a/b") else {
            panic!("no file")
        };
        assert_eq!((filename.as_deref(), mime.as_deref()), (Some("a.jpg"), Some("image/jpeg")));
    }

    #[test]
    fn a_contact_is_the_card_that_evolution_makes() {
        let body = json!({ "number": "5511999999999", "contact": [{
            "fullName": "Ana\nBEGIN:VCARD", "wuid": "5511888888888", "phoneNumber": "+55 11 88888-8888",
            "organization": "Loja", "email": "a@b.example", "url": "https://a.b",
        }] });
        let Content::Contact { name, vcard } = request(&CONTACT, &body).unwrap().content else {
            panic!("no contact")
        };
        assert_eq!(name, "Ana BEGIN:VCARD");
        assert_eq!(
            vcard,
            "BEGIN:VCARD\nVERSION:3.0\nN:Ana BEGIN:VCARD\nFN:Ana BEGIN:VCARD\nORG:Loja;\n\
             EMAIL:a@b.example\nURL:https://a.b\nitem1.TEL;waid=5511888888888:+55 11 88888-8888\n\
             item1.X-ABLabel:Celular\nEND:VCARD"
        );
        let none = json!({ "number": "5511999999999", "contact": [] });
        assert!(request(&CONTACT, &none).is_err());
    }
}
