//! The phone: device 0 of an account, a real Signal endpoint inside the simulator. This file holds
//! its state and inbox; `send` and `receive` do the talking, `appstate` the synchronised settings.

pub(crate) mod appstate;
mod broadcast;
mod history;
mod late;
pub(crate) mod owner;
mod rare;
mod receive;
mod send;
pub(crate) mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context as _, Result};
use serde::Serialize;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};
use wacore_libsignal::protocol::PublicKey;
use waproto::whatsapp as wa;

pub(crate) use self::send::stanza_type;
use self::store::Stores;
use crate::Phone;
use crate::iq::Bundle;
use crate::util::{below, empty, now};
use crate::world::{Address, World};

/// Something that reached the phone.
#[derive(Clone, Debug, Serialize)]
pub struct InboxItem {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// What it is.
    #[serde(flatten)]
    pub kind: ItemKind,
}

/// Kinds of things that reach a phone.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ItemKind {
    /// A decrypted message.
    Message(Box<InboxMessage>),
    /// A receipt of somebody's device.
    Receipt {
        /// Message ids.
        ids: Vec<String>,
        /// `delivered`, `read`, `played`, `inactive`, `sender`, `retry` …
        receipt: String,
        /// Whose.
        from: String,
        /// Which device of theirs.
        device: u16,
        /// The group, for a message to a group.
        group: Option<String>,
    },
    /// A message which did not decrypt.
    Undecryptable {
        /// Its id.
        id: String,
        /// Whose.
        from: String,
        /// Why.
        reason: String,
    },
    /// Anything else: a notification, typing.
    Notice {
        /// What.
        notice: String,
        /// Whose.
        from: String,
        /// More.
        text: String,
    },
}

/// A decrypted message.
#[derive(Clone, Debug, Serialize)]
pub struct InboxMessage {
    /// Its id.
    pub id: String,
    /// The sender's number.
    pub from: String,
    /// The sender's device.
    pub device: u16,
    /// The other side's number, or the group's id.
    pub chat: String,
    /// Whether the person's own companion sent it.
    pub from_me: bool,
    /// Its text or caption, when it has one.
    pub text: Option<String>,
    /// All of it.
    pub message: wa::Message,
}

impl InboxItem {
    /// The message, when it is one.
    pub fn message(&self) -> Option<&InboxMessage> {
        match &self.kind {
            ItemKind::Message(message) => Some(message),
            _ => None,
        }
    }

    /// Whether it is a message with this text.
    pub fn is_text(&self, text: &str) -> bool {
        self.message().is_some_and(|m| m.text.as_deref() == Some(text))
    }

    /// Whether it is a receipt of that kind for that message.
    pub fn is_receipt(&self, kind: &str, id: &str) -> bool {
        matches!(&self.kind, ItemKind::Receipt { ids, receipt, .. }
            if receipt == kind && ids.iter().any(|i| i == id))
    }
}

/// A message the phone sent, kept for those who ask for it again.
#[derive(Clone)]
pub(crate) struct Sent {
    /// The chat: a number or a group's id.
    pub to: String,
    /// The content.
    pub message: wa::Message,
}

/// A message of the time before a companion was linked.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// Its id.
    pub id: String,
    /// The other side's number.
    pub chat: String,
    /// Whether the phone's owner wrote it.
    pub from_me: bool,
    /// What it says.
    pub message: wa::Message,
    /// When, in seconds.
    pub at: u64,
    /// Whether a new companion is told of it without asking.
    pub told: bool,
}

/// A phone's state.
pub(crate) struct PhoneState {
    /// Signal state.
    pub stores: Stores,
    /// What arrived.
    pub inbox: Vec<InboxItem>,
    /// The messages in it, by sender and id, each with the form of address in which it came.
    pub seen: BTreeMap<(String, String), Server>,
    /// The ids of messages that came once more, and were dropped as a real client does.
    pub repeated: Vec<String>,
    /// What it could not read and has not asked for again, with its author, by id.
    pub unasked: BTreeMap<String, (Address, Node)>,
    /// Whether the phone is on.
    pub online: bool,
    /// What waits for the phone to be on again.
    pub waiting: VecDeque<Node>,
    /// Sent messages by id.
    pub sent: BTreeMap<String, Sent>,
    /// The devices (`number:device`) which have the phone's sender key, by group.
    pub keyed: BTreeMap<String, BTreeSet<String>>,
    /// What was written before there was a companion, oldest first.
    pub past: Vec<Past>,
    /// Whether deliveries are confirmed without being asked to.
    pub auto_delivered: bool,
}

impl PhoneState {
    /// A new phone.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            stores: Stores::generate()?,
            inbox: Vec::new(),
            seen: BTreeMap::new(),
            repeated: Vec::new(),
            unasked: BTreeMap::new(),
            online: true,
            waiting: VecDeque::new(),
            sent: BTreeMap::new(),
            keyed: BTreeMap::new(),
            past: Vec::new(),
            auto_delivered: true,
        })
    }

    /// The raw identity key.
    pub(crate) fn identity_key(&self) -> &[u8] {
        self.stores.identities.own.public_key().public_key_bytes()
    }

    /// Signs with the identity.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        crate::pairing::sign(&self.stores.identities.own, message)
    }

    /// A shared secret with somebody's identity.
    pub(crate) fn agree(&self, other: &PublicKey) -> Result<[u8; 32]> {
        Ok(self.stores.identities.own.private_key().calculate_agreement(other)?)
    }

    /// Keys for somebody who wants to write to the phone.
    pub(crate) fn bundle(&mut self, one_time: bool) -> Result<Bundle> {
        self.stores.bundle(one_time)
    }

    /// Puts something into the inbox.
    pub(crate) fn push(&mut self, kind: ItemKind) {
        let seq = self.inbox.len() as u64 + 1;
        self.inbox.push(InboxItem { seq, kind });
    }
}

impl World {
    /// Puts a notice into a phone's inbox.
    pub(crate) fn phone_notice(&mut self, pn: &str, notice: &str, from: &str, text: &str) {
        if let Some(account) = self.accounts.get_mut(pn) {
            account.phone.push(ItemKind::Notice {
                notice: notice.to_owned(),
                from: from.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    /// Tells the companions in a chat that the person types or stopped to.
    pub(crate) fn phone_types(&mut self, pn: &str, to: &str, state: &'static str) {
        let Some(account) = self.accounts.get(pn) else { return };
        let from = account.jid(account.server());
        for device in self.device_ids(to) {
            let Some(conn) = self.conn_of(&Address::new(to, device)) else { continue };
            let state = match state {
                "recording" => NodeBuilder::new("composing").attr("media", "audio").build(),
                state => empty(state),
            };
            let node =
                NodeBuilder::new("chatstate").attr("from", from.clone()).children([state]).build();
            self.send(conn, node);
        }
    }

    /// A new phone with the same number.
    pub(crate) fn reinstall(&mut self, pn: &str) -> Result<()> {
        for device in self.device_ids(pn) {
            self.unlink(&Address::new(pn, device));
        }
        let account = self.accounts.get_mut(pn).context("no such phone")?;
        let old = std::mem::replace(&mut account.phone, PhoneState::new()?);
        account.phone.inbox = old.inbox;
        account.phone.seen = old.seen;
        account.phone.repeated = old.repeated;
        account.phone.online = old.online;
        account.phone.auto_delivered = old.auto_delivered;
        account.raw_id = below(u32::MAX);
        let (from, watchers) = (account.jid(account.server()), account.watchers.clone());
        for watcher in watchers {
            for device in self.device_ids(&watcher) {
                let node = NodeBuilder::new("notification")
                    .attr("from", from.clone())
                    .attr("type", "encrypt")
                    .attr("id", self.id())
                    .attr("t", now())
                    .children([empty("identity")])
                    .build();
                self.deliver(&Address::new(&watcher, device), node);
            }
        }
        Ok(())
    }

    /// Turns a phone off or on. What arrived meanwhile is read when it is on again.
    pub(crate) fn phone_online(&mut self, pn: &str, online: bool) {
        let Some(account) = self.accounts.get_mut(pn) else { return };
        account.phone.online = online;
        if online {
            let waiting = std::mem::take(&mut account.phone.waiting);
            self.for_phones.extend(waiting.into_iter().map(|node| (pn.to_owned(), node)));
            self.run_phones();
            for device in self.device_ids(pn) {
                self.share_app_state_key(&Address::new(pn, device));
            }
            self.run_phones();
        }
        self.touch();
    }
}

/// The text or caption of a message.
pub(crate) fn text_of(message: &wa::Message) -> Option<String> {
    let m = message;
    m.conversation
        .clone()
        .or_else(|| m.extended_text_message.as_option().and_then(|t| t.text.clone()))
        .or_else(|| m.image_message.as_option().and_then(|i| i.caption.clone()))
        .or_else(|| m.video_message.as_option().and_then(|v| v.caption.clone()))
        .or_else(|| m.document_message.as_option().and_then(|d| d.caption.clone()))
        .or_else(|| m.reaction_message.as_option().and_then(|r| r.text.clone()))
}

impl Phone {
    /// The person types (or stops to) in the chat with another phone's owner.
    pub async fn typing(&self, to: impl AsRef<str>, typing: bool) {
        let mut world = self.sim.world();
        let state = if typing { "composing" } else { "paused" };
        world.phone_types(self.number(), to.as_ref(), state);
        world.touch();
    }

    /// The person speaks a voice note in the chat with another phone's owner.
    pub fn records(&self, to: impl AsRef<str>) {
        let mut world = self.sim.world();
        world.phone_types(self.number(), to.as_ref(), "recording");
        world.touch();
    }

    /// The person gets a new phone with the same number: another identity, no linked devices.
    pub async fn reinstall(&self) -> Result<()> {
        let mut world = self.sim.world();
        world.reinstall(self.number())?;
        world.touch();
        Ok(())
    }

    /// Lets the phone have had a message before, so many seconds ago. Only what is `told` is in the history that it shares by
    /// itself; the rest is for who asks. Answers the message's id.
    pub fn has_had(
        &self,
        with: impl AsRef<str>,
        from_me: bool,
        message: wa::Message,
        ago: u64,
        told: bool,
    ) -> Result<String> {
        let mut world = self.sim.world();
        let id = crate::util::message_id();
        let chat = with.as_ref().to_owned();
        let account = world.accounts.get_mut(self.number()).context("no such phone")?;
        let at = now().saturating_sub(ago);
        account.phone.past.push(Past { id: id.clone(), chat, from_me, message, at, told });
        account.phone.past.sort_by_key(|past| past.at);
        Ok(id)
    }

    /// Sends the messages this phone knows to a companion, as phones do after linking.
    pub async fn share_history(&self, device: u16) -> Result<()> {
        let mut world = self.sim.world();
        world.share_history(&Address::new(self.number(), device))?;
        world.touch();
        Ok(())
    }
}
