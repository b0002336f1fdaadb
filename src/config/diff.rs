//! What an edit changes: a pure comparison of two configurations. `moonwa plan` prints it and the reloader acts on it, so
//! the plan cannot lie. It knows which keys need a restart; it touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::problem::Problem;
use super::settings::{Config, DeviceConfig, EndpointConfig, shown_url};
use crate::model::DeviceName;

/// The keys that are read once, when moonwa starts.
const NEED_RESTART: [&str; 7] = [
    "server.listen",
    "store.path",
    "store.durability",
    "outbox.keep",
    "outbox.max_size",
    "media.max_size",
    "media.allow_nets",
];

/// Fewer devices than this may go all at once without a word.
const MASS: usize = 4;

/// What was added, changed (and in which keys) and removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<K> {
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

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// An endpoint across edits of everything but its device and URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointKey {
    /// The device.
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

/// What differs between the configuration in force and the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDiff {
    /// Devices, by everything but their webhooks.
    pub devices: Difference<DeviceName>,
    /// Webhooks. Those of an added or removed device are added or removed too.
    pub endpoints: Difference<EndpointKey>,
    /// Changed keys outside `[device]` that apply at once.
    pub live: Vec<&'static str>,
    /// Changed keys that only a restart applies.
    pub needs_restart: Vec<&'static str>,
    /// Devices whose connection the change closes or opens.
    pub reconnects: BTreeSet<DeviceName>,
    /// How many devices go, of how many, when that is more than half of at least four: a mistake, more likely than not.
    pub mass_removal: Option<(usize, usize)>,
}

impl ConfigDiff {
    /// Compares two configurations.
    pub fn between(old: &Config, new: &Config) -> Self {
        let devices = Difference::between(&old.devices, &new.devices, device_keys);
        let endpoints = Difference::between(&endpoints(old), &endpoints(new), |old, new| {
            endpoint_keys(old, new)
        });
        let (needs_restart, live) =
            gateway_keys(old, new).into_iter().partition(|key| NEED_RESTART.contains(key));
        let reconnects = old.devices.iter().filter(|(name, was)| {
            new.devices.get(*name).is_some_and(|device| device.needs_reconnect(was))
        });
        let reconnects = reconnects.map(|(name, _)| name.clone());
        let (gone, all) = (devices.removed.len(), old.devices.len());
        let diff = Self {
            reconnects: reconnects.collect(),
            mass_removal: (all >= MASS && gone * 2 > all).then_some((gone, all)),
            devices,
            endpoints,
            live,
            needs_restart,
        };
        debug_assert_eq!(diff.is_empty(), old == new, "a key is missing in the lists below");
        diff
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
            && self.endpoints.is_empty()
            && self.live.is_empty()
            && self.needs_restart.is_empty()
    }

    /// Why this cannot be applied to a running gateway; empty when it can.
    pub fn refusals(&self, file: &str) -> Vec<Problem> {
        let refusal = |key: &&'static str| Problem {
            file: file.to_owned(),
            at: None,
            key: (*key).to_owned(),
            message: format!("restart moonwa to apply {key}"),
            hint: Some("nothing of this edit is applied before that".to_owned()),
        };
        self.needs_restart.iter().map(refusal).collect()
    }

    /// The changes, one a line, for people: `+` added, `~` changed, `-` removed, `!` to be noticed.
    pub fn lines(&self) -> Vec<String> {
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
        lines
    }

    /// The changes, for programs.
    pub fn to_json(&self) -> Value {
        let endpoint =
            |key: &EndpointKey| json!({ "device": key.device, "url": shown_url(&key.url) });
        let changed_device = |(name, keys): (&DeviceName, &Vec<_>)| json!({ "device": name, "keys": keys, "reconnects": self.reconnects.contains(name) });
        let changed_endpoint = |(key, keys): (&EndpointKey, &Vec<_>)| json!({ "device": key.device, "url": shown_url(&key.url), "keys": keys });
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

/// The names of the keys that differ.
macro_rules! differing {
    ($old:expr, $new:expr, $($name:literal => $($field:ident).+),+ $(,)?) => {{
        let mut keys = Vec::new();
        $(if $old.$($field).+ != $new.$($field).+ { keys.push($name); })+
        keys.dedup();
        keys
    }};
}

fn gateway_keys(old: &Config, new: &Config) -> Vec<&'static str> {
    differing!(old, new,
        "server.listen" => server.listen,
        "server.hosts" => server.hosts,
        "server.trusted_proxies" => server.trusted_proxies,
        "server.base_path" => server.base_path,
        "admin.token" => admin.token,
        "admin.editable" => admin.editable,
        "store.path" => store.path,
        "store.durability" => store.durability,
        "log.level" => log.level,
        "log.full_jids" => log.full_jids,
        "outbox.keep" => outbox.keep,
        "outbox.max_size" => outbox.max_size,
        "media.max_size" => media.max_size,
        "media.allow_nets" => media.allow_nets,
    )
}

fn device_keys(old: &DeviceConfig, new: &DeviceConfig) -> Vec<&'static str> {
    differing!(old, new,
        "label" => label,
        "enabled" => enabled,
        "keys" => keys,
        "country_code" => country_code,
        "pace" => pace,
    )
}

fn endpoint_keys(old: &EndpointConfig, new: &EndpointConfig) -> Vec<&'static str> {
    differing!(old, new,
        "order" => n,
        "secret" => secrets,
        "events" => events,
        "format" => format,
        "headers" => headers,
        "headers" => hidden_headers,
        "compat" => compat,
        "timeout" => timeout,
        "paused" => paused,
        "start" => start,
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Context;

    fn config(text: &str) -> Config {
        let context = Context {
            file: "moonwa.toml".to_owned(),
            dir: PathBuf::new(),
            env: Box::new(|_| None),
            world_readable: false,
        };
        Config::parse(text, &context).unwrap().config
    }

    fn diff(old: &str, new: &str) -> ConfigDiff {
        ConfigDiff::between(&config(old), &config(new))
    }

    fn names(list: &[&str]) -> BTreeSet<DeviceName> {
        list.iter().map(|name| DeviceName::parse(name).unwrap()).collect()
    }

    #[test]
    fn an_edit_is_told_in_lines() {
        let old = "log.level = \"info\"\n[device.a]\nwebhooks = [\"https://u:p@a.example/x?k=1\"]\n\
            [device.b]\n[device.d]\nwebhooks = [\"https://d.example\"]";
        let new = "server.listen = \"127.0.0.1:1\"\nlog.level = \"debug\"\n[device.a]\nlabel = \"A\"\n\
            pace = \"1/s\"\nwebhooks = [{ url = \"https://u:p@a.example/x?k=1\", timeout = \"5s\" }]\n\
            [device.b]\nenabled = false\n[device.c]\nwebhooks = [\"https://c.example\"]";
        let diff = diff(old, new);
        assert_eq!(
            diff.lines(),
            [
                "! server.listen: needs a restart",
                "~ log.level",
                "+ device c",
                "~ device a: label, pace (stays connected)",
                "~ device b: enabled",
                "- device d (disconnected; \"moonwa forget d\" removes credentials)",
                "+ webhook c https://c.example",
                "~ webhook a https://a.example/x: timeout",
                "- webhook d https://d.example",
            ]
        );
        let refusals: Vec<String> =
            diff.refusals("moonwa.toml").iter().map(ToString::to_string).collect();
        assert_eq!(refusals.len(), 1);
        assert!(
            refusals[0]
                .starts_with("moonwa.toml: server.listen: restart moonwa to apply server.listen;")
        );
        let json = diff.to_json();
        assert_eq!(json["devices"]["changed"][1]["reconnects"], true);
        assert_eq!(json["webhooks"]["changed"][0]["url"], "https://a.example/x");
        assert_eq!(json["needs_restart"], json!(["server.listen"]));
    }

    #[test]
    fn only_enabled_touches_a_connection() {
        let base = "[device.a]\nwebhooks = [\"https://a.example\"]\n";
        for line in [
            "label = \"B\"",
            "api_key = \"a key of enough bytes\"",
            "country_code = \"62\"",
            "pace = \"1/s\"",
        ] {
            let edit = diff(base, &format!("{base}{line}\n"));
            assert_eq!(edit.devices.changed.len(), 1, "{line}");
            assert!(edit.reconnects.is_empty(), "{line}");
        }
        assert!(diff(base, "[device.a]\n").reconnects.is_empty());
        assert_eq!(diff(base, &format!("{base}enabled = false\n")).reconnects, names(&["a"]));
    }

    #[test]
    fn moving_a_webhook_is_a_change_of_order_only() {
        let two = |a, b| {
            format!("[device.a]\nwebhooks = [\"https://{a}.example\", \"https://{b}.example\"]")
        };
        let edit = diff(&two("a", "b"), &two("b", "a"));
        assert!(edit.devices.is_empty());
        assert!(edit.endpoints.added.is_empty() && edit.endpoints.removed.is_empty());
        assert!(edit.endpoints.changed.values().all(|keys| keys == &["order"]));
    }

    #[test]
    fn losing_most_devices_is_noticed() {
        let four = "[device.a]\n[device.b]\n[device.c]\n[device.d]\n";
        assert_eq!(diff(four, "[device.a]\n").mass_removal, Some((3, 4)));
        assert_eq!(diff(four, "[device.a]\n[device.b]\n").mass_removal, None);
        assert_eq!(diff("[device.a]\n[device.b]\n[device.c]\n", "").mass_removal, None);
        assert!(diff(four, "").lines()[0].starts_with("! 4 of 4 devices go: they are only"));
    }

    /// A configuration with devices a to e, each present or not, in a few variants.
    fn any_config() -> impl Strategy<Value = Config> {
        let device =
            (any::<bool>(), 0..3_u8, prop::sample::subsequence(vec!["x", "y", "z"], 0..=3));
        let devices = prop::collection::btree_map("[a-e]", device, 0..5);
        (devices, any::<bool>(), any::<bool>()).prop_map(|(devices, listen, level)| {
            let mut text = String::new();
            if listen {
                text += "server.listen = \"127.0.0.1:1\"\n";
            }
            if level {
                text += "log.level = \"debug\"\n";
            }
            for (name, (enabled, label, urls)) in devices {
                let url = |host: &&str| format!("\"https://{host}.example\"");
                let urls: Vec<String> = urls.iter().map(url).collect();
                let (head, urls) =
                    (format!("[device.{name}]\nenabled = {enabled}\n"), urls.join(", "));
                let keys = format!("label = \"L{label}\"\nwebhooks = [{urls}]\n");
                text.extend([head, keys]);
            }
            config(&text)
        })
    }

    fn apply<K: Ord + Clone>(old: BTreeSet<K>, by: &Difference<K>) -> BTreeSet<K> {
        let kept = old.into_iter().filter(|key| !by.removed.contains(key));
        kept.chain(by.added.iter().cloned()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_differs_from_itself(a in any_config()) {
            let diff = ConfigDiff::between(&a, &a);
            prop_assert!(diff.is_empty() && diff.lines().is_empty());
        }

        #[test]
        fn applied_to_the_old_names_it_gives_the_new_ones(a in any_config(), b in any_config()) {
            let diff = ConfigDiff::between(&a, &b);
            let keys = |config: &Config| config.devices.keys().cloned().collect::<BTreeSet<_>>();
            let urls = |config: &Config| endpoints(config).into_keys().collect::<BTreeSet<_>>();
            prop_assert_eq!(apply(keys(&a), &diff.devices), keys(&b));
            prop_assert_eq!(apply(urls(&a), &diff.endpoints), urls(&b));
            prop_assert_eq!(diff.is_empty(), a == b);
        }

        #[test]
        fn it_reads_the_same_backwards(a in any_config(), b in any_config()) {
            let (there, back) = (ConfigDiff::between(&a, &b), ConfigDiff::between(&b, &a));
            prop_assert_eq!(there.devices.added, back.devices.removed);
            prop_assert_eq!(there.devices.changed, back.devices.changed);
            prop_assert_eq!(there.reconnects, back.reconnects);
        }
    }
}
