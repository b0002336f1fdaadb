//! The body that Evolution API v2 posts: the events of Baileys in an envelope of its own.

use serde_json::{Map, Value, json};

use super::event::{Setting, Told, by_phone, chat_of};
use super::group::{Change, Kind, Member, Role};
use super::message::{context, key_of, said, without_nulls};
use crate::model::{
    Body, DeviceData, DeviceName, EventData, EventType, Jid, MessageData, StatusData, UnixMillis,
};

pub(super) fn body(told: &Told, setting: &Setting<'_>) -> Option<Value> {
    let event = &told.event;
    let (name, data) = match (&event.data, event.kind) {
        (EventData::Message(message), EventType::MessageRevoked) => {
            ("messages.delete", deleted(message)?)
        }
        (EventData::Message(message), EventType::MessageEdited) => {
            ("messages.edited", edited(told, message)?)
        }
        (EventData::Message(_), EventType::MessageUndecryptable) => return None,
        (EventData::Message(message), _) => ("messages.upsert", upsert(told, message)?),
        (EventData::Status(status), _) => ("messages.update", update(told, status)?),
        (EventData::Device(device), _) => ("connection.update", connection(told, device, setting)),
        (EventData::Other(data), EventType::GroupUpdated) => group(told, &Change::read(data)?),
        (EventData::Other(data), EventType::CallOffer) => ("call", call(told, data)),
        (EventData::Other(_), _) => return None,
    };
    Some(envelope(name, &event.device, &data, event.timestamp, setting))
}

fn envelope(
    name: &str,
    device: &DeviceName,
    data: &Value,
    at: UnixMillis,
    setting: &Setting<'_>,
) -> Value {
    json!({
        "event": name,
        "instance": device,
        "data": data,
        "destination": setting.endpoint.shown_url(),
        "date_time": at,
        "sender": jid(setting, device),
        "server_url": setting.public_url,
        // Only its hash is known.
        "apikey": null,
    })
}

/// A code to scan. It is in no event of the log.
pub(super) fn code(
    device: &DeviceName,
    code: &str,
    picture: &str,
    at: UnixMillis,
    setting: &Setting<'_>,
) -> Value {
    let code = json!({ "instance": device, "pairingCode": null, "code": code, "base64": picture });
    envelope("qrcode.updated", device, &json!({ "qrcode": code }), at, setting)
}

/// The address of a device's account, if that is known.
fn jid(setting: &Setting<'_>, device: &DeviceName) -> Option<Jid> {
    setting.account(device)?.phone.as_ref().map(Jid::of_phone)
}

/// A message's own key.
fn key(message: &MessageData) -> Value {
    let lid = message.from.lid.as_ref().filter(|_| !message.from_me);
    let lid = lid.map(|lid| format!("{}@lid", lid.trim_end_matches("@lid")));
    let from = by_phone(&message.from.jid, message.from.phone.as_deref());
    let mut key = Map::new();
    key.insert("remoteJid".to_owned(), chat_of(message).into());
    key.insert("fromMe".to_owned(), message.from_me.into());
    key.insert("id".to_owned(), json!(message.id));
    let alternative = if message.group.is_some() {
        key.insert("participant".to_owned(), from.into());
        "participantAlt"
    } else {
        "remoteJidAlt"
    };
    if let Some(lid) = lid {
        key.insert(alternative.to_owned(), lid.into());
    }
    key.into()
}

fn upsert(told: &Told, message: &MessageData) -> Option<Value> {
    let event = &told.event;
    let (kind, content) = said(told, message, "url")?;
    let mut says = Map::from_iter([(kind.to_owned(), content)]);
    if message.media.is_some() {
        // As Evolution gives it when files are kept in a store of their own.
        says.insert("mediaUrl".to_owned(), json!(told.file));
    }
    Some(json!({
        "key": key(message),
        "pushName": message.from.name,
        "status": if message.from_me { "SERVER_ACK" } else { "DELIVERY_ACK" },
        "message": says,
        "contextInfo": context(message),
        "messageType": kind,
        "messageTimestamp": event.timestamp.secs(),
        "instanceId": event.device,
        "source": "unknown",
    }))
}

fn edited(told: &Told, message: &MessageData) -> Option<Value> {
    let original = message.circumstances.about.message.as_deref()?;
    Some(json!({
        "key": key_of(message, Some(original), Some(message.from_me)),
        "type": "MESSAGE_EDIT",
        "editedMessage": { "conversation": message.text },
        "timestampMs": told.event.timestamp.millis().to_string(),
    }))
}

fn deleted(message: &MessageData) -> Option<Value> {
    let Body::Revoked(target) = &message.body else { return None };
    let mut key = key_of(message, target.message.as_deref(), Some(message.from_me));
    if let Value::Object(fields) = &mut key {
        fields.insert("status".to_owned(), "DELETED".into());
    }
    Some(key)
}

fn update(told: &Told, status: &StatusData) -> Option<Value> {
    let word = match status.status.as_str() {
        "accepted" => "SERVER_ACK",
        "delivered" => "DELIVERY_ACK",
        "read" => "READ",
        "played" => "PLAYED",
        "failed" => "ERROR",
        _ => return None,
    };
    Some(json!({
        "messageId": status.id,
        "keyId": status.id,
        "remoteJid": status.to,
        "fromMe": true,
        "status": word,
        "instanceId": told.event.device,
    }))
}

/// The state of the connection.
fn connection(told: &Told, device: &DeviceData, setting: &Setting<'_>) -> Value {
    let name = &told.event.device;
    let (state, reason) = match device.state.as_str() {
        "connected" | "degraded" => ("open", 200),
        "reconnecting" | "linking" => ("connecting", 200),
        // The numbers are those of Baileys' `DisconnectReason`.
        "logged_out" => ("close", 401),
        _ => match device.reason.as_deref() {
            Some("banned" | "refused") => ("close", 403),
            Some("replaced") => ("close", 440),
            _ => ("close", 428),
        },
    };
    let mut data = json!({ "instance": name, "state": state, "statusReason": reason });
    if let (Value::Object(fields), "open") = (&mut data, state) {
        fields.insert("wuid".to_owned(), json!(jid(setting, name)));
        let account = setting.account(name).and_then(|account| account.name.as_ref());
        fields.insert("profileName".to_owned(), json!(account));
        fields.insert("profilePictureUrl".to_owned(), Value::Null);
    }
    data
}

/// What happened to a group, in the three events that Baileys has for it.
fn group(told: &Told, change: &Change<'_>) -> (&'static str, Value) {
    let (id, author) = (change.group(), change.by());
    let action = match change.kind {
        Kind::Created => {
            let made = json!({
                "id": id,
                "subject": change.subject(),
                "owner": author,
                "creation": told.event.timestamp.secs(),
            });
            return ("groups.upsert", json!([without_nulls(made)]));
        }
        Kind::Info => {
            let info = json!({
                "id": id,
                "author": author,
                "subject": change.subject(),
                "desc": change.description(),
                "announce": change.announce(),
                "restrict": change.locked(),
                "ephemeralDuration": change.ephemeral(),
                "joinApprovalMode": change.approval(),
                "memberAddMode": change.all_add(),
                "inviteCode": change.invite(),
            });
            return ("groups.update", json!([without_nulls(info)]));
        }
        Kind::Members(Role::Joined) => "add",
        Kind::Members(Role::Left) => "remove",
        Kind::Members(Role::Promoted) => "promote",
        Kind::Members(Role::Demoted) => "demote",
    };
    let members: Vec<String> = change.members().iter().map(Member::address).collect();
    let told = json!({ "id": id, "author": author, "participants": members, "action": action });
    ("group-participants.update", without_nulls(told))
}

fn call(told: &Told, data: &Value) -> Value {
    let phone = data.get("phone").and_then(Value::as_str);
    let from = by_phone(data.get("from").and_then(Value::as_str).unwrap_or_default(), phone);
    let missed = data.get("missed") == Some(&Value::Bool(true));
    without_nulls(json!({
        "chatId": from,
        "from": from,
        "id": data.get("id"),
        "date": told.event.timestamp,
        "isVideo": data.get("video"),
        "isGroup": data.get("group"),
        "status": if missed { "timeout" } else { "offer" },
        "offline": missed,
    }))
}
