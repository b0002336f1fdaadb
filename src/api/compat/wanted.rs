//! Which operations of other products callers asked for lately that moonwa does not offer: `moonwa doctor` tells them, so
//! that nobody has to find out from a program's log what does not work. Only those with a key are listened to, and only
//! so many operations are remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::config::FaceName;
use crate::model::UnixMillis;

/// So many operations are remembered.
const REMEMBERED: usize = 32;
/// The most parts of a path that are kept, and of each the most characters.
const PARTS: usize = 6;
const LONGEST: usize = 32;

#[derive(Default)]
pub(crate) struct Wanted(Mutex<BTreeMap<(&'static str, String), Count>>);

struct Count {
    times: u64,
    last: UnixMillis,
}

/// An operation that was asked for.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Want {
    pub(crate) face: &'static str,
    /// Method and path, without what names people and messages.
    pub(crate) operation: String,
    pub(crate) times: u64,
    pub(crate) last: UnixMillis,
}

impl Wanted {
    pub(crate) fn note(&self, face: FaceName, method: &str, path: &str, now: UnixMillis) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (face.as_str(), format!("{method} {}", shape(path)));
        if let Some(count) = known.get_mut(&key) {
            count.times = count.times.saturating_add(1);
            count.last = now;
            return;
        }
        if known.len() >= REMEMBERED
            && let Some(oldest) = known.iter().min_by_key(|(_, count)| count.last)
        {
            let oldest = oldest.0.clone();
            known.remove(&oldest);
        }
        known.insert(key, Count { times: 1, last: now });
    }

    /// What is remembered, the most wanted first.
    pub(crate) fn list(&self) -> Vec<Want> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let want = |((face, operation), count): (&(&'static str, String), &Count)| Want {
            face,
            operation: operation.clone(),
            times: count.times,
            last: count.last,
        };
        let mut list: Vec<Want> = known.iter().map(want).collect();
        list.sort_by_key(|want| std::cmp::Reverse(want.times));
        list
    }
}

/// A path without names of people, chats and messages: a part that is no plain word becomes `…`.
fn shape(path: &str) -> String {
    let plain = |part: &str| {
        (1..=LONGEST).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'))
    };
    let parts = path.split('/').skip(1).take(PARTS);
    parts.flat_map(|part| ["/", if plain(part) { part } else { "…" }]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_and_no_message_is_remembered() {
        for (path, shown) in [
            ("/user/avatar", "/user/avatar"),
            ("/message/3EB0AA/star", "/message/…/star"),
            ("/api/default/chats/628123456789@c.us/messages", "/api/default/chats/…/messages"),
            ("/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f"),
            ("/x%0A", "/…"),
        ] {
            assert_eq!(shape(path), shown);
        }
    }

    #[test]
    fn the_oldest_gives_way() {
        let wanted = Wanted::default();
        let at = UnixMillis::from_secs;
        for n in 0..100_u64 {
            let word: String = n.to_string().bytes().map(|b| char::from(b + 49)).collect();
            wanted.note(FaceName::Gowa, "GET", &format!("/user/{word}"), at(n));
        }
        assert_eq!(wanted.list().len(), REMEMBERED);
        wanted.note(FaceName::Gowa, "GET", "/user/avatar", at(200));
        wanted.note(FaceName::Gowa, "GET", "/user/avatar", at(201));
        let list = wanted.list();
        let first = list.first().unwrap();
        assert_eq!((first.times, first.last), (2, at(201)));
        assert_eq!((first.face, first.operation.as_str()), ("gowa", "GET /user/avatar"));
        assert_eq!(list.len(), REMEMBERED);
    }
}
