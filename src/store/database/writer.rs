//! What others hold of a database's committer thread: they give it jobs, and wait for what it promises.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::store::StoreError;
use crate::store::database::committer::{Committer, Promise, Request, Run, Tidy, Write};
use crate::store::database::health::Health;
use crate::store::database::queue::{Haste, Queue};
use crate::store::database::tables::Tables;
use crate::store::database::txn::Txn;
use crate::store::disk::{Disk, Room};

/// How many jobs may wait in the queue before callers have to wait too.
const WAITING: usize = 1024;

/// A handle to the thread. Clones share it; the thread ends with the last one.
pub(crate) struct Writer<D>(Arc<Desk<D>>);

struct Desk<D> {
    queue: Arc<Queue<Request<D>>>,
    places: Arc<Semaphore>,
    health: Arc<Health>,
}

impl<D> Clone for Writer<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D> Drop for Desk<D> {
    fn drop(&mut self) {
        self.queue.shut();
    }
}

impl<D: Tidy> Writer<D> {
    pub(crate) fn start(
        name: &str,
        base: Arc<D>,
        tables: &Tables,
        disk: Arc<Disk>,
        power_safe: bool,
    ) -> Result<Self, StoreError> {
        let (queue, health) = (Queue::new(), Arc::new(Health::new()));
        let committer = Committer::new(base, tables, disk, power_safe, Arc::clone(&health))?;
        let taken = Arc::clone(&queue);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || committer.serve(&taken))
            .map_err(StoreError::io(Path::new(name)))?;
        Ok(Self(Arc::new(Desk { queue, places: Arc::new(Semaphore::new(WAITING)), health })))
    }

    /// Runs a job and waits for its promise. The job sees everything done before it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        promise: Promise,
        room: Room,
        job: impl FnOnce(&Arc<D>, &mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.begin(promise, room, job).await?.done().await
    }

    /// The same without waiting yet. What is begun is done after everything before it, also if nobody waits for it.
    pub(crate) async fn begin<T: Send + 'static>(
        &self,
        promise: Promise,
        room: Room,
        job: impl FnOnce(&Arc<D>, &mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Begun<T>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let run: Run<D> = Box::new(move |base, group| {
            let outcome = base.and_then(|base| group.run(|txn| job(base, txn)));
            // The caller may have gone away; the write counts all the same.
            Box::new(move |commit| drop(answer.send(commit.and(outcome))))
        });
        self.queue(promise, room, run, Haste::Now).await?;
        Ok(Begun { answered, health: Arc::clone(&self.0.health) })
    }

    /// Lets a job be done after everything before it, with the next one that somebody waits for, or within a second. When
    /// it fails, `failed` is called in the committer thread, before the next job runs.
    pub(crate) async fn leave(
        &self,
        room: Room,
        job: impl FnOnce(&Arc<D>, &mut Txn<'_>) -> Result<(), StoreError> + Send + 'static,
        failed: impl FnOnce(&StoreError) + Send + 'static,
    ) -> Result<(), StoreError> {
        let run: Run<D> = Box::new(move |base, group| {
            match base.and_then(|base| group.run(|txn| job(base, txn))) {
                Ok(()) => Box::new(move |commit| {
                    if let Err(error) = commit {
                        failed(&error);
                    }
                }),
                Err(error) => {
                    failed(&error);
                    Box::new(drop)
                }
            }
        });
        self.queue(Promise::Lazy, room, run, Haste::Later).await
    }

    async fn queue(
        &self,
        promise: Promise,
        room: Room,
        run: Run<D>,
        haste: Haste,
    ) -> Result<(), StoreError> {
        let place = Arc::clone(&self.0.places);
        let place = place.acquire_owned().await.map_err(|_closed| StoreError::Closed)?;
        let request = Request::Write(Write { promise, room, run, _place: place });
        if self.0.queue.put(request, haste) { Ok(()) } else { Err(self.0.health.reason()) }
    }

    /// Resolves when everything that was written before survives a power cut. Costs nothing when it does already.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        if self.is_settled() {
            return Ok(());
        }
        self.run(Promise::Settled, Room::Essential, |_, _| Ok(())).await
    }

    /// Begins what `settle` waits for.
    pub(crate) async fn hurry(&self) -> Result<(), StoreError> {
        if self.is_settled() {
            return Ok(());
        }
        self.begin(Promise::Settled, Room::Essential, |_, _| Ok(())).await.map(drop)
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.0.health.is_synced()
    }

    /// Whether the thread showed that it is alive within `patience`, and the database takes writes.
    pub(crate) fn is_alive(&self, patience: Duration) -> bool {
        self.0.health.failure().is_none() && self.0.health.silence() <= patience
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.0.health.failure().is_some()
    }

    /// Resolves when nothing can be written any more.
    pub(crate) async fn failed(&self) -> StoreError {
        self.0.health.failed().await
    }

    /// Syncs everything and ends the thread; it has let go of the database then.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let (done, ended) = oneshot::channel();
        if !self.0.queue.put(Request::Close(done), Haste::Now) {
            return Err(self.0.health.reason());
        }
        ended.await.map_err(|_closed| self.0.health.reason())?
    }
}

/// A job on its way.
pub(crate) struct Begun<T> {
    answered: oneshot::Receiver<Result<T, StoreError>>,
    health: Arc<Health>,
}

impl<T> Begun<T> {
    /// Waits for its promise.
    pub(crate) async fn done(self) -> Result<T, StoreError> {
        self.answered.await.map_err(|_closed| self.health.reason())?
    }
}
