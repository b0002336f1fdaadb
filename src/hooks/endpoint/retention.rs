//! What the log drops before the endpoint has taken it: announced, and counted when it happens.

use super::Machine;
use crate::store::Seq;

impl Machine {
    /// Looks at what retention did meanwhile, and at what it is about to do.
    pub(super) async fn look_at_retention(&mut self) {
        let dropped = *self.inputs.dropped.borrow_and_update();
        if dropped > self.cursor.acked {
            self.lose(dropped).await;
        }
        let at_risk = *self.inputs.at_risk.borrow_and_update() > self.cursor.acked;
        if at_risk != self.at_risk {
            self.at_risk = at_risk;
            if at_risk {
                tracing::warn!(
                    device = %self.cursor.device, n = self.current.n, url = self.current.shown_url(),
                    "Events that wait for this webhook are in the oldest fifth of what [outbox] keeps; they will be dropped soon."
                );
            }
            self.publish();
        }
    }

    /// Counts the events up to that place, which retention dropped before this endpoint took them.
    pub(super) async fn lose(&mut self, to: Seq) {
        let dropped = to.0.saturating_sub(self.cursor.acked.0);
        self.cursor.acked = to;
        self.cursor.dropped = self.cursor.dropped.saturating_add(dropped);
        self.cursor.tries = 0;
        self.page.retain(|event| event.seq > to);
        self.overtook.retain(|seq| *seq > to);
        self.forget_backlog();
        self.monitor.count("moonwa_webhook_dropped_total", &self.current, dropped);
        tracing::error!(
            device = %self.cursor.device, n = self.current.n, url = self.current.shown_url(), dropped,
            "Events were dropped before this webhook took them."
        );
        self.save_or_log().await;
        self.publish();
    }
}
