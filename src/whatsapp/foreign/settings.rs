//! What another gateway was told to do with a session's messages, in the words of `moonwa.toml`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::config::shown_url;
use crate::model::Secret;

/// A session's webhooks, and what has no counterpart here.
#[derive(Clone, Default)]
pub(crate) struct ForeignSettings {
    pub(crate) hooks: Vec<ForeignHook>,
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Default)]
pub(crate) struct ForeignHook {
    pub(crate) url: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) events: BTreeSet<&'static str>,
    pub(crate) headers: BTreeMap<String, String>,
    /// Whether it is told of codes to scan.
    pub(crate) qr: bool,
    /// In whose form its receiver reads the bodies and verifies the signatures.
    pub(crate) format: Option<&'static str>,
}

/// How others call codes to scan, in lower case: they are no events here.
const CODES: &[&str] = &["qrcode_updated", "qr"];

/// What a product means with a word that another has as well.
const OF_ONE: &[(&str, &str, &[&str])] = &[
    // What the linked account writes goes by the same name there, and it cannot be had without.
    ("gowa", "message", &["message.received", "message.sent"]),
    (
        "wuzapi",
        "message",
        &[
            "message.received",
            "message.sent",
            "message.reaction",
            "message.edited",
            "message.revoked",
        ],
    ),
];

/// How others call what a webhook may hear of, in lower case.
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
    ("presence.update", &["presence.updated"]),
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
    (
        "messages_upsert",
        &["message.received", "message.sent", "message.reaction", "poll.vote", "status.received"],
    ),
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
            if CODES.contains(&lower.as_str()) {
                hook.qr = true;
                continue;
            }
            let of_one =
                OF_ONE.iter().find(|(of, theirs, _)| hook.format == Some(*of) && *theirs == lower);
            let of_all = || EVENTS.iter().find(|(theirs, _)| *theirs == lower);
            let ours = of_one.map(|(.., ours)| ours).or_else(|| of_all().map(|(_, ours)| ours));
            match ours {
                Some(ours) => hook.events.extend(*ours),
                None => self.notes.push(format!("The event {word} has no counterpart")),
            }
        }
        if !named || hook.events.contains("*") {
            hook.events = BTreeSet::from(["*"]);
        }
        if hook.qr && hook.events.is_empty() {
            // A webhook hears of something at least.
            hook.events = BTreeSet::from(["device.state"]);
        }
        if hook.events.is_empty() {
            let note = format!("{} was left out: it hears of nothing else", shown_url(&hook.url));
            return self.notes.push(note);
        }
        self.hooks.push(hook);
    }

    /// WAHA's `.waha.session.config.json`, in the folder of a session.
    pub(super) fn of_waha(text: &[u8]) -> Self {
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
                format: Some("waha"),
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
    fn a_word_means_what_its_product_means() {
        let mut settings = ForeignSettings::default();
        let mut heard = |format, events: &[&str]| {
            let hook = ForeignHook { format: Some(format), ..ForeignHook::default() };
            settings.hook(hook, events.iter().copied());
            let hook = settings.hooks.pop().unwrap();
            (hook.qr, Vec::from_iter(hook.events))
        };
        let (received, sent) = ("message.received", "message.sent");
        assert_eq!(heard("waha", &["message"]), (false, vec![received]));
        assert_eq!(heard("gowa", &["message"]), (false, vec![received, sent]));
        let (qr, events) = heard("wuzapi", &["QR", "Message"]);
        assert!(qr && events.contains(&sent) && events.contains(&"message.reaction"), "{events:?}");
        let upsert = vec!["message.reaction", received, sent, "poll.vote", "status.received"];
        assert_eq!(heard("evolution", &["QRCODE_UPDATED", "MESSAGES_UPSERT"]), (true, upsert));
        assert_eq!(heard("evolution", &["QRCODE_UPDATED"]), (true, vec!["device.state"]));
        assert_eq!(
            heard("wuzapi", &["All"]),
            (false, vec!["*"]),
            "codes only where they are named"
        );
    }

    #[test]
    fn wahas_session_is_read() {
        let text = json!({
            "webhooks": [
                { "url": "http://crm/wa", "events": ["message", "session.status", "presence.update", "engine.event"],
                  "hmac": { "key": "kunci" }, "customHeaders": [{ "name": "x-team", "value": "cs" }] },
                { "url": "http://log/wa", "events": ["*"], "retries": { "attempts": 3 } },
            ],
            "proxy": { "server": "localhost:3128" },
        });
        let read = ForeignSettings::of_waha(text.to_string().as_bytes());
        assert_eq!(
            hooks(&read),
            [
                (
                    "http://crm/wa",
                    Some("kunci"),
                    vec!["device.state", "message.received", "presence.updated"]
                ),
                ("http://log/wa", None, vec!["*"]),
            ]
        );
        assert_eq!(read.hooks[0].headers["x-team"], "cs");
        for (note, words) in read.notes.iter().zip(["engine.event", "Retries", "\"proxy\""]) {
            assert!(note.contains(words), "{note}");
        }
        assert_eq!(ForeignSettings::of_waha(b"null").hooks.len(), 0);
        assert!(ForeignSettings::of_waha(b"{").notes[0].contains("damaged"));
    }
}
