//! What the history takes from the log and from the send queue, in the transactions that write those.

use std::sync::Arc;

use super::about::About;
use super::desk::{Chat, Desk, advance, newest};
use super::own::{kind_of, own};
use super::row::{Kept, Source};
use crate::model::{
    ChatKind, Content, DeviceName, Event, EventData, EventType, Jid, MessageData, MessageId,
    MessageStatus, SentMessage, UnixMillis,
};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::json::from_json;
use crate::store::log::NewEvent;

/// A damaged row of the history costs what the history would say, and no message.
fn spare(outcome: Result<(), StoreError>) -> Result<(), StoreError> {
    match outcome {
        Err(StoreError::Damaged(what)) => {
            tracing::warn!(
                what,
                "The history could not be kept up, because a row of it is damaged."
            );
            Ok(())
        }
        outcome => outcome,
    }
}

/// Takes what an event says.
pub(crate) fn event(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    event: &NewEvent,
) -> Result<(), StoreError> {
    let of_chats = matches!(
        event.kind,
        EventType::MessageReceived
            | EventType::MessageSent
            | EventType::MessageReaction
            | EventType::MessageEdited
            | EventType::MessageRevoked
            | EventType::IdentityResolved
            | EventType::GroupUpdated
    );
    if !of_chats {
        return Ok(());
    }
    spare(told(outbox, txn, event))
}

fn told(outbox: &Arc<Outbox>, txn: &mut Txn<'_>, event: &NewEvent) -> Result<(), StoreError> {
    let Some(desk) = Desk::open(outbox, txn, &event.device)? else { return Ok(()) };
    let event: Event = from_json(&event.body)?;
    happened(desk, &event)
}

/// The device is linked to another account than before.
pub(crate) fn turned(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    device: &DeviceName,
) -> Result<(), StoreError> {
    spare(
        Desk::open(outbox, txn, device)
            .and_then(|desk| desk.map_or(Ok(()), |mut desk| desk.turn())),
    )
}

fn happened(mut desk: Desk<'_, '_, '_>, event: &Event) -> Result<(), StoreError> {
    match &event.data {
        EventData::Message(data) => {
            let Some((addresses, kind)) = addresses(data) else { return Ok(()) };
            match event.kind {
                EventType::MessageReceived | EventType::MessageSent => {
                    let mut chat = desk.made(&addresses, kind)?;
                    arrived(&mut desk, &mut chat, event.timestamp, data)
                }
                _ => match About::of(event.kind, data, event.timestamp) {
                    Some(about) => desk.say(&addresses, &about),
                    None => Ok(()),
                },
            }
        }
        EventData::Other(data) if event.kind == EventType::IdentityResolved => {
            let text = |name: &str| data.get(name).and_then(serde_json::Value::as_str);
            let (Some(jid), Some(lid)) = (text("jid"), text("lid")) else { return Ok(()) };
            one_person(&mut desk, jid, &format!("{lid}@lid"))
        }
        EventData::Other(data) if event.kind == EventType::GroupUpdated => {
            let text = |name: &str| data.get(name).and_then(serde_json::Value::as_str);
            let (Some(group), Some(name)) = (text("group"), text("name")) else { return Ok(()) };
            let Some(mut chat) = desk.known(&[group.to_owned()])? else { return Ok(()) };
            chat.row.name = Some(name.to_owned());
            desk.save(&chat)
        }
        _ => Ok(()),
    }
}

/// Two addresses are one person's.
pub(super) fn one_person(
    desk: &mut Desk<'_, '_, '_>,
    one: &str,
    other: &str,
) -> Result<(), StoreError> {
    match desk.known(&[one.to_owned(), other.to_owned()])? {
        Some(chat) => desk.save(&chat),
        None => Ok(()),
    }
}

/// The addresses of the chat that a message is in, if people can answer there.
pub(super) fn addresses(data: &MessageData) -> Option<(Vec<String>, ChatKind)> {
    let chat = Jid::parse(&data.chat).ok()?;
    // What somebody writes to a list of theirs is in the chat with them.
    let said = data.chat_kind.filter(|kind| *kind != ChatKind::Broadcast);
    let kind = said.unwrap_or_else(|| chat.chat_kind());
    if !kind.is_answerable() {
        return None;
    }
    let mut all = vec![data.chat.clone()];
    if kind == ChatKind::Person && !data.from_me {
        let phone = data.from.phone.as_ref().map(|user| format!("{user}@s.whatsapp.net"));
        let lid = data.from.lid.as_ref().map(|user| format!("{user}@lid"));
        all.extend(phone.into_iter().chain(lid).filter(|address| *address != data.chat));
    }
    Some((all, kind))
}

/// A message came, or was written on the phone.
fn arrived(
    desk: &mut Desk<'_, '_, '_>,
    chat: &mut Chat,
    time: UnixMillis,
    data: &MessageData,
) -> Result<(), StoreError> {
    let kept = Kept::of(data, Source::Phone);
    if chat.row.kind == ChatKind::Person && !data.from_me && data.from.name.is_some() {
        chat.row.name.clone_from(&data.from.name);
    }
    match desk.insert(chat, time, kept)? {
        // Whoever writes on the phone has the chat before them.
        Some(place) if data.from_me => desk.read(chat, place)?,
        Some(place) if place > chat.row.read => chat.row.unread += 1,
        _ => {}
    }
    desk.save(chat)
}

/// Takes a message that moonwa sends, as far as it is now.
pub(crate) fn sent(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    message: &SentMessage,
) -> Result<(), StoreError> {
    spare(take(outbox, txn, message, When::Settles))
}

/// The same of one that was sent before the history was switched on.
pub(super) fn sent_before(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    message: &SentMessage,
) -> Result<(), StoreError> {
    take(outbox, txn, message, When::Before)
}

/// What taking a message that moonwa sends is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// It is new, or now it is known whether WhatsApp took it.
    Settles,
    /// That was known, and now there is a receipt.
    Later,
    /// It was sent before the history was switched on.
    Before,
}

fn take(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    message: &SentMessage,
    when: When,
) -> Result<(), StoreError> {
    if message.status == MessageStatus::Scheduled {
        return Ok(());
    }
    let Some(mut desk) = Desk::open(outbox, txn, &message.device)? else { return Ok(()) };
    let to = message.request.to.jid();
    if !to.chat_kind().is_answerable() {
        return Ok(());
    }
    let (content, addresses) = (&message.request.content, [to.as_str().to_owned()]);
    if let Content::Read { message: id, .. } = content {
        return read(&mut desk, &addresses, std::slice::from_ref(id));
    }
    match kind_of(content) {
        Some(kind) => own(&mut desk, &addresses, message, (kind, when != When::Before)),
        // Others see it once WhatsApp has it; a receipt for it says nothing of what was said since.
        None if when == When::Later || !message.status.is_settled() => Ok(()),
        None if matches!(message.status, MessageStatus::Failed { .. }) => Ok(()),
        None => {
            // The clock here may be ahead of WhatsApp's, and what is told now is the newest.
            let before = UnixMillis::from_secs(message.created.secs());
            let at = Some(before).filter(|_| when == When::Before);
            About::own(content, at).map_or(Ok(()), |about| desk.say(&addresses, &about))
        }
    }
}

/// A message of the account's own got that far: one of the phone's, or one that moonwa sent, as it is now, and whether it
/// was not known before if WhatsApp took it.
pub(crate) fn moved(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    (device, id, status): (&DeviceName, &MessageId, &MessageStatus),
    sent: Option<(&SentMessage, bool)>,
) -> Result<(), StoreError> {
    spare(match sent {
        Some((message, true)) => take(outbox, txn, message, When::Settles),
        Some((message, false)) => take(outbox, txn, message, When::Later),
        None => received(outbox, txn, (device, id, status)),
    })
}

fn received(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    (device, id, status): (&DeviceName, &MessageId, &MessageStatus),
) -> Result<(), StoreError> {
    let Some(mut desk) = Desk::open(outbox, txn, device)? else { return Ok(()) };
    let mut own = desk.find(id.as_str(), None)?;
    own.retain(|found| found.kept.from_me && found.kept.source != Source::Moonwa);
    match newest(own) {
        Some(found) => advance(&mut desk, found, status),
        None => Ok(()),
    }
}

/// Messages were read, and with them what came before them.
pub(super) fn read(
    desk: &mut Desk<'_, '_, '_>,
    addresses: &[String],
    ids: &[MessageId],
) -> Result<(), StoreError> {
    let mut chat = desk.known(addresses)?;
    let mut up_to = None;
    for id in ids {
        let mut found = match &chat {
            Some(chat) => desk.find(id.as_str(), Some(chat))?,
            None => Vec::new(),
        };
        if found.is_empty() {
            // A receipt of the account's own does not say in which chat.
            found = desk.find(id.as_str(), None)?;
            found.retain(|found| !found.kept.from_me);
        }
        up_to = up_to.max(newest(found).map(|it| it.place));
    }
    let Some(up_to) = up_to else { return Ok(()) };
    if chat.as_ref().is_none_or(|chat| !chat.row.numbers.contains(&up_to.chat)) {
        chat = desk.chat_of(up_to)?;
    }
    let Some(mut chat) = chat else { return Ok(()) };
    desk.read(&mut chat, up_to)?;
    desk.save(&chat)
}
