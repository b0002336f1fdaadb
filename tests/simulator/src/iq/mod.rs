//! Requests of the clients: who may ask, which faults strike, and which file answers.

mod group_sets;
mod groups;
mod keys;
mod link;
mod misc;
mod passkey;
mod props;
mod usync;

use std::time::{Duration, Instant};

use wacore_binary::Node;

pub(crate) use self::keys::Bundle;
pub(crate) use self::link::EnteredCode;
pub(crate) use self::passkey::PasskeyLink;

use crate::fault::Fault;
use crate::util::{children, iq_error, iq_result, text};
use crate::world::{Address, World};

/// More requests than this within a second are a flood.
const FLOOD: usize = 60;

impl World {
    /// A request, or the answer to one of ours.
    pub(crate) fn iq(&mut self, conn: u64, node: &Node) {
        let kind = text(node, "type");
        if kind == "result" || kind == "error" {
            self.pair_answer(conn, node);
            return;
        }
        let xmlns = text(node, "xmlns");
        let who = self.login(conn);
        self.check_flood(conn, who.as_ref());
        if self.faults.take(who.as_ref(), |f| match f {
            Fault::IqTimeout(ns) if *ns == xmlns => Some(()),
            _ => None,
        }) == Some(())
        {
            return;
        }
        if let Some(code) = self.faults.take(who.as_ref(), |f| match f {
            Fault::IqError(ns, code) if *ns == xmlns => Some(*code),
            _ => None,
        }) {
            return self.send(conn, iq_error(node, code, "simulated"));
        }
        let child = children(node).first().map_or("", |c| c.tag.as_ref()).to_owned();
        match (xmlns.as_str(), who) {
            ("w:p" | "urn:xmpp:ping", _) => self.send(conn, iq_result(node, Vec::new())),
            ("md", who) if child == "link_code_companion_reg" => {
                self.link_code(conn, who.as_ref(), node);
            }
            ("md", None) if self.passkey_asked(conn) => {
                let answer = self.passkey_iq(conn, &child, node);
                self.send(conn, answer);
            }
            (_, Some(who)) => self.logged_in_iq(conn, &who, &xmlns, &child, node),
            (_, None) => {
                self.violation(None, "not logged in", format!("<iq xmlns={xmlns}>"));
                self.send(conn, iq_error(node, 401, "not-authorized"));
            }
        }
    }

    fn logged_in_iq(&mut self, conn: u64, who: &Address, xmlns: &str, child: &str, node: &Node) {
        let get = text(node, "type") == "get";
        let answer = match xmlns {
            "passive" => {
                self.send(conn, iq_result(node, Vec::new()));
                if child == "active" {
                    self.activate(conn, who);
                }
                return;
            }
            "encrypt" => self.encrypt_iq(who, child, node),
            "usync" => self.usync(who, node),
            "w:sync:app:state" => self.app_state_iq(who, node),
            "w:m" => self.media_conn(node),
            "newsletter" => self.channel_iq(who, node),
            "w:g2" => self.group_iq(who, node),
            "w:profile:picture" if group_sets::group_of_picture(node).is_some() => {
                self.group_picture_iq(who, get, node)
            }
            "w:profile:picture" => self.picture_iq(who, node),
            "status" => self.about_iq(who, node),
            "blocklist" => self.blocklist_iq(who, node),
            "w:biz" if get => self.business_iq(node),
            "md" if child == "remove-companion-device" => {
                self.send(conn, iq_result(node, Vec::new()));
                return self.unlink(who);
            }
            _ => self.misc_iq(conn, who, xmlns, child, node),
        };
        let lost = |fault: &Fault| match fault {
            Fault::IqLost(namespace) if namespace == xmlns => Some(()),
            _ => None,
        };
        if self.faults.take(Some(who), lost).is_some() {
            return;
        }
        self.send(conn, answer);
    }

    fn check_flood(&mut self, conn: u64, who: Option<&Address>) {
        let times = self.iq_times.entry(conn).or_default();
        let now = Instant::now();
        times.push_back(now);
        while times.front().is_some_and(|t| now.duration_since(*t) > Duration::from_secs(1)) {
            times.pop_front();
        }
        if times.len() == FLOOD {
            self.violation(who, "iq flood", format!("{FLOOD} requests within a second"));
        }
    }

    /// Removes a linked device and tells it.
    pub(crate) fn unlink(&mut self, who: &Address) {
        let Some(account) = self.accounts.get_mut(&who.pn) else { return };
        let Some(device) = account.devices.remove(&who.device) else { return };
        if let Some(conn) = device.conn {
            self.stream_error(conn, 401, Some("device_removed"));
        }
        self.journal.note(0, Some(who.clone()), "unlinked", String::new());
        self.devices_changed(who, "remove");
    }
}
