//! The state of the simulated service: accounts, devices, connections, queues. Everything here is
//! synchronous and does no I/O: effects are stanzas put into the connections' outgoing queues.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, watch};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use waproto::whatsapp::DeviceProps;

use crate::SimConfig;
use crate::chain::Identity;
use crate::fault::Faults;
use crate::group::GroupState;
use crate::iq::PasskeyLink;
use crate::journal::{Direction, Journal};
use crate::keys_used::KeysUsed;
use crate::media::MediaStore;
use crate::pairing::{LinkCode, PendingPair, Registration};
use crate::phone::PhoneState;
use crate::util::attr;

/// A device of an account: device 0 is the phone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Address {
    /// The account's phone number.
    pub pn: String,
    /// The device.
    pub device: u16,
}

impl Address {
    /// Shorthand.
    pub fn new(pn: &str, device: u16) -> Self {
        Self { pn: pn.to_owned(), device }
    }
}

/// What the connection's task has to do next.
pub(crate) enum Out {
    /// Send a stanza.
    Stanza(Box<Node>),
    /// Wait.
    Wait(Duration),
    /// Send a frame that does not decrypt.
    BadMac,
    /// Send half a frame.
    HalfFrame,
    /// Close the connection in order.
    Close,
    /// Let the connection fall.
    Abort,
    /// Reset it.
    Reset,
    /// Read nothing any more.
    Deafen,
}

/// How a connection ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// In order.
    Close,
    /// By a reset.
    Reset,
}

/// A client's connection.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, most of them faults")]
pub(crate) struct Conn {
    /// Its outgoing queue.
    pub out: mpsc::UnboundedSender<Out>,
    /// The client's Noise key.
    pub noise: [u8; 32],
    /// Who logged in here.
    pub login: Option<Address>,
    /// The keys of a device which wants to be paired.
    pub registration: Option<Registration>,
    /// QR references which are still valid here.
    pub refs: Vec<String>,
    /// A pairing the client has not confirmed yet.
    pub pairing: Option<PendingPair>,
    /// A pairing by code.
    pub link_code: Option<LinkCode>,
    /// The pairing by passkey in progress.
    pub passkey: Option<PasskeyLink>,
    /// Read, never answer.
    pub silent: bool,
    /// Messages are taken and forgotten.
    pub swallows: bool,
    /// Wait before each stanza.
    pub slow: Option<Duration>,
    /// End after so many stanzas of the client (before a reset its messages are counted), and how.
    pub ends_after: Option<(u32, End)>,
    /// Whether the client asked to be active.
    pub active: bool,
    /// Whether the offline queue has been handed over completely.
    pub caught_up: bool,
    /// Whether the end of the offline queue is kept back.
    pub no_offline_end: bool,
}

/// A stanza which a device has not confirmed yet.
pub(crate) struct Queued {
    /// `message`, `receipt` or `notification`.
    pub kind: String,
    /// The stanza's id.
    pub id: String,
    /// The stanza.
    pub node: Node,
    /// The connection it was last sent on.
    pub sent_on: Option<u64>,
    /// Whether it is (still) part of the offline delivery of this connection.
    pub offline_on: Option<u64>,
}

/// A linked device.
pub(crate) struct Device {
    /// Its number in the account.
    pub id: u16,
    /// Its index in the account's signed list.
    pub key_index: u32,
    /// Its Noise key.
    pub noise: [u8; 32],
    /// Its Signal keys, as uploaded.
    pub keys: DeviceKeys,
    /// `ADVSignedDeviceIdentity` with the account's key.
    pub identity: Vec<u8>,
    /// What it says it is.
    pub props: DeviceProps,
    /// What it has not confirmed yet.
    pub queue: VecDeque<Queued>,
    /// Its connection.
    pub conn: Option<u64>,
    /// Whether the phone has shared the app-state key.
    pub has_app_state_key: bool,
}

/// The Signal keys a device published.
#[derive(Default)]
pub(crate) struct DeviceKeys {
    /// Registration id.
    pub registration: u32,
    /// Identity key.
    pub identity: [u8; 32],
    /// Signed prekey: id, key, signature.
    pub signed: (u32, Vec<u8>, Vec<u8>),
    /// One-time prekeys which were not handed out yet.
    pub one_time: VecDeque<(u32, Vec<u8>)>,
    /// Every one-time key seen, to notice one that is used twice.
    pub seen: BTreeSet<Vec<u8>>,
}

/// An account.
pub(crate) struct Account {
    /// Phone number.
    pub pn: String,
    /// LID user part.
    pub lid: String,
    /// Push name.
    pub name: String,
    /// Whether the account's chats are addressed by LID.
    pub migrated: bool,
    /// The phone itself.
    pub phone: PhoneState,
    /// Linked devices.
    pub devices: BTreeMap<u16, Device>,
    /// The next device's number.
    pub next_device: u16,
    /// The next device's key index.
    pub next_key_index: u32,
    /// ADV id of the account.
    pub raw_id: u32,
    /// Accounts whose devices asked for this account's device list.
    pub watchers: BTreeSet<String>,
    /// Until when the account may not write to people (Unix seconds).
    pub locked: u64,
    /// What it shows of itself.
    pub card: crate::card::Card,
    /// Privacy settings and the like are fixed.
    pub app_state: crate::phone::appstate::AppState,
}

impl Account {
    /// The account's JID of the given form.
    pub(crate) fn jid(&self, server: Server) -> Jid {
        if server == Server::Lid { Jid::lid(self.lid.as_str()) } else { Jid::pn(self.pn.as_str()) }
    }

    /// The form this account uses when it writes to people.
    pub(crate) fn server(&self) -> Server {
        if self.migrated { Server::Lid } else { Server::Pn }
    }
}

/// Everything.
pub(crate) struct World {
    /// Configuration.
    pub config: SimConfig,
    /// The server's keys.
    pub identity: Identity,
    /// Host and port of the HTTP side.
    pub http_host: String,
    /// By phone number.
    pub accounts: BTreeMap<String, Account>,
    /// LID user part to phone number.
    pub lids: BTreeMap<String, String>,
    /// Numbers under which accounts are found too, to the account's number.
    pub aliases: BTreeMap<String, String>,
    /// Open connections.
    pub conns: BTreeMap<u64, Conn>,
    /// Groups by id (user part).
    pub groups: BTreeMap<String, GroupState>,
    /// Channels by address.
    pub channels: BTreeMap<String, crate::channels::ChannelState>,
    /// The media host's files.
    pub media: MediaStore,
    /// What happened.
    pub journal: Journal,
    /// Faults which wait.
    pub faults: Faults,
    /// AB properties that are not as usual, and how often they were changed.
    pub props: BTreeMap<String, String>,
    pub props_version: u32,
    /// Trusted-contact tokens, by who gave them and to whom.
    pub tokens: BTreeMap<(String, String), Vec<u8>>,
    /// Accounts that take nothing without a token.
    pub wary: BTreeSet<String>,
    /// Accounts that nobody adds to a group: they have to be invited.
    pub shy: BTreeSet<String>,
    /// Messages about which nothing comes back until they are sent again.
    pub unanswered: BTreeSet<String>,
    /// Acknowledgements held back, with their sender.
    pub held: Vec<(Address, Node)>,
    /// Stanzas for phones which still have to be read; see `phone::receive`.
    pub for_phones: VecDeque<(String, Node)>,
    /// Who wants to know of whom whether they are there, by connection, and under which address they asked.
    pub presences: BTreeMap<(u64, String), Jid>,
    /// Who is there, of those of whom it is known.
    pub there: BTreeSet<String>,
    /// New connections are closed at once.
    pub refuse: bool,
    /// New connections get no answer at all.
    pub mute: bool,
    /// Message ids seen with their fingerprint, to notice an id used twice.
    pub ids: BTreeMap<(String, String), u64>,
    /// The message keys that companions encrypted with, to notice one used twice.
    pub keys_used: KeysUsed,
    /// When each connection sent requests, for the flood rule.
    pub iq_times: BTreeMap<u64, VecDeque<std::time::Instant>>,
    next: u64,
    changed: watch::Sender<u64>,
}

impl World {
    /// An empty world.
    pub(crate) fn new(config: SimConfig, identity: Identity, http_host: String) -> Self {
        Self {
            config,
            identity,
            http_host,
            accounts: BTreeMap::new(),
            lids: BTreeMap::new(),
            aliases: BTreeMap::new(),
            conns: BTreeMap::new(),
            groups: BTreeMap::new(),
            channels: BTreeMap::new(),
            media: MediaStore::default(),
            journal: Journal::default(),
            faults: Faults::default(),
            props: BTreeMap::new(),
            props_version: 0,
            tokens: BTreeMap::new(),
            wary: BTreeSet::new(),
            shy: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            held: Vec::new(),
            for_phones: VecDeque::new(),
            presences: BTreeMap::new(),
            there: BTreeSet::new(),
            refuse: false,
            mute: false,
            ids: BTreeMap::new(),
            keys_used: KeysUsed::default(),
            iq_times: BTreeMap::new(),
            next: 0,
            changed: watch::channel(0).0,
        }
    }

    /// Closes all connections and forgets everything but the server's keys.
    pub(crate) fn reset(&mut self) {
        let open: Vec<u64> = self.conns.keys().copied().collect();
        for conn in open {
            self.close(conn);
        }
        self.accounts.clear();
        self.lids.clear();
        self.aliases.clear();
        self.groups.clear();
        self.channels.clear();
        self.media = MediaStore::default();
        self.journal = Journal::default();
        self.faults = Faults::default();
        self.props.clear();
        self.props_version += 1;
        self.tokens.clear();
        self.wary.clear();
        self.shy.clear();
        self.unanswered.clear();
        self.held.clear();
        self.for_phones.clear();
        self.presences.clear();
        self.there.clear();
        self.ids.clear();
        self.keys_used = KeysUsed::default();
        self.touch();
    }

    /// The next number, for connections and stanza ids.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A fresh stanza id of the server.
    pub(crate) fn id(&mut self) -> String {
        format!("sim-{}", self.number())
    }

    /// Wakes everybody who waits for a condition.
    pub(crate) fn touch(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// Tells when something changed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The account behind a JID of either form.
    pub(crate) fn pn_of(&self, jid: &Jid) -> Option<String> {
        if jid.server == Server::Lid {
            self.lids.get(jid.user.as_str()).cloned()
        } else {
            self.accounts.get(jid.user.as_str()).map(|a| a.pn.clone())
        }
    }

    /// The device behind a JID of either form.
    pub(crate) fn address_of(&self, jid: &Jid) -> Option<Address> {
        self.pn_of(jid).map(|pn| Address { pn, device: jid.device })
    }

    /// The numbers of all devices of an account, the phone included.
    pub(crate) fn device_ids(&self, pn: &str) -> Vec<u16> {
        let Some(account) = self.accounts.get(pn) else { return Vec::new() };
        std::iter::once(0).chain(account.devices.keys().copied()).collect()
    }

    /// A linked device.
    pub(crate) fn device(&mut self, who: &Address) -> Option<&mut Device> {
        self.accounts.get_mut(&who.pn)?.devices.get_mut(&who.device)
    }

    /// The connection of a linked device.
    pub(crate) fn conn_of(&self, who: &Address) -> Option<u64> {
        self.accounts.get(&who.pn)?.devices.get(&who.device)?.conn
    }

    /// Who is logged in on a connection.
    pub(crate) fn login(&self, conn: u64) -> Option<Address> {
        self.conns.get(&conn).and_then(|c| c.login.clone())
    }

    /// Puts a stanza into a connection's queue.
    pub(crate) fn send(&mut self, conn: u64, node: Node) {
        let Some(c) = self.conns.get(&conn) else { return };
        if c.silent {
            return;
        }
        self.journal.stanza(Direction::Out, conn, c.login.clone(), &node);
        if let Some(wait) = c.slow {
            drop(c.out.send(Out::Wait(wait)));
        }
        // A closed channel is a connection about to be removed: nothing to do.
        drop(c.out.send(Out::Stanza(Box::new(node))));
    }

    /// Closes a connection once its queue is written.
    pub(crate) fn close(&mut self, conn: u64) {
        self.end(conn, End::Close);
    }

    /// Ends a connection once its queue is written.
    pub(crate) fn end(&mut self, conn: u64, end: End) {
        if let Some(c) = self.conns.get(&conn) {
            drop(c.out.send(match end {
                End::Close => Out::Close,
                End::Reset => Out::Reset,
            }));
        }
    }

    /// The same, and what the client has already written behind this is lost, as it is when a server goes down.
    pub(crate) fn fall(&mut self, conn: u64) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.ends_after = Some((0, End::Close));
        }
        self.close(conn);
    }

    /// Records a broken rule.
    pub(crate) fn violation(&mut self, who: Option<&Address>, rule: &'static str, text: String) {
        self.journal.violation(who.cloned(), rule, text);
    }

    /// Queues a stanza for a linked device, and sends it when the device is there. For the phone
    /// it goes to the phone's own list.
    pub(crate) fn deliver(&mut self, to: &Address, node: Node) {
        if to.device == 0 {
            self.for_phones.push_back((to.pn.clone(), node));
            return;
        }
        let Some(device) = self.device(to) else { return };
        device.queue.push_back(Queued {
            kind: node.tag.to_string(),
            id: attr(&node, "id").unwrap_or_default(),
            node,
            sent_on: None,
            offline_on: None,
        });
        self.flush(to);
    }

    /// Sends what waits for a device, unless the offline delivery is still under way.
    pub(crate) fn flush(&mut self, to: &Address) {
        let Some(conn) = self.conn_of(to) else { return };
        if !self.conns.get(&conn).is_some_and(|c| c.caught_up && !c.silent) {
            return;
        }
        let Some(device) = self.device(to) else { return };
        let ready: Vec<Node> = device
            .queue
            .iter_mut()
            .filter(|q| q.sent_on != Some(conn))
            .map(|q| {
                q.sent_on = Some(conn);
                q.node.clone()
            })
            .collect();
        for node in ready {
            self.send(conn, node);
        }
    }

    /// Removes what a device confirmed.
    pub(crate) fn confirm(&mut self, who: &Address, kind: &str, id: &str) {
        let Some(device) = self.device(who) else { return };
        // The first that fits: confirmations come in about the order of the queue, which can be long.
        if let Some(at) = device.queue.iter().position(|q| q.kind == kind && q.id == id) {
            device.queue.remove(at);
        }
    }

    /// The plain acknowledgement of a stanza.
    pub(crate) fn ack(class: &str, node: &Node) -> Node {
        let mut builder = NodeBuilder::new("ack").attr("class", class.to_owned());
        for key in ["id", "type", "participant"] {
            if let Some(value) = node.attrs.get(key)
                && (class != "message" || key != "type")
            {
                builder = builder.attr(key, value.clone());
            }
        }
        if let Some(to) = node.attrs.get("to") {
            builder = builder.attr("from", to.clone());
        }
        builder.build()
    }
}
