//! Whether a committer thread lives and its database takes writes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::store::StoreError;
use crate::store::repair::vital::Vital;

/// Whether the thread lives and the database still takes writes.
pub(crate) struct Health {
    started: Instant,
    beat: AtomicU64,
    /// Whether a power cut may take something that was written.
    unsynced: AtomicBool,
    failed: watch::Sender<Option<StoreError>>,
}

impl Health {
    pub(crate) fn new() -> Self {
        let (beat, unsynced) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { started: Instant::now(), beat, unsynced, failed: watch::Sender::new(None) }
    }

    /// How long the thread has not shown that it is alive.
    pub(crate) fn silence(&self) -> Duration {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beat)
    }

    pub(crate) fn set_synced(&self, synced: bool) {
        self.unsynced.store(!synced, Ordering::Release);
    }

    pub(crate) fn is_synced(&self) -> bool {
        !self.unsynced.load(Ordering::Acquire)
    }

    /// Resolves when nothing can be written any more.
    pub(crate) async fn failed(&self) -> StoreError {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or(StoreError::Closed),
            Err(_) => StoreError::Closed,
        }
    }

    pub(crate) fn beat(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(since, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self, error: StoreError) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert(error);
            first
        });
    }

    /// A directory that is gone or takes no writes says more than what fails because of it.
    pub(crate) fn fail_of(&self, vital: &Vital, error: &StoreError) {
        self.fail(vital.check().err().unwrap_or_else(|| error.clone()));
    }

    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.failed.borrow().clone()
    }

    /// Why nothing is answered.
    pub(crate) fn reason(&self) -> StoreError {
        self.failure().unwrap_or(StoreError::Closed)
    }
}
