//! Messages in: read, made into events and on disk before WhatsApp gets its ack.

pub(crate) mod attachment;
pub(crate) mod body;
pub(crate) mod decode;
pub(crate) mod hook;
pub(crate) mod notification;
#[cfg(test)]
mod tests;
