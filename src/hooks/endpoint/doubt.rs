//! A 500 does not tell whether the event or the receiver is at fault. Until the receiver takes another event, the
//! receiver is taken to be at fault, and everything waits in order.

use bytes::Bytes;

use super::filter::Fate;
use super::{Machine, PAGE};
use crate::hooks::class::Class;
use crate::hooks::delivery::Delivery;
use crate::store::{EndpointState, Seq, StoredEvent};

/// After how many failed tries of an event others are tried instead: about two minutes.
pub(super) const TRIES: u32 = 8;
/// How many others are tried at a time, because several bad events may follow one another.
const OTHERS: usize = 3;
/// How many pages of the log are searched for them at a time.
const PAGES: usize = 16;

impl Machine {
    /// Whether the receiver takes another event than the one that keeps failing. If so, that one is tried once more
    /// before it is parked: the receiver may have come back just now.
    pub(super) async fn takes_another(&mut self, failing: &StoredEvent) -> bool {
        for (event, body) in self.others(failing.seq).await {
            let (endpoint, source) = (self.current.clone(), event.body.clone());
            let delivery =
                Delivery { id: self.id.clone(), endpoint, event: event.id.clone(), source, body };
            let Some(outcome) = self.deliver(&delivery).await else { return false };
            self.monitor.record(&delivery.endpoint, &event.id, &outcome);
            if outcome.class == Class::Delivered {
                self.cursor.delivered = self.cursor.delivered.saturating_add(1);
            }
            if self.rewound {
                return false;
            }
            self.tried_instead = event.seq;
            match outcome.class {
                Class::Delivered => {
                    self.backlog.done(event.seq);
                    self.overtook.insert(event.seq);
                    return true;
                }
                Class::Message | Class::Ambiguous if self.state() == EndpointState::Active => {}
                _ => return false,
            }
        }
        false
    }

    /// The next few events to try instead: others than the last time, and at the end of the log the first ones again.
    async fn others(&mut self, failing: Seq) -> Vec<(StoredEvent, Bytes)> {
        let mut found = Vec::new();
        let mut after = self.tried_instead.max(failing);
        for _ in 0..PAGES {
            let log = self.deliverer.store.log();
            let page = match log.read_after(&self.cursor.device, after, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    self.log_unread(&error);
                    break;
                }
            };
            let Some(last) = page.events.last() else {
                if after == failing || !found.is_empty() {
                    break;
                }
                after = failing;
                continue;
            };
            after = last.seq;
            for event in page.events {
                if !self.overtook.contains(&event.seq)
                    && let Ok(Fate::Post(body)) = self.fate(&event).await
                {
                    found.push((event, body));
                }
            }
            if found.len() >= OTHERS {
                break;
            }
        }
        self.tried_instead = after;
        found.truncate(OTHERS);
        found
    }
}
