//! `moonwa.toml` as people write it: every good file is taken, every mistake is told in words that are kept here, and
//! no file, however broken, does worse than that. `UPDATE_SNAPSHOTS=1` rewrites the words.

mod included;
mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use moonwa::facade::config::{
    AdminConfig, Browser, Calls, ChatFilter, Compat, Config, Context, DeviceConfig, Durability,
    EndpointConfig, EventFilter, FaceName, Format, Gap, HistoryConfig, Hours, Inbox, KeyConfig,
    Loaded, LogConfig, MediaConfig, OutboxConfig, Pace, Presence, Proxy, ProxyProtocol, Quiet,
    Rejected, Repair, RuleConfig, RuleReply, SAMPLE, Scope, ServerConfig, ShownAs, Start,
    StoreConfig, System, Template, TextPattern, When, keep_last_good, last_good,
};
use moonwa::facade::model::{
    ChatKind, ChatPattern, DeviceName, EventType, KeyHash, Recipient, Secret,
};
use proptest::prelude::*;

const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn context(dir: &str) -> Context {
    Context {
        file: "moonwa.toml".to_owned(),
        dir: PathBuf::from(dir),
        env: Box::new(|name| {
            Some(match name {
                "OLD_SECRET" => "an old secret of enough bytes".to_owned(),
                "CRM_TOKEN" => "Bearer crm".to_owned(),
                "MOONWA_WEBHOOK_SECRET" => WHSEC.to_owned(),
                "MOONWA_CHATWOOT_TOKEN" => "a-token".to_owned(),
                _ => return None,
            })
        }),
        world_readable: false,
    }
}

fn files(dir: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    files.sort();
    files
}

fn good(name: &str) -> Loaded {
    let mut context = context("tests/it/config/good");
    let env = context.env;
    context.env = Box::new(move |name| match name {
        "CREDENTIALS_DIRECTORY" => Some("tests/it/config/good/credentials".to_owned()),
        other => env(other),
    });
    let text = fs::read(format!("tests/it/config/good/{name}.toml")).unwrap();
    Config::parse(text, &context).unwrap_or_else(|rejected| panic!("{name}: {rejected}"))
}

fn proxy(protocol: ProxyProtocol, port: u16, login: Option<(&str, &str)>) -> Proxy {
    let login = login.map(|(user, password)| (Secret::new(user), Secret::new(password)));
    Proxy { protocol, host: "proxy.example".to_owned(), port, login }
}

fn hash(digit: &str) -> KeyHash {
    KeyHash::parse(&format!("sha256:{}", digit.repeat(64))).unwrap()
}

fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).unwrap()
}

fn key(id: &str, hash: KeyHash, scopes: &[Scope]) -> KeyConfig {
    KeyConfig { id: id.to_owned(), hash, scopes: scopes.iter().copied().collect() }
}

#[test]
fn every_good_file_is_taken() {
    let files = files("tests/it/config/good");
    assert!(files.len() >= 6, "the good files are gone");
    for file in files {
        good(file.file_stem().unwrap().to_str().unwrap());
    }
}

#[test]
fn every_mistake_is_told_in_its_words() {
    let files = files("tests/it/config/bad");
    assert!(files.len() >= 35, "the bad files are gone");
    let mut differing = Vec::new();
    for file in files {
        let mut context = context("tests/it/config/bad");
        context.world_readable = file.file_name().unwrap().to_str().unwrap().starts_with("world");
        let Err(Rejected { problems, .. }) = Config::parse(fs::read(&file).unwrap(), &context)
        else {
            panic!("{} was taken", file.display())
        };
        let said = Rejected { problems, revision: None, others: Box::default() }.to_string() + "\n";
        let snapshot = file.with_extension("snap");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&snapshot, &said).unwrap();
        }
        let kept = fs::read_to_string(&snapshot).unwrap_or_default();
        if kept != said {
            differing.push(format!("{}\n--- kept\n{kept}--- said\n{said}", file.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn of_thousands_of_problems_the_first_are_told() {
    const ALL: usize = 5000;
    let unknown: Vec<String> = (0..ALL).map(|n| format!("key{n} = {n}")).collect();
    let broken: Vec<String> = (0..ALL).map(|n| format!("key{n} = =")).collect();
    for lines in [unknown, broken] {
        let rejected = Config::parse(lines.join("\n"), &context("/etc/moonwa")).unwrap_err();
        assert_eq!(rejected.problems.len(), 201);
        assert_eq!(rejected.problems[0].at.unwrap().line, 1);
        let last = rejected.problems[200].to_string();
        assert!(last.starts_with("moonwa.toml: and ") && last.contains(" more; "), "{last}");
    }
}

fn groups_only() -> ChatFilter {
    let pattern = |text| ChatPattern::parse(text).unwrap();
    ChatFilter {
        kinds: BTreeSet::from([ChatKind::Group]),
        only: vec![pattern("+62 812-3456-789"), pattern("*@g.us")],
        ignore: vec![pattern("6289*")],
        from_me: false,
    }
}

fn every_media_key() -> MediaConfig {
    MediaConfig {
        max_size: 16 << 20,
        allow_nets: vec!["192.168.1.0/24".parse().unwrap()],
        spool: 1 << 30,
        device_spool: 64 << 20,
    }
}

fn every_rule_key() -> RuleConfig {
    let hours = ["Mon-Fri 08:00-17:00", "Sat 22:00-02:00"].map(|text| Hours::parse(text).unwrap());
    RuleConfig {
        name: "tutup".to_owned(),
        when: When {
            text: Some(TextPattern::parse("(?i)harga|price").unwrap()),
            chats: BTreeSet::from([ChatKind::Person, ChatKind::Group]),
            from: vec![ChatPattern::parse("62812*").unwrap()],
            hours: hours.into(),
            time_zone: Some(jiff::tz::TimeZone::get("Europe/Berlin").unwrap()),
            first_in: Some(Duration::from_hours(24)),
            max_age: Duration::from_hours(1),
        },
        reply: Some(RuleReply {
            text: Template::parse("Halo {name}, {{tutup}}").unwrap(),
            typing: Some(Duration::from_secs(2)),
            quote: true,
        }),
        react: Some("👍🏽".to_owned()),
        forward_to: Recipient::parse("628123456789", None).ok(),
        webhook: Some(2),
        stop: true,
        cool_down: Duration::from_mins(10),
        most_per_hour: 3,
        ..RuleConfig::new(1)
    }
}

fn every_webhook_key() -> EndpointConfig {
    EndpointConfig {
        secrets: vec![Secret::new(WHSEC), Secret::new("an old secret of enough bytes")],
        events: EventFilter(BTreeSet::from([
            EventType::MessageReceived,
            EventType::MessageSent,
            EventType::MessageReaction,
            EventType::MessageEdited,
            EventType::MessageRevoked,
            EventType::MessageUndecryptable,
            EventType::MessageStatus,
            EventType::DeviceState,
        ])),
        chats: groups_only(),
        format: Format::Moonwa,
        headers: BTreeMap::from([
            ("x-team".to_owned(), "cs".to_owned()),
            ("authorization".to_owned(), "Bearer crm".to_owned()),
        ]),
        hidden_headers: BTreeSet::from(["authorization".to_owned()]),
        compat: BTreeSet::from([Compat::Waha, Compat::Gowa]),
        timeout: Duration::from_secs(5),
        paused: true,
        start: Start::Earliest,
        ..EndpointConfig::new(2, "http://127.0.0.1:5678/webhook/wa".to_owned())
    }
}

#[test]
fn every_key_means_what_the_manual_says() {
    let toko = DeviceConfig {
        label: "Admin Toko".to_owned(),
        enabled: true,
        keys: vec![
            key("default", hash("1"), &[Scope::Send, Scope::Read]),
            key("crm", hash("2"), &[Scope::Send]),
            key(
                "ops",
                KeyHash::of("mw_a-key-in-its-own-file"),
                &[Scope::Send, Scope::Read, Scope::Admin],
            ),
        ],
        country_code: Some("62".to_owned()),
        pace: Some(Pace::spread(Gap::Even { count: 20, per: Duration::from_mins(1) })),
        calls: Calls { reject: true, text: Some("Maaf, hanya pesan.".to_owned()) },
        presence: Presence::Available,
        shown_as: ShownAs { browser: Browser::Edge, system: System::Windows },
        proxy: Some(proxy(ProxyProtocol::Http, 3128, None)),
        webhooks: vec![
            EndpointConfig::new(1, "https://crm.example/wa".to_owned()),
            every_webhook_key(),
        ],
        rules: vec![every_rule_key(), RuleConfig { stop: true, ..RuleConfig::silent(2) }],
    };
    let all = EndpointConfig {
        // What is over in a moment goes only to whoever names it.
        events: EventFilter(
            EventType::ALL.into_iter().filter(|kind| *kind != EventType::PresenceUpdated).collect(),
        ),
        ..EndpointConfig::new(1, "https://gudang.example/wa".to_owned())
    };
    let gudang =
        DeviceConfig { enabled: false, webhooks: vec![all], ..DeviceConfig::new("gudang") };
    let expected = Config {
        server: ServerConfig {
            listen: "0.0.0.0:80".parse().unwrap(),
            hosts: vec!["wa.example.com".to_owned()],
            trusted_proxies: vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
            base_path: "/wa/".to_owned(),
            public_url: Some("https://wa.example.com/wa".to_owned()),
            max_connections: 1024,
            faces: vec![FaceName::Gowa, FaceName::Waha],
        },
        admin: AdminConfig { token: Some(hash("3")), editable: false },
        store: StoreConfig {
            path: PathBuf::from("/var/lib/moonwa"),
            durability: Durability::Crash,
            repair: Repair::Auto,
        },
        log: LogConfig { level: tracing::Level::WARN, full_jids: true, unsafe_dependencies: true },
        outbox: OutboxConfig { keep: Duration::from_hours(7 * 24), max_size: 1_000_000_000 },
        history: Some(HistoryConfig { keep: Duration::from_hours(90 * 24), max_size: 1 << 30 }),
        media: every_media_key(),
        whatsapp_version: Some((2, 3000, 1)),
        devices: BTreeMap::from([(name("admin-toko"), toko), (name("gudang"), gudang)]),
    };
    let loaded = good("everything");
    assert_eq!(loaded.config, expected);
    let watched: Vec<&str> =
        loaded.others.files.iter().map(|file| file.to_str().unwrap()).collect();
    let known =
        ["tests/it/config/good/credentials/admin-token", "tests/it/config/good/secrets/ops-key"];
    assert_eq!(watched, known);
}

#[test]
fn a_file_without_keys_is_the_defaults() {
    let Loaded { config, warnings, .. } = Config::parse("", &context("")).unwrap();
    assert_eq!(config, Config::default());
    assert!(warnings.is_empty());
}

#[test]
fn systemd_names_the_stores_directory() {
    let path =
        |text: &str, context: &Context| Config::parse(text, context).unwrap().config.store.path;
    assert_eq!(path("", &context("/home/ann")), Path::new("/home/ann/data"));
    // A command that a person starts finds the service's store, too.
    let mut context = context("/etc/moonwa");
    assert_eq!(path("", &context), Path::new("/var/lib/moonwa"));
    context.env = Box::new(|name| {
        (name == "STATE_DIRECTORY").then(|| "/var/lib/moonwa:/var/lib/other".to_owned())
    });
    assert_eq!(path("", &context), Path::new("/var/lib/moonwa"));
    assert_eq!(path("store.path = \"d\"", &context), Path::new("/etc/moonwa/d"));
}

#[test]
fn secrets_in_clear_are_taken_with_a_warning() {
    let text = "[device.a]\napi_key = \"a key in clear, long\"\n\
        webhooks = [{ url = \"https://a.example\", secret = \"aaaaaaaaaaaaaaaaaaaaaaaa\" }]";
    let mut context = context("");
    let warned =
        |loaded: &Loaded| loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let loaded = Config::parse(text, &context).unwrap();
    assert!(loaded.config.devices[&name("a")].keys[0].hash.matches("a key in clear, long"));
    assert_eq!(warned(&loaded).len(), 1);
    assert!(warned(&loaded)[0].starts_with("moonwa.toml:2:11: device.a.api_key: a key in clear;"));
    context.world_readable = true;
    let text = text.replace("api_key", "# api_key");
    let loaded = Config::parse(text, &context).unwrap();
    assert!(warned(&loaded)[0].contains("device.a.webhooks[1].secret: a secret in clear"));
}

#[test]
fn the_revision_covers_the_secrets_files() {
    let dir = tempfile::tempdir().unwrap();
    let (file, secret) = (dir.path().join("moonwa.toml"), dir.path().join("key"));
    fs::write(&file, "[device.a]\napi_key = { file = \"key\" }\n").unwrap();
    let missing = Config::load(&file).unwrap_err();
    assert_eq!(missing.others.files, std::slice::from_ref(&secret));
    fs::write(&secret, "a key that is long enough\n").unwrap();
    let first = Config::load(&file).unwrap();
    assert_eq!(first.others.files, std::slice::from_ref(&secret));
    assert_eq!(first.revision, Config::load(&file).unwrap().revision);
    fs::write(&secret, "another key, long enough\n").unwrap();
    let second = Config::load(&file).unwrap();
    assert_ne!(first.revision, second.revision);
    assert_ne!(Some(first.revision), missing.revision);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("moonwa.toml");
    let said = || Config::load(&file).unwrap_err().to_string();
    assert!(said().contains("there is no such file; \"moonwa init\""), "{}", said());
    fs::write(&file, "\n \n").unwrap();
    assert!(said().contains("the file is empty"), "{}", said());
    fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(said().contains("cannot be read: it is larger than 1024 KiB"), "{}", said());
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(said().contains("cannot be read: "), "{}", said());
}

static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let files = files("tests/it/config/good");
    let texts = files.iter().map(|file| fs::read(file).unwrap());
    texts.chain([SAMPLE.into(), sample::uncommented().0.into()]).collect()
});

#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Truncate(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    DropLine(prop::sample::Index),
    SwapLines(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        at().prop_map(Mutation::Truncate),
        (at(), prop::sample::select(b"\"'[]{}=.,#\n\r\\".to_vec()))
            .prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at().prop_map(Mutation::DropLine),
        (at(), at()).prop_map(|(a, b)| Mutation::SwapLines(a, b)),
    ]
}

fn mutate(text: &mut Vec<u8>, mutation: &Mutation) {
    let mut lines: Vec<Vec<u8>> =
        text.split_inclusive(|byte| *byte == b'\n').map(Vec::from).collect();
    if text.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip(at, byte) => *at.get_mut(text) = *byte,
        Mutation::Truncate(at) => text.truncate(at.index(text.len())),
        Mutation::Insert(at, byte) => text.insert(at.index(text.len()), *byte),
        Mutation::DropLine(at) => {
            lines.remove(at.index(lines.len()));
            *text = lines.concat();
        }
        Mutation::SwapLines(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            *text = lines.concat();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    #[test]
    fn a_broken_file_is_taken_or_told_where_it_is_broken(
        file in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut text = file.get(&GOOD).clone();
        for mutation in &mutations {
            mutate(&mut text, mutation);
        }
        if let Err(Rejected { problems, .. }) = Config::parse(&text, &context("tests/it/config/good")) {
            prop_assert!(!problems.is_empty());
            let rows = text.split(|byte| *byte == b'\n').count();
            for problem in problems {
                let at = problem.at.expect("a place");
                prop_assert!((1..=rows).contains(&at.line) && at.column >= 1, "{}", problem);
            }
        }
    }
}
