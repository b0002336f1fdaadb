//! How many event streams may be open: few for each key, and some that no key can take from the admin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::DeviceName;

/// Fewer than connections, so that open streams leave some for messages.
const MOST: usize = 64;
/// At most this part of the connections.
const SHARE: usize = 4;
const PER_KEY: usize = 8;
const FOR_ADMIN: usize = 8;

/// The open event streams, by who opened them.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<BTreeMap<Whose, usize>>>);

/// A device and the id of its key; none for the admin.
pub(crate) type Whose = Option<(DeviceName, String)>;

/// One open stream, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Stream(Streams, Whose);

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Streams")
    }
}

impl Streams {
    /// Counts one more, unless that is too many beside so many connections.
    pub(crate) fn open(&self, whose: Whose, connections: usize) -> Option<Stream> {
        let most = (connections / SHARE).min(MOST);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let of_keys = all - open.get(&None).copied().unwrap_or_default();
        let own = open.get(&whose).copied().unwrap_or_default();
        let room = match whose {
            Some(_) => own < PER_KEY && of_keys + FOR_ADMIN < most && all < most,
            None => all < most,
        };
        room.then(|| {
            *open.entry(whose.clone()).or_default() += 1;
            Stream(self.clone(), whose)
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_key(streams: &Streams, id: &str) -> Option<Stream> {
        let device = DeviceName::parse("toko").unwrap();
        streams.open(Some((device, id.to_owned())), 256)
    }

    #[test]
    fn a_key_has_eight_and_the_keys_leave_eight_to_the_admin() {
        let streams = Streams::default();
        let mut open: Vec<_> = (0..9).filter_map(|_| of_key(&streams, "a")).collect();
        assert_eq!(open.len(), 8);
        for id in ["b", "c", "d", "e", "f", "g", "h"] {
            open.extend((0..8).filter_map(|_| of_key(&streams, id)));
        }
        assert_eq!(open.len(), MOST - FOR_ADMIN);
        open.extend((0..9).filter_map(|_| streams.open(None, 256)));
        assert_eq!(open.len(), MOST);
        open.remove(0);
        assert!(of_key(&streams, "b").is_none());
        assert!(of_key(&streams, "a").is_some());
        drop(open);
        assert!(streams.0.lock().unwrap().is_empty(), "nothing is kept of who left");
    }
}
