//! The `/api` routes of docs.moonwa.id. Other programs depend on them: their requests and answers must stay as they are
//! documented there, byte for byte.

pub(crate) mod error;
pub(crate) mod send;
