//! The linked devices. The only directory that says `wa_rs`; nothing of that crate leaks out of it. What comes in is
//! written to the store's log, what goes out is read from its send queue; HTTP and webhooks are elsewhere.

mod fleet;
pub mod session;

pub use fleet::{
    DeviceHandle, Fleet, FleetOptions, GroupMember, GroupSummary, Lookup, MediaStream,
    WhatsAppError,
};
