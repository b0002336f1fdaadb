//! The folders of Baileys' `useMultiFileAuthState`, which WAHA NOWEB, Evolution's file mode and plain bots keep: a
//! `creds.json`, and a file for every key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;
use serde_json::Value;

use super::load::settings_of_folder;
use super::session::ForeignSession;
use crate::whatsapp::session::{
    ForeignAccount, ForeignDevice, ForeignPreKey, ForeignSyncKey, fingerprint,
};

pub(super) const CREDENTIALS: &str = "creds.json";
const PRE_KEY: &str = "pre-key-";
const SYNC_KEY: &str = "app-state-sync-key-";

/// Whether this file of a folder is one that a session is read from. Of the others there may be thousands.
pub(crate) fn is_wanted(name: &str) -> bool {
    name == CREDENTIALS || [PRE_KEY, SYNC_KEY].iter().any(|start| name.starts_with(start))
}

/// The session of a folder, which has a `creds.json`.
pub(super) fn session(folder: &Path, name: String) -> Result<ForeignSession> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        files.push(entry?.path());
    }
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        is_wanted(&name).then(|| (path.display().to_string(), name, fs::read(path)))
    };
    let parts = files.iter().filter_map(read).map(|(path, name, bytes)| {
        Ok(Part { name, bytes: bytes.with_context(|| path.clone())?, path })
    });
    let parts: Result<Vec<_>> = parts.collect();
    let mut notes = Vec::new();
    let device = parts.and_then(|parts| whole(&parts, &mut notes));
    let settings = settings_of_folder(folder);
    Ok(ForeignSession { files, notes, settings, ..ForeignSession::new("Baileys", name, device) })
}

/// A file of a folder.
pub(super) struct Part {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The device whose `creds.json` and keys these are.
pub(super) fn whole(parts: &[Part], notes: &mut Vec<String>) -> Result<ForeignDevice> {
    let found = parts.iter().find(|part| part.name == CREDENTIALS);
    let Part { path, bytes, .. } = found.with_context(|| format!("there is no {CREDENTIALS}"))?;
    let credentials: Value = serde_json::from_slice(bytes)
        .with_context(|| format!("{path} is damaged or not Baileys'"))?;
    let mut device = device(&credentials, path)?;
    let first_unuploaded = of(&credentials, "firstUnuploadedPreKeyId", number_of);
    for Part { path, name, bytes } in parts {
        let Some(name) = name.strip_suffix(".json") else { continue };
        let value = serde_json::from_slice(bytes).ok();
        let taken = if let Some(id) = name.strip_prefix(PRE_KEY) {
            let key = value.and_then(|value| pre_key(&value, id, first_unuploaded?));
            key.map(|key| device.pre_keys.push(key))
        } else if let Some(id) = name.strip_prefix(SYNC_KEY) {
            let key = value.and_then(|value| sync_key(&value, id));
            key.map(|key| device.sync_keys.push(key))
        } else {
            continue;
        };
        if taken.is_none() {
            notes.push(format!("{path} is damaged and was left out"));
        }
    }
    let newest = of(&credentials, "myAppStateKeyId", bytes_of);
    device.sync_keys.sort_by_key(|key| (Some(&key.id) == newest.as_ref(), key.timestamp));
    if device.pre_keys.is_empty() {
        notes.push(format!(
            "There are no pre-keys ({PRE_KEY}*.json): a contact who writes for the first time is asked to send again"
        ));
    }
    if device.sync_keys.is_empty() {
        notes.push("There is no key of the synchronised settings".to_owned());
    }
    Ok(device)
}

/// The device of a `creds.json`, without the keys that have files of their own.
pub(super) fn device(credentials: &Value, place: &str) -> Result<ForeignDevice> {
    let mut fields = Fields { root: credentials, wrong: Vec::new() };
    let jid = fields.text("me.id");
    let device = ForeignDevice {
        jid,
        lid: of(credentials, "me.lid", text_of),
        push_name: of(credentials, "me.name", text_of).unwrap_or_default(),
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
    fields.number("firstUnuploadedPreKeyId");
    if !fields.wrong.is_empty() {
        bail!("{place} lacks {}", fields.wrong.join(", "));
    }
    Ok(device)
}

fn pre_key(key: &Value, id: &str, first_unuploaded: u32) -> Option<ForeignPreKey> {
    let id = id.parse().ok()?;
    let key = of(key, "private", bytes_of)?.try_into().ok()?;
    Some(ForeignPreKey { id, key, uploaded: id < first_unuploaded })
}

/// The id is in the file's name, in Base64, with two underscores for a slash.
fn sync_key(key: &Value, id: &str) -> Option<ForeignSyncKey> {
    let indexes =
        |value: &Value| value.as_array()?.iter().map(number_of).collect::<Option<Vec<_>>>();
    Some(ForeignSyncKey {
        id: BASE64.decode(id.replace("__", "/").as_bytes()).ok()?,
        data: of(key, "keyData", bytes_of)?,
        fingerprint: fingerprint(
            of(key, "fingerprint.rawId", number_of)?,
            of(key, "fingerprint.currentIndex", number_of)?,
            of(key, "fingerprint.deviceIndexes", indexes).unwrap_or_default(),
        ),
        timestamp: of(key, "timestamp", number_of)?,
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
