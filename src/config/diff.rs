//! What an edit changes: the difference between two configurations. `moonwa plan` and the report of a reload print
//! it, and a reload that needs a restart is refused because of it. It is not used to apply a change: devices and
//! webhooks are brought in line with the whole new configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::mask::shown_url;
use super::problem::Problem;
use super::settings::{
    AdminConfig, Config, DeviceConfig, EndpointConfig, LogConfig, MediaConfig, OutboxConfig,
    ServerConfig, StoreConfig,
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

/// What differs between the configuration in force and the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigDiff {
    /// Devices; their webhooks are compared separately.
    pub devices: Difference<DeviceName>,
    /// Webhooks. Those of an added or removed device are added or removed too.
    pub endpoints: Difference<EndpointKey>,
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
            live: names(live),
            needs_restart: names(restart),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.devices.is_empty()
            && self.endpoints.is_empty()
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
        lines
    }

    /// The changes, for programs.
    pub(crate) fn to_json(&self) -> Value {
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
    ($old:expr, $new:expr, $kind:ident { $($field:ident: $key:expr),+ $(,)? } $(ignoring $ignored:ident)?) => {{
        let $kind { $($field,)+ $($ignored: _)? } = $old;
        let mut keys = Vec::new();
        $(if *$field != $new.$field { keys.push($key); })+
        keys.dedup();
        keys
    }};
}

fn gateway_keys(old: &Config, new: &Config) -> Vec<(&'static str, Applies)> {
    use Applies::{AtOnce, AtRestart};
    let Config { server, admin, store, log, outbox, media, whatsapp_version, devices: _ } = old;
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
            max_connections: ("server.max_connections", AtOnce),
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
    [&server, &admin, &store, &log, &outbox, &media, version].concat()
}

/// The keys that differ, without the webhooks: those are compared one by one.
fn device_keys(old: &DeviceConfig, new: &DeviceConfig) -> Vec<&'static str> {
    differing!(old, new, DeviceConfig {
        label: "label",
        enabled: "enabled",
        keys: "keys",
        country_code: "country_code",
        pace: "pace",
        presence: "presence",
        shown_as: "shown_as",
        proxy: "proxy",
    } ignoring webhooks)
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
        paused: "paused",
        start: "start",
    } ignoring url)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use ipnet::IpNet;
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;
    use proptest::sample::select;
    use tracing::Level;

    use super::*;
    use crate::config::settings::{
        Browser, ChatFilter, Compat, Durability, EventFilter, Format, KeyConfig, Presence, Repair,
        Scope, ShownAs, Start, System,
    };
    use crate::config::{Context, Gap, Pace, Proxy};
    use crate::model::{EventType, KeyHash, Secret};

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
    fn only_enabled_and_the_proxy_touch_a_connection() {
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
        for line in ["enabled = false", "proxy = \"http://ann:secret@proxy.example:3128\""] {
            let edit = diff(base, &format!("{base}{line}\n"));
            assert_eq!(edit.reconnects, names(&["a"]), "{line}");
            assert!(!edit.lines().concat().contains("secret"), "{line}");
        }
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

    /// One of few, so that two configurations often agree in a key.
    fn of<T: Clone + fmt::Debug + 'static>(values: impl Into<Vec<T>>) -> impl Strategy<Value = T> {
        select(values.into())
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        vec(of(["x".to_owned(), "y".to_owned()]), 0..2)
    }

    fn nets() -> impl Strategy<Value = Vec<IpNet>> {
        vec(of(["10.0.0.0/8".parse().unwrap()]), 0..2)
    }

    fn maybe<T: Clone + fmt::Debug + 'static>(value: T) -> impl Strategy<Value = Option<T>> {
        of([None, Some(value)])
    }

    fn any_server() -> impl Strategy<Value = ServerConfig> {
        let listen = of(["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().unwrap()));
        let base_path = of(["/".to_owned(), "/wa/".to_owned()]);
        (listen, words(), nets(), base_path, of([64, 256])).prop_map(
            |(listen, hosts, trusted_proxies, base_path, max_connections)| ServerConfig {
                listen,
                hosts,
                trusted_proxies,
                base_path,
                max_connections,
            },
        )
    }

    fn any_admin() -> impl Strategy<Value = AdminConfig> {
        (maybe(KeyHash::of("a token")), any::<bool>())
            .prop_map(|(token, editable)| AdminConfig { token, editable })
    }

    fn any_store() -> impl Strategy<Value = StoreConfig> {
        let path = of([PathBuf::from("data"), PathBuf::from("other")]);
        (path, of([Durability::Power, Durability::Crash]), of([Repair::Manual, Repair::Auto]))
            .prop_map(|(path, durability, repair)| StoreConfig { path, durability, repair })
    }

    fn any_log() -> impl Strategy<Value = LogConfig> {
        (of([Level::INFO, Level::DEBUG]), any::<bool>(), any::<bool>()).prop_map(
            |(level, full_jids, unsafe_dependencies)| LogConfig {
                level,
                full_jids,
                unsafe_dependencies,
            },
        )
    }

    fn any_outbox() -> impl Strategy<Value = OutboxConfig> {
        (of([1, 2].map(Duration::from_hours)), 1..3_u64)
            .prop_map(|(keep, max_size)| OutboxConfig { keep, max_size })
    }

    fn any_media() -> impl Strategy<Value = MediaConfig> {
        (1..3_u64, nets(), 1..3_u64, 1..3_u64).prop_map(
            |(max_size, allow_nets, spool, device_spool)| MediaConfig {
                max_size,
                allow_nets,
                spool,
                device_spool,
            },
        )
    }

    fn any_endpoint() -> impl Strategy<Value = EndpointConfig> {
        let secrets = vec(of([Secret::new("one"), Secret::new("two")]), 0..2);
        let events = btree_set(of(EventType::ALL), 1..3).prop_map(EventFilter);
        let quiet = ChatFilter { from_me: false, ..ChatFilter::default() };
        let chats = of([ChatFilter::default(), quiet]);
        let format = of([Format::Standard, Format::Moonwa]);
        let headers = btree_map(of(["x-a".to_owned(), "x-b".to_owned()]), "[vw]", 0..2);
        let hidden_headers = btree_set(of(["x-a".to_owned()]), 0..2);
        let compat = btree_set(of([Compat::Waha, Compat::Gowa]), 0..2);
        let timeout = of([1, 2].map(Duration::from_secs));
        let start = of([Start::Tail, Start::Earliest]);
        let keys = (
            secrets,
            (events, chats),
            format,
            (headers, hidden_headers),
            compat,
            timeout,
            any::<bool>(),
            start,
        );
        keys.prop_map(|(secrets, wanted, format, headers, compat, timeout, paused, start)| {
            let ((events, chats), (headers, hidden_headers)) = (wanted, headers);
            let (n, url) = (0, String::new());
            EndpointConfig {
                n,
                url,
                secrets,
                events,
                chats,
                format,
                headers,
                hidden_headers,
                compat,
                timeout,
                paused,
                start,
            }
        })
    }

    fn any_device() -> impl Strategy<Value = DeviceConfig> {
        let scopes = btree_set(of([Scope::Send, Scope::Admin]), 0..2);
        let key =
            (of(["default".to_owned(), "crm".to_owned()]), of(["a", "b"].map(KeyHash::of)), scopes);
        let key = key.prop_map(|(id, hash, scopes)| KeyConfig { id, hash, scopes });
        let pace = maybe(Pace::spread(Gap::Even { count: 1, per: Duration::from_secs(1) }));
        let webhooks = btree_map("[x-z]", any_endpoint(), 0..3).prop_map(|webhooks| {
            let placed = (1..).zip(webhooks);
            let placed = placed.map(|(n, (url, webhook))| EndpointConfig { n, url, ..webhook });
            placed.collect()
        });
        let label = of(["one".to_owned(), "two".to_owned()]);
        let presence = of([Presence::Unavailable, Presence::Available]);
        let safari = ShownAs { browser: Browser::Safari, system: System::MacOs };
        let shown_as = of([ShownAs::default(), safari]);
        let proxy = maybe(Proxy::parse("socks5://proxy.example:1080").unwrap());
        let said = (presence, shown_as, proxy);
        (label, any::<bool>(), vec(key, 0..2), maybe("62".to_owned()), pace, said, webhooks)
            .prop_map(|(label, enabled, keys, country_code, pace, said, webhooks)| DeviceConfig {
                enabled,
                keys,
                country_code,
                pace,
                presence: said.0,
                shown_as: said.1,
                proxy: said.2,
                webhooks,
                ..DeviceConfig::new(label)
            })
    }

    /// A configuration in which every key varies, with devices a to e.
    fn any_config() -> impl Strategy<Value = Config> {
        let name = "[a-e]".prop_map(|name| DeviceName::parse(&name).unwrap());
        let devices = btree_map(name, any_device(), 0..5);
        let sections =
            (any_server(), any_admin(), any_store(), any_log(), any_outbox(), any_media(), devices);
        sections.prop_map(|(server, admin, store, log, outbox, media, devices)| Config {
            server,
            admin,
            store,
            log,
            outbox,
            media,
            whatsapp_version: None,
            devices,
        })
    }

    type Change = fn(&mut Config);

    fn the_device(config: &mut Config) -> &mut DeviceConfig {
        config.devices.values_mut().next().unwrap()
    }

    fn the_webhook(config: &mut Config) -> &mut EndpointConfig {
        &mut the_device(config).webhooks[0]
    }

    #[test]
    fn each_key_is_told_by_its_name() {
        let gateway: [(&str, Change); 20] = [
            ("! whatsapp_version: needs a restart", |c| c.whatsapp_version = Some((2, 3000, 1))),
            ("! server.listen: needs a restart", |c| c.server.listen.set_port(1)),
            ("~ server.hosts", |c| c.server.hosts.push("a".to_owned())),
            ("~ server.trusted_proxies", |c| {
                c.server.trusted_proxies.push("10.0.0.0/8".parse().unwrap());
            }),
            ("~ server.base_path", |c| c.server.base_path.push_str("wa/")),
            ("~ server.max_connections", |c| c.server.max_connections = 64),
            ("~ admin.token", |c| c.admin.token = Some(KeyHash::of("a token"))),
            ("~ admin.editable", |c| c.admin.editable = false),
            ("! store.path: needs a restart", |c| c.store.path.push("other")),
            ("! store.durability: needs a restart", |c| c.store.durability = Durability::Crash),
            ("! store.repair: needs a restart", |c| c.store.repair = Repair::Auto),
            ("~ log.level", |c| c.log.level = Level::DEBUG),
            ("~ log.full_jids", |c| c.log.full_jids = true),
            ("! log.unsafe_dependencies: needs a restart", |c| c.log.unsafe_dependencies = true),
            ("! outbox.keep: needs a restart", |c| c.outbox.keep *= 2),
            ("! outbox.max_size: needs a restart", |c| c.outbox.max_size *= 2),
            ("! media.max_size: needs a restart", |c| c.media.max_size *= 2),
            ("! media.allow_nets: needs a restart", |c| {
                c.media.allow_nets.push("10.0.0.0/8".parse().unwrap());
            }),
            ("~ media.spool", |c| c.media.spool *= 2),
            ("~ media.device_spool", |c| c.media.device_spool *= 2),
        ];
        let device: [(&str, Change); 18] = [
            ("~ device a: label (stays connected)", |c| the_device(c).label.push('!')),
            ("~ device a: enabled", |c| the_device(c).enabled = false),
            ("~ device a: keys (stays connected)", |c| the_device(c).keys.clear()),
            ("~ device a: country_code (stays connected)", |c| {
                the_device(c).country_code = Some("62".to_owned());
            }),
            ("~ device a: pace (stays connected)", |c| {
                let gap = Gap::Even { count: 1, per: Duration::from_secs(1) };
                the_device(c).pace = Some(Pace::spread(gap));
            }),
            ("~ device a: presence (stays connected)", |c| {
                the_device(c).presence = Presence::Available;
            }),
            ("~ device a: shown_as (stays connected)", |c| {
                the_device(c).shown_as.browser = Browser::Firefox;
            }),
            ("~ webhook a https://a.example: order", |c| the_webhook(c).n += 1),
            ("~ webhook a https://a.example: secret", |c| {
                the_webhook(c).secrets.push(Secret::new("new"));
            }),
            ("~ webhook a https://a.example: events", |c| the_webhook(c).events.0.clear()),
            ("~ webhook a https://a.example: chats", |c| the_webhook(c).chats.from_me = false),
            ("~ webhook a https://a.example: format", |c| the_webhook(c).format = Format::Moonwa),
            ("~ webhook a https://a.example: headers", |c| {
                the_webhook(c).headers.insert("x-a".to_owned(), "1".to_owned());
            }),
            ("~ webhook a https://a.example: headers", |c| {
                the_webhook(c).hidden_headers.insert("x-a".to_owned());
            }),
            ("~ webhook a https://a.example: compat", |c| {
                the_webhook(c).compat.insert(Compat::Waha);
            }),
            ("~ webhook a https://a.example: timeout", |c| the_webhook(c).timeout *= 2),
            ("~ webhook a https://a.example: paused", |c| the_webhook(c).paused = true),
            ("~ webhook a https://a.example: start", |c| the_webhook(c).start = Start::Earliest),
        ];
        let base = config(
            "[device.a]\napi_key = \"a key of enough bytes\"\nwebhooks = [\"https://a.example\"]",
        );
        for (line, change) in gateway.into_iter().chain(device) {
            let mut changed = base.clone();
            change(&mut changed);
            assert_eq!(ConfigDiff::between(&base, &changed).lines(), [line]);
        }
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
