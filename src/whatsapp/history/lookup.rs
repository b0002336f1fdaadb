//! What is kept of messages beyond their events: for a week, how to download or forward a file. Looking a message up by its id goes
//! through the newest events of the log, which are the ones people answer, read and react to.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wa_rs::wacore::download::MediaType;

use crate::model::{
    DeviceName, Event, EventData, EventType, Jid, MediaKind, MessageData, MessageId, MessageStatus,
    SentMessage, UnixMillis,
};
use crate::store::{Batch, Seq, Space, Store, StoreError};
use crate::whatsapp::{WhatsAppError, poll};

/// Where the rows are, in the device's space.
const MEDIA: &[u8] = b"media/";
/// WhatsApp's hosts do not keep files much longer either.
const KEEP: Duration = Duration::from_hours(7 * 24);
/// How many events are looked through, in pages.
const PAGE: u64 = 512;
const PAGES: u64 = 10;
/// How many sent messages are looked through.
const RECENT: usize = 1_000;

/// Where a received file is and how it is decrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MediaRow {
    /// When it came here; WhatsApp's clock counts in seconds, too coarse to say which of two was first.
    pub(crate) at: UnixMillis,
    pub(crate) kind: MediaKind,
    pub(crate) direct_path: String,
    pub(crate) media_key: Option<String>,
    pub(crate) file_sha256: Option<String>,
    pub(crate) file_enc_sha256: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) mime: Option<String>,
    pub(crate) filename: Option<String>,
    /// The chat as the stanza named it, for asking the phone to upload the file again.
    #[serde(default)]
    pub(crate) chat: Option<String>,
    /// Who sent it, in a group.
    #[serde(default)]
    pub(crate) participant: Option<String>,
    #[serde(default)]
    pub(crate) from_me: bool,
    /// The message, ready to be forwarded: base64 of its encoding.
    #[serde(default)]
    pub(crate) forward: Option<String>,
}

/// Where the rows of a message id begin. Ids are their senders' choice: a stranger's message under a known id has a row
/// of its own.
fn rows(id: &MessageId) -> Vec<u8> {
    [MEDIA, id.as_str().as_bytes(), b"/"].concat()
}

/// Adds the row of a message's file to a batch.
pub(crate) fn put(batch: &mut Batch, id: &MessageId, row: &MediaRow) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let place = format!("{}/{}/{}", text(&row.chat), text(&row.participant), row.from_me);
    match serde_json::to_vec(row) {
        Ok(json) => batch.put([rows(id), place.into_bytes()].concat(), json),
        Err(error) => tracing::error!(%error, "A file's keys could not be serialised."),
    }
}

/// Writes the row of a message's file.
pub(crate) async fn save(space: &Space, id: &MessageId, row: &MediaRow) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    put(&mut batch, id, row);
    space.write(batch).await
}

/// The row of a message's file. Of several messages under one id it is the first: who copies an id comes later.
pub(crate) async fn media(space: &Space, id: &MessageId) -> Result<MediaRow, WhatsAppError> {
    let mut first: Option<MediaRow> = None;
    for (_, row) in space.scan(rows(id)).await? {
        let row: MediaRow = serde_json::from_slice(&row)
            .map_err(|error| StoreError::Damaged(format!("media: {error}")))?;
        if first.as_ref().is_none_or(|first| row.at < first.at) {
            first = Some(row);
        }
    }
    first.ok_or(WhatsAppError::NotFound)
}

#[derive(Deserialize)]
struct Age {
    at: UnixMillis,
}

/// Forgets rows that are too old.
pub(crate) async fn prune(space: &Space) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    let mut old = 0_usize;
    for (rows, keep) in [(MEDIA, KEEP), (poll::POLLS, poll::KEEP)] {
        let horizon = UnixMillis::now().before(keep);
        for (key, value) in space.scan(rows).await? {
            let at = serde_json::from_slice::<Age>(&value).map(|row| row.at).unwrap_or_default();
            if at < horizon {
                batch.remove(key);
                old += 1;
            }
        }
    }
    if old == 0 { Ok(()) } else { space.write(batch).await }
}

/// What a look through the newest events came to.
pub(crate) struct Sight {
    pub(crate) found: Option<MessageData>,
    /// Whether that was all of them.
    whole: bool,
}

impl Sight {
    /// What to say when it is not there.
    pub(crate) fn missing(&self) -> WhatsAppError {
        let known = self.whole || self.found.is_some();
        if known { WhatsAppError::NotFound } else { WhatsAppError::OutOfSight }
    }
}

/// A message that came in or was sent from the phone, as its event told it.
pub(crate) async fn find(
    store: &Store,
    device: &DeviceName,
    id: &MessageId,
) -> Result<Sight, StoreError> {
    newest(store, device, |data| data.id == id.as_str()).await
}

/// The same, in that chat only: an id is its sender's choice, and may be another one's elsewhere.
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
    let mut end = store.log().tail(device).borrow().0;
    let mut whole = end == 0;
    for _ in 0..PAGES {
        if whole {
            break;
        }
        let start = end.saturating_sub(PAGE);
        let limit = usize::try_from(end - start).unwrap_or(0);
        let page = store.log().read_after(device, Seq(start), limit).await?;
        for stored in page.events.iter().rev().filter(|stored| is_message(stored.kind)) {
            let Ok(event) = serde_json::from_slice::<Event>(&stored.body) else { continue };
            match event.data {
                EventData::Message(data) if good(&data) => {
                    return Ok(Sight { found: Some(*data), whole });
                }
                _ => {}
            }
        }
        // Further back there is nothing, or nothing any more.
        whole = start == 0 || page.events.first().is_none_or(|first| first.seq.0 > start + 1);
        end = start;
    }
    Ok(Sight { found: None, whole })
}

fn is_message(kind: EventType) -> bool {
    matches!(kind, EventType::MessageReceived | EventType::MessageSent)
}

/// The engine's word for a kind of file.
pub(crate) fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Image => MediaType::Image,
        MediaKind::Video => MediaType::Video,
        MediaKind::Audio | MediaKind::Voice => MediaType::Audio,
        MediaKind::Document => MediaType::Document,
        MediaKind::Sticker => MediaType::Sticker,
    }
}
