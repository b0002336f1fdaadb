//! Files: fetched, uploaded, downloaded, and what their first bytes say of them.

pub(crate) mod fetch;
mod image;
mod mp4;
pub(crate) mod transfer;
