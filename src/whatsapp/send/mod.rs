//! Messages out: from the send queue to WhatsApp.

pub(crate) mod failure;
