//! Evolution's PostgreSQL database: the `creds.json` of a Baileys session in a row. Its other keys are in Evolution's
//! folder or in Redis.

use anyhow::{Context, Result};

use super::baileys;
use super::row::{Row, Rows};
use super::session::ForeignSession;
use crate::whatsapp::session::ForeignDevice;

/// The sessions in a database; `None` when it is not Evolution's.
pub(super) fn sessions(store: &mut dyn Rows) -> Result<Option<Vec<ForeignSession>>> {
    if !store.has_table("\"Session\"")? || !store.has_table("\"Instance\"")? {
        return Ok(None);
    }
    let query = "SELECT \"Instance\".name, \"Session\".creds FROM \"Session\" \
                 JOIN \"Instance\" ON \"Instance\".id = \"Session\".\"sessionId\" ORDER BY 1";
    let sessions = store.rows(query, None)?;
    let session = |row: &Row| {
        let notes = vec![
            "Its pre-keys are not in the database: a contact who writes for the first time is asked to send again"
                .to_owned(),
            "There is no key of the synchronised settings".to_owned(),
        ];
        let (device, files) = (device(row), Vec::new());
        Ok(ForeignSession { name: row.field("name")?, product: "Evolution", files, device, notes })
    };
    sessions.iter().map(session).collect::<Result<_>>().map(Some)
}

fn device(row: &Row) -> Result<ForeignDevice> {
    let text: String = row.field("creds")?;
    // It is written as JSON in JSON.
    let inner: Result<String, _> = serde_json::from_str(&text);
    let credentials =
        serde_json::from_str(&inner.unwrap_or(text)).context("its creds are damaged")?;
    baileys::device(&credentials, "its creds")
}
