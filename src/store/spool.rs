//! The directory for media on their way to WhatsApp.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::UnixMillis;
use crate::private;
use crate::store::StoreError;

/// A queued message expires after a day, so its file can be removed after two.
const KEEP: Duration = Duration::from_hours(48);

pub(super) struct Spool(PathBuf);

impl Spool {
    /// Makes the directory and removes what is too old. Only the holder of the databases' locks may call this.
    pub(super) fn open(store: &Path, now: UnixMillis) -> Result<Self, StoreError> {
        let spool = Self(store.join("spool"));
        private::create_folder(&spool.0).map_err(StoreError::io(&spool.0))?;
        spool.sweep(now)?;
        Ok(spool)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    fn sweep(&self, now: UnixMillis) -> Result<(), StoreError> {
        let expired = now.before(KEEP);
        for entry in std::fs::read_dir(&self.0).map_err(StoreError::io(&self.0))?.flatten() {
            let written = entry.metadata().ok().map(|file| file.mtime());
            let old = written
                .and_then(|secs| u64::try_from(secs).ok())
                .is_some_and(|secs| secs < expired.secs());
            if old {
                let file = entry.path();
                std::fs::remove_file(&file).map_err(StoreError::io(&file))?;
            }
        }
        Ok(())
    }
}
