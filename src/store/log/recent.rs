//! The newest events of each device, in memory: whoever keeps up with the log need not read it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::DeviceName;
use crate::store::Seq;
use crate::store::log::event::{Page, StoredEvent};

/// How many events of a device are held, and how many bytes of them.
const EVENTS: usize = 64;
const BYTES: usize = 32 * 1024;

/// Clones share them.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<BTreeMap<DeviceName, Held>>>);

/// Events that follow one another in the log.
#[derive(Default)]
struct Held {
    events: VecDeque<StoredEvent>,
    bytes: usize,
}

impl Recent {
    /// Takes in an event that was committed.
    pub(super) fn add(&self, device: &DeviceName, event: StoredEvent) {
        let mut all = self.lock();
        let held = all.entry(device.clone()).or_default();
        if held.events.back().is_some_and(|last| last.seq.0 + 1 != event.seq.0) {
            *held = Held::default();
        }
        held.bytes += event.body.len();
        held.events.push_back(event);
        while held.events.len() > EVENTS || held.bytes > BYTES {
            let Some(oldest) = held.events.pop_front() else { break };
            held.bytes -= oldest.body.len();
        }
    }

    /// Up to `limit` events after that place and up to the tail; `None` when some of those are not held.
    pub(super) fn after(
        &self,
        device: &DeviceName,
        after: Seq,
        tail: Seq,
        limit: usize,
    ) -> Option<Page> {
        let all = self.lock();
        let held = &all.get(device)?.events;
        let (first, last) = (held.front()?.seq, held.back()?.seq);
        if first.0 > after.0.saturating_add(1) || last < tail {
            return None;
        }
        let wanted = held.iter().filter(|event| event.seq > after && event.seq <= tail);
        let events: Vec<StoredEvent> = wanted.take(limit).cloned().collect();
        let more = events.last().is_some_and(|last| last.seq < tail);
        Some(Page { events, dropped: 0, more })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceName, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{EventId, EventType, UnixMillis};

    fn add(recent: &Recent, device: &DeviceName, seq: u64, bytes: usize) {
        let (at, id) = (UnixMillis::from_secs(1), EventId::derive(&[&seq.to_string()]));
        let (kind, body) = (EventType::MessageReceived, Bytes::from(vec![b'x'; bytes]));
        recent.add(device, StoredEvent { seq: Seq(seq), id, kind, at, stored: at, body });
    }

    fn seqs(recent: &Recent, device: &DeviceName, after: u64, tail: u64) -> Option<Vec<u64>> {
        let page = recent.after(device, Seq(after), Seq(tail), 3)?;
        Some(page.events.iter().map(|event| event.seq.0).collect())
    }

    #[test]
    fn only_the_newest_are_held_and_without_a_gap() {
        let (recent, toko) = (Recent::default(), DeviceName::parse("toko").unwrap());
        assert_eq!(seqs(&recent, &toko, 0, 1), None);
        (1..=100).for_each(|seq| add(&recent, &toko, seq, 100));
        assert_eq!(seqs(&recent, &toko, 97, 100), Some(vec![98, 99, 100]));
        assert_eq!(seqs(&recent, &toko, 97, 99), Some(vec![98, 99]), "more than is committed");
        assert_eq!(seqs(&recent, &toko, 36, 100), Some(vec![37, 38, 39]));
        assert!(recent.after(&toko, Seq(36), Seq(100), 3).unwrap().more);
        assert_eq!(seqs(&recent, &toko, 35, 100), None, "too far behind");
        assert_eq!(seqs(&recent, &toko, 97, 101), None, "newer than what is held");
        add(&recent, &toko, 101, BYTES);
        assert_eq!(seqs(&recent, &toko, 100, 101), Some(vec![101]), "it fills the memory alone");
        add(&recent, &toko, 102, BYTES + 1);
        assert_eq!(seqs(&recent, &toko, 101, 102), None, "too large");
        add(&recent, &toko, 103, 1);
        add(&recent, &toko, 105, 1);
        assert_eq!(seqs(&recent, &toko, 103, 105), None, "a gap");
        assert_eq!(seqs(&recent, &toko, 104, 105), Some(vec![105]));
    }
}
