//! What is told about the endpoint.

use super::Machine;
use crate::hooks::report::EndpointReport;

impl Machine {
    pub(super) fn publish(&self) {
        let tail = *self.inputs.tail.borrow();
        let cursor = &self.cursor;
        self.monitor.publish(EndpointReport {
            n: self.current.n,
            url: self.current.shown_url(),
            state: self.state(),
            backlog: tail.0.saturating_sub(cursor.acked.0),
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
}
