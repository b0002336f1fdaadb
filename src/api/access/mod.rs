//! Who sent a request, and whether that is enough: keys, the admin token, browser logins, and the limits on guessing.

pub(crate) mod auth;
pub(crate) mod login;
pub(crate) mod logins;
pub(crate) mod origin;
pub(crate) mod throttle;
