//! What counts as a change, and what it is called.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use tracing::Level;

use super::*;
use crate::config::endpoint::{ChatFilter, Compat, EventFilter, Format, Start};
use crate::config::settings::{
    Browser, Durability, FaceName, HistoryConfig, KeyConfig, Presence, Repair, Scope, ShownAs,
    System,
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
fn rules_are_told_by_their_names_and_touch_no_connection() {
    let rules = |rules: &str| format!("[device.a]\nrules = [{rules}]");
    let old = rules(
        "{ name = \"harga\", reply = \"a\" }, { stop = true }, { name = \"sama\", react = \"👍\" }",
    );
    let new = rules(
        "{ name = \"harga\", when = { text = \"x\" }, reply = \"b\", cool_down = \"1m\" }, { name = \"baru\", stop = true }, \
         { name = \"sama\", react = \"👍\" }",
    );
    let diff = diff(&old, &new);
    let lines = ["+ rule a baru", "~ rule a harga: when, reply, cool_down", "- rule a 2"];
    assert_eq!(diff.lines(), lines);
    assert!(!diff.is_empty() && diff.reconnects.is_empty());
    let json = diff.to_json();
    assert_eq!(json["rules"]["added"], json!([{ "device": "a", "name": "baru" }]));
    assert_eq!(json["rules"]["changed"][0]["keys"], json!(["when", "reply", "cool_down"]));
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
    let two =
        |a, b| format!("[device.a]\nwebhooks = [\"https://{a}.example\", \"https://{b}.example\"]");
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
    let public_url = maybe("https://wa.example.com".to_owned());
    let faces = of([Vec::new(), vec![FaceName::Gowa]]);
    (listen, words(), nets(), base_path, public_url, of([64, 256]), faces).prop_map(
        |(listen, hosts, trusted_proxies, base_path, public_url, max_connections, faces)| {
            ServerConfig {
                listen,
                hosts,
                trusted_proxies,
                base_path,
                public_url,
                max_connections,
                faces,
            }
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

fn any_history() -> impl Strategy<Value = Option<HistoryConfig>> {
    let some = (of([1, 2].map(Duration::from_hours)), 1..3_u64)
        .prop_map(|(keep, max_size)| HistoryConfig { keep, max_size });
    proptest::option::of(some)
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
        any::<(bool, bool)>(),
        start,
    );
    keys.prop_map(|(secrets, wanted, format, headers, compat, timeout, (qr, paused), start)| {
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
            qr,
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
    (label, any::<bool>(), vec(key, 0..2), maybe("62".to_owned()), pace, said, webhooks).prop_map(
        |(label, enabled, keys, country_code, pace, said, webhooks)| DeviceConfig {
            enabled,
            keys,
            country_code,
            pace,
            presence: said.0,
            shown_as: said.1,
            proxy: said.2,
            webhooks,
            ..DeviceConfig::new(label)
        },
    )
}

/// A configuration in which every key varies, with devices a to e.
fn any_config() -> impl Strategy<Value = Config> {
    let name = "[a-e]".prop_map(|name| DeviceName::parse(&name).unwrap());
    let devices = btree_map(name, any_device(), 0..5);
    let sections = (
        any_server(),
        any_admin(),
        any_store(),
        any_log(),
        any_outbox(),
        any_history(),
        any_media(),
        devices,
    );
    sections.prop_map(|(server, admin, store, log, outbox, history, media, devices)| Config {
        server,
        admin,
        store,
        log,
        outbox,
        history,
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
    let gateway: [(&str, Change); 23] = [
        ("! whatsapp_version: needs a restart", |c| c.whatsapp_version = Some((2, 3000, 1))),
        ("! server.listen: needs a restart", |c| c.server.listen.set_port(1)),
        ("~ server.hosts", |c| c.server.hosts.push("a".to_owned())),
        ("~ server.trusted_proxies", |c| {
            c.server.trusted_proxies.push("10.0.0.0/8".parse().unwrap());
        }),
        ("~ server.base_path", |c| c.server.base_path.push_str("wa/")),
        ("~ server.public_url", |c| c.server.public_url = Some("https://wa.example".to_owned())),
        ("~ server.max_connections", |c| c.server.max_connections = 64),
        ("~ server.faces", |c| c.server.faces.push(FaceName::Gowa)),
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
        ("~ history", |c| c.history = Some(HistoryConfig::default())),
        ("! media.max_size: needs a restart", |c| c.media.max_size *= 2),
        ("! media.allow_nets: needs a restart", |c| {
            c.media.allow_nets.push("10.0.0.0/8".parse().unwrap());
        }),
        ("~ media.spool", |c| c.media.spool *= 2),
        ("~ media.device_spool", |c| c.media.device_spool *= 2),
    ];
    let device: [(&str, Change); 20] = [
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
        ("~ device a: calls (stays connected)", |c| the_device(c).calls.reject = true),
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
        ("~ webhook a https://a.example: qr", |c| the_webhook(c).qr = true),
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
