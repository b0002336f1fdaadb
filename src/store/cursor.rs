//! How far each endpoint has got in its device's log, and the events it refused for good.

use bytes::Bytes;
use fjall::Readable;
use sha2::{Digest, Sha256};

use crate::knobs::failpoint;
use crate::model::{DeviceName, EventId, UnixMillis};
use crate::store::database::bytes;
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::reader::Readers;
use crate::store::database::txn::Txn;
use crate::store::database::writer::{Begun, Writer};
use crate::store::disk::Room;
use crate::store::json::{from_json, to_row};
use crate::store::key::{Key, Parts};
use crate::store::{Seq, StoreError};

/// What makes an endpoint the same one before and after an edit: its device and its URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct EndpointId(String);

impl EndpointId {
    pub fn of(device: &DeviceName, url: &str) -> Self {
        // A device name has no `\n`, so the two cannot run into each other.
        let digest: [u8; 32] = Sha256::digest(format!("{device}\n{url}").as_bytes()).into();
        let half = digest.first_chunk::<16>().copied().unwrap_or_default();
        Self(format!("ep_{}", data_encoding::BASE32_NOPAD.encode(&half).to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Dead letters kept for one endpoint.
const LETTERS: u64 = 1000;
/// Bytes of dead letters kept in all.
const LETTER_BYTES: u64 = 16 * 1024 * 1024;

/// What an endpoint's machine remembers across restarts.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// Whose log it reads.
    pub device: DeviceName,
    /// Everything up to here is delivered, parked or filtered out.
    pub acked: Seq,
    /// How often the event after `acked` has failed.
    pub tries: u32,
    /// How often the endpoint has failed in a row, from which the next wait follows.
    pub failures: u32,
    /// Since when nothing was delivered, while failing.
    pub failing_since: Option<UnixMillis>,
    /// When it may be tried again.
    pub next_try: Option<UnixMillis>,
    pub state: EndpointState,
    pub last_status: Option<u16>,
    /// What was wrong with the last attempt, for programs.
    #[serde(default)]
    pub last_code: Option<String>,
    /// The same for people.
    pub last_error: Option<String>,
    pub delivered: u64,
    /// Events parked as dead letters.
    pub parked: u64,
    /// Events that retention dropped before they were delivered.
    pub dropped: u64,
    /// When the endpoint went from the file.
    pub removed_at: Option<UnixMillis>,
}

/// Whether an endpoint delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    Active,
    /// A person paused it.
    Paused,
    /// It answered 410.
    Gone,
}

/// An event an endpoint refused for good.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DeadLetter {
    pub seq: Seq,
    pub id: EventId,
    pub parked_at: UnixMillis,
    pub tries: u32,
    pub status: Option<u16>,
    /// Why, for programs.
    #[serde(default)]
    pub code: Option<String>,
    /// The same for people.
    pub reason: String,
    /// The beginning of the last answer.
    pub answer: String,
    #[serde(skip)]
    pub body: Bytes,
}

pub struct Cursors {
    writer: Writer<Outbox>,
    readers: Readers,
}

impl Cursors {
    pub(super) fn new(writer: Writer<Outbox>, readers: Readers) -> Self {
        Self { writer, readers }
    }

    pub async fn load(&self, endpoint: &EndpointId) -> Result<Option<Cursor>, StoreError> {
        let key = cursor_key(endpoint);
        self.readers
            .run(move |databases| {
                let row = databases.outbox.meta.get(key).map_err(StoreError::database)?;
                row.map(|row| from_json(&row)).transpose()
            })
            .await
    }

    pub async fn all(&self) -> Result<Vec<(EndpointId, Cursor)>, StoreError> {
        self.readers
            .run(move |databases| {
                let now = databases.outbox.db.snapshot();
                let mut all = Vec::new();
                for guard in now.prefix(&databases.outbox.meta, *b"c") {
                    let (key, value) = guard.into_inner().map_err(StoreError::database)?;
                    let id = std::str::from_utf8(key.get(1..).unwrap_or_default());
                    let id = id.map_err(|_not_text| damaged("an endpoint"))?;
                    all.push((EndpointId(id.to_owned()), from_json(&value)?));
                }
                Ok(all)
            })
            .await
    }

    /// Saves a cursor. It survives `kill -9` at once, and a power cut after a second at most.
    pub async fn save(&self, endpoint: &EndpointId, cursor: &Cursor) -> Result<(), StoreError> {
        self.begin_to_save(endpoint, cursor).await?.done().await
    }

    /// Has a cursor saved. Whether it is is told to whoever asks: that costs less than to be woken for it.
    pub(crate) async fn begin_to_save(
        &self,
        endpoint: &EndpointId,
        cursor: &Cursor,
    ) -> Result<Begun<()>, StoreError> {
        let (key, value) = (cursor_key(endpoint), to_row(cursor)?);
        self.writer
            .begin(Promise::Lazy, Room::Essential, move |outbox, txn| {
                failpoint("cursor.before");
                txn.put(&outbox.meta, key, value);
                Ok(())
            })
            .await
    }

    /// Forgets an endpoint and its dead letters.
    pub async fn forget(&self, endpoint: &EndpointId) -> Result<(), StoreError> {
        let endpoint = endpoint.clone();
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                txn.remove(&outbox.meta, cursor_key(&endpoint));
                txn.remove(&outbox.meta, count_key(&endpoint));
                for (key, _) in txn.scan(&outbox.dead, letters(&endpoint).as_ref(), usize::MAX)? {
                    txn.remove(&outbox.dead, key);
                }
                Ok(())
            })
            .await
    }

    /// Keeps a dead letter and moves the cursor in one commit, durable before `Ok`. Beyond 1,000 for an endpoint or
    /// 16 MiB in all, the oldest dead letters are removed.
    pub async fn park(
        &self,
        endpoint: &EndpointId,
        letter: DeadLetter,
        cursor: &Cursor,
    ) -> Result<(), StoreError> {
        let (endpoint, cursor) = (endpoint.clone(), to_row(cursor)?);
        let value = Key::default().part(to_row(&letter)?).rest(&letter.body).into_bytes();
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                txn.put(&outbox.meta, cursor_key(&endpoint), cursor);
                take(outbox, txn, &endpoint, letters(&endpoint).number(letter.seq.0))?;
                let mut kept = LetterCount::load(outbox, txn, &endpoint)?;
                kept.letters += 1;
                kept.bytes += value.len() as u64;
                txn.put(&outbox.dead, letters(&endpoint).number(letter.seq.0), value);
                kept.save(outbox, txn, &endpoint);
                evict(outbox, txn, &endpoint)
            })
            .await
    }

    /// Up to `limit` dead letters after `after`, oldest first.
    pub async fn dead_letters(
        &self,
        endpoint: &EndpointId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let (from, to) = (after.0.saturating_add(1), u64::MAX);
        let (from, to) = (letters(endpoint).number(from), letters(endpoint).number(to));
        self.readers
            .run(move |databases| {
                let now = databases.outbox.db.snapshot();
                let mut found = Vec::new();
                for guard in now.range(&databases.outbox.dead, from..=to).take(limit) {
                    found.push(letter(&guard.value().map_err(StoreError::database)?)?);
                }
                Ok(found)
            })
            .await
    }

    /// How many dead letters there are.
    pub async fn count_letters(&self, endpoint: &EndpointId) -> Result<u64, StoreError> {
        let key = count_key(endpoint);
        self.readers
            .run(move |databases| {
                let now = databases.outbox.db.snapshot();
                let row = now.get(&databases.outbox.meta, key).map_err(StoreError::database)?;
                row.map_or(Ok(0), |row| Ok(LetterCount::parse(&row)?.letters))
            })
            .await
    }

    /// Removes a dead letter (it was delivered after all).
    pub async fn bury(&self, endpoint: &EndpointId, seq: Seq) -> Result<(), StoreError> {
        let endpoint = endpoint.clone();
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                take(outbox, txn, &endpoint, letters(&endpoint).number(seq.0))
            })
            .await
    }
}

/// How many dead letters an endpoint has, and their bytes.
struct LetterCount {
    letters: u64,
    bytes: u64,
}

impl LetterCount {
    fn load(outbox: &Outbox, txn: &Txn<'_>, endpoint: &EndpointId) -> Result<Self, StoreError> {
        let row = txn.get(&outbox.meta, count_key(endpoint))?;
        row.map_or(Ok(Self { letters: 0, bytes: 0 }), |row| Self::parse(&row))
    }

    fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut parts = Parts::of(row);
        let (letters, bytes) = (parts.number(), parts.number());
        match (letters, bytes) {
            (Some(letters), Some(bytes)) => Ok(Self { letters, bytes }),
            _ => Err(damaged("a count of dead letters")),
        }
    }

    fn save(&self, outbox: &Outbox, txn: &mut Txn<'_>, endpoint: &EndpointId) {
        let row = Key::default().number(self.letters).number(self.bytes);
        txn.put(&outbox.meta, count_key(endpoint), row.into_bytes());
    }
}

/// Puts a cursor that was read from a damaged database into a new one.
pub(super) fn put_back(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    key: &[u8],
    row: &Bytes,
) -> Result<(EndpointId, Cursor), StoreError> {
    let cursor: Cursor = from_json(row)?;
    let id = std::str::from_utf8(key.get(1..).unwrap_or_default());
    let id = EndpointId(id.map_err(|_not_text| damaged("an endpoint"))?.to_owned());
    txn.put(&outbox.meta, cursor_key(&id), row.clone());
    Ok((id, cursor))
}

/// The same for a dead letter.
pub(super) fn put_letter_back(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    key: &[u8],
    row: &Bytes,
) -> Result<(), StoreError> {
    letter(row)?;
    let endpoint = Parts::of(key).text().ok_or_else(|| damaged("a dead letter"))?;
    let endpoint = EndpointId(endpoint.to_owned());
    let mut kept = LetterCount::load(outbox, txn, &endpoint)?;
    kept.letters += 1;
    kept.bytes += row.len() as u64;
    kept.save(outbox, txn, &endpoint);
    txn.put(&outbox.dead, key, row.clone());
    Ok(())
}

/// Removes a dead letter, if it is there, and subtracts it from the counts.
fn take(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    endpoint: &EndpointId,
    key: impl Into<Vec<u8>>,
) -> Result<(), StoreError> {
    let key = key.into();
    if let Some(value) = txn.get(&outbox.dead, &key)? {
        let mut kept = LetterCount::load(outbox, txn, endpoint)?;
        kept.letters = kept.letters.saturating_sub(1);
        kept.bytes = kept.bytes.saturating_sub(value.len() as u64);
        kept.save(outbox, txn, endpoint);
        txn.remove(&outbox.dead, key);
    }
    Ok(())
}

/// Removes the oldest dead letters beyond the limits.
fn evict(outbox: &Outbox, txn: &mut Txn<'_>, parked: &EndpointId) -> Result<(), StoreError> {
    while LetterCount::load(outbox, txn, parked)?.letters > LETTERS {
        let Some((key, _)) = first(outbox, txn, parked)? else { break };
        take(outbox, txn, parked, key)?;
    }
    loop {
        let mut total = 0;
        let mut oldest: Option<(UnixMillis, EndpointId, Vec<u8>)> = None;
        for (key, row) in txn.scan(&outbox.meta, b"n", usize::MAX)? {
            total += LetterCount::parse(&row)?.bytes;
            let id = std::str::from_utf8(key.get(1..).unwrap_or_default());
            let id = EndpointId(id.map_err(|_not_text| damaged("an endpoint"))?.to_owned());
            if let Some((key, value)) = first(outbox, txn, &id)? {
                let at = letter(&value)?.parked_at;
                if oldest.as_ref().is_none_or(|(least, ..)| at < *least) {
                    oldest = Some((at, id, key));
                }
            }
        }
        match oldest {
            Some((_, id, key)) if total > LETTER_BYTES => take(outbox, txn, &id, key)?,
            _ => return Ok(()),
        }
    }
}

fn first(
    outbox: &Outbox,
    txn: &Txn<'_>,
    endpoint: &EndpointId,
) -> Result<Option<(Vec<u8>, Bytes)>, StoreError> {
    Ok(txn.scan(&outbox.dead, letters(endpoint).as_ref(), 1)?.pop())
}

fn cursor_key(endpoint: &EndpointId) -> Vec<u8> {
    Key::new(b'c').rest(endpoint.as_str()).into_bytes()
}

fn count_key(endpoint: &EndpointId) -> Vec<u8> {
    Key::new(b'n').rest(endpoint.as_str()).into_bytes()
}

fn letters(endpoint: &EndpointId) -> Key {
    Key::default().part(endpoint.as_str())
}

pub(super) fn letter(value: &[u8]) -> Result<DeadLetter, StoreError> {
    let mut parts = Parts::of(value);
    let head = parts.part().ok_or_else(|| damaged("a dead letter"))?;
    Ok(DeadLetter { body: bytes(parts.rest()), ..from_json(head)? })
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}
