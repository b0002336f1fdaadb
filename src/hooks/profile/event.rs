//! An event as the formats read it, and what they all say of it alike.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::EndpointConfig;
use crate::model::{
    Account, DeviceName, DeviceStatus, Event, EventData, Jid, MessageData, UnixMillis,
};

/// What a body says beside the event.
pub(in crate::hooks) struct Setting<'a> {
    /// What is known of the devices.
    pub(in crate::hooks) statuses: Option<&'a BTreeMap<DeviceName, DeviceStatus>>,
    /// Under which address moonwa is reached; empty when it is not known.
    pub(in crate::hooks) public_url: &'a str,
    /// What else the endpoint is told of.
    pub(in crate::hooks) endpoint: &'a EndpointConfig,
}

impl Setting<'_> {
    /// Whose account a device is linked to, if that is known.
    pub(super) fn account(&self, device: &DeviceName) -> Option<&Account> {
        self.statuses?.get(device)?.account.as_ref()
    }
}

/// The event and its message, if it is about one.
pub(in crate::hooks) fn message(source: &[u8]) -> Option<(Event, MessageData)> {
    let mut event: Event = serde_json::from_slice(source).ok()?;
    let other = EventData::Other(Value::Null);
    match std::mem::replace(&mut event.data, other) {
        EventData::Message(message) => Some((event, *message)),
        EventData::Status(_) | EventData::Device(_) | EventData::Other(_) => None,
    }
}

/// An event as the formats of other products read it.
pub(super) struct Told {
    pub(super) event: Event,
    /// The URL of its file that needs no key.
    pub(super) file: Option<String>,
}

impl Told {
    pub(super) fn read(source: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(source).ok()?;
        let file = value.pointer("/data/media/signed_url").and_then(Value::as_str);
        let file = file.map(str::to_owned);
        Some(Self { event: serde_json::from_value(value).ok()?, file })
    }
}

/// The address by a phone number where that is known; those products tell people by it.
pub(super) fn by_phone(jid: &str, phone: Option<&str>) -> String {
    phone.map_or_else(|| jid.to_owned(), |phone| format!("{phone}@s.whatsapp.net"))
}

/// The chat of a message, by a phone number where that is known.
pub(super) fn chat_of(message: &MessageData) -> String {
    let person = message.group.is_none() && !message.from_me;
    let by_lid = Jid::parse(&message.chat).is_ok_and(|chat| chat.is_lid());
    let phone = message.from.phone.as_deref().filter(|_| person && by_lid);
    by_phone(&message.chat, phone)
}

/// A time as Go's programs write it.
pub(super) fn rfc3339(at: UnixMillis) -> String {
    at.to_string()
}
