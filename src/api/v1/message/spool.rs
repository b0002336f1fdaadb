//! The files that callers send with a message. They are written to the store's spool and removed when the request ends,
//! unless a message that needs them was queued.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt as _;

use crate::api::http::problem::{Code, Problem};
use crate::api::state::State;
use crate::model::{DeviceName, IdempotencyKey};
use crate::task::Tasks;

/// A file in the spool, which is removed when this is dropped, unless it is kept.
pub(crate) struct Spooled {
    path: PathBuf,
    tasks: Tasks,
    kept: bool,
}

impl Spooled {
    /// Makes an empty file with a name of its own.
    pub(crate) async fn create(state: &State) -> Result<(Self, File), Problem> {
        let dir = state.api.store.spool();
        Self::create_in(&dir, state.api.tasks.clone()).await.map_err(failed)
    }

    async fn create_in(dir: &Path, tasks: Tasks) -> io::Result<(Self, File)> {
        let path = dir.join(HEXLOWER.encode(&rand::random::<[u8; 16]>()));
        let file = File::create_new(&path).await?;
        Ok((Self { path, tasks, kept: false }, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Names the file after the idempotency key and the content: only the same upload, sent again under the same key,
    /// is the same request.
    pub(crate) async fn settle(
        &mut self,
        device: &DeviceName,
        key: &IdempotencyKey,
    ) -> Result<(), Problem> {
        let settled = self.path.with_file_name(self.name(device, key).await.map_err(failed)?);
        fs::rename(&self.path, &settled).await.map_err(failed)?;
        self.path = settled;
        Ok(())
    }

    async fn name(&self, device: &DeviceName, key: &IdempotencyKey) -> io::Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!("{device}\n{}\n", key.as_str()));
        let mut file = File::open(&self.path).await?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut piece).await?;
            if read == 0 {
                return Ok(HEXLOWER.encode(&hash.finalize()));
            }
            hash.update(piece.get(..read).unwrap_or_default());
        }
    }

    /// Leaves the file to the message, which needs it now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = std::mem::take(&mut self.path);
        self.tasks.spawn("spool cleanup", async move {
            // A file that is left over only costs space, and the store removes it when it is opened again.
            fs::remove_file(path).await.ok();
        });
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
pub(crate) fn failed(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull.into(),
        _ => {
            tracing::error!(%error, "An upload could not be kept.");
            Code::StoreFailed.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn spooled(dir: &Path, tasks: &Tasks, content: &str) -> Spooled {
        let (spooled, mut file) = Spooled::create_in(dir, tasks.clone()).await.unwrap();
        file.write_all(content.as_bytes()).await.unwrap();
        file.flush().await.unwrap();
        spooled
    }

    #[tokio::test]
    async fn a_file_nobody_needs_is_removed() {
        let (dir, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
        let kept = spooled(dir.path(), &tasks, "one").await;
        let dropped = spooled(dir.path(), &tasks, "two").await;
        let (kept_at, dropped_at) = (kept.path().to_owned(), dropped.path().to_owned());
        kept.keep();
        drop(dropped);
        assert_eq!(tasks.shutdown(Duration::from_secs(5)).await, 0);
        assert!(kept_at.exists());
        assert!(!dropped_at.exists());
    }

    #[tokio::test]
    async fn an_upload_under_a_key_is_named_by_key_and_content() {
        let (dir, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
        let device = DeviceName::parse("toko").unwrap();
        let name = async |key: &str, content: &str| {
            let mut spooled = spooled(dir.path(), &tasks, content).await;
            spooled.settle(&device, &IdempotencyKey::parse(key).unwrap()).await.unwrap();
            let path = spooled.path().to_owned();
            spooled.keep();
            path
        };
        let first = name("a", "one").await;
        assert_eq!(std::fs::read_to_string(&first).unwrap(), "one");
        assert_eq!(name("a", "one").await, first);
        assert_ne!(name("a", "two").await, first);
        assert_ne!(name("b", "one").await, first);
    }
}
