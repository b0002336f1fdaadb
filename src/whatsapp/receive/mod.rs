//! Incoming messages: from the engine into the log.

pub(crate) mod attachment;
pub(crate) mod body;
pub(crate) mod business;
pub(crate) mod commerce;
pub(crate) mod decode;
pub(crate) mod hook;
pub(crate) mod missed;
pub(crate) mod notification;
pub(crate) mod post;
pub(crate) mod raw;
pub(crate) mod retry;
pub(crate) mod special;
#[cfg(test)]
mod tests;
pub(crate) mod undecryptable;
