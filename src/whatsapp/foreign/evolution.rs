//! Evolution's PostgreSQL database: the `creds.json` of a Baileys session in a row. Its other keys are in Evolution's
//! folder or in Redis.

use anyhow::{Context, Result};
use serde_json::Value;

use super::baileys;
use super::row::{Cell, Row, Rows};
use super::session::ForeignSession;
use super::settings::{ForeignHook, ForeignSettings};
use crate::whatsapp::session::ForeignDevice;

/// The sessions in a database; `None` when it is not Evolution's.
pub(super) fn sessions(store: &mut dyn Rows) -> Result<Option<Vec<ForeignSession>>> {
    if !store.has_table("\"Session\"")? || !store.has_table("\"Instance\"")? {
        return Ok(None);
    }
    let query = "SELECT \"Instance\".id, \"Instance\".name, \"Session\".creds FROM \"Session\" \
                 JOIN \"Instance\" ON \"Instance\".id = \"Session\".\"sessionId\" ORDER BY 2";
    let sessions = store.rows(query, None)?;
    let session = |row: &Row| {
        let notes = vec![
            "Its pre-keys are not in the database: a contact who writes for the first time is asked to send again"
                .to_owned(),
            "There is no key of the synchronised settings".to_owned(),
        ];
        let settings = settings(store, row)?;
        let name = row.field("name")?;
        Ok(ForeignSession {
            notes,
            settings,
            ..ForeignSession::new("Evolution", name, device(row))
        })
    };
    sessions.iter().map(session).collect::<Result<_>>().map(Some)
}

/// Of the instance's row in the table of webhooks, whichever columns this version of Evolution has.
fn settings(store: &mut dyn Rows, instance: &Row) -> Result<ForeignSettings> {
    let mut settings = ForeignSettings::default();
    if !store.has_table("\"Webhook\"")? {
        return Ok(settings);
    }
    let query =
        "SELECT to_jsonb(\"Webhook\")::text AS webhook FROM \"Webhook\" WHERE \"instanceId\" = $1";
    for row in store.rows(query, instance.get::<Cell>("id").as_ref())? {
        let webhook: Value = serde_json::from_str(&row.field::<String>("webhook")?)?;
        let is = |name: &str| webhook.get(name).and_then(Value::as_bool);
        if is("enabled") == Some(false) {
            continue;
        }
        if is("webhookByEvents") == Some(true) {
            settings
                .notes
                .push("moonwa posts every event to the same URL (webhookByEvents)".to_owned());
        }
        if is("webhookBase64") == Some(true) {
            settings
                .notes
                .push("moonwa sends a URL for each file, not its bytes (webhookBase64)".to_owned());
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let headers = webhook.get("headers").and_then(Value::as_object);
        let headers = headers.into_iter().flatten();
        let hook = ForeignHook {
            url: webhook.get("url").and_then(text).unwrap_or_default(),
            headers: headers
                .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
                .collect(),
            format: Some("evolution"),
            ..ForeignHook::default()
        };
        let events = webhook.get("events").and_then(Value::as_array).into_iter().flatten();
        settings.hook(hook, events.filter_map(Value::as_str));
    }
    Ok(settings)
}

fn device(row: &Row) -> Result<ForeignDevice> {
    let text: String = row.field("creds")?;
    // It is written as JSON in JSON.
    let inner: Result<String, _> = serde_json::from_str(&text);
    let credentials =
        serde_json::from_str(&inner.unwrap_or(text)).context("its creds are damaged")?;
    baileys::device(&credentials, "its creds")
}
