//! Decides which segment takes the next event, and which segments are dropped.

use std::sync::Arc;

use super::StoreError;
use super::outbox::Outbox;
use super::segment::{Segment, SegmentRow};
use super::txn::Txn;
use crate::knobs::failpoint;
use crate::model::UnixMillis;

/// The segment that takes the next event.
pub(super) fn newest(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    now: UnixMillis,
) -> Result<(Segment, SegmentRow), StoreError> {
    let fresh = SegmentRow { bytes: 0, opened: now, newest: now };
    let last = outbox.segments().pop();
    let number = last.as_ref().map_or(1, |last| last.number + 1);
    if let Some(last) = last {
        let row = last.row(&outbox.meta, txn)?.unwrap_or(fresh);
        if row.bytes < outbox.limits.segment_size()
            && now.since(row.opened) < outbox.limits.keep / 8
        {
            return Ok((last, row));
        }
        // Nothing will be added to it, so its memory is released. If that fails it only costs memory.
        last.rows.rotate_memtable().ok();
    }
    let next = Segment::open(&outbox.db, number)?;
    outbox.add_segment(next.clone());
    retire(outbox, txn, now)?;
    Ok((next, fresh))
}

/// Drops segments beyond the limits, oldest first.
pub(super) fn retire(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut kept = Vec::new();
    for segment in outbox.segments() {
        if let Some(row) = segment.row(&outbox.meta, txn)? {
            kept.push((segment, row));
        }
    }
    let mut total: u64 = kept.iter().map(|(_, row)| row.bytes).sum();
    let mut left = kept.len();
    for (segment, row) in kept {
        let too_old = now.since(row.newest) > outbox.limits.keep;
        // The last one may be the one that is being written.
        let too_much = total > outbox.limits.max_size && left > 1;
        if !too_old && !too_much {
            break;
        }
        if outbox.segments().last().is_some_and(|last| last.number == segment.number) {
            outbox.add_segment(Segment::open(&outbox.db, segment.number + 1)?);
        }
        total -= row.bytes;
        left -= 1;
        drop_one(outbox, txn, &segment);
    }
    Ok(())
}

fn drop_one(outbox: &Arc<Outbox>, txn: &mut Txn<'_>, segment: &Segment) {
    txn.remove(&outbox.meta, segment.key());
    let (outbox, number) = (Arc::clone(outbox), segment.number);
    txn.after_commit(move || {
        failpoint("segment.drop");
        let Some(segment) = outbox.take_segment(number) else { return };
        // Its entry is gone, so the next start deletes it; a failure here only costs space until then.
        if let Err(error) = outbox.db.delete_keyspace(segment.rows) {
            tracing::warn!(%error, "An old part of the event log could not be removed.");
        }
    });
}
