//! The log in slices that are dropped whole: deleting event by event would not give disk back. Decides when a slice is
//! full and when one is too old or too much; which events a cursor misses then is counted by the reader.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fjall::{Database, Keyspace};

use super::StoreError;
use super::database::{Outbox, keyspace};
use super::key::{Key, Parts};
use super::log::{Seq, number};
use super::txn::Txn;
use crate::knobs::{failpoint, knobs};
use crate::model::UnixMillis;

/// How much of the log is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) keep: Duration,
    pub(super) max_size: u64,
}

impl Limits {
    /// A slice is small enough that dropping one is never a large part of what is kept.
    fn slice(self) -> u64 {
        let usual = || (self.max_size / 8).clamp(4 * 1024, 32 * 1024 * 1024);
        knobs().generation_bytes.unwrap_or_else(usual)
    }
}

/// One slice. The highest is never dropped before a higher one is made: after a start fjall numbers keyspaces from the
/// highest it finds, and a keyspace that gets a dropped one's number may be taken for dropped itself, with its rows, at
/// the next start.
#[derive(Clone)]
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) rows: Keyspace,
}

/// What is known of a slice without reading it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) bytes: u64,
    pub(super) opened: UnixMillis,
    pub(super) newest: UnixMillis,
}

impl Generation {
    pub(super) fn open(db: &Database, number: u64) -> Result<Self, StoreError> {
        let rows = keyspace(db, &format!("log.{number}"), 1024 * 1024)?;
        Ok(Self { number, rows })
    }

    /// The numbers of those on the disk.
    pub(super) fn numbers(db: &Database) -> Vec<u64> {
        let names = db.list_keyspace_names();
        names.iter().filter_map(|name| name.strip_prefix("log.")?.parse().ok()).collect()
    }

    pub(super) fn save(&self, outbox: &Outbox, txn: &mut Txn<'_>, row: Row) {
        let value = Key::default()
            .number(row.bytes)
            .number(row.opened.millis())
            .number(row.newest.millis());
        txn.put(&outbox.meta, self.key(), value.into_bytes());
    }

    fn key(&self) -> Key {
        Key::new(b'g').number(self.number)
    }

    /// `None` while nothing was written to it.
    fn row(&self, outbox: &Outbox, txn: &Txn<'_>) -> Result<Option<Row>, StoreError> {
        let Some(value) = txn.get(&outbox.meta, self.key())? else { return Ok(None) };
        let mut parts = Parts::of(&value);
        let mut row = || {
            let (bytes, opened, newest) = (parts.number()?, parts.number()?, parts.number()?);
            let (opened, newest) =
                (UnixMillis::from_millis(opened), UnixMillis::from_millis(newest));
            Some(Row { bytes, opened, newest })
        };
        row().map(Some).ok_or_else(|| StoreError::Damaged("a generation".to_owned()))
    }
}

/// The slice that takes the next event.
pub(super) fn newest(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    now: UnixMillis,
) -> Result<(Generation, Row), StoreError> {
    let fresh = Row { bytes: 0, opened: now, newest: now };
    let last = outbox.generations().pop();
    let number = last.as_ref().map_or(1, |last| last.number + 1);
    if let Some(last) = last {
        let row = last.row(outbox, txn)?.unwrap_or(fresh);
        if row.bytes < outbox.limits.slice() && now.since(row.opened) < outbox.limits.keep / 8 {
            return Ok((last, row));
        }
        // Nothing will be added to it: let its memory go. A refusal costs memory only.
        last.rows.rotate_memtable().ok();
    }
    let next = Generation::open(&outbox.db, number)?;
    outbox.add_generation(next.clone());
    retire(outbox, txn, now)?;
    Ok((next, fresh))
}

/// Drops slices beyond the limits, oldest first.
pub(super) fn retire(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut kept = Vec::new();
    for generation in outbox.generations() {
        if let Some(row) = generation.row(outbox, txn)? {
            kept.push((generation, row));
        }
    }
    let mut total: u64 = kept.iter().map(|(_, row)| row.bytes).sum();
    let mut left = kept.len();
    for (generation, row) in kept {
        let too_old = now.since(row.newest) > outbox.limits.keep;
        // The last one is never too much: it may be the one being written.
        let too_much = total > outbox.limits.max_size && left > 1;
        if !too_old && !too_much {
            break;
        }
        if outbox.generations().last().is_some_and(|last| last.number == generation.number) {
            outbox.add_generation(Generation::open(&outbox.db, generation.number + 1)?);
        }
        total -= row.bytes;
        left -= 1;
        drop_one(outbox, txn, &generation);
    }
    Ok(())
}

fn drop_one(outbox: &Arc<Outbox>, txn: &mut Txn<'_>, generation: &Generation) {
    txn.remove(&outbox.meta, generation.key());
    let (outbox, number) = (Arc::clone(outbox), generation.number);
    txn.after_commit(move || {
        failpoint("generation.drop");
        let Some(generation) = outbox.take_generation(number) else { return };
        // Without its entry the next start deletes it, so a failure here only costs space until then.
        if let Err(error) = outbox.db.delete_keyspace(generation.rows) {
            tracing::warn!(%error, "An old part of the event log could not be removed.");
        }
    });
}

/// The place of an event, by the row its id points to; newest slice first, where it usually is.
pub(super) fn find_in(
    generations: &[Generation],
    get: impl Fn(&Keyspace) -> Result<Option<Bytes>, StoreError>,
) -> Result<Option<Seq>, StoreError> {
    for generation in generations.iter().rev() {
        if let Some(row) = get(&generation.rows)? {
            return Ok(Some(Seq(number(&row)?)));
        }
    }
    Ok(None)
}
