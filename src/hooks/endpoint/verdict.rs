//! What an outcome does to the cursor: move on, wait, or park the event. The waits come from `backoff`.

use super::Machine;
use super::doubt::TRIES;
use crate::hooks::attempt::Outcome;
use crate::hooks::backoff::{self, Hint};
use crate::hooks::class::Class;
use crate::hooks::monitor::beginning;
use crate::model::UnixMillis;
use crate::store::{Cursor, DeadLetter, EndpointState, Seq, StoredEvent};

/// How many bytes of the answer are kept with a dead letter.
const ANSWER: usize = 2 * 1024;

impl Machine {
    pub(super) async fn judge(&mut self, event: &StoredEvent, outcome: &Outcome) {
        self.cursor.last_status = outcome.status;
        let fault = outcome.fault.as_ref();
        self.cursor.last_code = fault.map(|fault| fault.code.to_owned());
        self.cursor.last_error = fault.map(|fault| fault.sentence.clone());
        if outcome.class != Class::Delivered {
            self.cursor.failing_since.get_or_insert(outcome.at);
        }
        let roll = rand::random();
        match outcome.class {
            Class::Delivered => return self.delivered(event.seq),
            Class::Gone => {
                self.cursor.state = EndpointState::Gone;
                self.at_once();
            }
            Class::Endpoint => self.back_off(outcome.hint),
            Class::Message => {
                self.cursor.tries += 1;
                match backoff::message(self.cursor.tries, outcome.hint, roll) {
                    Some(wait) => self.hold(wait),
                    None => return self.park(event, outcome).await,
                }
            }
            Class::Ambiguous => {
                self.cursor.tries += 1;
                if self.doubted == Some(event.seq) {
                    return self.park(event, outcome).await;
                }
                self.back_off(outcome.hint);
                if self.cursor.tries >= TRIES && Box::pin(self.takes_another(event)).await {
                    self.doubted = Some(event.seq);
                    self.at_once();
                }
            }
        }
        self.save_or_log().await;
        self.publish();
    }

    fn delivered(&mut self, seq: Seq) {
        crate::knobs::failpoint("post.delivered");
        self.backlog.done(seq);
        self.advance(seq);
        self.recover();
        self.cursor.delivered = self.cursor.delivered.saturating_add(1);
        // The cursor is saved and shown with the next POST, or as soon as nothing is left to post.
        self.owed = true;
    }

    fn recover(&mut self) {
        self.cursor.failures = 0;
        self.cursor.failing_since = None;
        self.at_once();
    }

    fn back_off(&mut self, hint: Hint) {
        self.cursor.failures = self.cursor.failures.saturating_add(1);
        let now = UnixMillis::now();
        let failing_for = now.since(self.cursor.failing_since.unwrap_or(now));
        self.hold(backoff::endpoint(self.cursor.failures, failing_for, hint, rand::random()));
    }

    /// Keeps the event as a dead letter, with what the receiver said, and goes on with the next one.
    async fn park(&mut self, event: &StoredEvent, outcome: &Outcome) {
        let fault = outcome.fault.as_ref();
        let letter = DeadLetter {
            seq: event.seq,
            id: event.id.clone(),
            parked_at: UnixMillis::now(),
            tries: self.cursor.tries,
            status: outcome.status,
            code: fault.map(|fault| fault.code.to_owned()),
            reason: fault.map(|fault| fault.sentence.clone()).unwrap_or_default(),
            answer: beginning(&outcome.answer, ANSWER),
            body: event.body.clone(),
        };
        let mut next = Cursor { acked: event.seq, tries: 0, next_try: None, ..self.cursor.clone() };
        next.parked = next.parked.saturating_add(1);
        // The receiver works: it refused this event, or it took another one.
        next.failures = 0;
        next.failing_since = None;
        match self.deliverer.store.cursors().park(&self.id, letter, &next).await {
            Ok(()) => {
                let tries = std::mem::replace(&mut self.cursor, next).tries;
                self.backlog.done(event.seq);
                self.advance(event.seq);
                self.at_once();
                (self.unsaved, self.owed, self.saving) = (0, false, None);
                self.count_letters().await;
                self.monitor.count("moonwa_webhook_parked_total", &self.current, 1);
                tracing::warn!(
                    device = %self.cursor.device, n = self.current.n, event = %event.id, tries,
                    "An event was parked as a dead letter."
                );
            }
            Err(error) => {
                tracing::warn!(device = %self.cursor.device, n = self.current.n, %error, "A dead letter cannot be kept.");
                self.back_off(Hint::default());
            }
        }
        self.publish();
    }
}
