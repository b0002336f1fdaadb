//! Sessions that the engine gave away a moment ago. It keeps a message only after decrypting it, and may meanwhile give away the
//! session that has moved past it. If a crash left that on the disk and not the message, the message would be taken for a known
//! one when it comes again, and be acked without being kept. So a session that the disk can do without is written when what was
//! decrypted before it has been kept for long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

/// How long a session is young. The engine keeps a message a millisecond after it has decrypted it.
pub(super) const YOUTH: Duration = Duration::from_millis(250);

type Sessions = BTreeMap<Arc<str>, Bytes>;

#[derive(Default)]
pub(super) struct Young(Mutex<Generations>);

/// Each is one `YOUTH` older than the one before.
#[derive(Default)]
struct Generations {
    newest: Sessions,
    older: Sessions,
    /// What is being written.
    grown: Sessions,
    /// Somebody counts their age.
    watched: bool,
}

impl Young {
    /// Takes sessions in. Whether nobody counts their age yet: whoever is told so does.
    pub(super) fn add(&self, sessions: &[(Arc<str>, Bytes)]) -> bool {
        let mut all = self.lock();
        all.newest.extend(sessions.iter().cloned());
        !std::mem::replace(&mut all.watched, true)
    }

    pub(super) fn get(&self, address: &str) -> Option<Bytes> {
        let all = self.lock();
        let mut all = [&all.newest, &all.older, &all.grown].into_iter();
        all.find_map(|sessions| sessions.get(address)).cloned()
    }

    /// Another state of these is written, or they are removed.
    pub(super) fn forget<'a>(&self, addresses: impl Iterator<Item = &'a str>) {
        let mut all = self.lock();
        for address in addresses {
            all.newest.remove(address);
            all.older.remove(address);
            all.grown.remove(address);
        }
    }

    /// Another `YOUTH` has passed. Whether some must be written now; `None` when there are none left to watch.
    pub(super) fn grow(&self) -> Option<bool> {
        let mut all = self.lock();
        let (newest, older) = (std::mem::take(&mut all.newest), std::mem::take(&mut all.older));
        all.grown.extend(older);
        all.older = newest;
        all.watched = !all.older.is_empty() || !all.grown.is_empty();
        all.watched.then_some(!all.grown.is_empty())
    }

    /// Those that must be written, as they are at the moment of writing.
    pub(super) fn grown(&self) -> Vec<(Arc<str>, Bytes)> {
        let all = self.lock();
        all.grown.iter().map(|(address, session)| (Arc::clone(address), session.clone())).collect()
    }

    /// They are written.
    pub(super) fn written(&self) {
        self.lock().grown.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(text: &'static str) -> [(Arc<str>, Bytes); 1] {
        [(Arc::from("62811.0"), Bytes::from_static(text.as_bytes()))]
    }

    #[test]
    fn a_session_is_written_when_its_youth_is_over_and_read_as_it_is_last() {
        let young = Young::default();
        assert!(young.add(&session("one")), "somebody must watch");
        assert!(!young.add(&session("two")), "somebody does");
        assert_eq!(young.grow(), Some(false), "it may have come just now");
        young.add(&session("three"));
        assert_eq!(young.grow(), Some(true));
        assert_eq!(young.grown(), session("two"));
        assert_eq!(young.get("62811.0").unwrap(), "three");
        young.written();
        assert_eq!((young.grow(), young.grown()), (Some(true), session("three").to_vec()));
        young.written();
        assert_eq!((young.grow(), young.get("62811.0")), (None, None));
        assert!(young.add(&session("four")), "nobody watches any more");
    }

    #[test]
    fn what_is_forgotten_is_not_written_later() {
        let young = Young::default();
        for growths in 0..3 {
            young.add(&session("old"));
            for _ in 0..growths {
                young.grow();
            }
            young.forget(["62811.0"].into_iter());
            assert_eq!((young.get("62811.0"), young.grown().len()), (None, 0));
        }
    }
}
