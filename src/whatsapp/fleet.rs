//! All devices: desired state from the configuration, observed state from one actor each.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::config::DeviceConfig;
use crate::model::{DeviceName, DeviceStatus, Jid, MessageId, PhoneNumber, UnixMillis};
use crate::store::Store;
use crate::task::Tasks;

/// What a fleet is started with.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Where WhatsApp is, when it is a simulated one (`simulator` builds only).
    pub whatsapp_url: Option<String>,
    /// The largest media file, in bytes.
    pub max_media: u64,
    /// Private ranges that media URLs may point into.
    pub allow_nets: Vec<ipnet::IpNet>,
}

/// All devices.
pub struct Fleet {}

impl Fleet {
    /// A fleet without devices.
    pub async fn start(
        _store: Store,
        _tasks: Tasks,
        _options: FleetOptions,
    ) -> Result<Arc<Self>, WhatsAppError> {
        todo!()
    }

    /// Makes the fleet match the file: starts what is new, stops what is gone (credentials stay), and touches a
    /// connection only where the change needs it.
    pub async fn reconcile(&self, _devices: &BTreeMap<DeviceName, DeviceConfig>) {
        todo!()
    }

    /// A device that is in the file.
    pub fn device(&self, _name: &DeviceName) -> Option<DeviceHandle> {
        todo!()
    }

    /// Every device's status; latest wins.
    pub fn statuses(&self) -> watch::Receiver<Arc<BTreeMap<DeviceName, DeviceStatus>>> {
        todo!()
    }

    /// Deletes the stored credentials of a device that is not in the file.
    pub async fn forget(&self, _name: &DeviceName) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Stops every device, flushing Signal state.
    pub async fn shutdown(&self) {
        todo!()
    }
}

/// One device. Clones talk to the same actor.
#[derive(Clone)]
pub struct DeviceHandle {}

impl DeviceHandle {
    /// What it is doing.
    pub fn status(&self) -> DeviceStatus {
        todo!()
    }

    /// The same, with every change.
    pub fn watch(&self) -> watch::Receiver<DeviceStatus> {
        todo!()
    }

    /// START SESSION: connects a linked device, begins linking an unlinked one. Idempotent while linking.
    pub async fn start(&self) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Stops it (or cancels the linking) until `start`.
    pub async fn stop(&self) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Drops the connection and makes a new one now.
    pub async fn reconnect(&self) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Unlinks on WhatsApp's side and forgets the credentials.
    pub async fn logout(&self) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// A code to type on the phone of that number; begins linking when need be. It is also in the status.
    pub async fn pair_code(&self, _phone: &PhoneNumber) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Answers WhatsApp's passkey request with a browser's assertion.
    pub async fn passkey_response(
        &self,
        _assertion_json: String,
        _credential_id: String,
    ) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Confirms the passkey code.
    pub async fn passkey_confirm(&self) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Whether a number is on WhatsApp. `None`: it is not.
    pub async fn lookup(&self, _phone: &PhoneNumber) -> Result<Option<Lookup>, WhatsAppError> {
        todo!()
    }

    /// The groups the account is in.
    pub async fn groups(&self) -> Result<Vec<GroupSummary>, WhatsAppError> {
        todo!()
    }

    /// One group with its members.
    pub async fn group(&self, _id: &Jid) -> Result<GroupSummary, WhatsAppError> {
        todo!()
    }

    /// The media of a received message, decrypted as it streams.
    pub async fn media(&self, _message: &MessageId) -> Result<MediaStream, WhatsAppError> {
        todo!()
    }

    /// Marks a received message as read.
    pub async fn mark_read(&self, _message: &MessageId) -> Result<(), WhatsAppError> {
        todo!()
    }

    /// Shows "typing…" in a chat, or stops showing it.
    pub async fn typing(&self, _chat: &Jid, _on: bool) -> Result<(), WhatsAppError> {
        todo!()
    }
}

/// A number that is on WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lookup {
    /// Its address.
    pub jid: Jid,
    /// Its LID, when known.
    pub lid: Option<Jid>,
    /// Its name, when known.
    pub name: Option<String>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GroupSummary {
    /// Its id.
    pub id: Jid,
    /// Its subject.
    pub name: String,
    /// Its members; empty in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GroupMember {
    /// The address.
    pub jid: Jid,
    /// The phone number, when known.
    pub phone: Option<PhoneNumber>,
    /// The LID, when known.
    pub lid: Option<Jid>,
    /// Whether they are an admin.
    pub admin: bool,
}

/// A file on its way to a caller.
pub struct MediaStream {
    /// Its type, as the sender said.
    pub mime: Option<String>,
    /// A document's name.
    pub filename: Option<String>,
    /// Bytes, when known.
    pub size: Option<u64>,
    /// The decrypted bytes; an error ends the stream.
    pub chunks: mpsc::Receiver<Result<Bytes, WhatsAppError>>,
}

/// Why WhatsApp, or a device's state, said no.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WhatsAppError {
    /// The device is not connected.
    #[error("the device is not connected")]
    NotConnected,
    /// The device is linked already.
    #[error("the device is linked already")]
    AlreadyLinked,
    /// The device is disabled in the file.
    #[error("the device is disabled in moonwa.toml")]
    Disabled,
    /// There is nothing to answer or confirm now.
    #[error("WhatsApp did not ask for this step")]
    NotAsked,
    /// WhatsApp did not answer in time.
    #[error("WhatsApp did not answer in time")]
    Timeout,
    /// WhatsApp said no.
    #[error("WhatsApp refused: {0}")]
    Refused(String),
    /// There is no such message, group or file.
    #[error("not found")]
    NotFound,
    /// WhatsApp no longer has the file.
    #[error("WhatsApp no longer has the file")]
    Expired,
    /// The file is larger than `media.max_size`.
    #[error("the file is larger than media.max_size")]
    TooLarge,
    /// The URL could not be fetched, or must not be.
    #[error("{0}")]
    Media(String),
    /// Wait that long.
    #[error("too many attempts; try again later")]
    TooFast(Option<UnixMillis>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}
