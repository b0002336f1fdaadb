//! A fleet against the simulated WhatsApp, in one process: faster than the stories with the real binary, which are
//! elsewhere.

pub(crate) mod files;
mod ids;
mod inbound;
mod invitations;
mod kinds;
mod link;
mod mentions;
mod pictures;
mod quotes;
pub(crate) mod support;
mod timers;
mod voice;
mod withdrawn;
