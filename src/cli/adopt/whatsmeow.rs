//! The SQLite stores of whatsmeow, with all sessions in one file: those of GOWA, wuzapi, quepasa and WAHA's GOWS engine.

use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, Row};

use super::session::Session;
use super::sqlite::{Copied, all, field, files};
use crate::whatsapp::{ForeignAccount, ForeignDevice, ForeignPreKey, ForeignSyncKey};

/// The sessions in a store; `None` when it is not whatsmeow's.
pub(super) fn sessions(file: &Path) -> Result<Option<Vec<Session>>> {
    let copied = Copied::of(file)?;
    let store = copied.open()?;
    if !store.table_exists(None, "whatsmeow_device")? {
        return Ok(None);
    }
    let mut devices = store.prepare("SELECT * FROM whatsmeow_device ORDER BY jid")?;
    let mut rows = devices.query([])?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        let jid: String = field(row, "jid")?;
        let name = jid.split('@').next().unwrap_or_default().to_owned();
        let device = device(&store, row, jid);
        sessions.push(Session { name, files: files(file).into(), device, notes: Vec::new() });
    }
    Ok(Some(sessions))
}

fn device(store: &Connection, row: &Row<'_>, jid: String) -> Result<ForeignDevice> {
    let pre_keys = "SELECT * FROM whatsmeow_pre_keys WHERE jid = ?";
    let pre_keys = all(store, pre_keys, &jid, |row| {
        Ok(ForeignPreKey {
            id: field(row, "key_id")?,
            key: field(row, "key")?,
            uploaded: field(row, "uploaded")?,
        })
    })?;
    let sync_keys = "SELECT * FROM whatsmeow_app_state_sync_keys WHERE jid = ? ORDER BY timestamp";
    let sync_keys = all(store, sync_keys, &jid, |row| {
        Ok(ForeignSyncKey {
            id: field(row, "key_id")?,
            data: field(row, "key_data")?,
            fingerprint: field(row, "fingerprint")?,
            timestamp: field(row, "timestamp")?,
        })
    })?;
    // Stores of 2024 and before have none.
    let lid: Option<String> = row.get("lid").unwrap_or_default();
    Ok(ForeignDevice {
        jid,
        lid: lid.filter(|lid| !lid.is_empty()),
        push_name: field(row, "push_name")?,
        registration_id: field(row, "registration_id")?,
        noise_key: field(row, "noise_key")?,
        identity_key: field(row, "identity_key")?,
        signed_pre_key: field(row, "signed_pre_key")?,
        signed_pre_key_id: field(row, "signed_pre_key_id")?,
        signed_pre_key_signature: field(row, "signed_pre_key_sig")?,
        adv_secret_key: field(row, "adv_key")?,
        account: ForeignAccount {
            details: field(row, "adv_details")?,
            signature_key: field(row, "adv_account_sig_key")?,
            signature: field(row, "adv_account_sig")?,
            device_signature: field(row, "adv_device_sig")?,
        },
        pre_keys,
        next_pre_key_id: 1,
        sync_keys,
    })
}
