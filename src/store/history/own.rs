//! A message of the account's own that moonwa sends, as its chat has it.

use super::desk::{Chat, Desk, Found, advance, newest};
use super::row::{Failure, Kept, Source};
use crate::model::{
    Content, MediaData, MediaKind, MessageId, MessageKind, MessageStatus, Person, Reply,
    SentMessage, UnixMillis,
};
use crate::store::StoreError;

/// Puts it into its chat, or notes how far it got.
pub(super) fn own(
    desk: &mut Desk<'_, '_, '_>,
    addresses: &[String],
    message: &SentMessage,
    (kind, now): (MessageKind, bool),
) -> Result<(), StoreError> {
    let to = message.request.to.jid();
    let mut chat = desk.made(addresses, to.chat_kind())?;
    let known = desk.find(message.id.as_str(), Some(&chat))?;
    if let Some(found) = newest(known.into_iter().filter(|found| found.kept.from_me).collect()) {
        return advance(desk, found, &message.status);
    }
    // One that was taken back before its time never was in the chat.
    if message.due.is_some() && matches!(message.status, MessageStatus::Failed { .. }) {
        return Ok(());
    }
    let forwarded = match &message.request.content {
        Content::Forward { message } => original(desk, message)?,
        _ => None,
    };
    let mut kept = Kept {
        id: message.id.to_string(),
        from_me: true,
        kind: kind.as_str().to_owned(),
        text: message.request.content.words().map(str::to_owned),
        media: file(&message.request.content),
        status: Some(message.status.as_str().to_owned()),
        failure: Failure::of(&message.status),
        source: Source::Moonwa,
        by: message.by.clone(),
        ..Kept::default()
    };
    if let Some(Found { kept: original, .. }) = forwarded {
        kept = Kept {
            kind: original.kind,
            text: original.text,
            media: original.media,
            details: original.details,
            ..kept
        };
    }
    if let Some(id) = &message.request.reply_to {
        kept.reply_to = Some(reply(desk, id, &chat)?);
    }
    // It stands after what it answers, also when the clock here is behind WhatsApp's; and WhatsApp counts in seconds.
    let second = |time: UnixMillis| UnixMillis::from_secs(time.secs());
    let time = match (now, message.due) {
        (true, _) => second(message.updated).max(chat.row.newest.time),
        (false, due) => second(due.unwrap_or(message.created)),
    };
    desk.insert(&mut chat, time, kept)?;
    desk.save(&chat)
}

/// The message that is passed on; another account's is none of this one's.
fn original(desk: &mut Desk<'_, '_, '_>, id: &MessageId) -> Result<Option<Found>, StoreError> {
    match newest(desk.find(id.as_str(), None)?) {
        Some(found) if desk.chat_of(found.place)?.is_some() => Ok(Some(found)),
        _ => Ok(None),
    }
}

fn reply(desk: &mut Desk<'_, '_, '_>, id: &MessageId, chat: &Chat) -> Result<Reply, StoreError> {
    let known = newest(desk.find(id.as_str(), Some(chat))?).map(|found| found.kept);
    let id = id.to_string();
    let Some(kept) = known else {
        return Ok(Reply { id, from: None, text: None, kind: None, filename: None });
    };
    Ok(Reply {
        id,
        from: kept.from.map(|person: Person| person.jid),
        text: kept.text,
        kind: Some(kept.kind.into()),
        filename: kept.media.and_then(|media| media.filename),
    })
}

/// What is seen of a message that moonwa sends; nothing of one that is about another.
pub(super) fn kind_of(content: &Content) -> Option<MessageKind> {
    Some(match content {
        Content::Media { media, .. } => (*media).into(),
        Content::Location { .. } => MessageKind::Location,
        Content::Contact { .. } | Content::Contacts { .. } => MessageKind::Contact,
        Content::Poll { .. } => MessageKind::Poll,
        Content::Event { .. } => MessageKind::Event,
        // One that is passed on is a text until it is found.
        Content::Text { .. } | Content::LinkedText { .. } | Content::Forward { .. } => {
            MessageKind::Text
        }
        Content::Album { .. }
        | Content::StatusText { .. }
        | Content::Reaction { .. }
        | Content::Edit { .. }
        | Content::Pin { .. }
        | Content::Timer { .. }
        | Content::Revoke { .. }
        | Content::Read { .. } => return None,
    })
}

fn file(content: &Content) -> Option<MediaData> {
    let Content::Media { media, mime, filename, .. } = content else { return None };
    let filename = filename.clone().filter(|_| *media == MediaKind::Document);
    Some(MediaData { url: String::new(), mime: mime.clone(), size: None, sha256: None, filename })
}
