//! Looking for an earlier message: in the history by its id, if one is kept, or else among the newest events of the log,
//! which are the ones that people answer, read and react to.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    ChatKind, DeviceName, Event, EventData, EventType, Jid, MessageData, MessageId, MessageStatus,
    SentMessage,
};
use crate::store::{Seq, Source, Store, StoreError, StoredEvent};
use crate::whatsapp::error::WhatsAppError;

/// How far back a search goes, in events: this many at a time, this many times.
const PAGE: u64 = 512;
const PAGES: u64 = 10;
/// How many of a chat's newest messages are looked at first.
const NEWEST: usize = 20;
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
    let found = kept(store, device, id.as_str(), |_| true).await?;
    if found.is_some() || store.history().is_whole() {
        return Ok(Sight { found, whole: true });
    }
    newest(store, device, |data| data.id == id.as_str()).await
}

/// A message as the history has it; `None` also when no history is kept.
async fn kept(
    store: &Store,
    device: &DeviceName,
    id: &str,
    good: impl Fn(&MessageData) -> bool,
) -> Result<Option<MessageData>, StoreError> {
    let found = store.history().find(device, id).await?.unwrap_or_default();
    // What moonwa sent itself is in the send queue.
    let others = found.into_iter().filter(|(message, _)| message.kept.source != Source::Moonwa);
    let mut all = others.map(|(message, chat)| message.kept.data(device, &chat));
    Ok(all.find(good))
}

/// The same, in one chat only: the sender chooses a message's id, so another chat may have the same one.
pub(crate) async fn find_in(
    store: &Store,
    device: &DeviceName,
    id: &MessageId,
    chat: &Jid,
) -> Result<Option<MessageData>, StoreError> {
    let it = |data: &MessageData| data.id == id.as_str() && is_in(data, chat);
    let found = kept(store, device, id.as_str(), it).await?;
    if found.is_some() || store.history().is_whole() {
        return Ok(found);
    }
    Ok(newest(store, device, it).await?.found)
}

/// The newest message that came in a chat.
pub(crate) async fn latest_in(
    store: &Store,
    device: &DeviceName,
    chat: &Jid,
) -> Result<Option<MessageData>, StoreError> {
    if store.history().is_whole()
        && let Some(row) = store.history().chat(device, chat.as_str()).await?
        && let Some(page) = store.history().messages(device, row.clone(), None, NEWEST).await?
        && let Some(theirs) = page.items.into_iter().find(|message| !message.kept.from_me)
    {
        return Ok(Some(theirs.kept.data(device, &row)));
    }
    let theirs = |data: &MessageData| !data.from_me && is_in(data, chat);
    Ok(newest(store, device, theirs).await?.found)
}

/// Whether a message belongs to that chat, by whichever of a person's addresses.
fn is_in(data: &MessageData, chat: &Jid) -> bool {
    let of = |address: &Option<String>| address.as_deref() == Some(chat.user());
    let theirs = data.group.is_none() && (of(&data.from.phone) || of(&data.from.lid));
    data.chat == chat.as_str() || theirs
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

/// The addresses of those with whom the account was in touch lately, as far as the log and the send queue tell.
pub(crate) async fn acquaintances(
    store: &Store,
    device: &DeviceName,
) -> Result<BTreeSet<String>, StoreError> {
    let mut known = BTreeSet::new();
    newest(store, device, |data| {
        known.extend(data.people());
        false
    })
    .await?;
    for row in store.queue().recent(device, RECENT).await? {
        let jid = row.request.to.jid();
        let waits = matches!(row.status, MessageStatus::Scheduled | MessageStatus::Queued);
        let left = !waits && !matches!(row.status, MessageStatus::Failed { .. });
        if left && jid.chat_kind() == ChatKind::Person {
            known.insert(jid.user().to_owned());
        }
    }
    Ok(known)
}

/// The addresses of those who wrote to the account lately, as far as the log tells.
pub(crate) async fn writers(
    store: &Store,
    device: &DeviceName,
) -> Result<BTreeSet<String>, StoreError> {
    let mut wrote = BTreeSet::new();
    let note = |data: &MessageData| {
        if !data.from_me {
            wrote.extend(data.people());
        }
        false
    };
    newest(store, device, note).await?;
    Ok(wrote)
}

/// The names that people gave themselves in their newest messages, by their addresses.
pub(crate) async fn names(
    store: &Store,
    device: &DeviceName,
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut names = BTreeMap::new();
    let note = |data: &MessageData| {
        if let Some(name) = data.from.name.as_ref().filter(|_| !data.from_me) {
            let addresses = [&data.from.phone, &data.from.lid].into_iter().flatten();
            addresses.for_each(|user| {
                names.entry(user.clone()).or_insert_with(|| name.clone());
            });
        }
        false
    };
    newest(store, device, note).await?;
    Ok(names)
}

/// The newest message for which `good` holds, among the last few thousand events.
async fn newest(
    store: &Store,
    device: &DeviceName,
    mut good: impl FnMut(&MessageData) -> bool,
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
            found = newest_in(&page.events, &mut good).or(found);
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

fn newest_in(
    events: &[StoredEvent],
    mut good: impl FnMut(&MessageData) -> bool,
) -> Option<MessageData> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Content, EventId, Recipient, SendRequest, UnixMillis};
    use crate::store::{Counted, NewEvent, StoreOptions};

    #[tokio::test]
    async fn who_was_in_touch_before_it_was_counted_is_no_stranger() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            path: dir.path().to_owned(),
            power_safe: false,
            keep: std::time::Duration::from_hours(1),
            max_size: 1 << 20,
        };
        let store = &Store::open(options).await.unwrap();
        let toko = DeviceName::parse("toko").unwrap();
        let event = |n: u64, chat: &str, from_me: bool| {
            let id = EventId::derive(&["old", &n.to_string()]);
            let data = json!({
                "id": "3EB0", "chat": chat, "from_me": from_me, "group": null, "kind": "text", "text": null,
                "from": { "jid": "1555@lid", "phone": "628111", "lid": "1555", "name": null },
                "mentions": [], "reply_to": null, "media": null,
            });
            let body = json!({
                "id": id, "type": "message.received", "timestamp": UnixMillis::now(), "device": "toko", "data": data,
            });
            let (kind, at) = (EventType::MessageReceived, UnixMillis::now());
            // An older version counted nothing.
            let counts = Counted::Nothing;
            NewEvent { device: toko.clone(), id, kind, at, body: body.to_string().into(), counts }
        };
        let old = vec![
            event(1, "1555@lid", false),
            event(2, "628222@s.whatsapp.net", true),
            event(3, "120363000000000001@g.us", false),
        ];
        store.log().append(old).await.unwrap();
        let to = Recipient::parse("628123456789", None).unwrap();
        let request = SendRequest::plain(to, Content::Text { text: "halo".to_owned() });
        let row = SentMessage::new(toko.clone(), request);
        store.queue().enqueue(row.clone(), None, 5).await.unwrap();
        let known = ["1555", "628111", "628222"];
        assert_eq!(
            acquaintances(store, &toko).await.unwrap(),
            known.map(str::to_owned).into(),
            "what only waits says nothing"
        );

        assert!(!store.queue().remembers(&toko).await.unwrap());
        store.queue().remember(&toko, known.map(str::to_owned).into()).await.unwrap();
        assert!(store.queue().remembers(&toko).await.unwrap());
        let people = known.iter().chain(&["628123456789"]).map(|user| vec![(*user).to_owned()]);
        let strangers = store.queue().strangers(&toko, people.collect()).await.unwrap();
        assert_eq!(strangers, [false, false, false, true]);
        assert!(store.queue().tallies(&toko).await.unwrap().quarters.is_empty());
    }
}
