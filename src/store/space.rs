//! A prefix-scoped view of `state/`: get, scan, write and read-modify-write, each off the runtime threads.

use std::sync::Arc;

use bytes::Bytes;
use fjall::Readable;

use crate::model::{DeviceName, UnixMillis};
use crate::store::StoreError;
use crate::store::database::bytes;
use crate::store::database::clock::StoreClock;
use crate::store::database::committer::Promise;
use crate::store::database::reader::Readers;
use crate::store::database::state::State;
use crate::store::database::txn::Txn;
use crate::store::database::writer::Writer;
use crate::store::disk::Room;
use crate::store::repair::identities::Identities;

/// The rows of one owner. Clones share it.
#[derive(Clone)]
pub struct Space {
    prefix: Arc<[u8]>,
    writer: Writer<State>,
    readers: Readers,
    clock: Arc<StoreClock>,
    identity: Option<OwnIdentity>,
}

/// Where the identity of a space's device is kept.
#[derive(Clone)]
struct OwnIdentity {
    device: DeviceName,
    identities: Identities,
    /// Whether the space is all of the device's rows.
    whole: bool,
}

/// Puts and removals that happen together or not at all.
#[derive(Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Bytes>)>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Bytes>) {
        self.changes.push((key.into(), Some(value.into())));
    }

    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), None));
    }

    /// The keys that are set.
    pub fn keys_set(&self) -> impl Iterator<Item = &[u8]> {
        self.changes.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key.as_slice())
    }
}

impl Space {
    pub(super) fn new(
        prefix: Vec<u8>,
        writer: Writer<State>,
        readers: Readers,
        clock: Arc<StoreClock>,
    ) -> Self {
        Self { prefix: prefix.into(), writer, readers, clock, identity: None }
    }

    /// The time by the clock that does not jump.
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(super) fn of_device(self, device: &DeviceName, identities: &Identities) -> Self {
        let (device, identities) = (device.clone(), identities.clone());
        Self { identity: Some(OwnIdentity { device, identities, whole: true }), ..self }
    }

    /// Says that the identity of this space's device has changed, so that its file is renewed.
    pub fn note_identity(&self) {
        if let Some(own) = &self.identity {
            own.identities.note(&own.device);
        }
    }

    /// Removes the file of this space's device. It goes before the rows: an identity that is only in a file is taken
    /// for lost.
    pub async fn forget_identity(&self) -> Result<(), StoreError> {
        let Some(own) = self.identity.clone() else { return Ok(()) };
        self.readers
            .run(move |_| {
                let folder = own.identities.folder().to_owned();
                own.identities.remove(&own.device).map_err(StoreError::io(&folder))
            })
            .await
    }

    /// The rows of this space whose keys start with `prefix`, as a space of their own.
    #[must_use]
    pub fn under(self, prefix: &[u8]) -> Self {
        let identity = self.identity.clone().map(|own| OwnIdentity { whole: false, ..own });
        Self { prefix: self.full(prefix).into(), identity, ..self }
    }

    pub async fn get(&self, key: impl Into<Vec<u8>>) -> Result<Option<Bytes>, StoreError> {
        let key = self.full(&key.into());
        self.readers
            .run(move |databases| {
                let value = databases.state.rows.get(key).map_err(StoreError::database)?;
                Ok(value.map(|value| bytes(&value)))
            })
            .await
    }

    /// Several rows as they were at one moment, in the order asked for.
    pub async fn get_all(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Bytes>>, StoreError> {
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| self.full(key)).collect();
        self.readers
            .run(move |databases| {
                let (state, now) = (&databases.state, databases.state.db.snapshot());
                let mut values = Vec::with_capacity(keys.len());
                for key in keys {
                    let value = now.get(&state.rows, key).map_err(StoreError::database)?;
                    values.push(value.map(|value| bytes(&value)));
                }
                Ok(values)
            })
            .await
    }

    /// Every row whose key starts with `prefix`, in key order, without the space's own prefix.
    pub async fn scan(
        &self,
        prefix: impl Into<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        self.rows(prefix.into(), usize::MAX).await
    }

    /// Whether any row's key starts with `prefix`.
    pub async fn has(&self, prefix: impl Into<Vec<u8>>) -> Result<bool, StoreError> {
        Ok(self.first(prefix).await?.is_some())
    }

    /// The row with the smallest key that starts with `prefix`.
    pub async fn first(
        &self,
        prefix: impl Into<Vec<u8>>,
    ) -> Result<Option<(Vec<u8>, Bytes)>, StoreError> {
        Ok(self.rows(prefix.into(), 1).await?.pop())
    }

    /// The row with the greatest key that starts with `prefix`.
    pub async fn last(
        &self,
        prefix: impl Into<Vec<u8>>,
    ) -> Result<Option<(Vec<u8>, Bytes)>, StoreError> {
        let (own, prefix) = (self.prefix.len(), self.full(&prefix.into()));
        self.readers
            .run(move |databases| {
                let now = databases.state.db.snapshot();
                let Some(last) = now.prefix(&databases.state.rows, prefix).next_back() else {
                    return Ok(None);
                };
                let (key, value) = last.into_inner().map_err(StoreError::database)?;
                Ok(Some((key.get(own..).unwrap_or_default().to_vec(), bytes(&value))))
            })
            .await
    }

    /// Applies a batch, durable before `Ok`.
    pub async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.update(move |txn| {
            txn.apply(batch);
            Ok(())
        })
        .await
    }

    /// Applies a batch without waiting for the disk. A power cut may take it, and then with it everything written
    /// after it: both go through one journal, in order.
    pub async fn write_in_order(&self, batch: Batch) -> Result<(), StoreError> {
        self.run(Promise::Lazy, move |txn| {
            txn.apply(batch);
            Ok(())
        })
        .await
    }

    /// Lets rows be changed after everything that was asked for before, and before everything that is asked for later:
    /// with the next change that is waited for, or within a second. A power cut may take them, and then with them
    /// everything written after them: both go through one journal, in order. `failed` is called if they cannot be
    /// written, before a later change is tried.
    pub async fn leave(
        &self,
        job: impl FnOnce(&mut SpaceTxn<'_, '_>) -> Result<(), StoreError> + Send + 'static,
        failed: impl FnOnce(&StoreError) + Send + 'static,
    ) -> Result<(), StoreError> {
        let prefix = Arc::clone(&self.prefix);
        let job = move |state: &Arc<State>, txn: &mut Txn<'_>| {
            job(&mut SpaceTxn { prefix: &prefix, state, txn })
        };
        self.writer.leave(Room::Essential, job, failed).await
    }

    /// Resolves when everything that was written to `state/` before survives a power cut.
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.writer.settle().await
    }

    /// Begins what `settle` waits for, for whoever will need it soon.
    pub async fn hurry(&self) -> Result<(), StoreError> {
        self.writer.hurry().await
    }

    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        self.writer.is_settled()
    }

    /// The same as `update`, without waiting for the disk: what `write_in_order` says of a batch.
    pub async fn update_in_order<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut SpaceTxn<'_, '_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Promise::Lazy, job).await
    }

    /// Reads and changes rows in one step that no other write can come between, durable before `Ok`. When `job`
    /// fails, nothing changes.
    pub async fn update<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut SpaceTxn<'_, '_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Promise::Durable, job).await
    }

    async fn run<T: Send + 'static>(
        &self,
        promise: Promise,
        job: impl FnOnce(&mut SpaceTxn<'_, '_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let prefix = Arc::clone(&self.prefix);
        self.writer
            .run(promise, Room::Essential, move |state, txn| {
                job(&mut SpaceTxn { prefix: &prefix, state, txn })
            })
            .await
    }

    /// Removes every row of this space, durable before `Ok`.
    pub async fn erase(&self) -> Result<(), StoreError> {
        if self.identity.as_ref().is_some_and(|own| own.whole) {
            self.forget_identity().await?;
            self.remove_all().await?;
            // Remove the file again: it may have been renewed meanwhile from rows that are gone now.
            return self.forget_identity().await;
        }
        self.remove_all().await
    }

    async fn remove_all(&self) -> Result<(), StoreError> {
        self.update(|txn| {
            for (key, _) in txn.scan(b"")? {
                txn.remove(key);
            }
            Ok(())
        })
        .await
    }

    async fn rows(
        &self,
        prefix: Vec<u8>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let (own, prefix) = (self.prefix.len(), self.full(&prefix));
        self.readers
            .run(move |databases| {
                // Without the snapshot a scan could see half a batch.
                let now = databases.state.db.snapshot();
                let mut rows = Vec::new();
                for guard in now.prefix(&databases.state.rows, prefix).take(limit) {
                    let (key, value) = guard.into_inner().map_err(StoreError::database)?;
                    rows.push((key.get(own..).unwrap_or_default().to_vec(), bytes(&value)));
                }
                Ok(rows)
            })
            .await
    }

    fn full(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }
}

/// A space as the committer thread sees it, inside `Space::update`.
pub struct SpaceTxn<'a, 'g> {
    prefix: &'a [u8],
    state: &'a State,
    txn: &'a mut Txn<'g>,
}

impl SpaceTxn<'_, '_> {
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, StoreError> {
        self.txn.get(&self.state.rows, self.full(key.as_ref()))
    }

    /// Every row whose key starts with `prefix`, in key order.
    pub fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        self.first(prefix, usize::MAX)
    }

    /// Up to `limit` of them.
    pub fn first(&self, prefix: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let rows = self.txn.scan(&self.state.rows, &self.full(prefix), limit)?;
        let own = self.prefix.len();
        let bare =
            |(key, value): (Vec<u8>, Bytes)| (key.get(own..).unwrap_or_default().to_vec(), value);
        Ok(rows.into_iter().map(bare).collect())
    }

    /// Puts and removes what the batch says.
    pub fn apply(&mut self, batch: Batch) {
        for (key, value) in batch.changes {
            match value {
                Some(value) => self.put(key, value),
                None => self.remove(key),
            }
        }
    }

    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) {
        self.txn.put(&self.state.rows, self.full(key.as_ref()), value);
    }

    pub fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.txn.remove(&self.state.rows, self.full(key.as_ref()));
    }

    fn full(&self, key: &[u8]) -> Vec<u8> {
        [self.prefix, key].concat()
    }
}
