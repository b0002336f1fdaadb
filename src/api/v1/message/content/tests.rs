//! What callers write as a message, right and wrong.

use serde_json::{Value, json};

use super::*;
use crate::api::http::request;

fn read(body: &Value) -> Result<SendRequest, Problem> {
    request::parse::<SendBody>(body.to_string().as_bytes())?.request(Some("62"))
}

fn wrong(body: &Value) -> Vec<String> {
    read(body).unwrap_err().issues.into_iter().map(|issue| issue.path).collect()
}

#[test]
fn text_needs_a_receiver_and_a_text() {
    let text = read(&json!({ "to": "0812-3456-789", "text": "Halo" })).unwrap();
    assert_eq!(text.to.jid().as_str(), "628123456789@s.whatsapp.net");
    assert_eq!(text.content, Content::Text { text: "Halo".into() });
    assert_eq!(wrong(&json!({ "text": "Halo" })), ["to"]);
    assert_eq!(wrong(&json!({ "to": "x", "text": " " })), ["to", "text"]);
    assert_eq!(wrong(&json!({ "to": "628123456789" })), [""]);
    let both = json!({ "to": "628123456789", "text": "a", "image": { "url": "https://a/b" } });
    assert_eq!(wrong(&both), [""]);
}

#[test]
fn unknown_fields_are_named() {
    for body in [
        json!({ "to": "628123456789", "txt": "Halo" }),
        json!({ "to": "628123456789", "image": { "txt": "https://a/b" } }),
    ] {
        let detail = read(&body).unwrap_err().detail.unwrap();
        assert!(detail.contains("unknown field `txt`"), "{detail}");
    }
}

#[test]
fn a_thumbnail_is_a_small_jpeg_of_what_can_show_one() {
    let media = |kind: &str, thumbnail: &str| json!({ "to": "628123456789", kind: { "url": "https://a/b", "thumbnail": thumbnail } });
    for kind in ["image", "video", "document"] {
        let Content::Media { thumbnail: Some(thumbnail), .. } =
            read(&media(kind, "/9j/4AAQ")).unwrap().content
        else {
            panic!("{kind}")
        };
        assert_eq!(thumbnail.bytes(), [0xff, 0xd8, 0xff, 0xe0, 0, 0x10]);
    }
    let large = format!("/9j/{}", "A".repeat(22_000));
    for (kind, thumbnail) in [
        ("image", "*"),
        ("image", "iVBORw0KGgo="),
        ("image", large.as_str()),
        ("image", ""),
        ("voice", "/9j/4AAQ"),
        ("sticker", "/9j/4AAQ"),
    ] {
        assert_eq!(wrong(&media(kind, thumbnail)), [format!("{kind}.thumbnail")], "{thumbnail}");
    }
}

#[test]
fn media_comes_from_one_place() {
    let media = |media: Value| json!({ "to": "628123456789", "image": media });
    let by_url = read(&media(json!({ "url": "https://a/b.png", "caption": "c" }))).unwrap();
    assert!(matches!(
        by_url.content,
        Content::Media { source: MediaSource::Url(_), caption: Some(_), .. }
    ));
    let inline = read(&media(json!({ "base64": "aGFsbw" }))).unwrap();
    assert!(matches!(
        &inline.content,
        Content::Media { source: MediaSource::Inline(bytes), .. } if bytes == b"halo"
    ));
    let data = read(&media(json!({ "base64": "data:image/png;base64,aGFsbw==" }))).unwrap();
    assert_eq!(data, inline);
    assert_eq!(wrong(&media(json!({ "url": "ftp://a" }))), ["image.url"]);
    assert_eq!(wrong(&media(json!({ "url": "file:///etc/passwd" }))), ["image.url"]);
    assert_eq!(wrong(&media(json!({ "base64": "*" }))), ["image.base64"]);
    assert_eq!(wrong(&media(json!({}))), ["image"]);
    assert_eq!(wrong(&media(json!({ "url": "https://a/b", "base64": "aGFsbw" }))), ["image"]);
    let spool = media(json!({ "spool": "/etc/passwd" }));
    assert!(read(&spool).unwrap_err().detail.unwrap().contains("unknown field `spool`"));
    let voice = json!({ "to": "628123456789", "voice": { "url": "https://a/b", "caption": "c" } });
    assert_eq!(wrong(&voice), ["voice.caption"]);
}

#[test]
fn the_other_kinds_are_checked() {
    let to = "628123456789";
    assert!(
        read(&json!({ "to": to, "location": { "latitude": -6.2, "longitude": 106.8 } })).is_ok()
    );
    assert_eq!(
        wrong(&json!({ "to": to, "location": { "latitude": 91, "longitude": 181 } })),
        ["location.latitude", "location.longitude"]
    );
    let poll =
        |options: Value| json!({ "to": to, "poll": { "question": "q", "options": options } });
    assert!(read(&poll(json!(["a", "b"]))).is_ok());
    assert_eq!(wrong(&poll(json!(["a", "a"]))), ["poll.options"]);
    assert_eq!(wrong(&poll(json!([]))), ["poll.options", "poll.selectable"]);
    let reaction = json!({ "to": to, "reaction": { "message": "a b", "emoji": "👍" } });
    assert_eq!(wrong(&reaction), ["reaction.message", ""]);
    assert!(
        read(&json!({ "to": to, "contact": { "name": "n", "vcard": "BEGIN:VCARD\n" } })).is_ok()
    );
    assert_eq!(wrong(&json!({ "to": to, "text": "a", "view_once": true })), ["view_once"]);
}
