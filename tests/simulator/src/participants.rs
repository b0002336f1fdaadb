//! The hash of a message's receivers. The sender's list of devices can be out of date; the service answers with the hash of
//! its own, and a client that sees another one than it had asks for the devices again.

use wacore::messages::MessageUtils;
use wacore_binary::{Jid, Node, Server};

use crate::util::{attr, children, jid};
use crate::world::{Address, World};

impl World {
    /// The hash for the acknowledgement, where the client has one to compare it with.
    pub(crate) fn receivers_hash(&self, from: &Address, to: &Jid, node: &Node) -> Option<String> {
        let listed: Vec<Jid> = children(node.get_optional_child("participants")?)
            .iter()
            .filter_map(|part| jid(part, "jid"))
            .collect();
        let devices: Vec<Jid> = if to.server == Server::Group {
            // Named only when keys go out with the message; the sender counts too.
            attr(node, "phash")?;
            let group = self.groups.get(to.user.as_str())?;
            group.members.keys().flat_map(|pn| self.devices_as(pn, Server::Lid)).collect()
        } else {
            let other = self.pn_of(to)?;
            let mut devices = Vec::new();
            for pn in [&other, &from.pn] {
                let named = listed.iter().find(|jid| self.pn_of(jid).as_ref() == Some(pn));
                devices.extend(self.devices_as(pn, named.map_or(to.server, |jid| jid.server)));
            }
            devices.retain(|jid| self.address_of(jid).as_ref() != Some(from));
            // Whether the sender counts here, clients disagree; so only a list that lacks somebody gets an answer.
            if devices.iter().all(|jid| listed.contains(jid)) {
                return None;
            }
            devices
        };
        MessageUtils::participant_list_hash(&devices).ok()
    }

    fn devices_as(&self, pn: &str, form: Server) -> Vec<Jid> {
        let Some(account) = self.accounts.get(pn) else { return Vec::new() };
        self.device_ids(pn).into_iter().map(|id| account.jid(form).with_device(id)).collect()
    }
}
