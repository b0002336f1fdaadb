//! Outgoing messages: from the send queue to WhatsApp.

pub(crate) mod ack;
pub(crate) mod claim;
mod encode;
pub(crate) mod failure;
pub(crate) mod forward;
pub(crate) mod fresh;
pub(crate) mod hold;
pub(crate) mod lanes;
mod one;
pub(crate) mod pace;
mod parts;
pub(crate) mod preview;
pub(crate) mod queue;
mod status;
pub(crate) mod turn;
