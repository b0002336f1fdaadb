//! Sessions and sender keys that the engine gave away a moment ago. It keeps a message only after decrypting it, and may
//! meanwhile give away the one that has moved past it. If a crash left that on the disk and not the message, the message
//! could not be decrypted when it comes again. So what the disk can do without is written when what was decrypted before
//! it has been kept for long.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::store::Key;

/// How long a row is young. The engine keeps a message a millisecond after it has decrypted it.
pub(super) const YOUTH: Duration = Duration::from_millis(250);

type Rows = BTreeMap<Key, Bytes>;

#[derive(Default)]
pub(super) struct Young(Mutex<Generations>);

/// Each is one `YOUTH` older than the one before.
#[derive(Default)]
struct Generations {
    newest: Rows,
    older: Rows,
    /// What is being written.
    grown: Rows,
    /// Somebody counts their age.
    watched: bool,
}

impl Young {
    /// Takes rows in. Whether nobody counts their age yet: whoever is told so does.
    pub(super) fn add(&self, rows: Vec<(Key, Bytes)>) -> bool {
        let mut all = self.lock();
        all.newest.extend(rows);
        !std::mem::replace(&mut all.watched, true)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Bytes> {
        let all = self.lock();
        let mut all = [&all.newest, &all.older, &all.grown].into_iter();
        all.find_map(|rows| rows.get(key)).cloned()
    }

    /// Another state of it is written, or it is removed.
    pub(super) fn forget(&self, key: &Key) {
        let mut all = self.lock();
        all.newest.remove(key);
        all.older.remove(key);
        all.grown.remove(key);
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
    pub(super) fn grown(&self) -> Vec<(Key, Bytes)> {
        self.lock().grown.iter().map(|(key, row)| (key.clone(), row.clone())).collect()
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

    fn key() -> Key {
        Key::new(b's').rest("62811.0")
    }

    fn row(text: &'static str) -> Vec<(Key, Bytes)> {
        vec![(key(), Bytes::from_static(text.as_bytes()))]
    }

    #[test]
    fn a_row_is_written_when_its_youth_is_over_and_read_as_it_is_last() {
        let young = Young::default();
        assert!(young.add(row("one")), "somebody must watch");
        assert!(!young.add(row("two")), "somebody does");
        assert_eq!(young.grow(), Some(false), "it may have come just now");
        young.add(row("three"));
        assert_eq!(young.grow(), Some(true));
        assert_eq!(young.grown(), row("two"));
        assert_eq!(young.get(&key()).unwrap(), "three");
        young.written();
        assert_eq!((young.grow(), young.grown()), (Some(true), row("three")));
        young.written();
        assert_eq!((young.grow(), young.get(&key())), (None, None));
        assert!(young.add(row("four")), "nobody watches any more");
    }

    #[test]
    fn what_is_forgotten_is_not_written_later() {
        let young = Young::default();
        for growths in 0..3 {
            young.add(row("old"));
            for _ in 0..growths {
                young.grow();
            }
            young.forget(&key());
            assert_eq!((young.get(&key()), young.grown().len()), (None, 0));
        }
    }
}
