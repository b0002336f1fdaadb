//! Sent messages, for the contacts' devices that cannot read them and ask again. A phone that was off for days asks days
//! later; what is not here any more stays "Waiting for this message" on it for ever.

use std::time::Duration;

use wa_rs::wacore::store::error::Result;

use super::store::{SessionStore, failed, key, stamped, unstamp};
use crate::knobs::knobs;
use crate::model::UnixMillis;
use crate::store::{Key, Parts, SpaceTxn, StoreError};

const SENT: u8 = b'R';
const BY_AGE: u8 = b'O';
const BYTES: u8 = b'B';
/// Where they were before 14 days of them were kept, without an index.
const UNINDEXED: u8 = b'S';

/// How long a sent message is kept, by the store's clock: the wall clock may jump.
const KEEP: Duration = Duration::from_hours(14 * 24);
/// How many bytes of sent messages a device keeps.
const MAX_BYTES: u64 = 32 << 20;
/// How many rows one write removes.
const PAGE: usize = 500;

impl SessionStore {
    pub(super) async fn keep_sent(&self, chat: &str, message: &str, payload: &[u8]) -> Result<()> {
        let (name, payload) = (name(chat, message), payload.to_vec());
        let (now, most) = (self.space.now(), knobs().sent_bytes.unwrap_or(MAX_BYTES));
        let dropped =
            self.update_in_order(move |txn| keep(txn, &name, &payload, now, most)).await?;
        if dropped > 0
            && let Some(crowded) = &self.crowded
        {
            crowded(dropped);
        }
        Ok(())
    }

    pub(super) async fn find_sent(&self, chat: &str, message: &str) -> Result<Option<Vec<u8>>> {
        let row = self.get(key(SENT, name(chat, message))).await?;
        let row = row.as_deref().map(unstamp);
        let since = stamp(self.space.now().before(KEEP));
        let young = row.filter(|(at, payload)| *at >= since && !payload.is_empty());
        Ok(young.map(|(_, payload)| payload.to_vec()))
    }

    /// Removes what an older build has left.
    pub(crate) async fn drop_unindexed_sent(&self) -> std::result::Result<(), StoreError> {
        let drop_page = |txn: &mut SpaceTxn<'_, '_>| {
            for (key, _) in txn.first(&[UNINDEXED], PAGE)? {
                txn.remove(key);
            }
            Ok(())
        };
        while self.space.has(vec![UNINDEXED]).await? {
            self.space.update(drop_page).await?;
        }
        Ok(())
    }

    /// Removes what is too old; says how much that was.
    pub(super) async fn drop_old_sent(&self) -> Result<u32> {
        let (mut all, before) = (0, self.space.now().before(KEEP));
        while self.has_older(before).await? {
            all += self.update(move |txn| drop_older(txn, before)).await?;
        }
        Ok(all)
    }

    async fn has_older(&self, before: UnixMillis) -> Result<bool> {
        let first = self.space.first(vec![BY_AGE]).await.map_err(failed)?;
        Ok(first.is_some_and(|(index, _)| age(&index).0 < stamp(before)))
    }

    /// Forgets a message that was revoked, in every chat. An empty row stays until it is too old: the engine may have taken the
    /// message to send it again, and would bring it back.
    pub(crate) async fn forget_sent(&self, message: &str) -> std::result::Result<(), StoreError> {
        let prefix = Key::new(SENT).part(message);
        if !self.space.has(prefix.clone()).await? {
            return Ok(());
        }
        let forget = move |txn: &mut SpaceTxn<'_, '_>| {
            let mut bytes = total(txn)?;
            for (key, row) in txn.scan(prefix.as_ref())? {
                let (name, at) = (key.get(1..).unwrap_or_default(), unstamp(&row).0);
                let empty = stamped(at, &[]);
                let left = weight(name, &empty);
                bytes = bytes.saturating_sub(weight(name, &row)) + left;
                txn.put(by_age(at, name), left.to_be_bytes().to_vec());
                txn.put(key, empty);
            }
            txn.put([BYTES], bytes.to_be_bytes().to_vec());
            Ok(())
        };
        self.space.update(forget).await
    }
}

/// Keeps a message, and drops the oldest ones if there are more bytes than `most`; says how many.
pub(super) fn keep(
    txn: &mut SpaceTxn<'_, '_>,
    name: &[u8],
    payload: &[u8],
    now: UnixMillis,
    most: u64,
) -> std::result::Result<u64, StoreError> {
    let (place, mut at) = (key(SENT, name), stamp(now));
    let mut bytes = total(txn)?;
    if let Some(old) = txn.get(&place)? {
        // The engine puts back what it has taken to send it again. That makes it no younger, and what was revoked meanwhile stays
        // forgotten.
        let (since, same) = unstamp(&old);
        if same == payload || same.is_empty() {
            return Ok(0);
        }
        at = since;
        bytes = bytes.saturating_sub(weight(name, &old));
    }
    let row = stamped(at, payload);
    let weight = weight(name, &row);
    bytes += weight;
    txn.put(place, row);
    txn.put(by_age(at, name), weight.to_be_bytes().to_vec());
    let mut dropped = 0;
    while bytes > most {
        let oldest = txn.first(&[BY_AGE], PAGE)?;
        if oldest.is_empty() {
            break;
        }
        for (index, weight) in oldest {
            if bytes <= most {
                break;
            }
            bytes = bytes.saturating_sub(remove(txn, index, &weight));
            dropped += 1;
        }
    }
    txn.put([BYTES], bytes.to_be_bytes().to_vec());
    Ok(dropped)
}

/// Drops a page of the messages that were sent before a time; says how many.
pub(super) fn drop_older(
    txn: &mut SpaceTxn<'_, '_>,
    before: UnixMillis,
) -> std::result::Result<u32, StoreError> {
    let (mut bytes, mut dropped) = (total(txn)?, 0);
    for (index, weight) in txn.first(&[BY_AGE], PAGE)? {
        if age(&index).0 >= stamp(before) {
            break;
        }
        bytes = bytes.saturating_sub(remove(txn, index, &weight));
        dropped += 1;
    }
    txn.put([BYTES], bytes.to_be_bytes().to_vec());
    Ok(dropped)
}

/// Removes a message by its place in the index; says how many bytes that frees.
fn remove(txn: &mut SpaceTxn<'_, '_>, index: Vec<u8>, weight: &[u8]) -> u64 {
    txn.remove(key(SENT, age(&index).1));
    txn.remove(index);
    Parts::of(weight).number().unwrap_or_default()
}

/// How many bytes are kept. The sum is lost with a damaged database; what it is made of is not.
fn total(txn: &SpaceTxn<'_, '_>) -> std::result::Result<u64, StoreError> {
    if let Some(bytes) = txn.get([BYTES])?.and_then(|row| Parts::of(&row).number()) {
        return Ok(bytes);
    }
    let all = txn.scan(&[BY_AGE])?;
    Ok(all.iter().filter_map(|(_, weight)| Parts::of(weight).number()).sum())
}

fn weight(name: &[u8], row: &[u8]) -> u64 {
    (name.len() + row.len()) as u64
}

/// What a message's rows are called, after their letter. Its id comes first: a revoke does not know under which of a
/// person's addresses it was kept.
pub(super) fn name(chat: &str, message: &str) -> Vec<u8> {
    Key::default().part(message).rest(chat).into_bytes()
}

fn by_age(at: i64, name: &[u8]) -> Key {
    Key::new(BY_AGE).number(at.cast_unsigned()).rest(name)
}

/// The time and the name in a key of the index.
fn age(index: &[u8]) -> (i64, &[u8]) {
    unstamp(index.get(1..).unwrap_or_default())
}

fn stamp(at: UnixMillis) -> i64 {
    at.millis().cast_signed()
}
