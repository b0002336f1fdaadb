//! Decides which segment takes the next event, and which segments are dropped.

use std::sync::Arc;

use crate::knobs::failpoint;
use crate::model::{DeviceName, UnixMillis};
use crate::store::database::outbox::Outbox;
use crate::store::database::segment::{Limits, Segment, SegmentRow};
use crate::store::database::txn::Txn;
use crate::store::key::Parts;
use crate::store::{Seq, StoreError};

/// The segment that takes the next event.
pub(crate) fn newest(
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
    }
    let next = Segment::open(&outbox.db, number)?;
    outbox.add_segment(next.clone());
    retire(outbox, txn, now)?;
    Ok((next, fresh))
}

/// Drops segments beyond the limits, oldest first.
pub(crate) fn retire(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let kept = kept(outbox, |segment| segment.row(&outbox.meta, txn))?;
    for (segment, _) in kept.iter().take(beyond(&kept, outbox.limits, now)) {
        if outbox.segments().last().is_some_and(|last| last.number == segment.number) {
            outbox.add_segment(Segment::open(&outbox.db, segment.number + 1)?);
        }
        drop_one(outbox, txn, segment, now);
    }
    // What is dropped now is told once it is gone.
    tell(outbox, now)
}

/// Makes a segment after the newest one.
pub(crate) fn next_segment(outbox: &Outbox) -> Result<(), StoreError> {
    let number = outbox.segments().last().map_or(1, |last| last.number + 1);
    outbox.add_segment(Segment::open(&outbox.db, number)?);
    Ok(())
}

type Kept = Vec<(Segment, SegmentRow)>;

/// The segments that something was written to, oldest first.
fn kept(
    outbox: &Outbox,
    row: impl Fn(&Segment) -> Result<Option<SegmentRow>, StoreError>,
) -> Result<Kept, StoreError> {
    let mut kept = Vec::new();
    for segment in outbox.segments() {
        if let Some(row) = row(&segment)? {
            kept.push((segment, row));
        }
    }
    Ok(kept)
}

/// How many of the oldest segments are beyond the limits.
fn beyond(kept: &Kept, limits: Limits, now: UnixMillis) -> usize {
    let mut total: u64 = kept.iter().map(|(_, row)| row.bytes).sum();
    let mut beyond = 0;
    for (_, row) in kept {
        let too_old = now.since(row.newest) > limits.keep;
        // The last one may be the one that is being written.
        let too_much = total > limits.max_size && beyond + 1 < kept.len();
        if !too_old && !too_much {
            break;
        }
        total -= row.bytes;
        beyond += 1;
    }
    beyond
}

/// Tells whoever is behind how far retention has got in each log, and how far it is about to get.
pub(crate) fn tell(outbox: &Outbox, now: UnixMillis) -> Result<(), StoreError> {
    let kept = kept(outbox, |segment| segment.committed(&outbox.meta))?;
    let at_risk = beyond(&kept, outbox.limits.nearly(), now);
    for (device, tail) in tails(outbox)? {
        outbox.dropped.advance(&device, before(&device, &kept, tail)?);
        let safe = kept.get(at_risk..).unwrap_or_default();
        outbox.at_risk.advance(&device, before(&device, safe, tail)?);
    }
    Ok(())
}

/// The place before the first event of a device in those segments.
fn before(
    device: &DeviceName,
    segments: &[(Segment, SegmentRow)],
    tail: Seq,
) -> Result<Seq, StoreError> {
    for (segment, _) in segments {
        if let Some(first) = segment.first(device)? {
            return Ok(Seq(first.0.saturating_sub(1)));
        }
    }
    Ok(tail)
}

/// The newest place of every device, as far as it is committed.
pub(crate) fn tails(outbox: &Outbox) -> Result<Vec<(DeviceName, Seq)>, StoreError> {
    let mut tails = Vec::new();
    for guard in outbox.meta.prefix(*b"t") {
        let (key, value) = guard.into_inner().map_err(StoreError::database)?;
        let mut parts = Parts::of(&key);
        parts.tag();
        let (Some(device), Some(seq)) = (parts.device(), Parts::of(&value).number()) else {
            return Err(StoreError::Damaged("a tail of the log".to_owned()));
        };
        tails.push((device, Seq(seq)));
    }
    Ok(tails)
}

fn drop_one(outbox: &Arc<Outbox>, txn: &mut Txn<'_>, segment: &Segment, now: UnixMillis) {
    txn.remove(&outbox.meta, segment.key());
    let (outbox, number) = (Arc::clone(outbox), segment.number);
    txn.after_commit(move || {
        failpoint("segment.drop");
        let Some(segment) = outbox.take_segment(number) else { return };
        // Its entry is gone, so the next start deletes it; a failure here only costs space until then.
        if let Err(error) = outbox.db.delete_keyspace(segment.rows) {
            tracing::warn!(%error, "An old part of the event log could not be removed.");
        }
        if let Err(error) = tell(&outbox, now) {
            tracing::warn!(%error, "What was dropped of the event log cannot be told.");
        }
    });
}
