//! What callers write as a message, right and wrong.

use serde_json::{Value, json};

use super::*;
use crate::api::http::request;
use crate::model::MediaSource;

fn read(body: &Value) -> Result<SendRequest, Problem> {
    Ok(wish(body)?.request)
}

fn wish(body: &Value) -> Result<Wish, Problem> {
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
    let card = |vcard: &str| json!({ "name": "n", "vcard": vcard });
    let cards = |list: &[Value]| json!({ "to": to, "contacts": list });
    let good = card("BEGIN:VCARD\n");
    assert!(read(&cards(&[good.clone(), good.clone()])).is_ok());
    assert_eq!(wrong(&cards(&[good.clone(), card("FN:n")])), ["contacts[1].vcard"]);
    for few_or_many in [vec![good.clone()], vec![good; 31]] {
        assert_eq!(wrong(&cards(&few_or_many)), ["contacts"]);
    }
    assert_eq!(wrong(&json!({ "to": to, "text": "a", "view_once": true })), ["view_once"]);
}

#[test]
fn everybody_is_mentioned_in_groups_only() {
    let all = |to: &str| json!({ "to": to, "text": "rapat", "mentions": ["all", "628123456789"] });
    let request = read(&all("120363000000000001@g.us")).unwrap();
    assert!(request.mention_all && request.mentions.len() == 1);
    assert_eq!(wrong(&all("628123456789")), ["mentions[0]"]);
}

#[test]
fn a_quiz_has_one_answer_that_is_right() {
    let quiz = |correct: &str, selectable: Value| {
        json!({ "to": "628123456789", "poll": { "question": "q", "options": ["a", "b"],
            "correct": correct, "selectable": selectable } })
    };
    let Content::Poll { correct, selectable, .. } = read(&quiz("b", json!(null))).unwrap().content
    else {
        panic!()
    };
    assert_eq!((correct.as_deref(), selectable), (Some("b"), 1));
    assert_eq!(wrong(&quiz("c", json!(1))), ["poll.correct"]);
    assert_eq!(wrong(&quiz("a", json!(2))), ["poll.selectable"]);
}

#[test]
fn an_event_has_a_time_and_a_place() {
    let event = |event: Value| json!({ "to": "628123456789", "event": event });
    let good = json!({ "name": "Rapat", "start": "2026-12-01T19:00:00+07:00", "end": "2026-12-01T13:00:00Z",
        "location": { "name": "Aula" }, "link": "https://meet.example/a" });
    let Content::Event { start, end, place: Some(place), .. } = read(&event(good)).unwrap().content
    else {
        panic!()
    };
    assert_eq!(start.to_string(), "2026-12-01T12:00:00Z");
    assert_eq!(end.map(|end| end.to_string()).as_deref(), Some("2026-12-01T13:00:00Z"));
    assert_eq!((place.name.as_deref(), place.degrees), (Some("Aula"), None));
    for (bad, path) in [
        (json!({ "name": " ", "start": "2026-12-01T19:00:00Z" }), "event.name"),
        (json!({ "name": "a", "start": "2026-12-01 19:00" }), "event.start"),
        (
            json!({ "name": "a", "start": "2026-12-01T19:00:00Z", "end": "2026-12-01T18:00:00Z" }),
            "event.end",
        ),
        (
            json!({ "name": "a", "start": "2026-12-01T19:00:00Z", "link": "javascript:1" }),
            "event.link",
        ),
        (json!({ "name": "a", "start": "2026-12-01T19:00:00Z", "location": {} }), "event.location"),
        (
            json!({ "name": "a", "start": "2026-12-01T19:00:00Z", "location": { "latitude": 1 } }),
            "event.location",
        ),
        (
            json!({ "name": "a", "start": "2026-12-01T19:00:00Z", "location": { "latitude": 91, "longitude": 0 } }),
            "event.location.latitude",
        ),
    ] {
        assert_eq!(wrong(&event(bad.clone())), [path], "{bad}");
    }
}

#[test]
fn an_album_has_pictures_and_films() {
    let album = |items: Value| {
        json!({ "to": "628123456789", "album": items, "mentions": ["628111000111"],
        "reply_to": "3EB0" })
    };
    let (image, video) = (
        json!({ "image": { "url": "https://a/1.jpg", "caption": "c" } }),
        json!({ "video": { "url": "https://a/2.mp4" } }),
    );
    let wish = wish(&album(json!([image, video, image]))).unwrap();
    assert!(matches!(wish.request.content, Content::Album { images: 2, videos: 1, .. }));
    assert!(wish.request.reply_to.is_some() && wish.request.mentions.is_empty());
    assert_eq!(wish.files.len(), 3);
    assert!(wish.files.iter().all(|file| file.mentions.len() == 1 && file.reply_to.is_none()));
    for (items, path) in [
        (json!([image]), "album"),
        (json!(vec![image.clone(); 31]), "album"),
        (json!([image, {}]), "album[1]"),
        (json!([image, { "image": { "url": "ftp://a" } }]), "album[1].image.url"),
        (
            json!([image, { "image": { "url": "https://a.example", "as_document": true } }]),
            "album[1]",
        ),
    ] {
        assert_eq!(wrong(&album(items)), [path]);
    }
    let once = json!({ "to": "628123456789", "album": [image, video], "view_once": true });
    assert_eq!(wrong(&once), ["view_once"]);
}
