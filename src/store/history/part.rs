//! The history lies in parts by the times of its messages. Each is a keyspace that is dropped whole: deleting message by
//! message would not give disk back. A part that is full gets a second one beside it for the same times.

use std::sync::Arc;
use std::time::Duration;

use fjall::{Database, Keyspace};

use super::row::{ChatRow, DeviceRow, chat_key, order_key, order_prefix};
use super::state::{HistoryLimits, Kept, Part};
use crate::model::{DeviceName, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::database::{keyspace, words_keyspace};
use crate::store::json::from_json;
use crate::store::key::{Key, Parts};
use crate::store::log::retention::next_segment;

const BASE: &str = "history";
const PART: &str = "history.";
/// Into how many parts the time is cut.
const CUTS: u32 = 8;
/// Chats without messages that go at once, about once a minute.
const SWEEP: usize = 200;

/// How a part's row is written.
#[derive(Clone, Copy, Debug)]
struct PartRow {
    bytes: u64,
    from: UnixMillis,
    to: UnixMillis,
}

impl PartRow {
    fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut parts = Parts::of(row);
        let mut read = || {
            let (bytes, from, to) = (parts.number()?, parts.number()?, parts.number()?);
            let (from, to) = (UnixMillis::from_millis(from), UnixMillis::from_millis(to));
            Some(Self { bytes, from, to })
        };
        read().ok_or_else(|| StoreError::Damaged("a part of the history".to_owned()))
    }

    fn bytes(self) -> Vec<u8> {
        let row = Key::default().number(self.bytes);
        row.number(self.from.millis()).number(self.to.millis()).into_bytes()
    }
}

/// Begins to keep the history, or goes on with other limits. `None` deletes it.
pub(super) fn turn(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    limits: Option<HistoryLimits>,
) -> Result<(), StoreError> {
    match (limits, outbox.history.get()) {
        (Some(limits), Some(kept)) => {
            kept.limit(limits);
        }
        (Some(limits), None) => {
            let kept = Arc::new(Kept::open(outbox, limits)?);
            outbox.history.set(Some(kept));
        }
        (None, kept) => return delete(outbox, txn, kept),
    }
    retire(outbox, txn)
}

fn delete(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    kept: Option<Arc<Kept>>,
) -> Result<(), StoreError> {
    outbox.history.set(None);
    let mut all = Vec::new();
    if let Some(kept) = kept {
        all.push(kept.base.clone());
        all.extend(kept.parts().into_iter().map(|part| part.rows));
    }
    for name in names(&outbox.db) {
        // What is there from before the start is not open.
        if !all.iter().any(|known| known.name().as_ref() == name) {
            all.push(keyspace(&outbox.db, &name)?);
        }
    }
    for (key, _) in txn.scan(&outbox.meta, b"y", usize::MAX)? {
        txn.remove(&outbox.meta, key);
    }
    drop_after(outbox, txn, all)
}

/// Drops keyspaces once what the transaction says of them is on the disk.
fn drop_after(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    dropped: Vec<Keyspace>,
) -> Result<(), StoreError> {
    let Some(highest) = dropped.iter().map(Keyspace::id).max() else { return Ok(()) };
    // The highest keyspace must not go before there is a higher one, see `Segment`.
    if outbox.segments().iter().all(|segment| segment.rows.id() < highest) {
        next_segment(outbox)?;
    }
    let db = outbox.db.clone();
    txn.after_commit(move || {
        for keyspace in dropped {
            // Nothing leads to it any more; a failure here only costs space until the next start.
            if let Err(error) = db.delete_keyspace(keyspace) {
                tracing::warn!(%error, "An old part of the history could not be removed.");
            }
        }
    });
    Ok(())
}

/// The history's keyspaces on the disk.
fn names(db: &Database) -> Vec<String> {
    let names = db.list_keyspace_names();
    let own = names.iter().map(ToString::to_string);
    own.filter(|name| name == BASE || name.starts_with(PART)).collect()
}

fn part_key(number: u64) -> Key {
    Key::new(b'y').number(number)
}

impl Kept {
    fn open(outbox: &Arc<Outbox>, limits: HistoryLimits) -> Result<Self, StoreError> {
        let base = keyspace(&outbox.db, BASE)?;
        let mut parts = Vec::new();
        for guard in outbox.meta.prefix(*b"y") {
            let (key, value) = guard.into_inner().map_err(StoreError::database)?;
            let mut key = Parts::of(&key);
            key.tag();
            let (Some(number), row) = (key.number(), PartRow::parse(&value)?) else { continue };
            let rows = words_keyspace(&outbox.db, &format!("{PART}{number}"))?;
            parts.push(Part { number, rows, from: row.from, to: row.to });
        }
        // A crash may leave one without its row: it was just made, or just dropped.
        for name in names(&outbox.db) {
            let known = |part: &Part| name == format!("{PART}{}", part.number);
            if name != BASE && !parts.iter().any(known) {
                let left = words_keyspace(&outbox.db, &name)?;
                if outbox.segments().iter().all(|segment| segment.rows.id() < left.id()) {
                    next_segment(outbox)?;
                }
                outbox.db.delete_keyspace(left).map_err(StoreError::database)?;
            }
        }
        let kept = Self::new(base, limits);
        for part in parts {
            kept.add(part);
        }
        Ok(kept)
    }

    /// The part for a message of that time.
    pub(super) fn part(
        &self,
        outbox: &Arc<Outbox>,
        txn: &mut Txn<'_>,
        time: UnixMillis,
    ) -> Result<Part, StoreError> {
        let (limits, parts) = (self.limits(), self.parts());
        for part in parts.iter().filter(|part| part.from <= time && time < part.to) {
            if part_row(outbox, txn, part)?.bytes < limits.part_size() {
                return Ok(part.clone());
            }
        }
        let width = (limits.keep / CUTS).max(Duration::from_mins(1)).as_millis();
        let width = u64::try_from(width).unwrap_or(u64::MAX);
        let from = UnixMillis::from_millis(time.millis() / width * width);
        let to = UnixMillis::from_millis(from.millis().saturating_add(width));
        let number = parts.iter().map(|part| part.number).max().unwrap_or_default() + 1;
        let rows = words_keyspace(&outbox.db, &format!("{PART}{number}"))?;
        let part = Part { number, rows, from, to };
        txn.put(&outbox.meta, part_key(number), PartRow { bytes: 0, from, to }.bytes());
        self.add(part.clone());
        retire(outbox, txn)?;
        Ok(part)
    }

    /// How many bytes its messages and words have.
    pub(super) fn bytes(&self, outbox: &Outbox) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for part in self.parts() {
            let row = outbox.meta.get(part_key(part.number)).map_err(StoreError::database)?;
            bytes += row.map_or(Ok(0), |row| PartRow::parse(&row).map(|row| row.bytes))?;
        }
        Ok(bytes)
    }
}

/// Counts what was put in a part.
pub(super) fn grew(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    part: &Part,
    by: usize,
) -> Result<(), StoreError> {
    let mut row = part_row(outbox, txn, part)?;
    row.bytes += u64::try_from(by).unwrap_or_default();
    txn.put(&outbox.meta, part_key(part.number), row.bytes());
    Ok(())
}

fn part_row(outbox: &Outbox, txn: &Txn<'_>, part: &Part) -> Result<PartRow, StoreError> {
    let fresh = PartRow { bytes: 0, from: part.from, to: part.to };
    txn.get(&outbox.meta, part_key(part.number))?.map_or(Ok(fresh), |row| PartRow::parse(&row))
}

/// Drops the parts beyond the limits, oldest first, and the chats of which nothing is left.
pub(crate) fn retire(outbox: &Arc<Outbox>, txn: &mut Txn<'_>) -> Result<(), StoreError> {
    let Some(kept) = outbox.history.get() else { return Ok(()) };
    let limits = kept.limits();
    let mut sized = Vec::new();
    for part in kept.parts() {
        let bytes = part_row(outbox, txn, &part)?.bytes;
        sized.push((part, bytes));
    }
    let mut total: u64 = sized.iter().map(|(_, bytes)| bytes).sum();
    let (horizon, mut dropped) = (limits.horizon(), Vec::new());
    while let Some((part, bytes)) = sized.pop() {
        let too_much = total > limits.max_size && !sized.is_empty();
        if part.to > horizon && !too_much {
            sized.push((part, bytes));
            break;
        }
        total -= bytes;
        txn.remove(&outbox.meta, part_key(part.number));
        kept.take(part.number);
        dropped.push(part.rows);
    }
    drop_after(outbox, txn, dropped)?;
    let oldest = sized.last().map_or(horizon, |(part, _)| part.from.max(horizon));
    sweep(&kept, txn, oldest)
}

/// Removes chats whose newest message is older than that.
fn sweep(kept: &Kept, txn: &mut Txn<'_>, oldest: UnixMillis) -> Result<(), StoreError> {
    for (key, row) in txn.scan(&kept.base, b"G", usize::MAX)? {
        let mut parts = Parts::of(&key);
        parts.tag();
        let Some(device) = parts.device() else { continue };
        for account in 0..=from_json::<DeviceRow>(&row)?.account {
            let prefix = order_prefix(&device, account);
            let from = prefix.clone().number(u64::MAX - oldest.millis()).into_bytes();
            for (key, _) in txn.scan_from(&kept.base, prefix.as_ref(), &from, SWEEP)? {
                let mut parts = Parts::of(key.get(prefix.as_ref().len()..).unwrap_or_default());
                let (Some(_), Some(chat)) = (parts.number(), parts.small()) else { continue };
                forget(kept, txn, (&device, account), chat)?;
                txn.remove(&kept.base, key);
            }
        }
    }
    Ok(())
}

/// Removes a chat: nothing leads to its messages any more.
pub(super) fn forget(
    kept: &Kept,
    txn: &mut Txn<'_>,
    (device, account): (&DeviceName, u32),
    chat: u32,
) -> Result<(), StoreError> {
    let key = chat_key(device, account, chat);
    let Some(row) = txn.get(&kept.base, &key)? else { return Ok(()) };
    let row: ChatRow = from_json(&row)?;
    for address in &row.addresses {
        txn.remove(&kept.base, super::row::address_key(device, account, address));
    }
    txn.remove(&kept.base, order_key(device, account, row.newest, chat));
    txn.remove(&kept.base, key);
    Ok(())
}
