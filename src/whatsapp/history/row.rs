//! What is kept of messages beside their events, in the device's space: for a week how to download or forward a file,
//! for a season how to read the votes of a poll, for a year after how long its chat's messages disappear.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use wa_rs::buffa::Message as _;
use wa_rs::waproto::whatsapp as wa;

use crate::model::{MediaKind, MessageId, UnixMillis};
use crate::store::{Batch, Space, StoreError};
use crate::whatsapp::chat::rejected::{KEEP_TOLD, TOLD};
use crate::whatsapp::directory::{KEEP_LISTED, LISTED};
use crate::whatsapp::error::WhatsAppError;

const MEDIA: &[u8] = b"media/";
/// WhatsApp's hosts do not keep files much longer either.
const KEEP_MEDIA: Duration = Duration::from_hours(7 * 24);
const POLLS: &[u8] = b"poll/";
const BUILT: &[u8] = b"built/";
/// Longer than a message is tried; it is removed when WhatsApp has the message.
const KEEP_BUILT: Duration = Duration::from_hours(30 * 24);
const TIMERS: &[u8] = b"timer/";
/// Whoever is in touch says it again, and of a group it is asked again.
const KEEP_TIMERS: Duration = Duration::from_hours(400 * 24);
/// People vote late.
const KEEP_POLLS: Duration = Duration::from_hours(90 * 24);

/// Where the file of a message is and how it is decrypted.
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

impl MediaRow {
    pub(crate) fn put(&self, batch: &mut Batch, id: &MessageId) {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let place = format!("{}/{}/{}", text(&self.chat), text(&self.participant), self.from_me);
        match serde_json::to_vec(self) {
            Ok(json) => batch.put([media_rows(id), place.into_bytes()].concat(), json),
            Err(error) => tracing::error!(%error, "A file's keys could not be serialised."),
        }
    }

    pub(crate) async fn save(&self, space: &Space, id: &MessageId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.put(&mut batch, id);
        space.write(batch).await
    }

    /// Of several messages under one id it is the first one's: who copies an id comes later.
    pub(crate) async fn find(space: &Space, id: &MessageId) -> Result<Self, WhatsAppError> {
        Self::find_that(space, id, |_| true).await?.ok_or(WhatsAppError::NotFound)
    }

    /// The same among those that are good.
    pub(crate) async fn find_that(
        space: &Space,
        id: &MessageId,
        good: impl Fn(&Self) -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let mut first: Option<Self> = None;
        for (_, row) in space.scan(media_rows(id)).await? {
            let row: Self = serde_json::from_slice(&row)
                .map_err(|error| StoreError::Damaged(format!("media: {error}")))?;
            if good(&row) && first.as_ref().is_none_or(|first| row.at < first.at) {
                first = Some(row);
            }
        }
        Ok(first)
    }
}

/// Where the rows of a message id begin. The sender chooses a message's id: a stranger's message under a known id has a
/// row of its own.
fn media_rows(id: &MessageId) -> Vec<u8> {
    [MEDIA, id.as_str().as_bytes(), b"/"].concat()
}

/// What is needed to read the votes of a poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PollRow {
    pub(crate) at: UnixMillis,
    pub(crate) secret: String,
    pub(crate) options: Vec<String>,
    /// Who asked; `None` for ourselves.
    pub(crate) author: Option<String>,
}

impl PollRow {
    pub(crate) fn put(&self, batch: &mut Batch, id: &str) {
        match serde_json::to_vec(self) {
            Ok(json) => batch.put([POLLS, id.as_bytes()].concat(), json),
            Err(error) => tracing::error!(%error, "A poll could not be serialised."),
        }
    }

    pub(crate) async fn find(space: &Space, id: &str) -> Result<Option<Self>, StoreError> {
        let Some(row) = space.get([POLLS, id.as_bytes()].concat()).await? else { return Ok(None) };
        serde_json::from_slice(&row)
            .map(Some)
            .map_err(|error| StoreError::Damaged(format!("poll: {error}")))
    }
}

/// An outgoing message as it was first built, until WhatsApp has it.
#[derive(Serialize, Deserialize)]
pub(crate) struct BuiltRow {
    at: UnixMillis,
    /// base64 of its encoding.
    message: String,
}

impl BuiltRow {
    pub(crate) fn put(batch: &mut Batch, id: &MessageId, message: &wa::Message) {
        let row = Self { at: UnixMillis::now(), message: BASE64.encode(&message.encode_to_vec()) };
        match serde_json::to_vec(&row) {
            Ok(json) => batch.put(built_row(id), json),
            Err(error) => tracing::error!(%error, "A message could not be serialised."),
        }
    }

    pub(crate) async fn find(
        space: &Space,
        id: &MessageId,
    ) -> Result<Option<wa::Message>, StoreError> {
        let Some(row) = space.get(built_row(id)).await? else { return Ok(None) };
        let row: Self = serde_json::from_slice(&row)
            .map_err(|error| StoreError::Damaged(format!("a message: {error}")))?;
        let bytes = BASE64.decode(row.message.as_bytes()).unwrap_or_default();
        wa::Message::decode_from_slice(&bytes)
            .map(Some)
            .map_err(|error| StoreError::Damaged(format!("a message: {error}")))
    }

    pub(crate) async fn remove(space: &Space, id: &MessageId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.remove(built_row(id));
        // Nothing depends on it: a row that a power cut brings back is pruned some day.
        space.write_in_order(batch).await
    }
}

fn built_row(id: &MessageId) -> Vec<u8> {
    [BUILT, id.as_str().as_bytes()].concat()
}

/// The timer of one chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    at: UnixMillis,
    /// When it was set, in seconds, by WhatsApp's clock.
    pub(crate) set: u64,
    /// 0 if messages stay.
    pub(crate) seconds: u32,
}

impl Timer {
    pub(crate) fn new(set: u64, seconds: u32) -> Self {
        Self { at: UnixMillis::now(), set, seconds }
    }

    /// Whether it says something else than what was known before, and not something older.
    pub(crate) fn replaces(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| {
            self.set >= known.set && (self.set, self.seconds) != (known.set, known.seconds)
        })
    }

    pub(crate) async fn find(space: &Space, key: &str) -> Result<Option<Self>, StoreError> {
        Ok(Self::find_all(space, &[key.to_owned()]).await?.pop())
    }

    /// Those that are kept under these keys.
    pub(crate) async fn find_all(space: &Space, keys: &[String]) -> Result<Vec<Self>, StoreError> {
        let keys = keys.iter().map(|key| [TIMERS, key.as_bytes()].concat()).collect();
        let rows = space.get_all(keys).await?;
        let timer = |row: Bytes| {
            serde_json::from_slice(&row)
                .map_err(|error| StoreError::Damaged(format!("a timer: {error}")))
        };
        rows.into_iter().flatten().map(timer).collect()
    }

    pub(crate) fn put(&self, batch: &mut Batch, key: &str) {
        match serde_json::to_vec(self) {
            Ok(json) => batch.put([TIMERS, key.as_bytes()].concat(), json),
            Err(error) => tracing::error!(%error, "A timer could not be serialised."),
        }
    }

    /// Keeps it, unless something newer is known.
    pub(crate) async fn save(&self, space: &Space, key: &str) -> Result<(), StoreError> {
        if !self.replaces(Self::find(space, key).await?.as_ref()) {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.put(&mut batch, key);
        space.write(batch).await
    }
}

#[derive(Deserialize)]
struct Age {
    at: UnixMillis,
}

/// Removes the rows that have been kept long enough; those of files stay as long as the history.
pub(crate) async fn prune(space: &Space, history: Duration) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    let mut old = 0_usize;
    let kinds = [
        (MEDIA, KEEP_MEDIA.max(history)),
        (POLLS, KEEP_POLLS),
        (BUILT, KEEP_BUILT),
        (LISTED, KEEP_LISTED),
        (TIMERS, KEEP_TIMERS),
        (TOLD, KEEP_TOLD),
    ];
    for (rows, keep) in kinds {
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
