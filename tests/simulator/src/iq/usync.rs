//! `usync`: who is on WhatsApp, what their LID is, and which devices they have.

use anyhow::Result;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::fault::Fault;
use crate::util::{bytes, children, empty, hex, iq_error, iq_error_for, iq_result, jid, leaf, now};
use crate::world::{Address, World};

impl World {
    pub(super) fn usync(&mut self, who: &Address, node: &Node) -> Node {
        let Some(usync) = node.get_optional_child("usync") else {
            return iq_error(node, 400, "bad-request");
        };
        let wanted: Vec<String> = usync
            .get_optional_child("query")
            .map(children)
            .unwrap_or_default()
            .iter()
            .map(|q| q.tag.to_string())
            .collect();
        let asks_who = wanted.iter().any(|tag| tag == "contact");
        let refused = self.faults.take(Some(who), |fault| match fault {
            Fault::Directory(code, wait) if asks_who => Some((*code, *wait)),
            _ => None,
        });
        if let Some((code, wait)) = refused {
            return iq_error_for(node, code, "rate-overlimit", wait);
        }
        let empty_answer = asks_who && self.faults.strikes(Some(who), &Fault::DirectoryEmpty);
        let mut users = Vec::new();
        for user in usync.get_optional_child("list").map(children).unwrap_or_default() {
            users.extend(self.usync_user(who, user, &wanted));
        }
        if empty_answer {
            users.clear();
        }
        let mut builder = NodeBuilder::new("usync");
        for key in ["sid", "mode", "context", "index", "last"] {
            if let Some(value) = usync.attrs.get(key) {
                builder = builder.attr(key, value.clone());
            }
        }
        let result = NodeBuilder::new("result").children(wanted.iter().filter_map(|tag| {
            ["devices", "contact", "lid"].into_iter().find(|known| known == tag).map(empty)
        }));
        let list = NodeBuilder::new("list").children(users).build();
        iq_result(node, vec![builder.children([result.build(), list]).build()])
    }

    fn usync_user(&mut self, who: &Address, user: &Node, wanted: &[String]) -> Option<Node> {
        let asked = jid(user, "jid");
        let number = user
            .get_optional_child("contact")
            .map(|c| String::from_utf8_lossy(&bytes(c)).into_owned())
            .filter(|n| !n.is_empty());
        let pn = match (&asked, &number) {
            (Some(jid), _) => self.pn_of(jid),
            (None, Some(number)) => {
                let digits = number.trim_start_matches('+');
                let digits = self.aliases.get(digits).map_or(digits, String::as_str);
                self.accounts.get(digits).map(|a| a.pn.clone())
            }
            (None, None) => {
                self.violation(Some(who), "usync", "a user without jid and number".to_owned());
                return None;
            }
        };
        // The answer is in the namespace of the question: a client looks its own JID up in it.
        let answer = match (&asked, &pn, &number) {
            (Some(jid), _, _) => Some(jid.to_non_ad()),
            (None, Some(pn), _) => Some(Jid::pn(pn.as_str())),
            (None, None, Some(number)) => Some(Jid::pn(number.trim_start_matches('+'))),
            (None, None, None) => None,
        }?;
        let mut children = Vec::new();
        for tag in wanted {
            match tag.as_str() {
                "contact" => children.push(contact(number.as_deref(), pn.is_some())),
                "lid" => {
                    if let Some(account) = pn.as_ref().and_then(|pn| self.accounts.get(pn)) {
                        let lid = account.jid(Server::Lid);
                        children.push(NodeBuilder::new("lid").attr("val", lid).build());
                    }
                }
                "devices" => {
                    if let Some(account) = pn.as_ref().and_then(|pn| self.accounts.get_mut(pn)) {
                        account.watchers.insert(who.pn.clone());
                    }
                    children.extend(pn.as_ref().and_then(|pn| self.device_list(pn).ok()));
                }
                tag => {
                    let account = pn.as_ref().and_then(|pn| self.accounts.get(pn));
                    children.extend(account.and_then(|account| account.shown(tag)));
                }
            }
        }
        let mut node = NodeBuilder::new("user").attr("jid", answer.clone());
        if answer.server == Server::Lid
            && let Some(pn) = &pn
        {
            node = node.attr("pn_jid", Jid::pn(pn.as_str()));
        }
        Some(node.children(children).build())
    }

    fn device_list(&self, pn: &str) -> Result<Node> {
        let list = self.key_index_list(pn)?;
        let Some(account) = self.accounts.get(pn) else { anyhow::bail!("no such account") };
        let mut devices = vec![NodeBuilder::new("device").attr("id", 0).build()];
        devices.extend(account.devices.values().map(|d| {
            NodeBuilder::new("device").attr("id", d.id).attr("key-index", d.key_index).build()
        }));
        let ids: Vec<u8> = account.devices.keys().flat_map(|d| d.to_be_bytes()).collect();
        let mut children = vec![
            NodeBuilder::new("device-list")
                .attr("hash", format!("2:{}", hex(&ids)))
                .children(devices)
                .build(),
        ];
        let mut index = leaf("key-index-list", list);
        index.attrs.insert("ts", now());
        children.push(index);
        Ok(NodeBuilder::new("devices").children(children).build())
    }
}

fn contact(number: Option<&str>, registered: bool) -> Node {
    let mut builder =
        NodeBuilder::new("contact").attr("type", if registered { "in" } else { "out" });
    if let Some(number) = number {
        builder = builder.bytes(number.as_bytes());
    }
    builder.build()
}
