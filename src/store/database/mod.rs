//! How a database is opened, with which sizes, and what the committer thread needs of it.

pub(crate) mod checkpoint;
pub(crate) mod clock;
pub(crate) mod committer;
pub(crate) mod format;
pub(crate) mod health;
pub(crate) mod outbox;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod segment;
pub(crate) mod state;
pub(crate) mod tables;
pub(crate) mod txn;
pub(crate) mod writer;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    PartitioningPolicy, PinningPolicy,
};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use lsm_tree::Cache;

use crate::private;
use crate::store::StoreError;
use crate::store::key::{Key, Parts};
use crate::store::repair::damage::Damage;
use crate::store::repair::salvage;

pub(crate) const MIB: u64 = 1024 * 1024;

/// What the committer thread and the closing of a database need of either.
pub(crate) trait Base: Send + Sync + 'static {
    /// What the metrics call it.
    const NAME: &'static str;
    /// Whether tests may hold its commits.
    const MAY_BE_HELD: bool;
    fn path(&self) -> &Path;
    fn db(&self) -> &Database;
    /// Where the mark of a commit that was not synced goes.
    fn meta(&self) -> &Keyspace;
}

/// Both databases share it. What is read is read again soon, or not at all.
static CACHE: LazyLock<Arc<Cache>> = LazyLock::new(|| Arc::new(Cache::with_capacity_bytes(MIB)));
/// What a keyspace keeps in memory before fjall's own workers would act. There are none.
const MEMTABLE: u64 = 4 * MIB;
/// The keyspace that each database makes first.
pub(crate) const META: &str = "meta";
/// Tables that a database keeps open.
const OPEN_FILES: usize = 16;

/// A keyspace. Its sizes are fixed when it is made: fjall keeps them with it.
pub(crate) fn keyspace(db: &Database, name: &str) -> Result<Keyspace, StoreError> {
    db.keyspace(name, options).map_err(StoreError::database)
}

/// A keyspace that is written at its end and read in order.
pub(crate) fn log_keyspace(db: &Database, name: &str) -> Result<Keyspace, StoreError> {
    db.keyspace(name, log_options).map_err(StoreError::database)
}

/// The same with many small entries that are asked for one by one. The filter of a table is as large as the cache then: in
/// pieces, what is asked for reads one of them.
pub(crate) fn words_keyspace(db: &Database, name: &str) -> Result<Keyspace, StoreError> {
    let options = || log_options().filter_block_partitioning_policy(PartitioningPolicy::all(true));
    db.keyspace(name, options).map_err(StoreError::database)
}

/// Larger blocks need fewer entries in an index and compress better. Each event that comes is asked for in every segment,
/// and is in none: a filter answers that without a block.
fn log_options() -> KeyspaceCreateOptions {
    let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    options()
        .data_block_size_policy(BlockSizePolicy::all(16 * 1024))
        .filter_policy(FilterPolicy::all(filter))
}

/// Indexes and filters go through the cache like everything else: pinned, they would grow with what is stored.
fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE)
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        .index_block_pinning_policy(PinningPolicy::disabled())
        .filter_block_pinning_policy(PinningPolicy::disabled())
        .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(4 * MIB)))
}

pub(crate) fn open(path: &Path) -> Result<Database, StoreError> {
    private::create_folder(path).map_err(StoreError::io(path))?;
    format::check(path)?;
    let mut config = Database::builder(path)
        // `tables` does their work.
        .worker_threads_unchecked(0)
        .max_cached_files(Some(OPEN_FILES))
        // What salvage checks is then exactly what was written.
        .journal_compression(CompressionType::None)
        .into_config();
    config.cache = Arc::clone(&CACHE);
    salvage::before_open(path)?;
    let open = || Database::open(config.clone());
    let opened = if salvage::is_finished(path) {
        open()
    } else {
        // fjall writes a journal that it made at a place which it remembers, and one that it opened at its end. Only the
        // latter can be emptied. The first keyspace is made before, or it would get another number.
        open().and_then(|made| {
            drop(made.keyspace(META, options)?);
            drop(made);
            open()
        })
    };
    opened.map_err(|error| match error {
        fjall::Error::Locked => StoreError::Locked(path.to_owned()),
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error))
            if !is_damage(&error) =>
        {
            StoreError::io(path)(error)
        }
        error => {
            let what = format!("cannot be opened ({error:?})");
            StoreError::broken(path, vec![Damage { file: path.to_owned(), what }])
        }
    })
}

/// Whether an error comes from what lies on the disk, and not from what the system allows us.
fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    !matches!(
        error.kind(),
        Kind::PermissionDenied
            | Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::ReadOnlyFilesystem
            | Kind::OutOfMemory
    ) && error.raw_os_error() != Some(rustix::io::Errno::MFILE.raw_os_error())
}

/// Sees to the format of a database that was just opened: converts an older one, refuses a newer one.
pub(crate) fn check_format(path: &Path, db: &Database, meta: &Keyspace) -> Result<(), StoreError> {
    let key = Key::new(b'f');
    let row = meta.get(&key).map_err(StoreError::database)?;
    let found = row.map(|row| Parts::of(&row).number().unwrap_or_default());
    match found {
        Some(format::FORMAT) => {}
        // Format 1 had the same rows, and not the files beside the database; format 2 had fewer kinds of rows. What format 3 did
        // not pack is read as it is.
        Some(1..format::FORMAT) => set_format(db, meta)?,
        None if !format::is_made(path) => set_format(db, meta)?,
        Some(found) if found > format::FORMAT => {
            return Err(StoreError::Newer { path: path.to_owned(), found, reads: format::FORMAT });
        }
        Some(_) | None => {
            let what = "has lost the row with its format".to_owned();
            return Err(StoreError::broken(path, vec![Damage { file: path.to_owned(), what }]));
        }
    }
    format::write(path)?;
    format::open(path);
    Ok(())
}

fn set_format(db: &Database, meta: &Keyspace) -> Result<(), StoreError> {
    let row = format::FORMAT.to_be_bytes();
    meta.insert(Key::new(b'f').into_bytes(), row.as_slice()).map_err(StoreError::database)?;
    // Before the file beside the database says so.
    db.persist(PersistMode::SyncAll).map_err(StoreError::database)
}

pub(crate) fn bytes(slice: &[u8]) -> Bytes {
    Bytes::copy_from_slice(slice)
}
