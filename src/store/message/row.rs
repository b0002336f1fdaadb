//! A message as it is stored.

use crate::model::{DeviceName, MessageId, SentMessage, UnixMillis};
use crate::store::key::Key;

#[derive(serde::Serialize, serde::Deserialize)]
pub(in crate::store) struct Row {
    /// Its place among the device's messages.
    pub(super) order: u64,
    /// The hash of its idempotency key, which goes when it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// When its status last changed, by the clock that does not jump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) changed: Option<UnixMillis>,
    pub(super) message: SentMessage,
}

/// The place of a message that comes at this time. Each millisecond has room for a thousand, so that a message's age
/// can be read from its place.
pub(super) fn order_at(time: UnixMillis) -> u64 {
    time.millis().saturating_mul(1000)
}

/// When the message at this place came.
pub(super) fn time_of(order: u64) -> UnixMillis {
    UnixMillis::from_millis(order / 1000)
}

pub(super) fn message_key(device: &DeviceName, id: &MessageId) -> Key {
    Key::new(b'm').device(device).rest(id.as_str())
}
