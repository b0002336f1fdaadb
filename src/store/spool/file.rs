//! Files whose every byte is granted before it is written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use super::budget::{Budget, Owner, SpoolFull, Use};
use crate::task::Tasks;

/// How many bytes are granted at once. More would be counted that are never written; fewer would ask the disk too often.
const STEP: u64 = 256 << 10;

/// What a file was granted; given back when this is dropped.
pub(super) struct Grant {
    budget: Arc<Budget>,
    of: Use,
    owner: Owner,
    bytes: u64,
    /// How many of them may not be on the disk yet.
    unwritten: u64,
}

impl Grant {
    /// A grant of nothing yet, but only if something can be had.
    pub(super) fn first(budget: &Arc<Budget>, of: Use, owner: Owner) -> Result<Self, SpoolFull> {
        let mut grant = Self { budget: Arc::clone(budget), of, owner, bytes: 0, unwritten: 0 };
        grant.reach(1)?;
        Ok(grant)
    }

    /// Whether the file may have `size` bytes already.
    pub(super) fn covers(&self, size: u64) -> bool {
        size <= self.bytes
    }

    /// Sees to it that the file may have `size` bytes. What it was granted before is on the disk.
    pub(super) fn reach(&mut self, size: u64) -> Result<(), SpoolFull> {
        if self.covers(size) {
            return Ok(());
        }
        self.written();
        let step = (size - self.bytes).next_multiple_of(STEP);
        self.budget.grant(self.of, &self.owner, step)?;
        self.bytes += step;
        self.unwritten = step;
        Ok(())
    }

    fn written(&mut self) {
        self.budget.written(std::mem::take(&mut self.unwritten));
    }

    /// Gives back what is beyond `size`.
    pub(super) fn trim(&mut self, size: u64) {
        self.written();
        let beyond = self.bytes.saturating_sub(size);
        self.budget.give_back(self.of, &self.owner, beyond);
        self.bytes -= beyond;
    }

    /// Leaves the bytes to a file that outlives this.
    pub(super) fn leave(&mut self) {
        self.written();
        self.bytes = 0;
    }

    /// The whole grant, which was this one's until now.
    pub(super) fn take(&mut self) -> Self {
        self.written();
        let (budget, owner) = (Arc::clone(&self.budget), self.owner.clone());
        Self { budget, of: self.of, owner, bytes: std::mem::take(&mut self.bytes), unwritten: 0 }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.written();
        self.budget.give_back(self.of, &self.owner, self.bytes);
    }
}

/// A file to work on. It has no name: it vanishes with its handle, also in a crash.
pub(crate) struct Scratch {
    file: File,
    grant: Grant,
    at: u64,
}

impl Scratch {
    pub(super) fn create(directory: &Path, grant: Grant) -> io::Result<Self> {
        let path = directory.join(format!("scratch-{:032x}", rand::random::<u128>()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Self { file, grant, at: 0 })
    }

    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(crate) fn set_size(&mut self, size: u64) -> io::Result<()> {
        self.grant.reach(size)?;
        self.file.set_len(size)
    }

    /// Another handle, to read on from where it stands. The bytes count until this file is dropped.
    pub(crate) fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

impl Read for Scratch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Scratch {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.grant.reach(self.at.saturating_add(buffer.len() as u64))?;
        let count = self.file.write(buffer)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Scratch {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

/// A folder for files that are only looked at. It vanishes when this is dropped; what a crash leaves of it goes when the store is
/// opened again.
pub(crate) struct Folder {
    path: PathBuf,
    grant: Grant,
    size: u64,
    tasks: Tasks,
    removed: bool,
}

impl Folder {
    pub(super) async fn create(directory: &Path, grant: Grant, tasks: &Tasks) -> io::Result<Self> {
        let path = directory.join(format!("folder-{:032x}", rand::random::<u128>()));
        fs::DirBuilder::new().mode(0o700).create(&path).await?;
        Ok(Self { path, grant, size: 0, tasks: tasks.clone(), removed: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A new file in it, by a name without a path.
    pub(crate) async fn file(&self, name: &str) -> io::Result<fs::File> {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path.join(name))
            .await
    }

    /// Adds to one of its files.
    pub(crate) async fn write(&mut self, file: &mut fs::File, bytes: &[u8]) -> io::Result<()> {
        let size = self.size.saturating_add(bytes.len() as u64);
        self.grant.reach(size)?;
        file.write_all(bytes).await?;
        self.size = size;
        Ok(())
    }

    /// Has all of a file written, so that others can read it.
    pub(crate) async fn close(&self, mut file: fs::File) -> io::Result<()> {
        file.flush().await
    }

    pub(crate) async fn rename(&self, old: &str, new: &str) -> io::Result<()> {
        fs::rename(self.path.join(old), self.path.join(new)).await
    }

    pub(crate) async fn remove(mut self) -> io::Result<()> {
        self.removed = true;
        fs::remove_dir_all(&self.path).await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let (path, grant) = (std::mem::take(&mut self.path), self.grant.take());
        self.tasks.spawn("folder cleanup", async move {
            if let Err(error) = fs::remove_dir_all(path).await {
                tracing::warn!(%error, "Files that were only looked at could not be removed; the next start does it.");
            }
            drop(grant);
        });
    }
}
