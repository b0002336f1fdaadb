//! `encrypt`: the devices' prekeys, uploaded, counted, summarised and handed out.

use wacore::prekeys::compute_key_bundle_digest;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::fault::Fault;
use crate::util::{be, child_bytes, children, iq_error, iq_result, jid, leaf, now, text};
use crate::world::{Address, World};

/// The keys somebody needs to write to a device.
pub(crate) struct Bundle {
    /// Registration id.
    pub registration: u32,
    /// Identity key.
    pub identity: [u8; 32],
    /// Signed prekey: id, key, signature.
    pub signed: (u32, Vec<u8>, Vec<u8>),
    /// One-time prekey.
    pub one_time: Option<(u32, Vec<u8>)>,
    /// The companion's signed identity.
    pub device_identity: Option<Vec<u8>>,
}

impl World {
    pub(super) fn encrypt_iq(&mut self, who: &Address, child: &str, node: &Node) -> Node {
        if text(node, "type") == "set" {
            return match node.get_optional_child("rotate") {
                Some(rotate) => self.rotate(who, rotate, node),
                None => self.upload_keys(who, node),
            };
        }
        match child {
            "count" => {
                let count = self.device(who).map_or(0, |d| d.keys.one_time.len());
                iq_result(node, vec![NodeBuilder::new("count").attr("value", count).build()])
            }
            "digest" => self.digest(who, node),
            "key" => self.hand_out(who, node),
            other => {
                self.violation(Some(who), "unknown iq", format!("encrypt {other}"));
                iq_error(node, 400, "bad-request")
            }
        }
    }

    fn upload_keys(&mut self, who: &Address, node: &Node) -> Node {
        let mut reused = None;
        let Some(device) = self.device(who) else { return iq_error(node, 401, "not-authorized") };
        if let Some(registration) = child_bytes(node, "registration") {
            device.keys.registration = be(&registration);
        }
        if let Some(skey) = node.get_optional_child("skey") {
            device.keys.signed = signed_key(skey);
        }
        for key in node.get_optional_child("list").map(children).unwrap_or_default() {
            let id = be(&child_bytes(key, "id").unwrap_or_default());
            let value = child_bytes(key, "value").unwrap_or_default();
            if !device.keys.seen.insert(value.clone()) {
                // The same upload may be repeated after a lost answer; what must not happen is a
                // key coming back after it was handed out.
                if device.keys.one_time.iter().any(|(_, k)| *k == value) {
                    continue;
                }
                reused = Some(id);
            }
            device.keys.one_time.push_back((id, value));
        }
        if let Some(id) = reused {
            self.violation(Some(who), "prekey reused", format!("one-time key {id} again"));
        }
        iq_result(node, Vec::new())
    }

    fn rotate(&mut self, who: &Address, rotate: &Node, node: &Node) -> Node {
        if let (Some(device), Some(skey)) = (self.device(who), rotate.get_optional_child("skey")) {
            device.keys.signed = signed_key(skey);
        }
        iq_result(node, Vec::new())
    }

    fn digest(&mut self, who: &Address, node: &Node) -> Node {
        let Some(device) = self.device(who) else { return iq_error(node, 404, "item-not-found") };
        let keys = &device.keys;
        if keys.one_time.is_empty() {
            return iq_error(node, 404, "item-not-found");
        }
        let publics: Vec<&[u8]> = keys.one_time.iter().map(|(_, k)| k.as_slice()).collect();
        let (id, key, signature) = &keys.signed;
        let hash = compute_key_bundle_digest(&keys.identity, key, signature, &publics);
        let digest = NodeBuilder::new("digest")
            .children([
                leaf("registration", keys.registration.to_be_bytes()),
                leaf("type", [5]),
                leaf("identity", keys.identity),
                signed_node(*id, key, signature),
                NodeBuilder::new("list")
                    .children(keys.one_time.iter().map(|(id, _)| leaf("id", three(*id))))
                    .build(),
                leaf("hash", hash),
            ])
            .build();
        iq_result(node, vec![digest])
    }

    fn hand_out(&mut self, who: &Address, node: &Node) -> Node {
        let mut users = Vec::new();
        let asked = node.get_optional_child("key").map(children).unwrap_or_default();
        for user in asked {
            let Some(jid) = jid(user, "jid") else {
                self.violation(Some(who), "key request", "a user without jid".to_owned());
                continue;
            };
            let bundle = self.address_of(&jid).and_then(|address| self.bundle(&address));
            users.push(bundle.map_or_else(|| refused(&jid), |b| b.node(&jid)));
        }
        iq_result(node, vec![NodeBuilder::new("list").children(users).build()])
    }

    /// Takes the keys of a device; each one-time key leaves only once.
    pub(crate) fn bundle(&mut self, who: &Address) -> Option<Bundle> {
        if self.faults.strikes(Some(who), &Fault::KeysRefused) {
            return None;
        }
        let without = self.faults.strikes(Some(who), &Fault::NoPrekeys);
        let account = self.accounts.get_mut(&who.pn)?;
        if who.device == 0 {
            return account.phone.bundle(!without).ok();
        }
        let device = account.devices.get_mut(&who.device)?;
        let one_time = if without { None } else { device.keys.one_time.pop_front() };
        Some(Bundle {
            registration: device.keys.registration,
            identity: device.keys.identity,
            signed: device.keys.signed.clone(),
            one_time,
            device_identity: Some(device.identity.clone()),
        })
    }
}

impl Bundle {
    /// The keys that a device sends along when it asks for a message the second time.
    pub(crate) fn of_retry(receipt: &Node) -> Option<Self> {
        let keys = receipt.get_optional_child("keys")?;
        let one_time = keys.get_optional_child("key").map(|key| {
            let part = |tag| child_bytes(key, tag).unwrap_or_default();
            (be(&part("id")), part("value"))
        });
        Some(Self {
            registration: be(&child_bytes(receipt, "registration")?),
            identity: child_bytes(keys, "identity")?.try_into().ok()?,
            signed: signed_key(keys.get_optional_child("skey")?),
            one_time,
            device_identity: child_bytes(keys, "device-identity"),
        })
    }

    fn node(self, jid: &Jid) -> Node {
        let (id, key, signature) = &self.signed;
        let mut children = vec![
            leaf("registration", self.registration.to_be_bytes()),
            leaf("type", [5]),
            leaf("identity", self.identity),
        ];
        if let Some((id, value)) = self.one_time {
            let key = [leaf("id", three(id)), leaf("value", value)];
            children.push(NodeBuilder::new("key").children(key).build());
        }
        children.push(signed_node(*id, key, signature));
        if let Some(identity) = self.device_identity {
            children.push(leaf("device-identity", identity));
        }
        NodeBuilder::new("user")
            .attr("jid", jid.clone())
            .attr("t", now())
            .children(children)
            .build()
    }
}

/// Reads `<skey>`.
fn signed_key(skey: &Node) -> (u32, Vec<u8>, Vec<u8>) {
    let part = |tag| child_bytes(skey, tag).unwrap_or_default();
    (be(&part("id")), part("value"), part("signature"))
}

fn signed_node(id: u32, key: &[u8], signature: &[u8]) -> Node {
    NodeBuilder::new("skey")
        .children([leaf("id", three(id)), leaf("value", key), leaf("signature", signature)])
        .build()
}

fn refused(jid: &Jid) -> Node {
    NodeBuilder::new("user")
        .attr("jid", jid.clone())
        .children([NodeBuilder::new("error")
            .attr("code", "406")
            .attr("text", "not-acceptable")
            .build()])
        .build()
}

/// Key ids travel as three bytes.
fn three(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
}
