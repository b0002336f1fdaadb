//! Who sent a request and what they may do: device keys, the admin token, browser logins, and the limit on guessing.

pub(crate) mod auth;
pub(crate) mod login;
pub(crate) mod logins;
pub(crate) mod origin;
pub(crate) mod throttle;
