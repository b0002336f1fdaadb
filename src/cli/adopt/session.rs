//! What the reader of a product finds, and what is adopted.

use std::path::PathBuf;

use anyhow::Result;

use crate::whatsapp::ForeignDevice;

/// One linked device of another gateway.
pub(super) struct Session {
    pub(super) name: String,
    /// The files that its gateway writes.
    pub(super) files: Vec<PathBuf>,
    pub(super) device: Result<ForeignDevice>,
    /// What is not as it should be, though the device can live without it.
    pub(super) notes: Vec<String>,
}
