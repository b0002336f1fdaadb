//! Receipts: acknowledged to their sender, taken as the confirmation of what they name, and passed
//! on to the devices they are meant for.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::fault::Fault;
use crate::util::{attr, children, jid, now, text};
use crate::world::{Address, World};

const KNOWN: [&str; 12] = [
    "",
    "read",
    "read-self",
    "played",
    "played-self",
    "inactive",
    "sender",
    "peer_msg",
    "retry",
    "hist_sync",
    "server-error",
    "enc_rekey_retry",
];

/// The ids a receipt names.
pub(crate) fn receipt_ids(node: &Node) -> Vec<String> {
    let mut ids: Vec<String> = attr(node, "id").into_iter().collect();
    for item in node.get_optional_child("list").map(children).unwrap_or_default() {
        ids.extend(attr(item, "id"));
    }
    ids
}

impl World {
    /// A receipt of a companion (with a connection) or a phone (without).
    pub(crate) fn receipt(&mut self, from: &Address, conn: Option<u64>, node: &Node) {
        let kind = text(node, "type");
        if !KNOWN.contains(&kind.as_str()) {
            self.violation(Some(from), "unknown receipt", kind.clone());
        }
        if let Some(conn) = conn {
            let ack = Self::ack("receipt", node);
            self.send(conn, ack);
        }
        // A request to send again does not say that the message was dealt with.
        if !kind.ends_with("retry") {
            for id in receipt_ids(node) {
                self.confirm(from, "message", &id);
            }
        }
        if kind == "server-error" && node.get_optional_child("rmr").is_some() {
            return self.upload_again(from, node);
        }
        let Some(to) = jid(node, "to") else {
            return self.violation(Some(from), "receipt", "no `to`".to_owned());
        };
        if receipt_ids(node).iter().any(|id| self.unanswered.contains(id)) {
            return;
        }
        let group = matches!(to.server, Server::Group | Server::Broadcast);
        let author = if group { jid(node, "participant") } else { Some(to.clone()) };
        let Some(author) = author else { return };
        let Some(pn) = self.pn_of(&author) else { return };
        let targets: Vec<Address> = if author.device == 0 && kind != "retry" {
            self.device_ids(&pn).into_iter().map(|d| Address::new(&pn, d)).collect()
        } else {
            vec![Address::new(&pn, author.device)]
        };
        for target in targets.into_iter().filter(|t| t != from) {
            if self.strikes_on(&target, &Fault::ReceiptDrop) {
                continue;
            }
            let relayed = self.relayed_receipt(from, &to, node);
            self.deliver(&target, relayed);
        }
    }

    fn relayed_receipt(&self, from: &Address, to: &Jid, node: &Node) -> Node {
        let mut builder = NodeBuilder::new("receipt").attr("t", now());
        for key in ["id", "type", "recipient"] {
            if let Some(value) = node.attrs.get(key) {
                builder = builder.attr(key, value.clone());
            }
        }
        if let Some(account) = self.accounts.get(&from.pn) {
            let form = if to.server == Server::Pn { Server::Pn } else { Server::Lid };
            let device = account.jid(form).with_device(from.device);
            builder = if matches!(to.server, Server::Group | Server::Broadcast) {
                builder.attr("from", to.clone()).attr("participant", device)
            } else {
                builder.attr("from", device)
            };
        }
        builder.apply_content(node.content.clone()).build()
    }
}
