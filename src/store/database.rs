//! How a database is opened, with which sizes, and what the committer thread needs of it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions};

use super::key::{Key, Parts};
use super::{StoreError, salvage};

/// The format of the rows. A newer one is refused, an older one would be converted here.
const FORMAT: u64 = 1;

pub(super) const MIB: u64 = 1024 * 1024;

/// What the committer thread and the closing of a database need of either.
pub(super) trait Base: Send + Sync + 'static {
    /// Whether tests may hold its commits.
    const MAY_BE_HELD: bool;
    fn db(&self) -> &Database;
    /// Where the mark of a commit that was not synced goes.
    fn meta(&self) -> &Keyspace;
}

/// A keyspace. Its sizes are fixed when it is made: fjall keeps them with it.
pub(super) fn keyspace(db: &Database, name: &str, memtable: u64) -> Result<Keyspace, StoreError> {
    let options = || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(memtable)
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
            .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(4 * MIB)))
    };
    db.keyspace(name, options).map_err(StoreError::database)
}

pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    std::fs::create_dir_all(path).map_err(StoreError::io(path))?;
    let database = || {
        Database::builder(path)
            .cache_size(4 * MIB)
            .worker_threads(1)
            .max_cached_files(Some(64))
            .max_journaling_size(64 * MIB)
            // What salvage checks is then exactly what was written.
            .journal_compression(CompressionType::None)
            .open()
    };
    salvage::before_open(path)?;
    database().map_err(|error| match error {
        fjall::Error::Locked => StoreError::Locked(path.to_owned()),
        error => StoreError::database(error),
    })
}

pub(super) fn check_format(path: &Path, meta: &Keyspace) -> Result<(), StoreError> {
    let key = Key::new(b'f');
    match meta.get(&key).map_err(StoreError::database)? {
        None => meta
            .insert(key.into_bytes(), FORMAT.to_be_bytes().as_slice())
            .map_err(StoreError::database),
        Some(row) => match Parts::of(&row).number() {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(StoreError::Newer { path: path.to_owned(), found }),
            None => Err(StoreError::Damaged("the format version".to_owned())),
        },
    }
}

pub(super) fn bytes(slice: &[u8]) -> Bytes {
    Bytes::copy_from_slice(slice)
}
