//! From a finished handshake to a working session: registration or login, active and passive, the
//! offline queue, and the end of a connection.

use std::time::Duration;

use buffa::Message as _;
use tokio::sync::mpsc;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::ClientPayload;

use crate::fault::Fault;
use crate::journal::Direction;
use crate::pairing::Registration;
use crate::presence::PRESENCE;
use crate::util::{attr, bytes, children, empty, now, server, text};
use crate::world::{Address, Conn, End, Out, World};

/// How many stanzas of the offline queue come without being asked for.
const PRIMER: usize = 5;

impl World {
    /// A client finished its handshake.
    pub(crate) fn connected(
        &mut self,
        out: mpsc::UnboundedSender<Out>,
        noise: [u8; 32],
        payload: &[u8],
        pattern: &str,
    ) -> u64 {
        let conn = self.number();
        self.conns.insert(
            conn,
            Conn {
                out,
                noise,
                login: None,
                registration: None,
                refs: Vec::new(),
                pairing: None,
                link_code: None,
                passkey: None,
                silent: false,
                slow: None,
                swallows: false,
                ends_after: None,
                active: false,
                caught_up: false,
                no_offline_end: false,
            },
        );
        self.journal.note(conn, None, "handshake", pattern.to_owned());
        match ClientPayload::decode_from_slice(payload) {
            Ok(payload) if payload.device_pairing_data.is_set() => {
                let keys = payload.device_pairing_data.into_option().unwrap_or_default();
                match Registration::read(keys) {
                    Ok(registration) => {
                        if !registration.missing.is_empty() {
                            let missing = registration.missing.join(", ");
                            self.violation(None, "device properties", missing);
                        }
                        self.offer_pairing(conn, registration);
                    }
                    Err(error) => {
                        self.violation(None, "registration", error.to_string());
                        self.close(conn);
                    }
                }
            }
            Ok(payload) => self.login_attempt(conn, &payload),
            Err(error) => {
                self.violation(None, "client payload", error.to_string());
                self.close(conn);
            }
        }
        self.touch();
        conn
    }

    fn login_attempt(&mut self, conn: u64, payload: &ClientPayload) {
        let pn = payload.username.unwrap_or_default().to_string();
        let device = u16::try_from(payload.device.unwrap_or_default()).unwrap_or_default();
        let who = Address { pn, device };
        let version =
            payload.user_agent.as_option().and_then(|agent| agent.app_version.as_option());
        if let Some(version) = version {
            let parts = [version.primary, version.secondary, version.tertiary];
            let parts = parts.map(|part| part.unwrap_or_default().to_string());
            self.journal.note(conn, Some(who.clone()), "version", parts.join("."));
        }
        if let Some(code) = self.faults.take(Some(&who), |f| match f {
            Fault::LoginFailure(code) => Some(*code),
            _ => None,
        }) {
            return self.refuse_login(conn, &who, code);
        }
        let noise = self.conns.get(&conn).map(|c| c.noise);
        let known = self.device(&who).is_some_and(|d| Some(d.noise) == noise);
        if !known {
            return self.refuse_login(conn, &who, 401);
        }
        let previous = self.device(&who).and_then(|d| d.conn.replace(conn));
        let no_offline_end = self.faults.strikes(Some(&who), &Fault::NoOfflineEnd);
        if let Some(c) = self.conns.get_mut(&conn) {
            c.login = Some(who.clone());
            c.no_offline_end = no_offline_end;
        }
        if let Some(previous) = previous {
            self.replaced(previous);
        }
        let Some(account) = self.accounts.get(&who.pn) else { return };
        let node = NodeBuilder::new("success")
            .attr("t", now())
            .attr("lid", Jid::lid_device(account.lid.as_str(), who.device))
            .attr("props", "2")
            .attr("abprops", "1")
            .attr("display_name", account.name.as_str())
            .attr("companion_enc_static", "")
            .build();
        self.journal.note(conn, Some(who.clone()), "login", String::new());
        self.send(conn, node);
        if self.faults.strikes(Some(&who), &Fault::EarlySuccess)
            && let Some(c) = self.conns.get_mut(&conn)
        {
            c.silent = true;
        }
    }

    fn refuse_login(&mut self, conn: u64, who: &Address, code: u16) {
        self.journal.note(conn, Some(who.clone()), "login refused", code.to_string());
        let mut failure = NodeBuilder::new("failure").attr("reason", code).attr("location", "sim");
        if code == 402 {
            failure = failure
                .attr("code", "101")
                .attr("expire", "3600")
                .attr("message", "too many strangers")
                .attr("url", "https://faq.whatsapp.com/banned");
        }
        if code == 403 {
            failure = failure
                .attr("logout_message_header", "Your account is locked.")
                .attr("logout_message_subtext", "Open WhatsApp on your phone.")
                .attr("appeal_token", "appeal-once");
        }
        self.send(conn, failure.build());
        self.close(conn);
    }

    /// Tells a connection that another one took its place.
    pub(crate) fn replaced(&mut self, conn: u64) {
        self.stream_error(conn, 409, Some("replaced"));
    }

    /// `<stream:error>` and the end of the connection.
    pub(crate) fn stream_error(&mut self, conn: u64, code: u16, conflict: Option<&'static str>) {
        let mut node = NodeBuilder::new("stream:error").attr("code", code);
        if let Some(kind) = conflict {
            node = node.children([NodeBuilder::new("conflict").attr("type", kind).build()]);
        }
        self.send(conn, node.build());
        // After 515 the client closes; a server which does it first loses the client's last words.
        if code != 515 {
            self.close(conn);
        }
    }

    /// A connection is gone.
    pub(crate) fn disconnected(&mut self, conn: u64) {
        let Some(gone) = self.conns.remove(&conn) else { return };
        self.iq_times.remove(&conn);
        if let Some(who) = &gone.login
            && let Some(device) = self.device(who)
            && device.conn == Some(conn)
        {
            device.conn = None;
        }
        self.journal.note(conn, gone.login, "closed", String::new());
        self.touch();
    }

    /// A stanza of a client.
    pub(crate) fn stanza(&mut self, conn: u64, node: &Node) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        let who = c.login.clone();
        let lost = c.silent || (c.swallows && node.tag == "message");
        let last = match &mut c.ends_after {
            // One that is over takes nothing any more.
            Some((0, End::Close)) => Some(End::Close),
            Some((_, End::Reset)) if node.tag != "message" => None,
            Some((0, End::Reset)) => {
                c.ends_after = Some((0, End::Close));
                Some(End::Reset)
            }
            Some((n, _)) => {
                *n -= 1;
                None
            }
            None => None,
        };
        self.journal.stanza(Direction::In, conn, who.clone(), node);
        if let Some(who) = &who {
            self.check_keys(who, node);
        }
        if let Some(end) = last {
            self.end(conn, end);
        } else if !lost {
            self.dispatch(conn, who.as_ref(), node);
            self.run_phones();
        }
        self.touch();
    }

    /// A stanza of a client that was lost on the way.
    pub(crate) fn unheard(&mut self, conn: u64, node: &Node) {
        let who = self.login(conn);
        self.journal.note(
            conn,
            who.clone(),
            "unheard",
            format!("<{} {}>", node.tag, text(node, "id")),
        );
        if let Some(who) = who {
            self.check_keys(&who, node);
        }
    }

    fn dispatch(&mut self, conn: u64, who: Option<&Address>, node: &Node) {
        if node.tag == "iq" {
            return self.iq(conn, node);
        }
        let Some(who) = who else {
            // A client reports its session before it is paired, and confirms the second stage of
            // pairing by code.
            if matches!(node.tag.as_ref(), "ib" | "ack") {
                return;
            }
            return self.violation(None, "not logged in", format!("<{}>", node.tag));
        };
        match node.tag.as_ref() {
            "message" => self.message(who, Some(conn), node),
            "receipt" => self.receipt(who, Some(conn), node),
            "ack" => {
                let (class, id) = (text(node, "class"), text(node, "id"));
                self.confirm(who, &class, &id);
            }
            "ib" => self.client_ib(conn, who, node),
            "presence" if matches!(text(node, "type").as_str(), "subscribe" | "unsubscribe") => {
                self.presence_wanted(conn, who, node);
            }
            "presence" => {
                if let Some(kind) = attr(node, "type") {
                    self.journal.note(conn, Some(who.clone()), PRESENCE, kind);
                }
                if let Some(name) = attr(node, "name") {
                    self.journal.note(conn, Some(who.clone()), "push name", name);
                }
            }
            "chatstate" => self.chatstate(who, node),
            "call" => {
                let ack = Self::ack("call", node);
                self.send(conn, ack);
            }
            other => self.violation(Some(who), "unknown tag", other.to_owned()),
        }
    }

    /// The client wants to receive: announce and start the offline queue.
    pub(crate) fn activate(&mut self, conn: u64, who: &Address) {
        let Some(device) = self.device(who) else { return };
        let waiting = device.queue.len();
        let (mut messages, mut receipts, mut notifications) = (0, 0, 0);
        for queued in &mut device.queue {
            queued.offline_on = Some(conn);
            match queued.kind.as_str() {
                "message" => messages += 1,
                "receipt" => receipts += 1,
                _ => notifications += 1,
            }
        }
        if let Some(c) = self.conns.get_mut(&conn) {
            c.active = true;
            c.caught_up = false;
        }
        let preview = NodeBuilder::new("offline_preview")
            .attr("count", waiting)
            .attr("message", messages)
            .attr("receipt", receipts)
            .attr("notification", notifications)
            .attr("call", "0")
            .attr("appdata", "0")
            .build();
        self.send(conn, ib(preview));
        self.offline(conn, who, PRIMER);
        self.share_app_state_key(who);
    }

    /// Sends the next part of the offline queue, and its end when there is no more.
    fn offline(&mut self, conn: u64, who: &Address, count: usize) {
        let Some(device) = self.device(who) else { return };
        let mine =
            |q: &&mut crate::world::Queued| q.offline_on == Some(conn) && q.sent_on != Some(conn);
        let mut batch = Vec::new();
        for queued in device.queue.iter_mut().filter(mine).take(count) {
            queued.sent_on = Some(conn);
            let mut node = queued.node.clone();
            node.attrs.insert("offline", "0");
            batch.push(node);
        }
        let rest = device.queue.iter_mut().filter(mine).count();
        for node in batch {
            self.send(conn, node);
        }
        if rest == 0 {
            self.end_offline(conn, who);
        }
    }

    fn end_offline(&mut self, conn: u64, who: &Address) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        if c.caught_up {
            return;
        }
        c.caught_up = true;
        if !c.no_offline_end {
            let count = self
                .device(who)
                .map_or(0, |d| d.queue.iter().filter(|q| q.offline_on == Some(conn)).count());
            self.send(conn, ib(NodeBuilder::new("offline").attr("count", count).build()));
        }
        self.flush(who);
    }

    fn client_ib(&mut self, conn: u64, who: &Address, node: &Node) {
        for child in children(node) {
            match child.tag.as_ref() {
                "offline_batch" => {
                    let count = text(child, "count").parse().unwrap_or(PRIMER);
                    self.offline(conn, who, count);
                }
                "unified_session" => {}
                other => self.violation(Some(who), "unknown ib", other.to_owned()),
            }
        }
    }

    fn chatstate(&mut self, who: &Address, node: &Node) {
        let Some(to) = crate::util::jid(node, "to").and_then(|to| self.pn_of(&to)) else { return };
        let state = children(node).first().map(|c| c.tag.to_string()).unwrap_or_default();
        self.phone_notice(&to, "chatstate", &who.pn, &state);
    }

    /// Makes a fault happen that concerns an open connection.
    pub(crate) fn strike(&mut self, conn: u64, fault: &Fault) {
        match fault {
            Fault::Drop => {
                if let Some(c) = self.conns.get(&conn) {
                    drop(c.out.send(Out::Abort));
                }
            }
            Fault::StreamError(code) => self.stream_error(conn, *code, None),
            Fault::Replaced => self.stream_error(conn, 409, Some("replaced")),
            Fault::DeviceRemoved => self.stream_error(conn, 401, Some("device_removed")),
            Fault::StreamEnd => {
                self.send(conn, empty("xmlstreamend"));
                self.close(conn);
            }
            _ => {
                let Some(c) = self.conns.get_mut(&conn) else { return };
                match fault {
                    Fault::Silence => c.silent = true,
                    Fault::Slow(ms) => c.slow = Some(Duration::from_millis(*ms)),
                    Fault::BlackHole => drop(c.out.send(Out::Deafen)),
                    Fault::Swallow => c.swallows = true,
                    Fault::CloseAfter(n) => c.ends_after = Some((*n, End::Close)),
                    Fault::ResetAfter(n) => c.ends_after = Some((*n, End::Reset)),
                    Fault::HalfFrame => drop(c.out.send(Out::HalfFrame)),
                    Fault::BadMac => drop(c.out.send(Out::BadMac)),
                    _ => {}
                }
            }
        }
    }
}

/// `<ib>` around a child.
pub(crate) fn ib(child: Node) -> Node {
    NodeBuilder::new("ib").attr("from", server()).children([child]).build()
}

/// The text content of a child, for the readable parts of requests.
pub(crate) fn child_text(node: &Node, tag: &str) -> String {
    node.get_optional_child(tag)
        .map(|c| String::from_utf8_lossy(&bytes(c)).into_owned())
        .unwrap_or_default()
}
