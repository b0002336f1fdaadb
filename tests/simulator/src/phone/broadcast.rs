//! What goes to many at once: a status, a broadcast list, a channel's post.

use anyhow::{Context as _, Result};
use buffa::Message as _;
use wacore_binary::Server;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use super::send::stanza_type;
use crate::fault::Fault;
use crate::util::{leaf, message_id, now};
use crate::world::{Address, World};
use crate::{Phone, Simulator};

impl World {
    /// A message from a broadcast address to every companion of these people. The phones themselves get nothing.
    fn broadcast(
        &mut self,
        pn: &str,
        address: &str,
        readers: &[&str],
        message: &wa::Message,
    ) -> Result<String> {
        let sender = self.accounts.get(pn).context("no such phone")?;
        let (lid, number, name) =
            (sender.jid(Server::Lid), sender.jid(Server::Pn), sender.name.clone());
        let id = message_id();
        for reader in readers {
            for device in self.device_ids(reader).into_iter().filter(|device| *device != 0) {
                let target = Address::new(reader, device);
                let Some(sealed) = self.encrypt(pn, &target, message)? else { continue };
                let own_stanza = self.strikes_on(&target, &Fault::StatusStanza);
                let node = NodeBuilder::new(if own_stanza { "status" } else { "message" })
                    .attr("from", address)
                    .attr("participant", lid.clone())
                    .attr("participant_pn", number.clone())
                    .attr("addressing_mode", "lid")
                    .attr("notify", name.clone())
                    .attr("id", id.as_str())
                    .attr("type", stanza_type(message))
                    .attr("t", now())
                    .children([sealed])
                    .build();
                self.deliver(&target, node);
            }
        }
        self.touch();
        Ok(id)
    }

    /// A post, with its id and its number, comes to a follower's companions.
    pub(crate) fn deliver_post(
        &mut self,
        channel: &str,
        reader: &str,
        (id, number): (&str, u64),
        own: Option<(&'static str, &'static str)>,
        message: &wa::Message,
    ) {
        for device in self.device_ids(reader).into_iter().filter(|device| *device != 0) {
            let node = NodeBuilder::new("message")
                .attr("from", channel)
                .attr("id", id)
                .attr("server_id", number)
                .attr("type", stanza_type(message))
                .attr("t", now())
                .attrs(own)
                .children([leaf("plaintext", message.encode_to_vec())])
                .build();
            self.deliver(&Address::new(reader, device), node);
        }
    }
}

impl Phone {
    /// The person shows something to these people for a day.
    pub fn show_status(&self, readers: &[&str], message: &wa::Message) -> Result<String> {
        self.sim.world().broadcast(self.number(), "status@broadcast", readers, message)
    }

    /// The person writes to a list of people. Each of them sees it as a message in their own chat with the person.
    pub fn send_to_list(
        &self,
        list: &str,
        readers: &[&str],
        message: &wa::Message,
    ) -> Result<String> {
        self.sim.world().broadcast(self.number(), list, readers, message)
    }
}

impl Simulator {
    /// Somebody posts in a channel that this account follows. Such a post is not encrypted.
    pub fn post_in_channel(
        &self,
        channel: &str,
        follower: &str,
        message: &wa::Message,
    ) -> Result<String> {
        Ok(self.post(channel, follower, None, message))
    }

    /// The account's owner posts in a channel on the phone.
    pub fn post_in_own_channel(
        &self,
        channel: &str,
        owner: &str,
        message: &wa::Message,
    ) -> Result<String> {
        Ok(self.post(channel, owner, Some(("is_sender", "true")), message))
    }

    fn post(
        &self,
        channel: &str,
        reader: &str,
        own: Option<(&'static str, &'static str)>,
        message: &wa::Message,
    ) -> String {
        let mut world = self.world();
        let id = message_id();
        world.deliver_post(channel, reader, (&id, 120), own, message);
        world.touch();
        id
    }
}
