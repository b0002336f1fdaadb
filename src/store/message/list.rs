//! Paced lists: one text to many people, each of whom gets a message of their own. These are scheduled one after the other
//! when the list is made, in one commit; the next one goes when the pace of the list allows it and none before it waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::due::{due_key, find, listed};
use super::row::{Row, message_key};
use crate::model::{DeviceName, ListId, MessageId, MessageStatus, SentMessage, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::json::{from_json, to_row};
use crate::store::key::Key;

/// How long a list is kept, and its messages with it; it goes when another one is made.
const KEEP: Duration = Duration::from_hours(30 * 24);
const HOUR: Duration = Duration::from_hours(1);

/// A paced list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PacedList {
    pub(crate) id: ListId,
    pub(crate) device: DeviceName,
    /// The text, with its placeholders.
    pub(crate) text: String,
    /// How many go in an hour at most.
    pub(crate) per_hour: u32,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) created: UnixMillis,
    pub(crate) stopped: Option<UnixMillis>,
    /// The hash of the request for it.
    pub(crate) request: String,
}

/// Somebody on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receiver {
    /// As the caller wrote it.
    pub(crate) to: String,
    pub(crate) name: Option<String>,
    pub(crate) fate: Fate,
}

/// What a list does for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Message(MessageId),
    Refused {
        /// One of the codes that the API documents.
        code: String,
        /// For people.
        detail: String,
    },
}

/// How far a list got, by the clock that does not jump.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    /// The last message that was queued.
    last: Option<MessageId>,
    /// Before that time the next one is not.
    free: UnixMillis,
}

/// The outcome of making a list.
#[derive(Debug)]
pub(crate) enum Listed {
    /// It is on disk now.
    Made(PacedList),
    /// The same request came before.
    Known(PacedList),
    /// Its key was used for another request.
    Conflict,
    /// The device has too many messages for later.
    Full,
}

/// A list with the messages to those on it; `None` to those who get none.
pub(crate) type Report = (PacedList, Vec<Option<SentMessage>>);

impl PacedList {
    /// The time between two of its messages.
    pub(crate) fn gap(&self) -> Duration {
        HOUR / self.per_hour.max(1)
    }
}

/// Whether a message of a list may be queued now. If not, all that wait of the list get their times anew, so that the pace
/// holds from then on.
pub(super) fn may_go(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    row: &Row,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let (device, at) = (&row.message.device, outbox.clock.now());
    let Some(id) = &row.message.list else { return Ok(true) };
    let Some(found) = txn.get(&outbox.queue, list_key(device, id))? else { return Ok(true) };
    let list: PacedList = from_json(&found)?;
    let key = progress_key(device, id);
    let found = txn.get(&outbox.queue, &key)?;
    let mut progress: Progress = found.map(|row| from_json(&row)).transpose()?.unwrap_or_default();
    let before = match &progress.last {
        Some(last) => txn.get(&outbox.queue, message_key(device, last))?,
        None => None,
    };
    let before: Option<Row> = before.map(|row| from_json(&row)).transpose()?;
    if before.is_some_and(|row| row.message.status == MessageStatus::Queued) {
        progress.free = progress.free.max(at.after(list.gap()));
    }
    if progress.free <= at {
        progress.last = Some(row.message.id.clone());
        progress.free = at.after(list.gap());
        txn.put(&outbox.queue, key, to_row(&progress)?);
        return Ok(true);
    }
    let mut due = now.after(progress.free.since(at));
    for mut row in waiting(outbox, txn, &list)? {
        txn.remove(&outbox.queue, due_key(device, &row));
        row.message.due = row.message.due.max(Some(due));
        due = row.message.due.unwrap_or(due).after(list.gap());
        txn.put(&outbox.queue, due_key(device, &row), row.message.id.as_str().as_bytes().to_vec());
        txn.put(&outbox.queue, message_key(device, &row.message.id), to_row(&row)?);
    }
    Ok(false)
}

/// The messages of a list that are scheduled, in their order.
pub(super) fn waiting(
    outbox: &Outbox,
    txn: &Txn<'_>,
    list: &PacedList,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for receiver in &list.receivers {
        let Fate::Message(id) = &receiver.fate else { continue };
        let Some(row) = find(outbox, txn, &list.device, id.as_str().as_bytes())? else { continue };
        if row.message.status == MessageStatus::Scheduled {
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| (row.message.due, row.order));
    Ok(rows)
}

/// Whether a list is there, which needs its messages for its report.
pub(super) fn needs(outbox: &Outbox, txn: &Txn<'_>, row: &Row) -> Result<bool, StoreError> {
    let Some(id) = &row.message.list else { return Ok(false) };
    Ok(txn.get(&outbox.queue, list_key(&row.message.device, id))?.is_some())
}

/// Removes the lists of a device that are old, with the messages that nothing else lists any more.
pub(super) fn sweep(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
) -> Result<(), StoreError> {
    let all = Key::new(b'l').device(device);
    for (key, row) in txn.scan(&outbox.queue, all.as_ref(), usize::MAX)? {
        let list: PacedList = from_json(&row)?;
        if outbox.clock.now().since(list.created) <= KEEP
            || !waiting(outbox, txn, &list)?.is_empty()
        {
            continue;
        }
        for receiver in &list.receivers {
            let Fate::Message(id) = &receiver.fate else { continue };
            if let Some(row) = find(outbox, txn, device, id.as_str().as_bytes())?
                && row.message.status.is_settled()
                && txn.get(&outbox.queue, listed(device, &row))?.is_none()
            {
                txn.remove(&outbox.queue, message_key(device, id));
            }
        }
        txn.remove(&outbox.queue, key);
        txn.remove(&outbox.queue, progress_key(device, &list.id));
    }
    Ok(())
}

pub(super) fn list_key(device: &DeviceName, id: &ListId) -> Key {
    Key::new(b'l').device(device).rest(id.as_str())
}

fn progress_key(device: &DeviceName, id: &ListId) -> Key {
    Key::new(b'u').device(device).rest(id.as_str())
}
