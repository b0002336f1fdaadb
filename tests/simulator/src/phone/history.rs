//! History: what a phone tells a new companion about the time before it was linked.

use anyhow::{Context as _, Result};
use buffa::{Message as _, MessageField};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::history_sync::HistorySyncType as BlobType;
use waproto::whatsapp::message::peer_data_operation_request_message::HistorySyncOnDemandRequest;
use waproto::whatsapp::message::{
    HistorySyncNotification, HistorySyncType, ProtocolMessage, protocol_message,
};

use super::Past;
use crate::util::now;
use crate::world::{Address, World};

/// The most a stored block of a zlib stream holds.
const BLOCK: usize = 0xffff;

impl World {
    /// Sends the phone's messages so far to one companion, as the bootstrap after linking.
    pub(crate) fn share_history(&mut self, to: &Address) -> Result<()> {
        let blob = self.history(&to.pn)?;
        self.send_history(to, HistorySyncType::INITIAL_BOOTSTRAP, &blob)
    }

    /// Answers a companion that asks for older messages of a chat: the newest of those before the one that it knows.
    pub(crate) fn share_older(
        &mut self,
        to: &Address,
        asked: &HistorySyncOnDemandRequest,
    ) -> Result<()> {
        let chat: Jid = asked.chat_jid.as_deref().unwrap_or_default().parse()?;
        let other = self.pn_of(&chat).context("no such chat")?;
        let before = u64::try_from(asked.oldest_msg_timestamp_ms.unwrap_or_default() / 1000)?;
        let most = usize::try_from(asked.on_demand_msg_count.unwrap_or_default())?;
        let account = self.accounts.get(&to.pn).context("no such phone")?;
        let older = account.phone.past.iter().rev();
        let older = older.filter(|past| past.chat == other && past.at < before);
        let messages: Vec<_> =
            older.take(most).map(|past| entry(past, &chat.to_string())).collect();
        let conversations =
            vec![wa::Conversation { id: chat.to_string(), messages, ..Default::default() }];
        let blob =
            wa::HistorySync { sync_type: BlobType::ON_DEMAND, conversations, ..Default::default() };
        self.send_history(to, HistorySyncType::ON_DEMAND, &blob)
    }

    fn send_history(
        &mut self,
        to: &Address,
        kind: HistorySyncType,
        blob: &wa::HistorySync,
    ) -> Result<()> {
        let packed = zlib_stored(&blob.encode_to_vec())?;
        let message = wa::Message {
            protocol_message: MessageField::some(ProtocolMessage {
                r#type: Some(protocol_message::Type::HISTORY_SYNC_NOTIFICATION),
                history_sync_notification: MessageField::some(HistorySyncNotification {
                    sync_type: Some(kind),
                    file_length: Some(packed.len() as u64),
                    initial_hist_bootstrap_inline_payload: Some(packed),
                    chunk_order: Some(1),
                    progress: Some(100),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send_peer(to, &message)
    }

    fn history(&self, pn: &str) -> Result<wa::HistorySync> {
        let account = self.accounts.get(pn).context("no such phone")?;
        let mut conversations: Vec<wa::Conversation> = Vec::new();
        for message in account.phone.inbox.iter().filter_map(super::InboxItem::message) {
            let chat = match (self.groups.get(&message.chat), self.accounts.get(&message.chat)) {
                (Some(group), _) => group.jid().to_string(),
                (None, Some(other)) => other.jid(account.server()).to_string(),
                (None, None) => continue,
            };
            let entry = wa::HistorySyncMsg {
                message: MessageField::some(wa::WebMessageInfo {
                    key: MessageField::some(wa::MessageKey {
                        remote_jid: Some(chat.clone()),
                        from_me: Some(message.from_me),
                        id: Some(message.id.clone()),
                        participant: None,
                    }),
                    message: MessageField::some(message.message.clone()),
                    message_timestamp: Some(now()),
                    ..Default::default()
                }),
                msg_order_id: Some(message.device.into()),
            };
            if let Some(known) = conversations.iter_mut().find(|c| c.id == chat) {
                known.messages.push(entry);
            } else {
                let messages = vec![entry];
                conversations.push(wa::Conversation { id: chat, messages, ..Default::default() });
            }
        }
        for past in account.phone.past.iter().rev().filter(|past| past.told) {
            let Some(other) = self.accounts.get(&past.chat) else { continue };
            let chat = other.jid(account.server()).to_string();
            let entry = entry(past, &chat);
            if let Some(known) = conversations.iter_mut().find(|c| c.id == chat) {
                known.messages.push(entry);
            } else {
                let messages = vec![entry];
                conversations.push(wa::Conversation { id: chat, messages, ..Default::default() });
            }
        }
        let names = self.accounts.values().map(|a| wa::Pushname {
            id: Some(a.jid(account.server()).to_string()),
            pushname: Some(a.name.clone()),
        });
        let mappings = self.accounts.values().map(|a| wa::PhoneNumberToLIDMapping {
            pn_jid: Some(a.jid(wacore_binary::Server::Pn).to_string()),
            lid_jid: Some(a.jid(wacore_binary::Server::Lid).to_string()),
        });
        Ok(wa::HistorySync {
            sync_type: BlobType::INITIAL_BOOTSTRAP,
            conversations,
            chunk_order: Some(1),
            progress: Some(100),
            pushnames: names.collect(),
            phone_number_to_lid_mappings: mappings.collect(),
            ..Default::default()
        })
    }
}

fn entry(past: &Past, chat: &str) -> wa::HistorySyncMsg {
    wa::HistorySyncMsg {
        message: MessageField::some(wa::WebMessageInfo {
            key: MessageField::some(wa::MessageKey {
                remote_jid: Some(chat.to_owned()),
                from_me: Some(past.from_me),
                id: Some(past.id.clone()),
                participant: None,
            }),
            message: MessageField::some(past.message.clone()),
            message_timestamp: Some(past.at),
            ..Default::default()
        }),
        msg_order_id: None,
    }
}

/// A zlib stream of stored blocks: what clients inflate need not be compressed.
fn zlib_stored(data: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0x78, 0x01];
    let blocks = data.chunks(BLOCK).count();
    for (n, block) in data.chunks(BLOCK).enumerate() {
        let length = u16::try_from(block.len()).context("a block is too long")?;
        let [low, high] = [length & 0xff, length >> 8].map(|b| u8::try_from(b).unwrap_or_default());
        out.extend([u8::from(n + 1 == blocks), low, high, !low, !high]);
        out.extend_from_slice(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend(((b << 16) | a).to_be_bytes());
    Ok(out)
}
