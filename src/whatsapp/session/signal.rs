//! Identities, sessions, pre-keys and sender keys. When a row is lost or goes back to an older state, a conversation
//! breaks.

use std::sync::Arc;

use bytes::Bytes;
use wa_rs::async_trait;
use wa_rs::wacore::store::error::Result;
use wa_rs::wacore::store::traits::SignalStore;

use super::store::{SessionStore, by_address, damaged, failed, key};
use super::tag::{PRE_KEY, SENDER_KEY, SESSION, SIGNED_PRE_KEY};
use crate::store::Key;

const IDENTITY: u8 = b'i';

#[async_trait]
impl SignalStore for SessionStore {
    async fn put_identity(&self, address: &str, identity: [u8; 32]) -> Result<()> {
        self.put(key(IDENTITY, address), identity.to_vec()).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let row = |(address, identity): &(Arc<str>, [u8; 32])| {
            (key(IDENTITY, address.as_bytes()), Bytes::copy_from_slice(identity))
        };
        self.put_all(identities.iter().map(row)).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        self.get_array(key(IDENTITY, address)).await
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.remove(key(IDENTITY, address)).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        self.get_leased(key(SESSION, address)).await
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put_leased(vec![(key(SESSION, address), Bytes::copy_from_slice(session))]).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_leased(by_address(SESSION, sessions)).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.remove_leased(key(SESSION, address)).await
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        for tag in [SESSION, IDENTITY] {
            for border in ["@", ":"] {
                let prefix = key(tag, user).rest(border);
                if self.space.has(prefix).await.map_err(failed)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn store_prekey(&self, id: u32, record: &[u8], uploaded: bool) -> Result<()> {
        self.put(pre_key(id), flagged(record, uploaded)).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], uploaded: bool) -> Result<()> {
        let rows = keys.iter().map(|(id, record)| (pre_key(*id), flagged(record, uploaded)));
        self.put_all(rows).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(self.get(pre_key(id)).await?.map(|row| row.slice(1.min(row.len())..)))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let keys = ids.iter().map(|id| pre_key(*id).into_bytes()).collect();
        let rows = self.space.get_all(keys).await.map_err(failed)?;
        let found = ids.iter().zip(rows);
        Ok(found
            .filter_map(|(id, row)| row.map(|row| (*id, row.slice(1.min(row.len())..))))
            .collect())
    }

    async fn mark_prekeys_uploaded(&self, ids: &[u32]) -> Result<()> {
        let ids = ids.to_vec();
        self.update(move |txn| {
            for id in ids {
                // A key that was consumed meanwhile stays consumed.
                if let Some(row) = txn.get(pre_key(id))? {
                    txn.put(pre_key(id), flagged(&row.slice(1.min(row.len())..), true));
                }
            }
            Ok(())
        })
        .await
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.remove(pre_key(id)).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let last = self.space.last(vec![PRE_KEY]).await.map_err(failed)?;
        last.map_or(Ok(0), |(key, _)| number(&key))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put(signed_pre_key(id), record.to_vec()).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.get(signed_pre_key(id)).await?.map(Vec::from))
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let rows = self.scan(Key::new(SIGNED_PRE_KEY)).await?;
        rows.into_iter().map(|(key, record)| Ok((number(&key)?, Vec::from(record)))).collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.remove(signed_pre_key(id)).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put_leased(vec![(key(SENDER_KEY, address), Bytes::copy_from_slice(record))]).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_leased(by_address(SENDER_KEY, sender_keys)).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get_leased(key(SENDER_KEY, address)).await?.map(Vec::from))
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.remove_leased(key(SENDER_KEY, address)).await
    }
}

/// Rows that wait in memory while a lease covers them.
impl SessionStore {
    async fn get_leased(&self, key: Key) -> Result<Option<Bytes>> {
        if let Some(row) = self.young.get(&key) {
            return Ok(Some(row));
        }
        let row = self.get(key.clone()).await?;
        if let Some(row) = &row {
            self.leases.note(key, row);
        }
        Ok(row)
    }

    async fn put_leased(&self, rows: Vec<(Key, Bytes)>) -> Result<()> {
        let (covered, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| self.leases.cover(row));
        if !covered.is_empty() {
            self.put_young(covered).await?;
        }
        if rows.is_empty() {
            return Ok(());
        }
        for (key, _) in &rows {
            self.young.forget(key);
        }
        self.put_all(rows.clone()).await?;
        for (key, row) in rows {
            self.leases.note(key, &row);
        }
        Ok(())
    }

    async fn remove_leased(&self, key: Key) -> Result<()> {
        self.leases.forget(&key);
        self.young.forget(&key);
        self.remove(key).await
    }
}

pub(super) fn pre_key(id: u32) -> Key {
    key(PRE_KEY, id.to_be_bytes())
}

fn signed_pre_key(id: u32) -> Key {
    key(SIGNED_PRE_KEY, id.to_be_bytes())
}

/// The id at the end of a pre-key's key.
fn number(key: &[u8]) -> Result<u32> {
    let id = key.last_chunk::<4>().ok_or_else(|| damaged("a pre-key without a number"))?;
    Ok(u32::from_be_bytes(*id))
}

/// A pre-key with its uploaded flag in front.
pub(super) fn flagged(record: &[u8], uploaded: bool) -> Bytes {
    [&[u8::from(uploaded)], record].concat().into()
}
