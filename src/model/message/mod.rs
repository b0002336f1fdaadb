//! What callers ask to be sent, and how far each message got.

mod id;
mod status;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use id::ListId;
pub use id::{IdempotencyKey, MessageId};

pub use self::status::MessageStatus;
use super::media::{MediaKind, MediaSource, Thumbnail};
use super::{ContactCard, DeviceName, Jid, Recipient, UnixMillis, web_url};

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
    /// When it is to go, as its caller wrote it: the same words again are the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_at: Option<String>,
    /// Until when it may go, in its caller's words as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Who may see a status; by the account's own setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Vec<Recipient>>,
    /// For how long "typing…" is shown before it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typing: Option<Duration>,
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
            send_at: None,
            expires: None,
            audience: None,
            typing: None,
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
    /// A status that is a text on a ground.
    StatusText {
        text: String,
        /// The ground's colour, with its opacity first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        background: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        font: Option<StatusFont>,
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
    /// Two of them or more, in one message.
    Contacts {
        contacts: Vec<ContactCard>,
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
            Self::Text { text }
            | Self::StatusText { text, .. }
            | Self::LinkedText { text }
            | Self::Edit { text, .. } => Some(text),
            Self::Media { caption, .. } => caption.as_deref(),
            Self::Location { name, .. } => name.as_deref(),
            Self::Contact { name, .. } | Self::Event { name, .. } => Some(name),
            Self::Contacts { contacts } => contacts.first().map(|card| card.name.as_str()),
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

    /// Gives a text or a caption other words; other contents stay as they are.
    pub fn reword(&mut self, words: &str) {
        match self {
            Self::Text { text } | Self::LinkedText { text } => words.clone_into(text),
            Self::Media { media, caption, .. } if media.has_caption() => {
                *caption = Some(words.to_owned());
            }
            _ => {}
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

/// The fonts that WhatsApp has for a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusFont {
    System,
    SystemText,
    FbScript,
    SystemBold,
    Morningbreeze,
    Calistoga,
    Exo2,
    Courierprime,
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
    /// When it is to go, or was to go, by the wall clock; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<UnixMillis>,
    /// After when it is not sent any more, when its caller says so; a day after it could go otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixMillis>,
    /// The paced list that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListId>,
    /// Who asked for it: the id of an API key, or whoever is logged in; nobody for what moonwa answers by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
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
        let (id, expires, by) = (self.id.part(n), self.expires, self.by.clone());
        let part = Self { id, expires, by, ..Self::new(self.device.clone(), request) };
        match self.due {
            Some(due) => part.at(due),
            None => part,
        }
    }

    /// A message to be queued now, under a fresh id.
    pub fn new(device: DeviceName, request: SendRequest) -> Self {
        let now = UnixMillis::now();
        let status = MessageStatus::Queued;
        let (id, due, expires, list, by) = (MessageId::random(), None, None, None, None);
        Self { id, device, request, status, created: now, updated: now, due, expires, list, by }
    }

    /// Whether it is not to be sent any more, because its caller said until when.
    pub fn is_over(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|until| until < now)
    }

    /// The same message, to be queued when that time comes.
    #[must_use]
    pub fn at(self, due: UnixMillis) -> Self {
        Self { status: MessageStatus::Scheduled, due: Some(due), ..self }
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
    fn an_answer_is_known_by_its_id_and_nothing_else_is() {
        let event = "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa";
        let id = MessageId::answer(event, 0);
        assert!(
            id.as_str().starts_with("3EB0") && id.as_str().len() == 22 && id.is_answer(),
            "{id}"
        );
        assert_eq!(id, MessageId::answer(event, 0));
        assert_ne!(id, MessageId::answer(event, 1));
        assert_ne!(id, MessageId::answer("evt_bbbbbbbbbbbbbbbbbbbbbbbbbb", 0));
        for n in 0..1000 {
            assert!(MessageId::answer(event, n).is_answer());
            assert!(!MessageId::random().is_answer(), "one of sixteen million is taken for one");
        }
        let (longer, bare) = (format!("{id}00"), id.as_str().trim_start_matches("3EB0"));
        for other in ["3EB0", "3EB0AA", "AC1F", "3EB0zz", &longer, bare] {
            assert!(!MessageId::parse(other).unwrap().is_answer(), "{other}");
        }
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
