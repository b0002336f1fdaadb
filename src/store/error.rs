//! Why the store could not do it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An error of the store. Cheap to clone: one failed group commit answers everybody who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path} is in use by another moonwa (lock held); stop that one first", path = .0.display())]
    Locked(PathBuf),
    /// Too little free disk space to promise anything.
    #[error("too little free disk space")]
    DiskFull,
    /// The database refused.
    #[error("the store failed: {0}")]
    Database(Arc<dyn std::error::Error + Send + Sync>),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: Arc<std::io::Error> },
    /// A row is not what was written.
    #[error("a row in the store is damaged: {0}")]
    Damaged(String),
    /// A journal is damaged where no power cut can have damaged it.
    #[error(
        "{path} is damaged in the middle (byte {at}), which no power cut does; restore a backup or remove that database"
    , path = path.display())]
    Journal { path: PathBuf, at: u64 },
    #[error("{path} was written by a newer moonwa (format {found})", path = path.display())]
    Newer { path: PathBuf, found: u64 },
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn database(error: fjall::Error) -> Self {
        Self::Database(Arc::new(error))
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), source: Arc::new(error) }
    }

    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
