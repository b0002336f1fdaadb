//! `/chat/send/…`. A file is a `data:` URL, or the URL of one.

use hyper::header::HeaderValue;
use serde_json::json;

use super::form::{done, given};
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::message;
use crate::api::http::problem::Problem;
use crate::api::v1::message::content::{ContactBody, LocationBody, PollBody, SendBody};
use crate::model::MediaKind;

/// One of the operations.
pub(super) struct Sending {
    /// The field with the receiver.
    to: &'static str,
    content: fn(&mut Given, &mut SendBody) -> Result<(), Problem>,
    done: &'static str,
}

const fn to_phone(content: fn(&mut Given, &mut SendBody) -> Result<(), Problem>) -> Sending {
    Sending { to: "phone", content, done: "Sent" }
}

pub(super) static TEXT: Sending = to_phone(text);
pub(super) static IMAGE: Sending =
    to_phone(|given, body| file(given, body, MediaKind::Image, "image"));
pub(super) static VIDEO: Sending =
    to_phone(|given, body| file(given, body, MediaKind::Video, "video"));
pub(super) static DOCUMENT: Sending =
    to_phone(|given, body| file(given, body, MediaKind::Document, "document"));
pub(super) static STICKER: Sending =
    to_phone(|given, body| file(given, body, MediaKind::Sticker, "sticker"));
/// A voice note, unless it is told otherwise.
pub(super) static AUDIO: Sending = to_phone(|given, body| {
    let kind = if given.flag_or("ptt", true) { MediaKind::Voice } else { MediaKind::Audio };
    file(given, body, kind, "audio")
});
pub(super) static LOCATION: Sending = to_phone(location);
pub(super) static CONTACT: Sending = to_phone(contact);
pub(super) static POLL: Sending =
    Sending { to: "group", content: poll, done: "Poll sent successfully" };

pub(super) async fn send(call: &mut Call, what: &'static Sending) -> Answer {
    let mut given = given(call).await?;
    let body = body(&mut given, what)?;
    once(call, &given);
    let sent = message::send(call, body, None).await?;
    let data = json!({ "Details": what.done, "Timestamp": sent.updated.secs(), "Id": sent.id });
    Ok(done(&data))
}

fn body(given: &mut Given, what: &Sending) -> Result<SendBody, Problem> {
    let mut body = SendBody { to: given.need(what.to)?, ..SendBody::default() };
    (what.content)(given, &mut body)?;
    let context = given.inner("contextinfo").uncased();
    body.reply_to = context.text("stanzaid");
    body.mentions = context.list("mentionedjid");
    if given.flag("mentionall") {
        body.mentions = vec!["all".to_owned()];
    }
    Ok(body)
}

/// wuzapi lets its callers choose a message's id, so that what is sent twice arrives once. moonwa chooses the id itself,
/// and keeps that promise by taking theirs for an idempotency key.
fn once(call: &mut Call, given: &Given) {
    const KEY: &str = "idempotency-key";
    let id = given.text("id").and_then(|id| HeaderValue::from_str(&id).ok());
    if let Some(id) = id
        && !call.head.headers.contains_key(KEY)
    {
        call.head.headers.insert(KEY, id);
    }
}

fn text(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    body.text = Some(given.need("body")?);
    body.link_preview = given.flag("linkpreview");
    Ok(())
}

fn file(
    given: &mut Given,
    body: &mut SendBody,
    kind: MediaKind,
    field: &'static str,
) -> Result<(), Problem> {
    let mut media = given.file(field)?;
    media.caption = given.text("caption").filter(|_| kind.has_caption());
    if kind == MediaKind::Document {
        media.filename = Some(given.need("filename")?);
        media.mime = given.text("mimetype");
    }
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
    body.contact = Some(ContactBody { name: given.need("name")?, vcard: given.need("vcard")? });
    Ok(())
}

fn poll(given: &mut Given, body: &mut SendBody) -> Result<(), Problem> {
    body.poll = Some(PollBody {
        question: given.need("header")?,
        options: given.list("options"),
        selectable: Some(1),
        correct: None,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::{Content, MediaSource, SendRequest};

    fn request(what: &Sending, json: &Value) -> Result<SendRequest, Problem> {
        Ok(body(&mut Given::of(json).uncased(), what)?.request(None)?.request)
    }

    /// The bodies of API.md.
    #[test]
    fn the_documented_bodies_are_understood() {
        let to = "5491155554444";
        let text = json!({
            "Phone": to, "Body": "Ditto",
            "ContextInfo": { "StanzaId": "AA3DSE28UDJES3", "Participant": "5491155553935@s.whatsapp.net" },
        });
        let sent = request(&TEXT, &text).unwrap();
        assert_eq!(sent.content, Content::Text { text: "Ditto".into() });
        assert_eq!(sent.reply_to.unwrap().as_str(), "AA3DSE28UDJES3");
        let link = json!({ "phone": to, "body": "https://example.com", "LinkPreview": true });
        assert!(matches!(request(&TEXT, &link).unwrap().content, Content::LinkedText { .. }));

        let files = [
            (
                &IMAGE,
                json!({ "Phone": to, "Caption": "Look", "Image": "data:image/jpeg;base64,aGFsbw==" }),
                MediaKind::Image,
            ),
            (
                &VIDEO,
                json!({ "Phone": to, "Video": "data:video/mp4;base64,aGFsbw==" }),
                MediaKind::Video,
            ),
            (
                &AUDIO,
                json!({ "Phone": to, "Audio": "data:audio/ogg;base64,aGFsbw==" }),
                MediaKind::Voice,
            ),
            (
                &AUDIO,
                json!({ "Phone": to, "PTT": false, "Audio": "data:audio/ogg;base64,aGFsbw==" }),
                MediaKind::Audio,
            ),
            (
                &STICKER,
                json!({ "Phone": to, "Sticker": "data:image/webp;base64,aGFsbw==" }),
                MediaKind::Sticker,
            ),
            (
                &DOCUMENT,
                json!({ "Phone": to, "FileName": "hola.txt", "Document": "data:application/octet-stream;base64,aGFsbw==" }),
                MediaKind::Document,
            ),
        ];
        for (what, body, wanted) in files {
            let Content::Media { media, source, .. } = request(what, &body).unwrap().content else {
                panic!("{body}")
            };
            assert_eq!((media, source), (wanted, MediaSource::Inline(b"halo".to_vec())), "{body}");
        }
        let url = json!({ "Phone": to, "Image": "https://example.com/a.png" });
        let Content::Media { source, .. } = request(&IMAGE, &url).unwrap().content else {
            panic!("no file")
        };
        assert!(matches!(source, MediaSource::Url(_)));
        assert!(request(&DOCUMENT, &json!({ "Phone": to, "Document": "aGFsbw==" })).is_err());

        let place =
            json!({ "Latitude": 48.858_370, "Longitude": 2.294_481, "Phone": to, "Name": "Paris" });
        assert!(matches!(request(&LOCATION, &place).unwrap().content, Content::Location { .. }));
        let card =
            json!({ "Phone": to, "Name": "Casa", "Vcard": "BEGIN:VCARD\nVERSION:3.0\nEND:VCARD" });
        assert!(matches!(request(&CONTACT, &card).unwrap().content, Content::Contact { .. }));
        let poll =
            json!({ "group": "120363313346913103@g.us", "header": "Cor?", "options": ["a", "b"] });
        let sent = request(&POLL, &poll).unwrap();
        assert!(sent.to.jid().is_group() && matches!(sent.content, Content::Poll { .. }));
    }
}
