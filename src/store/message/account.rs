//! Whose messages are whose. A device may be linked to one account after another; what was queued and received under one
//! of them is no business of the next. Nothing is removed: a device that is linked to an account again has its messages
//! again.

use std::ops::RangeInclusive;

use fjall::Readable;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::{Enqueued, SendQueue, advance_each, enqueue_and_nudge, message_key, row_bytes};
use crate::model::{DeviceName, EventId, IdempotencyKey, MessageId, MessageStatus, SentMessage};
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::database::writer::Promise;
use crate::store::disk::Room;
use crate::store::json::{from_json, to_json};
use crate::store::key::Key;
use crate::store::message::row::Row;
use crate::store::{Seq, StoreError, log};

/// The most bytes of the rows of `recent`.
const RECENT: usize = 4 << 20;

/// The accounts a device was linked to, oldest first; the last one is the present one, also while it is unlinked.
#[derive(Default, Serialize, Deserialize)]
struct Accounts(Vec<Span>);

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
    fn load<T: AsRef<[u8]>>(
        device: &DeviceName,
        read: impl FnOnce(Key) -> Result<Option<T>, StoreError>,
    ) -> Result<Self, StoreError> {
        let row = read(accounts_key(device))?;
        row.map_or_else(|| Ok(Self::default()), |row| from_json(row.as_ref()))
    }

    /// The places of the present account's messages, newest first.
    fn places(&self) -> Vec<RangeInclusive<u64>> {
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
    fn after(&self) -> Seq {
        Seq(self.0.last().map_or(0, |span| span.after))
    }

    fn turn_to(&mut self, account: Option<&str>, last: u64, tail: u64) -> Turn {
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

enum Turn {
    Same,
    First,
    Other,
}

impl SendQueue {
    /// Notes the account that a device is linked to, or that it is linked to none. When it was another one before, the
    /// messages that still wait fail: they must never go out under another number.
    pub async fn belong(
        &self,
        device: &DeviceName,
        account: Option<String>,
    ) -> Result<(), StoreError> {
        let (device, tails, changes) = (device.clone(), self.tails.clone(), self.changes.clone());
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                let mut accounts = Accounts::load(&device, |key| txn.get(&outbox.queue, key))?;
                let last = Counts::load(outbox, txn, &device)?.last;
                let tail = log::tail(outbox, txn, &device)?;
                let turn = accounts.turn_to(account.as_deref(), last, tail);
                if matches!(turn, Turn::Same) {
                    return Ok(());
                }
                txn.put(&outbox.queue, accounts_key(&device), to_json(&accounts)?);
                if matches!(turn, Turn::Other) {
                    let steps = failures(outbox, txn, &device)?;
                    advance_each(outbox, txn, &device, steps, (&tails, &changes))?;
                }
                Ok(())
            })
            .await
    }

    /// Queues the answer to an event, as `enqueue` does. `None` when that came to another account than the device is linked to now.
    pub async fn reply(
        &self,
        to: EventId,
        message: SentMessage,
        key: Option<IdempotencyKey>,
        limit: usize,
    ) -> Result<Option<Enqueued>, StoreError> {
        let nudges = self.nudges.clone();
        self.writer
            .run(Promise::Durable, Room::Promise, move |outbox, txn| {
                if !came_to(outbox, txn, &message.device, &to)? {
                    return Ok(None);
                }
                enqueue_and_nudge(outbox, txn, message, key.as_ref(), limit, nudges).map(Some)
            })
            .await
    }

    /// The newest messages of the account that a device is linked to, newest first; fewer when they are large.
    pub async fn recent(
        &self,
        device: &DeviceName,
        limit: usize,
    ) -> Result<Vec<SentMessage>, StoreError> {
        let device = device.clone();
        self.readers
            .run(move |databases| {
                let (outbox, now) = (&databases.outbox, databases.outbox.db.snapshot());
                let read = |key: Key| now.get(&outbox.queue, key).map_err(StoreError::database);
                let index = Key::new(b't').device(&device);
                let place = |place: u64| index.clone().number(place).into_bytes();
                let (mut found, mut bytes) = (Vec::new(), 0);
                for places in Accounts::load(&device, read)?.places() {
                    let places = place(*places.start())..=place(*places.end());
                    for guard in now.range(&outbox.queue, places).rev().take(limit - found.len()) {
                        let id = guard.value().map_err(StoreError::database)?;
                        let row = row_bytes(&now, outbox, &device, &id)?;
                        bytes += row.len();
                        if bytes > RECENT && !found.is_empty() {
                            return Ok(found);
                        }
                        found.push(from_json::<Row>(&row)?.message);
                    }
                }
                Ok(found)
            })
            .await
    }

    /// A message that was queued for the account the device is linked to now.
    pub async fn own(
        &self,
        device: &DeviceName,
        id: &MessageId,
    ) -> Result<Option<SentMessage>, StoreError> {
        let (device, key) = (device.clone(), message_key(device, id));
        self.readers
            .run(move |databases| {
                let queue = &databases.outbox.queue;
                let read = |key: Key| queue.get(key).map_err(StoreError::database);
                let Some(row) = read(key)? else { return Ok(None) };
                let (row, accounts): (Row, _) = (from_json(&row)?, Accounts::load(&device, read)?);
                let own = accounts.places().iter().any(|places| places.contains(&row.order));
                Ok(own.then_some(row.message))
            })
            .await
    }

    /// The place in a device's event log after which the events of the account come that it is linked to now.
    pub async fn account_began(&self, device: &DeviceName) -> Result<Seq, StoreError> {
        let device = device.clone();
        self.readers
            .run(move |databases| {
                let queue = &databases.outbox.queue;
                let read = |key: Key| queue.get(key).map_err(StoreError::database);
                Ok(Accounts::load(&device, read)?.after())
            })
            .await
    }
}

/// Whether an event came to the account that the device is linked to now.
fn came_to(
    outbox: &Outbox,
    txn: &Txn<'_>,
    device: &DeviceName,
    event: &EventId,
) -> Result<bool, StoreError> {
    let after = Accounts::load(device, |key| txn.get(&outbox.queue, key))?.after();
    // One that is dropped already is older than all that are there.
    Ok(after == Seq(0) || log::place(outbox, txn, device, event)?.is_some_and(|at| at > after))
}

/// How the messages end that wait for the account before. Of one that was written to a connection nobody will ever know.
fn failures(
    outbox: &Outbox,
    txn: &Txn<'_>,
    device: &DeviceName,
) -> Result<Vec<(MessageId, MessageStatus)>, StoreError> {
    let waiting = txn.scan(&outbox.queue, Key::new(b'q').device(device).as_ref(), usize::MAX)?;
    let mut steps = Vec::with_capacity(waiting.len());
    for (_, id) in waiting {
        let row = txn.get(&outbox.queue, Key::new(b'm').device(device).rest(&id))?;
        let row = row.ok_or_else(|| StoreError::Damaged("a queued message".to_owned()))?;
        let message = from_json::<Row>(&row)?.message;
        let (code, detail) = match message.status {
            MessageStatus::Queued => {
                ("account_changed", "the device was linked to another number before it was sent")
            }
            _ => ("unconfirmed", "WhatsApp never said that it has it, and the number has changed"),
        };
        let (code, detail) = (code.to_owned(), detail.to_owned());
        steps.push((message.id, MessageStatus::Failed { code, detail }));
    }
    Ok(steps)
}

/// Puts a row of the queue that was read from a damaged database into a new one. Says of a message whether it still has to
/// be sent.
pub(in crate::store) fn put_back(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    key: Vec<u8>,
    row: &[u8],
) -> Result<Option<bool>, StoreError> {
    if key.first() != Some(&b'a') {
        return super::put_back(outbox, txn, row).map(Some);
    }
    let accounts: Accounts = from_json(row)?;
    txn.put(&outbox.queue, key, to_json(&accounts)?);
    Ok(None)
}

fn accounts_key(device: &DeviceName) -> Key {
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
