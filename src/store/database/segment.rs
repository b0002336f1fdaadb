//! The log lies in segments that are dropped whole: deleting event by event would not give disk back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fjall::{Database, Keyspace};

use crate::knobs::knobs;
use crate::model::{DeviceName, UnixMillis};
use crate::store::database::txn::Txn;
use crate::store::database::{MIB, log_keyspace};
use crate::store::key::{Key, Parts, number};
use crate::store::{Seq, StoreError};

/// How often the row of a segment is written at least, while events come.
const OFTEN: Duration = Duration::from_secs(5);
/// It is also written when this part of a segment came meanwhile. A crash forgets what came after it: no more than that.
const PART: u64 = 64;

/// How much of the log is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) keep: Duration,
    pub(crate) max_size: u64,
}

impl Limits {
    /// Small enough that one segment is never a large part of what is kept.
    pub(crate) fn segment_size(self) -> u64 {
        let usual = || (self.max_size / 8).clamp(4 * 1024, 32 * MIB);
        knobs().segment_bytes.unwrap_or_else(usual)
    }

    /// Four fifths of them: what is beyond is dropped soon.
    pub(crate) fn nearly(self) -> Self {
        Self { keep: self.keep / 5 * 4, max_size: self.max_size / 5 * 4 }
    }
}

/// The highest segment is never dropped before a higher one is made. After a start, fjall numbers new keyspaces from
/// the highest it finds; one that gets the number of a dropped keyspace may be deleted with its rows at the next
/// start.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) rows: Keyspace,
    known: Arc<Mutex<Option<Known>>>,
}

/// What was committed of a segment, and what its row says of that.
#[derive(Clone, Copy)]
struct Known {
    now: SegmentRow,
    saved: SegmentRow,
}

/// What is known of a segment without reading it. The times are those of the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) bytes: u64,
    pub(crate) opened: UnixMillis,
    pub(crate) newest: UnixMillis,
}

impl Segment {
    pub(crate) fn open(db: &Database, number: u64) -> Result<Self, StoreError> {
        let rows = log_keyspace(db, &format!("log.{number}"))?;
        Ok(Self { number, rows, known: Arc::default() })
    }

    /// The numbers of those on the disk.
    pub(crate) fn numbers(db: &Database) -> Vec<u64> {
        let names = db.list_keyspace_names();
        names.iter().filter_map(|name| name.strip_prefix("log.")?.parse().ok()).collect()
    }

    pub(crate) fn save(&self, meta: &Keyspace, txn: &mut Txn<'_>, row: SegmentRow) {
        let value = Key::default()
            .number(row.bytes)
            .number(row.opened.millis())
            .number(row.newest.millis());
        txn.put(meta, self.key(), value.into_bytes());
    }

    /// Counts an event that was put into it, which had `row` before. Its own row is not written for each of them.
    pub(crate) fn grow(
        &self,
        outbox: (&Keyspace, Limits),
        txn: &mut Txn<'_>,
        row: SegmentRow,
        (bytes, at): (u64, UnixMillis),
    ) {
        let (meta, limits) = outbox;
        let grown = SegmentRow { bytes: row.bytes + bytes, newest: row.newest.max(at), ..row };
        let saved = self.lock().map(|known| known.saved).filter(|saved| {
            let part = grown.bytes.saturating_sub(saved.bytes) < limits.segment_size() / PART;
            part && at.since(saved.newest) < OFTEN
        });
        if saved.is_none() {
            self.save(meta, txn, grown);
        }
        let segment = self.clone();
        txn.after_commit(move || {
            let mut known = segment.lock();
            // Others of the same commit have counted theirs.
            let before = known.map_or(row, |known| known.now);
            let now =
                SegmentRow { bytes: before.bytes + bytes, newest: before.newest.max(at), ..row };
            *known = Some(Known { now, saved: saved.unwrap_or(grown) });
        });
    }

    /// Writes what its row does not say yet.
    pub(crate) fn settle(&self, meta: &Keyspace, txn: &mut Txn<'_>) {
        if let Some(known) = *self.lock()
            && known.saved != known.now
        {
            self.save(meta, txn, known.now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of the first event of a device in it.
    pub(crate) fn first(&self, device: &DeviceName) -> Result<Option<Seq>, StoreError> {
        let prefix = event_prefix(device);
        let Some(guard) = self.rows.prefix(prefix.as_ref()).next() else { return Ok(None) };
        let key = guard.key().map_err(StoreError::database)?;
        number(key.get(prefix.as_ref().len()..).unwrap_or_default()).map(|seq| Some(Seq(seq)))
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(b'g').number(self.number)
    }

    /// `None` while nothing was written to it.
    pub(crate) fn row(
        &self,
        meta: &Keyspace,
        txn: &Txn<'_>,
    ) -> Result<Option<SegmentRow>, StoreError> {
        if let Some(known) = *self.lock() {
            return Ok(Some(known.now));
        }
        txn.get(meta, self.key())?.map(|row| SegmentRow::parse(&row)).transpose()
    }

    /// The same without what is not committed yet.
    pub(crate) fn committed(&self, meta: &Keyspace) -> Result<Option<SegmentRow>, StoreError> {
        if let Some(known) = *self.lock() {
            return Ok(Some(known.now));
        }
        let row = meta.get(self.key()).map_err(StoreError::database)?;
        row.map(|row| SegmentRow::parse(&row)).transpose()
    }
}

impl SegmentRow {
    fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut parts = Parts::of(row);
        let mut read = || {
            let (bytes, opened, newest) = (parts.number()?, parts.number()?, parts.number()?);
            let (opened, newest) =
                (UnixMillis::from_millis(opened), UnixMillis::from_millis(newest));
            Some(Self { bytes, opened, newest })
        };
        read().ok_or_else(|| StoreError::Damaged("a segment".to_owned()))
    }
}

/// How the keys of a device's events begin; their places follow.
pub(crate) fn event_prefix(device: &DeviceName) -> Key {
    Key::new(b'e').device(device)
}
