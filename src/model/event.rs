//! Something that happened to a device, as webhooks and event streams report it. The id is computed from what
//! WhatsApp says of the event, so it stays the same after replays and crashes, and a receiver can drop what it has
//! seen before.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::detail::Circumstances;
use super::media::MediaData;
use super::{
    Body, ChatKind, DeviceData, DeviceName, Jid, MessageKind, MessageStatus, Recipient,
    SentMessage, StatusData, UnixMillis,
};

/// `evt_` and 26 characters of base32: 128 bits of a hash over what makes the event unique.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(String);

impl EventId {
    /// Derives the id from the parts that make the event unique, in order. For a message: device, chat, sender,
    /// message id, event type.
    pub fn derive(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Length first, so that ("ab", "c") and ("a", "bc") differ.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let half = digest.first_chunk::<16>().copied().unwrap_or_default();
        Self(format!("evt_{}", data_encoding::BASE32_NOPAD.encode(&half).to_ascii_lowercase()))
    }

    /// Reads an id that a caller sends back.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("evt_")?;
        let good =
            rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        good.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EventId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an event id")
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.0
    }
}

/// The types of event, as filters and payloads name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventType {
    #[serde(rename = "message.received")]
    MessageReceived,
    /// The account's owner wrote, on the phone or another device.
    #[serde(rename = "message.sent")]
    MessageSent,
    /// A contact's status, which is shown for a day, or one of our own.
    #[serde(rename = "status.received")]
    StatusReceived,
    /// A post in a channel that the account follows.
    #[serde(rename = "channel.received")]
    ChannelReceived,
    #[serde(rename = "message.reaction")]
    MessageReaction,
    #[serde(rename = "message.edited")]
    MessageEdited,
    #[serde(rename = "message.revoked")]
    MessageRevoked,
    /// A message came that cannot be read, at least not yet.
    #[serde(rename = "message.undecryptable")]
    MessageUndecryptable,
    /// A message that was sent got further, or failed.
    #[serde(rename = "message.status")]
    MessageStatus,
    #[serde(rename = "poll.vote")]
    PollVote,
    #[serde(rename = "group.updated")]
    GroupUpdated,
    #[serde(rename = "call.offer")]
    CallOffer,
    /// A call that rang is over, and why.
    #[serde(rename = "call.ended")]
    CallEnded,
    #[serde(rename = "device.state")]
    DeviceState,
    /// What somebody does about whom it is to be known.
    #[serde(rename = "presence.updated")]
    PresenceUpdated,
    /// A label was made, changed or deleted, or put on something, or taken off.
    #[serde(rename = "label.updated")]
    LabelUpdated,
    /// A LID and a phone number turned out to be one person.
    #[serde(rename = "identity.resolved")]
    IdentityResolved,
}

impl EventType {
    /// All types, in the order in which people see them listed.
    pub const ALL: [Self; 17] = [
        Self::MessageReceived,
        Self::MessageSent,
        Self::MessageReaction,
        Self::MessageEdited,
        Self::MessageRevoked,
        Self::MessageUndecryptable,
        Self::MessageStatus,
        Self::PollVote,
        Self::GroupUpdated,
        Self::CallOffer,
        Self::CallEnded,
        Self::DeviceState,
        Self::IdentityResolved,
        Self::StatusReceived,
        Self::ChannelReceived,
        Self::LabelUpdated,
        Self::PresenceUpdated,
    ];

    /// The name in filters and payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageSent => "message.sent",
            Self::StatusReceived => "status.received",
            Self::ChannelReceived => "channel.received",
            Self::MessageReaction => "message.reaction",
            Self::MessageEdited => "message.edited",
            Self::MessageRevoked => "message.revoked",
            Self::MessageUndecryptable => "message.undecryptable",
            Self::MessageStatus => "message.status",
            Self::PollVote => "poll.vote",
            Self::GroupUpdated => "group.updated",
            Self::CallOffer => "call.offer",
            Self::CallEnded => "call.ended",
            Self::PresenceUpdated => "presence.updated",
            Self::LabelUpdated => "label.updated",
            Self::DeviceState => "device.state",
            Self::IdentityResolved => "identity.resolved",
        }
    }

    /// The type of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event. Its JSON is the body of the `standard` webhook format, and is what the log keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Stable across retries and crashes.
    pub id: EventId,
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened, by WhatsApp's clock if WhatsApp gave a time.
    pub timestamp: UnixMillis,
    pub device: DeviceName,
    /// The rest; its shape follows from the type.
    pub data: EventData,
}

impl Event {
    /// The event that says how far `message` got.
    pub fn of_status(message: &SentMessage) -> Self {
        let kind = EventType::MessageStatus;
        let to = message.request.to.jid().as_str().to_owned();
        let status = message.status.as_str().to_owned();
        let code = match &message.status {
            MessageStatus::Failed { code, .. } => Some(code.clone()),
            _ => None,
        };
        let device = message.device.clone();
        let id = message.id.as_str();
        Self {
            id: EventId::derive(&[device.as_str(), &to, "", id, kind.as_str(), &status]),
            kind,
            timestamp: message.updated,
            data: EventData::Status(StatusData { id: id.to_owned(), to, status, code }),
            device,
        }
    }
}

/// What an event says. It is serialised without a tag, because the event's type tells its shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventData {
    /// A message in or out.
    Message(Box<MessageData>),
    /// How far a sent message got.
    Status(StatusData),
    Device(DeviceData),
    /// Everything else, as plain JSON.
    Other(Value),
}

/// A message as webhooks report it.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageData {
    pub id: String,
    /// The conversation: a person's address, a group id, `status@broadcast` or a channel's id.
    pub chat: String,
    /// Absent in events of older versions.
    pub chat_kind: Option<ChatKind>,
    pub from: Person,
    /// Whether the linked account wrote it.
    pub from_me: bool,
    /// The group id, in a group.
    pub group: Option<String>,
    pub body: Body,
    /// The text or caption.
    pub text: Option<String>,
    pub mentions: Vec<String>,
    /// The same people, with every known address.
    pub mentioned: Vec<Person>,
    pub reply_to: Option<Reply>,
    /// After how many seconds it disappears, in a chat where messages do.
    pub disappears_after: Option<u32>,
    pub media: Option<MediaData>,
    pub circumstances: Circumstances,
    /// Whether something was cut off, because it was longer than any person's message.
    pub truncated: bool,
}

/// The JSON of a message. The details are those of its body and its circumstances.
#[derive(Serialize, Deserialize)]
#[serde(remote = "MessageData")]
struct MessageJson {
    id: String,
    chat: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chat_kind: Option<ChatKind>,
    from: Person,
    from_me: bool,
    group: Option<String>,
    #[serde(getter = "MessageData::kind")]
    kind: MessageKind,
    text: Option<String>,
    mentions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mentioned: Vec<Person>,
    reply_to: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disappears_after: Option<u32>,
    media: Option<MediaData>,
    #[serde(default, skip_serializing_if = "Option::is_none", getter = "MessageData::details")]
    details: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl Serialize for MessageData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MessageJson::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for MessageData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        MessageJson::deserialize(deserializer)
    }
}

impl From<MessageJson> for MessageData {
    fn from(json: MessageJson) -> Self {
        let (body, circumstances) = Body::read(json.kind, json.details.unwrap_or_default());
        Self {
            id: json.id,
            chat: json.chat,
            chat_kind: json.chat_kind,
            from: json.from,
            from_me: json.from_me,
            group: json.group,
            body,
            text: json.text,
            mentions: json.mentions,
            mentioned: json.mentioned,
            reply_to: json.reply_to,
            disappears_after: json.disappears_after,
            media: json.media,
            circumstances,
            truncated: json.truncated,
        }
    }
}

impl MessageData {
    /// A plain text that somebody wrote to the account.
    pub fn written(id: impl Into<String>, from: Person, text: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            chat: from.jid.clone(),
            chat_kind: Some(ChatKind::Person),
            from,
            from_me: false,
            group: None,
            body: Body::text(),
            text: Some(text.into()),
            mentions: Vec::new(),
            mentioned: Vec::new(),
            reply_to: None,
            disappears_after: None,
            media: None,
            circumstances: Circumstances::default(),
            truncated: false,
        }
    }

    pub fn kind(&self) -> MessageKind {
        self.body.kind()
    }

    /// What its kind has beside text and file, and its circumstances.
    fn details(&self) -> Option<Map<String, Value>> {
        let details = self.body.details_in(&self.circumstances);
        (!details.is_empty()).then_some(details)
    }

    /// The addresses of the person whose chat it is in; none when it is no person's.
    pub fn people(&self) -> Vec<String> {
        let chat = Jid::parse(&self.chat).ok().filter(|chat| chat.chat_kind() == ChatKind::Person);
        let Some(chat) = chat else { return Vec::new() };
        let theirs = [&self.from.phone, &self.from.lid].into_iter().flatten().cloned();
        let theirs = theirs.filter(|_| !self.from_me);
        std::iter::once(chat.user().to_owned()).chain(theirs).collect()
    }

    /// Whom an answer to the message goes to; nobody when it is a post in a channel or a status.
    pub fn answer_to(&self) -> Option<Recipient> {
        let answerable = Jid::parse(&self.chat).is_ok_and(|chat| chat.chat_kind().is_answerable());
        Recipient::parse(&self.chat, None).ok().filter(|_| answerable)
    }
}

/// A person, with every known address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// The address the message came with.
    pub jid: String,
    pub phone: Option<String>,
    pub lid: Option<String>,
    /// The name they chose.
    pub name: Option<String>,
}

/// The message that another one answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub id: String,
    pub from: Option<String>,
    /// Its text or caption, as the answerer's phone quoted it.
    pub text: Option<String>,
    /// Its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MessageKind>,
    /// The name of the file in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_every_part_and_its_borders() {
        let id = EventId::derive(&["toko", "a@lid", "b@lid", "3EB0", "message.received"]);
        assert_eq!(id, EventId::derive(&["toko", "a@lid", "b@lid", "3EB0", "message.received"]));
        assert_ne!(EventId::derive(&["ab", "c"]), EventId::derive(&["a", "bc"]));
        assert_eq!(EventId::parse(id.as_str()), Some(id));
        assert_eq!(EventId::parse("evt_short"), None);
    }

    #[test]
    fn a_type_survives_its_name() {
        for kind in EventType::ALL {
            assert_eq!(EventType::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
