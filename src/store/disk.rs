//! Watches the free disk space, because fjall does not survive a full disk. When space runs out, new messages are
//! refused first, and the writes that keep a session alive last; a ballast file can be removed to make room.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::knobs::knobs;
use crate::private;
use crate::store::StoreError;

const MIB: u64 = 1024 * 1024;
/// With less free space than this nothing new is accepted: twice the journal of one database.
const PROMISES: u64 = 128 * MIB;
/// With less free space than this no file is taken: files must leave room for the messages of others.
const FILES: u64 = PROMISES + 64 * MIB;
/// With less free space than this nothing is written at all.
const ESSENTIALS: u64 = 32 * MIB;
/// The size of the file that is removed when the disk is full.
const BALLAST: u64 = 16 * MIB;

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Something new, which can be refused.
    Promise,
    /// What must go on: session keys, cursors, and the outcome of messages that were accepted.
    Essential,
}

/// Asks a file system for its free bytes.
type Free = Box<dyn Fn(&Path) -> std::io::Result<u64> + Send + Sync>;

/// The file system the store is on.
pub(crate) struct Disk {
    path: PathBuf,
    free: Free,
    seen: Mutex<(Option<Instant>, u64)>,
    refused: AtomicU64,
}

impl Disk {
    /// Watches the file system of `path`.
    pub(crate) fn of(path: &Path) -> Self {
        match knobs().disk_bytes {
            Some(size) => {
                Self::with(path, move |path| Ok(size.saturating_sub(private::used_by(path)?)))
            }
            None => Self::with(path, free_space),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are used here, and how many are free.
    pub(crate) fn sizes(&self) -> std::io::Result<(u64, u64)> {
        Ok((private::used_by(&self.path)?, (self.free)(&self.path)?))
    }

    /// Makes room before the databases open: recovery itself may need to write.
    pub(crate) fn make_room(&self) {
        if self.free_now() < ESSENTIALS && std::fs::remove_file(self.ballast()).is_ok() {
            tracing::warn!("The disk is nearly full; gave up the ballast file.");
        }
    }

    pub(crate) fn check(&self, room: Room) -> Result<(), StoreError> {
        let needed = match room {
            Room::Promise => PROMISES,
            Room::Essential => ESSENTIALS,
        };
        if self.free_lately() < needed {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::DiskFull);
        }
        Ok(())
    }

    pub(crate) fn has_room(&self) -> bool {
        self.free_lately() >= PROMISES
    }

    /// Whether so many bytes may be written, and essentials still after that. The file system is always asked.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.free_now() >= ESSENTIALS.saturating_add(bytes)
    }

    /// Whether files may be written.
    pub(crate) fn has_room_for_files(&self) -> bool {
        self.free_lately() >= FILES
    }

    /// Whether a file may have so many bytes more. The file system is always asked: files fill a disk fast.
    pub(crate) fn grants_file(&self, bytes: u64) -> bool {
        let granted = self.free_now() >= FILES.saturating_add(bytes);
        if !granted {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        granted
    }

    /// How many writes were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Puts the ballast back once there is plenty.
    pub(crate) fn look_after(&self) {
        let ballast = self.ballast();
        if self.free_lately() < PROMISES + 2 * BALLAST || ballast.exists() {
            return;
        }
        let made = private::create(&ballast)
            .and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, BALLAST)?));
        if made.is_err() {
            // Some file systems cannot reserve; the limits alone must do then. The empty file stops further tries.
            tracing::debug!("No ballast file: the file system cannot reserve space.");
        }
    }

    pub(super) fn with(
        path: &Path,
        free: impl Fn(&Path) -> std::io::Result<u64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            path: path.to_owned(),
            free: Box::new(free),
            seen: Mutex::new((None, 0)),
            refused: AtomicU64::new(0),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Refuses nothing when the file system does not answer.
    fn free_now(&self) -> u64 {
        (self.free)(&self.path).unwrap_or(u64::MAX)
    }

    /// Plenty of free space is not used up within a second, so that answer is kept for a second.
    fn free_lately(&self) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.0.is_some_and(|at| at.elapsed() < Duration::from_secs(1));
        if !fresh || seen.1 < 8 * PROMISES {
            *seen = (Some(Instant::now()), self.free_now());
        }
        seen.1
    }
}

/// Bytes a program may still write there.
pub(crate) fn free_space(path: &Path) -> std::io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn disk(path: &Path, free: &Arc<AtomicU64>) -> Disk {
        let free = Arc::clone(free);
        Disk::with(path, move |_| Ok(free.load(Ordering::Relaxed)))
    }

    #[test]
    fn promises_stop_first_and_essentials_last() {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(PROMISES));
        let disk = disk(dir.path(), &free);
        assert!(disk.check(Room::Promise).is_ok());
        free.store(PROMISES - 1, Ordering::Relaxed);
        assert!(matches!(disk.check(Room::Promise), Err(StoreError::DiskFull)));
        assert!(disk.check(Room::Essential).is_ok());
        free.store(ESSENTIALS - 1, Ordering::Relaxed);
        assert!(matches!(disk.check(Room::Essential), Err(StoreError::DiskFull)));
        free.store(PROMISES, Ordering::Relaxed);
        assert!(disk.check(Room::Promise).is_ok());
    }

    #[test]
    fn the_ballast_goes_when_it_is_needed_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(4 * PROMISES));
        let disk = disk(dir.path(), &free);
        disk.look_after();
        let ballast = dir.path().join("ballast");
        assert_eq!(ballast.metadata().unwrap().len(), BALLAST);
        disk.make_room();
        assert!(ballast.exists(), "given up with plenty of room");
        free.store(ESSENTIALS - 1, Ordering::Relaxed);
        disk.make_room();
        assert!(!ballast.exists());
        disk.look_after();
        assert!(!ballast.exists(), "put back on a full disk");
    }

    #[test]
    fn the_real_file_system_answers() {
        assert!(free_space(Path::new("/")).is_ok());
    }
}
