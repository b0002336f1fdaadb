//! The body that go-whatsapp-web-multidevice posts; see docs/webhook-payload.md of that project.

use serde_json::{Map, Value, json};

use super::event::{Setting, Told, by_phone, chat_of, rfc3339};
use super::group::{Change, Kind, Member, Role};
use super::message::{file_word, without_nulls};
use crate::model::{Body, EventData, EventType, MessageData, StatusData};

pub(super) fn body(told: &Told, setting: &Setting<'_>) -> Option<Value> {
    let event = &told.event;
    let account = setting.account(&event.device).and_then(|account| account.phone.as_ref());
    let device = account.map_or_else(
        || event.device.to_string(),
        |phone| format!("{}@s.whatsapp.net", phone.as_str()),
    );
    let (name, payload) = match (&event.data, event.kind) {
        (EventData::Message(message), EventType::MessageReceived | EventType::MessageSent) => {
            ("message", content(told, message))
        }
        (EventData::Message(message), EventType::MessageReaction) => {
            ("message.reaction", reaction(told, message)?)
        }
        (EventData::Message(message), EventType::MessageRevoked) => {
            ("message.revoked", revoked(told, message)?)
        }
        (EventData::Message(message), EventType::MessageEdited) => {
            ("message.edited", edited(told, message)?)
        }
        (EventData::Status(status), _) => ("message.ack", receipt(status)?),
        (EventData::Other(data), EventType::GroupUpdated) => group(&Change::read(data)?, &device)?,
        (EventData::Other(data), EventType::CallOffer) => ("call.offer", call(data)),
        _ => return None,
    };
    let mut posted = json!({ "event": name, "device_id": device, "payload": payload });
    if let (Value::Object(fields), true) =
        (&mut posted, !matches!(event.data, EventData::Message(_)))
    {
        fields.insert("timestamp".to_owned(), rfc3339(event.timestamp).into());
    }
    Some(posted)
}

/// What every message says.
fn common(told: &Told, message: &MessageData) -> Map<String, Value> {
    let from = &message.from;
    let lid = from.lid.as_ref().map(|lid| format!("{}@lid", lid.trim_end_matches("@lid")));
    let fields = [
        ("id", json!(message.id)),
        ("chat_id", json!(chat_of(message))),
        ("from", json!(by_phone(&from.jid, from.phone.as_deref()))),
        ("from_lid", json!(lid)),
        ("from_name", json!(from.name)),
        ("timestamp", json!(rfc3339(told.event.timestamp))),
        ("is_from_me", json!(message.from_me)),
    ];
    let known = fields.into_iter().filter(|(_, value)| !value.is_null());
    known.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn content(told: &Told, message: &MessageData) -> Value {
    let mut payload = common(told, message);
    let mut say = |name: &str, value: Value| payload.insert(name.to_owned(), value);
    if let Some(text) = &message.text {
        say("body", json!(text));
    }
    if let Some(reply) = &message.reply_to {
        say("replied_to_id", json!(reply.id));
        if let Some(text) = &reply.text {
            say("quoted_body", json!(text));
        }
    }
    if message.circumstances.view_once == Some(true) {
        say("view_once", true.into());
    }
    if message.circumstances.forwarded == Some(true) {
        say("forwarded", true.into());
    }
    let place =
        |latitude, longitude| json!({ "degreesLatitude": latitude, "degreesLongitude": longitude });
    match &message.body {
        Body::Location(at) => {
            let mut shown = place(at.latitude, at.longitude);
            if let Value::Object(fields) = &mut shown {
                fields.extend([
                    ("name".to_owned(), json!(at.name)),
                    ("address".to_owned(), json!(at.address)),
                ]);
            }
            say("location", shown);
        }
        Body::LiveLocation(at) => {
            say("live_location", place(at.latitude, at.longitude));
        }
        Body::Contact(contacts) => {
            let cards = contacts.contacts.iter();
            let mut cards: Vec<Value> = cards
                .map(|card| json!({ "displayName": card.name, "vcard": card.vcard }))
                .collect();
            match cards.len() {
                1 => say("contact", cards.remove(0)),
                _ => say("contacts_array", cards.into()),
            };
        }
        _ => {}
    }
    if let (Some(media), Some(name)) = (&message.media, file_word(&message.kind())) {
        // The file is fetched from moonwa when it is wanted, so it is given as GOWA gives one that it did not download.
        let url = told.file.as_ref().unwrap_or(&media.url);
        let mut file = Map::from_iter([("url".to_owned(), json!(url))]);
        if let Some(name) = &media.filename {
            file.insert("filename".to_owned(), json!(name));
        }
        if let Some(caption) = &message.text {
            file.insert("caption".to_owned(), json!(caption));
        }
        say(name, file.into());
    }
    payload.into()
}

fn reaction(told: &Told, message: &MessageData) -> Option<Value> {
    let Body::Reaction(reaction) = &message.body else { return None };
    let mut payload = common(told, message);
    payload.insert("reaction".to_owned(), json!(reaction.emoji));
    payload.insert("reacted_message_id".to_owned(), json!(reaction.about.message));
    Some(payload.into())
}

fn revoked(told: &Told, message: &MessageData) -> Option<Value> {
    let Body::Revoked(target) = &message.body else { return None };
    let mut payload = common(told, message);
    payload.insert("revoked_message_id".to_owned(), json!(target.message));
    payload.insert("revoked_from_me".to_owned(), json!(message.from_me));
    payload.insert("revoked_chat".to_owned(), json!(chat_of(message)));
    Some(payload.into())
}

fn edited(told: &Told, message: &MessageData) -> Option<Value> {
    let original = message.circumstances.about.message.as_ref()?;
    let mut payload = common(told, message);
    payload.insert("original_message_id".to_owned(), json!(original));
    payload.insert("body".to_owned(), json!(message.text));
    Some(payload.into())
}

fn receipt(status: &StatusData) -> Option<Value> {
    let (kind, words) = match status.status.as_str() {
        "delivered" => (
            "delivered",
            "means the message was delivered to the device (but the user might not have noticed).",
        ),
        "read" => ("read", "the user opened the chat and saw the message."),
        "played" => {
            ("played", "the user opened a view-once media message or played an audio message.")
        }
        _ => return None,
    };
    Some(json!({
        "ids": [status.id],
        "chat_id": status.to,
        "from": status.to,
        "receipt_type": kind,
        "receipt_type_description": words,
    }))
}

/// Who came, went or got another role, and that the account is in a new group; other changes of a group are not told.
fn group(change: &Change<'_>, account: &str) -> Option<(&'static str, Value)> {
    let kind = match change.kind {
        Kind::Created => {
            let payload = json!({
                "chat_id": change.group(),
                "type": "join",
                "jids": [account],
                "reason": change.reason(),
                "group_name": change.subject(),
            });
            return Some(("group.joined", without_nulls(payload)));
        }
        Kind::Members(Role::Joined) => "join",
        Kind::Members(Role::Left) => "leave",
        Kind::Members(Role::Promoted) => "promote",
        Kind::Members(Role::Demoted) => "demote",
        Kind::Info => return None,
    };
    let jids: Vec<String> = change.members().iter().map(Member::address).collect();
    let payload = json!({ "chat_id": change.group(), "type": kind, "jids": jids });
    Some(("group.participants", payload))
}

fn call(data: &Value) -> Value {
    let phone = data.get("phone").and_then(Value::as_str);
    let from = data.get("from").and_then(Value::as_str).unwrap_or_default();
    without_nulls(json!({
        "call_id": data.get("id"),
        "from": by_phone(from, phone),
        "from_lid": from.ends_with("@lid").then_some(from),
        "auto_rejected": false,
    }))
}
