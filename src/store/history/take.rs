//! What the history takes from the log and from the send queue, in the transactions that write those.

use std::sync::Arc;

use super::desk::{Chat, Desk, Found, advance, newest};
use super::own::{kind_of, own};
use super::row::{Kept, Reaction, Source};
use crate::model::{
    Body, ChatKind, Content, DeviceName, Event, EventData, EventType, Jid, MessageData, MessageId,
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
                _ => about(&mut desk, &addresses, event.kind, data),
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
    match desk.insert(chat, time, &kept)? {
        // Whoever writes on the phone has the chat before them.
        Some(place) if data.from_me => desk.read(chat, place)?,
        Some(place) if place > chat.row.read => chat.row.unread += 1,
        _ => {}
    }
    desk.save(chat)
}

/// Something was said about an earlier message.
fn about(
    desk: &mut Desk<'_, '_, '_>,
    addresses: &[String],
    kind: EventType,
    data: &MessageData,
) -> Result<(), StoreError> {
    let target = match &data.body {
        Body::Reaction(reaction) => &reaction.about,
        Body::Revoked(target) => target,
        _ => &data.circumstances.about,
    };
    let (Some(id), Some(chat)) = (&target.message, desk.known(addresses)?) else { return Ok(()) };
    let Some(mut found) = newest(desk.find(id, Some(&chat))?) else { return Ok(()) };
    // Only who wrote a message may change it; in a group its admins may take it back.
    let own = found.kept.from_me == data.from_me;
    match (kind, &data.body) {
        (EventType::MessageReaction, Body::Reaction(reaction)) => {
            found.kept.react(Reaction {
                emoji: reaction.emoji.clone(),
                from_me: data.from_me,
                from: (!data.from_me).then(|| data.from.clone()),
            });
        }
        (EventType::MessageEdited, _) if own => reword(&mut found, data.text.clone()),
        (EventType::MessageRevoked, _) if own || data.group.is_some() => found.kept.delete(),
        _ => return Ok(()),
    }
    desk.change(&found)
}

fn reword(found: &mut Found, text: Option<String>) {
    if !found.kept.deleted {
        found.kept.text = text;
        found.kept.edited = true;
    }
}

/// Takes a message that moonwa sends, as far as it is now.
pub(crate) fn sent(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    message: &SentMessage,
) -> Result<(), StoreError> {
    spare(take(outbox, txn, message, true))
}

/// The same of one that was sent before the history was switched on.
pub(super) fn sent_before(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    message: &SentMessage,
) -> Result<(), StoreError> {
    take(outbox, txn, message, false)
}

fn take(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    message: &SentMessage,
    now: bool,
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
        Some(kind) => own(&mut desk, &addresses, message, (kind, now)),
        // Others see it once WhatsApp has it.
        None => match &message.status {
            MessageStatus::Failed { .. } => Ok(()),
            status if status.is_settled() => done(&mut desk, &addresses, content),
            _ => Ok(()),
        },
    }
}

/// A message of the account's own got that far: one that moonwa sent, as it is now, or one of the phone's.
pub(crate) fn moved(
    outbox: &Arc<Outbox>,
    txn: &mut Txn<'_>,
    (device, id, status): (&DeviceName, &MessageId, &MessageStatus),
    sent: Option<&SentMessage>,
) -> Result<(), StoreError> {
    spare(match sent {
        Some(message) => take(outbox, txn, message, true),
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
        Some(found) => advance(&mut desk, found, status.as_str()),
        None => Ok(()),
    }
}

/// The account did something about a message.
fn done(
    desk: &mut Desk<'_, '_, '_>,
    addresses: &[String],
    content: &Content,
) -> Result<(), StoreError> {
    let (Some(id), Some(chat)) = (content.about(), desk.known(addresses)?) else { return Ok(()) };
    let Some(mut found) = newest(desk.find(id.as_str(), Some(&chat))?) else { return Ok(()) };
    match content {
        Content::Reaction { emoji, .. } => {
            found.kept.react(Reaction { emoji: emoji.clone(), from_me: true, from: None });
        }
        Content::Edit { text, .. } => reword(&mut found, Some(text.clone())),
        Content::Revoke { .. } => found.kept.delete(),
        _ => return Ok(()),
    }
    desk.change(&found)
}

/// Messages were read, and with them what came before them.
pub(super) fn read(
    desk: &mut Desk<'_, '_, '_>,
    addresses: &[String],
    ids: &[MessageId],
) -> Result<(), StoreError> {
    let Some(mut chat) = desk.known(addresses)? else { return Ok(()) };
    let mut up_to = None;
    for id in ids {
        up_to = up_to.max(newest(desk.find(id.as_str(), Some(&chat))?).map(|it| it.place));
    }
    let Some(up_to) = up_to else { return Ok(()) };
    desk.read(&mut chat, up_to)?;
    desk.save(&chat)
}
