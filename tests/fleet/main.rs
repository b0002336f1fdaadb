//! A fleet against the simulated WhatsApp, in one process: faster than the stories with the real binary, which are
//! elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "what a test does not expect shall end it loudly"
)]

mod files;
mod ids;
mod inbound;
mod kinds;
mod link;
mod support;
mod withdrawn;
