//! One linked device in the forms in which other gateways keep theirs, made as their public schemas say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

/// A device's keys, from a backup of moonwa.
pub(crate) struct Identity {
    device: Value,
    /// The number, the record and whether the server has it.
    pre_keys: Vec<(u32, Vec<u8>, bool)>,
    sync_keys: Vec<(Vec<u8>, Value)>,
}

/// The fields of a protobuf message that are bytes, by their numbers.
fn fields(message: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let (mut found, mut rest) = (BTreeMap::new(), message);
    let number = |rest: &mut &[u8]| {
        let (mut number, mut shift) = (0, 0);
        while let Some((byte, after)) = rest.split_first() {
            *rest = after;
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    };
    while !rest.is_empty() {
        let tag = number(&mut rest);
        let value = number(&mut rest);
        if tag & 7 == 2 {
            let (bytes, after) = rest.split_at(usize::try_from(value).unwrap());
            found.insert(tag >> 3, bytes.to_vec());
            rest = after;
        }
    }
    found
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::from_value(value.clone()).unwrap()
}

impl Identity {
    pub(crate) fn of(backup: &[u8], name: &str) -> Result<Self> {
        let backup: Value = serde_json::from_slice(backup)?;
        let mut this = Self { device: Value::Null, pre_keys: Vec::new(), sync_keys: Vec::new() };
        for row in backup["devices"][name].as_array().context("no rows")? {
            let part = |n: usize| BASE64.decode(row[n].as_str().unwrap().as_bytes());
            let (key, value) = (part(0)?, part(1)?);
            match key[0] {
                b'D' => this.device = serde_json::from_slice(&value)?,
                b'p' => {
                    let id = u32::from_be_bytes(*key.last_chunk().context("no id")?);
                    this.pre_keys.push((id, value[1..].to_vec(), value[0] == 1));
                }
                b'a' => this.sync_keys.push((key[1..].to_vec(), serde_json::from_slice(&value)?)),
                _ => {}
            }
        }
        Ok(this)
    }

    fn jid(&self, which: &str) -> String {
        let jid = &self.device[which];
        let part = |name: &str| jid[name].as_str().unwrap().to_owned();
        format!("{}:{}@{}", part("user"), jid["device"], part("server"))
    }

    /// The name that the account has given itself.
    pub(crate) fn push_name(&self) -> String {
        self.text("push_name")
    }

    pub(crate) fn pn(&self) -> String {
        self.jid("pn")
    }

    fn pair(&self, name: &str) -> Vec<u8> {
        bytes(&self.device[name])
    }

    fn private(&self, name: &str) -> Vec<u8> {
        self.pair(name)[..32].to_vec()
    }

    fn text(&self, name: &str) -> String {
        self.device[name].as_str().unwrap().to_owned()
    }

    /// As `useMultiFileAuthState` of Baileys writes it into a folder.
    pub(crate) fn as_baileys(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("creds.json"), self.credentials().to_string())?;
        for (id, record, _) in &self.pre_keys {
            let record = fields(record);
            let key = json!({ "public": buffer(&record[&2]), "private": buffer(&record[&3]) });
            fs::write(folder.join(format!("pre-key-{id}.json")), key.to_string())?;
        }
        for (id, key) in &self.sync_keys {
            let fingerprint = json!({ "rawId": 1, "currentIndex": 0, "deviceIndexes": [0] });
            let key = json!({
                "keyData": BASE64.encode(&bytes(&key["key_data"])),
                "fingerprint": fingerprint,
                "timestamp": key["timestamp"].to_string(),
            });
            let name = BASE64.encode(id).replace('/', "__");
            fs::write(folder.join(format!("app-state-sync-key-{name}.json")), key.to_string())?;
        }
        Ok(())
    }

    /// Baileys' `creds.json`.
    pub(crate) fn credentials(&self) -> Value {
        let pair = |name: &str| {
            let pair = self.pair(name);
            json!({ "private": buffer(&pair[..32]), "public": buffer(&pair[32..]) })
        };
        let account = fields(&bytes(&self.device["account"]));
        json!({
            "noiseKey": pair("noise_key"),
            "signedIdentityKey": pair("identity_key"),
            "signedPreKey": {
                "keyPair": pair("signed_pre_key"),
                "keyId": self.device["signed_pre_key_id"],
                "signature": buffer(&bytes(&self.device["signed_pre_key_signature"])),
            },
            "registrationId": self.device["registration_id"],
            "advSecretKey": BASE64.encode(&bytes(&self.device["adv_secret_key"])),
            "me": { "id": self.pn(), "lid": self.jid("lid"), "name": self.text("push_name") },
            "account": {
                "details": BASE64.encode(&account[&1]),
                "accountSignatureKey": BASE64.encode(&account[&2]),
                "accountSignature": BASE64.encode(&account[&3]),
                "deviceSignature": BASE64.encode(&account[&4]),
            },
            "nextPreKeyId": self.next_pre_key(),
            "firstUnuploadedPreKeyId": self.next_pre_key(),
        })
    }

    fn next_pre_key(&self) -> u32 {
        self.pre_keys.iter().map(|(id, ..)| id + 1).max().unwrap_or(1)
    }

    /// whatsmeow's tables; `blob` writes bytes as the database wants them.
    pub(crate) fn as_whatsmeow(&self, blob: fn(&[u8]) -> String) -> String {
        let account = fields(&bytes(&self.device["account"]));
        let jid = self.pn();
        let mut sql = vec![format!(
            "INSERT INTO whatsmeow_device (jid, lid, registration_id, noise_key, identity_key, signed_pre_key, \
             signed_pre_key_id, signed_pre_key_sig, adv_key, adv_details, adv_account_sig, adv_account_sig_key, \
             adv_device_sig, push_name) VALUES ('{jid}', '{}', {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, '{}');\n",
            self.jid("lid"),
            self.device["registration_id"],
            blob(&self.private("noise_key")),
            blob(&self.private("identity_key")),
            blob(&self.private("signed_pre_key")),
            self.device["signed_pre_key_id"],
            blob(&bytes(&self.device["signed_pre_key_signature"])),
            blob(&bytes(&self.device["adv_secret_key"])),
            blob(&account[&1]),
            blob(&account[&3]),
            blob(&account[&2]),
            blob(&account[&4]),
            self.text("push_name"),
        )];
        for (id, record, uploaded) in &self.pre_keys {
            let key = blob(&fields(record)[&3]);
            sql.push(format!(
                "INSERT INTO whatsmeow_pre_keys VALUES ('{jid}', {id}, {key}, {uploaded});\n"
            ));
        }
        for (id, key) in &self.sync_keys {
            sql.push(format!(
                "INSERT INTO whatsmeow_app_state_sync_keys VALUES ('{jid}', {}, {}, {}, {});\n",
                blob(id),
                blob(&bytes(&key["key_data"])),
                key["timestamp"],
                blob(&bytes(&key["fingerprint"])),
            ));
        }
        sql.concat()
    }

    /// whatsapp-rust's tables.
    pub(crate) fn as_whatsapp_rust(&self) -> String {
        let blob = hex;
        let mut sql = vec![format!(
            "INSERT INTO device (id, lid, pn, registration_id, noise_key, identity_key, signed_pre_key, \
             signed_pre_key_id, signed_pre_key_signature, adv_secret_key, account, push_name, next_pre_key_id) \
             VALUES (7, '{}', '{}', {}, {}, {}, {}, {}, {}, {}, {}, '{}', {});\n",
            self.jid("lid"),
            self.pn(),
            self.device["registration_id"],
            blob(&self.pair("noise_key")),
            blob(&self.pair("identity_key")),
            blob(&self.pair("signed_pre_key")),
            self.device["signed_pre_key_id"],
            blob(&bytes(&self.device["signed_pre_key_signature"])),
            blob(&bytes(&self.device["adv_secret_key"])),
            blob(&bytes(&self.device["account"])),
            self.text("push_name"),
            self.next_pre_key(),
        )];
        for (id, record, uploaded) in &self.pre_keys {
            sql.push(format!(
                "INSERT INTO prekeys VALUES ({id}, {}, {uploaded}, 7);\n",
                blob(record)
            ));
        }
        for (id, key) in &self.sync_keys {
            let mut record = vec![0x0a, 32];
            record.extend(bytes(&key["key_data"]));
            let fingerprint = bytes(&key["fingerprint"]);
            record.extend([0x12, u8::try_from(fingerprint.len()).unwrap()]);
            record.extend(fingerprint);
            sql.push(format!(
                "INSERT INTO app_state_keys VALUES ({}, {}, 7);\n",
                blob(id),
                blob(&record)
            ));
        }
        sql.concat()
    }
}

/// A buffer as Baileys' `BufferJSON` writes it.
fn buffer(bytes: &[u8]) -> Value {
    json!({ "type": "Buffer", "data": BASE64.encode(bytes) })
}

/// Bytes in SQL of SQLite.
pub(crate) fn hex(bytes: &[u8]) -> String {
    format!("x'{}'", HEXLOWER.encode(bytes))
}

/// Bytes in SQL of PostgreSQL.
pub(crate) fn bytea(bytes: &[u8]) -> String {
    format!("'\\x{}'", HEXLOWER.encode(bytes))
}

/// Of whatsmeow's schema of 2026, what is read here.
pub(crate) const WHATSMEOW: &str = "
CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, lid TEXT, facebook_uuid uuid,
    registration_id BIGINT NOT NULL, noise_key bytea NOT NULL, identity_key bytea NOT NULL,
    signed_pre_key bytea NOT NULL, signed_pre_key_id INTEGER NOT NULL, signed_pre_key_sig bytea NOT NULL,
    adv_key bytea NOT NULL, adv_details bytea NOT NULL, adv_account_sig bytea NOT NULL,
    adv_account_sig_key bytea NOT NULL, adv_device_sig bytea NOT NULL, platform TEXT NOT NULL DEFAULT '',
    business_name TEXT NOT NULL DEFAULT '', push_name TEXT NOT NULL DEFAULT '',
    lid_migration_ts BIGINT NOT NULL DEFAULT 0);
CREATE TABLE whatsmeow_pre_keys (jid TEXT, key_id INTEGER, key bytea NOT NULL, uploaded BOOLEAN NOT NULL,
    PRIMARY KEY (jid, key_id));
CREATE TABLE whatsmeow_app_state_sync_keys (jid TEXT, key_id bytea, key_data bytea NOT NULL,
    timestamp BIGINT NOT NULL, fingerprint bytea NOT NULL, PRIMARY KEY (jid, key_id));
";

/// Of whatsapp-rust's schema of 2026, what is read here.
pub(crate) const WHATSAPP_RUST: &str = "
CREATE TABLE device (id INTEGER PRIMARY KEY AUTOINCREMENT, lid TEXT NOT NULL, pn TEXT NOT NULL,
    registration_id INTEGER NOT NULL, noise_key BLOB NOT NULL, identity_key BLOB NOT NULL,
    signed_pre_key BLOB NOT NULL, signed_pre_key_id INTEGER NOT NULL, signed_pre_key_signature BLOB NOT NULL,
    adv_secret_key BLOB NOT NULL, account BLOB, push_name TEXT NOT NULL DEFAULT '',
    app_version_primary INTEGER NOT NULL DEFAULT 0, next_pre_key_id INTEGER NOT NULL DEFAULT 0);
CREATE TABLE prekeys (id INTEGER NOT NULL, key BLOB NOT NULL, uploaded BOOLEAN NOT NULL DEFAULT FALSE,
    device_id INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (id, device_id));
CREATE TABLE signed_prekeys (id INTEGER NOT NULL, record BLOB NOT NULL, device_id INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (id, device_id));
CREATE TABLE app_state_keys (key_id BLOB NOT NULL, key_data BLOB NOT NULL, device_id INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (key_id, device_id));
";

/// Of Evolution's Prisma schema of 2026, what is read here.
pub(crate) const EVOLUTION: &str = "
CREATE TYPE \"InstanceConnectionStatus\" AS ENUM ('open', 'close', 'connecting');
CREATE TABLE \"Instance\" (id TEXT NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE,
    \"connectionStatus\" \"InstanceConnectionStatus\" NOT NULL DEFAULT 'open', \"ownerJid\" VARCHAR(100),
    token VARCHAR(255));
CREATE TABLE \"Session\" (id TEXT NOT NULL PRIMARY KEY, \"sessionId\" TEXT NOT NULL UNIQUE
    REFERENCES \"Instance\"(id), creds TEXT, \"createdAt\" TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE \"Webhook\" (id TEXT NOT NULL PRIMARY KEY, url VARCHAR(500) NOT NULL, headers JSONB,
    enabled BOOLEAN DEFAULT true, events JSONB, \"webhookByEvents\" BOOLEAN DEFAULT false,
    \"webhookBase64\" BOOLEAN DEFAULT false, \"instanceId\" TEXT NOT NULL UNIQUE REFERENCES \"Instance\"(id));
";
