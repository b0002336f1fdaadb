//! Whose messages are whose. A device may be linked to one account after another; what was queued and received under one
//! of them is no business of the next. Nothing is removed: a device that is linked to an account again has its messages
//! again.

use fjall::Readable;

use super::counts::Counts;
use super::{Enqueued, SendQueue, advance_each, enqueue_and_nudge, row_bytes};
use crate::model::{DeviceName, EventId, IdempotencyKey, MessageId, MessageStatus, SentMessage};
use crate::store::account::{Accounts, Turn, accounts_key};
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::disk::Room;
use crate::store::json::{from_json, to_row};
use crate::store::key::Key;
use crate::store::message::row::{Row, message_key};
use crate::store::pack::unpack;
use crate::store::{Seq, StoreError, history, log};

/// The most bytes of the rows of `recent`.
const RECENT: usize = 4 << 20;

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
                txn.put(&outbox.queue, accounts_key(&device), to_row(&accounts)?);
                if matches!(turn, Turn::Other) {
                    history::turned(outbox, txn, &device)?;
                    let steps = failures(outbox, txn, &device)?;
                    advance_each(outbox, txn, &device, steps, &[], (&tails, &changes))?;
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
                        let row = unpack(&row)?;
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
pub(super) fn came_to(
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
    let later = txn.scan(&outbox.queue, Key::new(b'd').device(device).as_ref(), usize::MAX)?;
    for (_, id) in waiting.into_iter().chain(later) {
        let row = txn.get(&outbox.queue, Key::new(b'm').device(device).rest(&id))?;
        let row = row.ok_or_else(|| StoreError::Damaged("a queued message".to_owned()))?;
        let message = from_json::<Row>(&row)?.message;
        let (code, detail) = match message.status {
            MessageStatus::Scheduled | MessageStatus::Queued => {
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
    match key.first() {
        Some(b'a') => txn.put(&outbox.queue, key, to_row(&from_json::<Accounts>(row)?)?),
        Some(b'p' | b's' | b'h' | b'w' | b'l' | b'u' | b'r' | b'v' | b'x') => {
            txn.put(&outbox.queue, key, row.to_vec());
        }
        _ => return super::put_back(outbox, txn, row).map(Some),
    }
    Ok(None)
}
