//! A fleet against the simulated WhatsApp, in one process: faster than the stories with the real binary, which are
//! elsewhere.

mod files;
mod ids;
mod inbound;
mod kinds;
mod link;
mod pictures;
pub(crate) mod support;
mod timers;
mod voice;
mod withdrawn;
