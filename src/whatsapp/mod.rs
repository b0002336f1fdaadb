//! The linked devices. The only directory that says `wa_rs`; nothing of that crate leaks out of it. What comes in is
//! written to the store's log, what goes out is read from its send queue; HTTP and webhooks are elsewhere.

mod backup;
mod context;
mod device;
mod directory;
mod error;
mod fleet;
mod handle;
mod history;
mod media;
mod net;
mod receive;
mod recorder;
mod send;
mod session;

pub use backup::Backup;
pub use error::WhatsAppError;
pub use fleet::{Fleet, FleetOptions};
pub use handle::{DeviceHandle, GroupMember, GroupSummary, Lookup};
pub use media::transfer::MediaStream;
pub use send::claim::Claim;
