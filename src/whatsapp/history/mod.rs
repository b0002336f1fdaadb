//! What is known of earlier messages.

pub(crate) mod lookup;
pub(crate) mod row;
