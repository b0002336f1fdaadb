//! The settings of one webhook.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::mask::shown_url;
use crate::model::{ChatKind, ChatPattern, EventType, Secret};

/// One webhook URL of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Its place in the list, from 1.
    pub n: usize,
    /// Where events are posted. May hold credentials: log it through `shown_url`.
    pub url: String,
    /// Signing secrets as they are written, newest first, at most two. `hooks` decodes them.
    pub secrets: Vec<Secret>,
    pub events: EventFilter,
    pub chats: ChatFilter,
    /// What the body looks like.
    pub format: Format,
    /// Headers added to every request.
    pub headers: BTreeMap<String, String>,
    /// The names of headers whose value is not in the file itself, and is never shown.
    pub hidden_headers: BTreeSet<String>,
    /// The products whose signature headers are added too.
    pub compat: BTreeSet<Compat>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether codes to scan are posted, where the format has an event for them.
    pub qr: bool,
    pub paused: bool,
    /// Where a new endpoint begins.
    pub start: Start,
    /// Where in Chatwoot messages go, when it is the receiver.
    pub inbox: Option<Inbox>,
    /// The access token of a user of Chatwoot.
    pub token: Option<Secret>,
}

impl EndpointConfig {
    /// A webhook with this URL, and defaults for everything else.
    pub fn new(n: usize, url: String) -> Self {
        Self {
            n,
            url,
            secrets: Vec::new(),
            events: EventFilter::default(),
            chats: ChatFilter::default(),
            format: Format::Standard,
            headers: BTreeMap::new(),
            hidden_headers: BTreeSet::new(),
            compat: BTreeSet::new(),
            timeout: Duration::from_secs(15),
            qr: false,
            paused: false,
            start: Start::Tail,
            inbox: None,
            token: None,
        }
    }

    /// The products whose signature headers go with a request: those that are asked for, and that of the body.
    pub(crate) fn signed_for(&self) -> BTreeSet<Compat> {
        let of_body = match self.format {
            Format::Waha => Some(Compat::Waha),
            Format::Gowa => Some(Compat::Gowa),
            Format::Wuzapi | Format::WuzapiJson => Some(Compat::Wuzapi),
            Format::Standard | Format::Moonwa | Format::Evolution | Format::Chatwoot => None,
        };
        self.compat.iter().copied().chain(of_body).collect()
    }

    /// The URL for logs and people: without user info and query, which may be credentials.
    pub fn shown_url(&self) -> String {
        shown_url(&self.url)
    }
}

/// The shape of a webhook body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Standard Webhooks, every event type.
    Standard,
    /// The body that docs.moonwa.id documents; the receiver's answer can hold a reply to the sender.
    Moonwa,
    /// As WAHA posts it.
    Waha,
    /// As GOWA posts it.
    Gowa,
    /// As Evolution API posts it.
    Evolution,
    /// As wuzapi posts it: a form with the event in it.
    Wuzapi,
    /// As wuzapi posts it where it was told to post JSON.
    WuzapiJson,
    /// Not posted as it is: an inbox of Chatwoot is kept by its API.
    Chatwoot,
}

impl Format {
    /// The type of such a body.
    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Wuzapi => "application/x-www-form-urlencoded",
            _ => "application/json",
        }
    }
}

/// Products whose signature headers can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compat {
    /// WAHA: `X-Webhook-Hmac` and friends.
    Waha,
    /// GOWA: `X-Hub-Signature-256`.
    Gowa,
    /// wuzapi: `X-Hmac-Signature`.
    Wuzapi,
}

/// An inbox of Chatwoot, by the numbers in its own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbox {
    pub account: usize,
    pub inbox: usize,
}

/// Where a new endpoint begins in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Tail,
    /// With the oldest event kept.
    Earliest,
}

/// Which events an endpoint gets: exact names, or `group.*`, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter(pub BTreeSet<EventType>);

impl EventFilter {
    /// Whether events of this type are wanted.
    pub fn wants(&self, kind: EventType) -> bool {
        self.0.contains(&kind)
    }
}

impl EventFilter {
    /// What an inbox of Chatwoot is told when the file does not say.
    pub(crate) fn of_chatwoot() -> Self {
        Self(BTreeSet::from([
            EventType::MessageReceived,
            EventType::MessageSent,
            EventType::MessageReaction,
            EventType::MessageEdited,
            EventType::MessageRevoked,
            EventType::MessageStatus,
        ]))
    }
}

impl Default for EventFilter {
    fn default() -> Self {
        Self(BTreeSet::from([EventType::MessageReceived]))
    }
}

/// Of which chats an endpoint gets events. Events that belong to no chat are not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatFilter {
    /// People, groups, or both. Statuses and channels are asked for by their types of event.
    pub kinds: BTreeSet<ChatKind>,
    /// Only these, when there are any.
    pub only: Vec<ChatPattern>,
    /// Never these.
    pub ignore: Vec<ChatPattern>,
    /// Whether the account's own messages are wanted, where their type is.
    pub from_me: bool,
}

impl Default for ChatFilter {
    fn default() -> Self {
        let kinds = BTreeSet::from([ChatKind::Person, ChatKind::Group]);
        Self { kinds, only: Vec::new(), ignore: Vec::new(), from_me: true }
    }
}
