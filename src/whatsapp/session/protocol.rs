//! Who has which sender key, LID mappings, device lists, tokens, and the two buffers that make sending and receiving
//! survive a crash.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wa_rs::async_trait;
use wa_rs::wacore::store::error::Result;
use wa_rs::wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore,
    TcTokenEntry,
};

use super::holders::{GROUPS_OF_DEVICE, HAS_SENDER_KEY, holder, holding, put_holders};
use super::store::{SessionStore, damaged, failed, from_json, key, stamped, to_json, unstamp};
use super::told::Repeated;
use crate::knobs::{failpoint, knobs};
use crate::model::UnixMillis;
use crate::store::{Batch, Key, Parts, SpaceTxn, StoreError};

const LID: u8 = b'l';
const LID_OF_PHONE: u8 = b'n';
const BASE_KEY: u8 = b'b';
const DEVICES: u8 = b'd';
const GROUP: u8 = b'j';
const TOKEN: u8 = b't';
const INBOUND: u8 = b'I';

#[async_trait]
impl ProtocolStore for SessionStore {
    async fn get_sender_key_devices(&self, group: &str) -> Result<Vec<(String, bool)>> {
        let rows = self.scan(holder(group, "")).await?;
        let known =
            |(key, value): (Vec<u8>, Bytes)| Ok((last_text(&key, 1)?, value.first() == Some(&1)));
        let mut devices = rows.into_iter().map(known).collect::<Result<BTreeMap<_, _>>>()?;
        devices.extend(self.holders.of(group).into_iter().map(|device| (device, true)));
        Ok(devices.into_iter().collect())
    }

    /// That a device has the key is written by `keep_holders`.
    async fn set_sender_key_status(&self, group: &str, entries: &[(&str, bool)]) -> Result<()> {
        self.check()?;
        let (has, lacks): (Vec<_>, Vec<_>) = entries.iter().copied().partition(|(_, has)| *has);
        self.holders.add(group, has.into_iter().map(|(device, _)| device));
        if lacks.is_empty() {
            return Ok(());
        }
        let lacks: BTreeSet<String> =
            lacks.into_iter().map(|(device, _)| device.to_owned()).collect();
        self.holders.forget(|of, device| of == group && lacks.contains(device));
        let group = group.to_owned();
        self.update(move |txn| {
            put_holders(txn, &group, lacks, false);
            Ok(())
        })
        .await
    }

    async fn clear_sender_key_devices(&self, group: &str) -> Result<()> {
        self.holders.forget(|of, _| of == group);
        let group = group.to_owned();
        self.update(move |txn| {
            for (key, _) in txn.scan(holder(&group, "").as_ref())? {
                if let Ok(device) = last_text(&key, 1) {
                    txn.remove(holding(&device, &group));
                }
                txn.remove(key);
            }
            Ok(())
        })
        .await
    }

    async fn delete_sender_key_device_rows(&self, devices: &[&str]) -> Result<()> {
        self.holders.forget(|_, device| devices.contains(&device));
        let devices: Vec<String> = devices.iter().map(|&device| device.to_owned()).collect();
        self.update(move |txn| {
            for device in devices {
                for (key, _) in txn.scan(holding(&device, "").as_ref())? {
                    if let Ok(group) = last_text(&key, 1) {
                        txn.remove(holder(&group, &device));
                    }
                    txn.remove(key);
                }
            }
            Ok(())
        })
        .await
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        self.holders.forget(|_, _| true);
        self.update(|txn| {
            for tag in [HAS_SENDER_KEY, GROUPS_OF_DEVICE] {
                for (key, _) in txn.scan(&[tag])? {
                    txn.remove(key);
                }
            }
            Ok(())
        })
        .await
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(key(LID, lid)).await
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        match self.get(key(LID_OF_PHONE, phone)).await? {
            Some(lid) => self.get_json(key(LID, lid)).await,
            None => Ok(None),
        }
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        let entries = entries.to_vec();
        let learnt = self
            .update(move |txn| {
                let mut learnt = Vec::new();
                for entry in entries {
                    if map_lid(txn, &entry)? {
                        learnt.push((entry.lid, entry.phone_number));
                    }
                }
                Ok(learnt)
            })
            .await?;
        if let Some(told) = &self.told {
            for (lid, phone) in &learnt {
                told(lid, phone);
            }
        }
        Ok(())
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let rows = self.scan(Key::new(LID)).await?;
        rows.iter().map(|(_, row)| from_json(row)).collect()
    }

    async fn save_base_key(&self, address: &str, message: &str, base_key: &[u8]) -> Result<()> {
        self.put(base(address, message), base_key.to_vec()).await
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message: &str,
        current: &[u8],
    ) -> Result<bool> {
        let saved = self.get(base(address, message)).await?;
        Ok(saved.is_some_and(|saved| saved == current))
    }

    async fn delete_base_key(&self, address: &str, message: &str) -> Result<()> {
        self.remove(base(address, message)).await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.update_device_lists(vec![record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let mut batch = Batch::new();
        for record in records {
            batch.put(key(DEVICES, &record.user), to_json(&record)?);
        }
        self.write(batch).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        self.get_json(key(DEVICES, user)).await
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.remove(key(DEVICES, user)).await
    }

    async fn get_group_metadata(&self, group: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get(key(GROUP, group)).await?.map(Vec::from))
    }

    async fn put_group_metadata(&self, group: &str, blob: &[u8]) -> Result<()> {
        self.put(key(GROUP, group), blob.to_vec()).await
    }

    async fn delete_group_metadata(&self, group: &str) -> Result<()> {
        self.remove(key(GROUP, group)).await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        self.get_json(key(TOKEN, jid)).await
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        self.put(key(TOKEN, jid), to_json(entry)?).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.remove(key(TOKEN, jid)).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let rows = self.scan(Key::new(TOKEN)).await?;
        rows.iter().map(|(key, _)| last_text(key, 0)).collect()
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let dead = move |row: &[u8]| {
            // What cannot be read is of no use to anybody.
            from_json::<TcTokenEntry>(row).is_ok_and(|entry| {
                let token = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
                let sender = entry.sender_timestamp.is_some_and(|at| at >= sender_cutoff);
                !token && !sender
            })
        };
        self.expire(Key::new(TOKEN), dead).await
    }

    async fn touch_tc_token_sender_timestamp(&self, jid: &str, at: i64) -> Result<()> {
        self.change_token(jid, move |entry| match entry {
            Some(mut entry) => {
                entry.sender_timestamp = Some(entry.sender_timestamp.map_or(at, |was| was.max(at)));
                entry
            }
            None => {
                TcTokenEntry { token: Vec::new(), token_timestamp: at, sender_timestamp: Some(at) }
            }
        })
        .await
    }

    async fn store_received_tc_token(&self, jid: &str, token: &[u8], at: i64) -> Result<()> {
        let token = token.to_vec();
        self.change_token(jid, move |entry| match entry {
            // Newer wins; a placeholder is never in the way.
            Some(entry) if !entry.token.is_empty() && at < entry.token_timestamp => entry,
            Some(entry) => TcTokenEntry { token, token_timestamp: at, ..entry },
            None => TcTokenEntry { token, token_timestamp: at, sender_timestamp: None },
        })
        .await
    }

    async fn store_sent_message(&self, chat: &str, message: &str, payload: &[u8]) -> Result<()> {
        self.keep_sent(chat, message, payload).await
    }

    async fn take_sent_message(&self, chat: &str, message: &str) -> Result<Option<Vec<u8>>> {
        // It stays until it expires. The engine puts back what it takes, and of two members of a group who ask at the
        // same moment one would get nothing.
        self.find_sent(chat, message).await
    }

    async fn delete_expired_sent_messages(&self, _cutoff: i64) -> Result<u32> {
        // The engine's cutoff is two hours ago by the wall clock: too early, and the wall clock may jump.
        self.drop_old_sent().await
    }

    async fn store_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
        message: &[u8],
    ) -> Result<()> {
        self.keep([(inbound(chat, sender, id), stamped(now(), message))]).await
    }

    async fn get_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let Some(row) = self.get_latest(inbound(chat, sender, id)).await? else {
            if let Some(missed) = self.missed.get() {
                let [chat, sender, id] = [chat, sender, id].map(str::to_owned);
                missed(Repeated { chat, sender, id }).await.map_err(failed)?;
            }
            return Ok(None);
        };
        Ok(Some(unstamp(&row).1.to_vec()))
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.let_go(vec![inbound(chat, sender, id)]).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff: i64) -> Result<u32> {
        self.expire(Key::new(INBOUND), move |row| unstamp(row).0 < cutoff).await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        if let Some(pause) = knobs().slow_keep {
            tokio::time::sleep(pause).await;
        }
        failpoint("keep.before");
        let now = now();
        let row = |row: &PendingInboundRow<'_>| {
            (inbound(row.chat, row.sender, row.id), stamped(now, row.message))
        };
        self.keep(rows.iter().map(row)).await
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        self.let_go(keys.iter().map(|key| inbound(key.chat, key.sender, key.id)).collect()).await
    }
}

impl SessionStore {
    /// Whether somebody was given a group's key, and the disk does not know.
    pub(crate) fn has_new_holders(&self, group: &str) -> bool {
        !self.holders.of(group).is_empty()
    }

    /// Writes who was given a group's key. The disk must have that the messages left which brought it.
    pub(crate) async fn keep_holders(&self, group: &str) -> Result<()> {
        let (holders, group) = (self.holders.clone(), group.to_owned());
        self.update(move |txn| {
            // Taken here and not before: what is said of them later is written later.
            put_holders(txn, &group, holders.take(&group), true);
            Ok(())
        })
        .await
    }

    /// Changes a token in one step: the notification that brings a token and the send that uses one meet here.
    async fn change_token(
        &self,
        jid: &str,
        change: impl FnOnce(Option<TcTokenEntry>) -> TcTokenEntry + Send + 'static,
    ) -> Result<()> {
        let key = key(TOKEN, jid);
        self.update(move |txn| {
            let old = txn.get(&key)?.map(|row| read(&row)).transpose()?;
            let row = serde_json::to_vec(&change(old)).map_err(|error| json(&error))?;
            txn.put(&key, row);
            Ok(())
        })
        .await
    }
}

/// Keeps a pair; says whether it was not known before.
fn map_lid(
    txn: &mut SpaceTxn<'_, '_>,
    entry: &LidPnMappingEntry,
) -> std::result::Result<bool, StoreError> {
    let place = key(LID, &entry.lid);
    let mut news = true;
    if let Some(row) = txn.get(&place)? {
        let old: LidPnMappingEntry = read(&row)?;
        news = old.phone_number != entry.phone_number;
        let old_phone = key(LID_OF_PHONE, &old.phone_number);
        // The old number may have a newer LID of its own by now.
        if txn.get(&old_phone)?.is_some_and(|lid| lid == entry.lid.as_bytes()) {
            txn.remove(old_phone);
        }
    }
    txn.put(key(LID_OF_PHONE, &entry.phone_number), entry.lid.clone().into_bytes());
    txn.put(place, serde_json::to_vec(entry).map_err(|error| json(&error))?);
    Ok(news)
}

fn read<T: serde::de::DeserializeOwned>(row: &[u8]) -> std::result::Result<T, StoreError> {
    serde_json::from_slice(row).map_err(|error| json(&error))
}

fn json(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged(error.to_string())
}

/// The text at the end of a key, after the tag and `parts` parts.
fn last_text(key: &[u8], parts: usize) -> Result<String> {
    let mut rest = Parts::of(key);
    rest.tag();
    for _ in 0..parts {
        rest.part();
    }
    String::from_utf8(rest.rest().to_vec()).map_err(|_not_text| damaged("a key that is no text"))
}

fn now() -> i64 {
    i64::try_from(UnixMillis::now().secs()).unwrap_or(i64::MAX)
}

fn base(address: &str, message: &str) -> Key {
    Key::new(BASE_KEY).part(address).rest(message)
}

fn inbound(chat: &str, sender: &str, id: &str) -> Key {
    Key::new(INBOUND).part(chat).part(sender).rest(id)
}
