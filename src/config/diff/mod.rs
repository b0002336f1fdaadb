//! What an edit changes: the difference between two configurations. `moonwa plan` and the report of a reload print
//! it, and a reload that needs a restart is refused because of it. It is not used to apply a change: devices and
//! webhooks are brought in line with the whole new configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::endpoint::EndpointConfig;
use super::mask::shown_url;
use super::problem::Problem;
use super::rule::RuleConfig;
use super::settings::{
    AdminConfig, Config, DeviceConfig, LogConfig, MediaConfig, OutboxConfig, ServerConfig,
    StoreConfig,
};
use crate::model::DeviceName;

/// Removing most devices is pointed out only when there were at least this many.
const MASS: usize = 4;

/// What was added, changed (and in which keys) and removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference<K> {
    /// Only in the new configuration.
    pub added: BTreeSet<K>,
    /// In both, with the keys that differ.
    pub changed: BTreeMap<K, Vec<&'static str>>,
    /// Only in the old one.
    pub removed: BTreeSet<K>,
}

impl<K: Ord + Clone> Difference<K> {
    fn between<V>(
        old: &BTreeMap<K, V>,
        new: &BTreeMap<K, V>,
        keys: impl Fn(&V, &V) -> Vec<&'static str>,
    ) -> Self {
        let missing = |from: &BTreeMap<K, V>, of: &BTreeMap<K, V>| {
            of.keys().filter(|key| !from.contains_key(key)).cloned().collect()
        };
        let changed = old.iter().filter_map(|(key, was)| {
            let keys = keys(was, new.get(key)?);
            (!keys.is_empty()).then(|| (key.clone(), keys))
        });
        Self { added: missing(old, new), changed: changed.collect(), removed: missing(new, old) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// What makes an endpoint the same one before and after an edit: its device and its URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointKey {
    pub device: DeviceName,
    /// The URL; it may hold credentials.
    pub url: String,
}

impl fmt::Display for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.device, shown_url(&self.url))
    }
}

impl fmt::Debug for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What makes a rule the same one before and after an edit: its device and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuleKey {
    pub device: DeviceName,
    pub name: String,
}

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.device, self.name)
    }
}

/// What differs between the configuration in force and the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigDiff {
    /// Devices; their webhooks are compared separately.
    pub devices: Difference<DeviceName>,
    /// Webhooks. Those of an added or removed device are added or removed too.
    pub endpoints: Difference<EndpointKey>,
    /// Rules, in the same way.
    pub rules: Difference<RuleKey>,
    /// Changed keys outside `[device]` that apply at once.
    pub live: Vec<&'static str>,
    /// Changed keys that only a restart applies.
    pub needs_restart: Vec<&'static str>,
    /// Devices whose connection the change closes or opens.
    pub reconnects: BTreeSet<DeviceName>,
    /// How many devices are removed, and of how many, when that is more than half of at least four: probably a
    /// mistake.
    pub mass_removal: Option<(usize, usize)>,
}

impl ConfigDiff {
    pub(crate) fn between(old: &Config, new: &Config) -> Self {
        let devices = Difference::between(&old.devices, &new.devices, device_keys);
        let endpoints = Difference::between(&endpoints(old), &endpoints(new), |old, new| {
            endpoint_keys(old, new)
        });
        let rules = Difference::between(&rules(old), &rules(new), |old, new| rule_keys(old, new));
        let (restart, live): (Vec<_>, Vec<_>) = gateway_keys(old, new)
            .into_iter()
            .partition(|(_, applies)| *applies == Applies::AtRestart);
        let names =
            |keys: Vec<(&'static str, Applies)>| keys.into_iter().map(|(key, _)| key).collect();
        let reconnects = old.devices.iter().filter(|(name, was)| {
            new.devices.get(*name).is_some_and(|device| device.needs_reconnect(was))
        });
        let reconnects = reconnects.map(|(name, _)| name.clone());
        let (gone, all) = (devices.removed.len(), old.devices.len());
        Self {
            reconnects: reconnects.collect(),
            mass_removal: (all >= MASS && gone * 2 > all).then_some((gone, all)),
            devices,
            endpoints,
            rules,
            live: names(live),
            needs_restart: names(restart),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.devices.is_empty()
            && self.endpoints.is_empty()
            && self.rules.is_empty()
            && self.live.is_empty()
            && self.needs_restart.is_empty()
    }

    /// Why this cannot be applied to a running gateway; empty when it can.
    pub(crate) fn refusals(&self, file: &str) -> Vec<Problem> {
        let refusal = |key: &&'static str| Problem {
            file: file.to_owned(),
            at: None,
            key: (*key).to_owned(),
            message: format!("restart moonwa to apply {key}"),
            hint: Some("nothing of this edit is applied before that".to_owned()),
        };
        self.needs_restart.iter().map(refusal).collect()
    }

    /// The changes for people, one on each line: `+` added, `~` changed, `-` removed, `!` worth attention.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((gone, all)) = self.mass_removal {
            lines.push(format!(
                "! {gone} of {all} devices go: they are only disconnected, their credentials stay"
            ));
        }
        lines.extend(self.needs_restart.iter().map(|key| format!("! {key}: needs a restart")));
        lines.extend(self.live.iter().map(|key| format!("~ {key}")));
        lines.extend(self.devices.added.iter().map(|name| format!("+ device {name}")));
        for (name, keys) in &self.devices.changed {
            let effect = if self.reconnects.contains(name) { "" } else { " (stays connected)" };
            lines.push(format!("~ device {name}: {}{effect}", keys.join(", ")));
        }
        lines.extend(self.devices.removed.iter().map(|name| {
            format!("- device {name} (disconnected; \"moonwa forget {name}\" removes credentials)")
        }));
        lines.extend(self.endpoints.added.iter().map(|key| format!("+ webhook {key}")));
        for (key, keys) in &self.endpoints.changed {
            lines.push(format!("~ webhook {key}: {}", keys.join(", ")));
        }
        lines.extend(self.endpoints.removed.iter().map(|key| format!("- webhook {key}")));
        lines.extend(self.rules.added.iter().map(|key| format!("+ rule {key}")));
        for (key, keys) in &self.rules.changed {
            lines.push(format!("~ rule {key}: {}", keys.join(", ")));
        }
        lines.extend(self.rules.removed.iter().map(|key| format!("- rule {key}")));
        lines
    }

    /// The changes, for programs.
    pub(crate) fn to_json(&self) -> Value {
        let endpoint =
            |key: &EndpointKey| json!({ "device": key.device, "url": shown_url(&key.url) });
        let changed_device = |(name, keys): (&DeviceName, &Vec<_>)| json!({ "device": name, "keys": keys, "reconnects": self.reconnects.contains(name) });
        let changed_endpoint = |(key, keys): (&EndpointKey, &Vec<_>)| json!({ "device": key.device, "url": shown_url(&key.url), "keys": keys });
        let rule = |key: &RuleKey| json!({ "device": key.device, "name": key.name });
        let changed_rule = |(key, keys): (&RuleKey, &Vec<_>)| json!({ "device": key.device, "name": key.name, "keys": keys });
        json!({
            "devices": {
                "added": self.devices.added,
                "changed": self.devices.changed.iter().map(changed_device).collect::<Vec<_>>(),
                "removed": self.devices.removed,
            },
            "webhooks": {
                "added": self.endpoints.added.iter().map(endpoint).collect::<Vec<_>>(),
                "changed": self.endpoints.changed.iter().map(changed_endpoint).collect::<Vec<_>>(),
                "removed": self.endpoints.removed.iter().map(endpoint).collect::<Vec<_>>(),
            },
            "rules": {
                "added": self.rules.added.iter().map(rule).collect::<Vec<_>>(),
                "changed": self.rules.changed.iter().map(changed_rule).collect::<Vec<_>>(),
                "removed": self.rules.removed.iter().map(rule).collect::<Vec<_>>(),
            },
            "keys": self.live,
            "needs_restart": self.needs_restart,
            "mass_removal": self.mass_removal.is_some(),
        })
    }
}

fn endpoints(config: &Config) -> BTreeMap<EndpointKey, &EndpointConfig> {
    let of = |(name, device): (&DeviceName, &'_ DeviceConfig)| -> Vec<EndpointKey> {
        let key = |endpoint: &EndpointConfig| EndpointKey {
            device: name.clone(),
            url: endpoint.url.clone(),
        };
        device.webhooks.iter().map(key).collect()
    };
    let keys = config.devices.iter().flat_map(of);
    keys.zip(config.devices.values().flat_map(|device| &device.webhooks)).collect()
}

fn rules(config: &Config) -> BTreeMap<RuleKey, &RuleConfig> {
    let each = config.devices.iter().flat_map(|(device, config)| {
        config
            .rules
            .iter()
            .map(|rule| (RuleKey { device: device.clone(), name: rule.name.clone() }, rule))
    });
    each.collect()
}

/// When a change of a key outside `[device]` applies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Applies {
    AtOnce,
    /// The key is read once, when moonwa starts.
    AtRestart,
}

/// The keys of the fields in which two structs differ. Every field must be listed, or be named as ignored at the end:
/// a new field that is forgotten here does not compile.
macro_rules! differing {
    ($old:expr, $new:expr, $kind:ident { $($field:ident: $key:expr),+ $(,)? } $(ignoring $ignored:ident $(and $further:ident)?)?) => {{
        let $kind { $($field,)+ $($ignored: _, $($further: _)?)? } = $old;
        let mut keys = Vec::new();
        $(if *$field != $new.$field { keys.push($key); })+
        keys.dedup();
        keys
    }};
}

fn gateway_keys(old: &Config, new: &Config) -> Vec<(&'static str, Applies)> {
    use Applies::{AtOnce, AtRestart};
    let Config { server, admin, store, log, outbox, history, media, whatsapp_version, devices: _ } =
        old;
    let kept: &[_] = if *history == new.history { &[] } else { &[("history", AtOnce)] };
    let version: &[_] = if *whatsapp_version == new.whatsapp_version {
        &[]
    } else {
        &[("whatsapp_version", AtRestart)]
    };
    let server = differing!(
        server,
        new.server,
        ServerConfig {
            listen: ("server.listen", AtRestart),
            hosts: ("server.hosts", AtOnce),
            trusted_proxies: ("server.trusted_proxies", AtOnce),
            base_path: ("server.base_path", AtOnce),
            public_url: ("server.public_url", AtOnce),
            max_connections: ("server.max_connections", AtOnce),
            faces: ("server.faces", AtOnce),
        }
    );
    let admin = differing!(
        admin,
        new.admin,
        AdminConfig { token: ("admin.token", AtOnce), editable: ("admin.editable", AtOnce) }
    );
    let store = differing!(
        store,
        new.store,
        StoreConfig {
            path: ("store.path", AtRestart),
            durability: ("store.durability", AtRestart),
            repair: ("store.repair", AtRestart),
        }
    );
    let log = differing!(
        log,
        new.log,
        LogConfig {
            level: ("log.level", AtOnce),
            full_jids: ("log.full_jids", AtOnce),
            unsafe_dependencies: ("log.unsafe_dependencies", AtRestart),
        }
    );
    let outbox = differing!(
        outbox,
        new.outbox,
        OutboxConfig { keep: ("outbox.keep", AtRestart), max_size: ("outbox.max_size", AtRestart) }
    );
    let media = differing!(
        media,
        new.media,
        MediaConfig {
            max_size: ("media.max_size", AtRestart),
            allow_nets: ("media.allow_nets", AtRestart),
            spool: ("media.spool", AtOnce),
            device_spool: ("media.device_spool", AtOnce),
        }
    );
    [&server, &admin, &store, &log, &outbox, kept, &media, version].concat()
}

/// The keys that differ, without the webhooks: those are compared one by one.
fn device_keys(old: &DeviceConfig, new: &DeviceConfig) -> Vec<&'static str> {
    differing!(old, new, DeviceConfig {
        label: "label",
        enabled: "enabled",
        keys: "keys",
        country_code: "country_code",
        pace: "pace",
        calls: "calls",
        presence: "presence",
        shown_as: "shown_as",
        proxy: "proxy",
    } ignoring webhooks and rules)
}

/// The keys that differ, without the URL: an endpoint with another URL is another endpoint.
fn endpoint_keys(old: &EndpointConfig, new: &EndpointConfig) -> Vec<&'static str> {
    differing!(old, new, EndpointConfig {
        n: "order",
        secrets: "secret",
        events: "events",
        chats: "chats",
        format: "format",
        headers: "headers",
        hidden_headers: "headers",
        compat: "compat",
        timeout: "timeout",
        qr: "qr",
        paused: "paused",
        start: "start",
        inbox: "inbox",
        token: "token",
    } ignoring url)
}

/// The keys that differ. A name is no key here: another one makes another rule.
fn rule_keys(old: &RuleConfig, new: &RuleConfig) -> Vec<&'static str> {
    differing!(old, new, RuleConfig {
        n: "order",
        when: "when",
        reply: "reply",
        react: "react",
        forward_to: "forward_to",
        webhook: "webhook",
        stop: "stop",
        cool_down: "cool_down",
        most_per_hour: "most_per_hour",
    } ignoring name)
}

#[cfg(test)]
mod tests;
