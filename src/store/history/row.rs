//! A message and a chat as the history keeps them, and where a message is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{
    Body, ChatKind, DeviceName, Jid, MediaData, MessageData, MessageKind, MessageStatus, Person,
    Reply, UnixMillis, path_step,
};
use crate::store::key::{Key, Parts};

/// Where a message is: its time, which one it is among those of its chat, and the number of the chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) time: UnixMillis,
    pub(crate) nth: u32,
    pub(crate) chat: u32,
}

impl Place {
    const BYTES: usize = 16;

    /// After every message there is.
    pub(crate) const END: Self =
        Self { time: UnixMillis::from_millis(u64::MAX), nth: u32::MAX, chat: u32::MAX };

    pub(crate) fn bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let parts = self.time.millis().to_be_bytes().into_iter();
        let parts = parts.chain(self.nth.to_be_bytes()).chain(self.chat.to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let mut parts = Parts::of(bytes);
        let (time, nth, chat) = (parts.number()?, parts.small()?, parts.small()?);
        let time = UnixMillis::from_millis(time);
        parts.rest().is_empty().then_some(Self { time, nth, chat })
    }

    /// As a caller is given it, to go on from there.
    pub(crate) fn cursor(self) -> String {
        data_encoding::HEXLOWER.encode(&self.bytes())
    }

    pub(crate) fn parse(cursor: &str) -> Option<Self> {
        Self::of(&data_encoding::HEXLOWER.decode(cursor.as_bytes()).ok()?)
    }
}

/// Where a message is known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// It came while moonwa was connected, or was written on the phone then.
    #[default]
    Phone,
    /// moonwa sent it.
    Moonwa,
    /// The phone told of it afterwards.
    History,
}

/// What somebody thinks of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reaction {
    pub(crate) emoji: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) from_me: bool,
    /// Who; absent when it was the account itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Person>,
    /// When, as far as it is known: of two of one person the later one counts, whichever is told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<UnixMillis>,
}

/// A message. The names of the fields are short because each message repeats them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any may be true")]
pub(crate) struct Kept {
    #[serde(rename = "i")]
    pub(crate) id: String,
    #[serde(rename = "m", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) from_me: bool,
    /// Who wrote it; absent when moonwa sent it.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Person>,
    #[serde(rename = "k")]
    pub(crate) kind: String,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub(crate) media: Option<MediaData>,
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<Reply>,
    /// What else is needed to pass it on.
    #[serde(rename = "d", skip_serializing_if = "Map::is_empty")]
    pub(crate) details: Map<String, Value>,
    #[serde(rename = "r", skip_serializing_if = "Vec::is_empty")]
    pub(crate) reactions: Vec<Reaction>,
    #[serde(rename = "e", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) edited: bool,
    /// When, as far as it is known.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(crate) edited_at: Option<UnixMillis>,
    /// The account's owner deleted it for themselves: nobody sees it any more.
    #[serde(rename = "h", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hidden: bool,
    #[serde(rename = "x", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
    /// How far one of the account's own got.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    /// Why it failed.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    /// After how many seconds it disappears.
    #[serde(rename = "z", skip_serializing_if = "Option::is_none")]
    pub(crate) disappears_after: Option<u32>,
    #[serde(rename = "o")]
    pub(crate) source: Source,
    /// Who had moonwa send it.
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    /// For people.
    pub(crate) detail: String,
}

impl Failure {
    pub(super) fn of(status: &MessageStatus) -> Option<Self> {
        let MessageStatus::Failed { code, detail } = status else { return None };
        Some(Self { code: code.clone(), detail: detail.clone() })
    }
}

impl Kept {
    /// What an event says of a message.
    pub(crate) fn of(data: &MessageData, source: Source) -> Self {
        let details = match &data.body {
            Body::Location(_) | Body::Contact(_) => data.body.details_in(&data.circumstances),
            _ => Map::new(),
        };
        let media = data.media.clone().map(|media| MediaData { url: String::new(), ..media });
        Self {
            id: data.id.clone(),
            from_me: data.from_me,
            from: Some(data.from.clone()),
            kind: data.kind().as_str().to_owned(),
            text: data.text.clone(),
            media,
            reply_to: data.reply_to.clone(),
            details,
            disappears_after: data.disappears_after,
            source,
            ..Self::default()
        }
    }

    /// The same as an event has it, as far as it is known here.
    pub(crate) fn data(&self, device: &DeviceName, chat: &ChatRow) -> MessageData {
        let kind = MessageKind::from(self.kind.clone());
        let (body, circumstances) = Body::read(kind, self.details.clone());
        let address = chat.address();
        let nobody = || Person { jid: address.to_owned(), phone: None, lid: None, name: None };
        MessageData {
            id: self.id.clone(),
            chat: address.to_owned(),
            chat_kind: Some(chat.kind),
            from: self.from.clone().unwrap_or_else(nobody),
            from_me: self.from_me,
            group: (chat.kind == ChatKind::Group).then(|| address.to_owned()),
            body,
            text: self.text.clone(),
            mentions: Vec::new(),
            mentioned: Vec::new(),
            reply_to: self.reply_to.clone(),
            disappears_after: self.disappears_after,
            media: self.file(device),
            circumstances,
            truncated: false,
        }
    }

    /// Its file, with the path under which moonwa serves it.
    pub(crate) fn file(&self, device: &DeviceName) -> Option<MediaData> {
        let url = format!("/v1/devices/{device}/media/{}", path_step(&self.id));
        self.media.clone().map(|media| MediaData { url, ..media })
    }

    /// Whether it was deleted here or has disappeared, when it came at that time.
    pub(crate) fn is_gone(&self, time: UnixMillis, now: UnixMillis) -> bool {
        let after = |seconds: u32| std::time::Duration::from_secs(u64::from(seconds));
        let over = |seconds: u32| time.after(after(seconds)) <= now;
        self.hidden || self.disappears_after.is_some_and(over)
    }

    /// Whether another one under the same id in the same chat is this one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.from, &other.from) {
            (Some(one), Some(two)) if !self.from_me => is_same_person(one, two),
            _ => true,
        };
        self.id == other.id && self.from_me == other.from_me && same
    }

    /// Takes a reaction, or takes it back.
    pub(crate) fn react(&mut self, reaction: Reaction) {
        if self.deleted {
            return;
        }
        let same = |known: &Reaction| match (&known.from, &reaction.from) {
            (Some(one), Some(two)) => is_same_person(one, two),
            (one, two) => one.is_none() && two.is_none(),
        };
        if self.reactions.iter().any(|known| same(known) && is_older(reaction.at, known.at)) {
            return;
        }
        self.reactions.retain(|known| !same(known));
        // One that was taken back stays as nothing, so that an older one that is told later does not come back.
        if !reaction.emoji.is_empty() || reaction.at.is_some() {
            self.reactions.push(reaction);
        }
        let jid = |one: &Reaction| one.from.as_ref().map(|from| from.jid.clone());
        self.reactions.sort_by_cached_key(|one| (one.at, jid(one)));
    }

    /// Takes a new text.
    pub(crate) fn reword(&mut self, text: Option<String>, at: Option<UnixMillis>) {
        if !self.deleted && !is_older(at, self.edited_at) {
            self.text = text;
            self.edited = true;
            self.edited_at = at;
        }
    }

    /// Takes what it said away.
    pub(crate) fn delete(&mut self) {
        self.deleted = true;
        (self.edited, self.edited_at) = (false, None);
        self.text = None;
        self.media = None;
        self.details = Map::new();
        self.reactions.clear();
    }

    /// Takes it out of sight.
    pub(crate) fn hide(&mut self) {
        self.delete();
        self.hidden = true;
    }
}

/// Whether something was said before something else that is known.
pub(super) fn is_older(at: Option<UnixMillis>, known: Option<UnixMillis>) -> bool {
    at.is_some_and(|at| known.is_some_and(|known| at < known))
}

pub(super) fn is_same_person(one: &Person, two: &Person) -> bool {
    let same = |one: &Option<String>, two: &Option<String>| one.is_some() && one == two;
    same(&one.lid, &two.lid) || same(&one.phone, &two.phone) || one.jid == two.jid
}

/// A chat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ChatRow {
    /// The numbers under which its messages are: more than one when two chats turned out to be one person's.
    pub(crate) numbers: Vec<u32>,
    /// Every address it is known under.
    pub(crate) addresses: Vec<String>,
    pub(crate) kind: ChatKind,
    /// What the person calls themselves, or how the group is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// How the account's owner has them in the phone's contacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saved: Option<String>,
    pub(crate) unread: u32,
    /// Up to here everything was read.
    pub(crate) read: Place,
    pub(crate) newest: Place,
    /// How many messages it had, which orders those of the same moment.
    pub(crate) count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pinned: Option<bool>,
    /// Until when it is muted; the greatest time means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) muted_until: Option<UnixMillis>,
}

impl ChatRow {
    /// The address of a person's phone where it is known.
    pub(crate) fn address(&self) -> &str {
        let phone = self.addresses.iter().find(|address| address.ends_with("@s.whatsapp.net"));
        phone.or(self.addresses.first()).map_or("", String::as_str)
    }

    fn user(&self, server: &str) -> Option<String> {
        let jids = self.addresses.iter().filter_map(|address| Jid::parse(address).ok());
        jids.into_iter().find(|jid| jid.server() == server).map(|jid| jid.user().to_owned())
    }

    pub(crate) fn phone(&self) -> Option<String> {
        self.user("s.whatsapp.net")
    }

    pub(crate) fn lid(&self) -> Option<String> {
        self.user("lid")
    }

    /// What people call it.
    pub(crate) fn called(&self) -> Option<&str> {
        self.saved.as_deref().or(self.name.as_deref())
    }
}

/// What is kept of a device itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DeviceRow {
    /// How often it was linked to another account: each one has chats of its own.
    pub(crate) account: u32,
    /// The number of the next chat.
    pub(crate) next: u32,
}

pub(super) fn device_key(device: &DeviceName) -> Key {
    Key::new(b'G').device(device)
}

pub(super) fn chat_key(device: &DeviceName, account: u32, chat: u32) -> Key {
    Key::new(b'C').device(device).small(account).small(chat)
}

pub(super) fn address_key(device: &DeviceName, account: u32, address: &str) -> Key {
    Key::new(b'A').device(device).small(account).rest(address)
}

/// The chats of an account, the one with the newest message first.
pub(super) fn order_prefix(device: &DeviceName, account: u32) -> Key {
    Key::new(b'O').device(device).small(account)
}

pub(super) fn order_key(device: &DeviceName, account: u32, newest: Place, chat: u32) -> Key {
    order_prefix(device, account).number(u64::MAX - newest.time.millis()).small(chat)
}

pub(super) fn messages_prefix(device: &DeviceName, chat: u32) -> Key {
    Key::new(b'M').device(device).small(chat)
}

pub(super) fn message_key(device: &DeviceName, place: Place) -> Key {
    messages_prefix(device, place.chat).number(place.time.millis()).small(place.nth)
}

pub(super) fn id_key(device: &DeviceName, id: &str) -> Key {
    Key::new(b'I').device(device).number(xxhash_rust::xxh3::xxh3_64(id.as_bytes()))
}

/// What was said of a message that has not come yet.
pub(super) fn waiting_key(device: &DeviceName, account: u32, id: &str) -> Key {
    let hash = xxhash_rust::xxh3::xxh3_64(id.as_bytes());
    Key::new(b'P').device(device).small(account).number(hash)
}

/// Where the places of a word's messages are, the newest first. No word has a 0 in it.
pub(super) fn word_prefix(device: &DeviceName, word: &str) -> Key {
    Key::new(b'W').device(device).rest(word).rest([0])
}

pub(super) fn word_key(device: &DeviceName, word: &str, place: Place) -> Key {
    word_prefix(device, word).rest(place.bytes().map(|byte| !byte))
}

/// The place at the end of a word's key.
pub(super) fn word_place(key: &[u8]) -> Option<Place> {
    let bytes: [u8; Place::BYTES] = *key.last_chunk()?;
    Place::of(&bytes.map(|byte| !byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_sort_by_time_and_survive_their_cursor() {
        let place = |time, nth, chat| Place { time: UnixMillis::from_millis(time), nth, chat };
        let all = [place(1, 9, 9), place(2, 1, 9), place(2, 2, 1), Place::END];
        assert!(all.is_sorted());
        assert!(all.map(Place::bytes).is_sorted());
        for place in all {
            assert_eq!(Place::parse(&place.cursor()), Some(place));
        }
        for bad in ["", "00", "zz", &"0".repeat(34)] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
        let toko = DeviceName::parse("toko").unwrap();
        let key = word_key(&toko, "kopi", all[1]);
        assert_eq!(word_place(key.as_ref()), Some(all[1]));
        let newer = word_key(&toko, "kopi", all[2]);
        assert!(newer < key, "the newest is first");
    }

    #[test]
    fn each_person_has_one_reaction() {
        let from = |phone: &str| {
            let (jid, phone) = (format!("{phone}@s.whatsapp.net"), Some(phone.to_owned()));
            Some(Person { jid, phone, lid: None, name: None })
        };
        let reaction = |emoji: &str, from: Option<Person>| Reaction {
            emoji: emoji.to_owned(),
            from_me: from.is_none(),
            from,
            at: None,
        };
        let mut kept = Kept::default();
        for (emoji, who) in [("👍", from("1")), ("❤", None), ("😀", from("1")), ("🙏", from("2"))]
        {
            kept.react(reaction(emoji, who));
        }
        let emoji = |kept: &Kept| -> Vec<String> {
            kept.reactions.iter().map(|reaction| reaction.emoji.clone()).collect()
        };
        assert_eq!(emoji(&kept), ["❤", "😀", "🙏"]);
        kept.react(reaction("", None));
        assert_eq!(emoji(&kept), ["😀", "🙏"]);
    }
}
