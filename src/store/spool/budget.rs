//! Who uses how much of the spool. Files are granted bytes before they have them: neither may one device take the place
//! of the others, nor may all files together take the place of the databases.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::DeviceName;
use crate::store::disk::Disk;

/// How many bytes the files in the spool may have. What waits to be sent and what is worked on are counted apart, each
/// against these limits: messages that wait must never keep the first of them from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Those of one device.
    pub device: u64,
    /// Those of all devices.
    pub all: u64,
}

/// None, until they are set.
impl Default for SpoolLimits {
    fn default() -> Self {
        Self { device: u64::MAX, all: u64::MAX }
    }
}

/// Why a file gets no more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolFull {
    #[error("the disk is nearly full")]
    Disk,
    #[error("the device's files have as many bytes as media.device_spool allows")]
    Device,
    #[error("the files of all devices have as many bytes as media.spool allows")]
    All,
}

impl SpoolFull {
    /// For programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk_full",
            Self::Device | Self::All => "spool_full",
        }
    }

    /// What an error of a file in the spool was made of.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let made_of = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).copied();
        made_of.or_else(|| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Disk),
            _ => None,
        })
    }
}

impl From<SpoolFull> for io::Error {
    fn from(full: SpoolFull) -> Self {
        let kind = match full {
            SpoolFull::Disk => io::ErrorKind::StorageFull,
            SpoolFull::Device | SpoolFull::All => io::ErrorKind::QuotaExceeded,
        };
        Self::new(kind, full)
    }
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// It waits until its message is sent.
    Upload,
    /// It is worked on, and gone when that ends.
    Scratch,
}

/// Whose bytes they are; nobody's are those of uploads that an earlier moonwa kept.
pub(super) type Owner = Option<DeviceName>;

pub(super) struct Budget {
    disk: Arc<Disk>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    limits: SpoolLimits,
    used: BTreeMap<(Use, Owner), u64>,
    /// Granted, but perhaps not on the disk yet.
    unwritten: u64,
}

impl Books {
    fn total(&self, of: Use) -> u64 {
        self.used.iter().filter(|((used, _), _)| *used == of).map(|(_, bytes)| bytes).sum()
    }
}

impl Budget {
    pub(super) fn new(disk: Arc<Disk>) -> Self {
        Self { disk, books: Mutex::default() }
    }

    pub(super) fn limit(&self, limits: SpoolLimits) {
        self.books().limits = limits;
    }

    /// Grants bytes, or says why not. They count as unwritten until `written` is told.
    pub(super) fn grant(&self, of: Use, owner: &Owner, bytes: u64) -> Result<(), SpoolFull> {
        let mut books = self.books();
        let own = books.used.get(&(of, owner.clone())).copied().unwrap_or_default();
        if own.saturating_add(bytes) > books.limits.device {
            return Err(SpoolFull::Device);
        }
        if books.total(of).saturating_add(bytes) > books.limits.all {
            return Err(SpoolFull::All);
        }
        // What others were granted is not free, although the disk does not know it yet.
        if !self.disk.grants_file(bytes.saturating_add(books.unwritten)) {
            return Err(SpoolFull::Disk);
        }
        books.unwritten += bytes;
        *books.used.entry((of, owner.clone())).or_default() += bytes;
        Ok(())
    }

    /// So many bytes that were granted are on the disk, or will never be.
    pub(super) fn written(&self, bytes: u64) {
        let mut books = self.books();
        books.unwritten = books.unwritten.saturating_sub(bytes);
    }

    /// Enters what is there already.
    pub(super) fn enter(&self, of: Use, owner: Owner, bytes: u64) {
        *self.books().used.entry((of, owner)).or_default() += bytes;
    }

    pub(super) fn give_back(&self, of: Use, owner: &Owner, bytes: u64) {
        let mut books = self.books();
        let place = (of, owner.clone());
        if let Some(used) = books.used.get_mut(&place) {
            *used = used.saturating_sub(bytes);
            if *used == 0 {
                books.used.remove(&place);
            }
        }
    }

    /// Why no device's upload would be taken now.
    pub(super) fn refuses(&self) -> Option<SpoolFull> {
        let books = self.books();
        if !self.disk.has_room_for_files() {
            Some(SpoolFull::Disk)
        } else if books.total(Use::Upload) >= books.limits.all {
            Some(SpoolFull::All)
        } else {
            None
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
