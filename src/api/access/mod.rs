//! Who sent a request and what they may do: device keys, the admin token, browser logins, and the limits on guessing
//! and on event streams.

pub(crate) mod auth;
pub(crate) mod login;
pub(crate) mod logins;
pub(crate) mod origin;
pub(crate) mod proof;
pub(crate) mod streams;
pub(crate) mod throttle;
