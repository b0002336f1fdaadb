//! What a device, an address, a message and an event are. There is no I/O and no async code here, so these types can
//! be read and tested alone.

mod address;
mod cap;
pub(crate) mod detail;
mod device;
mod event;
mod kind;
mod media;
mod message;
mod pattern;
mod phone;
mod refusal;
mod report;
mod secret;
mod time;
mod url;

pub use address::{ChatKind, ContactCard, Jid, Recipient};
pub(crate) use cap::{Cap, Part};
pub(crate) use device::{Account, DeviceStatus, Passkey, Shown, StatusWord};
pub use device::{
    Degradation, DeviceName, DeviceState, Disconnect, Hurdle, Linking, LoggedOut, Obstacle,
    Pending, Stop, Trouble,
};
pub(crate) use event::Reply;
pub use event::{Event, EventData, EventId, EventType, MessageData, Person};
pub use kind::{Body, MessageKind};
pub(crate) use media::{MediaData, SpoolName};
pub use media::{MediaKind, MediaSource, Thumbnail};
pub(crate) use media::{end_of_path, file_name, given_name};
pub use message::{
    Content, EventPlace, IdempotencyKey, MessageId, MessageStatus, SendRequest, SentMessage,
};
pub(crate) use message::{ListId, StatusFont};
pub use pattern::ChatPattern;
pub use phone::PhoneNumber;
pub(crate) use phone::show_full_numbers;
pub(crate) use refusal::{NewChats, Refusal};
pub(crate) use report::{DeviceData, StatusData};
pub use secret::{KeyHash, Secret};
pub use time::UnixMillis;
pub(crate) use url::{UrlError, encoded_url, path_step, web_url};
