//! Makes a damaged database again from what can be read of it. The damaged one is set aside under a dated name and is
//! never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::PersistMode;

use crate::model::{DeviceName, UnixMillis};
use crate::store::cursor;
use crate::store::database::format;
use crate::store::database::keyspace;
use crate::store::database::outbox::Outbox;
use crate::store::database::segment::{Limits, Segment, SegmentRow};
use crate::store::database::state::State;
use crate::store::database::txn::{Group, Txn};
use crate::store::key::{Parts, number};
use crate::store::log;
use crate::store::message::account;
use crate::store::repair::damage::Damage;
use crate::store::repair::file::sync_folder;
use crate::store::repair::inspect::{self, Found, Seen, newer};
use crate::store::{EndpointId, Seq, StoreError};

/// Rows written in one batch.
const BATCH: usize = 500;

/// Whether a row of a device may be kept when other rows of it were lost. The key is without the device.
pub(crate) type Keeps = fn(&[u8]) -> bool;

/// What was done about a damaged database.
#[derive(Debug)]
pub(crate) struct Repaired {
    pub(crate) database: PathBuf,
    /// Where the damaged one is now; `None` when there was none at all.
    pub aside: Option<PathBuf>,
    pub damages: Vec<Damage>,
    /// What was read and is in the new one.
    pub kept: Vec<String>,
    /// What was not.
    pub lost: Vec<String>,
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was damaged and is made again.", self.database.display())?;
        for damage in &self.damages {
            write!(f, "\n  damaged: {damage}")?;
        }
        for kept in &self.kept {
            write!(f, "\n  kept: {kept}")?;
        }
        for lost in &self.lost {
            write!(f, "\n  lost: {lost}")?;
        }
        match &self.aside {
            Some(aside) => write!(f, "\n  The damaged one is {}.", aside.display()),
            None => Ok(()),
        }
    }
}

/// Ends a repair that a crash interrupted.
pub(crate) fn finish(database: &Path) -> Result<(), StoreError> {
    let fresh = database.with_extension("new");
    if !fresh.exists() {
        return Ok(());
    }
    let done = if !database.exists() && format::is_made(&fresh) {
        fs::rename(&fresh, database)
    } else {
        fs::remove_dir_all(&fresh)
    };
    done.and_then(|()| sync_folder(database)).map_err(StoreError::io(&fresh))
}

/// Makes `state/` again, without the rows that may not be old.
pub(crate) fn state(
    database: &Path,
    damages: Vec<Damage>,
    keeps: Keeps,
) -> Result<Repaired, StoreError> {
    let mut rows = BTreeMap::new();
    let mut queue = BTreeMap::new();
    let seen = read(database, &mut |found| match found.keyspace {
        STATE_ROWS => newer(&mut rows, found.key, found.version, found.value),
        STATE_QUEUE => newer(&mut queue, found.key, found.version, found.value),
        _ => {}
    })?;
    let fresh = database.with_extension("new");
    let state = State::open(&fresh)?;
    let mut batch = Batch::new(&state.db);
    let (mut kept, mut left) = (0, 0);
    for (key, (_, value)) in rows {
        let Some(value) = value else { continue };
        if may_stay(&key, keeps) {
            batch.change(|txn| {
                txn.put(&state.rows, key, value);
                Ok(())
            })?;
            kept += 1;
        } else {
            left += 1;
        }
    }
    if !queue.is_empty() {
        // An older version had the send queue here. Where it belongs now is seen to after this.
        let old = keyspace(&state.db, "queue")?;
        for (key, (_, value)) in queue {
            let Some(value) = value else { continue };
            batch.change(|txn| {
                txn.put(&old, key, value);
                Ok(())
            })?;
        }
    }
    batch.end()?;
    drop(state);
    let aside = set_aside(database)?;
    let mut lost = losses(&seen);
    if left > 0 {
        lost.push(format!("{left} rows of the sessions, which must not be old"));
    }
    let kept = vec![format!("{kept} rows")];
    Ok(Repaired { database: database.to_owned(), aside, damages, kept, lost })
}

/// Makes `outbox/` again.
pub(crate) fn outbox(
    database: &Path,
    damages: Vec<Damage>,
    limits: Limits,
) -> Result<Repaired, StoreError> {
    let (mut meta, mut dead, mut queue) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut segments = BTreeSet::new();
    let seen = read(database, &mut |found| match found.keyspace {
        OUTBOX_META => newer(&mut meta, found.key, found.version, found.value),
        OUTBOX_DEAD => newer(&mut dead, found.key, found.version, found.value),
        keyspace => match found.key.first() {
            Some(b'e') => drop(segments.insert(keyspace)),
            Some(b'm' | b'a' | b'p' | b's' | b'h' | b'w' | b'l' | b'u' | b'r' | b'v' | b'x') => {
                newer(&mut queue, found.key, found.version, found.value);
            }
            _ => {}
        },
    })?;
    let fresh = database.with_extension("new");
    let outbox = Outbox::open(&fresh, limits)?;
    let log = events(database, &outbox, &segments)?;
    let mut batch = Batch::new(&outbox.db);
    let (mut cursors, mut tails) = (Vec::new(), log.tails());
    let (mut letters, mut unreadable) = (0, 0);
    for (key, (_, value)) in meta {
        let Some(value) = value else { continue };
        let mut parts = Parts::of(&key);
        match parts.tag() {
            Some(b't') => {
                if let (Some(device), Ok(seq)) = (parts.device(), number(&value)) {
                    let tail = tails.entry(device).or_default();
                    *tail = seq.max(*tail);
                }
            }
            Some(b'c') => match batch.change(|txn| cursor::put_back(&outbox, txn, &key, &value)) {
                Ok((id, cursor)) => {
                    let tail = tails.entry(cursor.device.clone()).or_default();
                    *tail = cursor.acked.0.max(*tail);
                    cursors.push((id, cursor.device, cursor.acked));
                }
                Err(StoreError::Damaged(_)) => unreadable += 1,
                Err(error) => return Err(error),
            },
            _ => {}
        }
    }
    for (key, (_, value)) in dead {
        let Some(value) = value else { continue };
        match batch.change(|txn| cursor::put_letter_back(&outbox, txn, &key, &value)) {
            Ok(()) => letters += 1,
            Err(StoreError::Damaged(_)) => unreadable += 1,
            Err(error) => return Err(error),
        }
    }
    let (mut messages, mut waiting) = (0, 0);
    for (key, (_, value)) in queue {
        let Some(value) = value else { continue };
        match batch.change(|txn| account::put_back(&outbox, txn, key, &value)) {
            Ok(Some(waits)) => (messages, waiting) = (messages + 1, waiting + u64::from(waits)),
            Ok(None) => {}
            Err(StoreError::Damaged(_)) => unreadable += 1,
            Err(error) => return Err(error),
        }
    }
    for (device, tail) in &tails {
        batch.change(|txn| {
            log::put_tail(&outbox, txn, device, *tail);
            Ok(())
        })?;
    }
    batch.end()?;
    drop(outbox);
    let aside = set_aside(database)?;
    let mut lost = losses(&seen);
    lost.extend(log.losses(&tails, &cursors));
    if unreadable > 0 {
        lost.push(format!("{unreadable} cursors, dead letters and sent messages"));
    }
    let kept = vec![
        format!("{} events", log.count()),
        format!("how far {} webhooks got", cursors.len()),
        format!("{letters} dead letters"),
        format!("{messages} sent messages, {waiting} of which WhatsApp may not have"),
    ];
    Ok(Repaired { database: database.to_owned(), aside, damages, kept, lost })
}

/// The places of the events that were read.
#[derive(Default)]
struct Log(BTreeMap<DeviceName, BTreeSet<u64>>);

impl Log {
    fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    fn tails(&self) -> BTreeMap<DeviceName, u64> {
        let last = |(device, places): (&DeviceName, &BTreeSet<u64>)| {
            Some((device.clone(), *places.last()?))
        };
        self.0.iter().filter_map(last).collect()
    }

    /// What is missing between the first event and the last, and what of it each webhook did not have yet.
    fn losses(
        &self,
        tails: &BTreeMap<DeviceName, u64>,
        cursors: &[(EndpointId, DeviceName, Seq)],
    ) -> Vec<String> {
        let mut losses = Vec::new();
        let none = BTreeSet::new();
        for (device, tail) in tails {
            let places = self.0.get(device).unwrap_or(&none);
            let first = places.first().copied().unwrap_or(tail + 1);
            let own = cursors.iter().filter(|(_, owner, _)| owner == device);
            let from = own.clone().map(|(.., acked)| acked.0 + 1).min().unwrap_or(first).min(first);
            let missing = |from: u64| {
                let all = (tail + 1).saturating_sub(from);
                all.saturating_sub(places.range(from..).count() as u64)
            };
            if missing(from) > 0 {
                losses.push(format!("{} events of {device}", missing(from)));
            }
            for (id, _, acked) in own {
                let missing = missing(acked.0 + 1);
                if missing > 0 {
                    let id = id.as_str();
                    losses.push(format!("of these, {missing} that {id} had not been given yet"));
                }
            }
        }
        losses
    }
}

/// Copies every event that can be read, each segment into one of its own.
fn events(database: &Path, outbox: &Outbox, segments: &BTreeSet<u64>) -> Result<Log, StoreError> {
    let mut fresh = BTreeMap::new();
    for (number, keyspace) in (1..).zip(segments) {
        let segment = match outbox.segments().into_iter().find(|known| known.number == number) {
            Some(known) => known,
            None => Segment::open(&outbox.db, number)?,
        };
        let row = SegmentRow {
            bytes: 0,
            opened: UnixMillis::from_millis(u64::MAX),
            newest: UnixMillis::default(),
        };
        fresh.insert(*keyspace, (segment, row));
    }
    let mut log = Log::default();
    let mut batch = Batch::new(&outbox.db);
    let mut failed = None;
    read(database, &mut |found| {
        let Some((segment, row)) = fresh.get_mut(&found.keyspace) else { return };
        let mut parts = Parts::of(found.key);
        let (Some(b'e'), Some(device), Some(seq)) = (parts.tag(), parts.device(), parts.number())
        else {
            return;
        };
        let Some(value) = found.value else { return };
        let Ok(event) = log::decode(Seq(seq), value) else { return };
        // An event is never changed, so it does not matter which copy of it comes first.
        if !log.0.entry(device.clone()).or_default().insert(seq) {
            return;
        }
        row.opened = row.opened.min(event.stored);
        row.newest = row.newest.max(event.stored);
        let value = Bytes::copy_from_slice(value);
        let done = batch.change(|txn| {
            row.bytes += log::put(txn, segment, (&device, &event.id, seq), value);
            Ok(())
        });
        failed = failed.take().or(done.err());
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    for (segment, row) in fresh.into_values().filter(|(_, row)| row.bytes > 0) {
        batch.change(|txn| {
            segment.save(&outbox.meta, txn, row);
            Ok(())
        })?;
    }
    batch.end()?;
    Ok(log)
}

// The order in which a database makes its keyspaces, in case their names are lost.
const STATE_ROWS: u64 = 2;
const STATE_QUEUE: u64 = 3;
const OUTBOX_META: u64 = 1;
const OUTBOX_DEAD: u64 = 2;

fn read(database: &Path, show: &mut dyn FnMut(Found<'_>)) -> Result<Seen, StoreError> {
    if !database.exists() {
        return Ok(Seen::default());
    }
    inspect::read(database, show).map_err(StoreError::io(database))
}

fn may_stay(key: &[u8], keeps: Keeps) -> bool {
    let mut parts = Parts::of(key);
    match key.first() {
        // Rows of the gateway itself.
        Some(0) => true,
        _ => parts.device().is_some() && keeps(parts.rest()),
    }
}

fn losses(seen: &Seen) -> Vec<String> {
    let lost = seen.lost_commits;
    if lost == 0 { Vec::new() } else { vec![format!("what was written in {lost} commits")] }
}

/// Gives the damaged database a dated name and the new one its place.
fn set_aside(database: &Path) -> Result<Option<PathBuf>, StoreError> {
    let aside = database.exists().then(|| {
        let now = UnixMillis::now().to_string();
        let now: String = now.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = |n: u32| match n {
            0 => format!("damaged-{now}"),
            n => format!("damaged-{now}-{n}"),
        };
        let mut free = (0..).map(|n| database.with_extension(name(n)));
        free.find(|aside| !aside.exists()).unwrap_or_else(|| database.with_extension("damaged"))
    });
    if let Some(aside) = &aside {
        fs::rename(database, aside).map_err(StoreError::io(database))?;
    }
    fs::rename(database.with_extension("new"), database).map_err(StoreError::io(database))?;
    sync_folder(database).map_err(StoreError::io(database))?;
    Ok(aside)
}

/// Changes that are written some hundred at a time.
struct Batch<'a> {
    db: &'a fjall::Database,
    group: Group,
    changes: usize,
}

impl<'a> Batch<'a> {
    fn new(db: &'a fjall::Database) -> Self {
        Self { db, group: Group::default(), changes: 0 }
    }

    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = self.group.run(change)?;
        self.changes += 1;
        if self.changes >= BATCH {
            self.changes = 0;
            std::mem::take(&mut self.group).commit(self.db, PersistMode::Buffer)?;
        }
        Ok(outcome)
    }

    fn end(self) -> Result<(), StoreError> {
        self.group.commit(self.db, PersistMode::SyncAll)?;
        self.db.persist(PersistMode::SyncAll).map_err(StoreError::database)
    }
}
