//! One device: the actor that decides when there is a connection, and what it works with.

pub(crate) mod actor;
mod backoff;
pub(crate) mod command;
mod companion;
mod link;
mod lock;
pub(crate) mod notice;
mod obey;
mod observe;
mod presence;
mod probe;
mod react;
mod refusal;
pub(crate) mod status;
