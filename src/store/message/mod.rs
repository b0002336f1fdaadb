//! The send queue: every message that was accepted from a caller, how far it got, and its idempotency key. The rows
//! are in `outbox/`, so that a message's status and the event that reports it are written in one commit.

pub(super) mod account;
pub(super) mod album;
mod counts;
pub(super) mod due;
mod later;
pub(super) mod list;
mod nudge;
pub(super) mod row;
pub(super) mod rule;
mod sweep;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use fjall::{Readable, Slice, Snapshot};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use self::counts::Counts;
use self::due::LATER_LIMIT;
use self::nudge::Nudges;
use self::row::{Row, message_key, order_at, time_of};
pub(super) use self::sweep::sweep;
use crate::model::{
    DeviceName, Event, IdempotencyKey, MessageId, MessageStatus, SendRequest, SentMessage,
    UnixMillis,
};
use crate::store::StoreError;
use crate::store::database::clock::StoreClock;
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::reader::Readers;
use crate::store::database::txn::Txn;
use crate::store::database::writer::Writer;
use crate::store::disk::Room;
use crate::store::json::{from_json, to_json, to_row};
use crate::store::key::Key;
use crate::store::log::{NewEvent, Tails, append};
use crate::store::{history, tally};

/// The outcome of queueing a message.
#[derive(Clone, Debug)]
pub enum Enqueued {
    /// The message is on disk now.
    Queued(SentMessage),
    /// The same key and the same request came before; this is that message.
    Known(SentMessage),
    /// The key was used for another request.
    Conflict,
    /// The device has `limit` messages waiting.
    Full,
}

/// Messages of one device that may wait, whoever asks: callers, and receivers that answer.
pub(crate) const QUEUE_LIMIT: usize = 1_000;
/// How many changes a slow receiver may be behind.
const CHANGES: usize = 256;

/// The queue of all devices.
pub struct SendQueue {
    writer: Writer<Outbox>,
    readers: Readers,
    nudges: Nudges,
    tails: Tails,
    clock: Arc<StoreClock>,
    changes: broadcast::Sender<SentMessage>,
}

impl SendQueue {
    pub(super) fn new(
        writer: Writer<Outbox>,
        readers: Readers,
        tails: Tails,
        clock: Arc<StoreClock>,
    ) -> Self {
        let changes = broadcast::Sender::new(CHANGES);
        Self { writer, readers, nudges: Nudges::default(), tails, clock, changes }
    }

    /// How long ago the message at this place was queued, by the clock that does not jump.
    pub fn age(&self, place: u64) -> Duration {
        self.clock.now().since(time_of(place))
    }

    /// Puts a message on disk together with its idempotency key, durable before `Ok`. A message id that is known
    /// already is treated like a key that is known.
    pub async fn enqueue(
        &self,
        message: SentMessage,
        key: Option<IdempotencyKey>,
        limit: usize,
    ) -> Result<Enqueued, StoreError> {
        let nudges = self.nudges.clone();
        self.writer
            .run(Promise::Durable, Room::Promise, move |outbox, txn| {
                enqueue_and_nudge(outbox, txn, message, key.as_ref(), limit, nudges)
            })
            .await
    }

    /// What became of a request that came under this key before; `None` when none did.
    pub async fn known(
        &self,
        device: &DeviceName,
        request: &SendRequest,
        key: &IdempotencyKey,
    ) -> Result<Option<Enqueued>, StoreError> {
        let hash: [u8; 32] = Sha256::digest(key.as_str()).into();
        let key = Key::new(b'k').device(device).rest(hash);
        let request: [u8; 32] = Sha256::digest(to_json(request)?).into();
        let device = device.clone();
        self.readers
            .run(move |databases| {
                let (outbox, now) = (&databases.outbox, databases.outbox.db.snapshot());
                let read = |key: Key| now.get(&outbox.queue, key).map_err(StoreError::database);
                // A key without its message: their commit is under way, so whoever enqueues next will know.
                read(key)?.map_or(Ok(None), |row| known(&row, &request, &device, read))
            })
            .await
    }

    /// Messages of a device that WhatsApp does not have yet, as far as is known: those after the place `after`, each
    /// with its own place, oldest first.
    pub async fn pending(
        &self,
        device: &DeviceName,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, SentMessage)>, StoreError> {
        let device = device.clone();
        self.readers
            .run(move |databases| {
                let (outbox, now) = (&databases.outbox, databases.outbox.db.snapshot());
                let prefix = Key::new(b'q').device(&device);
                let from = prefix.clone().number(after.saturating_add(1)).into_bytes();
                let to = prefix.number(u64::MAX).into_bytes();
                let mut found = Vec::new();
                for guard in now.range(&outbox.queue, from..=to).take(limit) {
                    let id = guard.value().map_err(StoreError::database)?;
                    let row = row_of(&now, outbox, &device, &id)?;
                    found.push((row.order, row.message));
                }
                Ok(found)
            })
            .await
    }

    pub async fn get(
        &self,
        device: &DeviceName,
        id: &MessageId,
    ) -> Result<Option<SentMessage>, StoreError> {
        let key = message_key(device, id);
        self.readers
            .run(move |databases| {
                let row = databases.outbox.queue.get(key).map_err(StoreError::database)?;
                row.map(|row| Ok(from_json::<Row>(&row)?.message)).transpose()
            })
            .await
    }

    /// Gives a message its next status. `None` when it is unknown or the status is no progress; otherwise the message
    /// as it is now.
    pub async fn advance(
        &self,
        device: &DeviceName,
        id: &MessageId,
        status: MessageStatus,
    ) -> Result<Option<SentMessage>, StoreError> {
        Ok(self.advance_all(device, vec![(id.clone(), status)]).await?.pop())
    }

    /// Moves messages on, in this order, and appends the event of every step to the log in the same commit: whoever
    /// reads the log sees states go forward only. The answer is what moved. Durable before `Ok`, but for `sent`: when
    /// a power cut takes that, the message goes out again.
    pub async fn advance_all(
        &self,
        device: &DeviceName,
        steps: Vec<(MessageId, MessageStatus)>,
    ) -> Result<Vec<SentMessage>, StoreError> {
        let (device, tails, changes) = (device.clone(), self.tails.clone(), self.changes.clone());
        let lazy = steps.iter().all(|(_, status)| *status == MessageStatus::Sent);
        let promise = if lazy { Promise::Lazy } else { Promise::Durable };
        self.writer
            .run(promise, Room::Essential, move |outbox, txn| {
                advance_each(outbox, txn, &device, steps, &[], (&tails, &changes))
            })
            .await
    }

    /// Every change of a status, for `?wait=` and the admin page. A slow receiver misses some: look in the store.
    pub fn changes(&self) -> broadcast::Receiver<SentMessage> {
        self.changes.subscribe()
    }
}

fn enqueue_and_nudge(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    message: SentMessage,
    key: Option<&IdempotencyKey>,
    limit: usize,
    nudges: Nudges,
) -> Result<Enqueued, StoreError> {
    let device = message.device.clone();
    let outcome = enqueue(outbox, txn, message, key, limit)?;
    if let Enqueued::Queued(message) = &outcome {
        history::sent(outbox, txn, message)?;
        let later = message.status == MessageStatus::Scheduled;
        let nudge = if later { nudges.scheduled } else { nudges.queued };
        txn.after_commit(move || nudge.give(&device));
    }
    Ok(outcome)
}

fn enqueue(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    message: SentMessage,
    key: Option<&IdempotencyKey>,
    limit: usize,
) -> Result<Enqueued, StoreError> {
    let (queue, device) = (&outbox.queue, &message.device);
    let request: [u8; 32] = Sha256::digest(to_json(&message.request)?).into();
    let hash: Option<[u8; 32]> = key.map(|key| Sha256::digest(key.as_str()).into());
    let key = hash.map(|hash| Key::new(b'k').device(device).rest(hash));
    if let Some(key) = &key
        && let Some(known) = txn.get(queue, key)?
    {
        let known = self::known(&known, &request, device, |key| txn.get(queue, key))?;
        return known.ok_or_else(|| StoreError::Damaged("a message with a key".to_owned()));
    }
    let place = message_key(device, &message.id);
    if let Some(row) = txn.get(queue, &place)? {
        let known = from_json::<Row>(&row)?.message;
        let same = known.request == message.request;
        return Ok(if same { Enqueued::Known(known) } else { Enqueued::Conflict });
    }
    let mut counts = Counts::load(outbox, txn, device)?;
    let (there, limit) = match message.status {
        MessageStatus::Scheduled => (counts.scheduled, LATER_LIMIT),
        _ => (counts.waiting, limit),
    };
    if there >= limit as u64 {
        return Ok(Enqueued::Full);
    }
    // Messages keep the order in which they came, even if the clock goes back.
    let now = outbox.clock.now();
    let order = order_at(now).max(counts.last.saturating_add(1));
    let row =
        Row { order, key: hash.map(|hash| HEXLOWER.encode(&hash)), changed: Some(now), message };
    put(outbox, txn, &row, &mut counts)?;
    counts.save(outbox, txn, &row.message.device);
    Ok(Enqueued::Queued(row.message))
}

/// Writes everything that belongs to a message, and counts it.
fn put(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    row: &Row,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let (queue, device) = (&outbox.queue, &row.message.device);
    let id = Bytes::copy_from_slice(row.message.id.as_str().as_bytes());
    if let Some(hash) = row.key.as_ref().and_then(|key| HEXLOWER.decode(key.as_bytes()).ok()) {
        let request: [u8; 32] = Sha256::digest(to_json(&row.message.request)?).into();
        let value = [request.as_slice(), &id].concat();
        txn.put(queue, Key::new(b'k').device(device).rest(hash), value);
    }
    if row.message.status == MessageStatus::Scheduled {
        due::put(outbox, txn, row, id, counts);
    } else {
        if row.message.request.content.is_message() {
            txn.put(queue, Key::new(b't').device(device).number(row.order), id.clone());
        }
        if !row.message.status.is_settled() {
            txn.put(queue, Key::new(b'q').device(device).number(row.order), id);
            counts.waiting += 1;
        }
    }
    counts.last = counts.last.max(row.order);
    txn.put(queue, message_key(device, &row.message.id), to_row(row)?);
    Ok(())
}

/// Puts a row that was read from a damaged database into a new one. Says of a message whether it still has to be sent.
fn put_back(outbox: &Outbox, txn: &mut Txn<'_>, row: &[u8]) -> Result<bool, StoreError> {
    let row: Row = from_json(row)?;
    let device = &row.message.device;
    let mut counts = Counts::load(outbox, txn, device)?;
    put(outbox, txn, &row, &mut counts)?;
    counts.save(outbox, txn, device);
    Ok(!row.message.status.is_settled())
}

/// What the row of an idempotency key says about a request.
fn known<T: AsRef<[u8]>>(
    row: &[u8],
    request: &[u8; 32],
    device: &DeviceName,
    read: impl FnOnce(Key) -> Result<Option<T>, StoreError>,
) -> Result<Option<Enqueued>, StoreError> {
    let Some((before, id)) = row.split_first_chunk::<32>() else {
        return Err(StoreError::Damaged("an idempotency key".to_owned()));
    };
    if before != request {
        return Ok(Some(Enqueued::Conflict));
    }
    let Some(row) = read(Key::new(b'm').device(device).rest(id))? else { return Ok(None) };
    Ok(Some(Enqueued::Known(from_json::<Row>(row.as_ref())?.message)))
}

/// Moves messages on, each with its event, and tells whoever listens once that is on disk.
fn advance_each(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    steps: Vec<(MessageId, MessageStatus)>,
    known_as: &[String],
    (tails, changes): (&Tails, &broadcast::Sender<SentMessage>),
) -> Result<Vec<SentMessage>, StoreError> {
    let mut moved = Vec::new();
    for (id, status) in steps {
        let now = advance(outbox, txn, device, &id, status.clone(), known_as)?;
        let sent = now.as_ref().map(|(message, settles)| (message, *settles));
        history::moved(outbox, txn, (device, &id, &status), sent)?;
        moved.extend(now.map(|(message, _)| message));
    }
    let told = moved.iter().filter(|message| message.request.content.is_message());
    let events = told.map(|message| NewEvent::from(&Event::of_status(message)));
    append(outbox, txn, events.collect(), tails)?;
    let (told, changes) = (moved.clone(), changes.clone());
    // An error only means that nobody listens.
    txn.after_commit(move || told.into_iter().for_each(|now| drop(changes.send(now))));
    Ok(moved)
}

/// The message as it is now, and whether it was not known before if WhatsApp took it.
fn advance(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    id: &MessageId,
    status: MessageStatus,
    known_as: &[String],
) -> Result<Option<(SentMessage, bool)>, StoreError> {
    let key = message_key(device, id);
    let Some(row) = txn.get(&outbox.queue, &key)? else { return Ok(None) };
    let mut row: Row = from_json(&row)?;
    if !row.message.status.may_become(&status) {
        return Ok(None);
    }
    let open = !row.message.status.is_settled();
    if row.message.status == MessageStatus::Scheduled {
        due::ends(outbox, txn, &row)?;
    } else if open && status.is_settled() {
        txn.remove(&outbox.queue, Key::new(b'q').device(device).number(row.order));
        let mut counts = Counts::load(outbox, txn, device)?;
        counts.waiting = counts.waiting.saturating_sub(1);
        counts.save(outbox, txn, device);
    }
    tally::moves(outbox, txn, &row.message, &status, known_as)?;
    row.message.status = status;
    row.message.updated = UnixMillis::now();
    row.changed = Some(outbox.clock.now());
    if row.message.request.content.is_message() || !row.message.status.is_settled() {
        txn.put(&outbox.queue, key, to_row(&row)?);
    } else {
        txn.remove(&outbox.queue, key);
    }
    Ok(Some((row.message, open)))
}

/// The message that an index names.
fn row_of(
    now: &Snapshot,
    outbox: &Outbox,
    device: &DeviceName,
    id: &[u8],
) -> Result<Row, StoreError> {
    from_json(&row_bytes(now, outbox, device, id)?)
}

fn row_bytes(
    now: &Snapshot,
    outbox: &Outbox,
    device: &DeviceName,
    id: &[u8],
) -> Result<Slice, StoreError> {
    let key = Key::new(b'm').device(device).rest(id);
    let row = now.get(&outbox.queue, key).map_err(StoreError::database)?;
    row.ok_or_else(|| StoreError::Damaged("a queued message".to_owned()))
}
