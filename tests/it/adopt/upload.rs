//! The same from the page or a program: files that are sent to a gateway that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use hyper::Method;
use hyper::header::AUTHORIZATION;
use moonwa_simulator::harness::{Moonwa, Reply, WebhookReceiver, api_key, eventually};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::layout::{WHATSAPP_RUST, WHATSMEOW, hex};
use super::{Left, database, in_journal};
use crate::clients::adopt::read_all;

const ANY: &str = "application/octet-stream";
const FORM: &str = "multipart/form-data; boundary=XX";

async fn gateway(left: &Left) -> Result<Moonwa> {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&left.sim).start().await
}

/// A form with these files in it, as browsers and curl send them.
fn form(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!(
            "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--XX--\r\n");
    body
}

/// Nothing that was sent is on the disk any more.
async fn nothing_stays(moonwa: &Moonwa) {
    let spool = moonwa.dir().join("data/spool");
    let left = || async { fs::read_dir(&spool).map_or(0, Iterator::count) };
    eventually("an empty spool", left, |left| *left == 0).await;
}

async fn list(moonwa: &Moonwa, kind: &str, body: Vec<u8>) -> Result<Reply> {
    moonwa.admin().post_bytes("/v1/foreign", kind, body).await
}

fn refused(reply: Reply, status: u16, code: &str, words: &str) {
    let problem = reply.expect(status).json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert_eq!(problem["code"], code, "{problem}");
    assert!(detail.contains(words), "{words}: {problem}");
    assert!(!detail.contains("/spool/"), "{problem}");
}

/// The device connects without a QR code, and both directions work.
async fn goes_on(left: &Left, moonwa: &Moonwa, hook: &WebhookReceiver) -> Result<()> {
    let [ann, bob, cid] = &left.people;
    moonwa.wait_state("toko", "connected").await;
    assert_eq!(ann.devices().len(), 1, "no other device was linked");
    cid.send_text(ann, "kenalan").await?;
    hook.expect_text("kenalan").await;
    bob.send_text(ann, "sesudah").await?;
    hook.expect_text("sesudah").await;
    let body = json!({ "to": bob.number(), "text": "dari moonwa" });
    moonwa.admin().post("/v1/devices/toko/messages", &body).await?.expect(202);
    bob.expect_text("dari moonwa").await?;
    left.sim.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_database_becomes_a_new_device_that_connects_at_once() -> Result<()> {
    let left = Left::behind().await?;
    let path = left.path("whatsapp.db");
    let foreign = "INSERT INTO whatsmeow_device SELECT '628999:3@s.whatsapp.net', NULL, NULL, 1, x'00', x'', x'', 1, x'', \
                   x'', x'', x'', x'', x'', '', '', '', 0;";
    database(&path, &[WHATSMEOW, &left.identity.as_whatsmeow(hex), foreign].concat())?;
    let bytes = fs::read(&path)?;
    let moonwa = gateway(&left).await?;
    let number = left.people[0].number();

    let found = list(&moonwa, ANY, bytes.clone()).await?.expect(200).json();
    let [ours, other] = found["sessions"].as_array().expect("sessions").as_slice() else {
        panic!("{found}");
    };
    assert_eq!((&ours["number"], &ours["push_name"]), (&json!(number), &json!("Ann")));
    assert_eq!((&ours["device"], &ours["problem"]), (&Value::Null, &Value::Null));
    assert!(ours["linked_at"].as_str().is_some_and(|at| at.starts_with("20")), "{ours}");
    assert!(other["problem"].as_str().is_some_and(|why| why.contains("noise_key")), "{other}");
    assert!(found["stop"].to_string().contains("unlinks the phone"), "{found}");
    nothing_stays(&moonwa).await;

    let adopt = "/v1/devices/toko/adopt";
    let reply = moonwa.admin().post_bytes(adopt, ANY, bytes.clone()).await?;
    refused(reply, 422, "source_unreadable", "say which session with ?session=; there are: ");
    let wanted = format!("{adopt}?session={number}");
    let done = moonwa.admin().post_bytes(&wanted, ANY, bytes.clone()).await?.expect(201).json();
    assert_eq!((&done["name"], &done["number"]), (&json!("toko"), &json!(number)));
    let file = fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    assert!(file.contains("[device.toko]"), "{file}");
    moonwa.wait_state("toko", "connected").await;
    let hook = WebhookReceiver::start().await?;
    let hooks = json!({ "webhooks": [{ "url": hook.url() }] });
    moonwa.admin().put("/v1/devices/toko", None, &hooks).await?.expect(200);
    goes_on(&left, &moonwa, &hook).await?;

    let found = list(&moonwa, ANY, bytes.clone()).await?.expect(200).json();
    assert!(found.to_string().contains("\"device\":\"toko\""), "{found}");
    for name in ["toko", "lain"] {
        let again = format!("/v1/devices/{name}/adopt?session={number}");
        let reply = moonwa.admin().post_bytes(&again, ANY, bytes.clone()).await?;
        refused(reply, 409, "already_linked", "it is the device toko");
    }
    nothing_stays(&moonwa).await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_of_baileys_becomes_a_device_that_is_there_but_not_while_it_is_linked()
-> Result<()> {
    let left = Left::behind().await?;
    let folder = left.path("auth_info");
    left.identity.as_baileys(&folder)?;
    let files = read_all(&folder)?;
    assert!(files.len() > 64, "more parts than other forms may have");
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&left.sim)
        .device("toko", &[hook.url()])
        .start()
        .await?;
    let found = list(&moonwa, FORM, form(&files)).await?.expect(200).json();
    assert_eq!(found["sessions"][0]["name"], left.people[0].number());
    assert_eq!(found["sessions"][0]["notes"], json!([]));

    // Only whoever may add devices may do this.
    let adopt = "/v1/devices/toko/adopt";
    for path in ["/v1/foreign", adopt] {
        moonwa.key_of("toko").post_bytes(path, FORM, form(&files)).await?.expect(403);
        moonwa.anyone().post_bytes(path, FORM, form(&files)).await?.expect(401);
    }
    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    moonwa.qr("toko").await;
    let reply = moonwa.admin().post_bytes(adopt, FORM, form(&files)).await?;
    refused(reply, 409, "conflict", "toko is being linked now");
    assert_eq!(moonwa.device("toko").await?["state"], "linking");
    moonwa.admin().post("/v1/devices/toko/stop", &Value::Null).await?.expect(202);
    let before = fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    moonwa.admin().post_bytes(adopt, FORM, form(&files)).await?.expect(200);
    assert_eq!(fs::read_to_string(moonwa.dir().join("moonwa.toml"))?, before);
    goes_on(&left, &moonwa, &hook).await?;
    nothing_stays(&moonwa).await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_databases_journal_counts() -> Result<()> {
    let left = Left::behind().await?;
    let path = left.path("main.db");
    let sql = [WHATSMEOW, &left.identity.as_whatsmeow(hex)].concat();
    let running = in_journal(&path, &sql)?;
    let file = |name: &str| Ok((name.to_owned(), fs::read(left.path(name))?));
    let both: Vec<_> = ["main.db", "main.db-wal"].map(file).into_iter().collect::<Result<_>>()?;
    drop(running);
    let moonwa = gateway(&left).await?;
    let found = list(&moonwa, FORM, form(&both)).await?.expect(200).json();
    assert_eq!(found["sessions"][0]["number"], left.people[0].number());
    let reply = list(&moonwa, FORM, form(&both[..1])).await?;
    refused(reply, 422, "source_unreadable", "no session that moonwa knows");
    nothing_stays(&moonwa).await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_no_session_is_refused_with_words_and_not_kept() -> Result<()> {
    let left = Left::behind().await?;
    let mut moonwa = gateway(&left).await?;
    let path = left.path("main.db");
    database(&path, &[WHATSMEOW, &left.identity.as_whatsmeow(hex)].concat())?;
    let whole = fs::read(&path)?;
    let empty = left.path("empty.db");
    database(&empty, WHATSAPP_RUST)?;
    let credentials = left.identity.credentials().to_string();
    let wrong_key = credentials.replace("advSecretKey", "advSecret");
    let bad = whole.iter().map(|byte| byte ^ 0x5a).collect::<Vec<_>>();
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "is damaged"),
        (&whole[..100], "is damaged"),
        (&bad, "no session that moonwa knows"),
        // A database of SQLCipher begins with its salt.
        (b"\x9f\x12\x03secret and nothing else", "is encrypted (SQLCipher) or damaged"),
        (b"buy milk", "no session that moonwa knows"),
        (b"", "there is nothing in it"),
        (b"{}", "creds.json lacks me.id"),
        (b"{\"me\"", "creds.json is damaged or not Baileys'"),
        (wrong_key.as_bytes(), "lacks advSecretKey"),
        (&fs::read(&empty)?, "no session that moonwa knows"),
    ] {
        for path in ["/v1/foreign", "/v1/devices/toko/adopt"] {
            let reply = moonwa.admin().post_bytes(path, ANY, bytes.to_vec()).await?;
            refused(reply, 422, "source_unreadable", words);
        }
    }
    let twice = ["creds.json", "creds.json"].map(|name| (name.to_owned(), b"{}".to_vec()));
    refused(
        list(&moonwa, FORM, form(&twice)).await?,
        422,
        "source_unreadable",
        "two files are called",
    );
    let outside = [
        ("../../../moonwa.toml".to_owned(), b"[server]".to_vec()),
        ("..".to_owned(), b"x".to_vec()),
    ];
    refused(
        list(&moonwa, FORM, form(&outside)).await?,
        422,
        "source_unreadable",
        "no session that",
    );
    list(&moonwa, FORM, form(&[])).await?.expect(400);
    nothing_stays(&moonwa).await;
    assert!(!fs::read_to_string(moonwa.dir().join("moonwa.toml"))?.contains("toko"));

    // What a crash in the middle of it leaves goes at the next start.
    let token = moonwa.admin().request(Method::POST, "/v1/foreign").body(())?;
    let token = token.headers()[AUTHORIZATION].to_str()?.to_owned();
    let mut sender = TcpStream::connect(moonwa.address()).await?;
    let head = format!(
        "POST /v1/foreign HTTP/1.1\r\nhost: localhost\r\nauthorization: {token}\r\ncontent-length: {}\r\n\r\n",
        whole.len()
    );
    sender.write_all(head.as_bytes()).await?;
    sender.write_all(&whole[..whole.len() / 2]).await?;
    let spool = moonwa.dir().join("data/spool");
    let modes = || async {
        let folder = fs::read_dir(&spool).ok()?.flatten().next()?.path();
        let file = fs::read_dir(&folder).ok()?.flatten().next()?.metadata().ok()?;
        let mode = |of: &fs::Metadata| of.permissions().mode() & 0o777;
        (file.len() > 0).then(|| fs::metadata(&folder).ok().map(|of| (mode(&of), mode(&file))))?
    };
    let modes = eventually("half of it", modes, Option::is_some).await;
    assert_eq!(modes, Some((0o700, 0o600)), "for moonwa's user alone");
    moonwa.kill().await?;
    assert_eq!(fs::read_dir(&spool)?.count(), 1);
    moonwa.relaunch().await?;
    assert_eq!(fs::read_dir(&spool)?.count(), 0);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn where_moonwa_may_not_write_its_file_nothing_is_adopted() -> Result<()> {
    let left = Left::behind().await?;
    let folder = left.path("noweb");
    left.identity.as_baileys(&folder)?;
    let settings = json!({ "webhooks": [{ "url": "http://127.0.0.1:1/wa", "events": ["message", "engine.event"],
        "hmac": { "key": "kunci rahasia lama yang panjang" } }] });
    fs::write(folder.join(".waha.session.config.json"), settings.to_string())?;
    let files = form(&read_all(&folder)?);
    let moonwa = gateway(&left).await?;
    let file = moonwa.dir().join("moonwa.toml");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode));
    let adopt = "/v1/devices/toko/adopt";
    let secret = |n: u32| moonwa.dir().join(format!("toko.webhook-{n}.secret"));

    mode(0o440)?;
    let reply = moonwa.admin().post_bytes(adopt, FORM, files.clone()).await?;
    let problem = reply.expect(409).json();
    assert_eq!(problem["code"], "config_read_only", "{problem}");
    let toml = problem["toml"].as_str().unwrap_or_default();
    assert!(toml.contains("# The event engine.event has no counterpart.\n"), "{toml}");
    assert!(!toml.contains("kunci") && !Path::new(&secret(1)).exists(), "{toml}");
    moonwa.admin().get("/v1/devices/toko").await?.expect(404);

    mode(0o640)?;
    let done = moonwa.admin().post_bytes(adopt, FORM, files.clone()).await?.expect(201).json();
    assert!(done["notes"].to_string().contains("engine.event"), "{done}");
    moonwa.wait_state("toko", "connected").await;
    let text = fs::read_to_string(&file)?;
    for words in [
        "# The event engine.event has no counterpart.\n",
        "[device.toko]\n",
        "format = \"waha\"",
        "secret = { file = \"toko.webhook-1.secret\" }",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(fs::read_to_string(secret(1))?, "kunci rahasia lama yang panjang");
    assert!(!text.contains(&api_key("toko")));
    nothing_stays(&moonwa).await;
    moonwa.stop().await?;
    Ok(())
}
