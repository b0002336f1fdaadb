//! What makes each linked device that device, in small files beside the databases: a store that is damaged or lost
//! can be made again from them without a new QR code. What the rows mean is known to the session.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::model::DeviceName;
use crate::private;
use crate::store::StoreError;
use crate::store::repair::file::{replace, sync_folder};

/// Keys and values of the rows that are an identity.
pub(crate) type Identity = Vec<(Vec<u8>, Bytes)>;

const FIRST_LINE: &str = "moonwa identity 1 ";

/// The files: `NAME`, and `NAME.old` for the one before. Clones share them.
#[derive(Clone)]
pub(crate) struct Identities {
    folder: PathBuf,
    changed: Arc<Mutex<BTreeSet<DeviceName>>>,
    changes: watch::Sender<()>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    device: DeviceName,
    rows: Vec<(String, String)>,
}

impl Identities {
    pub(crate) fn open(store: &Path) -> Result<Self, StoreError> {
        let folder = store.join("identities");
        private::create_folder(&folder).map_err(StoreError::io(&folder))?;
        Ok(Self { folder, changed: Arc::default(), changes: watch::Sender::new(()) })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says that the identity of a device is not what its file says any more.
    pub(crate) fn note(&self, device: &DeviceName) {
        self.changed().insert(device.clone());
        self.changes.send_replace(());
    }

    /// Wakes whenever something was noted.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The devices that were noted since this was last asked.
    pub(crate) fn take_changed(&self) -> BTreeSet<DeviceName> {
        std::mem::take(&mut *self.changed())
    }

    fn changed(&self) -> std::sync::MutexGuard<'_, BTreeSet<DeviceName>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every device with a file, whether or not that can be read.
    pub(crate) fn devices(&self) -> Vec<DeviceName> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let name = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            DeviceName::parse(name.strip_suffix(".old").unwrap_or(name)).ok()
        };
        let devices: BTreeSet<DeviceName> = entries.flatten().filter_map(name).collect();
        devices.into_iter().collect()
    }

    /// The newest identity of a device that can be read. Reads the disk.
    pub(crate) fn load(&self, device: &DeviceName) -> Option<Identity> {
        let (newest, old) = self.files(device);
        read(&newest, device).or_else(|| read(&old, device))
    }

    /// Keeps an identity, and the one before as a second generation. Writes to the disk.
    pub(crate) fn save(&self, device: &DeviceName, identity: &Identity) -> io::Result<()> {
        let (newest, old) = self.files(device);
        let encode = |(key, value): &(Vec<u8>, Bytes)| (BASE64.encode(key), BASE64.encode(value));
        let rows = identity.iter().map(encode).collect();
        let content = serde_json::to_vec(&Content { device: device.clone(), rows })?;
        let mut text = format!("{FIRST_LINE}{}\n", checksum(&content)).into_bytes();
        text.extend_from_slice(&content);
        if fs::read(&newest).is_ok_and(|known| known == text) {
            return Ok(());
        }
        // A damaged one must not take the place of a good one.
        if read(&newest, device).is_some() {
            fs::rename(&newest, &old)?;
        }
        replace(&newest, &text)
    }

    /// Forgets an identity, before it goes from the store: what has a file and is not in the store is taken for lost.
    pub(crate) fn remove(&self, device: &DeviceName) -> io::Result<()> {
        let (newest, old) = self.files(device);
        for file in [&newest, &old] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_folder(&newest)
    }

    fn files(&self, device: &DeviceName) -> (PathBuf, PathBuf) {
        let newest = self.folder.join(device.as_str());
        let old = self.folder.join(format!("{device}.old"));
        (newest, old)
    }
}

fn read(file: &Path, device: &DeviceName) -> Option<Identity> {
    let text = fs::read(file).ok()?;
    let text = text.strip_prefix(FIRST_LINE.as_bytes())?;
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (sum, content) = (text.get(..end)?, text.get(end + 1..)?);
    if sum != checksum(content).as_bytes() {
        return None;
    }
    let content: Content = serde_json::from_slice(content).ok()?;
    let decode = |(key, value): &(String, String)| {
        let (key, value) = (BASE64.decode(key.as_bytes()), BASE64.decode(value.as_bytes()));
        Some((key.ok()?, Bytes::from(value.ok()?)))
    };
    if content.device != *device {
        return None;
    }
    content.rows.iter().map(decode).collect()
}

fn checksum(content: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(content).into();
    HEXLOWER.encode(&digest)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn identity(n: u8) -> Identity {
        vec![(b"D".to_vec(), Bytes::from(vec![n; 100])), (vec![b'p', n], Bytes::from("key"))]
    }

    #[test]
    fn an_identity_survives_the_damage_of_its_newest_file() {
        let dir = tempfile::tempdir().unwrap();
        let identities = Identities::open(dir.path()).unwrap();
        let a = DeviceName::parse("a").unwrap();
        assert_eq!(identities.load(&a), None);
        for n in 1..=3 {
            identities.save(&a, &identity(n)).unwrap();
        }
        let newest = identities.folder().join("a");
        assert_eq!(newest.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(identities.load(&a), Some(identity(3)));
        let good = fs::read(&newest).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&newest, bad).unwrap();
            assert_eq!(identities.load(&a), Some(identity(2)), "byte {at}");
        }
        // A damaged file does not push the good one out.
        identities.save(&a, &identity(4)).unwrap();
        fs::remove_file(&newest).unwrap();
        assert_eq!(identities.load(&a), Some(identity(2)));
        assert_eq!(identities.devices(), std::slice::from_ref(&a));
        identities.remove(&a).unwrap();
        assert_eq!((identities.load(&a), identities.devices()), (None, vec![]));
    }

    #[test]
    fn one_device_has_not_the_identity_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let identities = Identities::open(dir.path()).unwrap();
        let [a, b] = ["a", "b"].map(|name| DeviceName::parse(name).unwrap());
        identities.save(&a, &identity(1)).unwrap();
        fs::copy(identities.folder().join("a"), identities.folder().join("b")).unwrap();
        assert_eq!(identities.load(&b), None);
    }

    #[test]
    fn what_was_noted_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let identities = Identities::open(dir.path()).unwrap();
        let mut changes = identities.changes();
        let a = DeviceName::parse("a").unwrap();
        identities.note(&a);
        identities.note(&a);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!(identities.take_changed().into_iter().collect::<Vec<_>>(), [a]);
        assert!(identities.take_changed().is_empty());
    }
}
