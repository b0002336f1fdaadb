//! What is known of earlier messages.

pub(crate) mod lookup;
pub(crate) mod poll;
pub(crate) mod row;
pub(crate) mod settings;
pub(crate) mod sync;
pub(crate) mod timer;
