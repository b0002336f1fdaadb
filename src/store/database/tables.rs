//! Moves what a database keeps in memory to tables, and merges those. fjall has a worker for it, but that one ends at the
//! first write that fails, and takes the database with it. Here a full disk is waited for: fjall's worker is told of the
//! same work, waits for the same lock, and then finds it done.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{Database, Keyspace, LsmError, PersistMode};
use lsm_tree::AbstractTree;

use crate::store::database::MIB;
use crate::store::disk::Disk;

/// What a keyspace keeps in memory. A gateway has a dozen keyspaces.
const FULL: u64 = MIB / 4;
/// How many keyspaces may wait. One that finds no place asks again at its next write.
const WAITING: usize = 8;
/// How often a full disk is asked whether it has room again.
const TICK: Duration = Duration::from_secs(1);

/// A handle to the thread that does it.
pub(crate) struct Tables {
    full: SyncSender<Keyspace>,
    thread: JoinHandle<()>,
}

impl Tables {
    pub(crate) fn start(name: &str, db: Database, disk: Arc<Disk>) -> Result<Self, Error> {
        let (full, queue) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name(format!("{name}-tables"))
            .spawn(move || serve(&db, &disk, &queue))?;
        Ok(Self { full, thread })
    }

    /// Looks at a keyspace that was written.
    pub(crate) fn look(&self, keyspace: &Keyspace) {
        if is_full(keyspace) {
            self.full.try_send(keyspace.clone()).ok();
        }
    }

    /// Ends the thread; it has let go of the database then.
    pub(crate) fn close(self) {
        drop(self.full);
        self.thread.join().ok();
    }
}

fn serve(db: &Database, disk: &Disk, queue: &Receiver<Keyspace>) {
    // Whoever asks meanwhile asks again.
    let wait = || queue.recv_timeout(TICK) != Err(RecvTimeoutError::Disconnected);
    while let Ok(keyspace) = queue.recv() {
        // Without room it stays in memory, until a write finds room.
        if is_full(&keyspace)
            && has_room(disk, &keyspace)
            && let Err(error) = empty(db, &keyspace, disk, wait)
        {
            // fjall's worker meets the same error, and the store fails by it.
            tracing::debug!(%error, "Rows cannot be moved to a table.");
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

/// Moves the rows in memory to a table. `wait` says whether to go on after waiting for room.
fn empty(
    db: &Database,
    keyspace: &Keyspace,
    disk: &Disk,
    wait: impl Fn() -> bool,
) -> fjall::Result<()> {
    let lock = keyspace.tree.get_flush_lock();
    if !keyspace.rotate_memtable()? {
        return Ok(());
    }
    let mut told = false;
    loop {
        if has_room(disk, keyspace) {
            // A table must have no rows that a power cut can still take from the journal.
            db.persist(PersistMode::SyncAll)?;
            let oldest_read = db.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
            let flushed = keyspace.tree.flush(&lock, oldest_read);
            match flushed.and_then(|_bytes| merge(keyspace, oldest_read)) {
                Err(LsmError::Io(error)) if is_for_lack_of_room(&error) => {}
                done => return done.map_err(fjall::Error::from),
            }
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(
                "The disk has no room for a table of the store; its rows wait in memory and in the journal."
            );
        }
        if !wait() {
            return Ok(());
        }
    }
}

/// Merges tables until there is nothing to merge.
fn merge(keyspace: &Keyspace, oldest_read: u64) -> Result<(), LsmError> {
    loop {
        let before = keyspace.tree.current_version().id();
        let strategy = Arc::clone(&keyspace.config.compaction_strategy);
        keyspace.tree.compact(strategy, oldest_read)?;
        if keyspace.tree.current_version().id() == before {
            return Ok(());
        }
    }
}

fn is_for_lack_of_room(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
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
        for round in 0..8_u8 {
            for n in 0..500_u32 {
                rows.insert(n.to_be_bytes(), [round; 1024]).unwrap();
            }
            assert!(is_full(&rows) && !has_room(&disk, &rows));
            let wait = || {
                assert_eq!(rows.sealed_memtable_count(), 1, "written without room");
                free.store(u64::MAX, Ordering::Relaxed);
                true
            };
            empty(&db, &rows, &disk, wait).unwrap();
            free.store(0, Ordering::Relaxed);
            assert_eq!(rows.sealed_memtable_count(), 0);
            assert!(rows.l0_table_count() < 4, "not merged");
        }
        assert_eq!(rows.get(7_u32.to_be_bytes()).unwrap().unwrap().as_ref(), [7; 1024]);
    }
}
