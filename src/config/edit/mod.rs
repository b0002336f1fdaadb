//! The admin page's edits of `moonwa.toml`: what to change, the text after it, and the file on the disk.

mod document;
mod paste;
mod table;
mod webhooks;
mod write;

pub use document::{DeviceEdit, Edit};
pub use webhooks::EndpointEdit;
pub use write::EditError;
pub(crate) use write::is_writable;
