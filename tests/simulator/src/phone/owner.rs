//! What the account's owner does with chats on the phone; the companions are told.

use anyhow::{Context as _, Result};
use buffa::MessageField;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;
use waproto::whatsapp::sync_action_value as action;

use crate::Phone;
use crate::util::now;
use crate::world::Address;

/// What is done with a chat.
#[derive(Clone, Copy, Debug)]
pub enum ChatSetting<'a> {
    /// It is put away, or taken out again.
    Archived(bool),
    /// It stands at the top, or no longer.
    Pinned(bool),
    /// Until when it is muted, in milliseconds; a negative time means for ever, and nothing that it is not.
    Muted(Option<i64>),
    /// It is marked as read, or as one to be read.
    Read(bool),
    /// It is deleted on all devices of the account.
    Deleted,
    /// A message in it is deleted on all devices of the account: its id, and whether it is the account's own.
    MessageDeleted(&'a str, bool),
}

impl Phone {
    /// Does that with a chat, which is an address.
    pub fn set_chat(&self, chat: &str, setting: ChatSetting<'_>) -> Result<()> {
        let mut value = wa::SyncActionValue::default();
        let range = || {
            let at = i64::try_from(now()).ok();
            let range =
                action::SyncActionMessageRange { last_message_timestamp: at, ..Default::default() };
            MessageField::some(range)
        };
        let (low, high) = ("regular_low", "regular_high");
        let (place, index): (_, Vec<&str>) = match setting {
            ChatSetting::Archived(archived) => {
                value.archive_chat_action = MessageField::some(action::ArchiveChatAction {
                    archived: Some(archived),
                    message_range: range(),
                });
                ((low, 3), vec!["archive", chat])
            }
            ChatSetting::Pinned(pinned) => {
                value.pin_action = MessageField::some(action::PinAction { pinned: Some(pinned) });
                ((low, 5), vec!["pin_v1", chat])
            }
            ChatSetting::Muted(until) => {
                value.mute_action = MessageField::some(action::MuteAction {
                    muted: Some(until.is_some()),
                    mute_end_timestamp: until,
                    ..Default::default()
                });
                ((high, 2), vec!["mute", chat])
            }
            ChatSetting::Read(read) => {
                value.mark_chat_as_read_action = MessageField::some(action::MarkChatAsReadAction {
                    read: Some(read),
                    message_range: range(),
                });
                ((low, 3), vec!["markChatAsRead", chat])
            }
            ChatSetting::Deleted => {
                value.delete_chat_action =
                    MessageField::some(action::DeleteChatAction { message_range: range() });
                ((high, 6), vec!["deleteChat", chat, "1"])
            }
            ChatSetting::MessageDeleted(id, from_me) => {
                value.delete_message_for_me_action =
                    MessageField::some(action::DeleteMessageForMeAction {
                        delete_media: Some(true),
                        message_timestamp: i64::try_from(now()).ok(),
                    });
                let own = if from_me { "1" } else { "0" };
                ((high, 3), vec!["deleteMessageForMe", chat, id, own, "0"])
            }
        };
        self.set_in(place, &index, value)
    }

    /// Reads another person's message: of that the account's companions are told, and unless receipts are switched off
    /// its sender too.
    pub async fn look_at(&self, id: &str, receipts: bool) -> Result<()> {
        if receipts {
            self.read(id).await?;
        }
        let mut world = self.sim.world();
        let account = world.accounts.get(self.number()).context("no such account")?;
        let own = account.jid(account.server());
        let mut inbox = account.phone.inbox.iter().rev();
        let message = inbox.find_map(|item| item.message().filter(|m| m.id == id));
        let chat = message.context("no such message")?.chat.clone();
        let mut receipt = NodeBuilder::new("receipt").attr("id", id).attr("t", now());
        receipt = match (world.groups.get(&chat), world.accounts.get(&chat)) {
            (Some(group), _) => {
                receipt.attr("from", group.jid()).attr("participant", own).attr("type", "read")
            }
            (None, Some(other)) => {
                let chat = other.jid(account.server());
                if receipts {
                    receipt.attr("from", own).attr("recipient", chat).attr("type", "read")
                } else {
                    receipt.attr("from", chat).attr("type", "read-self")
                }
            }
            (None, None) => anyhow::bail!("no such chat"),
        };
        let receipt = receipt.build();
        for device in world.device_ids(self.number()).into_iter().filter(|device| *device != 0) {
            world.deliver(&Address::new(self.number(), device), receipt.clone());
        }
        world.touch();
        Ok(())
    }
}
