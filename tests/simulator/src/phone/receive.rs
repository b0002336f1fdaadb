//! What a phone does with what reaches it: decrypt, keep, confirm; answer requests of its own
//! companions; note receipts and send again what could not be read.

use anyhow::{Context as _, Result};
use buffa::Message as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use wacore_libsignal::protocol::{
    CiphertextMessage, PreKeySignalMessage, SenderKeyDistributionMessage, SenderKeyName,
    SignalMessage, UsePQRatchet, group_decrypt, message_decrypt,
    process_sender_key_distribution_message,
};
use waproto::whatsapp as wa;

use super::send::{now, signal};
use super::{InboxMessage, ItemKind, text_of};
use crate::iq::Bundle;
use crate::receipts::receipt_ids;
use crate::util::{attr, bytes, children, jid, rng, text};
use crate::world::{Address, World};

impl World {
    /// Lets the phones read what waits for them, until nothing is left.
    pub(crate) fn run_phones(&mut self) {
        while let Some((pn, node)) = self.for_phones.pop_front() {
            let Some(account) = self.accounts.get_mut(&pn) else { continue };
            if !account.phone.online {
                account.phone.waiting.push_back(node);
                continue;
            }
            match node.tag.as_ref() {
                "message" => self.phone_message(&pn, &node),
                "receipt" => self.phone_gets_receipt(&pn, &node),
                "notification" => {
                    let what = children(&node).first().map(|c| c.tag.to_string());
                    let from = text(&node, "from");
                    let notice = text(&node, "type");
                    self.phone_notice(&pn, &notice, &from, &what.unwrap_or_default());
                }
                _ => {}
            }
        }
    }

    fn phone_message(&mut self, pn: &str, node: &Node) {
        let group = jid(node, "from").filter(is_shared);
        let sender = if group.is_some() { jid(node, "participant") } else { jid(node, "from") };
        let Some(sender) = sender.and_then(|jid| self.address_of(&jid)) else { return };
        let id = text(node, "id");
        match self.decrypt(pn, &sender, group.as_ref(), node) {
            Ok(messages) => {
                for message in messages {
                    self.phone_reads(pn, &sender, group.as_ref(), &id, node, message);
                }
            }
            Err(error) => {
                let reason = format!("{error:#}");
                self.journal.note(
                    0,
                    Some(Address::new(pn, 0)),
                    "undecryptable",
                    format!("{id}: {reason}"),
                );
                if let Some(account) = self.accounts.get_mut(pn) {
                    let from = sender.pn.clone();
                    account.phone.push(ItemKind::Undecryptable { id: id.clone(), from, reason });
                }
                self.ask_again_or_wait(pn, &sender, node);
            }
        }
    }

    fn decrypt(
        &mut self,
        pn: &str,
        sender: &Address,
        group: Option<&Jid>,
        node: &Node,
    ) -> Result<Vec<wa::Message>> {
        let stores = &mut self.accounts.get_mut(pn).context("no such phone")?.phone.stores;
        let address = signal(sender);
        let mut messages = Vec::new();
        for enc in node.get_children_by_tag("enc") {
            let sealed = bytes(enc);
            let plain = match text(enc, "type").as_str() {
                "skmsg" => {
                    let group = group.context("skmsg outside a group")?;
                    let name = sender_key(group, sender);
                    now(group_decrypt(&sealed, &mut stores.sender_keys, &name))??
                }
                kind => {
                    let cipher = if kind == "pkmsg" {
                        let message = PreKeySignalMessage::try_from(sealed.as_slice())?;
                        CiphertextMessage::PreKeySignalMessage(message)
                    } else {
                        CiphertextMessage::SignalMessage(SignalMessage::try_from(
                            sealed.as_slice(),
                        )?)
                    };
                    now(message_decrypt(
                        &cipher,
                        &address,
                        &mut stores.sessions,
                        &mut stores.identities,
                        &mut stores.prekeys,
                        &stores.signed,
                        &mut rng(),
                        UsePQRatchet::No,
                    ))??
                    .plaintext
                }
            };
            let padding = plain.last().copied().map_or(0, usize::from);
            let end = plain.len().checked_sub(padding).context("wrong padding")?;
            let message = wa::Message::decode_from_slice(plain.get(..end).unwrap_or_default())?;
            if let Some(keys) = message.sender_key_distribution_message.as_option() {
                let group: Jid = keys.group_id.as_deref().unwrap_or_default().parse()?;
                let bytes =
                    keys.axolotl_sender_key_distribution_message.as_deref().unwrap_or_default();
                let keys = SenderKeyDistributionMessage::try_from(bytes)?;
                now(process_sender_key_distribution_message(
                    &sender_key(&group, sender),
                    &keys,
                    &mut stores.sender_keys,
                ))??;
            }
            messages.push(message);
        }
        Ok(messages)
    }

    fn phone_reads(
        &mut self,
        pn: &str,
        sender: &Address,
        group: Option<&Jid>,
        id: &str,
        node: &Node,
        mut message: wa::Message,
    ) {
        message.sender_key_distribution_message = buffa::MessageField::none();
        let own = sender.pn == pn;
        if let Some(protocol) = message.protocol_message.as_option()
            && let Some(request) = protocol.app_state_sync_key_request.as_option()
        {
            let asked = request.key_ids.len();
            self.journal.note(0, Some(sender.clone()), "app state key asked", asked.to_string());
            if let Some(device) = self.device(sender) {
                device.has_app_state_key = false;
            }
            self.share_app_state_key(sender);
            return self.send_receipt(pn, sender, &sender.pn, id, "");
        }
        if let Some(protocol) = message.protocol_message.as_option()
            && let Some(request) = protocol.peer_data_operation_request_message.as_option()
            && let Some(asked) = request.history_sync_on_demand_request.as_option()
        {
            self.journal.note(0, Some(sender.clone()), "history asked", id.to_owned());
            if let Err(error) = self.share_older(sender, asked) {
                self.violation(Some(sender), "history", format!("{error:#}"));
            }
            return self.send_receipt(pn, sender, &sender.pn, id, "");
        }
        let mut chat = group.map_or_else(|| sender.pn.clone(), |g| g.user.to_string());
        if let Some(sent) = message.device_sent_message.take() {
            let to = sent.destination_jid.and_then(|j| j.parse::<Jid>().ok());
            if let Some(to) = to
                && to.server != Server::Group
            {
                chat = self.pn_of(&to).unwrap_or_else(|| to.user.to_string());
            }
            message = sent.message.into_option().unwrap_or_default();
        } else if own && group.is_none() && attr(node, "recipient").is_some() {
            self.violation(Some(sender), "own copy", "not a DeviceSentMessage".to_owned());
        }
        // Keys for a group come without content of their own, at most with the context's secret.
        let bare = wa::Message {
            message_context_info: message.message_context_info.clone(),
            ..Default::default()
        };
        if message == bare {
            return;
        }
        let Some(account) = self.accounts.get_mut(pn) else { return };
        let form = jid(node, "from").map_or(Server::Pn, |from| from.server);
        let key = (sender.pn.clone(), id.to_owned());
        let fresh = account.phone.seen.insert(key, form).is_none();
        let confirm = account.phone.auto_delivered && !own;
        if fresh {
            account.phone.push(ItemKind::Message(Box::new(InboxMessage {
                id: id.to_owned(),
                from: sender.pn.clone(),
                device: sender.device,
                chat: chat.clone(),
                from_me: own,
                text: text_of(&message),
                message,
            })));
        } else {
            account.phone.repeated.push(id.to_owned());
        }
        if confirm {
            self.send_receipt(pn, sender, &chat, id, "");
        }
    }

    pub(super) fn ask_again(&mut self, pn: &str, sender: &Address, lost: &Node) {
        let id = text(lost, "id");
        let Some(account) = self.accounts.get_mut(pn) else { return };
        let registration = account.phone.stores.identities.registration;
        account.phone.stores.sessions.0.remove(&signal(sender).to_string());
        let mut builder = NodeBuilder::new("receipt").attr("id", id.as_str()).attr("type", "retry");
        // Under the address under which the message came, whichever others its author has.
        for (key, of) in [("to", "from"), ("participant", "participant")] {
            if let Some(value) = lost.attrs.get(of) {
                builder = builder.attr(key, value.clone());
            }
        }
        let node = builder
            .children([
                NodeBuilder::new("retry")
                    .attr("count", "1")
                    .attr("id", id.as_str())
                    .attr("t", crate::util::now())
                    .attr("v", "1")
                    .build(),
                crate::util::leaf("registration", registration.to_be_bytes()),
            ])
            .build();
        self.receipt(&Address::new(pn, 0), None, &node);
    }

    fn phone_gets_receipt(&mut self, pn: &str, node: &Node) {
        let group = jid(node, "from").filter(is_shared);
        let who = if group.is_some() { jid(node, "participant") } else { jid(node, "from") };
        let Some(who) = who.and_then(|jid| self.address_of(&jid)) else { return };
        let ids = receipt_ids(node);
        let receipt = attr(node, "type").unwrap_or_else(|| "delivered".to_owned());
        if receipt == "retry" {
            for id in &ids {
                if let Err(error) = self.resend(pn, &who, id, Bundle::of_retry(node)) {
                    self.violation(Some(&who), "resend", format!("{error:#}"));
                }
            }
        }
        if let Some(account) = self.accounts.get_mut(pn) {
            account.phone.push(ItemKind::Receipt {
                ids,
                receipt,
                from: who.pn,
                device: who.device,
                group: group.map(|g| g.user.to_string()),
            });
        }
    }
}

/// Whether many read there, with the sender's key.
fn is_shared(chat: &Jid) -> bool {
    matches!(chat.server, Server::Group | Server::Broadcast)
}

fn sender_key(group: &Jid, sender: &Address) -> SenderKeyName {
    SenderKeyName::from_parts(&group.to_string(), &format!("{}.{}", sender.pn, sender.device))
}
