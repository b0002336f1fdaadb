//! One device: the actor that decides when there is a connection, and what it works with.

pub(crate) mod actor;
mod backoff;
mod companion;
mod link;
mod lock;
pub(crate) mod notice;
mod obey;
mod observe;
pub(crate) mod phase;
mod presence;
mod probe;
mod react;
mod refusal;
pub(crate) mod status;
