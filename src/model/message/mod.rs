//! What callers ask to be sent, and how far each message got.

mod status;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::status::MessageStatus;
use super::media::{MediaKind, MediaSource, Thumbnail};
use super::{DeviceName, Jid, Recipient, UnixMillis, web_url};

/// A WhatsApp message id. For a message to be sent, moonwa chooses it before the request is accepted, so that every
/// try is made under the same id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);

impl MessageId {
    /// A fresh id in the form of WhatsApp's own web client: `3EB0` and 18 hexadecimal digits.
    pub fn random() -> Self {
        let bytes: [u8; 9] = rand::random();
        Self(format!("3EB0{}", data_encoding::HEXUPPER.encode(&bytes)))
    }

    /// The id of the n-th file of an album.
    #[must_use]
    pub fn part(&self, n: usize) -> Self {
        let hash = Sha256::digest(format!("{self}/{n}"));
        let (bytes, _) = hash.split_at(9);
        Self(format!("3EB0{}", data_encoding::HEXUPPER.encode(bytes)))
    }

    /// An id that came from outside. `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
        good.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MessageId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a message id")
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

/// A valid request to send one message, the same for `/api` and `/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequest {
    pub to: Recipient,
    pub content: Content,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Who is mentioned in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Recipient>,
    /// Whether everybody in the group is mentioned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mention_all: bool,
    /// Whether media may be opened once only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub view_once: bool,
    /// The album that this file belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<MessageId>,
}

impl SendRequest {
    /// A message that answers and mentions nobody.
    pub fn plain(to: Recipient, content: Content) -> Self {
        Self {
            to,
            content,
            reply_to: None,
            mentions: Vec::new(),
            mention_all: false,
            view_once: false,
            album: None,
        }
    }
}

/// What a message says. `Debug` is derived for tests; never log it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    Text {
        text: String,
    },
    /// Text whose first link is shown with its page's title.
    LinkedText {
        text: String,
    },
    /// A picture, film, sound, file or sticker.
    Media {
        media: MediaKind,
        /// Where the bytes are.
        source: MediaSource,
        /// The MIME type, when the caller gives one.
        mime: Option<String>,
        /// The file name shown for a document.
        filename: Option<String>,
        /// The text under it.
        caption: Option<String>,
        /// The small picture that is shown before the file is downloaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thumbnail: Option<Thumbnail>,
        /// Whether it goes out as a document when phones would not show it as what it was to be.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        as_document: bool,
    },
    /// Announces the pictures and films that follow, which phones show together.
    Album {
        images: u32,
        videos: u32,
        /// The hash of the requests for them: an album of other files is another request.
        files: String,
    },
    Location {
        /// Degrees north, as text so that equality and hashing stay exact.
        latitude: String,
        /// Degrees east.
        longitude: String,
        name: Option<String>,
        address: Option<String>,
    },
    Contact {
        name: String,
        vcard: String,
    },
    Poll {
        question: String,
        options: Vec<String>,
        /// How many may be chosen.
        selectable: u32,
        /// The right answer, which makes it a quiz.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correct: Option<String>,
    },
    /// Something that takes place at a time, to which people say whether they come.
    Event {
        name: String,
        description: Option<String>,
        start: UnixMillis,
        end: Option<UnixMillis>,
        place: Option<EventPlace>,
        /// Where to join, for one that is held online.
        link: Option<String>,
    },
    /// A reaction to a message; an empty emoji takes it back.
    Reaction {
        message: MessageId,
        /// Who wrote it; ourselves when absent.
        author: Option<Jid>,
        emoji: String,
    },
    /// New text for a message sent earlier.
    Edit {
        message: MessageId,
        text: String,
    },
    /// Pins a message in its chat, for everybody there.
    Pin {
        message: MessageId,
        /// Who wrote it; ourselves when absent.
        author: Option<Jid>,
        /// For how long; 0 takes the pin off.
        seconds: u32,
    },
    /// Lets the messages of a chat between two people disappear.
    Timer {
        /// After how long; 0 lets them stay.
        seconds: u32,
    },
    /// A message that came in or went out, passed on as it is.
    Forward {
        message: MessageId,
    },
    /// Takes a message back for everyone.
    Revoke {
        message: MessageId,
        /// Who wrote it, when a group admin removes another's message.
        author: Option<Jid>,
    },
    /// Tells WhatsApp that a received message was read. It is not a message itself: nobody is told how far it got,
    /// and it is forgotten once WhatsApp has it.
    Read {
        message: MessageId,
        /// Who wrote it, in a group.
        author: Option<Jid>,
    },
}

impl Content {
    /// Whether this is a message that somebody sees.
    pub fn is_message(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }

    /// What it says in words: its text, caption, question, name or emoji.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { text } | Self::LinkedText { text } | Self::Edit { text, .. } => Some(text),
            Self::Media { caption, .. } => caption.as_deref(),
            Self::Location { name, .. } => name.as_deref(),
            Self::Contact { name, .. } | Self::Event { name, .. } => Some(name),
            Self::Poll { question, .. } => Some(question),
            Self::Reaction { emoji, .. } => Some(emoji),
            Self::Album { .. }
            | Self::Pin { .. }
            | Self::Timer { .. }
            | Self::Forward { .. }
            | Self::Revoke { .. }
            | Self::Read { .. } => None,
        }
    }

    /// The message that a reaction, an edit and their kin are about.
    pub fn about(&self) -> Option<&MessageId> {
        match self {
            Self::Reaction { message, .. }
            | Self::Edit { message, .. }
            | Self::Pin { message, .. }
            | Self::Forward { message }
            | Self::Revoke { message, .. }
            | Self::Read { message, .. } => Some(message),
            _ => None,
        }
    }
}

impl Content {
    /// A file given by its URL alone. A caption that this kind of file cannot have follows as a text message of its own.
    pub fn file(
        media: MediaKind,
        url: String,
        caption: Option<String>,
        as_document: bool,
    ) -> Vec<Self> {
        let url = web_url(&url).unwrap_or(url);
        let caption = caption.filter(|caption| !caption.is_empty());
        let (caption, follows) =
            if media.has_caption() { (caption, None) } else { (None, caption) };
        let source = MediaSource::Url(url);
        let file = Self::Media {
            media,
            source,
            mime: None,
            filename: None,
            caption,
            thumbnail: None,
            as_document,
        };
        std::iter::once(file).chain(follows.map(|text| Self::Text { text })).collect()
    }
}

/// Where an event takes place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlace {
    pub name: Option<String>,
    pub address: Option<String>,
    /// Degrees north and east, as text so that equality and hashing stay exact.
    pub degrees: Option<(String, String)>,
}

/// A row of the send queue: the request, its id and how far it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    pub id: MessageId,
    pub device: DeviceName,
    pub request: SendRequest,
    pub status: MessageStatus,
    pub created: UnixMillis,
    /// When its status last changed.
    pub updated: UnixMillis,
}

impl SentMessage {
    /// The ids of an album's files; none of any other message.
    pub fn parts(&self) -> Vec<MessageId> {
        let Content::Album { images, videos, .. } = self.request.content else { return Vec::new() };
        (0..images.saturating_add(videos))
            .filter_map(|n| usize::try_from(n).ok())
            .map(|n| self.id.part(n))
            .collect()
    }

    /// The n-th file of the album that this message announces.
    #[must_use]
    pub fn with_part(&self, n: usize, file: SendRequest) -> Self {
        let request = SendRequest { album: Some(self.id.clone()), ..file };
        Self { id: self.id.part(n), ..Self::new(self.device.clone(), request) }
    }

    /// A message to be queued now, under a fresh id.
    pub fn new(device: DeviceName, request: SendRequest) -> Self {
        let now = UnixMillis::now();
        let status = MessageStatus::Queued;
        Self { id: MessageId::random(), device, request, status, created: now, updated: now }
    }
}

/// A caller's `Idempotency-Key`: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_never_goes_back() {
        let failed = MessageStatus::Failed { code: "463".into(), detail: String::new() };
        assert!(MessageStatus::Queued.may_become(&MessageStatus::Sent));
        assert!(MessageStatus::Sent.may_become(&MessageStatus::Read));
        assert!(!MessageStatus::Read.may_become(&MessageStatus::Delivered));
        assert!(MessageStatus::Sent.may_become(&failed));
        assert!(!MessageStatus::Delivered.may_become(&failed));
        assert!(!failed.may_become(&MessageStatus::Read));
    }

    #[test]
    fn a_caption_that_a_kind_cannot_have_follows() {
        let file = |media| {
            let caption = Some("here".to_owned());
            Content::file(media, "https://a.example/x/list.pdf".to_owned(), caption, false)
        };
        for media in [MediaKind::Image, MediaKind::Document] {
            let [Content::Media { caption, .. }] = &file(media)[..] else { panic!() };
            assert_eq!(caption.as_deref(), Some("here"));
        }
        for media in [MediaKind::Audio, MediaKind::Voice, MediaKind::Sticker] {
            let [Content::Media { caption: None, .. }, Content::Text { text }] = &file(media)[..]
            else {
                panic!("{media:?}")
            };
            assert_eq!(text, "here");
        }
        assert_eq!(
            Content::file(MediaKind::Audio, String::new(), Some(String::new()), false).len(),
            1
        );
    }

    #[test]
    fn ids_look_like_whatsapps_and_differ() {
        let id = MessageId::random();
        assert!(id.as_str().starts_with("3EB0") && id.as_str().len() == 22, "{id}");
        assert_ne!(id, MessageId::random());
        assert!(id.part(0).as_str().len() == 22 && id.part(0) != id.part(1));
        assert_eq!(id.part(7), id.part(7));
        assert_eq!(MessageId::parse(id.as_str()), Some(id));
        assert_eq!(MessageId::parse("a/b"), None);
    }
}
