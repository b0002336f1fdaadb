//! How the rows of a session are read and written. What is in them is the business of the other modules.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wa_rs::wacore::store::error::{Result, StoreError as EngineError};
use wa_rs::wacore::store::traits::DeviceStore;

use super::holders::Holders;
use super::lease::Leases;
use super::tag::is_identity;
use super::told::{Crowded, Missed, Spend, Told};
use super::young::{YOUTH, Young};
use crate::store::{Batch, Key, Space, SpaceTxn, StoreError};
use crate::task::Tasks;

/// One device's rows, as the engine wants to see them.
pub(crate) struct SessionStore {
    pub(crate) space: Space,
    /// Nothing is written any more: this store's client is down.
    halted: Arc<AtomicBool>,
    /// Nothing is written any more: a message could not be kept. The engine's memory has moved past it. If that reached
    /// the disk, the message would be taken for a known one when it comes again, and be acked without being kept.
    lost: Arc<AtomicBool>,
    pub(crate) told: Option<Told>,
    pub(super) crowded: Option<Crowded>,
    spend: Option<Spend>,
    pub(super) missed: OnceLock<Missed>,
    pub(super) leases: Leases,
    pub(super) young: Arc<Young>,
    pub(super) holders: Holders,
    /// Where rows get old enough to be written. Without it they are at once.
    tasks: Option<Tasks>,
}

/// Under what a session's rows are in its device's space.
const ROWS: &[u8] = b"wa/";

/// Removes messages that are handed over from the session of the device that has this space. If a crash brings one back, it
/// is handed over again under the same event id.
pub(crate) async fn let_go(device: Space, messages: Batch) -> std::result::Result<(), StoreError> {
    leave_out(&device.under(ROWS), messages).await
}

async fn leave_out(session: &Space, messages: Batch) -> std::result::Result<(), StoreError> {
    let job = move |txn: &mut SpaceTxn<'_, '_>| {
        txn.apply(messages);
        Ok(())
    };
    session.leave(job, not_left).await
}

fn not_left(error: &StoreError) {
    tracing::debug!(%error, "What is known of a message on its way in could not be written.");
}

impl SessionStore {
    /// The session in a device's space. It keeps to keys that start with `wa/`.
    pub(crate) fn new(space: Space) -> Self {
        Self {
            space: space.under(ROWS),
            halted: Arc::default(),
            lost: Arc::default(),
            told: None,
            crowded: None,
            spend: None,
            missed: OnceLock::new(),
            leases: Leases::default(),
            young: Arc::default(),
            holders: Holders::default(),
            tasks: None,
        }
    }

    /// The same, and tells of people who become known under both of their addresses.
    #[must_use]
    pub(crate) fn telling(self, told: Told) -> Self {
        Self { told: Some(told), ..self }
    }

    /// The same, and tells of sent messages that there was no space for.
    #[must_use]
    pub(crate) fn telling_crowded(self, crowded: Crowded) -> Self {
        Self { crowded: Some(crowded), ..self }
    }

    /// The same, and leaves it to `spend` when messages that are handed over go.
    #[must_use]
    pub(crate) fn spending(self, spend: Spend) -> Self {
        Self { spend: Some(spend), ..self }
    }

    /// The same, and writes what can wait when it is no longer young.
    #[must_use]
    pub(crate) fn waiting(self, tasks: Tasks) -> Self {
        Self { tasks: Some(tasks), ..self }
    }

    /// The same, and shares who holds the keys of groups with the stores of the device's other clients.
    #[must_use]
    pub(crate) fn sharing(self, holders: Holders) -> Self {
        Self { holders, ..self }
    }

    /// Tells of missed messages from now on.
    pub(crate) fn tell_missed(&self, missed: Missed) {
        drop(self.missed.set(missed));
    }

    /// Says that the identity has changed.
    pub(super) fn note_identity(&self) {
        self.space.note_identity();
    }

    /// Whether the device was linked and not unlinked since.
    pub(crate) async fn is_linked(&self) -> Result<bool> {
        Ok(self.load().await?.is_some_and(|device| device.pn.is_some()))
    }

    /// Whether it is linked as that companion device of an account.
    pub(crate) async fn is_linked_as(&self, jid: &str) -> Result<bool> {
        let own = self.load().await?.and_then(|device| device.pn);
        Ok(own.is_some() && own == jid.parse().ok())
    }

    /// Writes nothing any more, so that another store may take over: what was written before is there, and what is
    /// written later fails. What is young stays out, as in a crash: the engine may have given up messages before it.
    pub(crate) async fn halt(&self) -> Result<()> {
        self.halted.store(true, Ordering::SeqCst);
        self.holders.forget(|_, _| true);
        // It is done after every write that was let through before.
        self.space.write(Batch::new()).await.map_err(failed)
    }

    pub(crate) async fn get(&self, key: Key) -> Result<Option<Bytes>> {
        self.space.get(key).await.map_err(failed)
    }

    pub(crate) async fn get_json<T: DeserializeOwned>(&self, key: Key) -> Result<Option<T>> {
        self.get(key).await?.map(|row| from_json(&row)).transpose()
    }

    pub(crate) async fn get_array<const N: usize>(&self, key: Key) -> Result<Option<[u8; N]>> {
        let Some(row) = self.get(key).await? else { return Ok(None) };
        let array = <[u8; N]>::try_from(row.as_ref());
        array.map(Some).map_err(|_wrong_length| damaged("a key of the wrong length"))
    }

    pub(crate) async fn put(&self, key: Key, value: impl Into<Bytes>) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key, value);
        self.write(batch).await
    }

    pub(crate) async fn put_all(&self, rows: impl IntoIterator<Item = (Key, Bytes)>) -> Result<()> {
        self.write(batch_of(rows)).await
    }

    pub(crate) async fn remove(&self, key: Key) -> Result<()> {
        let mut batch = Batch::new();
        batch.remove(key);
        self.write(batch).await
    }

    pub(crate) async fn write(&self, batch: Batch) -> Result<()> {
        let identity = batch.keys_set().any(is_identity);
        self.update(move |txn| {
            txn.apply(batch);
            Ok(())
        })
        .await?;
        if identity {
            self.space.note_identity();
        }
        Ok(())
    }

    pub(crate) async fn update<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut SpaceTxn<'_, '_>) -> std::result::Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        self.check()?;
        let lost = Arc::clone(&self.lost);
        let done = self.space.update(move |txn| {
            // A message may have been left to be kept before, and that has failed just now.
            check(&lost)?;
            job(txn)
        });
        done.await.map_err(failed)
    }

    /// The same for what only has to be on the disk before WhatsApp's ack of the message that it belongs to, which the
    /// recorder sees to.
    pub(crate) async fn update_in_order<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut SpaceTxn<'_, '_>) -> std::result::Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        self.check()?;
        let lost = Arc::clone(&self.lost);
        let done = self.space.update_in_order(move |txn| {
            check(&lost)?;
            job(txn)
        });
        done.await.map_err(failed)
    }

    /// Writes rows that the disk can do without, once they are no longer young.
    pub(super) async fn put_young(&self, rows: Vec<(Key, Bytes)>) -> Result<()> {
        let Some(tasks) = &self.tasks else {
            let put = move |txn: &mut SpaceTxn<'_, '_>| {
                txn.apply(batch_of(rows));
                Ok(())
            };
            return self.update_in_order(put).await;
        };
        self.check()?;
        if self.young.add(rows) {
            let (space, young) = (self.space.clone(), Arc::clone(&self.young));
            let shut = [Arc::clone(&self.halted), Arc::clone(&self.lost)];
            let stop = tasks.stop().clone();
            tasks.spawn("write sessions", async move {
                stop.run_until_cancelled(write_grown(space, young, shut)).await;
            });
        }
        Ok(())
    }

    /// Sees to it that messages that are not handed over yet are on the disk before the ratchet that has moved past them:
    /// whatever a power cut or a crash takes comes again and is decrypted again.
    pub(crate) async fn keep(&self, rows: impl IntoIterator<Item = (Key, Bytes)>) -> Result<()> {
        self.check()?;
        let (batch, lost) = (batch_of(rows), Arc::clone(&self.lost));
        let job = move |txn: &mut SpaceTxn<'_, '_>| {
            check(&lost)?;
            txn.apply(batch);
            Ok(())
        };
        let lost = Arc::clone(&self.lost);
        let left = self.space.leave(job, move |error| {
            not_left(error);
            lost.store(true, Ordering::SeqCst);
        });
        left.await.map_err(failed)
    }

    /// Removes messages that are handed over, once the disk has their events.
    pub(crate) async fn let_go(&self, keys: Vec<Key>) -> Result<()> {
        self.check()?;
        let Some(spend) = &self.spend else {
            let mut batch = Batch::new();
            for key in keys {
                batch.remove(key);
            }
            return leave_out(&self.space, batch).await.map_err(failed);
        };
        spend(keys);
        Ok(())
    }

    pub(super) fn check(&self) -> Result<()> {
        check(&self.halted).and_then(|()| check(&self.lost)).map_err(failed)
    }

    pub(crate) async fn scan(&self, prefix: Key) -> Result<Vec<(Vec<u8>, Bytes)>> {
        self.space.scan(prefix).await.map_err(failed)
    }

    /// A row as it will be once all that was left to be written is there.
    pub(crate) async fn get_latest(&self, key: Key) -> Result<Option<Bytes>> {
        self.update(move |txn| txn.get(key)).await
    }

    /// Removes the rows under a prefix that are `old`, and says how many. The search runs beside other writes; only
    /// what it found is looked at again in the write, so a row renewed meanwhile stays.
    pub(crate) async fn expire(
        &self,
        prefix: Key,
        old: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Result<u32> {
        // What was left to be written is there then.
        self.space.write(Batch::new()).await.map_err(failed)?;
        let mut found = self.scan(prefix).await?;
        found.retain(|(_, value)| old(value));
        if found.is_empty() {
            return Ok(0);
        }
        self.update(move |txn| {
            let mut removed = 0;
            for (key, _) in found {
                if txn.get(&key)?.is_some_and(|value| old(&value)) {
                    txn.remove(&key);
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }
}

/// Writes rows as they get old enough, until there are none.
async fn write_grown(space: Space, young: Arc<Young>, shut: [Arc<AtomicBool>; 2]) {
    loop {
        tokio::time::sleep(YOUTH).await;
        match young.grow() {
            Some(true) => {}
            Some(false) => continue,
            None => return,
        }
        let (rows, shut) = (Arc::clone(&young), shut.clone());
        let write = space.update_in_order(move |txn: &mut SpaceTxn<'_, '_>| {
            shut.iter().try_for_each(|shut| check(shut))?;
            txn.apply(batch_of(rows.grown()));
            Ok(())
        });
        match write.await {
            Ok(()) => young.written(),
            Err(StoreError::Closed) => return,
            Err(error) => tracing::debug!(%error, "Sessions could not be written; trying again."),
        }
    }
}

fn check(closed: &AtomicBool) -> std::result::Result<(), StoreError> {
    if closed.load(Ordering::SeqCst) { Err(StoreError::Closed) } else { Ok(()) }
}

pub(super) fn batch_of(rows: impl IntoIterator<Item = (Key, Bytes)>) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in rows {
        batch.put(key, value);
    }
    batch
}

/// Rows under the addresses of people's devices.
pub(super) fn by_address(tag: u8, rows: &[(Arc<str>, Bytes)]) -> Vec<(Key, Bytes)> {
    rows.iter().map(|(address, row)| (key(tag, address.as_bytes()), row.clone())).collect()
}

/// The engine is told the cause, never what is in a row.
pub(crate) fn failed(error: StoreError) -> EngineError {
    EngineError::Database(Box::new(error))
}

pub(crate) fn damaged(what: &str) -> EngineError {
    failed(StoreError::Damaged(what.to_owned()))
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| EngineError::Serialization(Box::new(error)))
}

pub(crate) fn from_json<T: DeserializeOwned>(row: &[u8]) -> Result<T> {
    serde_json::from_slice(row).map_err(|error| EngineError::Serialization(Box::new(error)))
}

pub(crate) fn key(tag: u8, rest: impl AsRef<[u8]>) -> Key {
    Key::new(tag).rest(rest)
}

/// A time in front of a value, for `expire`.
pub(crate) fn stamped(seconds: i64, value: &[u8]) -> Bytes {
    [&seconds.to_be_bytes(), value].concat().into()
}

/// The time and the value; a row too short has no time and is old.
pub(crate) fn unstamp(row: &[u8]) -> (i64, &[u8]) {
    match row.split_first_chunk::<8>() {
        Some((seconds, value)) => (i64::from_be_bytes(*seconds), value),
        None => (i64::MIN, &[]),
    }
}
