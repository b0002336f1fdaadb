//! What the phone tells of chats: the messages of before, and what its owner does there.

use std::sync::Arc;

use super::about::About;
use super::desk::Desk;
use super::row::{ChatRow, Kept, Place, Reaction};
use super::take;
use crate::model::{ChatKind, DeviceName, MessageId, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;

/// A message that the phone told of afterwards, with its chat.
#[derive(Clone, Debug)]
pub(crate) struct Learned {
    /// Every address of the chat that is known.
    pub(crate) addresses: Vec<String>,
    pub(crate) kind: ChatKind,
    pub(crate) at: UnixMillis,
    pub(crate) kept: Kept,
    pub(crate) reactions: Vec<Reaction>,
}

/// What happened to a chat, which has these addresses.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) addresses: Vec<String>,
    pub(crate) what: Said,
}

#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Something was said of a message in it, or it was deleted there.
    About(About),
    /// These messages were read, and what came before them.
    Read(Vec<MessageId>),
    /// All was read up to that time, or the chat is marked as one to be read.
    Marked {
        read: bool,
        at: UnixMillis,
    },
    Archived(bool),
    Pinned(bool),
    /// It is muted until then; `None` when it is not.
    Muted(Option<UnixMillis>),
    /// What is known of it from the time before.
    Chat {
        saved: Option<String>,
        unread: Option<u32>,
        archived: Option<bool>,
        pinned: Option<bool>,
    },
    /// It was deleted.
    Deleted,
}

pub(super) fn learn(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    learned: &[Learned],
) -> Result<(), StoreError> {
    let Some(mut desk) = Desk::open(outbox, txn, device)? else { return Ok(()) };
    for Learned { addresses, kind, at, kept, reactions } in learned {
        let mut chat = desk.made(addresses, *kind)?;
        let mut kept = kept.clone();
        for reaction in reactions {
            kept.react(reaction.clone());
        }
        if chat.row.name.is_none() && chat.row.kind == ChatKind::Person && !kept.from_me {
            chat.row.name = kept.from.as_ref().and_then(|from| from.name.clone());
        }
        if desk.insert(&mut chat, *at, kept)?.is_some() {
            desk.save(&chat)?;
        }
    }
    Ok(())
}

pub(super) fn note(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    notes: &[Note],
) -> Result<(), StoreError> {
    let Some(mut desk) = Desk::open(outbox, txn, device)? else { return Ok(()) };
    for Note { addresses, what } in notes {
        if let Said::Read(ids) = what {
            take::read(&mut desk, addresses, ids)?;
            continue;
        }
        if let Said::About(about) = what {
            desk.say(addresses, about)?;
            continue;
        }
        let Some(mut chat) = desk.known(addresses)? else { continue };
        match what {
            Said::Deleted => {
                desk.delete(&chat)?;
                continue;
            }
            Said::Marked { read: true, at } => {
                let place = Place { time: *at, nth: u32::MAX, chat: chat.number };
                desk.read(&mut chat, place)?;
            }
            what => says(&mut chat.row, what),
        }
        desk.save(&chat)?;
    }
    Ok(())
}

fn says(row: &mut ChatRow, what: &Said) {
    match what {
        Said::Marked { read: false, .. } => row.unread = row.unread.max(1),
        Said::Archived(archived) => row.archived = Some(*archived),
        Said::Pinned(pinned) => row.pinned = Some(*pinned),
        Said::Muted(until) => row.muted_until = *until,
        Said::Chat { saved, unread, archived, pinned } => {
            if row.kind == ChatKind::Group {
                row.name = saved.clone().or(row.name.take());
            } else {
                row.saved = saved.clone().or(row.saved.take());
            }
            row.unread = unread.unwrap_or(row.unread);
            row.archived = archived.or(row.archived);
            row.pinned = pinned.or(row.pinned);
        }
        Said::Marked { read: true, .. } | Said::Read(_) | Said::About(_) | Said::Deleted => {}
    }
}
