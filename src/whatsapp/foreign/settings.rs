//! What another gateway was told to do with a session's messages, in the words of `moonwa.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::model::Secret;

/// A session's webhooks, and what has no counterpart here.
#[derive(Default)]
pub(crate) struct ForeignSettings {
    pub(crate) hooks: Vec<ForeignHook>,
    pub(crate) notes: Vec<String>,
}

#[derive(Default)]
pub(crate) struct ForeignHook {
    pub(crate) url: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) events: BTreeSet<&'static str>,
    pub(crate) headers: BTreeMap<String, String>,
    /// Whose signatures its receiver verifies, where moonwa can make them.
    pub(crate) signed_as: Option<&'static str>,
}

/// How others call what a webhook may hear of, in lower case. WAHA, GOWA and wuzapi share some words.
const EVENTS: &[(&str, &[&str])] = &[
    ("*", &["*"]),
    ("all", &["*"]),
    ("message", &["message.received"]),
    ("message.any", &["message.received", "message.sent"]),
    ("message.reaction", &["message.reaction"]),
    ("message.ack", &["message.status"]),
    ("message.edited", &["message.edited"]),
    ("message.revoked", &["message.revoked"]),
    ("message.deleted", &["message.revoked"]),
    ("poll.vote", &["poll.vote"]),
    ("session.status", &["device.state"]),
    ("group.v2.join", &["group.updated"]),
    ("group.v2.leave", &["group.updated"]),
    ("group.v2.update", &["group.updated"]),
    ("group.v2.participants", &["group.updated"]),
    ("group.participants", &["group.updated"]),
    ("group.joined", &["group.updated"]),
    ("call.received", &["call.offer"]),
    ("call.offer", &["call.offer"]),
    ("newsletter.message", &["channel.received"]),
    // wuzapi
    ("readreceipt", &["message.status"]),
    ("connected", &["device.state"]),
    ("disconnected", &["device.state"]),
    ("loggedout", &["device.state"]),
    ("groupinfo", &["group.updated"]),
    ("joinedgroup", &["group.updated"]),
    ("calloffer", &["call.offer"]),
    // Evolution
    ("messages_upsert", &["message.received", "message.sent", "message.reaction"]),
    ("send_message", &["message.sent"]),
    ("messages_update", &["message.status"]),
    ("messages_edited", &["message.edited"]),
    ("messages_delete", &["message.revoked"]),
    ("connection_update", &["device.state"]),
    ("groups_upsert", &["group.updated"]),
    ("group_update", &["group.updated"]),
    ("group_participants_update", &["group.updated"]),
    ("call", &["call.offer"]),
];

impl ForeignSettings {
    /// Adds a webhook that hears of these events, as its gateway calls them; of none named it hears of all.
    pub(super) fn hook<'a>(
        &mut self,
        mut hook: ForeignHook,
        events: impl IntoIterator<Item = &'a str>,
    ) {
        let mut named = false;
        for word in events.into_iter().map(str::trim).filter(|word| !word.is_empty()) {
            named = true;
            let lower = word.to_lowercase();
            match EVENTS.iter().find(|(theirs, _)| *theirs == lower) {
                Some((_, ours)) => hook.events.extend(*ours),
                None => self.notes.push(format!("The event {word} has no counterpart")),
            }
        }
        if !named || hook.events.contains("*") {
            hook.events = BTreeSet::from(["*"]);
        }
        self.hooks.push(hook);
    }

    /// What stands beside a session: WAHA's settings, or GOWA's for all.
    pub(super) fn of_folder(folder: &Path) -> Self {
        if let Ok(text) = fs::read(folder.join(".waha.session.config.json")) {
            return Self::of_waha(&text);
        }
        // GOWA's database is in a folder below.
        let folders = [Some(folder), folder.parent()];
        let env = folders
            .into_iter()
            .flatten()
            .find_map(|folder| fs::read_to_string(folder.join(".env")).ok());
        env.map(|text| Self::of_gowa(&text)).unwrap_or_default()
    }

    /// WAHA's `.waha.session.config.json`, in the folder of a session.
    fn of_waha(text: &[u8]) -> Self {
        let mut this = Self::default();
        let config: Value = match serde_json::from_slice(text) {
            Ok(config) => config,
            Err(error) => {
                this.notes.push(format!("WAHA's settings of this session are damaged: {error}"));
                return this;
            }
        };
        for webhook in list(&config, "webhooks") {
            let key = webhook.pointer("/hmac/key").and_then(Value::as_str);
            let hook = ForeignHook {
                url: word(webhook, "url"),
                secret: key.filter(|key| !key.is_empty()).map(Secret::new),
                headers: list(webhook, "customHeaders")
                    .map(|header| (word(header, "name"), word(header, "value")))
                    .collect(),
                signed_as: Some("waha"),
                ..ForeignHook::default()
            };
            this.hook(hook, list(webhook, "events").filter_map(Value::as_str));
            if webhook.get("retries").is_some_and(|retries| !retries.is_null()) {
                this.notes.push("Retries are moonwa's own: until the event is taken".to_owned());
            }
        }
        for other in ["proxy", "ignore", "noweb", "gows", "metadata"] {
            if config.get(other).is_some_and(|value| !value.is_null()) {
                this.notes
                    .push(format!("WAHA's \"{other}\" was left out: see moonwa.toml for its like"));
            }
        }
        this
    }

    /// GOWA's `.env`, which all its sessions share.
    fn of_gowa(text: &str) -> Self {
        let mut this = Self::default();
        let variable = |name: &str| {
            text.lines().rev().find_map(|line| {
                let line = line.trim();
                let (found, value) =
                    line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
                let value = value.trim().trim_matches(['"', '\'']);
                (found.trim() == name && !value.is_empty()).then(|| value.to_owned())
            })
        };
        let secret = variable("WHATSAPP_WEBHOOK_SECRET").unwrap_or_else(|| "secret".to_owned());
        let events = variable("WHATSAPP_WEBHOOK_EVENTS").unwrap_or_default();
        for url in variable("WHATSAPP_WEBHOOK").unwrap_or_default().split(',') {
            if url.trim().is_empty() {
                continue;
            }
            let hook = ForeignHook {
                url: url.trim().to_owned(),
                secret: Some(Secret::new(secret.clone())),
                signed_as: Some("gowa"),
                ..ForeignHook::default()
            };
            this.hook(hook, events.split(','));
        }
        for other in ["WHATSAPP_AUTO_REPLY", "WHATSAPP_AUTO_MARK_READ", "WHATSAPP_AUTO_REJECT_CALL"]
        {
            if variable(other).is_some_and(|value| value != "false") {
                this.notes.push(format!(
                    "{other} has no counterpart: the receiver of the webhook does that"
                ));
            }
        }
        this
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn word(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hooks(settings: &ForeignSettings) -> Vec<(&str, Option<&str>, Vec<&str>)> {
        let hooks = settings.hooks.iter();
        let secret = |hook: &'_ ForeignHook| hook.secret.is_some();
        hooks
            .map(|hook| {
                let secret = secret(hook).then(|| hook.secret.as_ref().unwrap().expose());
                (hook.url.as_str(), secret, hook.events.iter().copied().collect())
            })
            .collect()
    }

    #[test]
    fn wahas_session_is_read() {
        let text = json!({
            "webhooks": [
                { "url": "http://crm/wa", "events": ["message", "session.status", "presence.update"],
                  "hmac": { "key": "kunci" }, "customHeaders": [{ "name": "x-team", "value": "cs" }] },
                { "url": "http://log/wa", "events": ["*"], "retries": { "attempts": 3 } },
            ],
            "proxy": { "server": "localhost:3128" },
        });
        let read = ForeignSettings::of_waha(text.to_string().as_bytes());
        assert_eq!(
            hooks(&read),
            [
                ("http://crm/wa", Some("kunci"), vec!["device.state", "message.received"]),
                ("http://log/wa", None, vec!["*"]),
            ]
        );
        assert_eq!(read.hooks[0].headers["x-team"], "cs");
        for (note, words) in read.notes.iter().zip(["presence.update", "Retries", "\"proxy\""]) {
            assert!(note.contains(words), "{note}");
        }
        assert_eq!(ForeignSettings::of_waha(b"null").hooks.len(), 0);
        assert!(ForeignSettings::of_waha(b"{").notes[0].contains("damaged"));
    }

    #[test]
    fn gowas_env_is_read() {
        let read = ForeignSettings::of_gowa(
            "# webhooks\nWHATSAPP_WEBHOOK=\"http://a/wa, http://b/wa\"\nexport WHATSAPP_WEBHOOK_SECRET=rahasia\n\
             WHATSAPP_WEBHOOK_EVENTS=message,message.ack\nWHATSAPP_AUTO_REPLY='halo'\n",
        );
        let events = vec!["message.received", "message.status"];
        assert_eq!(
            hooks(&read),
            [
                ("http://a/wa", Some("rahasia"), events.clone()),
                ("http://b/wa", Some("rahasia"), events)
            ]
        );
        assert_eq!(read.notes.len(), 1);
        // Whoever sets no secret has GOWA's own.
        let read = ForeignSettings::of_gowa("WHATSAPP_WEBHOOK=http://a/wa\n");
        assert_eq!(hooks(&read), [("http://a/wa", Some("secret"), vec!["*"])]);
        assert_eq!(ForeignSettings::of_gowa("").hooks.len(), 0);
    }
}
