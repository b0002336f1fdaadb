//! What a phone sends: messages to people and groups, copies to its own companions, receipts, and
//! the same message again to a device that asks for it.

use anyhow::{Context as _, Result, bail};
use buffa::MessageField;
use futures_util::FutureExt as _;
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use wacore_libsignal::protocol::{
    CiphertextMessage, IdentityKey, PreKeyBundle, ProtocolAddress, PublicKey, SenderKeyName,
    UsePQRatchet, create_sender_key_distribution_message, group_encrypt, message_encrypt,
    process_prekey_bundle,
};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;

use super::Sent;
use crate::group::GroupState;
use crate::iq::Bundle;
use crate::util::{message_id, rng};
use crate::world::{Address, World};

/// A peer's Signal address: always by number, however the stanza was addressed.
pub(crate) fn signal(who: &Address) -> ProtocolAddress {
    ProtocolAddress::new(&who.pn, u32::from(who.device).into())
}

/// Under what a phone keeps what people show for a day.
const STATUS: &str = "status";

impl World {
    /// The person writes to a number or a group. Answers the message's id.
    pub(crate) fn phone_send(
        &mut self,
        pn: &str,
        to: &str,
        message: &wa::Message,
        id: Option<String>,
    ) -> Result<String> {
        let id = id.unwrap_or_else(message_id);
        let account = self.accounts.get_mut(pn).context("no such phone")?;
        if !account.phone.online {
            bail!("the phone {pn} is off");
        }
        account.phone.sent.insert(id.clone(), Sent { to: to.to_owned(), message: message.clone() });
        if self.groups.contains_key(to) {
            self.send_to_group(pn, to, message, &id)?;
        } else {
            self.send_to_person(pn, to, message, &id)?;
        }
        self.run_phones();
        self.touch();
        Ok(id)
    }

    fn send_to_person(
        &mut self,
        pn: &str,
        to: &str,
        message: &wa::Message,
        id: &str,
    ) -> Result<()> {
        let form = self.accounts.get(pn).context("no such phone")?.server();
        let chat = self.accounts.get(to).context("no such recipient")?.jid(form);
        let copy = wa::Message {
            device_sent_message: MessageField::some(wa::message::DeviceSentMessage {
                destination_jid: Some(chat.to_string()),
                message: MessageField::some(message.clone()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut parts = Vec::new();
        for device in self.device_ids(to) {
            let target = Address::new(to, device);
            parts.extend(self.part(pn, &target, form, message)?);
        }
        if to != pn {
            for device in self.device_ids(pn) {
                let target = Address::new(pn, device);
                parts.extend(self.part(pn, &target, form, &copy)?);
            }
        }
        let node = stanza(&chat, id, message)
            .children([NodeBuilder::new("participants").children(parts).build()])
            .build();
        self.message(&Address::new(pn, 0), None, &node);
        Ok(())
    }

    fn send_to_group(
        &mut self,
        pn: &str,
        group: &str,
        message: &wa::Message,
        id: &str,
    ) -> Result<()> {
        let state = self.groups.get(group).context("no such group")?;
        if !state.has(pn) {
            bail!("{pn} is not in the group");
        }
        let jid = state.jid();
        let members: Vec<String> = state.members.keys().cloned().collect();
        let name = SenderKeyName::from_parts(&jid.to_string(), &format!("{pn}.0"));
        let stores = &mut self.accounts.get_mut(pn).context("no such phone")?.phone.stores;
        let distribution = now(create_sender_key_distribution_message(
            &name,
            &mut stores.sender_keys,
            &mut rng(),
        ))??;
        let plain = MessageUtils::encode_and_pad(message);
        let sealed = now(group_encrypt(&mut stores.sender_keys, &name, &plain, &mut rng()))??;
        let keys = distribution_message(&jid, distribution.serialized());
        let mut parts = Vec::new();
        for member in members {
            for device in self.device_ids(&member) {
                let target = Address::new(&member, device);
                if (member == pn && device == 0) || !self.newly_keyed(pn, group, &target) {
                    continue;
                }
                parts.extend(self.part(pn, &target, Server::Lid, &keys)?);
            }
        }
        let mut children = Vec::new();
        if !parts.is_empty() {
            children.push(NodeBuilder::new("participants").children(parts).build());
        }
        children.push(enc("skmsg", sealed.serialized(), message));
        let node =
            stanza(&jid, id, message).attr("addressing_mode", "lid").children(children).build();
        self.message(&Address::new(pn, 0), None, &node);
        Ok(())
    }

    fn newly_keyed(&mut self, pn: &str, group: &str, target: &Address) -> bool {
        let key = format!("{}:{}", target.pn, target.device);
        self.accounts
            .get_mut(pn)
            .is_some_and(|a| a.phone.keyed.entry(group.to_owned()).or_default().insert(key))
    }

    /// The encrypted part for one device; nothing for the phone itself or a device without keys.
    fn part(
        &mut self,
        pn: &str,
        target: &Address,
        form: Server,
        message: &wa::Message,
    ) -> Result<Option<Node>> {
        if target.pn == pn && target.device == 0 {
            return Ok(None);
        }
        let Some(enc) = self.encrypt(pn, target, message)? else { return Ok(None) };
        let jid = self.accounts.get(&target.pn).context("no such account")?.jid(form);
        Ok(Some(
            NodeBuilder::new("to")
                .attr("jid", jid.with_device(target.device))
                .children([enc])
                .build(),
        ))
    }

    pub(super) fn encrypt(
        &mut self,
        pn: &str,
        target: &Address,
        message: &wa::Message,
    ) -> Result<Option<Node>> {
        let address = signal(target);
        let known = self
            .accounts
            .get(pn)
            .is_some_and(|a| a.phone.stores.sessions.0.contains_key(&address.to_string()));
        if !known {
            let Some(bundle) = self.bundle(target) else { return Ok(None) };
            self.start_session(pn, target, bundle)?;
        }
        let stores = &mut self.accounts.get_mut(pn).context("no such phone")?.phone.stores;
        let plain = MessageUtils::encode_and_pad(message);
        let sealed =
            now(message_encrypt(&plain, &address, &mut stores.sessions, &mut stores.identities))??;
        let kind = match sealed {
            CiphertextMessage::PreKeySignalMessage(_) => "pkmsg",
            _ => "msg",
        };
        Ok(Some(enc(kind, sealed.serialize(), message)))
    }

    fn start_session(&mut self, pn: &str, target: &Address, bundle: Bundle) -> Result<()> {
        let (id, key, signature) = bundle.signed;
        let one_time = match bundle.one_time {
            Some((id, key)) => Some((id.into(), PublicKey::from_djb_public_key_bytes(&key)?)),
            None => None,
        };
        let bundle = PreKeyBundle::new(
            bundle.registration,
            u32::from(target.device).into(),
            one_time,
            id.into(),
            PublicKey::from_djb_public_key_bytes(&key)?,
            signature,
            IdentityKey::new(PublicKey::from_djb_public_key_bytes(&bundle.identity)?),
        )?;
        let stores = &mut self.accounts.get_mut(pn).context("no such phone")?.phone.stores;
        now(process_prekey_bundle(
            &signal(target),
            &mut stores.sessions,
            &mut stores.identities,
            &bundle,
            &mut rng(),
            UsePQRatchet::No,
        ))??;
        Ok(())
    }

    /// A message to one own companion only (keys, history).
    pub(crate) fn send_peer(&mut self, to: &Address, message: &wa::Message) -> Result<()> {
        let Some(enc) = self.encrypt(&to.pn, to, message)? else { return Ok(()) };
        let jid = Jid::pn_device(to.pn.as_str(), to.device);
        let node = NodeBuilder::new("message")
            .attr("to", jid)
            .attr("id", message_id())
            .attr("type", "text")
            .attr("category", "peer")
            .children([NodeBuilder::new("meta").attr("appdata", "default").build(), enc])
            .build();
        self.message(&Address::new(&to.pn, 0), None, &node);
        Ok(())
    }

    /// Sends a message again to a device which could not read it, in a fresh session: with the keys that it sent along,
    /// or else with those that the server has of it.
    pub(crate) fn resend(
        &mut self,
        pn: &str,
        asker: &Address,
        id: &str,
        keys: Option<Bundle>,
    ) -> Result<()> {
        let Some(account) = self.accounts.get_mut(pn) else { return Ok(()) };
        let Some(sent) = account.phone.sent.get(id).cloned() else { return Ok(()) };
        account.phone.stores.sessions.0.remove(&signal(asker).to_string());
        let form = account.server();
        if let Some(keys) = keys {
            self.start_session(pn, asker, keys)?;
        }
        let group = self.groups.get(&sent.to).map(GroupState::jid);
        let (chat, form, message) = if let Some(group) = group {
            (group.clone(), Server::Lid, self.with_keys(pn, &group, &sent)?)
        } else {
            let chat = self.accounts.get(&sent.to).context("no such chat")?.jid(form);
            let message = if asker.pn == pn {
                wacore::messages::wrap_device_sent(sent.message.clone(), chat.to_string())
            } else {
                sent.message.clone()
            };
            (chat, form, message)
        };
        let Some(part) = self.part(pn, asker, form, &message)? else { return Ok(()) };
        let mut builder = stanza(&chat, id, &sent.message);
        if chat.server == Server::Group {
            builder = builder.attr("addressing_mode", "lid");
        }
        let parts = NodeBuilder::new("participants").children([part]).build();
        self.message(&Address::new(pn, 0), None, &builder.children([parts]).build());
        Ok(())
    }

    fn with_keys(&mut self, pn: &str, group: &Jid, sent: &Sent) -> Result<wa::Message> {
        let name = SenderKeyName::from_parts(&group.to_string(), &format!("{pn}.0"));
        let stores = &mut self.accounts.get_mut(pn).context("no such phone")?.phone.stores;
        let distribution = now(create_sender_key_distribution_message(
            &name,
            &mut stores.sender_keys,
            &mut rng(),
        ))??;
        let mut message = sent.message.clone();
        message.sender_key_distribution_message =
            distribution_message(group, distribution.serialized()).sender_key_distribution_message;
        Ok(message)
    }

    /// The person's phone confirms a message: `""` for delivered, `read`, `played`.
    pub(crate) fn phone_receipt(&mut self, pn: &str, id: &str, kind: &str) -> Result<()> {
        let account = self.accounts.get(pn).context("no such phone")?;
        let found = account
            .phone
            .inbox
            .iter()
            .rev()
            .find_map(|item| item.message().filter(|m| m.id == id))
            .with_context(|| format!("{pn} has no message {id}"))?;
        let (from, chat, device) = (found.from.clone(), found.chat.clone(), found.device);
        self.send_receipt(pn, &Address::new(&from, device), &chat, id, kind);
        self.run_phones();
        self.touch();
        Ok(())
    }

    /// Sends a receipt for a message of that device.
    pub(crate) fn send_receipt(
        &mut self,
        pn: &str,
        author: &Address,
        chat: &str,
        id: &str,
        kind: &str,
    ) {
        let Some(account) = self.accounts.get(&author.pn) else { return };
        let Some(me) = self.accounts.get(pn) else { return };
        let came = me.phone.seen.get(&(author.pn.clone(), id.to_owned())).copied();
        let mut builder = NodeBuilder::new("receipt").attr("id", id);
        if !kind.is_empty() {
            builder = builder.attr("type", kind);
        }
        builder = match self.groups.get(chat) {
            Some(group) => {
                builder.attr("to", group.jid()).attr("participant", account.jid(Server::Lid))
            }
            None if chat == STATUS => builder
                .attr("to", Jid::new(STATUS, Server::Broadcast))
                .attr("participant", account.jid(Server::Lid)),
            None => builder.attr("to", account.jid(came.unwrap_or_else(|| account.server()))),
        };
        self.receipt(&Address::new(pn, 0), None, &builder.build());
    }
}

fn stanza(to: &Jid, id: &str, message: &wa::Message) -> NodeBuilder {
    let builder = NodeBuilder::new("message")
        .attr("to", to.clone())
        .attr("id", id)
        .attr("type", stanza_type(message));
    let edited = message.edited_message.as_option().and_then(|e| e.message.as_option());
    let protocol = edited.unwrap_or(message).protocol_message.as_option();
    match protocol.and_then(|p| p.r#type) {
        Some(Type::REVOKE) => builder.attr("edit", "7"),
        Some(Type::MESSAGE_EDIT) => builder.attr("edit", "1"),
        _ => builder,
    }
}

pub(crate) fn stanza_type(message: &wa::Message) -> &'static str {
    if media_type(message).is_some() {
        "media"
    } else if message.reaction_message.is_set() {
        "reaction"
    } else if message.poll_creation_message.is_set()
        || message.poll_creation_message_v3.is_set()
        || message.poll_update_message.is_set()
    {
        "poll"
    } else {
        "text"
    }
}

fn media_type(m: &wa::Message) -> Option<&'static str> {
    [
        (m.image_message.is_set(), "image"),
        (m.video_message.is_set(), "video"),
        (m.audio_message.is_set(), "audio"),
        (m.document_message.is_set(), "document"),
        (m.sticker_message.is_set(), "sticker"),
        (m.location_message.is_set(), "location"),
        (m.live_location_message.is_set(), "livelocation"),
        (m.contact_message.is_set(), "vcard"),
        (m.contacts_array_message.is_set(), "contact_array"),
    ]
    .into_iter()
    .find_map(|(set, name)| set.then_some(name))
}

fn enc(kind: &'static str, sealed: &[u8], message: &wa::Message) -> Node {
    let mut builder = NodeBuilder::new("enc").attr("v", "2").attr("type", kind);
    if let Some(media) = media_type(message) {
        builder = builder.attr("mediatype", media);
    }
    builder.bytes(sealed).build()
}

fn distribution_message(group: &Jid, keys: &[u8]) -> wa::Message {
    wa::Message {
        sender_key_distribution_message: MessageField::some(
            wa::message::SenderKeyDistributionMessage {
                group_id: Some(group.to_string()),
                axolotl_sender_key_distribution_message: Some(keys.to_vec()),
            },
        ),
        ..Default::default()
    }
}

/// The stores are in memory, so their futures never wait.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> Result<T> {
    future.now_or_never().context("an in-memory store waited")
}
