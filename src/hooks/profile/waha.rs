//! The body that WAHA posts; its names of events are those of its own.

use serde_json::{Map, Value, json};

use super::event::{Setting, Told, by_phone, chat_of};
use super::group::{Change, Kind, Role};
use super::message::without_nulls;
use crate::config::EventFilter;
use crate::model::{
    Account, Body, DeviceData, EventData, EventType, MessageData, PhoneNumber, StatusData,
    UnixMillis,
};

/// Programs know four engines and refuse a fifth. What they know of this one is nearest to what moonwa does.
const ENGINE: &str = "GOWS";

pub(super) fn body(told: &Told, setting: &Setting<'_>) -> Option<Value> {
    let event = &told.event;
    let account = setting.account(&event.device);
    let at = event.timestamp.secs();
    let (name, payload) = match (&event.data, event.kind) {
        (EventData::Message(message), EventType::MessageReceived | EventType::MessageSent) => {
            (message_event(&setting.endpoint.events), content(told, message, account).into())
        }
        (EventData::Message(message), EventType::MessageReaction) => {
            let Body::Reaction(reaction) = &message.body else { return None };
            let target = reaction.about.message.as_deref()?;
            let mut payload = frame(message, at, account);
            let target = reacted_to(message, target);
            let said = json!({ "text": reaction.emoji, "messageId": target });
            payload.insert("reaction".to_owned(), said);
            ("message.reaction", payload.into())
        }
        (EventData::Message(message), EventType::MessageEdited) => {
            let original = message.circumstances.about.message.as_deref()?;
            let mut payload = content(told, message, account);
            payload.insert("editedMessageId".to_owned(), json!(original));
            ("message.edited", payload.into())
        }
        (EventData::Message(message), EventType::MessageRevoked) => {
            let Body::Revoked(target) = &message.body else { return None };
            let payload = json!({
                "after": frame(message, at, account),
                "before": null,
                "revokedMessageId": target.message,
            });
            ("message.revoked", payload)
        }
        (EventData::Status(status), _) => ("message.ack", receipt(status, account)?),
        (EventData::Device(state), _) => {
            let status = session_status(state);
            let point = json!({ "status": status, "timestamp": event.timestamp.millis() });
            (
                "session.status",
                json!({ "name": event.device, "status": status, "statuses": [point] }),
            )
        }
        (EventData::Other(data), EventType::GroupUpdated) => {
            group(&Change::read(data)?, event.timestamp, account)
        }
        (EventData::Other(data), EventType::PresenceUpdated) => {
            ("presence.update", presence(data)?)
        }
        (EventData::Other(data), EventType::CallOffer) => ("call.received", call(data, at)),
        _ => return None,
    };
    Some(json!({
        "id": event.id,
        "timestamp": event.timestamp.millis(),
        "event": name,
        "session": event.device,
        "metadata": {},
        "me": account.map(me),
        "payload": payload,
        "engine": ENGINE,
        "environment": {
            "version": env!("CARGO_PKG_VERSION"),
            "engine": ENGINE,
            "tier": "CORE",
            "browser": null,
        },
    }))
}

/// WAHA has one event for what came in, and another one for that and what the account itself wrote. Who is told of both
/// is told by the latter.
fn message_event(wanted: &EventFilter) -> &'static str {
    if wanted.wants(EventType::MessageSent) { "message.any" } else { "message" }
}

/// An address in WAHA's form: people are under `c.us`.
fn address(jid: &str) -> String {
    match jid.strip_suffix("@s.whatsapp.net") {
        Some(number) => format!("{number}@c.us"),
        None => jid.to_owned(),
    }
}

fn own(account: Option<&Account>) -> Option<String> {
    let phone = account?.phone.as_ref();
    phone.map(|phone: &PhoneNumber| format!("{}@c.us", phone.as_str()))
}

fn me(account: &Account) -> Value {
    json!({
        "id": own(Some(account)),
        "pushName": account.name,
        "lid": account.lid.as_ref().map(|lid| format!("{lid}@lid")),
    })
}

/// Who wrote a message in a group.
fn participant(message: &MessageData) -> Option<String> {
    let from = &message.from;
    message.group.as_ref().map(|_| address(&by_phone(&from.jid, from.phone.as_deref())))
}

/// The id of a message as WAHA writes it, with its chat.
fn whole_id(message: &MessageData) -> String {
    let (side, chat) = (message.from_me, address(&chat_of(message)));
    let author = participant(message).map(|author| format!("_{author}")).unwrap_or_default();
    format!("{side}_{chat}_{}{author}", message.id)
}

/// The id of the message that a reaction is about. Whose it was, the event does not tell: people react to what others
/// wrote.
fn reacted_to(message: &MessageData, target: &str) -> String {
    format!("{}_{}_{target}", !message.from_me, address(&chat_of(message)))
}

/// What every message says.
fn frame(message: &MessageData, at: u64, account: Option<&Account>) -> Map<String, Value> {
    let chat = address(&chat_of(message));
    let (from, to) =
        if message.from_me { (own(account), Some(chat)) } else { (Some(chat), own(account)) };
    let fields = [
        ("id", json!(whole_id(message))),
        ("timestamp", json!(at)),
        ("from", json!(from)),
        ("fromMe", json!(message.from_me)),
        ("source", json!("app")),
        ("to", json!(to)),
        ("participant", json!(participant(message))),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn content(told: &Told, message: &MessageData, account: Option<&Account>) -> Map<String, Value> {
    let mut shown = frame(message, told.event.timestamp.secs(), account);
    let media = message.media.as_ref().map(|media| {
        json!({
            "url": told.file.as_ref().unwrap_or(&media.url),
            "mimetype": media.mime,
            "filename": media.filename,
            "s3": null,
            "error": null,
        })
    });
    let reply = message.reply_to.as_ref().map(|reply| {
        json!({
            "id": reply.id,
            "participant": reply.from.as_deref().map(address),
            "body": reply.text,
        })
    });
    let (ack, ack_name) = if message.from_me { (1, "SERVER") } else { (2, "DEVICE") };
    let place = match &message.body {
        Body::Location(at) => json!({
            "latitude": at.latitude, "longitude": at.longitude, "live": false,
            "name": at.name, "address": at.address, "description": at.name,
        }),
        Body::LiveLocation(at) => {
            json!({ "latitude": at.latitude, "longitude": at.longitude, "live": true })
        }
        _ => Value::Null,
    };
    let cards: Vec<_> = match &message.body {
        Body::Contact(contacts) => {
            contacts.contacts.iter().filter_map(|card| card.vcard.clone()).collect()
        }
        _ => Vec::new(),
    };
    let raw = json!({
        "pushName": message.from.name,
        "kind": message.kind(),
        "senderPhone": message.from.phone,
        "senderLid": message.from.lid,
    });
    let fields = [
        ("body", json!(message.text)),
        ("hasMedia", json!(media.is_some())),
        ("media", json!(media)),
        ("ack", json!(ack)),
        ("ackName", json!(ack_name)),
        ("replyTo", json!(reply)),
        ("location", place),
        ("vCards", json!(cards)),
        ("_data", raw),
    ];
    shown.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    shown
}

fn receipt(status: &StatusData, account: Option<&Account>) -> Option<Value> {
    let (ack, name) = match status.status.as_str() {
        "accepted" => (1, "SERVER"),
        "delivered" => (2, "DEVICE"),
        "read" => (3, "READ"),
        "played" => (4, "PLAYED"),
        "failed" => (-1, "ERROR"),
        _ => return None,
    };
    let chat = address(&status.to);
    Some(json!({
        "id": format!("true_{chat}_{}", status.id),
        "from": own(account),
        "to": chat,
        "participant": null,
        "fromMe": true,
        "ack": ack,
        "ackName": name,
    }))
}

/// What happened to a group. WAHA says by the event's name whether it happened to the account itself, and gives the
/// time of these events alone in milliseconds.
fn group(change: &Change<'_>, at: UnixMillis, account: Option<&Account>) -> (&'static str, Value) {
    let (id, at, raw) = (change.group(), at.millis(), change.raw());
    let (kind, role) = match change.kind {
        Kind::Created => {
            let group = without_nulls(json!({ "id": id, "subject": change.subject() }));
            return ("group.v2.join", json!({ "timestamp": at, "group": group, "_data": raw }));
        }
        Kind::Info => {
            let group = without_nulls(json!({
                "id": id,
                "subject": change.subject(),
                "description": change.description(),
                "invite": change.invite(),
                "membersCanAddNewMember": change.all_add(),
                "membersCanSendMessages": change.announce().map(|admins_only| !admins_only),
                "newMembersApprovalRequired": change.approval(),
            }));
            return ("group.v2.update", json!({ "timestamp": at, "group": group, "_data": raw }));
        }
        Kind::Members(Role::Joined) => ("join", "participant"),
        Kind::Members(Role::Left) => ("leave", "left"),
        Kind::Members(Role::Promoted) => ("promote", "admin"),
        Kind::Members(Role::Demoted) => ("demote", "participant"),
    };
    let group = json!({ "id": id });
    let own = match kind {
        "join" => Some("group.v2.join"),
        "leave" => Some("group.v2.leave"),
        _ => None,
    };
    if let (Some(name), true) = (own, change.is_about(account)) {
        return (name, json!({ "timestamp": at, "group": group, "_data": raw }));
    }
    let members = change.members();
    let members = members.iter().map(|member| {
        let phone = member.phone.as_ref().map(|phone| format!("{phone}@c.us"));
        json!({ "id": address(&member.address()), "pn": phone, "role": role })
    });
    let payload = json!({
        "group": group,
        "type": kind,
        "timestamp": at,
        "participants": members.collect::<Vec<_>>(),
        "_data": raw,
    });
    ("group.v2.participants", payload)
}

fn call(data: &Value, at: u64) -> Value {
    let phone = data.get("phone").and_then(Value::as_str);
    let from = data.get("from").and_then(Value::as_str).unwrap_or_default();
    json!({
        "id": data.get("id"),
        "from": address(&by_phone(from, phone)),
        "timestamp": at,
        "isVideo": data.get("video").and_then(Value::as_bool).unwrap_or_default(),
        "isGroup": data.get("group").and_then(Value::as_bool).unwrap_or_default(),
        "_data": data,
    })
}

/// What somebody does; WAHA's words are those of its own.
fn presence(data: &Value) -> Option<Value> {
    let text = |place: &str| data.pointer(place).and_then(Value::as_str);
    let doing = match text("/presence")? {
        "available" => "online",
        "unavailable" => "offline",
        "composing" => "typing",
        other => other,
    };
    let who = address(&by_phone(text("/from/jid")?, text("/from/phone")));
    let last_seen = data.get("last_seen").cloned().unwrap_or_default();
    let last_seen: Option<UnixMillis> = serde_json::from_value(last_seen).ok()?;
    let presence = json!({
        "participant": who, "lastKnownPresence": doing, "lastSeen": last_seen.map(UnixMillis::secs),
    });
    Some(json!({ "id": address(text("/chat")?), "presences": [presence] }))
}

fn session_status(state: &DeviceData) -> &'static str {
    match (state.state.as_str(), state.reason.as_deref()) {
        ("connected" | "degraded", _) => "WORKING",
        ("linking", _) => "SCAN_QR_CODE",
        ("reconnecting", _) => "STARTING",
        ("pending", _) | ("stopped", Some("stopped" | "disabled" | "shutdown")) => "STOPPED",
        _ => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_came_in_has_another_name_where_ones_own_messages_come_too() {
        let wanted = |kinds: &[EventType]| {
            message_event(&EventFilter(kinds.iter().copied().collect::<BTreeSet<_>>()))
        };
        assert_eq!(wanted(&[EventType::MessageReceived]), "message");
        assert_eq!(wanted(&[EventType::MessageReceived, EventType::MessageSent]), "message.any");
    }
}
