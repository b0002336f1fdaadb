//! The folders of Baileys' `useMultiFileAuthState`, which WAHA NOWEB, Evolution's file mode and plain bots keep: a
//! `creds.json`, and a file for every key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;
use serde_json::Value;

use super::session::Session;
use crate::whatsapp::{ForeignAccount, ForeignDevice, ForeignPreKey, ForeignSyncKey, fingerprint};

pub(super) const CREDENTIALS: &str = "creds.json";

/// The session in a folder, or those in its folders.
pub(super) fn sessions(folder: &Path) -> Result<Vec<Session>> {
    if folder.join(CREDENTIALS).is_file() {
        return Ok(vec![session(folder)?]);
    }
    let mut folders = files(folder)?;
    folders.retain(|folder| folder.join(CREDENTIALS).is_file());
    folders.iter().map(|folder| session(folder)).collect()
}

/// What is in a folder, in the order of the names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut files = read().with_context(|| folder.display().to_string())?;
    files.sort();
    Ok(files)
}

fn session(folder: &Path) -> Result<Session> {
    let files = files(folder)?;
    let name = fs::canonicalize(folder)?;
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut notes = Vec::new();
    let device = device(folder, &files, &mut notes);
    Ok(Session { name, files, device, notes })
}

fn device(folder: &Path, files: &[PathBuf], notes: &mut Vec<String>) -> Result<ForeignDevice> {
    let path = folder.join(CREDENTIALS);
    let text = fs::read(&path).with_context(|| path.display().to_string())?;
    let credentials: Value = serde_json::from_slice(&text)
        .with_context(|| format!("{} is damaged or not Baileys'", path.display()))?;
    let mut fields = Fields { root: &credentials, wrong: Vec::new() };
    let jid = fields.text("me.id");
    let mut device = ForeignDevice {
        jid,
        lid: of(&credentials, "me.lid", text_of),
        push_name: of(&credentials, "me.name", text_of).unwrap_or_default(),
        registration_id: fields.number("registrationId"),
        noise_key: fields.array("noiseKey.private"),
        identity_key: fields.array("signedIdentityKey.private"),
        signed_pre_key: fields.array("signedPreKey.keyPair.private"),
        signed_pre_key_id: fields.number("signedPreKey.keyId"),
        signed_pre_key_signature: fields.array("signedPreKey.signature"),
        adv_secret_key: fields.array("advSecretKey"),
        account: ForeignAccount {
            details: fields.bytes("account.details"),
            signature_key: fields.array("account.accountSignatureKey"),
            signature: fields.array("account.accountSignature"),
            device_signature: fields.array("account.deviceSignature"),
        },
        pre_keys: Vec::new(),
        next_pre_key_id: fields.number("nextPreKeyId"),
        sync_keys: Vec::new(),
    };
    let first_unuploaded = fields.number("firstUnuploadedPreKeyId");
    if !fields.wrong.is_empty() {
        bail!("{} lacks {}", path.display(), fields.wrong.join(", "));
    }
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_suffix(".json") else { continue };
        let taken = if let Some(id) = name.strip_prefix("pre-key-") {
            let key = pre_key(file, id, first_unuploaded);
            key.map(|key| device.pre_keys.push(key))
        } else if let Some(id) = name.strip_prefix("app-state-sync-key-") {
            sync_key(file, id).map(|key| device.sync_keys.push(key))
        } else {
            continue;
        };
        if taken.is_none() {
            notes.push(format!("{} is damaged and was left out", file.display()));
        }
    }
    let newest = of(&credentials, "myAppStateKeyId", bytes_of);
    device.sync_keys.sort_by_key(|key| (Some(&key.id) == newest.as_ref(), key.timestamp));
    if device.sync_keys.is_empty() {
        notes.push("There is no key of the synchronised settings".to_owned());
    }
    Ok(device)
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn pre_key(file: &Path, id: &str, first_unuploaded: u32) -> Option<ForeignPreKey> {
    let id = id.parse().ok()?;
    let key = of(&read(file)?, "private", bytes_of)?.try_into().ok()?;
    Some(ForeignPreKey { id, key, uploaded: id < first_unuploaded })
}

/// The id is in the file's name, in Base64, with two underscores for a slash.
fn sync_key(file: &Path, id: &str) -> Option<ForeignSyncKey> {
    let key = read(file)?;
    let indexes =
        |value: &Value| value.as_array()?.iter().map(number_of).collect::<Option<Vec<_>>>();
    Some(ForeignSyncKey {
        id: BASE64.decode(id.replace("__", "/").as_bytes()).ok()?,
        data: of(&key, "keyData", bytes_of)?,
        fingerprint: fingerprint(
            of(&key, "fingerprint.rawId", number_of)?,
            of(&key, "fingerprint.currentIndex", number_of)?,
            of(&key, "fingerprint.deviceIndexes", indexes).unwrap_or_default(),
        ),
        timestamp: of(&key, "timestamp", number_of)?,
    })
}

/// What is at that place, if it is there and can be read so.
fn of<T>(root: &Value, path: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    root.pointer(&format!("/{}", path.replace('.', "/"))).and_then(read)
}

/// The fields of `creds.json`, and which of them are missing or no good.
struct Fields<'a> {
    root: &'a Value,
    wrong: Vec<String>,
}

impl Fields<'_> {
    fn get<T: Default>(&mut self, path: &str, read: impl Fn(&Value) -> Option<T>) -> T {
        of(self.root, path, read).unwrap_or_else(|| {
            let is_there = of(self.root, path, |_| Some(())).is_some();
            let wrong = if is_there { " (damaged)" } else { "" };
            self.wrong.push(format!("{path}{wrong}"));
            T::default()
        })
    }

    fn text(&mut self, path: &str) -> String {
        self.get(path, text_of)
    }

    fn number(&mut self, path: &str) -> u32 {
        self.get(path, number_of)
    }

    fn bytes(&mut self, path: &str) -> Vec<u8> {
        self.get(path, bytes_of)
    }

    fn array<const N: usize>(&mut self, path: &str) -> [u8; N] {
        let read = |value: &Value| bytes_of(value).filter(|bytes| bytes.len() == N);
        self.get(path, read).try_into().unwrap_or([0; N])
    }
}

fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A number; what was 64 bits wide may be a text.
fn number_of<T: TryFrom<u64> + std::str::FromStr>(value: &Value) -> Option<T> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => T::try_from(value.as_u64()?).ok(),
    }
}

/// Bytes, as Baileys writes them in one place or the other: Base64, or a `Buffer` with Base64 or numbers in it.
fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => BASE64.decode(text.as_bytes()).ok(),
        Value::Array(numbers) => numbers.iter().map(number_of).collect(),
        Value::Object(buffer) => bytes_of(buffer.get("data")?),
        _ => None,
    }
}
