//! Files: fetching, uploading and downloading them, and what their first bytes say.

pub(crate) mod fetch;
mod image;
mod mp4;
pub(crate) mod transfer;
