//! A backup: the identities of the linked devices as one JSON document, and how they are restored. It holds no
//! messages, no Signal sessions and nothing of `moonwa.toml`. Whoever has it can act as those devices.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::WhatsAppError;
use super::session::SessionStore;
use crate::model::{DeviceName, UnixMillis};
use crate::store::{Store, StoreError};

/// The identities of devices at one time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    #[serde(rename = "moonwa_backup")]
    version: Version,
    created: UnixMillis,
    devices: BTreeMap<DeviceName, Vec<KeyValue>>,
}

/// The format of the document. A later one gets a variant of its own.
#[derive(Debug, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    First,
}

/// The key and the value of a stored row, in Base64.
#[derive(Serialize, Deserialize)]
struct KeyValue(String, String);

impl std::fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyValue(***)")
    }
}

impl KeyValue {
    fn of(key: &[u8], value: &[u8]) -> Self {
        Self(BASE64.encode(key), BASE64.encode(value))
    }

    fn decode(&self) -> Option<(Vec<u8>, Bytes)> {
        let Self(key, value) = self;
        Some((BASE64.decode(key.as_bytes()).ok()?, BASE64.decode(value.as_bytes()).ok()?.into()))
    }
}

impl Backup {
    /// Takes in every linked device of a store, including those that the file no longer names.
    pub(crate) async fn of(store: &Store) -> Result<Self, WhatsAppError> {
        let mut devices = BTreeMap::new();
        for name in store.devices().await? {
            if let Some(rows) = SessionStore::new(store.space(&name)).identity().await? {
                devices
                    .insert(name, rows.iter().map(|(key, row)| KeyValue::of(key, row)).collect());
            }
        }
        Ok(Self { version: Version::First, created: UnixMillis::now(), devices })
    }

    /// Restores the devices, and says for each whether that was needed: one that is linked here already stays as it is.
    /// Nothing else may use the store meanwhile.
    pub(crate) async fn restore(
        self,
        store: &Store,
    ) -> Result<Vec<(DeviceName, bool)>, WhatsAppError> {
        let mut done = Vec::new();
        for (name, rows) in self.devices {
            let session = SessionStore::new(store.space(&name));
            let missing = !session.is_linked().await?;
            if missing {
                let rows = rows.iter().map(KeyValue::decode).collect::<Option<_>>();
                let wrong = || StoreError::Damaged(format!("the backup of {name}"));
                session.become_again(rows.ok_or_else(wrong)?).await?;
            }
            done.push((name, missing));
        }
        Ok(done)
    }

    pub(crate) fn created(&self) -> UnixMillis {
        self.created
    }
}
