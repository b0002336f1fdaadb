//! The manual runs as it is, and tells the truth about every key.

use super::*;

#[test]
fn the_sample_runs_as_it_is_with_one_device() {
    let Loaded { config, warnings, .. } = Config::parse(SAMPLE, &context("")).unwrap();
    assert!(warnings.is_empty());
    let devices = BTreeMap::from([(name("admin-toko"), DeviceConfig::new("Admin Toko"))]);
    assert_eq!(config, Config { devices, ..Config::default() });
}

/// The sample with every line uncommented that is a key or a table's head.
pub(super) fn uncommented() -> (String, usize) {
    let is_key = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| {
            key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
    };
    let mut count = 0;
    let lines = SAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(code) if is_key(code) || code.starts_with('[') => {
            count += 1;
            code
        }
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    (text, count)
}

#[test]
fn every_commented_key_of_the_sample_is_its_default_or_an_example() {
    let (text, count) = uncommented();
    assert!(count >= 28, "only {count} commented keys: has the sample's form changed?");
    let Loaded { config, warnings, .. } =
        Config::parse(text, &context("")).unwrap_or_else(|rejected| panic!("{rejected}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    let toko = DeviceConfig {
        label: "Admin Toko".to_owned(),
        enabled: true,
        keys: vec![
            key("default", hash("1"), &[Scope::Send, Scope::Read]),
            key("crm", hash("2"), &[Scope::Send]),
        ],
        country_code: Some("62".to_owned()),
        pace: Some(Pace {
            gap: Gap::Between { least: Duration::from_secs(8), most: Duration::from_secs(15) },
            per_day: Some(500),
            new_chats_per_day: Some(50),
            quiet: Some(Quiet { from: 21 * 60, to: 7 * 60 }),
            typing: true,
        }),
        calls: Calls { reject: true, text: Some("Maaf, nomor ini hanya untuk pesan.".to_owned()) },
        presence: Presence::default(),
        shown_as: ShownAs::default(),
        proxy: Some(proxy(ProxyProtocol::Socks5, 1080, Some(("user", "password")))),
        webhooks: vec![
            EndpointConfig {
                secrets: vec![Secret::new(WHSEC)],
                headers: BTreeMap::from([("x-team".to_owned(), "cs".to_owned())]),
                ..EndpointConfig::new(1, "http://127.0.0.1:5678/webhook/wa".to_owned())
            },
            EndpointConfig {
                format: Format::Chatwoot,
                inbox: Some(Inbox { account: 1, inbox: 5 }),
                token: Some(Secret::new("a-token")),
                events: EventFilter(BTreeSet::from([
                    EventType::MessageReceived,
                    EventType::MessageSent,
                    EventType::MessageReaction,
                    EventType::MessageEdited,
                    EventType::MessageRevoked,
                    EventType::MessageStatus,
                ])),
                ..EndpointConfig::new(2, "https://chatwoot.example".to_owned())
            },
        ],
        rules: vec![price_rule()],
    };
    let examples = Config {
        server: ServerConfig {
            public_url: Some("https://wa.example.com".to_owned()),
            ..ServerConfig::default()
        },
        admin: AdminConfig { token: Some(hash("0")), ..AdminConfig::default() },
        history: Some(HistoryConfig::default()),
        whatsapp_version: Some((2, 3000, 1_047_769_893)),
        devices: BTreeMap::from([(name("admin-toko"), toko)]),
        ..Config::default()
    };
    assert_eq!(config, examples);
}

fn price_rule() -> RuleConfig {
    let text = Template::parse("Halo {name}, daftar harga: https://toko.example/harga").unwrap();
    RuleConfig {
        name: "harga".to_owned(),
        when: When {
            text: Some(TextPattern::parse("(?i)^(harga|price)").unwrap()),
            from: vec![ChatPattern::parse("62*").unwrap()],
            hours: vec![Hours::parse("08:00-17:00").unwrap()],
            time_zone: Some(jiff::tz::TimeZone::get("Asia/Jakarta").unwrap()),
            first_in: Some(Duration::from_hours(24)),
            ..When::default()
        },
        reply: Some(RuleReply { text, typing: Some(Duration::from_secs(2)), quote: false }),
        react: Some("👍".to_owned()),
        forward_to: Recipient::parse("628123456789", None).ok(),
        webhook: Some(1),
        ..RuleConfig::new(1)
    }
}

#[test]
fn the_sample_names_every_key_there_is() {
    // Whatever a section knows, it lists when it is asked for a key that it does not know.
    let nonsense = "zzzzzzzzzzzz = 1\n";
    let sections = ["server", "admin", "store", "log", "outbox", "history", "media", "device.a"];
    let heads = sections.map(|section| format!("[{section}]\n"));
    let webhook = "[[device.a.webhooks]]\nurl = \"https://a.example\"\n";
    let rule = "[[device.a.rules]]\nstop = true\n";
    let parts = heads.iter().map(String::as_str).chain([webhook, rule]);
    let text: String =
        [nonsense].into_iter().chain(parts.flat_map(|part| [part, nonsense])).collect();
    let Rejected { problems, .. } = Config::parse(text, &context("")).unwrap_err();
    assert_eq!(problems.len(), 11);
    for problem in problems {
        let hint = problem.hint.unwrap();
        let keys = hint.strip_prefix("known here: ").unwrap_or_else(|| panic!("{hint}"));
        for key in keys.split(", ") {
            let shown = [
                format!("\n# {key} = "),
                format!("\n{key} = "),
                format!("[{key}]"),
                format!("[{key}."),
                format!("{key} = ["),
            ];
            assert!(shown.iter().any(|form| SAMPLE.contains(form)), "the sample lacks {key}");
        }
    }
}
