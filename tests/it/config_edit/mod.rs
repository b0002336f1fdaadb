//! The admin page's edits: what a person would have changed by hand and nothing else.

mod disk;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use moonwa::facade::config::{Config, DeviceEdit, Edit, EditError, EndpointEdit, Revision, SAMPLE};
use moonwa::facade::model::{DeviceName, KeyHash, Secret};

const FILE: &str = r#"# our gateway
[server]
listen = "127.0.0.1:9000" # behind nginx

# --- devices ---

# the shop
[device.toko]
label = 'Toko'   # shown on the page
webhooks = [
  "https://a.example/wa", # the CRM
  # n8n, on this machine
  { url = "http://127.0.0.1:5678/wa", events = ["message.*"], headers = { x-team = "cs" } },
]

[device.gudang] # the warehouse
enabled = false

# --- limits ---
[outbox]
keep = "24h"
"#;

const TABLES: &str = r#"[device.toko]
label = "Toko"

# the CRM
[[device.toko.webhooks]]
url = "https://a.example/wa"
[device.toko.webhooks.headers]
x-team = "cs"

# n8n
[[device.toko.webhooks]]
url = "http://127.0.0.1:5678/wa"
paused = true # until Monday

[device.gudang]
"#;

fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).unwrap()
}

fn put(device: &str, edit: DeviceEdit) -> Edit {
    Edit::Put(name(device), Box::new(edit))
}

fn hook(n: Option<usize>, url: &str) -> EndpointEdit {
    EndpointEdit { n, url: url.to_owned(), ..EndpointEdit::default() }
}

fn webhooks(device: &str, list: Vec<EndpointEdit>) -> Edit {
    put(device, DeviceEdit { webhooks: Some(list), ..DeviceEdit::default() })
}

/// The lines that an edit takes away (`-`) and puts in (`+`), and the file after it.
fn changed(text: &str, edit: &Edit) -> (String, String) {
    let edited = edit.apply(text).unwrap();
    let (old, new): (Vec<&str>, Vec<&str>) = (text.lines().collect(), edited.lines().collect());
    // The longest common subsequence, by dynamic programming from the end.
    let mut best = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            best[i][j] = if old[i] == new[j] {
                best[i + 1][j + 1] + 1
            } else {
                best[i + 1][j].max(best[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut diff) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && best[i + 1][j] >= best[i][j + 1]) {
            diff.extend(["-", old[i], "\n"]);
            i += 1;
        } else {
            diff.extend(["+", new[j], "\n"]);
            j += 1;
        }
    }
    (diff, edited)
}

fn diff(text: &str, edit: &Edit) -> String {
    changed(text, edit).0
}

#[test]
fn an_edit_without_changes_changes_nothing() {
    let same = DeviceEdit {
        label: Some("Toko".to_owned()),
        webhooks: Some(vec![
            hook(Some(1), "https://a.example/wa"),
            EndpointEdit {
                events: Some(vec!["message.*".to_owned()]),
                ..hook(Some(2), "http://127.0.0.1:5678/wa")
            },
        ]),
        ..DeviceEdit::default()
    };
    for text in [FILE, TABLES, SAMPLE] {
        let toko = if text == SAMPLE { "admin-toko" } else { "toko" };
        assert_eq!(put(toko, DeviceEdit::default()).apply(text).unwrap(), text);
    }
    assert_eq!(put("toko", same).apply(FILE).unwrap(), FILE);
}

#[test]
fn a_device_is_added_at_the_end_of_the_file() {
    let edit = DeviceEdit {
        label: Some("Kantor".to_owned()),
        webhooks: Some(vec![hook(None, "https://k.example/wa")]),
        ..DeviceEdit::default()
    };
    let table = "[device.kantor]\nlabel = \"Kantor\"\nwebhooks = [\"https://k.example/wa\"]\n";
    let log = "[log]\nlevel = \"info\"\n";
    let commented = "[device.a]\n# label = \"A\"\n";
    for text in [FILE, TABLES, SAMPLE, log, commented, "# nothing yet\n"] {
        assert_eq!(put("kantor", edit.clone()).apply(text).unwrap(), format!("{text}\n{table}"));
    }
    assert_eq!(put("kantor", edit).apply("").unwrap(), table);
}

#[test]
fn a_device_is_removed_with_its_own_lines() {
    let (lines, edited) = changed(FILE, &Edit::Remove(name("gudang")));
    assert_eq!(lines, "-[device.gudang] # the warehouse\n-enabled = false\n-\n");
    assert!(edited.contains("# --- limits ---"));
    let (_, edited) = changed(FILE, &Edit::Remove(name("toko")));
    assert!(edited.contains("# --- devices ---") && !edited.contains("the shop"), "{edited}");
    let (_, edited) = changed(TABLES, &Edit::Remove(name("toko")));
    assert_eq!(edited.trim(), "[device.gudang]");
    let (_, edited) = changed(SAMPLE, &Edit::Remove(name("admin-toko")));
    assert!(edited.contains("# One table per WhatsApp number."), "{edited}");
    assert!(Edit::Remove(name("nobody")).apply(FILE).is_none());
}

#[test]
fn keys_are_set_changed_and_removed() {
    let set = DeviceEdit {
        label: Some("Toko Budi".to_owned()),
        enabled: Some(false),
        api_key: Some(KeyHash::of("x")),
        country_code: Some("62".to_owned()),
        pace: Some("20/min".to_owned()),
        presence: Some("available".to_owned()),
        shown_as: Some("Safari (Mac OS)".to_owned()),
        proxy: Some(Secret::new("socks5://ann:sesame-7@proxy.example:1080")),
        webhooks: None,
        comments: vec!["This is only said above a new table".to_owned()],
    };
    let expected = format!(
        "-label = 'Toko'   # shown on the page\n+label = \"Toko Budi\"   # shown on the page\n\
         +enabled = false\n+api_key = \"{}\"\n+country_code = \"62\"\n+pace = \"20/min\"\n\
         +presence = \"available\"\n+shown_as = \"Safari (Mac OS)\"\n\
         +proxy = \"socks5://ann:sesame-7@proxy.example:1080\"\n",
        KeyHash::of("x")
    );
    assert_eq!(diff(FILE, &put("toko", set)), expected);
    let unset = DeviceEdit { label: Some(String::new()), ..DeviceEdit::default() };
    assert_eq!(diff(FILE, &put("toko", unset)), "-label = 'Toko'   # shown on the page\n");
}

#[test]
fn what_is_said_of_a_new_device_stands_above_it_and_goes_with_it() {
    let comments = ["One thing", "Another\n[server]\nlisten = \"0.0.0.0:1\""].map(str::to_owned);
    let label = Some("Baru".to_owned());
    let edit =
        put("baru", DeviceEdit { label, comments: comments.into(), ..DeviceEdit::default() });
    let lines = "# One thing.\n# Another [server] listen = \"0.0.0.0:1\".\n[device.baru]\nlabel = \"Baru\"\n";
    let added = edit.apply(FILE).unwrap();
    assert_eq!(added, format!("{FILE}\n{lines}"));
    assert_eq!(edit.to_paste(FILE).unwrap(), lines);
    let removed = Edit::Remove(name("baru")).apply(&added).unwrap();
    assert!(!removed.contains("One thing") && !removed.contains("Another"), "{removed}");
    // The lists of one line have no place for them.
    let inline = edit.apply("device = { toko = {} }\n").unwrap();
    assert!(inline.contains("baru = { label = \"Baru\" }"), "{inline}");
}

#[test]
fn a_webhook_is_added_to_a_list() {
    let list = vec![
        hook(Some(1), "https://a.example/wa"),
        hook(Some(2), "http://127.0.0.1:5678/wa"),
        EndpointEdit { secret: Some("whsec_x".to_owned()), ..hook(None, "https://new.example") },
    ];
    assert_eq!(
        diff(FILE, &webhooks("toko", list)),
        "+  { url = \"https://new.example\", secret = \"whsec_x\" },\n"
    );
}

#[test]
fn a_webhook_in_a_list_is_changed_in_its_place() {
    let list = vec![
        EndpointEdit { format: Some("moonwa".to_owned()), ..hook(Some(1), "https://a.example/wa") },
        EndpointEdit {
            events: Some(Vec::new()),
            paused: Some(true),
            ..hook(Some(2), "http://127.0.0.1:9999/wa")
        },
    ];
    assert_eq!(
        diff(FILE, &webhooks("toko", list)),
        "-  \"https://a.example/wa\", # the CRM\n\
         +  { url = \"https://a.example/wa\", format = \"moonwa\" }, # the CRM\n\
         -  { url = \"http://127.0.0.1:5678/wa\", events = [\"message.*\"], headers = { x-team = \"cs\" } },\n\
         +  { url = \"http://127.0.0.1:9999/wa\", headers = { x-team = \"cs\" }, paused = true },\n"
    );
}

#[test]
fn webhooks_of_a_list_are_removed() {
    let edit = webhooks("toko", vec![hook(Some(2), "http://127.0.0.1:5678/wa")]);
    assert!(diff(FILE, &edit).contains("-  \"https://a.example/wa\", # the CRM\n"));
    let none = diff(FILE, &webhooks("toko", Vec::new()));
    assert!(none.starts_with("-webhooks = [\n") && !none.contains('+'), "{none}");
}

#[test]
fn a_rule_goes_on_naming_its_webhook() {
    let rules =
        "[[device.toko.rules]]\nwebhook = 1 # the CRM\n\n[[device.toko.rules]]\nwebhook = 2\n";
    let file = TABLES.replace("[device.gudang]", &format!("{rules}\n[device.gudang]"));
    let list =
        vec![hook(Some(2), "http://127.0.0.1:5678/wa"), hook(Some(1), "https://a.example/wa")];
    let edited = webhooks("toko", list).apply(&file).unwrap();
    let swapped = rules.replace("= 1", "= x").replace("= 2", "= 1").replace("= x", "= 2");
    assert!(edited.contains(&swapped), "{edited}");
    // Nobody else gets what was meant for one that is removed: the file is refused.
    let edited = webhooks("toko", vec![hook(Some(2), "http://127.0.0.1:5678/wa")]).apply(&file);
    let gone = rules.replace("= 1", "= 0").replace("= 2", "= 1");
    assert!(edited.as_ref().unwrap().contains(&gone), "{edited:?}");
    let inline = "[device.toko]\nwebhooks = [\"https://a.example\", \"https://b.example\"]\nrules = [{ webhook = 2 }]\n";
    let edited = webhooks("toko", vec![hook(Some(2), "https://b.example")]).apply(inline).unwrap();
    assert!(edited.contains("rules = [{ webhook = 1 }]"), "{edited}");
}

#[test]
fn webhooks_that_are_tables_stay_tables() {
    let list = vec![
        EndpointEdit { paused: Some(false), ..hook(Some(2), "http://127.0.0.1:5678/wa") },
        hook(Some(1), "https://b.example/wa"),
        hook(None, "https://c.example/wa"),
    ];
    let edited = webhooks("toko", list).apply(TABLES).unwrap();
    assert_eq!(
        edited,
        r#"[device.toko]
label = "Toko"

# n8n
[[device.toko.webhooks]]
url = "http://127.0.0.1:5678/wa"
paused = false # until Monday

# the CRM
[[device.toko.webhooks]]
url = "https://b.example/wa"
[device.toko.webhooks.headers]
x-team = "cs"

[[device.toko.webhooks]]
url = "https://c.example/wa"

[device.gudang]
"#
    );
}

#[test]
fn inline_tables_and_dotted_keys_are_edited_as_they_are() {
    let edit =
        |device| put(device, DeviceEdit { pace: Some("1/s".to_owned()), ..DeviceEdit::default() });
    let inline = "device.toko = { label = \"Toko\" }\n";
    assert_eq!(
        edit("toko").apply(inline).unwrap(),
        "device.toko = { label = \"Toko\", pace = \"1/s\" }\n"
    );
    let whole = "device = { toko = { label = \"Toko\" } }\n";
    let edited = edit("gudang").apply(whole).unwrap();
    assert_eq!(edited, "device = { toko = { label = \"Toko\" }, gudang = { pace = \"1/s\" } }\n");
    let dotted = "device.toko.label = \"Toko\" # shop\nlog.level = \"warn\"\n";
    let edited = edit("toko").apply(dotted).unwrap();
    assert_eq!(
        edited,
        "device.toko.label = \"Toko\" # shop\ndevice.toko.pace = \"1/s\"\nlog.level = \"warn\"\n"
    );
    let edited = edit("gudang").apply(dotted).unwrap();
    assert!(
        edited.starts_with(dotted) && edited.ends_with("[device.gudang]\npace = \"1/s\"\n"),
        "{edited}"
    );
}

#[test]
fn line_ends_and_the_byte_order_mark_stay() {
    let windows = format!("\u{feff}{}", FILE.replace('\n', "\r\n"));
    let edit = put("toko", DeviceEdit { pace: Some("1/s".to_owned()), ..DeviceEdit::default() });
    let edited = edit.apply(&windows).unwrap();
    assert_eq!(edited, format!("\u{feff}{}", edit.apply(FILE).unwrap().replace('\n', "\r\n")));
}

const INLINE: &str = "# all in a line
device.toko = { label = \"Toko\", webhooks = [\"https://a.example/wa\", { url = \"http://127.0.0.1:5678/wa\" }] } # shop

device.gudang = { enabled = false }
";

const DOTTED: &str = "# dotted
device.toko.label = \"Toko\" # shop
device.toko.webhooks = [\"https://a.example/wa\", \"http://127.0.0.1:5678/wa\"] # both
device.gudang.enabled = false
log.level = \"warn\"
";

/// Every operation of the page.
fn operations() -> Vec<(&'static str, Edit)> {
    let text = |text: &str| Some(text.to_owned());
    let (one, two) = ("https://a.example/wa", "http://127.0.0.1:5678/wa");
    let moved = EndpointEdit { paused: Some(true), ..hook(Some(2), "https://moved.example") };
    let secret = EndpointEdit { secret: text("whsec_x"), ..hook(None, "https://new.example") };
    let none = DeviceEdit::default;
    let key = Some(KeyHash::of("x"));
    vec![
        ("label set", put("toko", DeviceEdit { label: text("Shop"), ..none() })),
        ("label removed", put("toko", DeviceEdit { label: text(""), ..none() })),
        ("disabled", put("toko", DeviceEdit { enabled: Some(false), ..none() })),
        ("key made", put("toko", DeviceEdit { api_key: key, ..none() })),
        ("webhook added", webhooks("toko", vec![hook(Some(1), one), hook(Some(2), two), secret])),
        ("webhook changed", webhooks("toko", vec![hook(Some(1), one), moved])),
        ("webhook removed", webhooks("toko", vec![hook(Some(2), two)])),
        ("webhooks swapped", webhooks("toko", vec![hook(Some(2), two), hook(Some(1), one)])),
        ("webhooks gone", webhooks("toko", Vec::new())),
        ("device added", put("new", DeviceEdit { label: text("New"), ..none() })),
        ("device removed", Edit::Remove(name("toko"))),
    ]
}

#[test]
fn every_operation_on_every_form_of_toml_is_kept_as_a_diff() {
    let forms = [
        ("tables and lists", FILE),
        ("tables only", TABLES),
        ("inline", INLINE),
        ("dotted", DOTTED),
    ];
    let mut said = String::new();
    for (what, edit) in operations() {
        for (form, text) in forms {
            let (lines, edited) = changed(text, &edit);
            assert!(edited.parse::<toml_edit::DocumentMut>().is_ok(), "{what}, {form}:\n{edited}");
            said.extend(["== ", what, ": ", form, "\n", &lines]);
            // However the lines end and the file begins, the edit is the same.
            let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
            assert_eq!(edit.apply(&windows(text)).unwrap(), windows(&edited), "{what}, {form}");
        }
    }
    let snapshot = "tests/it/config/edits.snap";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(snapshot, &said).unwrap();
    }
    assert_eq!(fs::read_to_string(snapshot).unwrap_or_default(), said);
}

#[test]
fn a_pace_is_written_as_a_text_or_as_a_table() {
    let table = "{ gap = \"8s..15s\", per_day = 500, typing = true }";
    let edited = paced(table).apply("[device.toko]\npace = \"1/s\" # slow\n").unwrap();
    assert_eq!(edited, format!("[device.toko]\npace = {table} # slow\n"));
    let own = edited.replace(", per_day", ",   per_day");
    assert_eq!(paced(table).apply(&own).unwrap(), own, "the same keeps its form");
    assert_eq!(paced("1/s").apply(&own).unwrap(), "[device.toko]\npace = \"1/s\" # slow\n");
    let torn = paced("{ gap = ").apply("[device.toko]\n").unwrap();
    assert_eq!(torn, "[device.toko]\npace = \"{ gap = \"\n", "the file's reader refuses it");
}

fn paced(pace: &str) -> Edit {
    put("toko", DeviceEdit { pace: Some(pace.to_owned()), ..DeviceEdit::default() })
}

#[test]
fn what_to_paste_is_one_list_whatever_the_form_in_the_file_and_without_its_secrets() {
    let secrets =
        "secret = [\"an old secret, of enough bytes\", # another one\n  { env = \"NEW\" }]\npaused";
    let edit = webhooks(
        "toko",
        vec![hook(Some(2), "https://new.example"), hook(Some(1), "https://a.example/wa")],
    );
    let toml = edit.to_paste(&TABLES.replace("paused", secrets)).unwrap();
    let expected = "[device.toko] # here, in place of what has the same name\nwebhooks = [\n  \
        { url = \"https://new.example\", secret = [\"(as before, not shown)\", { env = \"NEW\" }], paused = true },\n  \
        { url = \"https://a.example/wa\", headers = { x-team = \"cs\" } },\n]\n";
    assert_eq!(toml, expected);
    let none = webhooks("toko", Vec::new()).to_paste(TABLES).unwrap();
    assert!(none.ends_with("\n# Remove \"webhooks\" here.\n"), "{none}");
}

#[test]
fn headers_are_edited_one_by_one() {
    let headers = |list: &[(&str, Option<&str>)]| -> Option<BTreeMap<String, Option<String>>> {
        let one =
            |(name, text): &(&str, Option<&str>)| ((*name).to_owned(), text.map(ToOwned::to_owned));
        Some(list.iter().map(one).collect())
    };
    let edit = |n: usize, list: &[(&str, Option<&str>)]| {
        let entries =
            [hook(Some(1), "https://a.example/wa"), hook(Some(2), "http://127.0.0.1:5678/wa")];
        let mut entries: Vec<EndpointEdit> = entries.into();
        entries[n - 1].headers = headers(list);
        webhooks("toko", entries)
    };
    let old = "{ url = \"http://127.0.0.1:5678/wa\", events = [\"message.*\"], headers = { x-team = \"cs\" } }";
    assert_eq!(diff(FILE, &edit(2, &[("X-Team", None)])), "");
    assert_eq!(
        diff(FILE, &edit(2, &[("x-team", None), ("x-more", Some("1"))])),
        format!(
            "-  {old},\n+  {},\n",
            old.replace("x-team = \"cs\"", "x-team = \"cs\", x-more = \"1\"")
        )
    );
    assert_eq!(
        diff(FILE, &edit(2, &[])),
        format!("-  {old},\n+  {},\n", old.replace(", headers = { x-team = \"cs\" }", ""))
    );
    assert_eq!(
        diff(FILE, &edit(1, &[("x-team", Some("cs"))])),
        "-  \"https://a.example/wa\", # the CRM\n\
         +  { url = \"https://a.example/wa\", headers = { x-team = \"cs\" } }, # the CRM\n"
    );
    assert_eq!(
        diff(TABLES, &edit(1, &[("x-team", Some("it"))])),
        "-x-team = \"cs\"\n+x-team = \"it\"\n"
    );
}
