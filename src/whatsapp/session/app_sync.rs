//! Keys, versions and mutation MACs of the account's app state.

use wa_rs::async_trait;
use wa_rs::wacore::appstate::hash::HashState;
use wa_rs::wacore::appstate::processor::AppStateMutationMAC;
use wa_rs::wacore::store::error::Result;
use wa_rs::wacore::store::traits::{AppStateSyncKey, AppSyncStore, DeviceStore};

use super::store::{SessionStore, failed, key, to_json};
use super::tag::{LATEST_SYNC_KEY, SYNC_KEY};
use crate::store::{Batch, Key};

const VERSION: u8 = b'v';
const MUTATION: u8 = b'm';
/// The collection that the account's own name is in.
const NAMED: &str = "critical_block";

#[async_trait]
impl AppSyncStore for SessionStore {
    async fn get_sync_key(&self, id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_json(key(SYNC_KEY, id)).await
    }

    async fn set_sync_key(&self, id: &[u8], sync_key: AppStateSyncKey) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key(SYNC_KEY, id), to_json(&sync_key)?);
        // "Latest" means stored last, which the ids do not tell.
        batch.put(Key::new(LATEST_SYNC_KEY), id.to_vec());
        self.write(batch).await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        Ok(self.get_json(key(VERSION, name)).await?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put(key(VERSION, name), to_json(&state)?).await
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let row =
            |m: &AppStateMutationMAC| (mutation(name, &m.index_mac), m.value_mac.clone().into());
        self.put_all(mutations.iter().map(row)).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.get(mutation(name, index_mac)).await?.map(Vec::from))
    }

    #[expect(clippy::disallowed_types, reason = "the engine's signature")]
    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<std::collections::HashMap<[u8; 32], Vec<u8>>> {
        let keys = index_macs.iter().map(|mac| mutation(name, mac).into_bytes()).collect();
        let rows = self.space.get_all(keys).await.map_err(failed)?;
        let found = index_macs.iter().zip(rows);
        Ok(found.filter_map(|(mac, row)| Some((*mac, Vec::from(row?)))).collect())
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let mut batch = Batch::new();
        for mac in index_macs {
            batch.remove(mutation(name, mac));
        }
        self.write(batch).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let prefix = mutation(name, &[]).into_bytes();
        self.update(move |txn| {
            for (key, _) in txn.scan(&prefix)? {
                txn.remove(key);
            }
            Ok(())
        })
        .await
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.get(Key::new(LATEST_SYNC_KEY)).await?.map(Vec::from))
    }
}

impl SessionStore {
    /// Sees to it that the next client learns the account's own name. When the connection ends between the collection that it
    /// is in and the name, the engine keeps the first only, and would never ask for the other again.
    pub(crate) async fn forget_unnamed(&self) -> Result<()> {
        let device = self.load().await?;
        let unnamed = device.is_some_and(|own| own.pn.is_some() && own.push_name.is_empty());
        if !unnamed || self.get(key(VERSION, NAMED)).await?.is_none() {
            return Ok(());
        }
        self.update(|txn| {
            txn.remove(key(VERSION, NAMED));
            for (key, _) in txn.scan(mutation(NAMED, &[]).as_ref())? {
                txn.remove(key);
            }
            Ok(())
        })
        .await
    }
}

fn mutation(name: &str, index_mac: &[u8]) -> Key {
    Key::new(MUTATION).part(name).rest(index_mac)
}
