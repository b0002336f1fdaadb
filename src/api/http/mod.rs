//! HTTP itself: connections, the bodies of requests, answers and problems. Nothing here knows what a route does.

pub(crate) mod body;
pub(crate) mod coding;
pub(crate) mod connection;
pub(crate) mod form;
pub(crate) mod multipart;
pub(crate) mod problem;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod server;
pub(crate) mod socket;
