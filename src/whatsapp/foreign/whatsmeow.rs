//! The stores of whatsmeow, with all sessions in one database: those of GOWA, wuzapi, quepasa and WAHA's GOWS engine.

use anyhow::Result;

use super::row::{Cell, Row, Rows};
use super::session::ForeignSession;
use super::settings::ForeignHook;
use crate::whatsapp::session::{ForeignAccount, ForeignDevice, ForeignPreKey, ForeignSyncKey};

/// The sessions in a store; `None` when it is not whatsmeow's.
pub(super) fn sessions(store: &mut dyn Rows) -> Result<Option<Vec<ForeignSession>>> {
    if !store.has_table("whatsmeow_device")? {
        return Ok(None);
    }
    let devices = store.rows("SELECT * FROM whatsmeow_device ORDER BY jid", None)?;
    let session = |row: &Row| {
        let jid: String = row.field("jid")?;
        let name = jid.split('@').next().unwrap_or_default().to_owned();
        Ok(ForeignSession::new("whatsmeow", name, device(store, row, jid)))
    };
    let mut sessions = devices.iter().map(session).collect::<Result<Vec<_>>>()?;
    settings_of_wuzapi(store, &mut sessions)?;
    Ok(Some(sessions))
}

/// wuzapi keeps the webhook of each session in a table of its own: in the same database, or in a file beside it.
pub(super) fn settings_of_wuzapi(
    store: &mut dyn Rows,
    sessions: &mut [ForeignSession],
) -> Result<()> {
    if !store.has_table("users")? {
        return Ok(());
    }
    for row in store.rows("SELECT * FROM users", None)? {
        let (Some(jid), Some(url)) = (row.get::<String>("jid"), row.get::<String>("webhook"))
        else {
            continue;
        };
        let is_it = |session: &&mut ForeignSession| {
            session.device.as_ref().is_ok_and(|device| device.jid == jid)
        };
        let Some(session) = sessions.iter_mut().find(is_it).filter(|_| !url.is_empty()) else {
            continue;
        };
        let events: String = row.get("events").unwrap_or_default();
        let hook = ForeignHook { url, format: Some("wuzapi"), ..ForeignHook::default() };
        session.settings.hook(hook, events.split(','));
        if row.get::<Vec<u8>>("hmac_key").is_some() {
            let note =
                "wuzapi keeps the webhook's secret encrypted: give it as secret = { file = … }";
            session.settings.notes.push(note.to_owned());
        }
    }
    Ok(())
}

fn device(store: &mut dyn Rows, row: &Row, jid: String) -> Result<ForeignDevice> {
    let of_it = Cell::Text(jid.clone());
    let pre_keys = "SELECT * FROM whatsmeow_pre_keys WHERE jid = $1";
    let pre_keys = store.rows(pre_keys, Some(&of_it))?;
    let pre_keys = pre_keys.iter().map(|row| {
        Ok(ForeignPreKey {
            id: row.field("key_id")?,
            key: row.field("key")?,
            uploaded: row.field("uploaded")?,
        })
    });
    let sync_keys = "SELECT * FROM whatsmeow_app_state_sync_keys WHERE jid = $1 ORDER BY timestamp";
    let sync_keys = store.rows(sync_keys, Some(&of_it))?;
    let sync_keys = sync_keys.iter().map(|row| {
        Ok(ForeignSyncKey {
            id: row.field("key_id")?,
            data: row.field("key_data")?,
            fingerprint: row.field("fingerprint")?,
            timestamp: row.field("timestamp")?,
        })
    });
    // Stores of 2024 and before have none.
    let lid: Option<String> = row.get("lid");
    Ok(ForeignDevice {
        jid,
        lid: lid.filter(|lid| !lid.is_empty()),
        push_name: row.field("push_name")?,
        registration_id: row.field("registration_id")?,
        noise_key: row.field("noise_key")?,
        identity_key: row.field("identity_key")?,
        signed_pre_key: row.field("signed_pre_key")?,
        signed_pre_key_id: row.field("signed_pre_key_id")?,
        signed_pre_key_signature: row.field("signed_pre_key_sig")?,
        adv_secret_key: row.field("adv_key")?,
        account: ForeignAccount {
            details: row.field("adv_details")?,
            signature_key: row.field("adv_account_sig_key")?,
            signature: row.field("adv_account_sig")?,
            device_signature: row.field("adv_device_sig")?,
        },
        pre_keys: pre_keys.collect::<Result<_>>()?,
        next_pre_key_id: 1,
        sync_keys: sync_keys.collect::<Result<_>>()?,
    })
}
