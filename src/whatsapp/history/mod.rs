//! What is known of earlier messages.

mod lookup;

pub(crate) use lookup::*;
