//! What people see of an endpoint: its report, its last attempts, a line in the log for every failure, and the metrics.
//! The machine reads nothing back from here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::attempt::Outcome;
use super::class::Class;
use super::report::{Attempt, EndpointReport, host_of};
use crate::config::EndpointConfig;
use crate::model::{DeviceName, EventId};

/// How many attempts of an endpoint are remembered.
const ATTEMPTS: usize = 100;
/// How many bytes of an answer are remembered with an attempt.
const ANSWER: usize = 256;

/// The visible side of one endpoint.
pub(super) struct Monitor {
    device: DeviceName,
    seen: Mutex<Seen>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Seen {
    report: Option<EndpointReport>,
    attempts: VecDeque<Attempt>,
}

impl Monitor {
    /// `changed` is notified of every new report.
    pub(super) fn new(device: DeviceName, changed: Arc<Notify>) -> Self {
        Self { device, seen: Mutex::default(), changed }
    }

    pub(super) fn publish(&self, report: EndpointReport) {
        self.seen().report = Some(report);
        self.changed.notify_one();
    }

    pub(super) fn report(&self) -> Option<EndpointReport> {
        self.seen().report.clone()
    }

    /// The last attempts, newest first.
    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.seen().attempts.iter().rev().cloned().collect()
    }

    /// Remembers and counts an attempt, and logs it when it failed.
    pub(super) fn record(
        &self,
        endpoint: &EndpointConfig,
        event: &EventId,
        outcome: &Outcome,
    ) -> Attempt {
        let attempt = Attempt {
            event: event.clone(),
            at: outcome.at,
            took_ms: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
            class: outcome.class.as_str(),
            status: outcome.status,
            code: outcome.fault.as_ref().map(|fault| fault.code),
            error: outcome.fault.as_ref().map(|fault| fault.sentence.clone()),
            answer: beginning(&outcome.answer, ANSWER),
        };
        let labels = self.labels(endpoint);
        metrics::histogram!("moonwa_webhook_attempt_seconds", &labels)
            .record(outcome.took.as_secs_f64());
        let [device, n, host] = labels;
        let labels = [device, n, host, ("class", attempt.class.to_owned())];
        metrics::counter!("moonwa_webhook_deliveries_total", &labels).increment(1);
        if outcome.class != Class::Delivered {
            tracing::warn!(
                device = %self.device,
                n = endpoint.n,
                url = endpoint.shown_url(),
                event = %event,
                class = attempt.class,
                code = attempt.code.unwrap_or_default(),
                status = attempt.status,
                error = attempt.error.as_deref().unwrap_or_default(),
                took_ms = attempt.took_ms,
                "A webhook was not delivered.",
            );
        }
        let mut seen = self.seen();
        if seen.attempts.len() == ATTEMPTS {
            seen.attempts.pop_front();
        }
        seen.attempts.push_back(attempt.clone());
        attempt
    }

    /// Counts events that were parked, dropped or filtered.
    pub(super) fn count(&self, what: &'static str, endpoint: &EndpointConfig, by: u64) {
        metrics::counter!(what, &self.labels(endpoint)).increment(by);
    }

    fn labels(&self, endpoint: &EndpointConfig) -> [(&'static str, String); 3] {
        let host = host_of(&endpoint.url);
        [("device", self.device.to_string()), ("n", endpoint.n.to_string()), ("host", host)]
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of an answer as text.
pub(super) fn beginning(answer: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(answer.get(..limit).unwrap_or(answer)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_cut_anywhere() {
        assert_eq!(beginning("é".as_bytes(), 1), "\u{fffd}");
        assert_eq!(beginning(b"ok", 256), "ok");
    }
}
