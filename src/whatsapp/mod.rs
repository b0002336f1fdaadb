//! The linked devices. The only directory that says `wa_rs`; nothing of that crate leaks out of it. What comes in is
//! written to the store's log, what goes out is read from its send queue; HTTP and webhooks are elsewhere.

mod backup;
mod context;
mod deliver;
mod device;
mod directory;
mod encode;
mod error;
mod fetch;
mod film;
mod fleet;
mod forward;
mod handle;
mod hands;
mod history;
mod image;
mod media;
mod net;
mod outgoing;
mod pace;
mod preview;
mod receive;
mod recorder;
mod send;
pub mod session;

pub use backup::Backup;
pub use error::WhatsAppError;
pub use fleet::{Fleet, FleetOptions};
pub use handle::{DeviceHandle, GroupMember, GroupSummary, Lookup};
pub use hands::Held;
pub use media::MediaStream;
