//! The frozen face, byte for byte.

use super::*;
use crate::model::{MessageId, PhoneNumber, UnixMillis};

fn refused(refusal: &Refusal) -> (u16, String) {
    let (status, body) = refusal.parts();
    (status.as_u16(), body.to_string())
}

fn sent(kind: Kind) -> String {
    let at = UnixMillis::from_secs(1_795_420_800);
    let message = SentMessage {
        id: MessageId::parse("3EB0AA").unwrap(),
        device: DeviceName::parse("toko").unwrap(),
        request: SendRequest {
            to: Recipient::parse("628123456789", None).unwrap(),
            content: Content::Text { text: "Halo".into() },
            reply_to: None,
            mentions: Vec::new(),
            view_once: false,
        },
        status: MessageStatus::Sent,
        created: at,
        updated: at,
    };
    success(kind, &message).to_string()
}

#[test]
fn success_is_frozen() {
    assert_eq!(
        sent(Kind::Message),
        "{\"status\":true,\"message\":\"Message sent.\",\"data\":{\"id\":\"3EB0AA\",\
         \"to\":\"628123456789@s.whatsapp.net\",\"timestamp\":\"2026-11-23T08:00:00Z\"}}"
    );
    assert!(
        sent(Kind::Media).starts_with("{\"status\":true,\"message\":\"Media sent.\",\"data\":{")
    );
}

#[test]
fn every_refusal_is_frozen() {
    let failed = |kind| Refusal::Failed(kind, "463".into());
    let rows = [
        (
            Refusal::Invalid(vec![Issue::new("receiver", "required")]),
            "{\"status\":false,\"message\":\"Invalid request.\",\"error\":\"invalid_request\",\
             \"errors\":[{\"path\":\"receiver\",\"msg\":\"required\"}]}",
        ),
        (
            Refusal::Key,
            "{\"status\":false,\"message\":\"Invalid API Key.\",\"error\":\"invalid_api_key\"}",
        ),
        (
            Refusal::NotConnected,
            "{\"status\":false,\"message\":\"Device is stopped.\",\"error\":\"device_not_connected\"}",
        ),
        (
            Refusal::NotOnWhatsApp,
            "{\"status\":false,\"message\":\"Invalid WhatsApp number.\",\"error\":\"not_on_whatsapp\"}",
        ),
        (
            failed(Kind::Message),
            "{\"status\":false,\"message\":\"Failed to send message.\",\"error\":\"463\"}",
        ),
        (
            failed(Kind::Media),
            "{\"status\":false,\"message\":\"Failed to send media.\",\"error\":\"463\"}",
        ),
    ];
    for (refusal, body) in rows {
        assert_eq!(refused(&refusal), (400, body.to_owned()));
    }
    let (status, body) = refused(&Problem::new(Code::TooLarge, "x").into());
    assert_eq!(
        (status, body.as_str()),
        (
            413,
            "{\"status\":false,\"message\":\"The request is too large.\",\"error\":\"too_large\"}"
        )
    );
    let busy = Problem::from(Code::QueueFull).retry_after(Duration::from_mins(1));
    let response = Refusal::Other(busy).render();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"60".parse().unwrap())
    );
}

#[test]
fn groups_and_members_are_frozen() {
    let id = Jid::parse("120363@g.us").unwrap();
    let group = GroupSummary { id, name: "Toko".into(), members: Vec::new() };
    assert_eq!(
        group_list(&[group]).to_string(),
        "{\"status\":true,\"data\":[{\"name\":\"Toko\",\"id\":\"120363@g.us\"}]}"
    );
    let member = GroupMember {
        jid: Jid::parse("1555@lid").unwrap(),
        phone: PhoneNumber::parse("628123456789", None).ok(),
        lid: Some("1555".to_owned()),
        admin: true,
    };
    assert_eq!(
        member_list(&[member]).to_string(),
        "{\"status\":true,\"data\":[{\"id\":\"1555@lid\",\"phone\":\"628123456789\",\
         \"lid\":\"1555\",\"admin\":true}]}"
    );
}

fn read(body: &str) -> Fields {
    Fields::read(body.as_bytes(), !body.starts_with('{')).unwrap()
}

#[test]
fn bodies_are_understood_as_people_write_them() {
    for body in [
        r#"{"api_key":"k","receiver":"628123456789","data":{"message":"Halo"}}"#,
        r#"{"api_key":"k","to":628123456789,"message":"Halo"}"#,
        r#"{"api_key":"k","phone":"628123456789","text":"Halo","number":""}"#,
        "api_key=k&number=628123456789&data[message]=Halo",
        "api_key=k&receiver=628123456789&data%5Bmessage%5D=Halo",
        "api_key=k&receiver=628123456789&message=Halo",
    ] {
        let fields = read(body);
        assert_eq!(fields.get(&["api_key"]), Some("k"), "{body}");
        assert_eq!(fields.get(RECEIVER), Some("628123456789"), "{body}");
        let mut issues = Vec::new();
        let contents = content(Kind::Message, &fields, &mut issues);
        assert_eq!(contents, [Content::Text { text: "Halo".into() }], "{body}");
        assert!(issues.is_empty(), "{body}");
    }
}

#[test]
fn what_is_missing_is_named_as_documented() {
    let missing = |kind, body| {
        let mut issues = Vec::new();
        content(kind, &read(body), &mut issues);
        issues.into_iter().map(|issue| issue.path).collect::<Vec<_>>()
    };
    assert_eq!(missing(Kind::Message, "{}"), ["data.message"]);
    assert_eq!(missing(Kind::Message, r#"{"data":{"message":["a"]}}"#), ["data.message"]);
    assert_eq!(missing(Kind::Media, "{}"), ["data.url", "data.media_type"]);
    let wrong = r#"{"data":{"url":"file:///etc/passwd","media_type":"gif"}}"#;
    assert_eq!(missing(Kind::Media, wrong), ["data.url", "data.media_type"]);
    for broken in ["{", "[]", "{\"a\":1}x", "", "null"] {
        assert!(Fields::read(broken.as_bytes(), false).is_err(), "{broken}");
    }
    assert!(Fields::read(b"a=%ff", true).is_err());
    assert!(Fields::read("[".repeat(60_000).as_bytes(), false).is_err());
}

#[test]
fn a_file_is_a_document_named_by_its_url() {
    for (url, name) in [
        ("https://a.example/b/Faktur%20Mei.pdf?x=1#y", "Faktur Mei.pdf"),
        ("https://a.example", "file"),
        ("https://a.example/b/", "file"),
        ("https://a.example/%ff", "file"),
    ] {
        assert_eq!(last_segment(url), name, "{url}");
    }
    let fields = read(r#"{"data":{"url":"https://a/b.pdf","media_type":"file","caption":"c"}}"#);
    let mut issues = Vec::new();
    let contents = content(Kind::Media, &fields, &mut issues);
    assert!(matches!(
        &contents[..],
        [Content::Media { media: MediaKind::Document, filename: Some(name), caption: Some(_), .. }] if name == "b.pdf"
    ));
}

#[test]
fn an_audio_caption_follows_as_a_second_message() {
    let contents = media_contents(MediaKind::Audio, "https://a/b.mp3", Some("Lagu"));
    assert!(matches!(&contents[0], Content::Media { caption: None, .. }));
    assert_eq!(contents[1..], [Content::Text { text: "Lagu".into() }]);
    assert_eq!(media_contents(MediaKind::Video, "https://a/b", Some("c")).len(), 1);
    let key = IdempotencyKey::parse(&"k".repeat(255)).unwrap();
    let second = nth_key(Some(&key), 1).unwrap();
    assert_eq!(nth_key(Some(&key), 0), Some(key));
    assert_eq!(nth_key(IdempotencyKey::parse(&"k".repeat(255)).as_ref(), 1), Some(second));
    assert_eq!(nth_key(None, 1), None);
}
