//! Everything that must survive: credentials and Signal state, the send queue, the event log with its cursors. The only
//! directory that says `fjall`. Two databases, `state/` and `outbox/`, each written by one committer thread; callers
//! are async and never touch the disk themselves. What the rows mean is decided elsewhere.

mod cursor;
mod error;
mod log;
mod message;
mod space;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use cursor::{Cursor, Cursors, DeadLetter, EndpointId, EndpointState};
pub use error::StoreError;
pub use log::{EventLog, NewEvent, Page, Seq, StoredEvent};
pub use message::{Enqueued, SendQueue};
pub use space::{Batch, Space};

use crate::model::DeviceName;

/// How to open the store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The directory; created when absent.
    pub path: PathBuf,
    /// Whether promises survive a power cut (fdatasync), not only `kill -9`.
    pub power_safe: bool,
    /// Events older than this may be dropped.
    pub keep: Duration,
    /// Bytes of the event log before the oldest generation is dropped.
    pub max_size: u64,
}

/// The open store. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {}

impl Store {
    /// Opens both databases, repairing a torn journal tail. Refused by name when another process has them.
    pub async fn open(_options: StoreOptions) -> Result<Self, StoreError> {
        todo!()
    }

    /// The rows of one device in `state/`: keys are prefixed, so devices cannot see each other.
    pub fn space(&self, _device: &DeviceName) -> Space {
        todo!()
    }

    /// Rows of the gateway itself in `state/`.
    pub fn own_space(&self) -> Space {
        todo!()
    }

    /// Every device with rows in `state/`, also those no longer in the file.
    pub async fn devices(&self) -> Result<Vec<DeviceName>, StoreError> {
        todo!()
    }

    /// The event log.
    pub fn log(&self) -> &EventLog {
        todo!()
    }

    /// The endpoints' cursors and dead letters.
    pub fn cursors(&self) -> &Cursors {
        todo!()
    }

    /// The send queue.
    pub fn queue(&self) -> &SendQueue {
        todo!()
    }

    /// A directory for media on their way; emptied of leftovers at open.
    pub fn spool(&self) -> PathBuf {
        todo!()
    }

    /// Resolves once the store can no longer keep a promise (poisoned by an I/O error): the process must end and be
    /// started again.
    pub async fn failed(&self) -> StoreError {
        todo!()
    }

    /// Whether both committer threads completed a no-op within the last `patience`.
    pub fn is_alive(&self, _patience: Duration) -> bool {
        todo!()
    }

    /// Writes what is buffered and ends the threads. The store must not be used after it.
    pub async fn close(&self) -> Result<(), StoreError> {
        todo!()
    }
}
