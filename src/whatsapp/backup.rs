//! A backup: the identities of the linked devices as one JSON document, and how they are restored. It holds no
//! messages, no Signal sessions and nothing of `moonwa.toml`. Whoever has it can act as those devices.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::WhatsAppError;
use super::session::{ForeignDevice, ForeignError, SessionStore};
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
    /// SHA-256 of the devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

/// The form of the document. The first had no checksum.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    First,
    #[serde(rename = "2")]
    Second,
}

/// Why a file is no backup that can be restored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BackupError {
    #[error(
        "this backup was written by a newer moonwa (version {0} of its form): restore it with that one"
    )]
    Newer(String),
    #[error("this backup is damaged ({0}): take another copy of it")]
    Damaged(String),
    #[error("this is not a backup that moonwa wrote")]
    Foreign,
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
        let checksum = Some(checksum(&devices));
        Ok(Self { version: Version::Second, created: UnixMillis::now(), devices, checksum })
    }

    /// What a backup of that device would be, were it moonwa's already.
    pub(crate) fn adopted(name: DeviceName, device: &ForeignDevice) -> Result<Self, ForeignError> {
        let rows = device.rows()?.iter().map(|(key, row)| KeyValue::of(key, row)).collect();
        let devices = BTreeMap::from([(name, rows)]);
        let checksum = Some(checksum(&devices));
        Ok(Self { version: Version::Second, created: UnixMillis::now(), devices, checksum })
    }

    /// Reads a backup, and tells a damaged one from a newer one and from any other file.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, BackupError> {
        let damaged = |error: serde_json::Error| {
            // Even half a backup begins like one.
            let ours = text.windows(MARK.len()).take(MARK.len()).any(|start| start == MARK);
            if ours { BackupError::Damaged(error.to_string()) } else { BackupError::Foreign }
        };
        let document: serde_json::Value = serde_json::from_slice(text).map_err(damaged)?;
        match document.get("moonwa_backup").map(|version| version.as_str().unwrap_or_default()) {
            Some("1" | "2") => {}
            Some(newer) if newer.parse::<u32>().is_ok() => {
                return Err(BackupError::Newer(newer.to_owned()));
            }
            _ => return Err(BackupError::Foreign),
        }
        let backup: Self = serde_json::from_slice(text).map_err(damaged)?;
        let good = match (&backup.version, &backup.checksum) {
            (Version::First, None) => true,
            (Version::Second, Some(sum)) => *sum == checksum(&backup.devices),
            _ => false,
        };
        if !good || backup.devices.values().flatten().any(|row| row.decode().is_none()) {
            return Err(BackupError::Damaged("its checksum is wrong".to_owned()));
        }
        Ok(backup)
    }

    /// How many devices it has.
    pub(crate) fn count(&self) -> usize {
        self.devices.len()
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

/// What every backup begins with, within as many bytes again.
const MARK: &[u8] = b"moonwa_backup";

fn checksum(devices: &BTreeMap<DeviceName, Vec<KeyValue>>) -> String {
    let mut hash = Sha256::new();
    for (device, rows) in devices {
        hash.update(format!("{device}\n"));
        for KeyValue(key, value) in rows {
            hash.update(format!("{key} {value}\n"));
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    HEXLOWER.encode(&digest)
}
