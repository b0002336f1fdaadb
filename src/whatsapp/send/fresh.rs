//! When a group's members are asked for their devices anew. WhatsApp tells of a new device once; where that was lost, the
//! device would show "Waiting for this message" for whatever is sent to the group.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::knobs::knobs;

/// How long an answer is fresh.
const FRESH: Duration = Duration::from_hours(1);

/// The groups that were asked for on this connection, and when.
#[derive(Default)]
pub(crate) struct Fresh(Mutex<BTreeMap<String, Instant>>);

impl Fresh {
    /// A new connection: what was told meanwhile may be lost.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// Whether a group is to be asked for now. It is then taken for fresh, whatever the answer: a service that refuses is
    /// not asked again with every message.
    pub(crate) fn is_due(&self, group: &str, now: Instant) -> bool {
        let fresh = knobs().group_refresh.unwrap_or(FRESH);
        let mut asked = self.lock();
        asked.retain(|_, at| now.duration_since(*at) < fresh);
        if asked.contains_key(group) {
            return false;
        }
        asked.insert(group.to_owned(), now);
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_asked_for_at_its_first_message_and_then_hourly() {
        let (fresh, start) = (Fresh::default(), Instant::now());
        let due = |group, minutes| fresh.is_due(group, start + Duration::from_mins(minutes));
        assert!(due("a", 0) && due("b", 30));
        assert!(!due("a", 59) && !due("b", 89));
        assert!(due("a", 60) && due("b", 90) && !due("a", 119));
        fresh.forget();
        assert!(due("a", 119) && !due("a", 120));
    }
}
