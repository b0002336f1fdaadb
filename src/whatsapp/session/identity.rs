//! Takes out and puts back what identifies a device to WhatsApp: its keys and registration, its pre-keys, and the keys
//! of its synchronised settings. Sessions and sender keys are never included: an old one would encrypt two messages
//! with one key. Whoever writes to the device with an old session is asked to begin a new one.

use bytes::Bytes;
use wa_rs::wacore::store::Device;
use wa_rs::wacore::store::error::Result;

use super::store::{SessionStore, damaged, from_json};
use super::tag::{DEVICE, IDENTITY_TAGS, is_identity, may_be_old};
use crate::store::{Key, SpaceTxn};

impl SessionStore {
    /// The identity; `None` when the device is not linked.
    pub(crate) async fn identity(&self) -> Result<Option<Vec<(Vec<u8>, Bytes)>>> {
        if !self.is_linked().await? {
            return Ok(None);
        }
        let mut all = Vec::new();
        for tag in IDENTITY_TAGS {
            all.extend(self.scan(Key::new(tag)).await?);
        }
        Ok(Some(all))
    }

    /// Becomes the device whose identity is given, in one step. Nothing else stays.
    pub(crate) async fn become_again(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<()> {
        self.replace(rows, |_| false).await
    }

    /// The same, for the device that this was: what may be old stays.
    pub(crate) async fn take_back(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<()> {
        self.replace(rows, may_be_old).await
    }

    async fn replace(
        &self,
        rows: Vec<(Vec<u8>, Bytes)>,
        stays: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Result<()> {
        let own = rows.iter().find(|(key, _)| key.as_slice() == [DEVICE]);
        let own: Option<Device> = own.map(|(_, row)| from_json(row)).transpose()?;
        let known = rows.iter().all(|(key, _)| is_identity(key));
        if !known || own.is_none_or(|device| device.pn.is_none()) {
            return Err(damaged("an identity"));
        }
        self.update(move |txn: &mut SpaceTxn<'_, '_>| {
            for (key, _) in txn.scan(b"")? {
                if !stays(&key) {
                    txn.remove(key);
                }
            }
            for (key, value) in rows {
                txn.put(key, value);
            }
            Ok(())
        })
        .await?;
        self.note_identity();
        Ok(())
    }
}
