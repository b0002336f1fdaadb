//! How WAHA writes addresses, messages and states.

use serde_json::{Value, json};

use crate::api::call::Call;
use crate::api::v1::device::status_of;
use crate::config::DeviceConfig;
use crate::model::{
    Content, DeviceName, DeviceState, DeviceStatus, MessageStatus, SentMessage, Stop, UnixMillis,
};

/// Programs know four engines and refuse a fifth. What they know of this one is nearest to what moonwa does.
pub(super) const ENGINE: &str = "GOWS";

/// An address in WAHA's form: people are under `c.us`.
pub(super) fn address(jid: &str) -> String {
    match jid.strip_suffix("@s.whatsapp.net") {
        Some(number) => format!("{number}@c.us"),
        None => jid.to_owned(),
    }
}

/// The id of a message as WhatsApp knows it, out of WAHA's, which has the chat before it: `true_628…@c.us_3EB0…`.
pub(super) fn bare_id(id: &str) -> &str {
    let ours = id.strip_prefix("true_").or_else(|| id.strip_prefix("false_"));
    ours.and_then(|rest| rest.split('_').nth(1)).unwrap_or(id)
}

/// The address of a device's account.
fn own(status: &DeviceStatus) -> Option<String> {
    let phone = status.account.as_ref()?.phone.as_ref()?;
    Some(format!("{}@c.us", phone.as_str()))
}

/// A device's account.
pub(super) fn me(status: &DeviceStatus) -> Value {
    let Some(account) = &status.account else { return Value::Null };
    json!({
        "id": own(status),
        "lid": account.lid.as_ref().map(|lid| format!("{lid}@lid")),
        "pushName": account.name,
    })
}

pub(super) fn state(state: &DeviceState) -> &'static str {
    match state {
        DeviceState::Connected | DeviceState::Degraded(_) => "WORKING",
        DeviceState::Linking(linking) if linking.qr.is_some() || linking.pair_code.is_some() => {
            "SCAN_QR_CODE"
        }
        DeviceState::Linking(_) | DeviceState::Reconnecting { .. } => "STARTING",
        DeviceState::Pending(_)
        | DeviceState::Stopped(Stop::ByUser | Stop::Disabled | Stop::Shutdown) => "STOPPED",
        DeviceState::LoggedOut(_) | DeviceState::Stopped(_) => "FAILED",
    }
}

/// A device as WAHA shows a session.
pub(super) fn session(call: &Call, name: &DeviceName, config: &DeviceConfig) -> Value {
    let status = status_of(&call.state, name, config);
    let activity = [status.last_in, status.last_out].into_iter().flatten().max();
    json!({
        "name": name,
        "status": state(&status.state),
        "config": { "metadata": { "label": config.label } },
        "me": me(&status),
        "presence": null,
        "timestamps": { "activity": activity.map(UnixMillis::millis) },
        "assignedWorker": null,
        "engine": { "engine": ENGINE },
    })
}

/// A message that was sent.
pub(super) fn message(call: &Call, sent: &SentMessage) -> Value {
    let chat = address(sent.request.to.jid().as_str());
    let status = call.handle().map(|handle| handle.status());
    let me = status.ok().and_then(|status| own(&status));
    let (ack, ack_name) = match sent.status {
        MessageStatus::Scheduled | MessageStatus::Queued | MessageStatus::Sent => (0, "PENDING"),
        MessageStatus::Accepted => (1, "SERVER"),
        MessageStatus::Delivered => (2, "DEVICE"),
        MessageStatus::Read => (3, "READ"),
        MessageStatus::Played => (4, "PLAYED"),
        MessageStatus::Failed { .. } => (-1, "ERROR"),
    };
    let content = &sent.request.content;
    json!({
        "id": format!("true_{chat}_{}", sent.id),
        "timestamp": sent.updated.secs(),
        "from": me,
        "fromMe": true,
        "source": "api",
        "to": chat,
        "participant": null,
        "body": content.words().unwrap_or_default(),
        "hasMedia": matches!(content, Content::Media { .. }),
        "media": null,
        "ack": ack,
        "ackName": ack_name,
        "replyTo": sent.request.reply_to.as_ref().map(|id| json!({ "id": id })),
        "_data": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_addresses_are_written_as_waha_does() {
        assert_eq!(bare_id("true_628123456789@c.us_3EB0AA"), "3EB0AA");
        assert_eq!(bare_id("false_1203@g.us_3EB0AA_628123456789@c.us"), "3EB0AA");
        assert_eq!(bare_id("3EB0AA"), "3EB0AA");
        assert_eq!(bare_id("true_"), "true_");
        assert_eq!(address("628123456789@s.whatsapp.net"), "628123456789@c.us");
        assert_eq!(address("1203@g.us"), "1203@g.us");
    }
}
