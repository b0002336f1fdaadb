//! `moonwa adopt`: a device that another gateway has linked goes on here, from every form in which others keep theirs.
//! The clients that really make such files are in `clients`.

pub(crate) mod layout;
mod server;
mod upload;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use moonwa_simulator::harness::{Answer, Delivery, Moonwa, WebhookReceiver, api_key, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::layout::{Identity, WHATSAPP_RUST, WHATSMEOW, hex};
use crate::clients::adopt::{adopt, read_all, refused, stopped_gateway};
use crate::terminal::Terminal;

/// A device of Ann's whose gateway is gone, and the people.
pub(crate) struct Left {
    pub(crate) sim: Simulator,
    pub(crate) people: [Phone; 3],
    pub(crate) identity: Identity,
    folder: TempDir,
}

impl Left {
    pub(crate) async fn behind() -> Result<Self> {
        let sim = Simulator::start().await?;
        let people = [
            sim.phone("628333000201", "Ann").await,
            sim.phone("628333000202", "Bob").await,
            sim.phone("628333000203", "Cid").await,
        ];
        let [ann, bob, _] = &people;
        let hook = WebhookReceiver::start().await?;
        let binary = env!("CARGO_BIN_EXE_moonwa");
        let mut old =
            Moonwa::builder(binary).whatsapp(&sim).device("lama", &[hook.url()]).start().await?;
        old.link("lama", ann).await?;
        bob.send_text(ann, "sebelum").await?;
        hook.expect_text("sebelum").await;
        old.send_text("lama", bob.number(), "ya").await?;
        bob.expect_text("ya").await?;
        // The account's name comes in its own time.
        let backup = || async {
            let backup = old.admin().get("/v1/backup").await.ok()?;
            Some(Identity::of(&backup.body, "lama").ok()?.push_name())
        };
        let named = |name: &Option<String>| name.as_deref() == Some("Ann");
        eventually("the account's name on the disk", backup, named).await;
        old.kill().await?;
        let (code, text) = old.command(&["backup", "saved.json"]).await?;
        assert_eq!(code, 0, "{text}");
        let identity = Identity::of(&fs::read(old.dir().join("saved.json"))?, "lama")?;
        Ok(Self { sim, people, identity, folder: tempfile::tempdir()? })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn adopted(&self, arguments: &[&str]) -> Result<()> {
        let mut moonwa = stopped_gateway(&self.sim).await?;
        let [ann, bob, cid] = &self.people;
        adopt(&self.sim, &mut moonwa, arguments, [ann, bob, cid]).await?;
        moonwa.stop().await?;
        Ok(())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A database as a gateway leaves it that was stopped a while ago.
pub(crate) fn database(path: &Path, sql: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("no folder")?)?;
    rusqlite::Connection::open(path)?.execute_batch(sql)?;
    rest(path)
}

fn rest(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            rest(&entry?.path())?;
        }
        return Ok(());
    }
    Ok(fs::File::open(path)?.set_modified(SystemTime::UNIX_EPOCH)?)
}

#[tokio::test]
async fn from_waxum() -> Result<()> {
    let left = Left::behind().await?;
    let rows = left.identity.as_whatsapp_rust();
    database(&left.path("sessions/toko-1/whatsapp.db"), &[WHATSAPP_RUST, &rows].concat())?;
    database(&left.path("sessions/waxum.db"), "CREATE TABLE sessions (id TEXT);")?;
    let unlinked = "INSERT INTO device (id, lid, pn, registration_id, noise_key, identity_key, signed_pre_key, \
                    signed_pre_key_id, signed_pre_key_signature, adv_secret_key) \
                    VALUES (1, '', '', 1, x'', x'', x'', 1, x'', x'');";
    database(&left.path("sessions/baru/whatsapp.db"), &[WHATSAPP_RUST, unlinked].concat())?;
    let from = left.path("sessions");
    let moonwa = stopped_gateway(&left.sim).await?;
    let (code, said) = moonwa.command(&["adopt", "--list", "--from", text(&from)]).await?;
    assert_eq!(code, 1, "{said}");
    for words in [
        "2 sessions of whatsapp-rust",
        "baru cannot be adopted: it was never linked",
        &format!("toko-1 +{} \"Ann\", linked 20", left.people[0].number()),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    left.adopted(&["--from", text(&from), "--session", "toko-1"]).await
}

#[tokio::test]
async fn from_one_of_wahas_sessions() -> Result<()> {
    let left = Left::behind().await?;
    for n in 1..=20 {
        let folder = left.path(&format!(".sessions/noweb/toko-{n}"));
        left.identity.as_baileys(&folder)?;
        if n != 7 {
            let other = left.identity.credentials().to_string();
            let other = other.replace(left.people[0].number(), &format!("62833300{n:04}"));
            fs::write(folder.join("creds.json"), other)?;
        }
        database(&folder.join("store.sqlite3"), "CREATE TABLE messages (id TEXT);")?;
    }
    rest(left.folder.path())?;
    let from = left.path(".sessions");
    let moonwa = stopped_gateway(&left.sim).await?;
    let (code, said) = moonwa.command(&["adopt", "--list", "--from", text(&from)]).await?;
    assert_eq!((code, said.contains("20 sessions of Baileys")), (0, true), "{said}");
    let listed = said.lines().filter(|line| line.starts_with("toko-")).count();
    assert_eq!(listed, 20, "{said}");
    for missing in [&[][..], &["--session", "toko-21"]] {
        let arguments = [&["toko", "--from", text(&from)][..], missing].concat();
        refused(&moonwa, &arguments, "say which session with --session; there are: toko-1,")
            .await?;
    }
    left.adopted(&["--from", text(&from), "--session", "toko-7"]).await
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_words() -> Result<()> {
    let left = Left::behind().await?;
    let moonwa = stopped_gateway(&left.sim).await?;
    let path = left.path("main.db");
    database(&path, &[WHATSMEOW, &left.identity.as_whatsmeow(hex)].concat())?;
    let whole = fs::read(&path)?;
    for (name, bytes, words) in [
        ("half.db", &whole[..whole.len() / 2], "half.db is damaged"),
        // A database of SQLCipher begins with its salt.
        (
            "secret.db",
            b"\x9f\x12\x03secret and nothing else",
            "is encrypted (SQLCipher) or damaged",
        ),
        ("notes.txt", b"buy milk", "no session that moonwa knows"),
    ] {
        let path = left.path(name);
        fs::write(&path, bytes)?;
        rest(&path)?;
        refused(&moonwa, &["toko", "--from", text(&path)], words).await?;
    }
    let nobody = "postgres://u:s3cret@127.0.0.1:1/none";
    let (code, said) = moonwa.command(&["adopt", "--list", "--from", nobody]).await?;
    assert_eq!((code, said.contains("does not let moonwa in")), (1, true), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_runs_is_refused_with_what_to_stop() -> Result<()> {
    let left = Left::behind().await?;
    let moonwa = stopped_gateway(&left.sim).await?;
    let folder = left.path("noweb/default");
    left.identity.as_baileys(&folder)?;
    rest(&folder)?;
    let from = ["toko", "--from", text(&folder)];
    let number = left.people[0].number();

    // Its files rest, but its API says that it runs.
    let api = WebhookReceiver::start().await?;
    let list = |status: &str| {
        json!([{ "name": "default", "status": status,
                             "me": { "id": format!("{number}@c.us") } }])
    };
    let url = format!("http://:kunci@{}", api.address());
    let answers = |status: u16, body: Value| {
        api.otherwise(Some(Answer { status, ..Answer::body(body.to_string()) }));
    };
    let with_url = [&from[..], &["--old-url", &url]].concat();
    answers(200, list("WORKING"));
    let (code, said) = moonwa.command(&[&["adopt"], &with_url[..]].concat()).await?;
    assert_eq!(code, 1, "{said}");
    for words in ["is connected there", "WAHA (NOWEB): curl", "unlinks the phone"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("kunci"), "{said}");
    answers(401, json!({}));
    refused(&moonwa, &with_url, "it wants its key").await?;
    answers(200, json!({ "hello": "world" }));
    refused(&moonwa, &with_url, "does not say that").await?;
    let (code, said) = moonwa.command(&["adopt", "--stop-hint", "--from", text(&folder)]).await?;
    assert_eq!((code, said.contains("WAHA (NOWEB): curl")), (0, true), "{said}");
    assert!(!said.contains("Evolution"), "{said}");

    answers(200, list("STOPPED"));
    left.adopted(&with_url[1..]).await
}

#[tokio::test]
async fn nothing_is_half_done() -> Result<()> {
    let left = Left::behind().await?;
    let mut moonwa = stopped_gateway(&left.sim).await?;
    let folder = left.path("auth_info");
    left.identity.as_baileys(&folder)?;
    rest(&folder)?;
    let from = ["toko", "--from", text(&folder)];
    let file = moonwa.dir().join("moonwa.toml");
    let before = fs::read_to_string(&file)?;

    // A file that only a person may write.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440))?;
    refused(&moonwa, &from, "add these lines there, then run this again\n[device.toko]").await?;
    assert_eq!(fs::read_to_string(&file)?, before);
    // With the lines in it, the same command attaches the session to the table that is there.
    let table = format!("\n[device.toko]\nenabled = false\napi_key = {:?}\n", api_key("toko"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    moonwa.edit_config(|text| text + table.as_str())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440))?;
    let (code, said) = moonwa.command(&[&["adopt"], &from[..]].concat()).await?;
    assert_eq!(code, 0, "{said}");
    for words in ["[device.toko] is there and stays", "once enabled = false is taken out"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(fs::read_to_string(&file)?, before + table.as_str());

    // The name is taken now, and so is the session.
    refused(&moonwa, &from, "this session is adopted already: it is the device toko").await?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    moonwa.edit_config(|text| text.replace("enabled = false\n", ""))?;
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_the_gateway_was_told_moves_too() -> Result<()> {
    let left = Left::behind().await?;
    let [ann, bob, _] = &left.people;
    let hook = WebhookReceiver::start().await?;
    let folder = left.path("noweb/default");
    left.identity.as_baileys(&folder)?;
    let settings = json!({ "webhooks": [
        { "url": hook.url(), "events": ["message", "presence.update", "engine.event"],
          "hmac": { "key": "kunci rahasia lama yang panjang" },
          "customHeaders": [{ "name": "x-team", "value": "cs" }] },
        { "url": "http://127.0.0.1:1/wa", "hmac": { "key": "pendek" } },
    ] });
    fs::write(folder.join(".waha.session.config.json"), settings.to_string())?;
    rest(&folder)?;
    let mut moonwa = stopped_gateway(&left.sim).await?;
    let (code, said) = moonwa.command(&["adopt", "toko", "--from", text(&folder)]).await?;
    assert_eq!(code, 0, "{said}");
    let secret = moonwa.dir().join("toko.webhook-1.secret");
    for words in [
        "+ [device.toko]\n",
        "events = [\"message.received\", \"presence.updated\"]",
        "secret = { file = \"toko.webhook-1.secret\" }",
        "format = \"waha\"",
        "# The event engine.event has no counterpart.",
        "# The secret of http://127.0.0.1:1/wa has fewer than 24 bytes, so its requests are not signed. Make one with",
        "moonwa key new toko --write",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("kunci"), "{said}");
    let written = fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    assert!(written.contains("# The event engine.event has no counterpart.\n"), "{written}");
    assert_eq!(fs::read_to_string(&secret)?, "kunci rahasia lama yang panjang");
    assert_eq!(fs::metadata(&secret)?.permissions().mode() & 0o777, 0o600);
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(ann, "sesudah").await?;
    let body = |told: &Delivery| told.json()["payload"]["body"] == "sesudah";
    let told = hook.expect("the message as WAHA posts it", body).await;
    assert_eq!(
        (told.header("x-team"), told.header("x-webhook-hmac").is_empty()),
        ("cs".to_owned(), false)
    );
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn wuzapis_webhook_moves_too() -> Result<()> {
    let left = Left::behind().await?;
    let moonwa = stopped_gateway(&left.sim).await?;
    let main = left.path("dbdata/main.db");
    database(&main, &[WHATSMEOW, &left.identity.as_whatsmeow(hex)].concat())?;
    let users = format!(
        "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT, token TEXT, webhook TEXT, jid TEXT, events TEXT, \
         hmac_key BLOB); INSERT INTO users VALUES ('a', 'toko', 't', 'http://127.0.0.1:1/wa', '{}', \
         'ReadReceipt,CallOffer,HistorySync', x'00');",
        left.identity.pn()
    );
    database(&left.path("dbdata/users.db"), &users)?;
    let (code, said) = moonwa.command(&["adopt", "toko", "--from", text(&main), "--yes"]).await?;
    assert_eq!(code, 0, "{said}");
    for words in [
        "events = [\"call.offer\", \"message.status\"]",
        "url = \"http://127.0.0.1:1/wa\"",
        "# The event HistorySync has no counterpart.",
        "# wuzapi keeps the webhook's secret encrypted",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn gowas_flags_move_too() -> Result<()> {
    let left = Left::behind().await?;
    let moonwa = stopped_gateway(&left.sim).await?;
    let from = left.path("gowa/storages/whatsapp.db");
    database(&from, &[WHATSMEOW, &left.identity.as_whatsmeow(hex)].concat())?;
    let compose = "services:\n  gowa:\n    image: aldinokemal2104/go-whatsapp-web-multidevice\n    command:\n      - rest\n      \
                   - --basic-auth=ann:sesame\n      - --webhook=http://127.0.0.1:1/wa\n      - --webhook-events=message,label\n";
    fs::write(left.path("gowa/docker-compose.yml"), compose)?;
    let unit = left.path("other.service");
    fs::write(
        &unit,
        "[Service]\nExecStart=/opt/gowa rest -w http://127.0.0.1:2/wa --webhook-secret \"kunci yang cukup panjang\"\n",
    )?;
    let with_unit = ["adopt", "toko", "--from", text(&from), "--settings", text(&unit)];
    let mut asked = Terminal::open(moonwa.dir(), &with_unit.join(" "), &[])?;
    let shown = asked.shows("Adopt it as toko?").await;
    for words in ["http://127.0.0.1:2/wa", "secret = { file = \"toko.webhook-1.secret\" }"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    asked.types("n\n").await?;
    asked.shows("Nothing was changed.").await;
    assert_eq!(asked.script.wait().await?.code(), Some(1));
    assert!(!moonwa.dir().join("toko.webhook-1.secret").exists());

    let (code, said) = moonwa.command(&["adopt", "toko", "--from", text(&from)]).await?;
    assert_eq!(code, 0, "{said}");
    let written = fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    for words in [
        "# APP_BASIC_AUTH has no counterpart",
        "# The event label has no counterpart.",
        // GOWA's own, of six bytes.
        "# The secret of http://127.0.0.1:1/wa has fewer than 24 bytes",
        "[device.toko]\n",
        "events = [\"message.received\", \"message.sent\"]",
        "format = \"gowa\"",
    ] {
        assert!(said.contains(words) && written.contains(words), "{words}: {said} {written}");
    }
    assert!(!said.contains("sesame") && !written.contains("sesame"), "{said} {written}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_is_written_and_is_asked() -> Result<()> {
    let left = Left::behind().await?;
    let mut moonwa = stopped_gateway(&left.sim).await?;
    let folder = left.path("auth_info");
    left.identity.as_baileys(&folder)?;
    rest(&folder)?;
    let file = moonwa.dir().join("moonwa.toml");
    let before = fs::read_to_string(&file)?;
    let command = format!("adopt toko --from {}", text(&folder));
    for answer in ["", "n", "ya"] {
        let mut asked = Terminal::open(moonwa.dir(), &command, &[])?;
        let question = "Adopt it as toko? The old gateway must stay stopped. [y/N]";
        let shown = asked.shows(question).await;
        assert!(shown.contains("+ [device.toko]"), "{shown}");
        asked.types(&format!("{answer}\n")).await?;
        asked.shows("Nothing was changed.").await;
        assert_eq!(asked.script.wait().await?.code(), Some(1));
    }
    assert_eq!(fs::read_to_string(&file)?, before);
    let mut asked = Terminal::open(moonwa.dir(), &command, &[])?;
    asked.shows("[y/N]").await;
    asked.types("y\n").await?;
    asked.shows("To go back: stop moonwa, set enabled = false for toko").await;
    assert!(asked.script.wait().await?.success(), "{}", asked.shown());

    // Out of the file by mistake: the same command puts the table back, and nothing is adopted a second time.
    moonwa.edit_config(|_| before.clone())?;
    let (code, said) = moonwa.command(&["adopt", "toko", "--from", text(&folder)]).await?;
    assert_eq!((code, said.contains("+ [device.toko]")), (0, true), "{said}");
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    moonwa.stop().await?;
    Ok(())
}

/// A database whose rows are in its journal, as a gateway that runs keeps it.
fn in_journal(path: &Path, sql: &str) -> Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(path)?;
    let mode = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;";
    connection.execute_batch(&[mode, sql].concat())?;
    Ok(connection)
}

#[tokio::test]
async fn a_database_that_is_open_or_was_just_written_is_refused() -> Result<()> {
    let left = Left::behind().await?;
    let moonwa = stopped_gateway(&left.sim).await?;
    let path = left.path("whatsapp.db");
    let sql = [WHATSMEOW, &left.identity.as_whatsmeow(hex)].concat();
    let running = in_journal(&path, &sql)?;
    let from = ["toko", "--from", text(&path)];
    rest(left.folder.path())?;
    refused(&moonwa, &from, "is in use by process").await?;
    running.execute_batch("CREATE TABLE more (id TEXT);")?;
    refused(&moonwa, &from, "whatsapp.db-wal was written").await?;
    let (code, said) = moonwa.command(&[&["adopt"], &from[..]].concat()).await?;
    assert_eq!((code, said.contains("docker stop CONTAINER")), (1, true), "{said}");

    // As a crash leaves it: what is only in the journal counts, and both files stay as they are.
    let crashed = left.path("crashed");
    fs::create_dir(&crashed)?;
    for name in ["whatsapp.db", "whatsapp.db-wal"] {
        fs::copy(left.path(name), crashed.join(name))?;
    }
    drop(running);
    rest(&crashed)?;
    let before = read_all(&crashed)?;
    left.adopted(&["--from", text(&crashed.join("whatsapp.db"))]).await?;
    assert_eq!(read_all(&crashed)?, before);
    Ok(())
}
