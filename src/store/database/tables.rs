//! Moves what the databases keep in memory to tables, and merges those. fjall has workers for it, but they end at the first
//! write that fails, and take the database with them; it runs without them. Here a full disk is waited for, and one thread
//! serves both databases.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, LsmError, PersistMode};
use lsm_tree::AbstractTree;
use lsm_tree::compaction::CompactionStrategy;

use crate::store::StoreError;
use crate::store::database::MIB;
use crate::store::disk::Disk;
use crate::store::repair::checked::{self, Checked};
use crate::store::repair::damage::Damage;

/// What a keyspace keeps in memory. A gateway has a dozen keyspaces.
const FULL: u64 = MIB / 4;
/// How many tables that came from memory are merged at once.
const MERGED: u8 = 12;
/// How often a full disk is asked whether it has room again.
const TICK: Duration = Duration::from_secs(1);
/// fjall finds out which old versions of rows nobody reads any more at every so many snapshots that close.
const SNAPSHOTS: usize = 10_000;

/// Is told when a database cannot go on.
type Failed = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// Sealed rows of a keyspace that wait for their table.
struct Work {
    db: Database,
    keyspace: Keyspace,
    failed: Failed,
}

/// A table, by its name in its database, that may have been damaged since it was read whole.
struct Check {
    database: PathBuf,
    table: PathBuf,
    failed: Failed,
}

enum Request {
    Work(Work),
    Check(Check),
    /// Lets go of a database.
    Close(Database, Sender<()>),
}

/// A handle to the thread. Clones share it; it ends with the last one.
#[derive(Clone)]
pub(crate) struct Tables {
    requests: Sender<Request>,
    disk: Arc<Disk>,
}

impl Tables {
    pub(crate) fn start(disk: Arc<Disk>) -> Result<Self, Error> {
        let (requests, queue) = channel();
        let room = Arc::clone(&disk);
        std::thread::Builder::new()
            .name("store-tables".to_owned())
            .spawn(move || serve(&room, &queue))?;
        Ok(Self { requests, disk })
    }

    /// The handle of one database.
    pub(crate) fn of(
        &self,
        db: Database,
        failed: impl Fn(&StoreError) + Send + Sync + 'static,
    ) -> DatabaseTables {
        let tables = DatabaseTables { tables: self.clone(), db, failed: Arc::new(failed) };
        for keyspace in keyspaces(&tables.db) {
            // Tables of an earlier run may wait to be merged, and rows of journals for their table.
            if keyspace.tree.l0_run_count() > 1 || keyspace.sealed_memtable_count() > 0 {
                tables.ask(&keyspace);
            }
        }
        tables
    }
}

/// The same for one database. Only its committer may use it: rows are sealed between commits, or else a crash could lose a
/// part of one.
pub(crate) struct DatabaseTables {
    tables: Tables,
    db: Database,
    failed: Failed,
}

impl DatabaseTables {
    /// Looks at a keyspace that was written. Without room its rows stay in memory, until a write finds room.
    pub(crate) fn look(&self, keyspace: &Keyspace) {
        if is_full(keyspace)
            && keyspace.sealed_memtable_count() == 0
            && has_room(&self.tables.disk, keyspace)
        {
            keyspace.tree.rotate_memtable();
            self.ask(keyspace);
        }
    }

    /// Merges what came by other ways than this.
    pub(crate) fn merge(&self) {
        keyspaces(&self.db)
            .iter()
            .filter(|keyspace| keyspace.tree.l0_run_count() > 1)
            .for_each(|keyspace| self.ask(keyspace));
    }

    /// Reads a table again.
    pub(crate) fn check(&self, database: &Path, table: PathBuf) {
        let (database, failed) = (database.to_owned(), Arc::clone(&self.failed));
        self.tables.requests.send(Request::Check(Check { database, table, failed })).ok();
    }

    fn ask(&self, keyspace: &Keyspace) {
        let (db, keyspace) = (self.db.clone(), keyspace.clone());
        let work = Work { db, keyspace, failed: Arc::clone(&self.failed) };
        self.tables.requests.send(Request::Work(work)).ok();
    }

    /// Waits until the thread has let go of the database.
    pub(crate) fn close(self) {
        let (done, closed) = channel();
        if self.tables.requests.send(Request::Close(self.db, done)).is_ok() {
            closed.recv().ok();
        }
    }
}

/// Every keyspace of a database.
pub(crate) fn keyspaces(db: &Database) -> Vec<Keyspace> {
    let all = db.supervisor.keyspaces.read();
    all.map(|all| all.values().cloned().collect()).unwrap_or_default()
}

fn serve(disk: &Disk, queue: &Receiver<Request>) {
    let mut waiting: Vec<Work> = Vec::new();
    loop {
        let lacked_room = !waiting.is_empty();
        let request = if waiting.is_empty() {
            queue.recv().map_err(|_ended| RecvTimeoutError::Disconnected)
        } else {
            queue.recv_timeout(TICK)
        };
        match request {
            Ok(Request::Work(work)) => waiting.push(work),
            Ok(Request::Check(check)) => check.run(),
            Ok(Request::Close(db, done)) => {
                waiting.retain(|work| !std::ptr::eq(&raw const *work.db, &raw const *db));
                drop(db);
                done.send(()).ok();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.retain(|work| !work.is_done(disk));
        if !lacked_room && !waiting.is_empty() {
            tracing::warn!(
                "The disk has no room for a table of the store; its rows wait in memory and in the journal."
            );
        }
    }
}

impl Check {
    fn run(&self) {
        let (database, file) = (&self.database, self.database.join(&self.table));
        let whole = checked::is_whole(database, &self.table);
        if matches!(whole, Ok(true)) {
            return;
        }
        let error = whole.err().map(tracing::field::display);
        tracing::error!(table = %file.display(), error, "A table of the store is damaged.");
        // The next start reads everything, and repairs what it can.
        if let Err(error) = Checked::forget(database) {
            tracing::debug!(%error, "The list of tables stays.");
        }
        let what = "is damaged".to_owned();
        (self.failed)(&StoreError::broken(database, vec![Damage { file, what }]));
    }
}

impl Work {
    /// Writes the table and merges it with others, if there is room.
    fn is_done(&self, disk: &Disk) -> bool {
        if !has_room(disk, &self.keyspace) {
            return false;
        }
        match flush(&self.db, &self.keyspace).and_then(|()| merge(&self.db, &self.keyspace)) {
            Err(error) if is_for_lack_of_room(&error) => false,
            Err(error) => {
                (self.failed)(&StoreError::database(error));
                true
            }
            Ok(()) => true,
        }
    }
}

fn is_full(keyspace: &Keyspace) -> bool {
    keyspace.tree.active_memtable().size() >= FULL
}

/// Whether all tables of a keyspace could be written once more.
fn has_room(disk: &Disk, keyspace: &Keyspace) -> bool {
    disk.fits(keyspace.disk_space())
}

/// Moves sealed rows to a table.
fn flush(db: &Database, keyspace: &Keyspace) -> fjall::Result<()> {
    let lock = keyspace.tree.get_flush_lock();
    if keyspace.sealed_memtable_count() == 0 {
        return Ok(());
    }
    // A table must have no rows that a power cut can still take from the journal.
    db.persist(PersistMode::SyncAll)?;
    for _ in 0..SNAPSHOTS {
        drop(db.snapshot());
    }
    let oldest_read = db.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
    keyspace.tree.flush(&lock, oldest_read)?;
    Ok(keyspace.tree.get_version_history_lock().maintenance(keyspace.path(), oldest_read)?)
}

/// Merges tables until there is nothing to merge.
fn merge(db: &Database, keyspace: &Keyspace) -> fjall::Result<()> {
    // Whatever a keyspace was made with: each merge writes all of a segment again, and its filters make many tables cheap to
    // ask. fjall holds writes up from 20 tables on.
    let strategy = Leveled::default().with_table_target_size(4 * MIB).with_l0_threshold(MERGED);
    let strategy: Arc<dyn CompactionStrategy + Send + Sync> = Arc::new(strategy);
    loop {
        let before = keyspace.tree.current_version().id();
        let strategy = Arc::clone(&strategy);
        let oldest_read = db.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
        keyspace.tree.compact(strategy, oldest_read)?;
        if keyspace.tree.current_version().id() == before {
            return Ok(());
        }
    }
}

/// Moves every row to a table, whatever that costs.
pub(crate) fn flush_all(db: &Database) -> fjall::Result<()> {
    for keyspace in keyspaces(db) {
        keyspace.tree.rotate_memtable();
        flush(db, &keyspace)?;
    }
    Ok(())
}

pub(crate) fn is_for_lack_of_room(error: &fjall::Error) -> bool {
    let (fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error))) = error else {
        return false;
    };
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Moves all rows of a keyspace to a table.
#[cfg(test)]
pub(crate) fn empty(db: &Database, keyspace: &Keyspace) {
    keyspace.tree.rotate_memtable();
    flush(db, keyspace).unwrap();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::database;

    #[test]
    fn rows_wait_for_room_and_are_merged() {
        let dir = tempfile::tempdir().unwrap();
        let db = database::open(&dir.path().join("state")).unwrap();
        let rows = database::keyspace(&db, "rows").unwrap();
        let free = Arc::new(AtomicU64::new(0));
        let asked = Arc::clone(&free);
        let disk = Disk::with(dir.path(), move |_| Ok(asked.load(Ordering::Relaxed)));
        let failed: Failed = Arc::new(|error| panic!("{error}"));
        for round in 0..2 * MERGED {
            for n in 0..500_u32 {
                rows.insert(n.to_be_bytes(), [round; 1024]).unwrap();
            }
            assert!(is_full(&rows) && !has_room(&disk, &rows));
            rows.tree.rotate_memtable();
            let work = Work { db: db.clone(), keyspace: rows.clone(), failed: Arc::clone(&failed) };
            assert!(!work.is_done(&disk));
            assert_eq!(rows.sealed_memtable_count(), 1, "written without room");
            free.store(u64::MAX, Ordering::Relaxed);
            assert!(work.is_done(&disk));
            free.store(0, Ordering::Relaxed);
            assert_eq!(rows.sealed_memtable_count(), 0);
            assert!(rows.l0_table_count() < usize::from(MERGED), "not merged");
        }
        assert_eq!(
            rows.get(7_u32.to_be_bytes()).unwrap().unwrap().as_ref(),
            [2 * MERGED - 1; 1024]
        );
        // Of each row, old versions are gone where tables were merged.
        assert!(rows.approximate_len() <= usize::from(MERGED) * 500);
    }
}
