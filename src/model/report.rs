//! What events report of a sent message, and of a device.

use serde::{Deserialize, Serialize};

use super::UnixMillis;

/// How far a sent message got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusData {
    pub id: String,
    /// To whom it went.
    pub to: String,
    /// `sent`, `accepted`, `delivered`, `read`, `played` or `failed`.
    pub status: String,
    pub code: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceData {
    /// The word of docs.moonwa.id.
    pub status: super::StatusWord,
    /// moonwa's own, more precise word.
    pub state: String,
    /// Why, as a stable code.
    pub reason: Option<String>,
    /// WhatsApp's own code and words, or the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When a restriction ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// Where WhatsApp explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
