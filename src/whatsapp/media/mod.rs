//! Files: fetching, uploading and downloading them, and what their first bytes say.

pub(crate) mod fetch;
pub(crate) mod format;
mod gzip;
pub(crate) mod image;
pub(crate) mod mp4;
pub(crate) mod picture;
pub(crate) mod place;
pub(crate) mod transfer;
pub(crate) mod upload;
pub(crate) mod voice;
