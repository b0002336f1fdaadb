//! One device: its actor, which decides when there is a connection, and what the actor works with.

pub(crate) mod actor;
pub(crate) mod command;
pub(crate) mod notice;
mod obey;
mod react;
