//! From the text of `moonwa.toml` to a `Config`, or to the list of everything that is wrong with it.

mod endpoint;
pub(super) mod include;
pub(super) mod load;
mod raw;
mod resolve;
pub(super) mod value;

pub use load::{Context, Loaded, Others, Rejected, Revision};
