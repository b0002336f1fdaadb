//! What is told about the endpoint.

use super::Machine;
use super::backlog::Backlog;
use crate::hooks::report::EndpointReport;
use crate::store::{Page, StoreError};

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

    /// The next events that were not looked at, as far as the rules got. It waits while there are none, and does not borrow
    /// the machine.
    pub(super) fn unseen(&self) -> impl Future<Output = Result<Page, StoreError>> + use<> {
        let (store, device) = (self.deliverer.store.clone(), self.cursor.device.clone());
        let (seen, known) = (self.backlog.seen(), self.known());
        async move {
            if seen >= known {
                std::future::pending::<()>().await;
            }
            let mut page = store.log().read_after(&device, seen, LOOK).await?;
            page.events.retain(|event| event.seq <= known);
            Ok(page)
        }
    }

    pub(super) async fn look_at(&mut self, page: Result<Page, StoreError>) {
        let known = self.known();
        match page {
            Ok(page) => {
                let last = page.events.last().map_or(known, |event| event.seq);
                let mut waiting = 0;
                for event in &page.events {
                    let waits =
                        event.seq > self.cursor.acked && !self.overtook.contains(&event.seq);
                    // What cannot be read now waits.
                    waiting += u64::from(waits && self.gets(event).await.unwrap_or(true));
                }
                self.backlog.looked(last, waiting);
            }
            Err(error) => {
                self.log_unread(&error);
                self.backlog.looked(known, known.0.saturating_sub(self.backlog.seen().0));
            }
        }
        if self.backlog.seen() >= known {
            self.publish();
        }
    }

    /// The log is looked through again from the cursor.
    pub(super) fn forget_backlog(&mut self) {
        self.backlog = Backlog::after(self.cursor.acked);
    }
}
