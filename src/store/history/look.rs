//! Reading the history: one device's, at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use fjall::{Keyspace, Readable, Slice, Snapshot};

use super::row::{
    ChatRow, DeviceRow, Kept, Place, address_key, chat_key, device_key, id_key, message_key,
    messages_prefix, order_prefix,
};
use super::state::{Kept as Keeps, Part};
use crate::model::{DeviceName, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::json::from_json;
use crate::store::key::{Key, Parts, after_prefix};

/// Part of a list, and where it goes on; `None` when that was all.
#[derive(Clone, Debug)]
pub(crate) struct Leaf<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<Place>,
}

/// A message with its place.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) place: Place,
    pub(crate) kept: Kept,
}

/// A chat with its newest message.
#[derive(Clone, Debug)]
pub(crate) struct ChatView {
    pub(crate) row: ChatRow,
    pub(crate) newest: Message,
}

pub(super) struct Look<'a> {
    keeps: Arc<Keeps>,
    pub(super) now: Snapshot,
    pub(super) parts: Vec<Part>,
    pub(super) device: &'a DeviceName,
    account: u32,
    pub(super) horizon: UnixMillis,
    time: UnixMillis,
}

impl<'a> Look<'a> {
    /// `None` when no history is kept.
    pub(super) fn open(
        outbox: &Outbox,
        device: &'a DeviceName,
    ) -> Result<Option<Self>, StoreError> {
        let Some(keeps) = outbox.history.get() else { return Ok(None) };
        let now = outbox.db.snapshot();
        let (parts, horizon, time) = (keeps.parts(), keeps.limits().horizon(), UnixMillis::now());
        let mut look = Self { keeps, now, parts, device, account: 0, horizon, time };
        let row = look.get(&look.keeps.base, device_key(device))?;
        let row = row.map_or(Ok(DeviceRow::default()), |row| from_json(&row))?;
        look.account = row.account;
        Ok(Some(look))
    }

    fn get(&self, rows: &Keyspace, key: Key) -> Result<Option<Slice>, StoreError> {
        self.now.get(rows, key).map_err(StoreError::database)
    }

    fn chat(&self, number: u32) -> Result<Option<ChatRow>, StoreError> {
        let row = self.get(&self.keeps.base, chat_key(self.device, self.account, number))?;
        row.map(|row| from_json(&row)).transpose()
    }

    /// The chat of that address.
    pub(super) fn known(&self, address: &str) -> Result<Option<ChatRow>, StoreError> {
        let key = address_key(self.device, self.account, address);
        let Some(number) = self.get(&self.keeps.base, key)? else { return Ok(None) };
        Parts::of(&number).small().map_or(Ok(None), |number| self.chat(number))
    }

    /// The chats with the newest messages before that place, newest first.
    pub(super) fn chats(
        &self,
        before: Place,
        limit: usize,
        unread: bool,
    ) -> Result<Leaf<ChatView>, StoreError> {
        let prefix = order_prefix(self.device, self.account);
        let from = prefix.clone().number(u64::MAX - before.time.millis()).small(before.chat);
        let Some(to) = after_prefix(prefix.as_ref()) else { return Ok(Leaf::empty()) };
        let mut items: Vec<ChatView> = Vec::new();
        let mut last = None;
        for guard in self.now.range(&self.keeps.base, from.into_bytes()..to) {
            let key = guard.key().map_err(StoreError::database)?;
            let mut parts = Parts::of(key.get(prefix.as_ref().len()..).unwrap_or_default());
            let (Some(time), Some(number)) = (parts.number(), parts.small()) else { continue };
            let time = UnixMillis::from_millis(u64::MAX - time);
            let place = Place { time, nth: 0, chat: number };
            if (place.time, place.chat) == (before.time, before.chat) {
                continue;
            }
            if time < self.horizon {
                break;
            }
            if items.len() >= limit {
                return Ok(Leaf { items, next: last });
            }
            last = Some(place);
            let Some(row) = self.chat(number)? else { continue };
            if unread && row.unread == 0 {
                continue;
            }
            let mut newest = self.messages(&row, Place::END, 1)?.items;
            if let Some(newest) = newest.pop() {
                items.push(ChatView { row, newest });
            }
        }
        Ok(Leaf { items, next: None })
    }

    /// The newest messages of a chat before that place, newest first.
    pub(super) fn messages(
        &self,
        chat: &ChatRow,
        before: Place,
        limit: usize,
    ) -> Result<Leaf<Message>, StoreError> {
        let mut items: Vec<Message> = Vec::new();
        let mut parts = self.parts.iter().filter(|part| part.from <= before.time).peekable();
        while let Some(part) = parts.next() {
            for number in &chat.numbers {
                self.newest_in(part, *number, before, limit, &mut items)?;
            }
            // The parts after it may hold messages of the same times.
            let older = parts.peek().map_or(UnixMillis::default(), |next| next.to);
            let sure = items.iter().filter(|message| message.place.time >= older).count();
            if sure > limit {
                break;
            }
        }
        items.sort_by_key(|message| std::cmp::Reverse(message.place));
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|message| message.place);
        Ok(Leaf { items, next })
    }

    /// The oldest message of a chat.
    pub(super) fn oldest(&self, chat: &ChatRow) -> Result<Option<Message>, StoreError> {
        let mut oldest: Option<Message> = None;
        for part in self.parts.iter().rev() {
            // The parts after it may hold messages of the same times.
            if oldest.as_ref().is_some_and(|oldest| oldest.place.time < part.from) {
                break;
            }
            for number in &chat.numbers {
                let prefix = messages_prefix(self.device, *number);
                let Some(guard) = self.now.prefix(&part.rows, prefix.as_ref()).next() else {
                    continue;
                };
                let (key, row) = guard.into_inner().map_err(StoreError::database)?;
                let mut parts = Parts::of(key.get(prefix.as_ref().len()..).unwrap_or_default());
                let (Some(time), Some(nth)) = (parts.number(), parts.small()) else { continue };
                let time = UnixMillis::from_millis(time);
                let place = Place { time, nth, chat: *number };
                if oldest.as_ref().is_none_or(|oldest| place < oldest.place) {
                    oldest = Some(Message { place, kept: from_json(&row)? });
                }
            }
        }
        Ok(oldest)
    }

    /// One more than the limit, if there are as many.
    fn newest_in(
        &self,
        part: &Part,
        number: u32,
        before: Place,
        limit: usize,
        items: &mut Vec<Message>,
    ) -> Result<(), StoreError> {
        let prefix = messages_prefix(self.device, number);
        let from = prefix.clone().number(self.horizon.millis()).into_bytes();
        let end = Place { chat: number, ..before };
        // Of two chats that are one now, both may have a message of this place.
        let end = if number < before.chat { end.after() } else { end };
        let to = message_key(self.device, end).into_bytes();
        if from >= to {
            return Ok(());
        }
        let mut taken = 0;
        for guard in self.now.range(&part.rows, from..to).rev() {
            let (key, row) = guard.into_inner().map_err(StoreError::database)?;
            let mut parts = Parts::of(key.get(prefix.as_ref().len()..).unwrap_or_default());
            let (Some(time), Some(nth)) = (parts.number(), parts.small()) else { continue };
            let place = Place { time: UnixMillis::from_millis(time), nth, chat: number };
            let kept: Kept = from_json(&row)?;
            if kept.is_gone(place.time, self.time) {
                continue;
            }
            items.push(Message { place, kept });
            taken += 1;
            if taken > limit {
                break;
            }
        }
        Ok(())
    }

    /// The messages of the account under an id, newest first, each with its chat.
    pub(super) fn find(&self, id: &str) -> Result<Vec<(Message, ChatRow)>, StoreError> {
        let mut found = Vec::new();
        let mut chats = Chats::default();
        for part in &self.parts {
            let Some(places) = self.get(&part.rows, id_key(self.device, id))? else { continue };
            for place in places.chunks(16).filter_map(Place::of) {
                let Some(message) = self.message(part, place)? else { continue };
                if message.kept.id == id
                    && let Some(chat) = chats.of(self, place.chat)?
                {
                    found.push((message, chat));
                }
            }
        }
        found.sort_by_key(|(message, _)| std::cmp::Reverse(message.place));
        Ok(found)
    }

    pub(super) fn message(&self, part: &Part, place: Place) -> Result<Option<Message>, StoreError> {
        if place.time < self.horizon {
            return Ok(None);
        }
        let Some(row) = self.get(&part.rows, message_key(self.device, place))? else {
            return Ok(None);
        };
        let kept: Kept = from_json(&row)?;
        Ok((!kept.is_gone(place.time, self.time)).then_some(Message { place, kept }))
    }
}

impl Place {
    /// The next one of its chat.
    fn after(self) -> Self {
        match self.nth.checked_add(1) {
            Some(nth) => Self { nth, ..self },
            None => self,
        }
    }
}

impl<T> Leaf<T> {
    pub(super) fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

/// The chats of numbers that were looked up.
#[derive(Default)]
pub(super) struct Chats {
    known: BTreeMap<u32, Option<ChatRow>>,
    /// Chats that have more numbers than their own.
    merged: Option<BTreeMap<u32, ChatRow>>,
}

impl Chats {
    pub(super) fn of(
        &mut self,
        look: &Look<'_>,
        number: u32,
    ) -> Result<Option<ChatRow>, StoreError> {
        if let Some(known) = self.known.get(&number) {
            return Ok(known.clone());
        }
        let chat = match look.chat(number)? {
            Some(chat) => Some(chat),
            None => self.merged(look)?.get(&number).cloned(),
        };
        self.known.insert(number, chat.clone());
        Ok(chat)
    }

    fn merged(&mut self, look: &Look<'_>) -> Result<&BTreeMap<u32, ChatRow>, StoreError> {
        let merged = match self.merged.take() {
            Some(merged) => merged,
            None => {
                let mut merged = BTreeMap::new();
                let prefix = Key::new(b'C').device(look.device).small(look.account);
                for guard in look.now.prefix(&look.keeps.base, prefix.into_bytes()) {
                    let row = guard.value().map_err(StoreError::database)?;
                    let row: ChatRow = from_json(&row)?;
                    if row.numbers.len() > 1 {
                        merged.extend(row.numbers.iter().map(|number| (*number, row.clone())));
                    }
                }
                merged
            }
        };
        Ok(self.merged.insert(merged))
    }
}
