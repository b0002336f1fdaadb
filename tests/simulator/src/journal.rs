//! The journal: every stanza in and out in order, what else happened, and the rule breaks found.
//! It only records; the rules themselves are where the stanzas are handled.

use serde::Serialize;
use wacore::xml::DisplayableNode;
use wacore_binary::Node;

use crate::world::Address;

/// Which way an entry went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a client to the server.
    In,
    /// From the server to a client.
    Out,
    /// No stanza: something happened (connected, paired, closed, unhandled …).
    Note,
}

/// One line of the journal.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// Which way.
    pub direction: Direction,
    /// The connection.
    pub connection: u64,
    /// Whose connection it is, once that is known.
    pub device: Option<Address>,
    /// The stanza's tag, or the note's name.
    pub tag: String,
    /// The stanza in readable form, or the note's text.
    pub text: String,
    /// When it was written down.
    #[serde(skip)]
    pub at: std::time::Instant,
    /// The stanza itself.
    #[serde(skip)]
    pub node: Option<Node>,
}

impl Entry {
    /// Whether this is a stanza of a client with this tag.
    pub fn is_in(&self, tag: &str) -> bool {
        self.direction == Direction::In && self.tag == tag
    }

    /// Whether this is a stanza of the server with this tag.
    pub fn is_out(&self, tag: &str) -> bool {
        self.direction == Direction::Out && self.tag == tag
    }

    /// An attribute of the stanza.
    pub fn attr(&self, key: &str) -> Option<String> {
        self.node.as_ref().and_then(|node| crate::util::attr(node, key))
    }

    /// The id of the stanza, and those in the list of a receipt for many.
    pub fn ids(&self) -> Vec<String> {
        self.node.as_ref().map(crate::receipts::receipt_ids).unwrap_or_default()
    }
}

/// A broken rule.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// Counts from 1.
    pub seq: u64,
    /// Whose.
    pub device: Option<Address>,
    /// A short name of the rule.
    pub rule: &'static str,
    /// What was seen.
    pub text: String,
}

/// Both lists.
#[derive(Default)]
pub(crate) struct Journal {
    /// All entries.
    pub entries: Vec<Entry>,
    /// All rule breaks.
    pub violations: Vec<Violation>,
    /// Whether stanzas are not recorded.
    pub closed: bool,
}

impl Journal {
    /// Records a stanza.
    pub(crate) fn stanza(
        &mut self,
        direction: Direction,
        connection: u64,
        device: Option<Address>,
        node: &Node,
    ) {
        if self.closed {
            return;
        }
        self.push(direction, connection, device, node.tag.as_ref(), String::new(), Some(node));
    }

    /// Records an event.
    pub(crate) fn note(
        &mut self,
        connection: u64,
        device: Option<Address>,
        tag: &str,
        text: String,
    ) {
        self.push(Direction::Note, connection, device, tag, text, None);
    }

    /// Records a broken rule, in both lists.
    pub(crate) fn violation(&mut self, device: Option<Address>, rule: &'static str, text: String) {
        self.note(0, device.clone(), "violation", format!("{rule}: {text}"));
        let seq = self.violations.len() as u64 + 1;
        self.violations.push(Violation { seq, device, rule, text });
    }

    fn push(
        &mut self,
        direction: Direction,
        connection: u64,
        device: Option<Address>,
        tag: &str,
        text: String,
        node: Option<&Node>,
    ) {
        let text = node.map_or(text, |node| DisplayableNode(node).to_string());
        self.entries.push(Entry {
            at: std::time::Instant::now(),
            seq: self.entries.len() as u64 + 1,
            direction,
            connection,
            device,
            tag: tag.to_owned(),
            text,
            node: node.cloned(),
        });
    }
}
