//! The owner of every task: named, waited for at shutdown, and loud when one panics. Nothing else may spawn.

use std::future::Future;
use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The next beat of a pulse that is the same for everybody: whatever is looked at from time to time is looked at together,
/// and the processor wakes once for all of it.
pub(crate) fn beat(period: Duration) -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let (start, period) = (*START, period.as_nanos().max(1));
    let beats = Instant::now().saturating_duration_since(start).as_nanos() / period + 1;
    start + Duration::from_nanos(u64::try_from(beats * period).unwrap_or(u64::MAX))
}

/// Spawns tasks and ends them. Clones share one tracker and one stop token.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` until it ends by itself; a panic in it is logged under `name` and touches nothing else.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let guarded = std::panic::AssertUnwindSafe(task).catch_unwind();
        tokio::spawn(self.tracker.track_future(async move {
            if guarded.await.is_err() {
                tracing::error!(task = name, "A task panicked; the rest goes on.");
            }
        }));
    }

    /// Runs work that may block on a thread of its own: however long it takes, it holds nobody else up. An error means
    /// that there was no thread for it, or that it panicked.
    pub async fn on_thread<T: Send + 'static>(
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (done, outcome) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned());
        // Whoever asked may have gone away since: the work is done all the same.
        thread.spawn(move || drop(done.send(work())))?;
        outcome.await.map_err(|_| io::Error::other("the work's thread panicked"))
    }

    /// The token every long wait selects on.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tells every task to end and waits for them, at most `patience`. Returns how many were left.
    pub async fn shutdown(&self, patience: Duration) -> usize {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_err() {
            return self.tracker.len();
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_waits_for_tasks_and_a_panic_stays_alone() {
        let tasks = Tasks::new();
        let stop = tasks.stop().clone();
        tasks.spawn("patient", async move { stop.cancelled().await });
        tasks.spawn("clumsy", async { panic!("on purpose") });
        assert_eq!(tasks.shutdown(Duration::from_secs(5)).await, 0);
    }

    #[tokio::test]
    async fn work_on_a_thread_answers_and_its_panic_is_an_error() {
        let here = std::thread::current().id();
        let there = Tasks::on_thread("work", move || std::thread::current().id()).await.unwrap();
        assert_ne!(here, there);
        let lost = Tasks::on_thread("work", || panic!("on purpose")).await;
        let lost: io::Result<()> = lost;
        assert!(lost.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_stop_is_counted() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending());
        assert_eq!(tasks.shutdown(Duration::from_secs(1)).await, 1);
    }
}
