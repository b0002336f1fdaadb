//! The delivery threads: ureq blocks, so it runs on a few threads of its own and never on the runtime's. The pool knows
//! nothing of queues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::attempt::{self, Agents, Outcome, Post};
use crate::model::UnixMillis;
use crate::task::Tasks;

/// How many requests can be under way at once.
const THREADS: usize = 8;
/// What a TLS handshake needs in an unoptimised build, twice over.
const STACK: usize = 512 * 1024;
/// What a request under way gets when moonwa stops, before it is interrupted: most receivers need less, and an
/// answer that is read is an event that is not delivered twice.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// A way to post. Clones share the threads.
#[derive(Clone)]
pub(super) struct Pool {
    jobs: flume::Sender<Job>,
    /// Endpoints that failed lately share half of the threads: hanging ones cannot take all of them.
    probation: Arc<Semaphore>,
    underway: TaskTracker,
}

struct Job {
    post: Post,
    done: oneshot::Sender<Outcome>,
    _underway: TaskTrackerToken,
    _probation: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Starts the threads. They end when the last clone is gone.
    pub(super) fn start(tasks: &Tasks) -> Self {
        // Nobody has more than one request here, so what waits is no more than the endpoints.
        let (jobs, queue) = flume::unbounded();
        let agents = Arc::new(Agents::new());
        for n in 1..=THREADS {
            let (queue, agents) = (queue.clone(), agents.clone());
            let thread = std::thread::Builder::new().name(format!("moonwa-hook-{n}"));
            if let Err(error) = thread.stack_size(STACK).spawn(move || work(&queue, &agents)) {
                tracing::error!(%error, "A delivery thread could not be started.");
            }
        }
        let underway = TaskTracker::new();
        let (stop, tracked) = (tasks.stop().clone(), underway.clone());
        tasks.spawn("webhook interrupter", async move {
            stop.cancelled().await;
            tracked.close();
            if tokio::time::timeout(GRACE, tracked.wait()).await.is_err() {
                tracing::warn!(requests = tracked.len(), "Webhook requests are interrupted.");
            }
            agents.shutdown();
        });
        Self { jobs, probation: Arc::new(Semaphore::new(THREADS / 2)), underway }
    }

    /// Posts once a thread is free. `failing`: the endpoint failed lately.
    pub(super) async fn post(&self, post: Post, failing: bool) -> Outcome {
        let probation = self.probation.clone();
        let probation = if failing { probation.acquire_owned().await.ok() } else { None };
        let (done, outcome) = oneshot::channel();
        let underway = self.underway.token();
        let job = Job { post, done, _underway: underway, _probation: probation };
        let gone = || Outcome::failed_here(UnixMillis::now(), "no delivery thread took it");
        if self.jobs.send(job).is_err() {
            return gone();
        }
        outcome.await.unwrap_or_else(|_| gone())
    }
}

fn work(queue: &flume::Receiver<Job>, agents: &Agents) {
    for job in queue {
        // A panic in a library must not cost a thread for good.
        let outcome = catch_unwind(AssertUnwindSafe(|| attempt::post(agents, &job.post)));
        if let Ok(outcome) = outcome {
            // Nobody waits any more when the endpoint was removed meanwhile.
            drop(job.done.send(outcome));
        } else {
            tracing::error!("A delivery thread panicked; it goes on.");
        }
    }
}
