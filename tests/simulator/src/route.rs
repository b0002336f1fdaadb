//! Messages: who gets what, in which addressing form, and when the sender's acknowledgement goes
//! out. Phones send through here like companions do; they only have no connection.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, Server};

use crate::fault::Fault;
use crate::phone::{InboxItem, InboxMessage};
use crate::util::{attr, bytes, children, is_pn, jid, now, text};
use crate::world::{Account, Address, Out, World};

/// What becomes of the acknowledgement.
enum Ack {
    Now,
    Delayed(u64),
    Hold,
    Never,
    ThenDrop,
    DropInstead,
}

impl World {
    /// A message of a device, a companion's (with a connection) or a phone's (without).
    pub(crate) fn message(&mut self, from: &Address, conn: Option<u64>, node: &Node) {
        let Some(to) = jid(node, "to") else {
            return self.violation(Some(from), "message", "no `to`".to_owned());
        };
        self.check_message(from, &to, node);
        let mut mode = Ack::Now;
        if let Some(conn) = conn {
            if self.faults.strikes(Some(from), &Fault::DropBeforeAck) {
                return self.fall(conn);
            }
            if let Some(code) = self.refusal(from, &to, node) {
                let ack = with_attr(Self::message_ack(node), "error", code.to_string());
                return self.send(conn, ack);
            }
            mode = self.ack_mode(from);
            let id = text(node, "id");
            if self.unanswered.contains(&id) {
                self.unanswered.remove(&id);
            } else if self.faults.strikes(Some(from), &Fault::Unanswered) {
                self.unanswered.insert(id);
                if matches!(mode, Ack::Now) {
                    mode = Ack::Never;
                }
            }
        }
        let hash = self.receivers_hash(from, &to, node);
        if to.server == Server::Group {
            self.route_group(from, &to, node);
        } else if to.server == Server::Newsletter {
            self.route_channel(from, &to, node);
        } else if to.server == Server::Broadcast {
            self.journal.note(0, Some(from.clone()), "status", text(node, "id"));
            self.route_status(from, &to, node);
        } else {
            self.route_person(from, &to, node);
        }
        if let Some(conn) = conn {
            let mut ack = Self::message_ack(node);
            if let Some(hash) = hash {
                ack = with_attr(ack, "phash", hash);
            }
            self.send_ack(conn, from, ack, &mode);
        }
    }

    fn message_ack(node: &Node) -> Node {
        with_attr(Self::ack("message", node), "t", now().to_string())
    }

    fn refusal(&mut self, from: &Address, to: &Jid, node: &Node) -> Option<u16> {
        let ordered = self.faults.take(Some(from), |f| match f {
            Fault::Nack(code) => Some(*code),
            _ => None,
        });
        if ordered.is_some() {
            return ordered;
        }
        let migrated = self.accounts.get(&from.pn).is_some_and(|a| a.migrated);
        let own = self.pn_of(to).as_deref() == Some(from.pn.as_str());
        if to.server == Server::Lid && !migrated && !own {
            self.violation(Some(from), "lid from unmigrated", to.to_string());
            return Some(400);
        }
        if to.server == Server::Group {
            let member = self.groups.get(to.user.as_str()).is_some_and(|g| g.has(&from.pn));
            return (!member).then_some(403);
        }
        let user = to.server == Server::Lid || is_pn(to);
        let other = self.pn_of(to).unwrap_or_default();
        // The lock is about new contacts: who wrote to the account first may be answered.
        let locked = |account: &Account| {
            let wrote = |message: &InboxMessage| !message.from_me && message.from == other;
            let mut messages = account.phone.inbox.iter().filter_map(InboxItem::message);
            account.locked > now() && !messages.any(wrote)
        };
        if user && !own && self.accounts.get(&from.pn).is_some_and(locked) {
            self.journal.note(0, Some(from.clone()), "locked", to.to_string());
            return Some(463);
        }
        if user && !own && !self.trusted(from, &other, node) {
            return Some(463);
        }
        (user && self.pn_of(to).is_none()).then_some(404)
    }

    fn ack_mode(&mut self, from: &Address) -> Ack {
        self.faults
            .take(Some(from), |f| match f {
                Fault::AckDelay(ms) => Some(Ack::Delayed(*ms)),
                Fault::AckDrop => Some(Ack::Never),
                Fault::AckHold => Some(Ack::Hold),
                Fault::DropAfterAck => Some(Ack::ThenDrop),
                Fault::DropAfterRelay => Some(Ack::DropInstead),
                _ => None,
            })
            .unwrap_or(Ack::Now)
    }

    fn send_ack(&mut self, conn: u64, from: &Address, ack: Node, mode: &Ack) {
        match mode {
            Ack::Now => self.send(conn, ack),
            Ack::Never => {}
            Ack::Hold => self.held.push((from.clone(), ack)),
            Ack::ThenDrop => {
                self.send(conn, ack);
                self.fall(conn);
            }
            Ack::DropInstead => self.fall(conn),
            Ack::Delayed(ms) => {
                let wait = Duration::from_millis(*ms);
                if let Some(c) = self.conns.get(&conn) {
                    let (out, login) = (c.out.clone(), c.login.clone());
                    let direction = crate::journal::Direction::Out;
                    self.journal.stanza(direction, conn, login, &ack);
                    // A connection's queue must not stop for this: other stanzas overtake it.
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        drop(out.send(Out::Stanza(Box::new(ack))));
                    });
                }
            }
        }
    }

    /// Sends the acknowledgements held back for an account, on whatever connection it has now.
    pub(crate) fn release_acks(&mut self, pn: &str) -> usize {
        let (release, keep): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|(who, _)| who.pn == pn);
        self.held = keep;
        let count = release.len();
        for (who, ack) in release {
            if let Some(conn) = self.conn_of(&who) {
                self.send(conn, ack);
            }
        }
        count
    }

    fn route_person(&mut self, from: &Address, to: &Jid, node: &Node) {
        let Some(participants) = node.get_optional_child("participants") else {
            // A message among one's own devices: the encrypted part stands alone.
            if let Some(target) = self.address_of(to) {
                let encs: Vec<Node> = encs(node);
                self.relay(from, &target, to, node, encs, None);
            }
            return;
        };
        let lid = to.server == Server::Lid;
        for part in children(participants) {
            let Some(device) = jid(part, "jid") else { continue };
            let Some(target) = self.known_device(from, &device) else { continue };
            let own = target.pn == from.pn;
            let form = if lid { Server::Lid } else { Server::Pn };
            let to = Jid { server: form, ..to.clone() };
            self.relay(from, &target, &to, node, encs(part), own.then_some(&to));
        }
    }

    fn known_device(&mut self, from: &Address, device: &Jid) -> Option<Address> {
        let known = self.address_of(device).filter(|a| self.device_ids(&a.pn).contains(&a.device));
        if known.is_none() {
            // A device which was just unlinked may still be in a sender's list: the real service
            // drops the copy too. It is no broken rule unless the account never existed.
            self.journal.note(0, Some(from.clone()), "unknown device", device.to_string());
        }
        known
    }

    fn relay(
        &mut self,
        from: &Address,
        target: &Address,
        to: &Jid,
        node: &Node,
        encs: Vec<Node>,
        recipient: Option<&Jid>,
    ) {
        let Some(sender) = self.accounts.get(&from.pn) else { return };
        let lid = to.server == Server::Lid;
        let form = if lid { Server::Lid } else { Server::Pn };
        let mut builder =
            self.envelope(from, node).attr("from", sender.jid(form).with_device(from.device));
        if lid {
            builder =
                builder.attr("sender_pn", sender.jid(Server::Pn)).attr("addressing_mode", "lid");
        } else {
            builder = builder.attr("sender_lid", sender.jid(Server::Lid));
        }
        if let Some(recipient) = recipient {
            builder = builder.attr("recipient", recipient.to_non_ad());
        }
        self.hand_over(from, target, node, builder, encs);
    }

    fn route_group(&mut self, from: &Address, to: &Jid, node: &Node) {
        let Some(group) = self.groups.get(to.user.as_str()) else { return };
        let members: Vec<String> = group.members.keys().cloned().collect();
        let shared = encs(node);
        let mut own: BTreeMap<Address, Vec<Node>> = BTreeMap::new();
        let parts = node.get_optional_child("participants").map(children).unwrap_or_default();
        for part in parts {
            let Some(device) = jid(part, "jid") else { continue };
            if let Some(target) = self.known_device(from, &device) {
                own.insert(target, encs(part));
            }
        }
        let mut targets: Vec<Address> = own.keys().cloned().collect();
        if let Some(one) = jid(node, "participant") {
            // Sent again to a device that asked for it, and encrypted for it alone.
            targets = self.known_device(from, &one).into_iter().collect();
        } else if !shared.is_empty() {
            targets = members
                .iter()
                .flat_map(|pn| self.device_ids(pn).into_iter().map(move |d| Address::new(pn, d)))
                .collect();
        }
        for target in targets.into_iter().filter(|t| t != from) {
            let mut encs = own.remove(&target).unwrap_or_default();
            encs.extend(shared.iter().cloned());
            self.hand_to_member(from, to, &target, node, encs);
        }
    }

    /// A message of somebody in a chat of many comes to one device there.
    fn hand_to_member(
        &mut self,
        from: &Address,
        to: &Jid,
        target: &Address,
        node: &Node,
        encs: Vec<Node>,
    ) {
        let Some(sender) = self.accounts.get(&from.pn) else { return };
        let builder = self
            .envelope(from, node)
            .attr("from", to.clone())
            .attr("participant", sender.jid(Server::Lid).with_device(from.device))
            .attr("participant_pn", sender.jid(Server::Pn))
            .attr("addressing_mode", "lid");
        self.hand_over(from, target, node, builder, encs);
    }

    /// A status goes to every device that its sender wrote into it.
    fn route_status(&mut self, from: &Address, to: &Jid, node: &Node) {
        let shared = encs(node);
        let parts = node.get_optional_child("participants").map(children).unwrap_or_default();
        let mut targets: BTreeMap<Address, Vec<Node>> = BTreeMap::new();
        for part in parts {
            let Some(device) = jid(part, "jid") else { continue };
            let Some(target) = self.known_device(from, &device) else { continue };
            let own = encs(part);
            if own.is_empty() && device.device == 0 {
                // A person, with all their devices that have the key already.
                for device in self.device_ids(&target.pn) {
                    targets.entry(Address::new(&target.pn, device)).or_default();
                }
            } else {
                targets.entry(target).or_default().extend(own);
            }
        }
        if targets.keys().all(|target| target.pn == from.pn) {
            self.violation(Some(from), "status", "it goes to nobody".to_owned());
        }
        targets.remove(from);
        for (target, mut encs) in targets {
            encs.extend(shared.iter().cloned());
            self.hand_to_member(from, to, &target, node, encs);
        }
    }

    fn envelope(&self, from: &Address, node: &Node) -> NodeBuilder {
        let name = self.accounts.get(&from.pn).map(|a| a.name.clone()).unwrap_or_default();
        let mut builder = NodeBuilder::new("message").attr("notify", name).attr("t", now());
        for key in ["id", "type", "edit", "category"] {
            if let Some(value) = node.attrs.get(key) {
                builder = builder.attr(key, value.clone());
            }
        }
        builder
    }

    fn hand_over(
        &mut self,
        from: &Address,
        target: &Address,
        node: &Node,
        builder: NodeBuilder,
        mut encs: Vec<Node>,
    ) {
        if self.strikes_on(target, &Fault::Undecryptable) {
            for enc in &mut encs {
                // Within what is encrypted: the end of a first message says only which keys it was made with.
                if let Some(NodeContent::Bytes(bytes)) = &mut enc.content
                    && let at = bytes.len() * 3 / 4
                    && let Some(byte) = bytes.get_mut(at)
                {
                    *byte ^= 1;
                }
            }
        }
        if self.strikes_on(target, &Fault::UnknownEncryption) {
            for enc in &mut encs {
                enc.attrs.insert("type", "frmsg");
            }
        }
        if self.strikes_on(target, &Fault::EmptyEncryption) {
            for enc in &mut encs {
                enc.content = None;
            }
        }
        let first = encs.iter().any(|e| text(e, "type") == "pkmsg");
        if let Some(meta) = node.get_optional_child("meta") {
            encs.push(meta.clone());
        }
        if first && from.device != 0 {
            if let Some(identity) = node.get_optional_child("device-identity") {
                encs.push(identity.clone());
            } else {
                let id = text(node, "id");
                self.violation(Some(from), "pkmsg without device-identity", id);
            }
        }
        let stanza = builder.children(encs).build();
        if target.device != 0 && self.strikes_on(target, &Fault::Duplicate) {
            self.deliver(target, stanza.clone());
        }
        self.deliver(target, stanza);
    }

    fn check_message(&mut self, from: &Address, to: &Jid, node: &Node) {
        let Some(id) = attr(node, "id").filter(|id| !id.is_empty()) else {
            return self.violation(Some(from), "message", "no id".to_owned());
        };
        // A resend carries the same id to fewer devices; to another chat it would be a new message.
        let mut hasher = DefaultHasher::new();
        self.pn_of(to).unwrap_or_else(|| to.to_string()).hash(&mut hasher);
        let print = hasher.finish();
        let key = (from.pn.clone(), id.clone());
        let before = *self.ids.entry(key).or_insert(print);
        if before != print {
            self.violation(Some(from), "duplicate id", format!("{id} for another chat"));
        }
    }
}

fn encs(node: &Node) -> Vec<Node> {
    children(node).iter().filter(|c| c.tag == "enc" && !bytes(c).is_empty()).cloned().collect()
}

fn with_attr(mut node: Node, key: &'static str, value: String) -> Node {
    node.attrs.insert(key, value);
    node
}
