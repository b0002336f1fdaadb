//! The database as the committer thread sees it while it merges the jobs of one group, with the group's changes so far
//! on top. Each row has one value at the end, because fjall's batch must not write a row twice.

use std::collections::BTreeMap;

use bytes::Bytes;
use fjall::{Keyspace, PersistMode};

use crate::store::StoreError;

/// What a row has in the journal beside its key and value.
const ROW: usize = 21;

/// A row's keyspace (by its number) and key.
type RowKey = (u64, Vec<u8>);
/// `None` removes the row.
type Changes = BTreeMap<RowKey, Option<Bytes>>;
/// Done once the group is committed, before anybody hears of it.
type AfterCommit = Box<dyn FnOnce() + Send>;

/// The changes of a group of jobs.
#[derive(Default)]
pub(crate) struct Group {
    keyspaces: BTreeMap<u64, Keyspace>,
    changes: Changes,
    after: Vec<AfterCommit>,
}

impl Group {
    /// Lets one job change rows; its changes count only when it succeeds.
    pub(crate) fn run<T>(
        &mut self,
        job: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut txn = Txn { group: self, own: Changes::new(), after: Vec::new() };
        let outcome = job(&mut txn);
        let (own, after) = (txn.own, txn.after);
        if outcome.is_ok() {
            self.changes.extend(own);
            self.after.extend(after);
        }
        outcome
    }

    /// Forgets removals of rows that are not there, and says whether there were any: of what jobs of one group put and removed,
    /// nothing is written.
    pub(crate) fn prune(&mut self) -> Result<bool, StoreError> {
        let (before, mut failed) = (self.changes.len(), None);
        self.changes.retain(|(keyspace, key), value| {
            let keyspace = self.keyspaces.get(keyspace).filter(|_| value.is_none());
            let there = keyspace.map_or(Ok(true), |keyspace| keyspace.contains_key(key));
            there.unwrap_or_else(|error| {
                failed = Some(StoreError::database(error));
                true
            })
        });
        failed.map_or(Ok(self.changes.len() < before), Err)
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The keyspaces it changes.
    pub(crate) fn keyspaces(&self) -> Vec<Keyspace> {
        self.keyspaces.values().cloned().collect()
    }

    /// Writes everything as one batch, then does what waits for that. Says how many bytes of the journal that took, or a
    /// little less.
    pub(crate) fn commit(self, db: &fjall::Database, mode: PersistMode) -> Result<u64, StoreError> {
        let mut bytes = 0;
        let mut batch = db.batch().durability(Some(mode));
        for ((keyspace, key), value) in self.changes {
            let Some(keyspace) = self.keyspaces.get(&keyspace) else {
                return Err(StoreError::Damaged("a row without a keyspace".to_owned()));
            };
            let size = key.len() + value.as_ref().map_or(0, Bytes::len) + ROW;
            bytes += u64::try_from(size).unwrap_or_default();
            match value {
                Some(value) => batch.insert(keyspace, key, value.as_ref()),
                None => batch.remove(keyspace, key),
            }
        }
        batch.commit().map_err(StoreError::database)?;
        Self { after: self.after, ..Self::default() }.end();
        Ok(bytes)
    }

    /// Does what waits for the commit, without one.
    pub(crate) fn end(self) {
        for done in self.after {
            done();
        }
    }
}

/// One job's view of a group.
pub(crate) struct Txn<'a> {
    group: &'a mut Group,
    own: Changes,
    after: Vec<AfterCommit>,
}

impl Txn<'_> {
    pub(crate) fn get(
        &self,
        keyspace: &Keyspace,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<Bytes>, StoreError> {
        let row = (keyspace.id(), key.as_ref().to_vec());
        if let Some(value) = self.own.get(&row).or_else(|| self.group.changes.get(&row)) {
            return Ok(value.clone());
        }
        let value = keyspace.get(row.1).map_err(StoreError::database)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Up to `limit` rows whose key starts with `prefix`, in key order.
    pub(crate) fn scan(
        &self,
        keyspace: &Keyspace,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        self.scan_from(keyspace, prefix, prefix, limit)
    }

    /// The same, from the key `from` on.
    pub(crate) fn scan_from(
        &self,
        keyspace: &Keyspace,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let id = keyspace.id();
        let mut changed: BTreeMap<&[u8], Option<&Bytes>> = BTreeMap::new();
        for changes in [&self.group.changes, &self.own] {
            let from = (id, from.to_vec());
            let here = changes
                .range(from..)
                .take_while(|((space, key), _)| *space == id && key.starts_with(prefix));
            changed.extend(here.map(|((_, key), value)| (key.as_slice(), value.as_ref())));
        }
        let mut rows = BTreeMap::new();
        for guard in keyspace.range(from..) {
            if rows.len() >= limit {
                break;
            }
            let (key, value) = guard.into_inner().map_err(StoreError::database)?;
            if !key.starts_with(prefix) {
                break;
            }
            if !changed.contains_key(key.as_ref()) {
                rows.insert(key.to_vec(), Bytes::copy_from_slice(&value));
            }
        }
        let live = changed.into_iter().filter_map(|(key, value)| Some((key, value?)));
        rows.extend(live.map(|(key, value)| (key.to_vec(), value.clone())));
        Ok(rows.into_iter().take(limit).collect())
    }

    pub(crate) fn put(
        &mut self,
        keyspace: &Keyspace,
        key: impl Into<Vec<u8>>,
        value: impl Into<Bytes>,
    ) {
        self.change(keyspace, key.into(), Some(value.into()));
    }

    pub(crate) fn remove(&mut self, keyspace: &Keyspace, key: impl Into<Vec<u8>>) {
        self.change(keyspace, key.into(), None);
    }

    /// Does something once the group is committed, in the committer thread, before anybody hears of it.
    pub(crate) fn after_commit(&mut self, done: impl FnOnce() + Send + 'static) {
        self.after.push(Box::new(done));
    }

    fn change(&mut self, keyspace: &Keyspace, key: Vec<u8>, value: Option<Bytes>) {
        self.group.keyspaces.entry(keyspace.id()).or_insert_with(|| keyspace.clone());
        self.own.insert((keyspace.id(), key), value);
    }
}
