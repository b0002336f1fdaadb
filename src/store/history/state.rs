//! What is known of the history while it is kept: its limits and its parts.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fjall::Keyspace;

use crate::knobs::knobs;
use crate::model::UnixMillis;

/// Into how many parts the size is cut.
const SIZES: u64 = 16;

/// How much of the history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Messages older than this are neither shown nor taken.
    pub keep: Duration,
    /// Bytes before the oldest messages go.
    pub max_size: u64,
}

impl HistoryLimits {
    pub(super) fn part_size(self) -> u64 {
        let usual = || (self.max_size / SIZES).max(4 * 1024);
        knobs().segment_bytes.unwrap_or_else(usual)
    }

    /// The time that is too old, by the clock that messages are dated by.
    pub(crate) fn horizon(self) -> UnixMillis {
        UnixMillis::now().before(self.keep)
    }
}

/// The history, while it is kept.
pub(crate) struct Kept {
    pub(super) base: Keyspace,
    limits: RwLock<HistoryLimits>,
    parts: RwLock<Vec<Part>>,
}

/// Messages from one time to another.
#[derive(Clone)]
pub(crate) struct Part {
    pub(super) number: u64,
    pub(super) rows: Keyspace,
    /// From this time on, and before that one.
    pub(super) from: UnixMillis,
    pub(super) to: UnixMillis,
}

/// Where the history is, if it is kept.
#[derive(Default)]
pub(crate) struct Slot(RwLock<Option<Arc<Kept>>>);

impl Slot {
    pub(crate) fn get(&self) -> Option<Arc<Kept>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, kept: Option<Arc<Kept>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

impl Kept {
    pub(super) fn new(base: Keyspace, limits: HistoryLimits) -> Self {
        Self { base, limits: RwLock::new(limits), parts: RwLock::default() }
    }

    pub(super) fn limit(&self, limits: HistoryLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    pub(crate) fn limits(&self) -> HistoryLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest first. A reader takes its snapshot before it asks.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, part: Part) {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        parts.push(part);
        parts.sort_by_key(|part| std::cmp::Reverse((part.to, part.number)));
    }

    pub(super) fn take(&self, number: u64) {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|part| part.number != number);
    }
}
