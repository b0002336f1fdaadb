//! The rules of a device: which messages it answers by itself, and how.

mod hours;
mod pattern;
mod template;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::{ChatKind, ChatPattern, Recipient};

pub use hours::Hours;
pub use pattern::TextPattern;
pub use template::Template;
pub(crate) use template::{Placeholder, TemplateError};

/// One `[[device.NAME.rules]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleConfig {
    /// Its place in the list, from 1.
    pub n: usize,
    /// What it is called in reports and metrics, and what it is remembered by: its place when the file gives none.
    pub name: String,
    pub when: When,
    pub reply: Option<RuleReply>,
    /// The emoji with which it reacts to the message.
    pub react: Option<String>,
    /// Whom the message is passed on to.
    pub forward_to: Option<Recipient>,
    /// The webhook of the device, by its place in the list, that the message is handed to.
    pub webhook: Option<usize>,
    /// Whether no rule after it is asked when it acts.
    pub stop: bool,
    /// For how long it does nothing in a chat after it acted there.
    pub cool_down: Duration,
    /// How often it acts in one chat within an hour.
    pub most_per_hour: u32,
}

/// Which messages a rule is for. What is absent is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// What the text or caption has in it.
    pub text: Option<TextPattern>,
    pub chats: BTreeSet<ChatKind>,
    /// Who wrote, or in which group.
    pub from: Vec<ChatPattern>,
    /// At which hours of the day, when there are any.
    pub hours: Vec<Hours>,
    /// Of which place those hours are, and the times in a reply; of the machine's when absent.
    pub time_zone: Option<TimeZone>,
    /// How long the chat was silent before.
    pub first_in: Option<Duration>,
    /// How old a message may be when moonwa reads it.
    pub max_age: Duration,
}

/// What a rule replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReply {
    pub text: Template,
    /// For how long "typing…" is shown before.
    pub typing: Option<Duration>,
    /// Whether the message is quoted in it.
    pub quote: bool,
}

impl RuleConfig {
    pub const MOST_PER_HOUR: u32 = 10;
    pub(crate) const OFTEN: u32 = 100_000;
    /// No message is too old.
    pub(crate) const ANY_AGE: Duration = Duration::MAX;

    /// A rule for every message of a person, which does nothing.
    pub fn new(n: usize) -> Self {
        Self {
            n,
            name: n.to_string(),
            when: When::default(),
            reply: None,
            react: None,
            forward_to: None,
            webhook: None,
            stop: false,
            cool_down: Duration::ZERO,
            most_per_hour: Self::MOST_PER_HOUR,
        }
    }

    /// The same, for one that writes to nobody: for that, no message comes too late or too often.
    pub fn silent(n: usize) -> Self {
        let when = When { max_age: Self::ANY_AGE, ..When::default() };
        Self { when, most_per_hour: Self::OFTEN, ..Self::new(n) }
    }
}

impl Default for When {
    fn default() -> Self {
        Self {
            text: None,
            chats: BTreeSet::from([ChatKind::Person]),
            from: Vec::new(),
            hours: Vec::new(),
            time_zone: None,
            first_in: None,
            max_age: Duration::from_hours(6),
        }
    }
}
