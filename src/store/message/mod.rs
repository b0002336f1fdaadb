//! The send queue: every message a caller was promised, how far it got, and the idempotency keys under which they
//! came. Rows live in `state/`.

mod counts;
mod row;
mod sweep;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use fjall::Readable;
use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, watch};

use self::counts::Counts;
use self::row::{Row, order_at};
use super::StoreError;
use super::disk::Room;
use super::json::{from_json, to_json};
use super::key::Key;
use super::reader::Readers;
use super::state::State;
use super::txn::Txn;
use super::writer::{Promise, Writer};
use crate::model::{
    DeviceName, IdempotencyKey, MessageId, MessageStatus, SendRequest, SentMessage, UnixMillis,
};

/// What came of queueing a message.
#[derive(Clone, Debug)]
pub enum Enqueued {
    /// It is on disk now.
    Queued(SentMessage),
    /// The same key and the same request came before; this is that message.
    Known(SentMessage),
    /// The key was used for another request.
    Conflict,
    /// The device has `limit` messages waiting.
    Full,
}

/// Messages of one device that may wait, whoever asks: callers, and receivers that answer.
pub const QUEUE_LIMIT: usize = 1_000;
/// Changes a slow receiver may lag behind.
const CHANGES: usize = 256;

/// The queue of all devices.
pub struct SendQueue {
    writer: Writer<State>,
    readers: Readers,
    nudges: Nudges,
    changes: broadcast::Sender<SentMessage>,
}

/// A counter per device that only says "look in the store".
#[derive(Clone, Default)]
struct Nudges(Arc<Mutex<BTreeMap<DeviceName, watch::Sender<u64>>>>);

impl Nudges {
    fn with<T>(&self, device: &DeviceName, f: impl FnOnce(&watch::Sender<u64>) -> T) -> T {
        let mut nudges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f(nudges.entry(device.clone()).or_default())
    }
}

impl SendQueue {
    pub(super) fn new(writer: Writer<State>, readers: Readers) -> Self {
        let changes = broadcast::Sender::new(CHANGES);
        Self { writer, readers, nudges: Nudges::default(), changes }
    }

    /// Puts a message on disk together with its idempotency key, durable before `Ok`. A message id that is known already
    /// is treated like a key that is known.
    pub async fn enqueue(
        &self,
        message: SentMessage,
        key: Option<IdempotencyKey>,
        limit: usize,
    ) -> Result<Enqueued, StoreError> {
        let nudges = self.nudges.clone();
        self.writer
            .run(Promise::Durable, Room::Promise, move |state, txn| {
                let device = message.device.clone();
                let outcome = enqueue(state, txn, message, key.as_ref(), limit)?;
                if matches!(outcome, Enqueued::Queued(_)) {
                    txn.after_commit(move || {
                        nudges.with(&device, |n| n.send_modify(|n| *n = n.wrapping_add(1)));
                    });
                }
                Ok(outcome)
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
                let (state, now) = (&databases.state, databases.state.db.snapshot());
                let read = |key: Key| now.get(&state.queue, key).map_err(StoreError::database);
                // A key without its message: their commit is under way, so whoever enqueues next will know.
                read(key)?.map_or(Ok(None), |row| known(&row, &request, &device, read))
            })
            .await
    }

    /// Messages of a device still `Queued`, oldest first.
    pub async fn queued(
        &self,
        device: &DeviceName,
        limit: usize,
    ) -> Result<Vec<SentMessage>, StoreError> {
        self.listed(b'q', device, limit, false).await
    }

    pub async fn get(
        &self,
        device: &DeviceName,
        id: &MessageId,
    ) -> Result<Option<SentMessage>, StoreError> {
        let key = message_key(device, id);
        self.readers
            .run(move |databases| {
                let row = databases.state.queue.get(key).map_err(StoreError::database)?;
                row.map(|row| Ok(from_json::<Row>(&row)?.message)).transpose()
            })
            .await
    }

    /// The newest messages of a device, newest first.
    pub async fn recent(
        &self,
        device: &DeviceName,
        limit: usize,
    ) -> Result<Vec<SentMessage>, StoreError> {
        self.listed(b't', device, limit, true).await
    }

    /// Moves a message on. `None` when it is unknown or the status is no progress; else the message as it is now.
    /// Durable before `Ok`.
    pub async fn advance(
        &self,
        device: &DeviceName,
        id: &MessageId,
        status: MessageStatus,
    ) -> Result<Option<SentMessage>, StoreError> {
        let (device, id, changes) = (device.clone(), id.clone(), self.changes.clone());
        self.writer
            .run(Promise::Durable, Room::Essential, move |state, txn| {
                let moved = advance(state, txn, &device, &id, status)?;
                if let Some(message) = moved.clone() {
                    // An error only means that nobody listens.
                    txn.after_commit(move || drop(changes.send(message)));
                }
                Ok(moved)
            })
            .await
    }

    /// Wakes whenever something was queued for the device.
    pub fn nudge(&self, device: &DeviceName) -> watch::Receiver<u64> {
        self.nudges.with(device, watch::Sender::subscribe)
    }

    /// Every change of a status, for `?wait=` and the admin page. A slow receiver misses some: look in the store.
    pub fn changes(&self) -> broadcast::Receiver<SentMessage> {
        self.changes.subscribe()
    }

    async fn listed(
        &self,
        tag: u8,
        device: &DeviceName,
        limit: usize,
        newest_first: bool,
    ) -> Result<Vec<SentMessage>, StoreError> {
        let device = device.clone();
        self.readers
            .run(move |databases| {
                let (state, now) = (&databases.state, databases.state.db.snapshot());
                let mut index = now.prefix(&state.queue, Key::new(tag).device(&device));
                let mut found = Vec::new();
                while found.len() < limit {
                    let next = if newest_first { index.next_back() } else { index.next() };
                    let Some(guard) = next else { break };
                    let id = guard.value().map_err(StoreError::database)?;
                    let key = Key::new(b'm').device(&device).rest(&id);
                    let row = now.get(&state.queue, key).map_err(StoreError::database)?;
                    let row = row.ok_or_else(|| StoreError::Damaged("a queued message".into()))?;
                    found.push(from_json::<Row>(&row)?.message);
                }
                Ok(found)
            })
            .await
    }
}

fn enqueue(
    state: &State,
    txn: &mut Txn<'_>,
    message: SentMessage,
    key: Option<&IdempotencyKey>,
    limit: usize,
) -> Result<Enqueued, StoreError> {
    let (queue, device) = (&state.queue, &message.device);
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
    let mut counts = Counts::load(state, txn, device)?;
    if counts.waiting >= limit as u64 {
        return Ok(Enqueued::Full);
    }
    // Messages keep the order in which they came, even if the clock goes back.
    let order = order_at(UnixMillis::now()).max(counts.last.saturating_add(1));
    counts.last = order;
    let id = Bytes::copy_from_slice(message.id.as_str().as_bytes());
    if let Some(key) = key {
        txn.put(queue, key, [request.as_slice(), &id].concat());
    }
    txn.put(queue, Key::new(b't').device(device).number(order), id.clone());
    if message.status == MessageStatus::Queued {
        txn.put(queue, Key::new(b'q').device(device).number(order), id);
        counts.waiting += 1;
    }
    counts.save(state, txn, device);
    let key = hash.map(|hash| HEXLOWER.encode(&hash));
    let row = Row { order, key, message };
    txn.put(queue, place, to_json(&row)?);
    Ok(Enqueued::Queued(row.message))
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

fn advance(
    state: &State,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    id: &MessageId,
    status: MessageStatus,
) -> Result<Option<SentMessage>, StoreError> {
    let key = message_key(device, id);
    let Some(row) = txn.get(&state.queue, &key)? else { return Ok(None) };
    let mut row: Row = from_json(&row)?;
    if !row.message.status.may_become(&status) {
        return Ok(None);
    }
    if row.message.status == MessageStatus::Queued {
        txn.remove(&state.queue, Key::new(b'q').device(device).number(row.order));
        let mut counts = Counts::load(state, txn, device)?;
        counts.waiting = counts.waiting.saturating_sub(1);
        counts.save(state, txn, device);
    }
    row.message.status = status;
    row.message.updated = UnixMillis::now();
    txn.put(&state.queue, key, to_json(&row)?);
    Ok(Some(row.message))
}

fn message_key(device: &DeviceName, id: &MessageId) -> Key {
    Key::new(b'm').device(device).rest(id.as_str())
}
