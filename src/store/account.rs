//! The accounts that a device was linked to, as they are stored.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::json::from_json;
use super::key::Key;
use super::{Seq, StoreError};
use crate::model::DeviceName;

/// The accounts a device was linked to, oldest first; the last one is the present one, also while it is unlinked.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Accounts(Vec<Span>);

/// The time for which a device was linked to one account.
#[derive(Serialize, Deserialize)]
struct Span {
    /// Its phone number; empty when an older version wrote the messages and nobody knows.
    account: String,
    /// The place of its first message.
    from: u64,
    /// The place in the event log after which its events come.
    after: u64,
}

impl Accounts {
    pub(super) fn load<T: AsRef<[u8]>>(
        device: &DeviceName,
        read: impl FnOnce(Key) -> Result<Option<T>, StoreError>,
    ) -> Result<Self, StoreError> {
        let row = read(accounts_key(device))?;
        row.map_or_else(|| Ok(Self::default()), |row| from_json(row.as_ref()))
    }

    /// The present account; empty when nobody knows.
    pub(super) fn present(&self) -> &str {
        self.0.last().map_or("", |span| &span.account)
    }

    /// The places of the present account's messages, newest first.
    pub(super) fn places(&self) -> Vec<RangeInclusive<u64>> {
        let Some(present) = self.0.last() else { return vec![0..=u64::MAX] };
        let (mut end, mut places) = (u64::MAX, Vec::new());
        for span in self.0.iter().rev() {
            if span.account == present.account {
                places.push(span.from..=end);
            }
            end = span.from.saturating_sub(1);
        }
        places
    }

    /// The place in the event log after which the present account's events come.
    pub(super) fn after(&self) -> Seq {
        Seq(self.0.last().map_or(0, |span| span.after))
    }

    pub(super) fn turn_to(&mut self, account: Option<&str>, last: u64, tail: u64) -> Turn {
        let (account, from, after) = match (self.0.last(), account) {
            (Some(present), Some(account)) if present.account != account => {
                (account, last.saturating_add(1), tail)
            }
            (None, Some(account)) => (account, 0, 0),
            (None, None) if last > 0 => ("", 0, 0),
            _ => return Turn::Same,
        };
        let turn = if self.0.is_empty() { Turn::First } else { Turn::Other };
        self.0.push(Span { account: account.to_owned(), from, after });
        turn
    }
}

pub(super) enum Turn {
    Same,
    First,
    Other,
}

pub(super) fn accounts_key(device: &DeviceName) -> Key {
    Key::new(b'a').device(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_messages_again_when_it_comes_back() {
        let mut accounts = Accounts::default();
        assert_eq!(accounts.places(), [0..=u64::MAX]);
        assert!(matches!(accounts.turn_to(Some("62811"), 0, 0), Turn::First));
        assert!(matches!(accounts.turn_to(Some("62811"), 7, 3), Turn::Same));
        assert!(matches!(accounts.turn_to(None, 7, 3), Turn::Same));
        assert!(matches!(accounts.turn_to(Some("62822"), 7, 3), Turn::Other));
        assert_eq!((accounts.places(), accounts.after()), (vec![8..=u64::MAX], Seq(3)));
        assert!(matches!(accounts.turn_to(Some("62811"), 9, 5), Turn::Other));
        assert_eq!((accounts.places(), accounts.after()), (vec![10..=u64::MAX, 0..=7], Seq(5)));
    }

    #[test]
    fn what_an_older_version_wrote_belongs_to_the_account_of_then() {
        let mut linked = Accounts::default();
        assert!(matches!(linked.turn_to(Some("62811"), 7, 3), Turn::First));
        assert_eq!((linked.places(), linked.after()), (vec![0..=u64::MAX], Seq(0)));
        let mut unlinked = Accounts::default();
        assert!(matches!(unlinked.turn_to(None, 0, 3), Turn::Same), "nothing was written");
        assert!(matches!(unlinked.turn_to(None, 7, 3), Turn::First));
        assert!(matches!(unlinked.turn_to(Some("62811"), 7, 3), Turn::Other));
        assert_eq!((unlinked.places(), unlinked.after()), (vec![8..=u64::MAX], Seq(3)));
    }
}
