//! The body that programs written for docs.moonwa.id expect.

use bytes::Bytes;
use serde::Serialize;

use super::event;
use crate::model::{EventType, Jid, MessageData, PhoneNumber, UnixMillis};

/// The first four keys never change; the others came later, and more may follow.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Moonwa<'a> {
    message: &'a str,
    from: &'a str,
    is_group: bool,
    is_me: bool,
    id: &'a str,
    message_id: &'a str,
    device: &'a str,
    timestamp: UnixMillis,
    chat: &'a str,
    sender: Option<&'a str>,
    sender_lid: Option<&'a str>,
    name: Option<&'a str>,
}

/// The body for the event whose JSON is `source`; `None` when this format cannot express the event, which is then passed
/// over.
pub(super) fn body(source: &[u8]) -> Option<Bytes> {
    let (event, message) = event::message(source)?;
    message.answer_to()?;
    // A reaction's emoji is no message.
    let says = !matches!(event.kind, EventType::MessageReaction | EventType::PollVote);
    let text = message.text.as_deref().filter(|_| says)?;
    let chat_phone = Jid::parse(&message.chat).ok().and_then(|chat| chat.phone());
    let posted = Moonwa {
        message: text,
        from: answer_to(&message, chat_phone.as_ref().map(PhoneNumber::as_str)),
        is_group: message.group.is_some(),
        is_me: message.from_me,
        id: event.id.as_str(),
        message_id: &message.id,
        device: event.device.as_str(),
        timestamp: event.timestamp,
        chat: &message.chat,
        sender: message.from.phone.as_deref(),
        sender_lid: message.from.lid.as_deref(),
        name: message.from.name.as_deref(),
    };
    serde_json::to_vec(&posted).ok().map(Bytes::from)
}

/// What a program writes as `receiver` to answer: the group, the person's number, or their address as long as the
/// number is not known.
fn answer_to<'a>(message: &'a MessageData, chat_phone: Option<&'a str>) -> &'a str {
    if let Some(group) = &message.group {
        return group;
    }
    let sender = message.from.phone.as_deref().filter(|_| !message.from_me);
    chat_phone.or(sender).unwrap_or(&message.chat)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> Bytes {
        let id = crate::model::EventId::derive(&[kind, data]);
        Bytes::from(format!(
            r#"{{"id":"{id}","type":"{kind}","timestamp":"2026-11-23T08:00:00Z","device":"toko","data":{data}}}"#
        ))
    }

    fn text(chat: &str, group: &str, from_me: bool, phone: &str) -> Bytes {
        event(
            "message.received",
            &format!(
                r#"{{"id":"3EB0","chat":"{chat}","from":{{"jid":"77@lid","phone":{phone},"lid":"77@lid","name":"Budi"}},
                "from_me":{from_me},"group":{group},"kind":"text","text":"halo","mentions":[],"reply_to":null,"media":null}}"#
            ),
        )
    }

    fn sent(source: &Bytes) -> serde_json::Value {
        serde_json::from_slice(&body(source).unwrap()).unwrap()
    }

    #[test]
    fn the_four_documented_keys_come_first() {
        let source = text("628123456789@s.whatsapp.net", "null", false, "\"628123456789\"");
        let bytes = body(&source).unwrap();
        let documented = r#"{"message":"halo","from":"628123456789","isGroup":false,"isMe":false,"#;
        assert!(bytes.starts_with(documented.as_bytes()), "{bytes:?}");
    }

    #[test]
    fn from_can_be_answered_to() {
        let lid = text("77@lid", "null", false, "\"628123456789\"");
        assert_eq!(sent(&lid)["from"], "628123456789");
        let unknown = text("77@lid", "null", false, "null");
        assert_eq!(sent(&unknown)["from"], "77@lid");
        let group = text("1203@g.us", "\"1203@g.us\"", false, "\"628123456789\"");
        assert_eq!(sent(&group)["from"], "1203@g.us");
        assert_eq!(sent(&group)["isGroup"], true);
        assert_eq!(sent(&group)["sender"], "628123456789");
        let mine = text("628999999999@s.whatsapp.net", "null", true, "\"628123456789\"");
        assert_eq!(sent(&mine)["from"], "628999999999");
        assert_eq!(sent(&mine)["isMe"], true);
    }

    #[test]
    fn a_caption_is_a_message_and_what_has_no_words_is_passed_over() {
        let image = |kind: &str, text: &str| {
            let data = format!(
                r#"{{"id":"1","chat":"77@lid","from":{{"jid":"77@lid","phone":null,"lid":null,"name":null}},
                "from_me":false,"group":null,"kind":"image","text":{text},"mentions":[],"reply_to":null,"media":null}}"#
            );
            event(kind, &data)
        };
        assert_eq!(sent(&image("message.received", "\"caption\""))["message"], "caption");
        assert_eq!(body(&image("message.received", "null")), None);
        assert_eq!(body(&image("message.reaction", "\"+1\"")), None);
        let state =
            event("device.state", r#"{"status":"CONNECTED","state":"connected","reason":null}"#);
        assert_eq!(body(&state), None);
        assert_eq!(body(&Bytes::from_static(b"not json")), None);
    }
}
