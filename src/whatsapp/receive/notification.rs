//! Events that are not readable messages: changes to groups, calls, and messages that WhatsApp gives to phones only.

use serde_json::{Value, json};
use wa_rs::types::{events::Event as EngineEvent, message::MessageInfo};
use wa_rs::wacore::types::call::CallAction;
use wa_rs::wacore_binary::JidExt as _;
use wa_rs::waproto::whatsapp as wa;

use super::decode::message;
use crate::model::detail::Unavailable;
use crate::model::{Body, DeviceName, Event, EventData, EventId, EventType, Person, UnixMillis};
use crate::whatsapp::group::news;

/// The event of a message that WhatsApp gives to phones only.
pub(crate) fn unavailable(
    device: &DeviceName,
    info: &MessageInfo,
    kind: &str,
    from: Person,
    chat: String,
) -> Option<Event> {
    let placeholder = wa::Message { conversation: Some(String::new()), ..Default::default() };
    let mut event = message(device, info, &placeholder, from, chat)?.event;
    if let EventData::Message(data) = &mut event.data {
        data.body = Body::Unavailable(Unavailable { r#type: kind.to_owned() });
    }
    Some(event)
}

/// The event of what happened to a group, or of a call.
pub(crate) fn notification(device: &DeviceName, event: &EngineEvent) -> Option<Event> {
    match event {
        EngineEvent::GroupUpdate(update) => {
            let (group, data) = (update.group_jid.to_string(), news::data(update)?);
            let notification = update.notification_id.clone().unwrap_or_default();
            let part = format!("{notification}/{}", update.action_index);
            let at = update.timestamp.timestamp_millis();
            Some(other(device, EventType::GroupUpdated, &[&group, "", &part], at, data))
        }
        EngineEvent::PictureUpdate(update) if update.jid.is_group() => {
            let (group, data) = (update.jid.to_string(), news::picture(update)?);
            let at = update.timestamp.timestamp_millis();
            let id = update.picture_id.as_deref().unwrap_or("none");
            let part = format!("picture/{id}/{at}");
            Some(other(device, EventType::GroupUpdated, &[&group, "", &part], at, data))
        }
        EngineEvent::IncomingCall(call)
            if let CallAction::Terminate { call_id, call_creator, reason, duration, .. } =
                &call.action =>
        {
            let from = call_creator.to_non_ad_string();
            let phone = call_creator.is_pn().then(|| call_creator.user.to_string());
            let data = json!({
                "id": call_id, "from": from, "phone": phone, "outcome": outcome(reason.as_deref()),
                "seconds": duration,
            });
            let at = call.timestamp.timestamp_millis();
            Some(other(device, EventType::CallEnded, &[&from, &from, call_id], at, data))
        }
        EngineEvent::IncomingCall(call) => {
            let (id, creator, video, group) = match &call.action {
                CallAction::Offer { call_id, call_creator, is_video, group_jid, .. } => {
                    (call_id, call_creator, *is_video, group_jid.is_some())
                }
                CallAction::OfferNotice { call_id, call_creator, is_video, is_group } => {
                    (call_id, call_creator, *is_video, *is_group)
                }
                _ => return None,
            };
            let phone = match &call.action {
                CallAction::Offer { caller_pn: Some(pn), .. } => Some(pn.user.to_string()),
                _ => creator.is_pn().then(|| creator.user.to_string()),
            };
            let from = creator.to_non_ad_string();
            let data = json!({
                "id": id, "from": from, "phone": phone, "video": video, "group": group, "missed": false,
            });
            let at = call.timestamp.timestamp_millis();
            Some(other(device, EventType::CallOffer, &[&from, &from, id], at, data))
        }
        EngineEvent::MissedCall(call) => {
            let from = call.from.to_non_ad_string();
            let phone = call.from.is_pn().then(|| call.from.user.to_string());
            let data = json!({
                "id": call.call_id, "from": from, "phone": phone, "video": null, "group": null, "missed": true,
            });
            let at = call.timestamp.timestamp_millis();
            Some(other(device, EventType::CallOffer, &[&from, &from, &call.call_id], at, data))
        }
        _ => None,
    }
}

/// How a call ended, by WhatsApp's word for why.
fn outcome(reason: Option<&str>) -> &'static str {
    match reason {
        None | Some("timeout" | "group_call_ended") => "missed",
        Some("accepted_elsewhere") => "answered",
        Some("rejected_elsewhere") => "rejected",
        Some(_) => "ended",
    }
}

/// The event of a call that the device rejects, or of its end.
pub(crate) fn rejected(mut event: Event) -> Event {
    if let EventData::Other(Value::Object(data)) = &mut event.data {
        if event.kind == EventType::CallEnded {
            data.insert("outcome".to_owned(), "rejected".into());
            return event;
        }
        data.insert("rejected".to_owned(), true.into());
    }
    event
}

fn other(device: &DeviceName, kind: EventType, key: &[&str; 3], at: i64, data: Value) -> Event {
    let [chat, sender, id] = key;
    Event {
        id: EventId::derive(&[device.as_str(), chat, sender, id, kind.as_str()]),
        kind,
        timestamp: UnixMillis::from_millis(u64::try_from(at).unwrap_or_default()),
        device: device.clone(),
        data: EventData::Other(data),
    }
}
