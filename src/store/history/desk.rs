//! What a transaction does with the history of one device.

use std::sync::Arc;

use super::part::{forget, grew};
use super::row::{
    ChatRow, DeviceRow, Failure, Kept, Place, address_key, chat_key, device_key, id_key,
    message_key, messages_prefix, order_key, word_key,
};
use super::state::{Kept as Keeps, Part};
use super::words::words;
use crate::model::{ChatKind, DeviceName, MessageStatus, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::json::{from_json, to_row};
use crate::store::key::{Key, Parts};

/// Messages that are looked at to find out how many are unread.
const COUNTED: usize = 1_000;

/// One device's history, within a transaction.
pub(super) struct Desk<'a, 't, 'g> {
    pub(super) outbox: &'a Arc<Outbox>,
    pub(super) txn: &'t mut Txn<'g>,
    pub(super) keeps: Arc<Keeps>,
    pub(super) device: &'a DeviceName,
    row: DeviceRow,
}

/// A chat and its number.
#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub(super) number: u32,
    pub(super) row: ChatRow,
    /// Where it stands in the order, when it stands there.
    listed: Option<Place>,
}

/// A message and where it is.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) kept: Kept,
    part: Part,
}

impl<'a, 't, 'g> Desk<'a, 't, 'g> {
    /// `None` when no history is kept.
    pub(super) fn open(
        outbox: &'a Arc<Outbox>,
        txn: &'t mut Txn<'g>,
        device: &'a DeviceName,
    ) -> Result<Option<Self>, StoreError> {
        let Some(keeps) = outbox.history.get() else { return Ok(None) };
        let row = txn.get(&keeps.base, device_key(device))?;
        let row = row.map_or(Ok(DeviceRow::default()), |row| from_json(&row))?;
        Ok(Some(Self { outbox, txn, keeps, device, row }))
    }

    /// The device is linked to another account: its chats are others from now on.
    pub(super) fn turn(&mut self) -> Result<(), StoreError> {
        self.row.account += 1;
        self.save_device()
    }

    pub(super) fn account(&self) -> u32 {
        self.row.account
    }

    fn save_device(&mut self) -> Result<(), StoreError> {
        self.put(device_key(self.device), to_row(&self.row)?);
        Ok(())
    }

    fn put(&mut self, key: Key, value: Vec<u8>) {
        self.txn.put(&self.keeps.base, key, value);
    }

    /// The chat with one of these addresses; it has all of them then. `None` when there is none of that address.
    pub(super) fn known(&mut self, addresses: &[String]) -> Result<Option<Chat>, StoreError> {
        let mut found: Vec<Chat> = Vec::new();
        for address in addresses {
            let key = address_key(self.device, self.row.account, address);
            let Some(number) = self.txn.get(&self.keeps.base, key)? else { continue };
            let number = Parts::of(&number).small();
            let number = number.ok_or_else(|| StoreError::Damaged("a chat's number".to_owned()))?;
            if !found.iter().any(|chat| chat.number == number) {
                found.extend(self.chat(number)?);
            }
        }
        let mut rest = found.into_iter();
        let Some(mut chat) = rest.next() else { return Ok(None) };
        for other in rest {
            self.merge(&mut chat, other)?;
        }
        for address in addresses {
            self.name(&mut chat, address);
        }
        Ok(Some(chat))
    }

    /// The same, made if it is not there yet.
    pub(super) fn made(
        &mut self,
        addresses: &[String],
        kind: ChatKind,
    ) -> Result<Chat, StoreError> {
        if let Some(chat) = self.known(addresses)? {
            return Ok(chat);
        }
        self.row.next += 1;
        let number = self.row.next;
        self.save_device()?;
        let row = ChatRow { numbers: vec![number], kind, ..ChatRow::default() };
        let mut chat = Chat { number, row, listed: None };
        for address in addresses {
            self.name(&mut chat, address);
        }
        Ok(chat)
    }

    fn name(&mut self, chat: &mut Chat, address: &str) {
        if !chat.row.addresses.iter().any(|known| known == address) {
            chat.row.addresses.push(address.to_owned());
            let key = address_key(self.device, self.row.account, address);
            self.put(key, chat.number.to_be_bytes().to_vec());
        }
    }

    fn chat(&mut self, number: u32) -> Result<Option<Chat>, StoreError> {
        let key = chat_key(self.device, self.row.account, number);
        let Some(row) = self.txn.get(&self.keeps.base, key)? else { return Ok(None) };
        let row: ChatRow = from_json(&row)?;
        Ok(Some(Chat { number, listed: Some(row.newest), row }))
    }

    /// Two chats turn out to be with one person.
    fn merge(&mut self, chat: &mut Chat, other: Chat) -> Result<(), StoreError> {
        forget(&self.keeps, self.txn, (self.device, self.row.account), other.number)?;
        let row = &mut chat.row;
        row.numbers.extend(other.row.numbers);
        row.name = row.name.take().or(other.row.name);
        row.saved = row.saved.take().or(other.row.saved);
        row.unread += other.row.unread;
        row.read = row.read.max(other.row.read);
        row.newest = row.newest.max(other.row.newest);
        row.count = row.count.max(other.row.count);
        row.archived = row.archived.or(other.row.archived);
        row.pinned = row.pinned.or(other.row.pinned);
        row.muted_until = row.muted_until.or(other.row.muted_until);
        for address in other.row.addresses {
            self.name(chat, &address);
        }
        Ok(())
    }

    /// Writes a chat, and where it stands among the others.
    pub(super) fn save(&mut self, chat: &Chat) -> Result<(), StoreError> {
        let (account, number, newest) = (self.row.account, chat.number, chat.row.newest);
        if chat.listed.is_none_or(|listed| listed.time != newest.time) {
            if let Some(listed) = chat.listed {
                let old = order_key(self.device, account, listed, number);
                self.txn.remove(&self.keeps.base, old);
            }
            self.put(order_key(self.device, account, newest, number), Vec::new());
        }
        let row = to_row(&chat.row)?;
        self.put(chat_key(self.device, account, number), row);
        Ok(())
    }

    pub(super) fn delete(&mut self, chat: &Chat) -> Result<(), StoreError> {
        // It may not be written yet under each of its addresses.
        self.save(chat)?;
        forget(&self.keeps, self.txn, (self.device, self.row.account), chat.number)
    }

    /// The messages under an id, in every chat of the account or in that one.
    pub(super) fn find(&mut self, id: &str, chat: Option<&Chat>) -> Result<Vec<Found>, StoreError> {
        let key = id_key(self.device, id);
        let mut found = Vec::new();
        for part in self.keeps.parts() {
            let Some(places) = self.txn.get(&part.rows, &key)? else { continue };
            for place in places.chunks(16).filter_map(Place::of) {
                if chat.is_some_and(|chat| !chat.row.numbers.contains(&place.chat)) {
                    continue;
                }
                let Some(row) = self.txn.get(&part.rows, message_key(self.device, place))? else {
                    continue;
                };
                let kept: Kept = from_json(&row)?;
                if kept.id == id {
                    found.push(Found { place, kept, part: part.clone() });
                }
            }
        }
        Ok(found)
    }

    /// The chat of which a message is.
    pub(super) fn chat_of(&mut self, place: Place) -> Result<Option<Chat>, StoreError> {
        if let Some(chat) = self.chat(place.chat)? {
            return Ok(Some(chat));
        }
        // It may have been merged into another one, which has its number.
        let prefix = Key::new(b'C').device(self.device).small(self.row.account);
        for (key, row) in self.txn.scan(&self.keeps.base, prefix.as_ref(), usize::MAX)? {
            let row: ChatRow = from_json(&row)?;
            if row.numbers.contains(&place.chat) {
                let number = Parts::of(key.get(prefix.as_ref().len()..).unwrap_or_default());
                let number = { number }.small().unwrap_or_default();
                return Ok(Some(Chat { number, listed: Some(row.newest), row }));
            }
        }
        Ok(None)
    }

    /// Puts a message in its chat, unless it is there or too old. Says where it is now.
    pub(super) fn insert(
        &mut self,
        chat: &mut Chat,
        time: UnixMillis,
        mut kept: Kept,
    ) -> Result<Option<Place>, StoreError> {
        if time < self.keeps.limits().horizon() {
            return Ok(None);
        }
        let known = self.find(&kept.id, Some(chat))?;
        if known.iter().any(|known| known.kept.is_same(&kept)) {
            return Ok(None);
        }
        self.catch_up(chat, &mut kept)?;
        chat.row.count += 1;
        let place = Place { time, nth: chat.row.count, chat: chat.number };
        let part = self.keeps.clone().part(self.outbox, self.txn, time)?;
        let id = id_key(self.device, &kept.id);
        let places = self.txn.get(&part.rows, &id)?.unwrap_or_default();
        let places = [&places[..], &place.bytes()].concat();
        let mut size = id.as_ref().len() + places.len();
        self.txn.put(&part.rows, id, places);
        size += self.write(&part, place, &kept)?;
        grew(self.outbox, self.txn, &part, size)?;
        chat.row.newest = chat.row.newest.max(place);
        Ok(Some(place))
    }

    /// Writes a message that has changed.
    pub(super) fn change(&mut self, found: &Found) -> Result<(), StoreError> {
        let key = message_key(self.device, found.place);
        let before = self.txn.get(&found.part.rows, key)?.map_or(0, |row| row.len());
        let size = self.write(&found.part, found.place, &found.kept)?;
        grew(self.outbox, self.txn, &found.part, size.saturating_sub(before))
    }

    fn write(&mut self, part: &Part, place: Place, kept: &Kept) -> Result<usize, StoreError> {
        let (key, row) = (message_key(self.device, place), to_row(kept)?);
        let mut size = key.as_ref().len() + row.len();
        self.txn.put(&part.rows, key, row);
        for word in words(kept.text.as_deref().unwrap_or_default()) {
            let key = word_key(self.device, &word, place);
            if self.txn.get(&part.rows, &key)?.is_none() {
                size += key.as_ref().len();
                self.txn.put(&part.rows, key, Vec::new());
            }
        }
        Ok(size)
    }

    /// Everything in the chat was read up to that place.
    pub(super) fn read(&mut self, chat: &mut Chat, up_to: Place) -> Result<(), StoreError> {
        chat.row.read = chat.row.read.max(up_to);
        if chat.row.unread == 0 || chat.row.newest <= chat.row.read {
            chat.row.unread = 0;
            return Ok(());
        }
        let mut unread = 0;
        let read = chat.row.read;
        for part in self.keeps.parts().iter().filter(|part| part.to > read.time) {
            for number in &chat.row.numbers {
                let prefix = messages_prefix(self.device, *number);
                let from = prefix.clone().number(read.time.millis());
                let after = from.clone().small(read.nth).into_bytes();
                let from = from.into_bytes();
                let rows = self.txn.scan_from(&part.rows, prefix.as_ref(), &from, COUNTED)?;
                for (_, row) in rows.into_iter().filter(|(key, _)| *key > after) {
                    let kept: Kept = from_json(&row)?;
                    unread += u32::from(!kept.from_me && !kept.hidden);
                }
            }
        }
        chat.row.unread = unread.min(chat.row.unread);
        Ok(())
    }
}

/// The newest of those.
pub(super) fn newest(found: Vec<Found>) -> Option<Found> {
    found.into_iter().max_by_key(|found| found.place)
}

/// Notes a status, if it is progress.
pub(super) fn advance(
    desk: &mut Desk<'_, '_, '_>,
    mut found: Found,
    status: &MessageStatus,
) -> Result<(), StoreError> {
    // From its first to its last one; it may fail until it is delivered.
    const ORDER: [&str; 7] =
        ["queued", "sent", "accepted", "failed", "delivered", "read", "played"];
    let rank = |word: &str| ORDER.iter().position(|known| *known == word);
    let known = found.kept.status.as_deref().and_then(rank);
    if known >= rank(status.as_str()) {
        return Ok(());
    }
    found.kept.status = Some(status.as_str().to_owned());
    found.kept.failure = Failure::of(status);
    desk.change(&found)
}
