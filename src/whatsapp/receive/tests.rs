use proptest::prelude::*;
use wa_rs::buffa::MessageField;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::proto_helpers::MessageBuilderExt;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::protocol_message::Type;

use serde_json::{Value, json};

use super::decode::message;
use crate::model::detail::Unsupported;
use crate::model::{Body, DeviceName, EventData, EventType, MessageData, MessageKind, Person};

fn some<T: Default>(value: T) -> MessageField<T> {
    MessageField::some(value)
}

fn info(id: &str) -> MessageInfo {
    let mut info = MessageInfo { id: id.to_owned(), ..MessageInfo::default() };
    info.source.chat = "628111@s.whatsapp.net".parse().unwrap();
    info.source.sender = "628111:3@s.whatsapp.net".parse().unwrap();
    info
}

fn decode(m: &wa::Message) -> Option<(EventType, MessageData)> {
    let device = DeviceName::parse("toko").unwrap();
    let from = Person { jid: "628111@s.whatsapp.net".into(), phone: None, lid: None, name: None };
    let decoded = message(&device, &info("3EB0"), m, from, "628111@s.whatsapp.net".into())?;
    let EventData::Message(data) = decoded.event.data else { panic!("no message") };
    Some((decoded.event.kind, *data))
}

fn wrap(m: wa::Message) -> wa::message::FutureProofMessage {
    wa::message::FutureProofMessage { message: some(m) }
}

#[test]
fn wrappers_are_taken_off() {
    let text = || wa::Message::text("halo");
    let ephemeral = wa::Message { ephemeral_message: some(wrap(text())), ..Default::default() };
    let sent = wa::Message {
        device_sent_message: some(wa::message::DeviceSentMessage {
            message: some(ephemeral.clone()),
            ..Default::default()
        }),
        ..Default::default()
    };
    for wrapped in [text(), ephemeral, sent] {
        let (kind, data) = decode(&wrapped).unwrap();
        assert_eq!((kind, data.kind()), (EventType::MessageReceived, MessageKind::Text));
        assert_eq!(data.text.as_deref(), Some("halo"));
    }
    let image = wa::Message {
        image_message: some(wa::message::ImageMessage {
            direct_path: Some("/v/x".into()),
            file_sha256: Some(vec![0xab; 32]),
            caption: Some("lihat".into()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let once = wa::Message { view_once_message_v2: some(wrap(image)), ..Default::default() };
    let (_, data) = decode(&once).unwrap();
    assert_eq!((&data.body, data.text.as_deref()), (&Body::Image, Some("lihat")));
    assert_eq!(data.circumstances.view_once, Some(true));
    assert_eq!(data.media.unwrap().sha256, Some("ab".repeat(32)));
}

#[test]
fn what_is_done_to_a_message_names_it() {
    let key = || some(wa::MessageKey { id: Some("TARGET".into()), ..Default::default() });
    let reaction = wa::Message {
        reaction_message: some(wa::message::ReactionMessage {
            key: key(),
            text: Some("👍".into()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let protocol = |kind, edited| wa::Message {
        protocol_message: some(wa::message::ProtocolMessage {
            key: key(),
            r#type: Some(kind),
            edited_message: edited,
            ..Default::default()
        }),
        ..Default::default()
    };
    let revoked = protocol(Type::REVOKE, MessageField::none());
    let edited = protocol(Type::MESSAGE_EDIT, some(wa::Message::text("benar")));
    for (m, kind, text) in [
        (reaction, EventType::MessageReaction, Some("👍")),
        (revoked, EventType::MessageRevoked, None),
        (edited, EventType::MessageEdited, Some("benar")),
    ] {
        let (seen, data) = decode(&m).unwrap();
        assert_eq!((seen, data.text.as_deref()), (kind, text));
        let json = serde_json::to_value(&data).unwrap();
        assert_eq!(json["details"]["message"], "TARGET");
    }
}

#[test]
fn a_reply_carries_what_it_answers_and_who_is_mentioned() {
    let context = wa::ContextInfo {
        stanza_id: Some("3EB1".into()),
        participant: Some("1@lid".into()),
        quoted_message: some(wa::Message::text("jam berapa?")),
        mentioned_jid: vec!["2@lid".into()],
        ..Default::default()
    };
    let (_, data) = decode(&wa::Message::text_with_context("8", context)).unwrap();
    assert_eq!(data.mentions, ["2@lid"]);
    let reply = data.reply_to.unwrap();
    assert_eq!((reply.id.as_str(), reply.from.as_deref()), ("3EB1", Some("1@lid")));
    assert_eq!(reply.text.as_deref(), Some("jam berapa?"));
}

#[test]
fn what_is_not_understood_is_named_and_plumbing_is_silent() {
    let chat = wa::Message {
        chat: some(wa::message::Chat { id: Some("7".into()), ..Default::default() }),
        ..Default::default()
    };
    let (_, data) = decode(&chat).unwrap();
    let raw = Some(json!({ "chat": { "id": "7" } }));
    assert_eq!(data.body, Body::Unsupported(Unsupported { r#type: "chat".into(), raw }));
    let keys = wa::Message {
        sender_key_distribution_message: some(wa::message::SenderKeyDistributionMessage::default()),
        message_context_info: some(wa::MessageContextInfo::default()),
        ..Default::default()
    };
    assert!(decode(&keys).is_none());
    assert!(decode(&wa::Message::default()).is_none());
}

/// A field on the wire.
fn field(number: u32, wire: u32, value: &[u8]) -> Vec<u8> {
    let length = (wire == 2).then(|| u32::try_from(value.len()).unwrap());
    let mut bytes = Vec::new();
    for mut n in [number << 3 | wire].into_iter().chain(length) {
        while n > 0x7f {
            bytes.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        bytes.push(u8::try_from(n).unwrap());
    }
    bytes.extend(value);
    bytes
}

/// Both a text and a message whose first field is a text.
const TEXT: &[u8] = b"\n\x01x";

/// The first form of a field that `good` takes: a number, a message or text, fractions.
fn of_any_form(number: u32, inner: &[u8], good: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let forms = [
        field(number, 0, &[1]),
        field(number, 2, inner),
        field(number, 2, TEXT),
        field(number, 1, &[0, 0, 0, 0, 0, 0, 0x1a, 0x40]),
        field(number, 5, &[0, 0, 0x80, 0x3f]),
    ];
    forms.into_iter().find(|form| good(form)).unwrap_or_default()
}

/// Of every field that a message can have, a message with it alone, and in it all that it can have, two levels deep.
fn filled() -> Vec<wa::Message> {
    let decoded = |bytes: &[u8]| wa_rs::waproto::codec::message_decode(bytes).ok();
    let known = |number: &u32| decoded(&field(*number, 2, &[])).is_some();
    let fill = |number: u32| {
        let inside = |below: u32| {
            let deep = |deeper: u32| {
                let good =
                    |form: &[u8]| decoded(&field(number, 2, &field(below, 2, form))).is_some();
                of_any_form(deeper, TEXT, good)
            };
            let deep: Vec<u8> = (1..20).flat_map(deep).collect();
            of_any_form(below, &deep, |form| decoded(&field(number, 2, form)).is_some())
        };
        let inner: Vec<u8> = (1..60).flat_map(inside).collect();
        decoded(&field(number, 2, &inner))
    };
    (1..400).filter(known).filter_map(fill).collect()
}

fn edited(new: wa::Message) -> wa::Message {
    let protocol = wa::message::ProtocolMessage {
        key: some(wa::MessageKey { id: Some("TARGET".into()), ..Default::default() }),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: some(new),
        ..Default::default()
    };
    wa::Message { protocol_message: some(protocol), ..Default::default() }
}

/// An edit names what it edits where some kinds name what they are about, so the JSON is compared.
fn reads_again(data: &MessageData) {
    let json = serde_json::to_value(data).unwrap();
    let read: MessageData = serde_json::from_value(json.clone()).unwrap();
    assert!(!matches!(read.body, Body::Other(..)), "{json}");
    assert_eq!(serde_json::to_value(&read).unwrap(), json);
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let mut kinds = Vec::new();
    for m in filled() {
        for m in [edited(m.clone()), m] {
            let Some((_, data)) = decode(&m) else { continue };
            reads_again(&data);
            kinds.push(data.kind());
        }
    }
    let missing = MessageKind::ALL.iter().filter(|kind| !kinds.contains(kind));
    let missing: Vec<&str> = missing.map(MessageKind::as_str).collect();
    // A voice note is an audio as well, a product hides a catalog, and no field alone takes back or is unavailable.
    assert_eq!(missing, ["audio", "revoked", "catalog", "unavailable"]);
}

/// Every field that a message can have, alone in one, as it comes from the wire.
#[test]
fn no_kind_is_silent() {
    // What carries keys and settings, and nothing that a person or a program could use.
    const SILENT: [&str; 9] = [
        "sender_key_distribution_message",
        "fast_ratchet_key_sender_key_distribution_message",
        "device_sent_message",
        "message_context_info",
        "message_history_bundle",
        "sticker_sync_rmr_message",
        "group_root_key_share",
        "root_secret_distribute_message",
        "protocol_message",
    ];
    let (mut named, mut silent) = (0, Vec::new());
    for number in 1_u32..400 {
        let bytes = field(number, 2, &[]);
        let Ok(m) = wa_rs::waproto::codec::message_decode(&bytes[..]) else { continue };
        let Ok(Value::Object(fields)) = serde_json::to_value(&m) else { panic!("no object") };
        let first = fields.iter().find(|(name, value)| !name.starts_with("__") && !value.is_null());
        let Some((name, _)) =
            first.filter(|(_, value)| value.as_array().is_none_or(|a| !a.is_empty()))
        else {
            continue;
        };
        match decode(&m) {
            Some((_, data)) => {
                if let Body::Unsupported(Unsupported { r#type, raw }) = data.body {
                    assert_eq!(r#type, name.trim_end_matches("_message"));
                    assert!(raw.is_some_and(|raw| raw.is_object()), "{name}");
                }
                named += 1;
            }
            None => silent.push(name.clone()),
        }
    }
    silent.sort_unstable();
    let mut expected = SILENT.map(str::to_owned).to_vec();
    expected.sort_unstable();
    assert_eq!(silent, expected);
    assert!(named > 90, "{named} fields were found");
}

#[test]
fn the_id_follows_the_stanza_not_what_is_shown() {
    let device = DeviceName::parse("toko").unwrap();
    let event = |chat: &str, name: Option<&str>| {
        let from =
            Person { jid: "1@lid".into(), phone: None, lid: None, name: name.map(str::to_owned) };
        let text = wa::Message::text("x");
        message(&device, &info("3EB0"), &text, from, chat.to_owned()).unwrap().event.id
    };
    assert_eq!(event("1@lid", None), event("628111@s.whatsapp.net", Some("Budi")));
}

proptest! {
    #[test]
    fn any_bytes_that_parse_can_be_told(bytes: Vec<u8>) {
        if let Ok(m) = wa_rs::waproto::codec::message_decode(&bytes[..])
            && let Some((_, data)) = decode(&m)
        {
            reads_again(&data);
        }
    }
}
