//! From the text of `moonwa.toml` to a `Config`, or to the list of everything that is wrong with it.

pub(super) mod call;
mod endpoint;
mod file;
mod include;
mod load;
mod pace;
mod raw;
mod resolve;
mod revision;
mod rule;
mod secret;
pub(super) mod value;

pub(super) use file::{LARGEST_FILE, read_limited};
pub(super) use include::expand;
pub use load::{Loaded, Rejected};
pub(super) use revision::revision_on_disk;
pub use revision::{Others, Revision};
pub use secret::Context;
pub(super) use secret::NOT_SHOWN;
