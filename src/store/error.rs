//! The errors of the store.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::DeviceName;
use crate::store::repair::damage::Damage;

/// An error of the store. Cheap to clone: one failed group commit answers everybody who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} is in use by another moonwa ({}); stop that one first", .0.display(), holder(.0))]
    Locked(PathBuf),
    /// Too little free disk space to accept anything.
    #[error("too little free disk space")]
    DiskFull,
    /// The database gave an error.
    #[error("the store failed: {0}")]
    Database(Arc<dyn std::error::Error + Send + Sync>),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: Arc<std::io::Error> },
    /// A row is not what was written.
    #[error("a row in the store is damaged: {0}")]
    Damaged(String),
    /// Files of a database are damaged or missing, in a way that no crash and no power cut explains.
    #[error("{}", broken(path, damages, devices, lost))]
    Broken {
        path: PathBuf,
        damages: Vec<Damage>,
        /// Whose identity is kept beside the database.
        devices: Vec<DeviceName>,
        /// Whose kept identity cannot be read.
        lost: Vec<DeviceName>,
    },
    #[error(
        "{path} was written by a newer moonwa (format {found}; this one reads up to {reads}): install that version again",
        path = path.display()
    )]
    Newer { path: PathBuf, found: u64, reads: u64 },
    #[error(
        "{path} belongs to user {owner}, who could read and change it: run moonwa as that user, or give the directory to \
         moonwa's user (chown -R)",
        path = path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    /// Devices that had credentials have none in the store any more.
    #[error("{0}")]
    Lost(String),
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn database(error: fjall::Error) -> Self {
        Self::Database(match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                Arc::new(error)
            }
            fjall::Error::Poisoned => Arc::from(Box::from("an earlier write failed")),
            error => Arc::from(Box::from(format!("a file in it is damaged ({error:?})"))),
        })
    }

    pub(super) fn broken(path: &Path, damages: Vec<Damage>) -> Self {
        Self::Broken { path: path.to_owned(), damages, devices: Vec::new(), lost: Vec::new() }
    }

    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        Self::io(path)(error)
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), source: Arc::new(error) }
    }

    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Which process holds the lock of a database, as far as the kernel tells.
fn holder(database: &Path) -> String {
    let find = || {
        let inode = fs::metadata(database.join("lock")).ok()?.ino().to_string();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        // `1: FLOCK  ADVISORY  WRITE 4711 08:01:393258 0 EOF`
        locks.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let &[_, "FLOCK", _, _, process, file, ..] = words.as_slice() else { return None };
            (file.rsplit(':').next() == Some(inode.as_str())).then(|| format!("process {process}"))
        })
    };
    find().unwrap_or_else(|| "lock held".to_owned())
}

/// What is damaged, which devices it concerns, and what to do.
fn broken(path: &Path, damages: &[Damage], devices: &[DeviceName], lost: &[DeviceName]) -> String {
    let list =
        |names: &[DeviceName]| names.iter().map(DeviceName::as_str).collect::<Vec<_>>().join(", ");
    let what = match damages {
        [] => String::new(),
        [one] => format!(" ({one})"),
        [first, others @ ..] => format!(" ({first}; and {} more)", others.len()),
    };
    let kept = if devices.is_empty() {
        String::new()
    } else {
        let devices = list(devices);
        format!(
            " {devices} need no new QR code; their sessions begin anew, so a message on its way may come late."
        )
    };
    let gone = if lost.is_empty() {
        String::new()
    } else {
        format!(" {} may have to be linked again.", list(lost))
    };
    let path = path.display();
    format!(
        "{path} is damaged{what}. To go on, run: moonwa repair. It sets the damaged database aside, keeps what can be read \
         of it and says what was lost.{kept}{gone}"
    ) + " With repair = \"auto\" under [store], moonwa does that itself when it starts."
}
