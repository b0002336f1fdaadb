//! The durable, ordered log of events, in segments that are dropped whole. It knows nothing of endpoints beyond
//! their cursors.

mod event;
mod recent;
pub(crate) mod retention;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fjall::{Keyspace, Readable, Snapshot};
use tokio::sync::watch;

use crate::knobs::failpoint;
use crate::model::{DeviceName, EventId, EventType, UnixMillis};
use crate::store::database::bytes;
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::reader::Readers;
use crate::store::database::segment::{Segment, SegmentRow, event_prefix};
use crate::store::database::txn::Txn;
use crate::store::database::writer::Writer;
use crate::store::disk::Room;
use crate::store::key::{Key, number};
use crate::store::log::event::encode;
use crate::store::log::recent::Recent;
use crate::store::log::retention::{newest, tails};
use crate::store::seq::Places;
use crate::store::{Seq, StoreError};
use crate::store::{history, tally};

pub use self::event::NewEvent;
pub(crate) use self::event::{Page, StoredEvent, decode};

/// How often a busy gateway saves the time of the store's clock.
const OFTEN: Duration = Duration::from_mins(1);

/// The most bytes of a page, unless its first event has more.
const PAGE: usize = 1 << 20;

pub struct EventLog {
    writer: Writer<Outbox>,
    readers: Readers,
    tails: Tails,
}

/// The newest place of every device with its newest events, and how far retention has got.
#[derive(Clone)]
pub(crate) struct Tails {
    newest: Places,
    recent: Recent,
    dropped: Places,
    at_risk: Places,
    /// The newest event with which a person is in touch who was not before.
    pub(crate) met: Places,
}

impl Tails {
    /// The tails as they are on disk.
    pub(crate) fn load(outbox: &Outbox) -> Result<Self, StoreError> {
        let newest = Places::default();
        for (device, tail) in tails(outbox)? {
            newest.advance(&device, tail);
        }
        retention::tell(outbox, outbox.clock.now())?;
        let (dropped, at_risk) = (outbox.dropped.clone(), outbox.at_risk.clone());
        let (recent, met) = (Recent::default(), Places::default());
        Ok(Self { newest, recent, dropped, at_risk, met })
    }
}

impl EventLog {
    pub(crate) fn new(writer: Writer<Outbox>, readers: Readers, tails: Tails) -> Self {
        Self { writer, readers, tails }
    }

    /// Appends events in order, all or none, durable before `Ok`. Ids seen before are skipped.
    pub async fn append(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        let tails = self.tails.clone();
        self.writer
            .run(Promise::Durable, Room::Promise, move |outbox, txn| {
                append(outbox, txn, events, &tails)
            })
            .await
    }

    /// Up to `limit` events after `after`, and fewer when they are large. The newest come from memory.
    pub async fn read_after(
        &self,
        device: &DeviceName,
        after: Seq,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let tail = self.committed(device);
        if tail <= after {
            return Ok(Page::default());
        }
        if self.tails.dropped.of(device) <= after
            && let Some(page) = self.tails.recent.after(device, after, tail, limit)
        {
            return Ok(page);
        }
        metrics::counter!("moonwa_event_log_reads_total").increment(1);
        let device = device.clone();
        self.readers
            .run(move |databases| page(&databases.outbox, &device, after, tail, limit))
            .await
    }

    /// The place of the newest event; `Seq(0)` when there is none. Every change wakes the receiver; several changes may
    /// wake it once.
    pub fn tail(&self, device: &DeviceName) -> watch::Receiver<Seq> {
        self.tails.newest.watch(device)
    }

    /// Up to here, retention has dropped the events.
    pub fn dropped(&self, device: &DeviceName) -> watch::Receiver<Seq> {
        self.tails.dropped.watch(device)
    }

    /// Up to here, retention will soon drop the events, or has: they are beyond four fifths of a limit.
    pub fn at_risk(&self, device: &DeviceName) -> watch::Receiver<Seq> {
        self.tails.at_risk.watch(device)
    }

    /// The newest place whose commit is complete. A snapshot may be trusted only up to here: one that is taken during a
    /// commit can show a part of it, if a memtable is written to the disk at that moment.
    fn committed(&self, device: &DeviceName) -> Seq {
        self.tails.newest.of(device)
    }

    /// The place before the first event stored at or after `at` (for replays), or before the oldest one kept. Exact
    /// unless the clock went back meanwhile.
    pub async fn before(&self, device: &DeviceName, at: UnixMillis) -> Result<Seq, StoreError> {
        let (device, tail) = (device.clone(), self.committed(device));
        self.readers
            .run(move |databases| {
                let view = Reading::of(&databases.outbox);
                let Some(first) = view.first_kept(&device, tail)? else {
                    return Ok(tail);
                };
                // The first seq that is stored at or after `at` lies in low..=high; high is past the end.
                let (mut low, mut high) = (first.0, tail.0.saturating_add(1));
                while low < high {
                    let middle = low + (high - low) / 2;
                    let old = view.event(&device, middle)?.is_some_and(|event| event.stored < at);
                    if old { low = middle + 1 } else { high = middle }
                }
                Ok(Seq(low.saturating_sub(1)))
            })
            .await
    }

    /// The place of an event that is still kept.
    pub async fn find(&self, device: &DeviceName, id: &EventId) -> Result<Option<Seq>, StoreError> {
        let key = id_key(device, id);
        self.readers
            .run(move |databases| {
                let view = Reading::of(&databases.outbox);
                find_in(&view.segments, |rows| view.get(rows, &key))
            })
            .await
    }
}

pub(crate) fn append(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    events: Vec<NewEvent>,
    tails: &Tails,
) -> Result<(), StoreError> {
    failpoint("append.before");
    let now = UnixMillis::now();
    let (mut moved, mut met) = (Vec::new(), BTreeMap::new());
    // Only messages are acknowledged to WhatsApp.
    let mut message = false;
    for event in events {
        if place(outbox, txn, &event.device, &event.id)?.is_some() {
            continue;
        }
        let seq = tail(outbox, txn, &event.device)?.saturating_add(1);
        let value = encode(&event, now);
        message |= event.kind == EventType::MessageReceived;
        let age = outbox.clock.now();
        let (segment, mut row) = newest(outbox, txn, age)?;
        row.newest = age;
        outbox.clock.save(&outbox.meta, txn, OFTEN);
        put(txn, &segment, &mut row, (&event.device, &event.id, seq), value);
        put_tail(outbox, txn, &event.device, seq);
        segment.save(&outbox.meta, txn, row);
        history::event(outbox, txn, &event)?;
        if tally::happened(outbox, txn, &event.device, &event.counts)? {
            met.insert(event.device.clone(), Seq(seq));
        }
        let NewEvent { device, id, kind, at, body, .. } = event;
        moved.push((device, StoredEvent { seq: Seq(seq), id, kind, at, stored: now, body }));
    }
    let tails = tails.clone();
    txn.after_commit(move || {
        if message {
            failpoint("append.synced");
        }
        for (device, event) in moved {
            let seq = event.seq;
            tails.recent.add(&device, event);
            tails.newest.advance(&device, seq);
        }
        for (device, seq) in met {
            tails.met.advance(&device, seq);
        }
    });
    Ok(())
}

/// The newest place of a device's log, 0 when there is none.
pub(crate) fn tail(outbox: &Outbox, txn: &Txn<'_>, device: &DeviceName) -> Result<u64, StoreError> {
    txn.get(&outbox.meta, tail_key(device))?.map_or(Ok(0), |row| number(&row))
}

/// The place of an event.
pub(crate) fn place(
    outbox: &Outbox,
    txn: &Txn<'_>,
    device: &DeviceName,
    id: &EventId,
) -> Result<Option<Seq>, StoreError> {
    let seen = id_key(device, id);
    find_in(&outbox.segments(), |rows| txn.get(rows, &seen))
}

/// Puts an event in a segment, under its place and its id.
pub(crate) fn put(
    txn: &mut Txn<'_>,
    segment: &Segment,
    row: &mut SegmentRow,
    (device, id, seq): (&DeviceName, &EventId, u64),
    value: impl Into<Bytes>,
) {
    let (seen, value) = (id_key(device, id), value.into());
    row.bytes += (seen.as_ref().len() + value.len() + device.as_str().len() + 24) as u64;
    txn.put(&segment.rows, event_key(device, seq), value);
    txn.put(&segment.rows, seen, Bytes::copy_from_slice(&seq.to_be_bytes()));
}

pub(crate) fn put_tail(outbox: &Outbox, txn: &mut Txn<'_>, device: &DeviceName, seq: u64) {
    txn.put(&outbox.meta, tail_key(device), Bytes::copy_from_slice(&seq.to_be_bytes()));
}

/// The place of an event, by the row its id points to; newest segment first, where it usually is.
fn find_in(
    segments: &[Segment],
    get: impl Fn(&Keyspace) -> Result<Option<Bytes>, StoreError>,
) -> Result<Option<Seq>, StoreError> {
    for segment in segments.iter().rev() {
        if let Some(row) = get(&segment.rows)? {
            return Ok(Some(Seq(number(&row)?)));
        }
    }
    Ok(None)
}

/// The log at one moment.
struct Reading {
    now: Snapshot,
    segments: Vec<Segment>,
}

impl Reading {
    fn of(outbox: &Outbox) -> Self {
        // In this order, an event that is in no segment was dropped, and is counted as dropped.
        let now = outbox.db.snapshot();
        Self { now, segments: outbox.segments() }
    }

    fn get(&self, rows: &Keyspace, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let value = self.now.get(rows, key).map_err(StoreError::database)?;
        Ok(value.map(|value| bytes(&value)))
    }

    fn event(&self, device: &DeviceName, seq: u64) -> Result<Option<StoredEvent>, StoreError> {
        let key = event_key(device, seq);
        for segment in self.segments.iter().rev() {
            if let Some(value) = self.get(&segment.rows, &key)? {
                return decode(Seq(seq), &value).map(Some);
            }
        }
        Ok(None)
    }

    fn first_kept(&self, device: &DeviceName, tail: Seq) -> Result<Option<Seq>, StoreError> {
        let mut first = None;
        self.each_between(device, Seq(0), tail, |key, _| {
            first = Some(Seq(key));
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }

    /// Shows events after a place and up to another, oldest first, until told to stop.
    fn each_between(
        &self,
        device: &DeviceName,
        after: Seq,
        tail: Seq,
        mut show: impl FnMut(u64, &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        if tail <= after {
            return Ok(());
        }
        let prefix = event_prefix(device);
        let from = event_key(device, after.0.saturating_add(1)).into_bytes();
        let to = event_key(device, tail.0).into_bytes();
        for segment in &self.segments {
            for guard in self.now.range(&segment.rows, from.clone()..=to.clone()) {
                let (key, value) = guard.into_inner().map_err(StoreError::database)?;
                let seq = number(key.get(prefix.as_ref().len()..).unwrap_or_default())?;
                if show(seq, &value)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn page(
    outbox: &Outbox,
    device: &DeviceName,
    after: Seq,
    tail: Seq,
    limit: usize,
) -> Result<Page, StoreError> {
    let view = Reading::of(outbox);
    let mut page = Page::default();
    let (mut first, mut read) = (None, 0);
    view.each_between(device, after, tail, |seq, value| {
        first.get_or_insert(seq);
        // A place that is missing in the middle was lost with a damaged file. The page ends before it, so that it is
        // counted at the beginning of the next one.
        let gap = page.events.last().is_some_and(|last| last.seq.0 + 1 != seq);
        read += value.len();
        page.more = gap || page.events.len() >= limit || (read > PAGE && first != Some(seq));
        if page.more {
            return Ok(ControlFlow::Break(()));
        }
        page.events.push(decode(Seq(seq), value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    // Places have no gaps, so whatever lies between was dropped.
    let first = first.unwrap_or(tail.0.saturating_add(1));
    page.dropped = first.saturating_sub(after.0.saturating_add(1));
    Ok(page)
}

fn tail_key(device: &DeviceName) -> Key {
    Key::new(b't').device(device)
}

fn event_key(device: &DeviceName, seq: u64) -> Key {
    event_prefix(device).number(seq)
}

fn id_key(device: &DeviceName, id: &EventId) -> Key {
    Key::new(b'd').device(device).rest(id.as_str())
}
