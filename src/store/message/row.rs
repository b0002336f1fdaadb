//! A message as it is stored.

use crate::model::{SentMessage, UnixMillis};

/// A message as its row has it.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Row {
    /// Its place among the device's messages.
    pub(super) order: u64,
    /// The hash of its idempotency key, which goes when it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    pub(super) message: SentMessage,
}

/// Places are clock times with room for a thousand messages each, so that age can be told without the message.
pub(super) fn order_at(time: UnixMillis) -> u64 {
    time.millis().saturating_mul(1000)
}
