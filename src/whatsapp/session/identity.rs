//! Takes out and puts back what identifies a device to WhatsApp: its keys and registration, its pre-keys, and the keys
//! of its synchronised settings. Sessions and sender keys are never included: an old one would encrypt two messages
//! with one key. Whoever writes to the device with an old session is asked to begin a new one.

use bytes::Bytes;
use wa_rs::wacore::store::Device;
use wa_rs::wacore::store::error::Result;

use super::app_sync::{LATEST_SYNC_KEY, SYNC_KEY};
use super::device::DEVICE;
use super::signal::{PRE_KEY, SIGNED_PRE_KEY};
use super::store::{SessionStore, damaged, from_json};
use crate::store::{Key, SpaceTxn};

const TAGS: [u8; 5] = [DEVICE, PRE_KEY, SIGNED_PRE_KEY, SYNC_KEY, LATEST_SYNC_KEY];

impl SessionStore {
    /// The identity; `None` when the device is not linked.
    pub(crate) async fn identity(&self) -> Result<Option<Vec<(Vec<u8>, Bytes)>>> {
        if !self.is_linked().await? {
            return Ok(None);
        }
        let mut all = Vec::new();
        for tag in TAGS {
            all.extend(self.scan(Key::new(tag)).await?);
        }
        Ok(Some(all))
    }

    /// Becomes the device whose identity is given, in one step. Nothing else stays.
    pub(crate) async fn become_again(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<()> {
        let own = rows.iter().find(|(key, _)| key.as_slice() == [DEVICE]);
        let own: Option<Device> = own.map(|(_, row)| from_json(row)).transpose()?;
        let known = rows.iter().all(|(key, _)| key.first().is_some_and(|tag| TAGS.contains(tag)));
        if !known || own.is_none_or(|device| device.pn.is_none()) {
            return Err(damaged("an identity"));
        }
        self.update(move |txn: &mut SpaceTxn<'_, '_>| {
            for (key, _) in txn.scan(b"")? {
                txn.remove(key);
            }
            for (key, value) in rows {
                txn.put(key, value);
            }
            Ok(())
        })
        .await
    }
}
