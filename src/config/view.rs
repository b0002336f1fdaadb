//! Shows the configuration to its admin. Every value is written as in the file, so that it can be edited and sent
//! back; of a secret it only says whether there is one.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::mask::masked_url;
use super::read::{call, value};
use super::{
    Calls, Config, DeviceConfig, EndpointConfig, Gap, Hours, KeyConfig, Pace, Proxy, RuleConfig,
    TextPattern,
};
use crate::model::{ChatPattern, Recipient};

/// A header is a credential when its name contains one of these.
const CREDENTIALS: [&str; 7] = ["auth", "cookie", "key", "pass", "secret", "signature", "token"];

impl Config {
    /// The configuration without its secrets.
    pub fn to_json(&self) -> Value {
        let Self { server, admin, store, log, outbox, history, media, whatsapp_version, devices } =
            self;
        let devices: Map<String, Value> =
            devices.iter().map(|(name, config)| (name.to_string(), device(config))).collect();
        json!({
            "server": {
                "listen": server.listen,
                "hosts": server.hosts,
                "trusted_proxies": server.trusted_proxies,
                "base_path": server.base_path,
                "public_url": server.public_url,
                "max_connections": server.max_connections,
                "faces": server.faces.iter().map(|face| face.as_str()).collect::<Vec<_>>(),
            },
            "admin": { "token": admin.token.is_some(), "editable": admin.editable },
            "store": { "path": store.path, "durability": word(&value::DURABILITIES, &store.durability), "repair": word(&value::REPAIRS, &store.repair) },
            "log": { "level": word(&value::LEVELS, &log.level), "full_jids": log.full_jids, "unsafe_dependencies": log.unsafe_dependencies },
            "outbox": { "keep": duration(outbox.keep), "max_size": value::shown_size(outbox.max_size) },
            "history": history.map(|kept| json!({ "keep": duration(kept.keep), "max_size": value::shown_size(kept.max_size) })),
            "media": { "max_size": value::shown_size(media.max_size), "allow_nets": media.allow_nets, "spool": value::shown_size(media.spool), "device_spool": value::shown_size(media.device_spool) },
            "whatsapp_version": whatsapp_version.map(|(a, b, c)| format!("{a}.{b}.{c}")),
            "devices": devices,
        })
    }
}

fn device(config: &DeviceConfig) -> Value {
    let key = |key: &KeyConfig| {
        let scopes: Vec<_> = key.scopes.iter().map(|scope| word(&value::SCOPES, scope)).collect();
        json!({ "id": key.id, "scopes": scopes })
    };
    json!({
        "label": config.label,
        "enabled": config.enabled,
        "country_code": config.country_code,
        "pace": config.pace.map(pace),
        "calls": calls(&config.calls),
        "presence": word(&value::PRESENCES, &config.presence),
        "shown_as": word(&value::SHOWN_AS, &config.shown_as),
        "proxy": config.proxy.as_ref().map(Proxy::shown),
        "api_key": config.keys.iter().any(|key| key.id == KeyConfig::DEFAULT),
        "keys": config.keys.iter().map(key).collect::<Vec<_>>(),
        "webhooks": config.webhooks.iter().map(webhook).collect::<Vec<_>>(),
        "rules": config.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn calls(calls: &Calls) -> Value {
    match &calls.text {
        Some(text) => json!({ "reject": calls.reject, "text": text }),
        None => call::word(calls.reject).into(),
    }
}

fn webhook(config: &EndpointConfig) -> Value {
    let header = |(name, text): (&String, &String)| {
        let secret = config.hidden_headers.contains(name) || is_credential(name);
        (name.clone(), json!(Some(text).filter(|_| !secret)))
    };
    json!({
        "n": config.n,
        "url": masked_url(&config.url),
        "secret": !config.secrets.is_empty(),
        "events": if config.events.0.is_empty() { json!([value::BY_RULES]) } else { json!(config.events.0) },
        "chats": config.chats.kinds.iter().map(|kind| word(&value::CHATS, kind)).collect::<Vec<_>>(),
        "only": patterns(&config.chats.only),
        "ignore": patterns(&config.chats.ignore),
        "from_me": config.chats.from_me,
        "format": word(&value::FORMATS, &config.format),
        "compat": config.compat.iter().map(|one| word(&value::COMPATS, one)).collect::<Vec<_>>(),
        "headers": config.headers.iter().map(header).collect::<Map<_, _>>(),
        "timeout": duration(config.timeout),
        "qr": config.qr,
        "paused": config.paused,
        "start": word(&value::STARTS, &config.start),
        "account": config.inbox.map(|inbox| inbox.account),
        "inbox": config.inbox.map(|inbox| inbox.inbox),
        "token": config.token.is_some(),
    })
}

fn rule(config: &RuleConfig) -> Value {
    let RuleConfig {
        n,
        name,
        when,
        reply,
        react,
        forward_to,
        webhook,
        stop,
        cool_down,
        most_per_hour,
    } = config;
    let reply = reply.as_ref().map(|reply| {
        json!({ "text": reply.text.as_str(), "typing": reply.typing.map(duration), "quote": reply.quote })
    });
    json!({
        "n": n,
        "name": name,
        "when": {
            "text": when.text.as_ref().map(TextPattern::as_str),
            "chats": when.chats.iter().map(|kind| word(&value::CHATS, kind)).collect::<Vec<_>>(),
            "from": patterns(&when.from),
            "hours": when.hours.iter().map(Hours::as_str).collect::<Vec<_>>(),
            "time_zone": when.time_zone.as_ref().and_then(TimeZone::iana_name),
            "first_in": when.first_in.map(duration),
            "max_age": (when.max_age < RuleConfig::ANY_AGE).then(|| duration(when.max_age)),
        },
        "reply": reply,
        "react": react,
        "forward_to": forward_to.as_ref().map(Recipient::jid),
        "webhook": webhook,
        "stop": stop,
        "cool_down": duration(*cool_down),
        "most_per_hour": most_per_hour,
    })
}

fn patterns(patterns: &[ChatPattern]) -> Vec<&str> {
    patterns.iter().map(ChatPattern::as_str).collect()
}

/// Whether a header of that name is a secret, even when its value is in the file in clear.
pub(super) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIALS.iter().any(|word| name.contains(word))
}

/// The word that the file uses for a value.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, meaning)| meaning == value).map_or("", |(word, _)| word)
}

/// A duration in the largest unit that divides it. Up to a week is shown in hours, as in the manual: "72h", not "3d".
fn duration(length: Duration) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let (ms, fits) =
        (length.as_millis(), |(unit, _): &(u128, &str)| length.as_millis().is_multiple_of(*unit));
    let unit = units.iter().filter(|unit| unit.1 != "d" || ms > 7 * unit.0).find(|unit| fits(unit));
    unit.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

/// As a text, also when the file has a table: one field of a form can hold it, and an edit takes it back.
fn pace(pace: Pace) -> String {
    if let Gap::Even { count, per } = pace.gap {
        let unit = match per.as_secs() {
            0..=1 => "s",
            2..=60 => "min",
            61..=3600 => "h",
            _ => "day",
        };
        return format!("{count}/{unit}");
    }
    let (least, most) = pace.gap.bounds();
    let gap = match most {
        Duration::ZERO => None,
        most if most == least => Some(duration(least)),
        most => Some(format!("{}..{}", duration(least), duration(most))),
    };
    let quiet = pace.quiet.map(|quiet| {
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("quiet = \"{}-{}\"", time(quiet.from), time(quiet.to))
    });
    let parts = [
        gap.map(|gap| format!("gap = \"{gap}\"")),
        pace.per_day.map(|most| format!("per_day = {most}")),
        pace.new_chats_per_day.map(|most| format!("new_chats_per_day = {most}")),
        quiet,
        pace.typing.then(|| "typing = true".to_owned()),
    ];
    format!("{{ {} }}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use super::*;

    #[test]
    fn every_value_reads_back_as_it_is_shown_and_no_secret_is() {
        let text = r#"
            [outbox]
            keep = "72h"
            max_size = "64MB"
            [device.a]
            api_key = "a key of enough bytes"
            keys = [{ id = "crm", hash = "another key of enough bytes", scopes = ["admin"] }]
            pace = "20/min"
            calls = { text = "Maaf, kami tidak menerima telepon." }
            presence = "available"
            shown_as = "Firefox (Windows)"
            proxy = "socks5://ann:hidden@proxy.example:1080"
            webhooks = ["https://a.example", { url = "https://b.example?x=1", secret = "a secret of enough bytes, surely",
              headers = { x-team = "cs", Authorization = "Bearer b", x-more = { env = "MORE" } }, timeout = "1500ms",
              events = ["message.*"], format = "moonwa", compat = ["waha"], paused = true, start = "earliest" }]
            "#;
        let context = Context {
            file: "moonwa.toml".to_owned(),
            dir: std::path::PathBuf::new(),
            env: Box::new(|name| (name == "MORE").then(|| "from elsewhere".to_owned())),
            world_readable: false,
        };
        let shown = Config::parse(text, &context).unwrap().config.to_json();
        assert_eq!(shown["outbox"], json!({ "keep": "72h", "max_size": "62500 KiB" }));
        assert_eq!(value::size("62500 KiB", 0, u64::MAX).ok(), Some(64_000_000));
        assert_eq!(shown["media"]["max_size"], "64 MiB");
        let device = &shown["devices"]["a"];
        assert_eq!((&device["pace"], &device["api_key"]), (&json!("20/min"), &json!(true)));
        assert_eq!(device["keys"][1], json!({ "id": "crm", "scopes": ["admin"] }));
        let calls = json!({ "reject": true, "text": "Maaf, kami tidak menerima telepon." });
        assert_eq!(device["calls"], calls);
        assert_eq!(device["presence"], "available");
        assert_eq!(device["shown_as"], "Firefox (Windows)");
        assert_eq!(device["proxy"], "socks5://***@proxy.example:1080");
        assert_eq!(device["webhooks"][0]["secret"], false);
        let hook = &device["webhooks"][1];
        assert_eq!(hook["timeout"], "1500ms");
        assert_eq!(
            hook["headers"],
            json!({ "authorization": null, "x-more": null, "x-team": "cs" })
        );
        assert_eq!(
            (&hook["n"], &hook["secret"], &hook["start"]),
            (&json!(2), &json!(true), &json!("earliest"))
        );
        let all = shown.to_string();
        for secret in ["enough bytes", "hidden", "Bearer", "from elsewhere", "sha256"] {
            assert!(!all.contains(secret), "{all}");
        }
    }

    #[test]
    fn durations_and_paces_are_in_the_words_of_the_file() {
        let secs = |secs| duration(Duration::from_secs(secs));
        assert_eq!([secs(15), secs(90), secs(600), secs(259_200)], ["15s", "90s", "10m", "72h"]);
        assert_eq!(secs(86_400 * 30), "30d");
        for text in ["3/s", "20/min", "5/h", "500/day"] {
            assert_eq!(value::rate(text).map(Pace::spread).map(pace).as_deref(), Ok(text));
        }
        for text in [
            "{ gap = \"8s..15s\", per_day = 500, new_chats_per_day = 50, quiet = \"21:00-07:00\", typing = true }",
            "{ gap = \"10s\" }",
            "{ new_chats_per_day = 50 }",
        ] {
            let context = Context {
                file: "moonwa.toml".to_owned(),
                dir: std::path::PathBuf::new(),
                env: Box::new(|_| None),
                world_readable: false,
            };
            let file = format!("[device.a]\npace = {text}\n");
            let shown = Config::parse(&file, &context).unwrap().config.to_json();
            assert_eq!(shown["devices"]["a"]["pace"], text);
        }
    }
}
