//! What an account's devices know of its chats, the phone among them: archived, muted, pinned, unread, deleted, and which
//! messages are starred. WhatsApp keeps it for all of them; a change is done when this returns.

pub(crate) mod call;
pub(crate) mod channel;
pub(crate) mod label;
pub(crate) mod labels;
pub(crate) mod rejected;

use futures_util::FutureExt;
use wa_rs::client::Client;
use wa_rs::wacore_binary::JidExt;
use wa_rs::{Jid, SyncActionMessageRange, message_range};

use super::contact::both;
use super::error::WhatsAppError;
use super::handle::{DeviceHandle, inside, timely};
use super::history::lookup::find;
use super::history::sync;
use crate::model::{self, MessageId, MessageStatus, Recipient, UnixMillis};
use crate::store::{Note, Said};

/// What is to become of a chat; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChatChange {
    pub(crate) archived: Option<bool>,
    pub(crate) mute: Option<Mute>,
    pub(crate) pinned: Option<bool>,
    pub(crate) unread: Option<bool>,
}

impl ChatChange {
    fn said(&self) -> Vec<Said> {
        let now = UnixMillis::now();
        let marked = self.unread.map(|unread| Said::Marked { read: !unread, at: now });
        let muted = self.mute.map(|mute| match mute {
            Mute::Always => Said::Muted(Some(sync::FOR_EVER)),
            Mute::Until(until) if until > now => Said::Muted(Some(until)),
            Mute::Off | Mute::Until(_) => Said::Muted(None),
        });
        let (archived, pinned) = (self.archived.map(Said::Archived), self.pinned.map(Said::Pinned));
        [archived, pinned, muted, marked].into_iter().flatten().collect()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Mute {
    Off,
    Always,
    Until(UnixMillis),
}

/// Where a message is, and whose.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) chat: Recipient,
    /// Who wrote it; the account itself when absent.
    pub(crate) author: Option<model::Jid>,
}

impl DeviceHandle {
    pub(crate) async fn change_chat(
        &self,
        chat: &Recipient,
        change: &ChatChange,
    ) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let jid = self.address(&client, chat).await?;
        let actions = client.chat_actions();
        if let Some(archived) = change.archived {
            let done = if archived {
                timely(actions.archive_chat(&jid, Some(range())).boxed()).await?
            } else {
                timely(actions.unarchive_chat(&jid, Some(range())).boxed()).await?
            };
            done?;
        }
        if let Some(pinned) = change.pinned {
            let done = if pinned {
                timely(actions.pin_chat(&jid).boxed()).await?
            } else {
                timely(actions.unpin_chat(&jid).boxed()).await?
            };
            done?;
        }
        if let Some(mute) = change.mute {
            let done = match mute {
                // A time that is over mutes nothing.
                Mute::Until(until) if until > UnixMillis::now() => {
                    let until = i64::try_from(until.millis()).unwrap_or(i64::MAX);
                    timely(actions.mute_chat_until(&jid, until).boxed()).await?
                }
                Mute::Always => timely(actions.mute_chat(&jid).boxed()).await?,
                Mute::Off | Mute::Until(_) => timely(actions.unmute_chat(&jid).boxed()).await?,
            };
            done?;
        }
        if let Some(unread) = change.unread {
            timely(actions.mark_chat_as_read(&jid, !unread, Some(range())).boxed()).await??;
        }
        self.tell_history(&client, &jid, change.said()).await
    }

    /// WhatsApp does not tell a device of what it changed itself.
    async fn tell_history(
        &self,
        client: &Client,
        chat: &Jid,
        said: Vec<Said>,
    ) -> Result<(), WhatsAppError> {
        let history = self.context.store.history();
        if said.is_empty() || history.limits().is_none() {
            return Ok(());
        }
        let addresses = sync::every_address(client, chat).await;
        let note = |what| Note { addresses: addresses.clone(), what };
        history.note(&self.context.name, said.into_iter().map(note).collect()).await?;
        Ok(())
    }

    /// Deletes a chat with its files from all the account's devices; the others keep theirs.
    pub(crate) async fn delete_chat(&self, chat: &Recipient) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let jid = self.address(&client, chat).await?;
        timely(client.chat_actions().delete_chat(&jid, true, Some(range())).boxed()).await??;
        self.tell_history(&client, &jid, vec![Said::Deleted]).await
    }

    /// After how many seconds the messages of a group disappear; 0 lets them stay.
    pub(crate) async fn set_group_timer(
        &self,
        group: &model::Jid,
        seconds: u32,
    ) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let groups = client.groups();
        let set = groups.set_ephemeral(inside(group)?, seconds);
        timely(set.boxed()).await?.map_err(super::handle::group_error)
    }

    /// Stars a message, or takes the star off.
    pub(crate) async fn star(&self, message: &MessageId, on: bool) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let place = self.place(message).await?;
        let chat = self.address(&client, &place.chat).await?;
        let author = place.author.as_ref().map(inside).transpose()?;
        let ours = author.is_none();
        let author = author.filter(|_| chat.is_group());
        let (actions, id) = (client.chat_actions(), message.as_str());
        let done = if on {
            timely(actions.star_message(&chat, author.as_ref(), id, ours).boxed()).await?
        } else {
            timely(actions.unstar_message(&chat, author.as_ref(), id, ours).boxed()).await?
        };
        Ok(done?)
    }

    /// Where a message is: one that went out, or one among the newest that came in.
    pub(crate) async fn place(&self, message: &MessageId) -> Result<Place, WhatsAppError> {
        let (store, name) = (&self.context.store, &self.context.name);
        if let Some(row) = store.queue().own(name, message).await? {
            let left = !matches!(row.status, MessageStatus::Queued | MessageStatus::Failed { .. });
            let place = Place { chat: row.request.to, author: None };
            return if left { Ok(place) } else { Err(WhatsAppError::NotFound) };
        }
        let sight = find(store, name, message).await?;
        let missing = sight.missing();
        let found = sight.found.ok_or(missing)?;
        let unknown = |_unreadable| WhatsAppError::NotFound;
        let author = (!found.from_me).then(|| model::Jid::parse(&found.from.jid));
        Ok(Place {
            chat: Recipient::parse(&found.chat, None).map_err(unknown)?,
            author: author.transpose().map_err(unknown)?,
        })
    }

    /// Under which address the account's devices have a chat: that of a person is their LID once the account's chats
    /// have moved to LIDs.
    pub(crate) async fn address(
        &self,
        client: &Client,
        chat: &Recipient,
    ) -> Result<Jid, WhatsAppError> {
        let jid = self.person(chat).await?;
        if jid.is_group() {
            return Ok(jid);
        }
        let (lid, phone) = both(client, &jid).await;
        Ok(match (client.is_lid_migrated().await, lid, phone) {
            (true, Some(lid), _) => Jid::lid(lid),
            (false, _, Some(phone)) => Jid::pn(phone),
            _ => jid.to_non_ad(),
        })
    }
}

/// All messages up to now.
fn range() -> SyncActionMessageRange {
    let now = i64::try_from(UnixMillis::now().secs()).unwrap_or(i64::MAX);
    message_range(now, None, Vec::new())
}
