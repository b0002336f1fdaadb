//! Two threads that read both databases, so that a slow disk never holds up a runtime thread. They never write.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::state::State;

const THREADS: usize = 2;

#[derive(Clone)]
pub(crate) struct Databases {
    pub(crate) state: Arc<State>,
    pub(crate) outbox: Arc<Outbox>,
}

type Read = Box<dyn FnOnce(&Databases) + Send>;

/// What the threads are asked for.
enum Request {
    Read(Read),
    Close(oneshot::Sender<()>),
}

/// A handle to the threads. Clones share them; they end with the last one.
#[derive(Clone)]
pub(crate) struct Readers(Sender<Request>);

impl Readers {
    pub(crate) fn start(databases: &Databases) -> std::io::Result<Self> {
        let (requests, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for n in 0..THREADS {
            let (databases, queue) = (databases.clone(), Arc::clone(&queue));
            std::thread::Builder::new()
                .name(format!("store-read-{n}"))
                .spawn(move || serve(databases, &queue))?;
        }
        Ok(Self(requests))
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Databases) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let read = Box::new(move |databases: &Databases| {
            // The caller may have gone away.
            answer.send(read(databases)).ok();
        });
        self.0.send(Request::Read(read)).map_err(|_closed| StoreError::Closed)?;
        answered.await.map_err(|_closed| StoreError::Closed)?
    }

    /// Ends the threads after the reads that wait; both have dropped the databases then.
    pub(crate) async fn close(&self) {
        for _ in 0..THREADS {
            let (done, ended) = oneshot::channel();
            if self.0.send(Request::Close(done)).is_ok() {
                ended.await.ok();
            }
        }
    }
}

fn serve(databases: Databases, queue: &Mutex<Receiver<Request>>) {
    loop {
        let request = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match request {
            Ok(Request::Read(read)) => {
                // A read that panics answers `Closed`; the thread must outlive it.
                let read = AssertUnwindSafe(|| read(&databases));
                if std::panic::catch_unwind(read).is_err() {
                    tracing::error!("A read of the store panicked.");
                }
            }
            Ok(Request::Close(done)) => {
                drop(databases);
                done.send(()).ok();
                return;
            }
            Err(_) => return,
        }
    }
}
