//! The SQLite stores of whatsapp-rust, which waxum keeps one of for each session.

use anyhow::{Context, Result};

use super::row::{Cell, Row, Rows};
use super::session::ForeignSession;
use crate::whatsapp::session::{ForeignAccount, ForeignDevice, ForeignPreKey, ForeignSyncKey};

/// The sessions in a store; `None` when it is not whatsapp-rust's.
pub(super) fn sessions(store: &mut dyn Rows) -> Result<Option<Vec<ForeignSession>>> {
    for table in ["device", "prekeys", "signed_prekeys", "app_state_keys"] {
        if !store.has_table(table)? {
            return Ok(None);
        }
    }
    let devices = store.rows("SELECT * FROM device ORDER BY id", None)?;
    let session = |row: &Row| {
        let jid: String = row.field("pn")?;
        let name = match jid.split('@').next() {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => format!("device {}", row.field::<i64>("id")?),
        };
        let mut notes = Vec::new();
        let device = device(store, row, jid, &mut notes);
        Ok(ForeignSession { notes, ..ForeignSession::new("whatsapp-rust", name, device) })
    };
    devices.iter().map(session).collect::<Result<_>>().map(Some)
}

fn device(
    store: &mut dyn Rows,
    row: &Row,
    jid: String,
    notes: &mut Vec<String>,
) -> Result<ForeignDevice> {
    anyhow::ensure!(!jid.is_empty(), "it was never linked");
    let of_it = Some(row.field::<Cell>("id")?);
    let mut pre_keys = Vec::new();
    for row in store.rows("SELECT * FROM prekeys WHERE device_id = $1", of_it.as_ref())? {
        let (id, record): (_, Vec<u8>) = (row.field("id")?, row.field("key")?);
        match ForeignPreKey::decode(id, &record, row.field("uploaded")?) {
            Some(key) => pre_keys.push(key),
            None => notes.push(format!("Pre-key {id} is damaged and was left out")),
        }
    }
    let mut sync_keys = Vec::new();
    for row in store.rows("SELECT * FROM app_state_keys WHERE device_id = $1", of_it.as_ref())? {
        let record: Vec<u8> = row.field("key_data")?;
        // Rows of old versions cannot be read by their own successors either: the phone sends the key again.
        match ForeignSyncKey::decode(row.field("key_id")?, &record) {
            Some(key) => sync_keys.push(key),
            None => notes.push("A key of the synchronised settings was left out".to_owned()),
        }
    }
    sync_keys.sort_by_key(|key| key.timestamp);
    let lid: Option<String> = row.get("lid");
    let account: Vec<u8> = row.field("account")?;
    Ok(ForeignDevice {
        jid,
        lid: lid.filter(|lid| !lid.is_empty()),
        push_name: row.field("push_name")?,
        registration_id: row.field("registration_id")?,
        noise_key: private_half(row, "noise_key")?,
        identity_key: private_half(row, "identity_key")?,
        signed_pre_key: private_half(row, "signed_pre_key")?,
        signed_pre_key_id: row.field("signed_pre_key_id")?,
        signed_pre_key_signature: row.field("signed_pre_key_signature")?,
        adv_secret_key: row.field("adv_secret_key")?,
        account: ForeignAccount::decode(&account).context("its account is damaged")?,
        pre_keys,
        next_pre_key_id: row.get("next_pre_key_id").unwrap_or(1),
        sync_keys,
    })
}

/// Of a pair of keys, of which the private one comes first.
fn private_half(row: &Row, name: &str) -> Result<[u8; 32]> {
    let pair: [u8; 64] = row.field(name)?;
    pair.first_chunk().copied().with_context(|| format!("its {name} is damaged"))
}
