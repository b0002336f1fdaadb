//! The nouns of moonwa: what a device, an address, a message and an event are. No I/O and no async here, so the
//! vocabulary can be read and tested alone.

mod address;
mod device;
mod event;
mod media;
mod message;
mod secret;
mod time;

pub use address::{AddressError, Jid, PhoneNumber, Recipient, mask, show_full_numbers};
pub use device::{
    Account, Degradation, DeviceName, DeviceNameError, DeviceState, DeviceStatus, Disconnect,
    Linking, LoggedOut, Passkey, Pending, Shown, StatusWord, Stop,
};
pub use event::{
    DeviceData, Event, EventData, EventId, EventType, MediaData, MessageData, Person, Reply,
    StatusData,
};
pub use media::{MediaKind, MediaSource, Thumbnail, file_name};
pub use message::{Content, IdempotencyKey, MessageId, MessageStatus, SendRequest, SentMessage};
pub use secret::{KeyHash, Secret};
pub use time::UnixMillis;
