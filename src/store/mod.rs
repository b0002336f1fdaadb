//! Everything that must survive a restart: credentials and Signal state, the send queue, the event log with its
//! cursors. There are two databases, `state/` and `outbox/`, each written by one committer thread; callers are async
//! and never touch the disk themselves. What the rows of a space mean is decided by its owner. Only this directory
//! uses `fjall`.

mod account;
mod cursor;
mod database;
mod disk;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod history;
mod json;
mod key;
mod log;
mod message;
mod migrate;
mod pack;
mod repair;
mod seq;
mod space;
mod spool;
mod tally;
#[cfg(test)]
mod tests;
mod tidy;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use cursor::{Cursor, Cursors, DeadLetter};
pub use cursor::{EndpointId, EndpointState};
pub(crate) use disk::free_space;
pub(crate) use error::StoreError;
pub(crate) use history::{
    About, ChatRow, ChatView, Kept, Learned, Message, Note, Place, Reaction, Said, Source,
};
pub use history::{History, HistoryLimits};
pub(crate) use key::{Key, Parts};
pub use log::NewEvent;
pub(crate) use log::{EventLog, Page, StoredEvent};
pub use message::Enqueued;
pub(crate) use message::album::Due;
pub(crate) use message::due::Change;
pub(crate) use message::list::{Fate, Listed, PacedList, Receiver, Report};
pub(crate) use message::rule::{Acted, ChatMemory, RuleState, Step, Stepped};
pub(crate) use message::{QUEUE_LIMIT, SendQueue};
pub(crate) use repair::damage::Damage;
pub(crate) use repair::identities::Identities;
pub(crate) use repair::{Keeps, Repaired};
pub use seq::Seq;
pub(crate) use space::{Batch, Space, SpaceTxn};
pub(crate) use spool::SpoolLimits;
pub(crate) use spool::{Folder, Scratch, Spool, SpoolFull, Upload};
pub use tally::Counted;
#[cfg(test)]
pub(crate) use tally::QUARTER;
pub(crate) use tally::{Tallies, Tally, quarter_end, quarter_of};

use crate::knobs::failpoint;
use crate::model::DeviceName;
use crate::private;
use crate::task::Tasks;
use database::clock::StoreClock;
use database::outbox::Outbox;
use database::reader::{Databases, Readers};
use database::segment::Limits;
use database::state::State;
use database::tables::Tables;
pub(crate) use database::writer::Begun;
use database::writer::Writer;
use disk::Disk;
use log::Tails;

#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The directory; created when absent.
    pub path: PathBuf,
    /// Whether what was accepted survives a power cut (by fdatasync), not only `kill -9`.
    pub power_safe: bool,
    /// Events older than this may be dropped.
    pub keep: Duration,
    /// Bytes of the event log before the oldest segment is dropped.
    pub max_size: u64,
}

/// The open store. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    state: Writer<State>,
    outbox: Writer<Outbox>,
    readers: Readers,
    log: EventLog,
    cursors: Cursors,
    queue: SendQueue,
    history: History,
    spool: Spool,
    disk: Arc<Disk>,
    keep: Duration,
    identities: Identities,
    clock: Arc<StoreClock>,
}

impl Store {
    /// Opens both databases and mends a journal whose end is torn. Refused when another process has them open, and when
    /// the credentials are damaged. A damaged outbox is made again from what can be read of it.
    pub async fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let (store, repaired) = Self::open_with(options, None).await?;
        for repaired in repaired {
            tracing::warn!("{repaired}");
        }
        Ok(store)
    }

    /// Opens both databases, and first makes each one again that is damaged. Of the rows of a device, only those that
    /// `keeps` allows survive that. Says what was done.
    pub(crate) async fn open_repairing(
        options: StoreOptions,
        keeps: Keeps,
    ) -> Result<(Self, Vec<Repaired>), StoreError> {
        Self::open_with(options, Some(keeps)).await
    }

    async fn open_with(
        options: StoreOptions,
        keeps: Option<Keeps>,
    ) -> Result<(Self, Vec<Repaired>), StoreError> {
        on_thread(options.path.clone(), move || open(&options, keeps)).await
    }

    /// Looks for damage in a store that nobody has open, and changes nothing.
    pub(crate) async fn inspect(path: PathBuf) -> Result<Vec<Damage>, StoreError> {
        on_thread(path.clone(), move || {
            let mut damages = Vec::new();
            for database in ["state", "outbox"].map(|name| path.join(name)) {
                if database.exists() {
                    let _lock = repair::salvage::lock(&database)?;
                    database::format::check(&database)?;
                    damages.extend(
                        repair::inspect::verify(&database).map_err(StoreError::io(&database))?,
                    );
                }
            }
            Ok(damages)
        })
        .await
    }

    /// The identities that are kept beside the databases.
    pub(crate) fn identities(&self) -> &Identities {
        &self.0.identities
    }

    /// Runs a job that uses the disk but not the databases, on a thread outside the runtime.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.readers.run(move |_| Ok(job())).await
    }

    /// The rows of one device in `state/`: keys are prefixed, so devices cannot see each other.
    pub fn space(&self, device: &DeviceName) -> Space {
        self.rows(Key::of(device).into_bytes()).of_device(device, &self.0.identities)
    }

    /// Rows of the gateway itself in `state/`.
    pub fn own_space(&self) -> Space {
        // No device name has the length 0.
        self.rows(vec![0])
    }

    /// Every device with rows in `state/`, also those no longer in the file.
    pub async fn devices(&self) -> Result<Vec<DeviceName>, StoreError> {
        self.0
            .readers
            .run(|databases| {
                let rows = &databases.state.rows;
                let mut devices = Vec::new();
                let mut from = vec![1];
                // One seek per device, however many rows it has.
                while let Some(guard) = rows.range(from.clone()..).next() {
                    let key = guard.key().map_err(StoreError::database)?;
                    let device = Parts::of(&key).device();
                    let device =
                        device.ok_or_else(|| StoreError::Damaged("a device".to_owned()))?;
                    let next = key::after_prefix(Key::of(&device).as_ref());
                    devices.push(device);
                    let Some(next) = next else { break };
                    from = next;
                }
                devices.sort();
                Ok(devices)
            })
            .await
    }

    pub fn log(&self) -> &EventLog {
        &self.0.log
    }

    pub fn cursors(&self) -> &Cursors {
        &self.0.cursors
    }

    pub fn queue(&self) -> &SendQueue {
        &self.0.queue
    }

    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// Takes into the history what the log and the send queue have had since before it was switched on.
    pub(crate) async fn fill_history(&self) -> Result<(), StoreError> {
        self.0.history.fill(&self.0.log, &self.0.queue).await
    }

    /// The files on their way to WhatsApp and to callers. Those older than two days are removed when the store is opened.
    pub fn spool(&self) -> &Spool {
        &self.0.spool
    }

    /// Resolves when nothing can be written any more, after an I/O error: the process must end and be started again.
    pub async fn failed(&self) -> StoreError {
        tokio::select! {
            error = self.0.state.failed() => error,
            error = self.0.outbox.failed() => error,
        }
    }

    /// How long an event that nobody took, and a message that nobody acknowledged, is kept.
    pub fn keep(&self) -> Duration {
        self.0.keep
    }

    /// Whether something new can be accepted: there is disk space, and the store has not failed.
    pub fn has_room(&self) -> bool {
        self.0.disk.has_room() && !self.0.state.has_failed() && !self.0.outbox.has_failed()
    }

    /// How many bytes the store has on its disk, and how many are free there. Walks its files.
    pub(crate) async fn sizes(&self) -> Result<(u64, u64), StoreError> {
        let disk = Arc::clone(&self.0.disk);
        let sizes = self.blocking(move || disk.sizes()).await?;
        sizes.map_err(|error| StoreError::file(self.0.disk.path(), error))
    }

    /// How many writes were refused so far because the disk was full.
    pub fn refused(&self) -> u64 {
        self.0.disk.refused()
    }

    /// Whether both committer threads showed that they are alive within the last `patience`, and their databases take
    /// writes.
    pub fn is_alive(&self, patience: Duration) -> bool {
        self.0.state.is_alive(patience) && self.0.outbox.is_alive(patience)
    }

    /// Writes what is buffered and ends the threads. The store must not be used after it.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.readers.close().await;
        let state = self.0.state.close().await;
        self.0.outbox.close().await.and(state)
    }

    fn rows(&self, prefix: Vec<u8>) -> Space {
        let inner = &self.0;
        Space::new(prefix, inner.state.clone(), inner.readers.clone(), Arc::clone(&inner.clock))
    }
}

async fn on_thread<T: Send + 'static>(
    path: PathBuf,
    job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // If the caller went away, a store is dropped there, which ends its threads.
    Tasks::on_thread("store-open", job).await.map_err(StoreError::io(&path))?
}

fn open(
    options: &StoreOptions,
    keeps: Option<Keeps>,
) -> Result<(Store, Vec<Repaired>), StoreError> {
    let path = &options.path;
    own(path)?;
    let disk = Arc::new(Disk::of(path));
    disk.make_room();
    let identities = Identities::open(path)?;
    let mut repaired = Vec::new();
    let state = path.join("state");
    repair::finish(&state)?;
    let state = open_or_repair(
        &state,
        || open_state(&state, &identities),
        |damages| keeps.map(|keeps| repair::state(&state, damages, keeps)),
        &mut repaired,
    )?;
    failpoint("open.middle");
    let limits = Limits { keep: options.keep, max_size: options.max_size };
    let outbox = path.join("outbox");
    repair::finish(&outbox)?;
    let (outbox, tails) = open_or_repair(
        &outbox,
        || {
            let outbox = Arc::new(Outbox::open(&outbox, limits)?);
            migrate::queue_from_state(&state, &outbox)?;
            let tails = Tails::load(&outbox)?;
            Ok((outbox, tails))
        },
        |damages| Some(repair::outbox(&outbox, damages, limits)),
        &mut repaired,
    )?;
    let spool =
        Spool::open(path, Arc::clone(&disk), outbox.clock.now(), || message::due::files(&outbox))?;
    let clock = Arc::clone(&outbox.clock);
    let databases = Databases { state: Arc::clone(&state), outbox: Arc::clone(&outbox) };
    let readers = Readers::start(&databases).map_err(StoreError::io(path))?;
    let (safe, tables) = (options.power_safe, Tables::start(Arc::clone(&disk)));
    let tables = tables.map_err(StoreError::io(path))?;
    let state = Writer::start("store-state", state, &tables, Arc::clone(&disk), safe)?;
    let outbox = Writer::start("store-outbox", outbox, &tables, Arc::clone(&disk), safe)?;
    let store = Store(Arc::new(Inner {
        log: EventLog::new(outbox.clone(), readers.clone(), tails.clone()),
        cursors: Cursors::new(outbox.clone(), readers.clone()),
        queue: SendQueue::new(outbox.clone(), readers.clone(), tails, Arc::clone(&clock)),
        history: History::new(outbox.clone(), readers.clone()),
        spool,
        disk,
        keep: options.keep,
        identities,
        clock,
        state,
        outbox,
        readers,
    }));
    Ok((store, repaired))
}

/// Makes the directory, or sees to it that it is this user's alone: whoever can copy the store is the linked devices, and
/// whoever owns it can read it at any time.
fn own(path: &Path) -> Result<(), StoreError> {
    let error = || StoreError::io(path);
    private::create_folder(path).map_err(error())?;
    if let Some(owner) = private::other_owner(path).map_err(error())? {
        return Err(StoreError::Foreign { path: path.to_owned(), owner });
    }
    let open = private::open_to_others(path).map_err(error())?;
    if !open.is_empty() {
        private::close_to_others(&open).map_err(error())?;
        tracing::warn!(
            files = open.len(), path = %path.display(),
            "Other users of this machine could use files of the store. They cannot any more; whoever copied them can be the \
             linked devices: if in doubt, unlink those on the phone."
        );
    }
    Ok(())
}

/// A store whose identities are there, but whose database is not, has lost it.
fn open_state(path: &Path, identities: &Identities) -> Result<Arc<State>, StoreError> {
    let opened = if !path.exists() && !identities.devices().is_empty() {
        let missing = Damage { file: path.to_owned(), what: "is missing".to_owned() };
        Err(StoreError::broken(path, vec![missing]))
    } else {
        State::open(path)
    };
    opened.map(Arc::new).map_err(|error| match error {
        StoreError::Broken { path, damages, .. } => {
            let (devices, lost) =
                identities.devices().into_iter().partition(|name| identities.load(name).is_some());
            StoreError::Broken { path, damages, devices, lost }
        }
        error => error,
    })
}

fn open_or_repair<T>(
    path: &Path,
    open: impl Fn() -> Result<T, StoreError>,
    repair: impl FnOnce(Vec<Damage>) -> Option<Result<Repaired, StoreError>>,
    repaired: &mut Vec<Repaired>,
) -> Result<T, StoreError> {
    let (error, damages) = match open() {
        Err(StoreError::Broken { path, damages, devices, lost }) => {
            let copy = damages.clone();
            (StoreError::Broken { path, damages, devices, lost }, copy)
        }
        outcome => return outcome,
    };
    let _lock = if path.exists() { Some(repair::salvage::lock(path)?) } else { None };
    match repair(damages) {
        None => Err(error),
        Some(done) => {
            repaired.push(done?);
            open()
        }
    }
}
