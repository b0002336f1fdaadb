//! Baileys, which most of the world's unofficial WhatsApp programs are built on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moonwa_simulator::harness::{Delivery, Moonwa, WebhookReceiver};
use moonwa_simulator::{Fault, Group, Phone, Simulator, Target};
use serde_json::{Value, json};
use tokio::process::Command;

use super::adopt::{adopt, let_rest, read_all, refused, stopped_gateway};
use super::foreign::{Foreign, PICTURE, data_of, edit_and_revoke, gateway, people};

struct Baileys(Foreign);

impl Baileys {
    /// Starts it without an account; it shows a QR code.
    async fn start(sim: &Simulator) -> Result<(Self, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let key = BASE64_STANDARD.encode(sim.root_public_key());
        let mut this = Self(Foreign::start(|directory| {
            let mut node = Command::new("node");
            node.arg(root.join("tests/it/clients/baileys.mjs"))
                .arg(root.join("target/baileys/node_modules/@whiskeysockets/baileys/lib/index.js"))
                .args([&sim.ws_url(), &key])
                .arg(directory.path());
            node
        })?);
        let qr = this.0.expect("a QR code", |told| told["data"]["qr"].is_string()).await?;
        let qr = qr["data"]["qr"].as_str().unwrap_or_default().to_owned();
        Ok((this, qr))
    }

    async fn by_qr(sim: &Simulator, phone: &Phone) -> Result<Self> {
        let (mut this, qr) = Self::start(sim).await?;
        phone.scan(&qr).await?;
        this.linked(phone).await?;
        Ok(this)
    }

    async fn by_code(sim: &Simulator, phone: &Phone) -> Result<Self> {
        let (mut this, _) = Self::start(sim).await?;
        let code = this.0.call("requestPairingCode", json!([phone.number()])).await?;
        phone.enter_code(code.as_str().context("no code")?).await?;
        this.linked(phone).await?;
        Ok(this)
    }

    async fn linked(&mut self, phone: &Phone) -> Result<()> {
        let is_up = |told: &Value| told["data"]["receivedPendingNotifications"] == true;
        self.0.expect("the end of the offline queue", is_up).await?;
        // It holds everything back until the phone has told it of the time before.
        phone.share_history(phone.devices().last().context("no companion")?.id).await?;
        self.0.expect("the history", |told| told["event"] == "messaging-history.set").await?;
        Ok(())
    }

    /// Sends something; answers its id.
    async fn send(&mut self, to: &str, content: Value) -> Result<String> {
        let sent = self.0.call("sendMessage", json!([to, content])).await?;
        Ok(sent["key"]["id"].as_str().context("no id")?.to_owned())
    }

    /// Waits until it has read a message with that text or caption; answers the message.
    async fn read(&mut self, text: &str) -> Result<Value> {
        let find = |told: &Value| {
            let message = &told["data"]["messages"][0];
            let content = &message["message"];
            let is_it = content["conversation"] == text
                || content["extendedTextMessage"]["text"] == text
                || content["imageMessage"]["caption"] == text;
            (told["event"] == "messages.upsert" && is_it).then(|| message.clone())
        };
        let told = self.0.expect(text, |told| find(told).is_some()).await?;
        find(&told).context("it was just there")
    }

    /// The file of a message that it has read.
    async fn download(&mut self, message: &Value) -> Result<Vec<u8>> {
        let file = self.0.call("download", json!([message["key"]["id"]])).await?;
        Ok(BASE64_STANDARD.decode(file["data"].as_str().context("no file")?)?)
    }

    /// Waits until it has been told that something about a message changed; answers the change.
    async fn update(&mut self, id: &str, good: impl Fn(&Value) -> bool) -> Result<Value> {
        let find = |told: &Value| {
            let updates = told["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut of_it = updates.iter().filter(|update| update["key"]["id"] == id);
            let is_update = told["event"] == "messages.update";
            is_update.then(|| of_it.find(|update| good(&update["update"]))).flatten().cloned()
        };
        let told = self.0.expect(id, |told| find(told).is_some()).await?;
        Ok(find(&told).context("it was just there")?["update"].clone())
    }

    /// Waits until these have a message of its own in a group, or have read it: the time's name says which. It tells so
    /// alone, perhaps of several at once, or with the message if that is not told yet.
    async fn receipts_in_group(&mut self, id: &str, from: &[&Phone], time: &str) -> Result<()> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let whose = |told: &Value| {
            let message = &told["data"]["messages"][0];
            let with_it = list(&message["userReceipt"]).into_iter();
            let with_it = with_it.filter(|_| message["key"]["id"] == id);
            let alone = list(&told["data"]).into_iter().filter(|one| one["key"]["id"] == id);
            let receipts = with_it.chain(alone.map(|one| one["receipt"].clone()));
            let said = receipts.filter(|receipt| !receipt[time].is_null());
            said.map(|receipt| receipt["userJid"].clone()).collect::<Vec<_>>()
        };
        let mut missing: Vec<_> = from.iter().map(|phone| json!(phone.lid())).collect();
        while !missing.is_empty() {
            let of_these = |told: &Value| whose(told).iter().any(|who| missing.contains(who));
            let told = whose(&self.0.expect(time, of_these).await?);
            missing.retain(|who| !told.contains(who));
        }
        Ok(())
    }

    /// Waits until the text of a message has been changed to that.
    async fn edited(&mut self, id: &str, text: &str) -> Result<()> {
        let edited = |update: &Value| {
            let edited = &update["message"]["editedMessage"];
            edited.is_object() && edited.to_string().contains(text)
        };
        self.update(id, edited).await.map(drop)
    }

    /// Changes the text of a message of its own and takes it back; answers the ids with which it does.
    async fn edit_and_revoke(&mut self, to: &str, id: &str, text: &str) -> Result<[String; 2]> {
        let key = json!({ "remoteJid": to, "fromMe": true, "id": id });
        let edit = self.send(to, json!({ "text": text, "edit": key })).await?;
        Ok([edit, self.send(to, json!({ "delete": key })).await?])
    }

    /// Waits until a message of its own has that status. It tells so alone, or with the message if that is not told yet.
    async fn status(&mut self, id: &str, (number, name): (u8, &str)) -> Result<()> {
        let is_it = |told: &Value| {
            let update = &told["data"][0];
            let message = &told["data"]["messages"][0];
            (update["key"]["id"] == id && update["update"]["status"] == number)
                || (message["key"]["id"] == id && message["status"] == name)
        };
        self.0.expect(name, is_it).await.map(drop)
    }
}

const DELIVERED: (u8, &str) = (3, "DELIVERY_ACK");
const READ: (u8, &str) = (4, "READ");
/// What it makes of a message that was taken back.
const REVOKED: u8 = 1;

fn picture(caption: &str) -> Value {
    let data = BASE64_STANDARD.encode(PICTURE);
    // It would ask another library for the thumbnail.
    json!({ "image": { "type": "Buffer", "data": data }, "caption": caption, "jpegThumbnail": "" })
}

#[tokio::test]
#[ignore = "needs node and Baileys of npm; .ci/run installs them and runs this"]
async fn as_the_linked_device_it_believes_the_simulator() -> Result<()> {
    let sim = Simulator::start().await?;
    let [ann, bob, cid] = people(&sim).await;
    let mut baileys = Baileys::by_qr(&sim, &ann).await?;

    // Text and receipts.
    let asked = bob.send_text(&ann, "halo, apa kabar?").await?;
    let read = baileys.read("halo, apa kabar?").await?;
    assert_eq!((&read["key"]["id"], &read["key"]["fromMe"]), (&json!(asked), &json!(false)));
    assert_eq!((&read["key"]["remoteJid"], &read["pushName"]), (&json!(bob.lid()), &json!("Bob")));
    assert_eq!(read["key"]["remoteJidAlt"], bob.jid());
    bob.expect_receipt("inactive", &asked).await?;
    baileys.0.call("readMessages", json!([[read["key"]]])).await?;
    bob.expect_receipt("read", &asked).await?;
    let told = baileys.send(&bob.jid(), json!({ "text": "baik" })).await?;
    assert_eq!(bob.expect_text("baik").await?.id, told);
    assert!(ann.expect_text("baik").await?.from_me, "the own phone has a copy");
    baileys.status(&told, DELIVERED).await?;
    bob.read(&told).await?;
    baileys.status(&told, READ).await?;

    // Pictures.
    bob.send_image(&ann, PICTURE, Some("katalog")).await?;
    let read = baileys.read("katalog").await?;
    assert_eq!(baileys.download(&read).await?, PICTURE);
    baileys.send(&bob.lid(), picture("nota")).await?;
    assert_eq!(bob.media(&bob.expect_text("nota").await?.message)?, PICTURE);

    // Edits and revokes.
    bob.edit(&ann, &asked, "halo!").await?;
    baileys.edited(&asked, "halo!").await?;
    bob.revoke(&ann, &asked).await?;
    baileys.update(&asked, |update| update["messageStubType"] == REVOKED).await?;
    let changes = baileys.edit_and_revoke(&bob.jid(), &told, "baik!").await?;
    changed(&bob, &told, &changes).await?;

    let group = sim.group("Tim Toko", &[&bob, &ann, &cid]).await?;
    group_of_the_linked_device(&mut baileys, &group, [&bob, &cid]).await?;

    // What cannot be read is asked for again.
    sim.fault(&ann, Fault::Undecryptable);
    let lost = bob.send_text(&ann, "sekali lagi").await?;
    assert_eq!(baileys.read("sekali lagi").await?["key"]["id"], lost);
    bob.expect_receipt("retry", &lost).await?;
    sim.fault(&bob, Fault::Undecryptable);
    let lost = baileys.send(&bob.jid(), json!({ "text": "ulang" })).await?;
    assert_eq!(bob.expect_text("ulang").await?.id, lost);
    sim.fault(&ann, Fault::Undecryptable);
    let lost = bob.send_text(&group, "di grup juga").await?;
    assert_eq!(baileys.read("di grup juga").await?["key"]["id"], lost);
    sim.fault(Target::Device(bob.number().to_owned(), 0), Fault::Undecryptable);
    let lost = baileys.send(&group.jid(), json!({ "text": "dan kembali" })).await?;
    assert_eq!(bob.expect_text("dan kembali").await?.id, lost);
    sim.assert_no_violations();
    Ok(())
}

/// Waits until a phone has changes of that message under those ids.
async fn changed(phone: &Phone, message: &str, changes: &[String]) -> Result<()> {
    for id in changes {
        let got = phone.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == *id)).await?;
        let got = got.message().context("not a message")?;
        let protocol = got.message.protocol_message.as_option().context("no change")?;
        let changed = protocol.key.as_option().and_then(|key| key.id.as_deref());
        assert_eq!(changed, Some(message));
    }
    Ok(())
}

/// Text, receipts, edits and revokes in a group, between phones of the simulator and Baileys.
async fn group_of_the_linked_device(
    baileys: &mut Baileys,
    group: &Group,
    [bob, cid]: [&Phone; 2],
) -> Result<()> {
    let asked = bob.send_text(group, "rapat jam tiga").await?;
    let read = baileys.read("rapat jam tiga").await?;
    assert_eq!(read["key"]["remoteJid"], group.jid());
    assert_eq!(read["key"]["participant"], bob.lid());
    bob.expect_receipt("inactive", &asked).await?;
    baileys.0.call("readMessages", json!([[read["key"]]])).await?;
    bob.expect_receipt("read", &asked).await?;
    bob.edit(group, &asked, "rapat jam empat").await?;
    baileys.edited(&asked, "rapat jam empat").await?;
    bob.revoke(group, &asked).await?;
    baileys.update(&asked, |update| update["messageStubType"] == REVOKED).await?;

    let told = baileys.send(&group.jid(), json!({ "text": "siap" })).await?;
    assert_eq!(bob.expect_text("siap").await?.id, told);
    assert_eq!(cid.expect_text("siap").await?.id, told);
    baileys.receipts_in_group(&told, &[bob, cid], "receiptTimestamp").await?;
    bob.read(&told).await?;
    baileys.receipts_in_group(&told, &[bob], "readTimestamp").await?;
    let changes = baileys.edit_and_revoke(&group.jid(), &told, "siap!").await?;
    for phone in [bob, cid] {
        changed(phone, &told, &changes).await?;
    }
    bob.send_text(group, "terima kasih").await?;
    baileys.read("terima kasih").await?;
    Ok(())
}

/// The same between the gateway and Baileys.
async fn group_with_the_gateway(
    moonwa: &Moonwa,
    hook: &WebhookReceiver,
    baileys: &mut Baileys,
    group: &Group,
    [ann, bob]: [&Phone; 2],
) -> Result<()> {
    let key = moonwa.key_of("toko");
    let asked = baileys.send(&group.jid(), json!({ "text": "rapat jam tiga" })).await?;
    let data = data_of(hook, "message.received", "rapat jam tiga").await;
    let place = (json!(group.jid()), json!(bob.number()));
    assert_eq!((&data["group"], &data["from"]["phone"]), (&place.0, &place.1));
    baileys.receipts_in_group(&asked, &[ann], "receiptTimestamp").await?;
    key.post(&format!("/v1/devices/toko/messages/{asked}/read"), &Value::Null).await?.expect(204);
    baileys.receipts_in_group(&asked, &[ann], "readTimestamp").await?;
    baileys.edit_and_revoke(&group.jid(), &asked, "rapat jam empat").await?;
    for kind in ["message.edited", "message.revoked"] {
        let of_it = |post: &Delivery| {
            post.kind() == kind && post.json()["data"]["details"]["message"] == asked
        };
        let data = hook.expect(kind, of_it).await.json()["data"].clone();
        assert_eq!((&data["group"], &data["from"]["phone"]), (&place.0, &place.1), "{kind}");
    }

    let told = moonwa.send_text("toko", &group.jid(), "baik").await?;
    let read = baileys.read("baik").await?;
    assert_eq!(
        (&read["key"]["id"], &read["key"]["participant"]),
        (&json!(told), &json!(ann.lid()))
    );
    moonwa.wait_status("toko", &told, "delivered").await;
    baileys.0.call("readMessages", json!([[read["key"]]])).await?;
    moonwa.wait_status("toko", &told, "read").await;
    edit_and_revoke(moonwa, &told, "baik, kak").await?;
    baileys.edited(&told, "baik, kak").await?;
    baileys.update(&told, |update| update["messageStubType"] == REVOKED).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs node and Baileys of npm; .ci/run installs them and runs this"]
async fn as_a_contact_it_reads_the_gateway_and_is_read() -> Result<()> {
    let sim = Simulator::start().await?;
    let [ann, bob, cid] = people(&sim).await;
    let (moonwa, hook) = gateway(&sim, &ann).await?;
    let mut baileys = Baileys::by_code(&sim, &bob).await?;
    let key = moonwa.key_of("toko");
    let messages = "/v1/devices/toko/messages";

    // Text and receipts.
    let asked = baileys.send(&ann.jid(), json!({ "text": "halo, toko" })).await?;
    let data = data_of(&hook, "message.received", "halo, toko").await;
    assert_eq!((&data["id"], &data["from"]["phone"]), (&json!(asked), &json!(bob.number())));
    baileys.status(&asked, DELIVERED).await?;
    key.post(&format!("{messages}/{asked}/read"), &Value::Null).await?.expect(204);
    baileys.status(&asked, READ).await?;
    let told = moonwa.send_text("toko", bob.number(), "siap, kak").await?;
    let read = baileys.read("siap, kak").await?;
    assert_eq!((&read["key"]["id"], &read["key"]["remoteJid"]), (&json!(told), &json!(ann.lid())));
    moonwa.wait_status("toko", &told, "delivered").await;
    baileys.0.call("readMessages", json!([[read["key"]]])).await?;
    moonwa.wait_status("toko", &told, "read").await;

    // Pictures.
    baileys.send(&ann.jid(), picture("bukti")).await?;
    let data = data_of(&hook, "message.received", "bukti").await;
    let url = data["media"]["url"].as_str().context("no picture")?;
    assert_eq!(key.get(url).await?.expect(200).body, PICTURE);
    let image = json!({ "base64": BASE64_STANDARD.encode(PICTURE), "caption": "nota" });
    key.post(messages, &json!({ "to": bob.number(), "image": image })).await?.expect(202);
    let read = baileys.read("nota").await?;
    assert_eq!(baileys.download(&read).await?, PICTURE);

    // Edits and revokes.
    baileys.edit_and_revoke(&ann.jid(), &asked, "halo!").await?;
    assert_eq!(data_of(&hook, "message.edited", "halo!").await["details"]["message"], asked);
    assert_eq!(data_of(&hook, "message.revoked", "").await["details"]["message"], asked);
    edit_and_revoke(&moonwa, &told, "siap!").await?;
    baileys.edited(&told, "siap!").await?;
    baileys.update(&told, |update| update["messageStubType"] == REVOKED).await?;

    let group = sim.group("Tim Toko", &[&bob, &ann, &cid]).await?;
    group_with_the_gateway(&moonwa, &hook, &mut baileys, &group, [&ann, &bob]).await?;
    lost_and_found(&sim, &moonwa, &hook, &mut baileys, [&ann, &bob], &group).await?;
    // WhatsApp Web sends a zero byte where Baileys sends the digit, and says no name before it has an account.
    let broken: BTreeSet<_> = sim.violations().into_iter().map(|broken| broken.rule).collect();
    assert_eq!(broken, BTreeSet::from(["not logged in", "pair code nonce"]));
    moonwa.stop().await?;
    Ok(())
}

/// What cannot be read is asked for again.
async fn lost_and_found(
    sim: &Simulator,
    moonwa: &Moonwa,
    hook: &WebhookReceiver,
    baileys: &mut Baileys,
    [ann, bob]: [&Phone; 2],
    group: &Group,
) -> Result<()> {
    sim.fault(bob, Fault::Undecryptable);
    let lost = moonwa.send_text("toko", bob.number(), "sekali lagi").await?;
    assert_eq!(baileys.read("sekali lagi").await?["key"]["id"], lost);
    sim.fault(ann, Fault::Undecryptable);
    let lost = baileys.send(&ann.jid(), json!({ "text": "ulang" })).await?;
    assert_eq!(data_of(hook, "message.received", "ulang").await["id"], lost);
    sim.fault(bob, Fault::Undecryptable);
    let lost = moonwa.send_text("toko", &group.jid(), "di grup juga").await?;
    assert_eq!(baileys.read("di grup juga").await?["key"]["id"], lost);
    sim.fault(ann, Fault::Undecryptable);
    let lost = baileys.send(&group.jid(), json!({ "text": "dan kembali" })).await?;
    assert_eq!(data_of(hook, "message.received", "dan kembali").await["id"], lost);
    Ok(())
}

#[tokio::test]
#[ignore = "needs node and Baileys of npm; .ci/run installs them and runs this"]
async fn its_session_is_adopted() -> Result<()> {
    let sim = Simulator::start().await?;
    let [ann, bob, cid] = people(&sim).await;
    let mut moonwa = stopped_gateway(&sim).await?;
    let mut baileys = Baileys::by_qr(&sim, &ann).await?;
    bob.send_text(&ann, "sebelum").await?;
    baileys.read("sebelum").await?;
    baileys.send(&bob.jid(), json!({ "text": "ya" })).await?;
    bob.expect_text("ya").await?;
    let directory = baileys.0.stop().await?;
    let from = directory.path().to_str().context("no UTF-8")?;
    let credentials = directory.path().join("creds.json");

    let (code, text) = moonwa.command(&["adopt", "--list", "--from", from]).await?;
    let number = format!("+{} ", ann.number());
    assert_eq!((code, text.contains(&number), text.contains(", linked 20")), (0, true, true));
    refused(&moonwa, &["toko", "--from", from], "s ago: stop the gateway").await?;
    let_rest(directory.path())?;
    let held = fs::File::open(&credentials)?;
    refused(&moonwa, &["toko", "--from", from], "is in use by process").await?;
    drop(held);
    refused(&moonwa, &["toko", "--from", from, "--session", "lain"], "there are: ").await?;

    // What is damaged or somebody else's, in a folder beside the good one's.
    let other = tempfile::tempdir()?;
    let folder = other.path().join("satu");
    fs::create_dir(&folder)?;
    let path = other.path().to_str().context("no UTF-8")?;
    refused(&moonwa, &["toko", "--from", path], "no session that moonwa knows").await?;
    let good: Value = serde_json::from_slice(&fs::read(&credentials)?)?;
    let bad = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad.to_string()
    };
    let half = good.to_string();
    for (text, words) in [
        (half[..half.len() / 2].to_owned(), "is damaged or not Baileys'"),
        ("{}".to_owned(), "lacks me.id, registrationId, noiseKey.private,"),
        (bad(&|creds| creds["me"] = Value::Null), "lacks me.id"),
        (bad(&|creds| creds["advSecretKey"] = json!("AAAA")), "lacks advSecretKey (damaged)"),
        (bad(&|creds| creds["me"]["id"] = json!("1@g.us")), "no address of a linked device"),
        (bad(&|creds| creds["signedIdentityKey"] = creds["noiseKey"].clone()), "not signed with"),
        (
            bad(&|creds| {
                let account = &mut creds["account"];
                account["deviceSignature"] = account["accountSignature"].clone();
            }),
            "not signed for its identity key",
        ),
    ] {
        fs::write(folder.join("creds.json"), text)?;
        let_rest(&folder)?;
        refused(&moonwa, &["toko", "--from", path], words).await?;
        refused(&moonwa, &["--list", "--from", path], words).await?;
    }
    let before = read_all(directory.path())?;
    adopt(&sim, &mut moonwa, &["--from", from], [&ann, &bob, &cid]).await?;
    assert!(before == read_all(directory.path())?, "the source was written to");
    moonwa.stop().await?;
    Ok(())
}

/// A change of the group that the webhook is told, by what it was.
async fn change_of(hook: &WebhookReceiver, what: &str, by: &Phone) -> Value {
    let is_it = |post: &Delivery| {
        let data = &post.json()["data"];
        let author = &data["author"];
        let theirs = author["phone"] == by.number() || author["jid"] == by.lid();
        post.kind() == "group.updated" && data["what"] == what && theirs
    };
    hook.expect(what, is_it).await.json()["data"].clone()
}

/// A group that the gateway made, as a member with Baileys sees it, and what that member changes.
#[tokio::test]
#[ignore = "needs node and Baileys of npm; .ci/run installs them and runs this"]
async fn a_group_is_the_same_for_the_gateway_and_for_baileys() -> Result<()> {
    let sim = Simulator::start().await?;
    let [ann, bob, cid] = people(&sim).await;
    let (moonwa, hook) = gateway(&sim, &ann).await?;
    let mut baileys = Baileys::by_qr(&sim, &bob).await?;
    let admin = moonwa.admin();
    let groups = "/v1/devices/toko/groups";
    let new = json!({ "name": "Tim Toko", "members": [bob.number()] });
    let made = admin.post(groups, &new).await?.expect(201).json();
    let id = made["group"]["id"].as_str().context("no id")?.to_owned();
    let is_it =
        |told: &Value| told["event"] == "groups.upsert" && told["data"][0]["subject"] == "Tim Toko";
    let told = baileys.0.expect("the new group", is_it).await?;
    assert_eq!(told["data"][0]["id"], id);
    let seen = baileys.0.call("groupMetadata", json!([id])).await?;
    assert_eq!(seen["participants"].as_array().map(Vec::len), Some(2), "{seen}");

    let request = admin.request(hyper::Method::PATCH, &format!("{groups}/{id}"));
    let request = request.header("content-type", "application/json");
    let body = json!({ "name": "Tim Gudang" }).to_string();
    admin.send(request.body(http_body_util::Full::from(body))?).await?.expect(200);
    let renamed = |told: &Value| {
        told["event"] == "groups.update" && told["data"][0]["subject"] == "Tim Gudang"
    };
    baileys.0.expect("the new name", renamed).await?;

    // What Baileys changes comes to the webhook, typed.
    baileys.0.call("groupUpdateSubject", json!([id, "Tim Malam"])).await?;
    assert_eq!(change_of(&hook, "name", &bob).await["name"], "Tim Malam");
    let promote = json!({ "action": "promote", "members": [bob.number()] });
    admin.post(&format!("{groups}/{id}/members"), &promote).await?.expect(200);
    let changed = |told: &Value| {
        told["event"] == "group-participants.update" && told["data"]["action"] == "promote"
    };
    baileys.0.expect("the promotion", changed).await?;
    baileys.0.call("groupParticipantsUpdate", json!([id, [cid.jid()], "add"])).await?;
    change_of(&hook, "added", &bob).await;
    baileys.0.call("groupParticipantsUpdate", json!([id, [cid.lid()], "promote"])).await?;
    change_of(&hook, "promoted", &bob).await;
    let view = admin.get(&format!("{groups}/{id}")).await?.expect(200).json();
    let admins = view["members"].as_array().context("no members")?.iter();
    assert_eq!(admins.filter(|member| member["admin"] == true).count(), 3, "{view}");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

/// Baileys as another companion of the gateway's account: both change its settings, and each sees what the other did.
#[tokio::test]
#[ignore = "needs node and Baileys of npm; .ci/run installs them and runs this"]
async fn the_accounts_settings_are_the_same_for_the_gateway_and_for_baileys() -> Result<()> {
    let sim = Simulator::start().await?;
    let [ann, bob, _] = people(&sim).await;
    let (moonwa, hook) = gateway(&sim, &ann).await?;
    let mut baileys = Baileys::by_qr(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let label = json!({ "name": "Lunas", "color": 3 });
    key.post("/v1/devices/toko/labels", &label).await?.expect(201);
    let edited = |told: &Value| told["event"] == "labels.edit" && told["data"]["name"] == "Lunas";
    assert_eq!(baileys.0.expect("the label", edited).await?["data"]["id"], "1");

    let other = json!({ "id": "2", "name": "Grosir", "color": 4, "deleted": false });
    baileys.0.call("addLabel", json!([bob.lid(), other])).await?;
    let told = |what: &'static str| {
        move |post: &Delivery| {
            let data = &post.json()["data"];
            post.kind() == "label.updated" && data["what"] == what && data["label"]["id"] == "2"
        }
    };
    // The engine does not ask a second time for what changes while it asks.
    hook.expect("the label", told("saved")).await;
    baileys.0.call("addChatLabel", json!([bob.lid(), "2"])).await?;
    let data = hook.expect("the label on the chat", told("added")).await.json()["data"].clone();
    assert_eq!((&data["chat"], &data["label"]["name"]), (&json!(bob.lid()), &json!("Grosir")));

    let request =
        key.request(hyper::Method::PATCH, &format!("/v1/devices/toko/chats/{}", bob.number()));
    let request = request.header("content-type", "application/json");
    let body = json!({ "pinned": true }).to_string();
    key.send(request.body(http_body_util::Full::from(body))?).await?.expect(204);
    let pinned =
        |told: &Value| told["event"] == "chats.update" && told["data"][0]["pinned"].is_number();
    baileys.0.expect("the pin", pinned).await?;
    sim.assert_no_violations();
    // It says that somebody is there.
    drop(baileys);
    moonwa.stop().await?;
    Ok(())
}
