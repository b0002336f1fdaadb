//! The linked devices. Only this directory names `wa_rs`, and none of that crate's types leave it. What comes in is
//! written to the store's log, and what goes out is read from its send queue; HTTP and webhooks are elsewhere.
//!
//! ```text
//! fleet     all devices               device/   one device: its actor and its connection
//! handle    what others may ask       receive/  incoming messages, into the log
//! contact/  profiles and block list     chat/     what the account's devices know of chats
//! context   what all parts use        send/     outgoing messages, from the send queue
//! directory LID and phone number      history/  earlier messages
//! recorder  writes other events       media/    files
//! net       the engine's network      session/  the engine's storage
//! group/    groups, and their admins    foreign/  sessions of other gateways
//! ```

mod backup;
mod chat;
mod contact;
mod context;
mod device;
mod directory;
mod error;
mod fleet;
pub(crate) mod foreign;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod group;
mod handle;
mod history;
pub(crate) mod identities;
mod later;
mod media;
mod net;
mod receive;
mod recorder;
mod send;
mod session;
mod standing;
mod tunnel;

pub(crate) use backup::Backup;
pub(crate) use chat::channel::ChannelCode;
pub(crate) use chat::label::LabelChange;
pub(crate) use chat::{ChatChange, Mute};
pub(crate) use contact::watched::{Doing, Seen};
pub use error::WhatsAppError;
pub use fleet::{Fleet, FleetOptions};
pub(crate) use group::{
    GroupChange, InviteCode, LONGEST_DESCRIPTION, LONGEST_NAME, MOST_MEMBERS, MemberAction,
    MembersAdd, NamedMember, NewGroup, Once, RequestAction,
};
pub use handle::DeviceHandle;
pub(crate) use handle::{GroupMember, GroupSummary, Lookup};
pub(crate) use history::sync::FOR_EVER;
pub(crate) use later::people::Acquaintance;
pub(crate) use session::ForeignDevice;
