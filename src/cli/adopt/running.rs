//! Whether another gateway says that it runs a number. A folder that nothing was written to for a while may still be
//! somebody's: only its API knows.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;
use serde_json::Value;

use crate::model::Secret;

/// Where the APIs of gateways list their numbers: WAHA, Evolution, GOWA (of 2026 and before), wuzapi, waxum.
const LISTS: [&str; 6] = [
    "api/sessions?all=true",
    "instance/fetchInstances",
    "devices",
    "app/status",
    "admin/users",
    "api/v1/sessions",
];

/// What an API calls a number that it runs.
const CONNECTED: [&str; 6] =
    ["working", "open", "connected", "logged_in", "connecting", "starting"];

/// The longest list that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// The API of the other gateway: `http://:KEY@host:port`, where the key opens it.
#[derive(Clone, Debug)]
pub(crate) struct OldUrl {
    base: String,
    user: String,
    key: Option<Secret>,
}

impl OldUrl {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").context("write http:// or https:// first")?;
        if !matches!(scheme, "http" | "https") {
            bail!("write http:// or https:// first");
        }
        let (access, host) = rest.rsplit_once('@').map_or((None, rest), |(a, h)| (Some(a), h));
        let (user, key) = access.map_or(("", None), |access| {
            access.split_once(':').map_or((access, None), |(user, key)| (user, Some(key)))
        });
        let base = format!("{scheme}://{}/", host.trim_end_matches('/'));
        Ok(Self { base, user: user.to_owned(), key: key.map(Secret::new) })
    }

    /// Refuses when the gateway answers and does not say that it has stopped this number.
    pub(super) fn refuse(&self, number: &str) -> Result<()> {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        let (mut answers, mut locked, mut stopped) = (false, false, false);
        for list in LISTS {
            let mut request = agent.get(format!("{}{list}", self.base));
            if let Some(key) = &self.key {
                let key = key.expose();
                let basic =
                    format!("Basic {}", BASE64.encode(format!("{}:{key}", self.user).as_bytes()));
                let access = if self.user.is_empty() { key } else { &basic };
                request = request.header("authorization", access);
                request = request.header("x-api-key", key).header("apikey", key);
            }
            let Ok(mut answer) = request.call() else { continue };
            answers = true;
            locked |= matches!(answer.status().as_u16(), 401 | 403);
            let text = answer.body_mut().with_config().limit(LONGEST).read_to_string();
            let list = text.ok().and_then(|text| serde_json::from_str(&text).ok());
            match list.and_then(|list| state(&list, number)) {
                Some(true) => bail!("{} says that +{number} is connected there", self.base),
                Some(false) => stopped = true,
                None => {}
            }
        }
        if !answers || stopped {
            return Ok(());
        }
        let why = if locked {
            "; it wants its key: write it as http://:KEY@host (GOWA: http://user:password@host)"
        } else {
            ""
        };
        bail!("{} answers and does not say that +{number} is stopped{why}", self.base)
    }
}

/// Whether a list has the number as one that is connected; `None` when it has not got it.
fn state(list: &Value, number: &str) -> Option<bool> {
    match list {
        Value::Array(items) => best(items.iter().filter_map(|item| state(item, number))),
        Value::Object(fields) => {
            let within = best(fields.values().filter_map(|field| state(field, number)))?;
            let connected = fields.iter().any(|(name, value)| match value {
                Value::String(word) => {
                    ["status", "state", "connectionStatus"].contains(&name.as_str())
                        && CONNECTED.contains(&word.to_lowercase().as_str())
                }
                Value::Bool(is) => {
                    *is && ["connected", "is_connected", "isConnected"].contains(&name.as_str())
                }
                _ => false,
            });
            Some(within || connected)
        }
        Value::String(text) => {
            let rest = text.strip_prefix('+').unwrap_or(text).strip_prefix(number)?;
            let ends = rest.chars().next().is_none_or(|next| !next.is_ascii_digit());
            ends.then_some(false)
        }
        _ => None,
    }
}

fn best(states: impl Iterator<Item = bool>) -> Option<bool> {
    states.reduce(|a, b| a || b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_product_says_whether_a_number_is_connected() {
        let n = "6281234";
        for (list, said) in [
            // WAHA
            (
                json!([{ "name": "a", "status": "WORKING", "me": { "id": "6281234@c.us" } }]),
                Some(true),
            ),
            (
                json!([{ "name": "a", "status": "STOPPED", "me": { "id": "6281234@c.us" } },
                    { "name": "b", "status": "WORKING", "me": { "id": "62812345@c.us" } }]),
                Some(false),
            ),
            // Evolution
            (
                json!([{ "connectionStatus": "open", "ownerJid": "6281234@s.whatsapp.net" }]),
                Some(true),
            ),
            (
                json!([{ "connectionStatus": "close", "ownerJid": "6281234@s.whatsapp.net" }]),
                Some(false),
            ),
            // GOWA
            (
                json!({ "code": "SUCCESS", "results": { "is_connected": true, "device_id": "6281234:7@s.whatsapp.net" } }),
                Some(true),
            ),
            (
                json!({ "results": [{ "id": "x", "state": "logged_in", "jid": "6281234@s.whatsapp.net" }] }),
                Some(true),
            ),
            // wuzapi
            (
                json!({ "data": [{ "connected": false, "jid": "6281234:7@s.whatsapp.net" }], "success": true }),
                Some(false),
            ),
            (json!({ "data": [] }), None),
        ] {
            assert_eq!(state(&list, n), said, "{list}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let url = OldUrl::parse("http://:s3cret@127.0.0.1:3000/").unwrap();
        assert_eq!((url.base.as_str(), url.user.as_str()), ("http://127.0.0.1:3000/", ""));
        assert!(!format!("{url:?}").contains("s3cret"));
        assert!(OldUrl::parse("127.0.0.1:3000").is_err());
    }
}
