//! How many events wait for the endpoint: those that it will get, not all that are in the log.

use crate::store::Seq;

/// What of the log waits, as far as it was looked through. While an endpoint delivers, it sees what comes anyway: only one
/// that waits looks ahead.
pub(super) struct Backlog {
    seen: Seq,
    waiting: u64,
}

impl Backlog {
    /// Nothing was looked at after that place.
    pub(super) fn after(seen: Seq) -> Self {
        Self { seen, waiting: 0 }
    }

    /// Everything up to that place is done.
    pub(super) fn passed(&mut self, seq: Seq) {
        self.seen = self.seen.max(seq);
    }

    /// It was looked through up to that place, and so many more wait.
    pub(super) fn looked(&mut self, to: Seq, waiting: u64) {
        self.seen = to;
        self.waiting += waiting;
    }

    pub(super) fn seen(&self) -> Seq {
        self.seen
    }

    /// An event that waited is done.
    pub(super) fn done(&mut self, seq: Seq) {
        if seq <= self.seen {
            self.waiting = self.waiting.saturating_sub(1);
        }
    }

    /// At most so many wait: what was not looked at may be unwanted.
    pub(super) fn up_to(&self, tail: Seq) -> u64 {
        self.waiting + tail.0.saturating_sub(self.seen.0)
    }
}
