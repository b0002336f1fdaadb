//! Looking for an earlier message among the newest events of the log, which are the ones that people answer, read and
//! react to.

use crate::model::{
    DeviceName, Event, EventData, EventType, Jid, MessageData, MessageId, MessageStatus,
    SentMessage,
};
use crate::store::{Seq, Store, StoreError, StoredEvent};
use crate::whatsapp::error::WhatsAppError;

/// How far back a search goes, in events: this many at a time, this many times.
const PAGE: u64 = 512;
const PAGES: u64 = 10;
/// How many sent messages `in_touch` looks at.
const RECENT: usize = 1_000;

/// The outcome of a search through the newest events.
pub(crate) struct Sight {
    pub(crate) found: Option<MessageData>,
    /// Whether the search reached the oldest event there is.
    whole: bool,
}

impl Sight {
    /// The error for a message that was not found.
    pub(crate) fn missing(&self) -> WhatsAppError {
        let known = self.whole || self.found.is_some();
        if known { WhatsAppError::NotFound } else { WhatsAppError::OutOfSight }
    }
}

/// A message that came in or was sent from the phone, as its event has it.
pub(crate) async fn find(
    store: &Store,
    device: &DeviceName,
    id: &MessageId,
) -> Result<Sight, StoreError> {
    newest(store, device, |data| data.id == id.as_str()).await
}

/// The same, in one chat only: the sender chooses a message's id, so another chat may have the same one.
pub(crate) async fn find_in(
    store: &Store,
    device: &DeviceName,
    id: &MessageId,
    chat: &Jid,
) -> Result<Option<MessageData>, StoreError> {
    let it = |data: &MessageData| data.id == id.as_str() && is_in(data, chat);
    Ok(newest(store, device, it).await?.found)
}

/// Whether a message belongs to that chat, by whichever of a person's addresses.
fn is_in(data: &MessageData, chat: &Jid) -> bool {
    let of = |address: &Option<String>| address.as_deref() == Some(chat.user());
    let theirs = data.group.is_none() && (of(&data.from.phone) || of(&data.from.lid));
    data.chat == chat.as_str() || theirs
}

/// The name a person gave themselves in the newest message of theirs.
pub(crate) async fn name_of(
    store: &Store,
    device: &DeviceName,
    phone: &str,
) -> Result<Option<String>, StoreError> {
    let theirs = |data: &MessageData| {
        !data.from_me && data.from.name.is_some() && data.from.phone.as_deref() == Some(phone)
    };
    Ok(newest(store, device, theirs).await?.found.and_then(|data| data.from.name))
}

/// Whether a person wrote to us, or took a message of ours.
pub(crate) async fn in_touch(
    store: &Store,
    device: &DeviceName,
    jid: &Jid,
) -> Result<bool, StoreError> {
    let sent = store.queue().recent(device, RECENT).await?;
    let took = |row: &SentMessage| {
        let failed = matches!(row.status, MessageStatus::Failed { .. });
        row.request.to.jid() == *jid && row.status.is_settled() && !failed
    };
    if sent.iter().any(took) {
        return Ok(true);
    }
    Ok(newest(store, device, |data| is_in(data, jid)).await?.found.is_some())
}

/// The newest message for which `good` holds, among the last few thousand events.
async fn newest(
    store: &Store,
    device: &DeviceName,
    good: impl Fn(&MessageData) -> bool,
) -> Result<Sight, StoreError> {
    // What came to another account is not this one's to answer, read or pass on.
    let oldest = store.queue().account_began(device).await?.0;
    let mut end = store.log().tail(device).borrow().0;
    let mut whole = end <= oldest;
    for _ in 0..PAGES {
        if whole {
            break;
        }
        let start = end.saturating_sub(PAGE).max(oldest);
        let (mut found, mut first, mut after) = (None, None, start);
        while after < end {
            let limit = usize::try_from(end - after).unwrap_or(0);
            let page = store.log().read_after(device, Seq(after), limit).await?;
            let Some(last) = page.events.last() else { break };
            after = last.seq.0;
            first = first.or_else(|| page.events.first().map(|event| event.seq.0));
            found = newest_in(&page.events, &good).or(found);
        }
        if found.is_some() {
            return Ok(Sight { found, whole });
        }
        // Further back there is nothing, or it has been swept away.
        whole = start == oldest || first.is_none_or(|first| first > start + 1);
        end = start;
    }
    Ok(Sight { found: None, whole })
}

fn newest_in(events: &[StoredEvent], good: impl Fn(&MessageData) -> bool) -> Option<MessageData> {
    let messages = events.iter().rev().filter(|stored| is_message(stored.kind));
    let mut read = messages.filter_map(|stored| serde_json::from_slice::<Event>(&stored.body).ok());
    read.find_map(|event| match event.data {
        EventData::Message(data) if good(&data) => Some(*data),
        _ => None,
    })
}

fn is_message(kind: EventType) -> bool {
    matches!(kind, EventType::MessageReceived | EventType::MessageSent)
}
