//! A fleet against the simulated WhatsApp, in one process: faster than the stories with the real binary, which are
//! elsewhere.

mod kinds;
mod link;
mod support;
