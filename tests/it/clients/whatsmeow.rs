//! whatsmeow, the Go library that most bridges to WhatsApp are built on.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moonwa_simulator::{Fault, Phone, Simulator};
use serde_json::{Value, json};
use tokio::process::Command;

use super::adopt::{adopt, let_rest, read_all, refused, stopped_gateway};
use super::foreign::{Foreign, PICTURE, data_of, edit_and_revoke, gateway, people};

struct Whatsmeow(Foreign);

impl Whatsmeow {
    /// By pair code: the newest version that the Go module proxy has makes QR codes of four fields, which phones refuse.
    async fn by_code(sim: &Simulator, phone: &Phone) -> Result<Self> {
        Self::in_store(sim, phone, None).await
    }

    /// The same, with the store that another has left in a folder.
    async fn in_store(sim: &Simulator, phone: &Phone, store: Option<&Path>) -> Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/whatsmeow/client");
        let key = BASE64_STANDARD.encode(sim.root_public_key());
        let mut this = Self(Foreign::start(|directory| {
            let mut command = Command::new(program);
            command
                .args([&sim.ws_url(), &sim.http_url(), &key])
                .arg(store.unwrap_or(directory.path()));
            command
        })?);
        this.event("QR").await?;
        let code = this.0.call("code", json!({ "to": phone.number() })).await?;
        phone.enter_code(code.as_str().context("no code")?).await?;
        this.event("Connected").await?;
        this.event("OfflineSyncCompleted").await?;
        Ok(this)
    }

    /// Waits for the first event of that kind.
    async fn event(&mut self, kind: &str) -> Result<Value> {
        let name = format!("*events.{kind}");
        Ok(self.0.expect(&name, |told| told["event"] == name.as_str()).await?["data"].clone())
    }

    /// Calls something that sends; answers the message's id.
    async fn send(&mut self, call: &str, values: Value) -> Result<String> {
        let id = self.0.call(call, values).await?;
        Ok(id.as_str().context("no id")?.to_owned())
    }

    /// Waits until it has read a message for which `good` holds; answers it.
    async fn read(&mut self, what: &str, good: impl Fn(&Value) -> bool) -> Result<Value> {
        let is_it =
            |told: &Value| told["event"] == "*events.Message" && good(&told["data"]["message"]);
        Ok(self.0.expect(what, is_it).await?["data"].clone())
    }

    async fn read_text(&mut self, text: &str) -> Result<Value> {
        self.read(text, |message| {
            message["conversation"] == text
                || message["extendedTextMessage"]["text"] == text
                || message["imageMessage"]["caption"] == text
        })
        .await
    }

    /// Waits for a receipt of that type; whatsmeow's for a delivery is empty.
    async fn receipt(&mut self, kind: &str, id: &str) -> Result<()> {
        let is_it = |told: &Value| {
            let (data, named) = (&told["data"], &told["data"]["MessageIDs"]);
            told["event"] == "*events.Receipt"
                && data["Type"] == kind
                && named.as_array().is_some_and(|ids| ids.iter().any(|named| named == id))
        };
        self.0.expect(kind, is_it).await.map(drop)
    }
}

#[tokio::test]
#[ignore = "needs go and whatsmeow; .ci/run builds it and runs this"]
async fn as_a_contact_it_reads_the_gateway_and_is_read() -> Result<()> {
    let sim = Simulator::start().await?;
    let [ann, bob, cid] = people(&sim).await;
    let (moonwa, hook) = gateway(&sim, &ann).await?;
    let mut bobs = Whatsmeow::by_code(&sim, &bob).await?;
    let key = moonwa.key_of("toko");
    let messages = "/v1/devices/toko/messages";
    let text = |to: &str, text: &str| json!({ "to": to, "content": { "conversation": text } });

    // Text and receipts.
    let asked = bobs.send("send", text(&ann.jid(), "halo, toko")).await?;
    let data = data_of(&hook, "message.received", "halo, toko").await;
    assert_eq!((&data["id"], &data["from"]["phone"]), (&json!(asked), &json!(bob.number())));
    bobs.receipt("", &asked).await?;
    key.post(&format!("{messages}/{asked}/read"), &Value::Null).await?.expect(204);
    bobs.receipt("read", &asked).await?;
    let told = moonwa.send_text("toko", bob.number(), "siap, kak").await?;
    assert_eq!(bobs.read_text("siap, kak").await?["info"]["ID"], told);
    moonwa.wait_status("toko", &told, "delivered").await;
    bobs.0.call("read", json!({ "id": told })).await?;
    moonwa.wait_status("toko", &told, "read").await;

    // Pictures.
    let file = BASE64_STANDARD.encode(PICTURE);
    bobs.send("image", json!({ "to": ann.jid(), "file": file, "caption": "bukti" })).await?;
    let data = data_of(&hook, "message.received", "bukti").await;
    let url = data["media"]["url"].as_str().context("no picture")?;
    assert_eq!(key.get(url).await?.expect(200).body, PICTURE);
    let image = json!({ "base64": file, "caption": "nota" });
    key.post(messages, &json!({ "to": bob.number(), "image": image })).await?.expect(202);
    let read = bobs.read_text("nota").await?;
    assert_eq!(bobs.send("download", json!({ "id": read["info"]["ID"] })).await?, file);

    // Edits and revokes.
    let change = json!({ "to": ann.jid(), "id": asked, "content": { "conversation": "halo!" } });
    bobs.send("edit", change.clone()).await?;
    assert_eq!(data_of(&hook, "message.edited", "halo!").await["details"]["message"], asked);
    bobs.send("revoke", change).await?;
    assert_eq!(data_of(&hook, "message.revoked", "").await["details"]["message"], asked);
    edit_and_revoke(&moonwa, &told, "siap!").await?;
    for kind in ["MESSAGE_EDIT", "REVOKE"] {
        let is_it = |message: &Value| {
            let protocol = &message["protocolMessage"];
            protocol["type"] == kind && protocol["key"]["ID"] == told
        };
        bobs.read(kind, is_it).await?;
    }

    // Groups.
    let group = sim.group("Tim Toko", &[&bob, &ann, &cid]).await?;
    bobs.send("send", text(&group.jid(), "rapat jam tiga")).await?;
    let data = data_of(&hook, "message.received", "rapat jam tiga").await;
    assert_eq!(data["group"], group.jid());
    let told = moonwa.send_text("toko", &group.jid(), "baik").await?;
    assert_eq!(bobs.read_text("baik").await?["info"]["ID"], told);

    // What cannot be read is asked for again.
    sim.fault(&bob, Fault::Undecryptable);
    let lost = moonwa.send_text("toko", bob.number(), "sekali lagi").await?;
    assert_eq!(bobs.read_text("sekali lagi").await?["info"]["ID"], lost);
    sim.fault(&ann, Fault::Undecryptable);
    let lost = bobs.send("send", text(&ann.jid(), "ulang")).await?;
    assert_eq!(data_of(&hook, "message.received", "ulang").await["id"], lost);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs go and whatsmeow; .ci/run builds it and runs this"]
async fn its_session_is_adopted() -> Result<()> {
    let sim = Simulator::start().await?;
    let [ann, bob, cid] = people(&sim).await;
    let dia = sim.phone("628333000104", "Dia").await;
    let mut moonwa = stopped_gateway(&sim).await?;
    let mut anns = Whatsmeow::by_code(&sim, &ann).await?;
    bob.send_text(&ann, "sebelum").await?;
    anns.read_text("sebelum").await?;
    let answer = json!({ "to": bob.jid(), "content": { "conversation": "ya" } });
    anns.send("send", answer).await?;
    bob.expect_text("ya").await?;
    let directory = anns.0.stop().await?;
    Whatsmeow::in_store(&sim, &dia, Some(directory.path())).await?.0.stop().await?;
    let store = directory.path().join("store.db");
    let from = store.to_str().context("no UTF-8")?;
    let journal = fs::metadata(directory.path().join("store.db-wal"))?;
    assert!(journal.len() > 0, "the newest rows are not in the file yet");

    let (code, text) = moonwa.command(&["adopt", "--list", "--from", from]).await?;
    assert_eq!((code, text.contains("2 sessions of whatsmeow")), (0, true), "{text}");
    for person in [&ann, &dia] {
        assert!(text.contains(&format!("+{} ", person.number())), "{text}");
    }
    let session = ["--from", from, "--session", ann.number()];
    let taken = [&["toko"], &session[..]].concat();
    refused(&moonwa, &taken, "s ago: stop the gateway").await?;
    let_rest(directory.path())?;
    let held = fs::File::open(&store)?;
    refused(&moonwa, &taken, "is in use by process").await?;
    drop(held);
    refused(&moonwa, &taken[..3], "say which session with --session; there are: ").await?;

    // What is damaged or somebody else's.
    let other = tempfile::tempdir()?;
    let path = other.path().join("store.db");
    for end in ["", "-wal"] {
        let name = format!("store.db{end}");
        fs::copy(directory.path().join(&name), other.path().join(&name))?;
    }
    let change = |sql: &str| rusqlite::Connection::open(&path)?.execute_batch(sql);
    change("PRAGMA journal_mode = delete")?;
    let whole = fs::read(&path)?;
    let to = path.to_str().context("no UTF-8")?;
    let session = ["toko", "--from", to, "--session"];
    for (sql, words) in [
        ("UPDATE whatsmeow_device SET noise_key = x'00'", "noise_key is missing or damaged"),
        ("UPDATE whatsmeow_device SET adv_details = x'00'", "not signed for its identity key"),
        ("ALTER TABLE whatsmeow_device DROP COLUMN push_name", "push_name is missing or damaged"),
        ("DROP TABLE whatsmeow_device", "no session that moonwa knows"),
    ] {
        fs::write(&path, &whole)?;
        change(&format!("PRAGMA ignore_check_constraints = on; PRAGMA foreign_keys = off; {sql}"))?;
        let_rest(other.path())?;
        let name = format!("{}:1", ann.number());
        refused(&moonwa, &[&session[..], &[&name]].concat(), words).await?;
        refused(&moonwa, &["--list", "--from", to], words).await?;
    }
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "is damaged: "),
        (b"SQLite format 3\0", "is damaged: "),
        (b"not a database", "no session that moonwa knows"),
    ] {
        fs::write(&path, bytes)?;
        refused(&moonwa, &["--list", "--from", to], words).await?;
    }

    let before = read_all(directory.path())?;
    adopt(&sim, &mut moonwa, &taken[1..], [&ann, &bob, &cid]).await?;
    assert!(before == read_all(directory.path())?, "the source was written to");
    moonwa.stop().await?;
    Ok(())
}
