//! The body that wuzapi posts: the events of whatsmeow as JSON, in a field of a form or, on request, as the whole body.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::event::{Told, by_phone, chat_of, rfc3339};
use super::group::{Change, Kind, Member, Role};
use super::message::{file_word, said, without_nulls};
use crate::model::{
    Body, ChatKind, DeviceData, DeviceName, EventData, EventType, Jid, MessageData, StatusData,
};

/// What Go's `url.Values` leaves as it is: receivers build the form again to check its signature. A space becomes a plus.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// A form whose `jsonData` is the event.
pub(super) fn form(told: &Told) -> Option<Bytes> {
    Some(form_of(&event(told)?, &told.event.device))
}

/// The event alone, as wuzapi posts it where it was told to post JSON.
pub(super) fn body(told: &Told) -> Option<Value> {
    Some(body_of(event(told)?, &told.event.device))
}

/// A code to scan. It is in no event of the log.
pub(super) fn code_form(device: &DeviceName, picture: &str) -> Bytes {
    form_of(&code_event(picture), device)
}

pub(super) fn code(device: &DeviceName, picture: &str) -> Value {
    body_of(code_event(picture), device)
}

fn code_event(picture: &str) -> Value {
    json!({ "type": "QR", "event": "code", "qrCodeBase64": picture })
}

/// Of a device's keys only the hashes are known, so `token` is the device's name.
fn form_of(event: &Value, device: &DeviceName) -> Bytes {
    let (data, device) = (event.to_string(), device.as_str());
    let fields =
        [("instanceName", device), ("jsonData", &data), ("token", device), ("userID", device)];
    let pairs = fields.map(|(name, value)| {
        format!("{name}={}", utf8_percent_encode(value, ESCAPED).to_string().replace(' ', "+"))
    });
    Bytes::from(pairs.join("&"))
}

fn body_of(mut event: Value, device: &DeviceName) -> Value {
    if let Value::Object(fields) = &mut event {
        fields.insert("instanceName".to_owned(), json!(device));
        fields.insert("userID".to_owned(), json!(device));
    }
    event
}

fn event(told: &Told) -> Option<Value> {
    match (&told.event.data, told.event.kind) {
        (EventData::Message(_), EventType::MessageUndecryptable) => None,
        (EventData::Message(message), kind) => said_event(told, message, kind),
        (EventData::Status(status), _) => receipt(told, status),
        (EventData::Device(device), _) => device_event(device),
        (EventData::Other(data), EventType::CallOffer) => Some(call(told, data)),
        (EventData::Other(data), EventType::GroupUpdated) => {
            Some(group(told, &Change::read(data)?))
        }
        (EventData::Other(_), _) => None,
    }
}

fn said_event(told: &Told, message: &MessageData, kind: EventType) -> Option<Value> {
    let (name, content) = match (&message.body, kind) {
        (Body::Revoked(target), _) => {
            let key = json!({ "remoteJID": chat_of(message), "ID": target.message });
            ("protocolMessage", json!({ "key": key, "type": 0 }))
        }
        (_, EventType::MessageEdited) => {
            let original = message.circumstances.about.message.as_ref()?;
            let edited = json!({ "conversation": message.text });
            let key = json!({ "remoteJID": chat_of(message), "ID": original });
            ("protocolMessage", json!({ "key": key, "type": 14, "editedMessage": edited }))
        }
        _ => said(told, message, "URL")?,
    };
    let file = message.media.as_ref().and_then(|media| Some((media, file_word(&message.kind())?)));
    let once = message.circumstances.view_once == Some(true);
    let mut posted = json!({
        "type": "Message",
        "event": {
            "Info": info(told, message, file.map(|(_, word)| word)),
            "Message": Map::from_iter([(name.to_owned(), content)]),
            "IsEphemeral": message.disappears_after.is_some(),
            "IsViewOnce": once,
            "IsDocumentWithCaption": false,
            "IsEdit": kind == EventType::MessageEdited,
            "RetryCount": 0,
        },
    });
    if let (Some((media, _)), Value::Object(fields)) = (file, &mut posted) {
        // As it is where wuzapi puts files into a store of their own.
        let stored = json!({
            "url": told.file,
            "mimeType": media.mime,
            "fileName": media.filename,
            "size": media.size,
        });
        fields.insert("s3".to_owned(), stored);
        fields.insert("mimeType".to_owned(), json!(media.mime));
        fields.insert("fileName".to_owned(), json!(media.filename));
    }
    Some(posted)
}

fn info(told: &Told, message: &MessageData, file: Option<&str>) -> Value {
    let from = &message.from;
    let lid = from.lid.as_ref().map(|lid| format!("{}@lid", lid.trim_end_matches("@lid")));
    let in_list =
        Jid::parse(&message.chat).is_ok_and(|chat| chat.chat_kind() == ChatKind::Broadcast);
    json!({
        "Chat": chat_of(message),
        "Sender": by_phone(&from.jid, from.phone.as_deref()),
        "IsFromMe": message.from_me,
        "IsGroup": message.group.is_some() || in_list,
        "AddressingMode": "pn",
        "SenderAlt": lid.unwrap_or_default(),
        "RecipientAlt": "",
        "ID": message.id,
        "Type": if file.is_some() { "media" } else { "text" },
        "PushName": from.name.as_deref().unwrap_or_default(),
        "Timestamp": rfc3339(told.event.timestamp),
        "MediaType": file.unwrap_or_default(),
        "Edit": "",
    })
}

fn receipt(told: &Told, status: &StatusData) -> Option<Value> {
    let (state, kind) = match status.status.as_str() {
        "delivered" => ("Delivered", ""),
        "read" => ("Read", "read"),
        _ => return None,
    };
    Some(json!({
        "type": "ReadReceipt",
        "state": state,
        "event": {
            "Chat": status.to,
            "Sender": status.to,
            "IsFromMe": false,
            "IsGroup": status.to.ends_with("@g.us"),
            "MessageIDs": [status.id],
            "Timestamp": rfc3339(told.event.timestamp),
            "Type": kind,
        },
    }))
}

fn device_event(device: &DeviceData) -> Option<Value> {
    Some(match device.state.as_str() {
        "connected" => json!({ "type": "Connected", "event": {} }),
        "logged_out" => {
            json!({ "type": "LoggedOut", "event": { "OnConnect": false, "Reason": 401 } })
        }
        "reconnecting" | "stopped" => json!({ "type": "Disconnected", "event": {} }),
        _ => return None,
    })
}

fn call(told: &Told, data: &Value) -> Value {
    let phone = data.get("phone").and_then(Value::as_str);
    let from = by_phone(data.get("from").and_then(Value::as_str).unwrap_or_default(), phone);
    json!({
        "type": "CallOffer",
        "event": {
            "From": from,
            "CallCreator": from,
            "CallID": data.get("id"),
            "Timestamp": rfc3339(told.event.timestamp),
        },
    })
}

/// What happened to a group, in whatsmeow's words: of a change, all else is null.
fn group(told: &Told, change: &Change<'_>) -> Value {
    let at = rfc3339(told.event.timestamp);
    if change.kind == Kind::Created {
        let event = json!({ "JID": change.group(), "Name": change.subject(), "Sender": change.by(), "Timestamp": at });
        return json!({ "type": "JoinedGroup", "event": without_nulls(event) });
    }
    let members: Vec<String> = change.members().iter().map(Member::address).collect();
    let of = |role| (change.kind == Kind::Members(role)).then_some(&members);
    let event = json!({
        "JID": change.group(),
        "Sender": change.by(),
        "Timestamp": at,
        "Name": change.subject().map(|name| json!({ "Name": name })),
        "Topic": change.description().map(
            |text| json!({ "Topic": text, "TopicDeleted": text.is_empty() }),
        ),
        "Locked": change.locked().map(|on| json!({ "IsLocked": on })),
        "Announce": change.announce().map(|on| json!({ "IsAnnounce": on })),
        "Ephemeral": change.ephemeral().map(
            |seconds| json!({ "IsEphemeral": seconds > 0, "DisappearingTimer": seconds }),
        ),
        "MembershipApprovalMode": change.approval().map(
            |on| json!({ "IsJoinApprovalRequired": on }),
        ),
        "NewInviteLink": change.invite().map(|code| format!("https://chat.whatsapp.com/{code}")),
        "Join": of(Role::Joined),
        "Leave": of(Role::Left),
        "Promote": of(Role::Promoted),
        "Demote": of(Role::Demoted),
    });
    json!({ "type": "GroupInfo", "event": event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_say_the_same() {
        let id = crate::model::EventId::derive(&["wuzapi"]);
        let source = json!({
            "id": id, "type": "message.status", "timestamp": "2026-11-23T08:00:00Z", "device": "toko",
            "data": { "id": "3EB0", "to": "628123456789@s.whatsapp.net", "status": "read", "code": null },
        });
        let told = Told::read(source.to_string().as_bytes()).unwrap();
        let mut whole = body(&told).unwrap();
        assert_eq!((&whole["instanceName"], &whole["userID"]), (&json!("toko"), &json!("toko")));
        for name in ["instanceName", "userID"] {
            whole.as_object_mut().unwrap().shift_remove(name);
        }
        assert_eq!((&whole["type"], &whole["state"]), (&json!("ReadReceipt"), &json!("Read")));
        let form = String::from_utf8(form(&told).unwrap().to_vec()).unwrap();
        let escaped = utf8_percent_encode(&whole.to_string(), ESCAPED).to_string();
        let wanted = format!("instanceName=toko&jsonData={escaped}&token=toko&userID=toko");
        assert_eq!(form, wanted);
    }
}
