//! What the reader of a product finds.

use std::path::PathBuf;

use anyhow::Result;

use super::settings::ForeignSettings;
use crate::whatsapp::session::ForeignDevice;

/// One linked device of another gateway.
pub(crate) struct ForeignSession {
    pub(crate) name: String,
    /// The product, or the library, that keeps its sessions like this.
    pub(crate) product: &'static str,
    /// The files that its gateway writes.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) device: Result<ForeignDevice>,
    /// What is not as it should be, though the device can live without it.
    pub(crate) notes: Vec<String>,
    /// What its gateway was told to do, as far as that is known.
    pub(crate) settings: ForeignSettings,
}

impl ForeignSession {
    pub(super) fn new(product: &'static str, name: String, device: Result<ForeignDevice>) -> Self {
        let settings = ForeignSettings::default();
        Self { name, product, files: Vec::new(), device, notes: Vec::new(), settings }
    }
}
