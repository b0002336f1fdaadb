//! A prefix-scoped view of `state/`: get, scan, write and read-modify-write, each off the runtime threads.

use bytes::Bytes;

use super::StoreError;

/// The rows of one owner. Clones share it.
#[derive(Clone)]
pub struct Space {}

/// Puts and removals that happen together or not at all.
#[derive(Default)]
pub struct Batch {}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    pub fn put(&mut self, _key: impl Into<Vec<u8>>, _value: impl Into<Bytes>) {
        todo!()
    }

    /// Removes a row.
    pub fn remove(&mut self, _key: impl Into<Vec<u8>>) {
        todo!()
    }
}

impl Space {
    /// One row.
    pub async fn get(&self, _key: impl Into<Vec<u8>>) -> Result<Option<Bytes>, StoreError> {
        todo!()
    }

    /// Every row whose key starts with `prefix`, in key order, without the space's own prefix.
    pub async fn scan(
        &self,
        _prefix: impl Into<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        todo!()
    }

    /// Applies a batch, durable before `Ok`.
    pub async fn write(&self, _batch: Batch) -> Result<(), StoreError> {
        todo!()
    }

    /// Removes every row of this space, durable before `Ok`.
    pub async fn erase(&self) -> Result<(), StoreError> {
        todo!()
    }
}
