//! Messages that are to go later. They wait in the order of their times, by the wall clock, and stand in no other row: each
//! is queued like any other when its time comes. Only then does it get its place among those that were sent.

use std::sync::Arc;
use std::time::Duration;

use fjall::{Readable, Slice};

use super::counts::Counts;
use super::due::{Change, LATER_LIMIT, due_key, due_of, find, listed};
use super::list::{self, Fate, Listed, PacedList, Report, list_key};
use super::row::{Row, message_key, order_at};
use super::{SendQueue, advance_each, enqueue_and_nudge, row_bytes};
use crate::model::{DeviceName, ListId, MessageId, MessageStatus, SentMessage, UnixMillis};
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::disk::Room;
use crate::store::json::{from_json, to_json};
use crate::store::key::Key;
use crate::store::{StoreError, history};

/// What is later than that is not worth sending any more, like any message that waited as long.
const LATEST: Duration = Duration::from_hours(24);
/// Messages queued in one commit.
const STEP: usize = 200;
/// The most bytes of the rows of `scheduled`.
const LISTED: usize = 4 << 20;
/// Lists of a device that are shown.
const LISTS: usize = 100;

impl SendQueue {
    /// Queues what is due at that time, in the order of their times. Says when the next one is.
    pub(crate) async fn release(
        &self,
        device: &DeviceName,
        now: UnixMillis,
    ) -> Result<Option<UnixMillis>, StoreError> {
        loop {
            match self.next_due(device).await? {
                Some(due) if due <= now => self.release_some(device, now).await?,
                next => return Ok(next),
            }
        }
    }

    async fn next_due(&self, device: &DeviceName) -> Result<Option<UnixMillis>, StoreError> {
        let prefix = Key::new(b'd').device(device).into_bytes();
        self.readers
            .run(move |databases| {
                let first = databases.outbox.queue.prefix(&prefix).next();
                let key = first.map(fjall::Guard::key).transpose().map_err(StoreError::database)?;
                key.map(|key| due_of(&key)).transpose()
            })
            .await
    }

    async fn release_some(&self, device: &DeviceName, now: UnixMillis) -> Result<(), StoreError> {
        let (device, nudge) = (device.clone(), self.nudges.queued.clone());
        let (tails, changes) = (self.tails.clone(), self.changes.clone());
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                let mut counts = Counts::load(outbox, txn, &device)?;
                let (mut late, mut queued) = (Vec::new(), Vec::new());
                let all = Key::new(b'd').device(&device);
                for (place, id) in txn.scan(&outbox.queue, all.as_ref(), STEP)? {
                    let due = due_of(&place)?;
                    if due > now {
                        break;
                    }
                    let row = find(outbox, txn, &device, &id)?;
                    let lost = || StoreError::Damaged("a scheduled message".to_owned());
                    let mut row = row.ok_or_else(lost)?;
                    // One of a list has no time of its own.
                    if row.message.list.is_none() && now.since(due) > LATEST {
                        late.push((row.message.id, too_late()));
                        continue;
                    }
                    if !list::may_go(outbox, txn, &row, now)? {
                        // Others have other times now.
                        break;
                    }
                    txn.remove(&outbox.queue, place);
                    let at = outbox.clock.now();
                    row.order = order_at(at).max(counts.last.saturating_add(1));
                    row.changed = Some(at);
                    row.message.status = MessageStatus::Queued;
                    row.message.updated = now;
                    txn.put(&outbox.queue, listed(&device, &row), id.clone());
                    txn.put(&outbox.queue, Key::new(b'q').device(&device).number(row.order), id);
                    txn.put(&outbox.queue, message_key(&device, &row.message.id), to_json(&row)?);
                    history::sent(outbox, txn, &row.message)?;
                    counts.last = row.order;
                    counts.waiting += 1;
                    counts.scheduled = counts.scheduled.saturating_sub(1);
                    queued.push(row.message);
                }
                counts.save(outbox, txn, &device);
                advance_each(outbox, txn, &device, late, &[], (&tails, &changes))?;
                txn.after_commit(move || {
                    for message in queued {
                        drop(changes.send(message));
                    }
                    nudge.give(&device);
                });
                Ok(())
            })
            .await
    }

    /// Takes a message back before its time, with the whole album that it belongs to. `None` when it is not scheduled
    /// (any more).
    pub(crate) async fn cancel(
        &self,
        device: &DeviceName,
        id: &MessageId,
    ) -> Result<Option<SentMessage>, StoreError> {
        let (device, id) = (device.clone(), id.clone());
        let (tails, changes) = (self.tails.clone(), self.changes.clone());
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                let steps = album(outbox, txn, &device, &id)?;
                let steps = steps.into_iter().map(|row| (row.message.id, cancelled())).collect();
                let ended = advance_each(outbox, txn, &device, steps, &[], (&tails, &changes))?;
                Ok(ended.into_iter().find(|message| message.id == id))
            })
            .await
    }

    /// Gives a message other words or another time, the latter with its whole album. `None` when it is not scheduled
    /// (any more).
    pub(crate) async fn reschedule(
        &self,
        device: &DeviceName,
        id: &MessageId,
        change: Change,
    ) -> Result<Option<SentMessage>, StoreError> {
        let (device, id, nudge) = (device.clone(), id.clone(), self.nudges.scheduled.clone());
        let changes = self.changes.clone();
        self.writer
            .run(Promise::Durable, Room::Promise, move |outbox, txn| {
                let mut changed = None;
                for mut row in album(outbox, txn, &device, &id)? {
                    let own = row.message.id == id;
                    if let Some(due) = change.due {
                        txn.remove(&outbox.queue, due_key(&device, &row));
                        row.message.due = Some(due);
                        let id = row.message.id.as_str().as_bytes().to_vec();
                        txn.put(&outbox.queue, due_key(&device, &row), id);
                    }
                    if let (Some(words), true) = (&change.words, own) {
                        row.message.request.content.reword(words);
                    }
                    row.message.updated = UnixMillis::now();
                    row.changed = Some(outbox.clock.now());
                    txn.put(&outbox.queue, message_key(&device, &row.message.id), to_json(&row)?);
                    if own {
                        changed = Some(row.message);
                    }
                }
                let told = changed.clone();
                txn.after_commit(move || {
                    if let Some(message) = told {
                        drop(changes.send(message));
                    }
                    nudge.give(&device);
                });
                Ok(changed)
            })
            .await
    }

    /// The scheduled messages of a device, the next one first; fewer when they are large.
    pub(crate) async fn scheduled(
        &self,
        device: &DeviceName,
        limit: usize,
    ) -> Result<Vec<SentMessage>, StoreError> {
        let device = device.clone();
        self.readers
            .run(move |databases| {
                let (outbox, now) = (&databases.outbox, databases.outbox.db.snapshot());
                let (mut found, mut bytes) = (Vec::new(), 0);
                let all = Key::new(b'd').device(&device).into_bytes();
                for guard in now.prefix(&outbox.queue, all).take(limit) {
                    let id = guard.value().map_err(StoreError::database)?;
                    let row: Slice = row_bytes(&now, outbox, &device, &id)?;
                    bytes += row.len();
                    if bytes > LISTED && !found.is_empty() {
                        break;
                    }
                    found.push(from_json::<Row>(&row)?.message);
                }
                Ok(found)
            })
            .await
    }
}

impl SendQueue {
    /// Puts a list and all its messages on disk, or nothing of it. Durable before `Ok`.
    pub(crate) async fn make_list(
        &self,
        list: PacedList,
        messages: Vec<SentMessage>,
    ) -> Result<Listed, StoreError> {
        let nudges = self.nudges.clone();
        self.writer
            .run(Promise::Durable, Room::Promise, move |outbox, txn| {
                let key = list_key(&list.device, &list.id);
                if let Some(row) = txn.get(&outbox.queue, &key)? {
                    let known: PacedList = from_json(&row)?;
                    let same = known.request == list.request;
                    return Ok(if same { Listed::Known(known) } else { Listed::Conflict });
                }
                list::sweep(outbox, txn, &list.device)?;
                let there = Counts::load(outbox, txn, &list.device)?.scheduled;
                if there + messages.len() as u64 > LATER_LIMIT as u64 {
                    return Ok(Listed::Full);
                }
                for message in messages {
                    enqueue_and_nudge(outbox, txn, message, None, 0, nudges.clone())?;
                }
                txn.put(&outbox.queue, key, to_json(&list)?);
                Ok(Listed::Made(list))
            })
            .await
    }

    /// Takes back what of a list is not queued yet. `None` when there is no such list.
    pub(crate) async fn stop_list(
        &self,
        device: &DeviceName,
        id: &ListId,
    ) -> Result<Option<PacedList>, StoreError> {
        let (device, id) = (device.clone(), id.clone());
        let (tails, changes) = (self.tails.clone(), self.changes.clone());
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                let key = list_key(&device, &id);
                let Some(row) = txn.get(&outbox.queue, &key)? else { return Ok(None) };
                let mut list: PacedList = from_json(&row)?;
                let mut steps = Vec::new();
                for row in list::waiting(outbox, txn, &list)? {
                    let code = "cancelled".to_owned();
                    let detail = "its list was stopped".to_owned();
                    steps.push((row.message.id, MessageStatus::Failed { code, detail }));
                }
                advance_each(outbox, txn, &device, steps, &[], (&tails, &changes))?;
                list.stopped.get_or_insert_with(UnixMillis::now);
                txn.put(&outbox.queue, key, to_json(&list)?);
                Ok(Some(list))
            })
            .await
    }

    /// A list, with what became of each of its messages.
    pub(crate) async fn list(
        &self,
        device: &DeviceName,
        id: &ListId,
    ) -> Result<Option<Report>, StoreError> {
        let (device, id) = (device.clone(), id.clone());
        self.readers
            .run(move |databases| {
                let queue = &databases.outbox.queue;
                let read = |key: Key| queue.get(key).map_err(StoreError::database);
                let Some(row) = read(list_key(&device, &id))? else { return Ok(None) };
                let list: PacedList = from_json(&row)?;
                let mut messages = Vec::with_capacity(list.receivers.len());
                for receiver in &list.receivers {
                    let Fate::Message(id) = &receiver.fate else {
                        messages.push(None);
                        continue;
                    };
                    let row = read(message_key(&device, id))?;
                    let row = row.map(|row| from_json::<Row>(&row)).transpose()?;
                    messages.push(row.map(|row| row.message));
                }
                Ok(Some((list, messages)))
            })
            .await
    }

    /// The lists of a device, newest first.
    pub(crate) async fn lists(&self, device: &DeviceName) -> Result<Vec<PacedList>, StoreError> {
        let prefix = Key::new(b'l').device(device).into_bytes();
        self.readers
            .run(move |databases| {
                let mut lists = Vec::new();
                for guard in databases.outbox.queue.prefix(&prefix) {
                    let row = guard.value().map_err(StoreError::database)?;
                    lists.push(from_json::<PacedList>(&row)?);
                }
                lists.sort_by_key(|list| std::cmp::Reverse(list.created));
                lists.truncate(LISTS);
                Ok(lists)
            })
            .await
    }
}

/// The scheduled messages of the album that a message belongs to, its announcement first; itself alone when there is none.
fn album(
    outbox: &Arc<Outbox>,
    txn: &Txn<'_>,
    device: &DeviceName,
    id: &MessageId,
) -> Result<Vec<Row>, StoreError> {
    let read = |id: &MessageId| -> Result<Option<Row>, StoreError> {
        let row = txn.get(&outbox.queue, message_key(device, id))?;
        let row: Option<Row> = row.map(|row| from_json(&row)).transpose()?;
        Ok(row.filter(|row| row.message.status == MessageStatus::Scheduled))
    };
    let Some(own) = read(id)? else { return Ok(Vec::new()) };
    let first = match &own.message.request.album {
        Some(album) => read(album)?,
        None => Some(own),
    };
    let Some(first) = first else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for part in first.message.parts() {
        rows.extend(read(&part)?);
    }
    rows.insert(0, first);
    Ok(rows)
}

fn cancelled() -> MessageStatus {
    let detail = "it was taken back before its time".to_owned();
    MessageStatus::Failed { code: "cancelled".to_owned(), detail }
}

fn too_late() -> MessageStatus {
    let detail = "its time was more than 24 hours ago".to_owned();
    MessageStatus::Failed { code: "expired".to_owned(), detail }
}
