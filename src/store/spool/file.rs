//! A file whose every byte is granted before it is written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::budget::{Budget, Owner, SpoolFull, Use};

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
