//! What the rules of a device remember: how far they have got in its log, how often each acted, and what happened in each
//! chat. An answer, what a webhook is handed, the place up to which events are answered and the chat's memory are one commit,
//! so a crash repeats no answer and loses none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fjall::Readable;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::{QUEUE_LIMIT, SendQueue, account, enqueue_and_nudge};
use crate::knobs::failpoint;
use crate::model::{DeviceName, EventId, SentMessage, UnixMillis};
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::disk::Room;
use crate::store::json::{from_json, to_row};
use crate::store::key::{Key, Parts};
use crate::store::{EndpointId, Seq, StoreError};

/// How long a chat in which nothing happens is remembered: longer than anything that a rule can ask.
const KEEP: Duration = Duration::from_hours(91 * 24);
/// How many forgotten chats go at once.
const PURGED: usize = 1000;

/// How far the rules of a device have got.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleState {
    /// Everything up to here is answered, or has no answer. Absent while the device has no rules: those that it is given
    /// later begin with the next event.
    pub(crate) acked: Option<Seq>,
    /// What each rule did, by its name.
    pub(crate) rules: BTreeMap<String, RuleCount>,
    /// The newest message that was handed to each webhook.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) handed: BTreeMap<EndpointId, Seq>,
}

/// What a rule did so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleCount {
    /// How often it acted.
    pub(crate) hits: u64,
    pub(crate) last_hit: Option<UnixMillis>,
    /// How often it would have acted, had it not done so lately in that chat.
    pub(crate) skipped: u64,
}

/// What the rules of a device remember of a chat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChatMemory {
    /// When the last message came.
    pub(crate) last_in: Option<UnixMillis>,
    /// When each rule acted, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) rules: BTreeMap<String, Acted>,
}

/// How often a rule acted in a chat lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acted {
    pub(crate) last: UnixMillis,
    /// When the hour began in which it is counted.
    pub(crate) since: UnixMillis,
    pub(crate) count: u32,
}

/// What follows from one event.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) event: EventId,
    pub(crate) seq: Seq,
    pub(crate) state: RuleState,
    /// The chat, and what is remembered of it from now on.
    pub(crate) memory: Option<(String, ChatMemory)>,
    pub(crate) answers: Vec<SentMessage>,
    /// The webhooks that hear the event because of a rule.
    pub(crate) handed: BTreeSet<EndpointId>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// It is on disk.
    Done,
    /// Too many messages wait to be sent. Nothing was written.
    Full,
    /// The event came to another account than the device is linked to now. Nothing was written.
    NotOurs,
}

impl SendQueue {
    /// How far the rules of a device have got.
    pub(crate) async fn rules(&self, device: &DeviceName) -> Result<RuleState, StoreError> {
        let key = state_key(device);
        let row = self.readers.run(move |databases| {
            let row = databases.outbox.queue.get(key).map_err(StoreError::database)?;
            row.map_or(Ok(RuleState::default()), |row| from_json(&row))
        });
        row.await
    }

    /// The devices of which something is remembered, and whether their rules were at work.
    pub(crate) async fn ruled(&self) -> Result<Vec<(DeviceName, RuleState)>, StoreError> {
        self.readers
            .run(move |databases| {
                let now = databases.outbox.db.snapshot();
                let mut found = Vec::new();
                for guard in now.prefix(&databases.outbox.queue, *b"r") {
                    let (key, value) = guard.into_inner().map_err(StoreError::database)?;
                    let mut parts = Parts::of(&key);
                    parts.tag();
                    let device = parts.device();
                    let device =
                        device.ok_or_else(|| StoreError::Damaged("a device".to_owned()))?;
                    found.push((device, from_json(&value)?));
                }
                Ok(found)
            })
            .await
    }

    /// What the rules remember of a chat.
    pub(crate) async fn chat_memory(
        &self,
        device: &DeviceName,
        chat: &str,
    ) -> Result<ChatMemory, StoreError> {
        let key = memory_key(device).rest(chat);
        let row = self.readers.run(move |databases| {
            let row = databases.outbox.queue.get(key).map_err(StoreError::database)?;
            row.map_or(Ok(ChatMemory::default()), |row| from_json(&row))
        });
        row.await
    }

    /// Keeps how far the rules have got, where nothing follows from the events.
    pub(crate) async fn save_rules(
        &self,
        device: &DeviceName,
        state: &RuleState,
    ) -> Result<(), StoreError> {
        let (key, row) = (state_key(device), to_row(state)?);
        self.writer
            .run(Promise::Lazy, Room::Essential, move |outbox, txn| {
                txn.put(&outbox.queue, key, row);
                Ok(())
            })
            .await
    }

    /// Does what follows from one event, all or nothing; answers and what is handed over are durable before `Ok`. One that was
    /// given before, under the same id, is not given again.
    pub(crate) async fn step(
        &self,
        device: &DeviceName,
        step: Step,
    ) -> Result<Stepped, StoreError> {
        let (device, nudges) = (device.clone(), self.nudges.clone());
        let (promise, room) = match (step.answers.is_empty(), step.handed.is_empty()) {
            (false, _) => (Promise::Durable, Room::Promise),
            (true, false) => (Promise::Durable, Room::Essential),
            (true, true) => (Promise::Lazy, Room::Essential),
        };
        self.writer
            .run(promise, room, move |outbox, txn| {
                failpoint("rules.before");
                if !account::came_to(outbox, txn, &device, &step.event)? {
                    return Ok(Stepped::NotOurs);
                }
                let waiting = Counts::load(outbox, txn, &device)?.waiting;
                let more = u64::try_from(step.answers.len()).unwrap_or(u64::MAX);
                if more > 0 && waiting.saturating_add(more) > QUEUE_LIMIT as u64 {
                    return Ok(Stepped::Full);
                }
                txn.put(&outbox.queue, state_key(&device), to_row(&step.state)?);
                if let Some((chat, memory)) = &step.memory {
                    txn.put(&outbox.queue, memory_key(&device).rest(chat), to_row(memory)?);
                }
                for endpoint in &step.handed {
                    txn.put(&outbox.queue, handed_key(&device, step.seq, endpoint), Vec::new());
                }
                for answer in step.answers {
                    enqueue_and_nudge(outbox, txn, answer, None, QUEUE_LIMIT, nudges.clone())?;
                }
                txn.after_commit(|| failpoint("rules.after"));
                Ok(Stepped::Done)
            })
            .await
    }

    /// Whether a rule handed that event to the webhook.
    pub(crate) async fn is_handed(
        &self,
        device: &DeviceName,
        seq: Seq,
        endpoint: &EndpointId,
    ) -> Result<bool, StoreError> {
        let key = handed_key(device, seq, endpoint);
        self.readers
            .run(move |databases| {
                databases.outbox.queue.contains_key(key).map_err(StoreError::database)
            })
            .await
    }

    /// Forgets what webhooks were handed of events up to there, which the log has no more; some of it, when there is much.
    pub(crate) async fn purge_handed(
        &self,
        device: &DeviceName,
        dropped: Seq,
    ) -> Result<(), StoreError> {
        let (from, to) = (handed_keys(device), handed_keys(device).number(dropped.0 + 1));
        let old = self.readers.run(move |databases| {
            let now = databases.outbox.db.snapshot();
            let rows = now.range(&databases.outbox.queue, from.into_bytes()..to.into_bytes());
            let key = |guard: fjall::Guard| guard.key().map_err(StoreError::database);
            rows.take(PURGED).map(key).collect::<Result<Vec<_>, _>>()
        });
        let old = old.await?;
        self.remove(old.into_iter().map(|key| key.to_vec()).collect()).await
    }

    async fn remove(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.writer
            .run(Promise::Lazy, Room::Essential, move |outbox, txn| {
                for key in keys {
                    txn.remove(&outbox.queue, key);
                }
                Ok(())
            })
            .await
    }

    /// Forgets the chats in which nothing happened for long; some of them, when there are many.
    pub(crate) async fn purge_memory(&self, device: &DeviceName) -> Result<(), StoreError> {
        let (prefix, before) = (memory_key(device), self.clock.now().before(KEEP));
        let old = self.readers.run(move |databases| {
            let now = databases.outbox.db.snapshot();
            let mut old = Vec::new();
            for guard in now.prefix(&databases.outbox.queue, prefix) {
                let (key, value) = guard.into_inner().map_err(StoreError::database)?;
                let memory: ChatMemory = from_json(&value)?;
                let acted = memory.rules.values().map(|acted| acted.last).max();
                if memory.last_in.max(acted).is_none_or(|last| last < before) {
                    old.push(key.to_vec());
                }
                if old.len() >= PURGED {
                    break;
                }
            }
            Ok(old)
        });
        let old = old.await?;
        self.remove(old).await
    }

    /// Forgets all that the rules of a device remember, durable before `Ok`.
    pub(crate) async fn forget_rules(&self, device: &DeviceName) -> Result<(), StoreError> {
        let device = device.clone();
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| forget(outbox, txn, &device))
            .await
    }
}

fn forget(outbox: &Outbox, txn: &mut Txn<'_>, device: &DeviceName) -> Result<(), StoreError> {
    txn.remove(&outbox.queue, state_key(device));
    for rows in [memory_key(device), handed_keys(device)] {
        for (key, _) in txn.scan(&outbox.queue, rows.as_ref(), usize::MAX)? {
            txn.remove(&outbox.queue, key);
        }
    }
    Ok(())
}

fn state_key(device: &DeviceName) -> Key {
    Key::new(b'r').device(device)
}

fn memory_key(device: &DeviceName) -> Key {
    Key::new(b'x').device(device)
}

fn handed_keys(device: &DeviceName) -> Key {
    Key::new(b'v').device(device)
}

fn handed_key(device: &DeviceName, seq: Seq, endpoint: &EndpointId) -> Key {
    handed_keys(device).number(seq.0).rest(endpoint.as_str())
}
