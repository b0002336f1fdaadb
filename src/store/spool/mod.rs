//! The directory for files on their way to WhatsApp and to callers. Only names leave it, never paths: a store may be
//! moved while messages wait.

mod budget;
mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use budget::{Budget, Owner, Use};
pub(crate) use budget::{SpoolFull, SpoolLimits};

use file::Grant;
pub(crate) use file::{Folder, Scratch};

use super::disk::Disk;
use crate::model::{DeviceName, IdempotencyKey, SpoolName, UnixMillis};
use crate::private;
use crate::store::StoreError;
use crate::task::Tasks;

/// A queued message expires after a day, so its file can be removed after two; not that of one that goes later.
const KEEP: Duration = Duration::from_hours(48);

/// The open spool. Clones share it.
#[derive(Clone)]
pub struct Spool {
    directory: Arc<Path>,
    budget: Arc<Budget>,
}

impl Spool {
    /// Makes the directory, removes what is too old and counts the rest. Only the holder of the databases' locks may
    /// call this.
    pub(super) fn open(
        store: &Path,
        disk: Arc<Disk>,
        now: UnixMillis,
        needed: impl FnOnce() -> Result<BTreeSet<SpoolName>, StoreError>,
    ) -> Result<Self, StoreError> {
        let directory: Arc<Path> = store.join("spool").into();
        private::create_folder(&directory).map_err(StoreError::io(&directory))?;
        let spool = Self { directory, budget: Arc::new(Budget::new(disk)) };
        spool.sweep(now, needed)?;
        Ok(spool)
    }

    /// Sets what `[media]` allows, also while files are there.
    pub fn limit(&self, limits: SpoolLimits) {
        self.budget.limit(limits);
    }

    /// Why an upload of any device would be refused now.
    pub(crate) fn refuses(&self) -> Option<SpoolFull> {
        self.budget.refuses()
    }

    /// How many bytes the files in the spool of a store have, whether or not the store is open.
    pub(crate) fn size(store: &Path) -> io::Result<u64> {
        let mut size = 0;
        for entry in std::fs::read_dir(store.join("spool"))? {
            size += entry?.metadata().map_or(0, |file| file.len());
        }
        Ok(size)
    }

    /// An empty file for what a caller sends.
    pub async fn upload(&self, device: &DeviceName, tasks: &Tasks) -> io::Result<Upload> {
        let grant = Grant::first(&self.budget, Use::Upload, Some(device.clone()))?;
        let name = SpoolName::of(device, &HEXLOWER.encode(&rand::random::<[u8; 16]>()));
        let file = fs::File::create_new(self.path(&name)).await?;
        let (spool, tasks, device) = (self.clone(), tasks.clone(), device.clone());
        Ok(Upload { file, size: 0, spool, grant, tasks, device, name, kept: false })
    }

    /// A file of a device to work on. Blocks.
    pub(crate) fn scratch(&self, device: &DeviceName) -> io::Result<Scratch> {
        let grant = Grant::first(&self.budget, Use::Scratch, Some(device.clone()))?;
        Scratch::create(&self.directory, grant)
    }

    /// A folder for files that are only looked at.
    pub(crate) async fn folder(&self, tasks: &Tasks) -> io::Result<Folder> {
        let grant = Grant::first(&self.budget, Use::Scratch, None)?;
        Folder::create(&self.directory, grant, tasks).await
    }

    /// The file of an upload. Blocks.
    pub(crate) fn read(&self, name: &SpoolName) -> io::Result<File> {
        File::open(self.path(name))
    }

    /// Removes the file of an upload, if it is still there.
    pub(crate) async fn remove(&self, name: &SpoolName) -> io::Result<()> {
        let path = self.path(name);
        let removed = async {
            let size = fs::metadata(&path).await?.len();
            fs::remove_file(&path).await?;
            io::Result::Ok(size)
        };
        match removed.await {
            Ok(size) => self.budget.give_back(Use::Upload, &name.device(), size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn path(&self, name: &SpoolName) -> PathBuf {
        self.directory.join(name.as_str())
    }

    fn sweep(
        &self,
        now: UnixMillis,
        needed: impl FnOnce() -> Result<BTreeSet<SpoolName>, StoreError>,
    ) -> Result<(), StoreError> {
        let expired = now.before(KEEP);
        // Only asked for when something is old.
        let (mut needed, mut known) = (Some(needed), Ok(BTreeSet::new()));
        let directory = &self.directory;
        for entry in std::fs::read_dir(directory).map_err(StoreError::io(directory))?.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                // Nobody looks at the files in it any more.
                let folder = entry.path();
                std::fs::remove_dir_all(&folder).map_err(StoreError::io(&folder))?;
                continue;
            }
            let name = entry.file_name().to_str().and_then(SpoolName::parse);
            if u64::try_from(found.mtime()).is_ok_and(|secs| secs < expired.secs()) {
                if let Some(needed) = needed.take() {
                    known = needed();
                }
                let in_use =
                    |known: &BTreeSet<_>| name.as_ref().is_some_and(|name| known.contains(name));
                // When nobody can say what is needed, everything stays.
                if known.as_ref().is_ok_and(|known| !in_use(known)) {
                    let file = entry.path();
                    std::fs::remove_file(&file).map_err(StoreError::io(&file))?;
                    continue;
                }
            }
            let owner: Owner = name.and_then(|name| name.device());
            self.budget.enter(Use::Upload, owner, found.len());
        }
        Ok(())
    }
}

/// A file that a caller sends. It is removed when this is dropped, unless it is kept.
pub struct Upload {
    file: fs::File,
    size: u64,
    spool: Spool,
    grant: Grant,
    tasks: Tasks,
    device: DeviceName,
    name: SpoolName,
    kept: bool,
}

impl Upload {
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let size = self.size.saturating_add(bytes.len() as u64);
        if !self.grant.covers(size) {
            self.file.flush().await?;
            self.grant.reach(size)?;
        }
        self.file.write_all(bytes).await?;
        self.size = size;
        Ok(())
    }

    /// Brings it to the disk: what is promised of a message is promised of its file. Returns its size.
    pub async fn finish(&mut self) -> io::Result<u64> {
        self.file.sync_all().await?;
        self.grant.trim(self.size);
        Ok(self.size)
    }

    pub fn name(&self) -> &SpoolName {
        &self.name
    }

    /// Names the file after the idempotency key and the content: only the same upload, sent again under the same key,
    /// is the same request.
    pub(crate) async fn settle(&mut self, key: &IdempotencyKey) -> io::Result<()> {
        let old = self.spool.path(&self.name);
        let name = SpoolName::of(&self.device, &digest(&old, &self.device, key).await?);
        let new = self.spool.path(&name);
        // The same upload may be there already; its bytes go when it is replaced.
        let replaced = fs::metadata(&new).await.ok().map(|file| file.len());
        fs::rename(&old, &new).await?;
        self.name = name;
        if let Some(bytes) = replaced {
            self.spool.budget.give_back(Use::Upload, &Some(self.device.clone()), bytes);
            // A message waits with it, whatever becomes of this request.
            self.kept = true;
            self.grant.leave();
        }
        Ok(())
    }

    /// Leaves the file to the message, which needs it now.
    pub fn keep(mut self) {
        self.kept = true;
        self.grant.leave();
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (path, grant) = (self.spool.path(&self.name), self.grant.take());
        self.tasks.spawn("spool cleanup", async move {
            // A file that is left over only costs space, and the store removes it when it is opened again.
            fs::remove_file(path).await.ok();
            drop(grant);
        });
    }
}

async fn digest(path: &Path, device: &DeviceName, key: &IdempotencyKey) -> io::Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{device}\n{}\n", key.as_str()));
    let mut file = fs::File::open(path).await?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Ok(HEXLOWER.encode(&hash.finalize()));
        }
        hash.update(piece.get(..read).unwrap_or_default());
    }
}
