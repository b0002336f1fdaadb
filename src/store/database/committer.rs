//! The one thread that writes a database. It merges whatever waits into one batch, syncs once and answers everybody;
//! a single job is written at once. It also syncs what was written lazily, removes old rows, and shows that it is
//! alive.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::PersistMode;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::knobs;
use crate::store::StoreError;
use crate::store::database::health::Health;
use crate::store::database::queue::Queue;
use crate::store::database::tables::{DatabaseTables, Tables};
use crate::store::database::txn::{Group, Txn};
use crate::store::database::{Base, checkpoint, format};
use crate::store::disk::{Disk, Room};
use crate::store::key::Key;
use crate::store::repair::checked::Checked;
use crate::store::repair::journal_file::Mark;
use crate::store::repair::vital::Vital;

/// The most jobs in one batch.
const GROUP: usize = 256;
/// How old a lazy write may get before it is synced.
const LAZY: Duration = Duration::from_secs(1);
/// How long the thread sleeps with nothing to do, and how often an idle database is looked at and synced. With nothing to
/// write that is no wear for a card or a disk, and yet the file system answers for itself and for the device: a failing one
/// is noticed within seconds.
const PROBE: Duration = Duration::from_secs(3);
/// How often old rows are looked for, and something is written although nothing happens: a disk may fail writes alone.
const TIDY: Duration = Duration::from_mins(1);

/// What `Ok` promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It survives a power cut.
    Durable,
    /// It survives `kill -9`, and a power cut within a second.
    Lazy,
    /// What was written before survives a power cut too, also when the job writes nothing itself.
    Settled,
}

/// What the thread does beside its writes.
pub(crate) trait Tidy: Base {
    /// Removes what is too old; called about once a minute.
    fn tidy(self: &Arc<Self>, txn: &mut Txn<'_>) -> Result<(), StoreError>;

    /// Writes what is only known in memory; called at the end.
    fn end(&self, txn: &mut Txn<'_>);
}

pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
pub(super) type Run<D> = Box<dyn FnOnce(Result<&Arc<D>, StoreError>, &mut Group) -> Answer + Send>;

pub(super) struct Write<D> {
    pub(super) promise: Promise,
    pub(super) room: Room,
    pub(super) run: Run<D>,
    pub(super) _place: OwnedSemaphorePermit,
}

pub(super) type Closing = oneshot::Sender<Result<(), StoreError>>;

pub(super) enum Request<D> {
    Write(Write<D>),
    Close(Closing),
}

/// The thread.
pub(super) struct Committer<D> {
    base: Arc<D>,
    vital: Arc<Vital>,
    tables: DatabaseTables,
    disk: Arc<Disk>,
    power_safe: bool,
    syncs: metrics::Counter,
    health: Arc<Health>,
    mark: Mark,
    /// The bytes in the journal, at least.
    journal: u64,
    /// Tables that this start did not read.
    unread: Vec<PathBuf>,
    unsynced_since: Option<Instant>,
    synced: Instant,
    probed: Instant,
    looked: Instant,
    tidied: Instant,
}

impl<D: Tidy> Committer<D> {
    pub(super) fn new(
        base: Arc<D>,
        tables: &Tables,
        disk: Arc<Disk>,
        power_safe: bool,
        health: Arc<Health>,
    ) -> Result<Self, StoreError> {
        let row = base.meta().get(Key::new(Mark::KEY)).map_err(StoreError::database)?;
        let commit = row.and_then(|row| Mark::parse(&row)).map_or(0, |mark| mark.commit);
        let vital = Arc::new(Vital::of(base.path()));
        let (health_of_tables, vital_of_tables) = (Arc::clone(&health), Arc::clone(&vital));
        let failed = move |error: &StoreError| health_of_tables.fail_of(&vital_of_tables, error);
        let tables = tables.of(base.db().clone(), failed);
        let journal = checkpoint::size(base.path());
        let unread = Checked::load(base.path()).tables().cloned().collect();
        Ok(Self {
            base,
            vital,
            tables,
            disk,
            power_safe,
            syncs: metrics::counter!("moonwa_store_syncs_total", "database" => D::NAME),
            health,
            journal,
            unread,
            // Opening synced everything.
            mark: Mark { commit, synced: commit },
            unsynced_since: None,
            synced: Instant::now(),
            probed: Instant::now(),
            looked: Instant::now(),
            tidied: Instant::now(),
        })
    }

    pub(super) fn serve(mut self, queue: &Arc<Queue<Request<D>>>) {
        let _loud = Loud { queue: Arc::clone(queue), health: Arc::clone(&self.health) };
        while let Some(requests) = queue.take(GROUP, self.patience()) {
            let (writes, close) = sort(requests);
            if !writes.is_empty() {
                self.commit(writes);
            }
            if let Some(done) = close {
                self.end();
                let outcome = self.persist(PersistMode::SyncAll);
                if outcome.is_ok() && self.journal >= checkpoint::WORTH {
                    self.empty_journal();
                }
                // What it merges until then is on the list too.
                self.tables.close();
                if outcome.is_ok() {
                    format::close(self.base.path(), self.mark.commit);
                    renew_checked(self.base.path());
                }
                drop(self.base);
                done.send(outcome).ok();
                return;
            }
            self.look_after();
        }
    }

    fn patience(&self) -> Duration {
        let since = self.unsynced_since.filter(|_| self.power_safe);
        since.map_or(PROBE, |since| LAZY.saturating_sub(since.elapsed()))
    }

    fn commit(&mut self, writes: Vec<Write<D>>) {
        let mut group = Group::default();
        let (mut lazy, mut settle) = (true, false);
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            let fit = match self.health.failure() {
                Some(error) => Err(error),
                None => self.disk.check(write.room),
            };
            lazy &= write.promise == Promise::Lazy;
            settle |= write.promise == Promise::Settled;
            answers.push((write.run)(fit.map(|()| &self.base), &mut group));
        }
        if D::MAY_BE_HELD {
            knobs::hold_commit();
        }
        let lazy = lazy || !self.power_safe;
        let mut outcome = match group.prune() {
            // What is gone already may have gone with a write that a power cut can still take.
            Ok(true) if group.is_empty() => {
                settle |= !lazy;
                group.end();
                Ok(())
            }
            Ok(_) if group.is_empty() => Ok(()),
            Ok(_) => self.record(group, lazy),
            Err(error) => Err(error),
        };
        if settle && outcome.is_ok() && !self.health.is_synced() {
            outcome = self.persist(PersistMode::SyncData);
        }
        for answer in answers {
            answer(outcome.clone());
        }
    }

    fn record(&mut self, mut group: Group, lazy: bool) -> Result<(), StoreError> {
        // The jobs asked as well, but a disk can fill up while they run, and fjall must never meet a full one.
        self.disk.check(Room::Essential)?;
        // Salvage needs to know which commits a power cut may destroy.
        self.mark.commit += 1;
        let (meta, mark) = (self.base.meta().clone(), self.mark);
        group.run(|txn| {
            txn.put(&meta, Key::new(Mark::KEY), mark.into_bytes());
            Ok(())
        })?;
        let mode = if lazy { PersistMode::Buffer } else { PersistMode::SyncData };
        let written = group.keyspaces();
        let bytes = group.commit(self.base.db(), mode).inspect_err(|error| self.fail(error))?;
        self.journal += bytes;
        for keyspace in &written {
            self.tables.look(keyspace);
        }
        if lazy {
            self.unsynced_since.get_or_insert_with(Instant::now);
            self.health.set_synced(!self.power_safe);
        } else {
            self.synced();
        }
        Ok(())
    }

    fn end(&mut self) {
        let mut group = Group::default();
        let written = group.run(|txn| {
            self.base.end(txn);
            Ok(())
        });
        if written.is_ok() && !group.is_empty() && self.health.failure().is_none() {
            // Without it, less is known than before a crash, and no more is lost.
            self.record(group, true).ok();
        }
    }

    fn synced(&mut self) {
        self.syncs.increment(1);
        self.mark.synced = self.mark.commit;
        self.unsynced_since = None;
        self.health.set_synced(true);
        self.synced = Instant::now();
    }

    fn empty_journal(&mut self) {
        let (path, commit) = (self.base.path(), self.mark.commit);
        // Without room it is tried again after as much again.
        self.journal = 0;
        match checkpoint::run(path, self.base.db(), &self.disk, commit) {
            Ok(true) => {
                self.synced();
                renew_checked(self.base.path());
                self.tables.merge();
            }
            Ok(false) => {}
            Err(error) => self.fail(&error),
        }
    }

    fn look_after(&mut self) {
        if self.journal >= checkpoint::LARGE && self.health.failure().is_none() {
            self.empty_journal();
        }
        let late = self.unsynced_since.is_some_and(|since| since.elapsed() >= LAZY);
        if self.power_safe && (late || self.synced.elapsed() >= PROBE) {
            self.persist(PersistMode::SyncData).ok();
        } else if !self.power_safe && self.synced.elapsed() >= PROBE {
            self.synced = Instant::now();
            if let Err(error) = self.vital.sync() {
                self.fail(&error);
            }
        } else if self.probed.elapsed() >= PROBE {
            // fjall cannot be asked whether it is poisoned, but a flush that writes nothing fails if it is.
            self.persist(PersistMode::Buffer).ok();
        }
        if self.tidied.elapsed() >= TIDY && self.health.failure().is_none() && self.disk.fits(0) {
            self.tidied = Instant::now();
            if let Some(table) = self.unread.pop() {
                self.tables.check(self.base.path(), table);
            }
            let mut group = Group::default();
            let outcome = group
                .run(|txn| self.base.tidy(txn))
                .and_then(|()| self.record(group, !self.power_safe));
            if let Err(error) = outcome {
                tracing::warn!(%error, "Old rows could not be removed.");
            }
        }
        if self.looked.elapsed() >= PROBE {
            self.looked = Instant::now();
            if let Err(error) = self.vital.check() {
                self.health.fail(error);
            }
            self.disk.look_after();
        }
        self.health.beat();
    }

    fn persist(&mut self, mode: PersistMode) -> Result<(), StoreError> {
        self.probed = Instant::now();
        let done = self.base.db().persist(mode).map_err(StoreError::database);
        done.inspect_err(|error| self.fail(error))?;
        if mode != PersistMode::Buffer {
            self.synced();
        }
        Ok(())
    }

    fn fail(&self, error: &StoreError) {
        self.health.fail_of(&self.vital, error);
    }
}

/// Without it, the next start reads more.
fn renew_checked(database: &Path) {
    if let Err(error) = Checked::renew(database) {
        tracing::debug!(%error, "The list of tables could not be written.");
    }
}

/// The jobs, and the order to end: what comes after that is dropped.
fn sort<D>(requests: Vec<Request<D>>) -> (Vec<Write<D>>, Option<Closing>) {
    let mut writes = Vec::with_capacity(requests.len());
    for request in requests {
        match request {
            Request::Write(write) => writes.push(write),
            Request::Close(done) => return (writes, Some(done)),
        }
    }
    (writes, None)
}

/// Lets nobody wait for a thread that is gone. If it panics, the store has failed: nothing can be written any more.
struct Loud<D> {
    queue: Arc<Queue<Request<D>>>,
    health: Arc<Health>,
}

impl<D> Drop for Loud<D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.health
                .fail(StoreError::Database(Arc::from(Box::from("a committer thread panicked"))));
        }
        self.queue.clear();
    }
}
