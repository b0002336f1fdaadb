//! The two databases on disk: how they are opened, with which sizes, and which keyspaces they have.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions};

use super::key::{Key, Parts};
use super::segment::{Generation, Limits};
use super::{StoreError, salvage};

/// The format of the rows. A newer one is refused, an older one would be converted here.
const FORMAT: u64 = 1;

const MIB: u64 = 1024 * 1024;

/// `state/`: credentials, Signal state, the send queue.
pub(super) struct State {
    pub(super) db: Database,
    pub(super) meta: Keyspace,
    pub(super) rows: Keyspace,
    pub(super) queue: Keyspace,
}

impl State {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = open(path)?;
        let meta = keyspace(&db, "meta", MIB)?;
        check_format(path, &meta)?;
        let rows = keyspace(&db, "rows", 2 * MIB)?;
        let queue = keyspace(&db, "queue", MIB)?;
        Ok(Self { db, meta, rows, queue })
    }
}

/// `outbox/`: the event log, cursors, dead letters.
pub(super) struct Outbox {
    pub(super) db: Database,
    pub(super) meta: Keyspace,
    pub(super) dead: Keyspace,
    pub(super) limits: Limits,
    generations: RwLock<Vec<Generation>>,
}

impl Outbox {
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        let db = open(path)?;
        let meta = keyspace(&db, "meta", MIB)?;
        check_format(path, &meta)?;
        let dead = keyspace(&db, "dead", MIB)?;
        let mut generations = Vec::new();
        for guard in meta.prefix(*b"g") {
            let key = guard.key().map_err(StoreError::database)?;
            let mut parts = Parts::of(&key);
            parts.tag();
            if let Some(number) = parts.number() {
                generations.push(Generation::open(&db, number)?);
            }
        }
        // A crash may leave a generation without its entry: the highest was just made and is kept, see `Generation`;
        // others were just dropped.
        let known: Vec<u64> = generations.iter().map(|generation| generation.number).collect();
        let made = Generation::numbers(&db).into_iter().filter(|number| !known.contains(number));
        let mut left: Vec<u64> = made.collect();
        left.sort_unstable();
        if let Some(highest) = left.pop_if(|number| known.iter().all(|known| known < number)) {
            generations.push(Generation::open(&db, highest)?);
        }
        for number in left {
            let dropped = Generation::open(&db, number)?;
            db.delete_keyspace(dropped.rows).map_err(StoreError::database)?;
        }
        Ok(Self { db, meta, dead, limits, generations: RwLock::new(generations) })
    }

    /// The generations now, oldest first. A reader takes its snapshot first: then an event it cannot find was dropped.
    pub(super) fn generations(&self) -> Vec<Generation> {
        self.generations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add_generation(&self, generation: Generation) {
        self.generations.write().unwrap_or_else(PoisonError::into_inner).push(generation);
    }

    pub(super) fn take_generation(&self, number: u64) -> Option<Generation> {
        let mut all = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|generation| generation.number == number)?;
        Some(all.remove(place))
    }
}

/// What the committer thread and the closing of a database need of either.
pub(super) trait Base: Send + Sync + 'static {
    /// Whether tests may hold its commits.
    const MAY_BE_HELD: bool;
    /// The database.
    fn db(&self) -> &Database;
    /// Where the mark of a commit that was not synced goes.
    fn meta(&self) -> &Keyspace;
}

impl Base for State {
    const MAY_BE_HELD: bool = false;
    fn db(&self) -> &Database {
        &self.db
    }
    fn meta(&self) -> &Keyspace {
        &self.meta
    }
}

impl Base for Outbox {
    const MAY_BE_HELD: bool = true;
    fn db(&self) -> &Database {
        &self.db
    }
    fn meta(&self) -> &Keyspace {
        &self.meta
    }
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

fn open(path: &Path) -> Result<Database, StoreError> {
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

fn check_format(path: &Path, meta: &Keyspace) -> Result<(), StoreError> {
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

/// Copies what fjall read.
pub(super) fn bytes(slice: &[u8]) -> Bytes {
    Bytes::copy_from_slice(slice)
}
