//! Reading the history: one device's, at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use fjall::{Keyspace, Readable, Slice, Snapshot};

use super::part::{Kept as Keeps, Part};
use super::row::{
    ChatRow, DeviceRow, Kept, Place, address_key, chat_key, device_key, id_key, message_key,
    messages_prefix, order_prefix, word_place, word_prefix,
};
use super::words;
use crate::model::{DeviceName, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::json::from_json;
use crate::store::key::{Key, Parts, after_prefix};

/// Places of one word that are looked at together.
const STEP: usize = 256;
/// Places that one search looks at before it says how to go on.
const SEARCHED: usize = 10_000;
/// Words that may begin as the last one of a search does.
const BEGINNINGS: usize = 64;

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
    now: Snapshot,
    parts: Vec<Part>,
    device: &'a DeviceName,
    account: u32,
    horizon: UnixMillis,
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

    fn message(&self, part: &Part, place: Place) -> Result<Option<Message>, StoreError> {
        if place.time < self.horizon {
            return Ok(None);
        }
        let Some(row) = self.get(&part.rows, message_key(self.device, place))? else {
            return Ok(None);
        };
        let kept: Kept = from_json(&row)?;
        Ok((!kept.is_gone(place.time, self.time)).then_some(Message { place, kept }))
    }

    /// The messages that have all the words, newest first, each with its chat.
    pub(super) fn search(
        &self,
        query: &str,
        chat: Option<&ChatRow>,
        before: Place,
        limit: usize,
    ) -> Result<Leaf<(Message, ChatRow)>, StoreError> {
        let (wanted, open) = words::wanted(query);
        let mut leaf: Leaf<(Message, ChatRow)> = Leaf::empty();
        let (mut chats, mut searched) = (Chats::default(), 0);
        // The longest word is the rarest, as a rule. One that is only begun may be many.
        let whole = wanted.iter().take(wanted.len() - usize::from(open && !wanted.is_empty()));
        let driver = whole.max_by_key(|word| word.len());
        for group in groups(&self.parts, before) {
            let mut end = before;
            loop {
                let (places, horizon) = self.places(group, (driver, wanted.last()), end)?;
                for (part, place) in places {
                    searched += 1;
                    if horizon.is_some_and(|horizon| place < horizon) {
                        break;
                    }
                    if chat.is_some_and(|chat| !chat.numbers.contains(&place.chat)) {
                        continue;
                    }
                    let Some(message) = self.message(part, place)? else { continue };
                    let text = message.kept.text.as_deref().unwrap_or_default();
                    if !words::has(text, &wanted, open) {
                        continue;
                    }
                    let Some(chat) = chats.of(self, place.chat)? else { continue };
                    if leaf.items.len() >= limit {
                        leaf.next = leaf.items.last().map(|(last, _)| last.place);
                        return Ok(leaf);
                    }
                    leaf.items.push((message, chat));
                }
                let Some(horizon) = horizon.filter(|horizon| horizon.time >= self.horizon) else {
                    break;
                };
                if searched > SEARCHED {
                    leaf.next = Some(horizon);
                    return Ok(leaf);
                }
                end = horizon;
            }
        }
        Ok(leaf)
    }

    /// Where in these parts one of the words is: the newest places before `end`, and the one from which on there may be more.
    fn places<'p>(
        &self,
        parts: &'p [Part],
        (driver, begun): (Option<&String>, Option<&String>),
        end: Place,
    ) -> Result<(Vec<(&'p Part, Place)>, Option<Place>), StoreError> {
        let (mut places, mut horizon) = (Vec::new(), None);
        for part in parts {
            let driving = match (driver, begun) {
                (Some(word), _) => vec![word.clone()],
                (None, Some(begun)) => self.beginning(part, begun)?,
                (None, None) => Vec::new(),
            };
            for word in driving {
                let prefix = word_prefix(self.device, &word);
                let from = super::row::word_key(self.device, &word, end).into_bytes();
                let Some(to) = after_prefix(prefix.as_ref()) else { continue };
                let mut taken = 0;
                for guard in self.now.range(&part.rows, from..to) {
                    let key = guard.key().map_err(StoreError::database)?;
                    let Some(place) = word_place(&key) else { continue };
                    if place >= end {
                        continue;
                    }
                    places.push((part, place));
                    taken += 1;
                    if taken >= STEP {
                        horizon = horizon.max(Some(place));
                        break;
                    }
                }
            }
        }
        places.sort_by_key(|(_, place)| std::cmp::Reverse(*place));
        places.dedup_by_key(|(_, place)| *place);
        Ok((places, horizon))
    }

    /// The words of a part that begin so.
    fn beginning(&self, part: &Part, begun: &str) -> Result<Vec<String>, StoreError> {
        let device = Key::new(b'W').device(self.device);
        let prefix = device.clone().rest(begun).into_bytes();
        let Some(to) = after_prefix(&prefix) else { return Ok(Vec::new()) };
        let (mut from, mut found) = (prefix, Vec::new());
        while found.len() < BEGINNINGS
            && let Some(guard) = self.now.range(&part.rows, from.clone()..to.clone()).next()
        {
            let key = guard.key().map_err(StoreError::database)?;
            let word = key.get(device.as_ref().len()..).unwrap_or_default();
            let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
            // After every place of this word.
            from = device.clone().rest(word).rest([1]).into_bytes();
            found.extend(String::from_utf8(word.to_vec()).ok());
        }
        Ok(found)
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

/// The parts whose times lie within one another belong together, the newest first.
fn groups(parts: &[Part], before: Place) -> Vec<&[Part]> {
    let skipped = parts.iter().take_while(|part| part.from > before.time).count();
    let mut rest = parts.get(skipped..).unwrap_or_default();
    let mut groups = Vec::new();
    while let Some(first) = rest.first() {
        let (mut from, mut size) = (first.from, 1);
        while let Some(next) = rest.get(size).filter(|next| next.to > from) {
            from = from.min(next.from);
            size += 1;
        }
        let (group, others) = rest.split_at(size.min(rest.len()));
        groups.push(group);
        rest = others;
    }
    groups
}

/// The chats of numbers that were looked up.
#[derive(Default)]
struct Chats {
    known: BTreeMap<u32, Option<ChatRow>>,
    /// Chats that have more numbers than their own.
    merged: Option<BTreeMap<u32, ChatRow>>,
}

impl Chats {
    fn of(&mut self, look: &Look<'_>, number: u32) -> Result<Option<ChatRow>, StoreError> {
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
