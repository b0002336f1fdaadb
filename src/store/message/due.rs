//! Where scheduled messages wait, in the order of their times.

use std::collections::BTreeSet;

use bytes::Bytes;
use fjall::Readable;

use super::counts::Counts;
use super::row::Row;
use crate::model::{Content, DeviceName, MediaSource, SpoolName, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::json::from_json;
use crate::store::key::{Key, Parts};

/// Messages of one device that may be scheduled.
pub(crate) const LATER_LIMIT: usize = 10_000;
/// What is to be changed of a scheduled message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) words: Option<String>,
    pub(crate) due: Option<UnixMillis>,
}

/// Writes the place of a scheduled message, and counts it.
pub(super) fn put(outbox: &Outbox, txn: &mut Txn<'_>, row: &Row, id: Bytes, counts: &mut Counts) {
    txn.put(&outbox.queue, due_key(&row.message.device, row), id);
    counts.scheduled += 1;
}

/// A scheduled message will not be sent: it is listed with those that were.
pub(super) fn ends(outbox: &Outbox, txn: &mut Txn<'_>, row: &Row) -> Result<(), StoreError> {
    let device = &row.message.device;
    txn.remove(&outbox.queue, due_key(device, row));
    let id = row.message.id.as_str().as_bytes().to_vec();
    txn.put(&outbox.queue, listed(device, row), id);
    let mut counts = Counts::load(outbox, txn, device)?;
    counts.scheduled = counts.scheduled.saturating_sub(1);
    counts.save(outbox, txn, device);
    Ok(())
}

/// The files of messages that are not sent yet.
pub(in crate::store) fn files(outbox: &Outbox) -> Result<BTreeSet<SpoolName>, StoreError> {
    let now = outbox.db.snapshot();
    let mut files = BTreeSet::new();
    for guard in now.prefix(&outbox.queue, b"d").chain(now.prefix(&outbox.queue, b"q")) {
        let (key, id) = guard.into_inner().map_err(StoreError::database)?;
        let mut parts = Parts::of(&key);
        parts.tag();
        let Some(device) = parts.device() else { continue };
        let row = Key::new(b'm').device(&device).rest(&id).into_bytes();
        let Some(row) = now.get(&outbox.queue, row).map_err(StoreError::database)? else {
            continue;
        };
        let row: Row = from_json(&row)?;
        if let Content::Media { source: MediaSource::Uploaded(name), .. } =
            row.message.request.content
        {
            files.insert(name);
        }
    }
    Ok(files)
}

pub(super) fn find(
    outbox: &Outbox,
    txn: &Txn<'_>,
    device: &DeviceName,
    id: &[u8],
) -> Result<Option<Row>, StoreError> {
    let row = txn.get(&outbox.queue, Key::new(b'm').device(device).rest(id))?;
    row.map(|row| from_json(&row)).transpose()
}

/// Where a scheduled message waits; those of one moment keep the order in which they came.
pub(super) fn due_key(device: &DeviceName, row: &Row) -> Key {
    let due = row.message.due.unwrap_or_default();
    Key::new(b'd').device(device).number(due.millis()).number(row.order)
}

pub(super) fn due_of(key: &[u8]) -> Result<UnixMillis, StoreError> {
    let mut parts = Parts::of(key);
    parts.tag();
    let due = parts.device().and_then(|_| parts.number());
    due.map(UnixMillis::from_millis)
        .ok_or_else(|| StoreError::Damaged("the time of a message".to_owned()))
}

pub(super) fn listed(device: &DeviceName, row: &Row) -> Key {
    Key::new(b't').device(device).number(row.order)
}
