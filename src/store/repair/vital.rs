//! Whether the directory of an open database is still the one that was opened, and can be written.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use crate::store::StoreError;

/// A look at a database from outside: an idle database would notice nothing by itself.
pub(crate) struct Vital {
    path: PathBuf,
    /// The device and the number of its lock file, which stays the same while the database is open.
    lock: Option<(u64, u64)>,
}

impl Vital {
    pub(crate) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: identity(path).ok() }
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let failed =
            |what: &str| Err(StoreError::io(&self.path)(io::Error::other(what.to_owned())));
        match identity(&self.path) {
            Ok(now) if self.lock.is_none_or(|lock| lock == now) => {}
            Ok(_) => return failed("another directory has taken its place"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return failed("it was deleted while moonwa runs");
            }
            Err(error) => return Err(StoreError::io(&self.path)(error)),
        }
        let flags = statvfs(&self.path).map(|system| system.f_flag);
        match flags {
            Ok(flags) if flags.contains(StatVfsMountFlags::RDONLY) => {
                failed("its file system is read-only now")
            }
            // A new journal is a new file, but the old one would take writes for a while.
            Ok(_) => match access(&self.path, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => Ok(()),
                Err(error) => failed(&format!("it cannot be written any more ({error})")),
            },
            Err(error) => Err(StoreError::io(&self.path)(error.into())),
        }
    }

    /// Syncs a file in it that nobody writes: that writes nothing, and a device that fails says so.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let lock = self.path.join("lock");
        fs::File::open(&lock).and_then(|file| file.sync_data()).map_err(StoreError::io(&lock))
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let lock = fs::metadata(path.join("lock"))?;
    Ok((lock.dev(), lock.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_or_replaced_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("lock"), "").unwrap();
        let vital = Vital::of(&path);
        assert!(vital.check().is_ok());
        let aside = dir.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        assert!(vital.check().unwrap_err().to_string().contains("deleted"));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("lock"), "").unwrap();
        assert!(vital.check().unwrap_err().to_string().contains("taken its place"));
        fs::remove_dir_all(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        assert!(vital.check().is_ok());
    }
}
