//! What is told about the endpoint.

use super::Machine;
use super::backlog::Backlog;
use crate::hooks::report::EndpointReport;
use crate::store::{Page, Seq, StoreError};

/// How many events are looked at at a time.
const LOOK: usize = 256;

impl Machine {
    pub(super) fn publish(&self) {
        let tail = *self.inputs.tail.borrow();
        let cursor = &self.cursor;
        self.monitor.publish(EndpointReport {
            n: self.current.n,
            url: self.current.shown_url(),
            state: self.state(),
            backlog: self.backlog.up_to(tail).min(tail.0.saturating_sub(cursor.acked.0)),
            failing_since: cursor.failing_since,
            next_try: cursor.next_try,
            last_status: cursor.last_status,
            last_code: cursor.last_code.clone(),
            last_error: cursor.last_error.clone(),
            cursor: cursor.acked.0,
            delivered: cursor.delivered,
            parked: cursor.parked,
            dead_letters: self.letters,
            dropped: cursor.dropped,
            at_risk: self.at_risk,
        });
    }

    pub(super) async fn count_letters(&mut self) {
        match self.deliverer.store.cursors().count_letters(&self.id).await {
            Ok(letters) => self.letters = letters,
            Err(error) => {
                tracing::warn!(device = %self.cursor.device, n = self.current.n, %error, "The dead letters could not be counted.");
            }
        }
    }

    /// The next events that were not looked at. It waits while there are none, and does not borrow the machine.
    pub(super) fn unseen(&self) -> impl Future<Output = Result<Page, StoreError>> + use<> {
        let (store, device) = (self.deliverer.store.clone(), self.cursor.device.clone());
        let (seen, tail) = (self.backlog.seen(), *self.inputs.tail.borrow());
        async move {
            if seen >= tail {
                std::future::pending::<()>().await;
            }
            store.log().read_after(&device, seen, LOOK).await
        }
    }

    pub(super) fn look_at(&mut self, page: Result<Page, StoreError>) {
        let tail = *self.inputs.tail.borrow();
        match page {
            Ok(page) => {
                let last = page.events.last().map_or(tail, |event| event.seq);
                let waits = |seq: Seq| seq > self.cursor.acked && !self.overtook.contains(&seq);
                let all = page.events.iter();
                let waiting = all.filter(|event| waits(event.seq) && self.gets(event)).count();
                self.backlog.looked(last, u64::try_from(waiting).unwrap_or(u64::MAX));
            }
            Err(error) => {
                tracing::warn!(device = %self.cursor.device, n = self.current.n, %error, "The event log cannot be read.");
                self.backlog.looked(tail, tail.0.saturating_sub(self.backlog.seen().0));
            }
        }
        if self.backlog.seen() >= tail {
            self.publish();
        }
    }

    /// The log is looked through again from the cursor.
    pub(super) fn forget_backlog(&mut self) {
        self.backlog = Backlog::after(self.cursor.acked);
    }
}
