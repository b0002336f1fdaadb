//! Why the store could not do it.

use std::path::PathBuf;
use std::sync::Arc;

/// An error of the store. Cheap to clone: one failed group commit answers everybody who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{path} is in use by another moonwa (lock held); stop that one first", path = .0.display())]
    Locked(PathBuf),
    /// Too little free disk space to promise anything.
    #[error("too little free disk space")]
    DiskFull,
    /// The database refused.
    #[error("the store failed: {0}")]
    Database(Arc<dyn std::error::Error + Send + Sync>),
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// A row is not what was written.
    #[error("a row in the store is damaged: {0}")]
    Damaged(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
