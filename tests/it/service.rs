//! What WhatsApp's service does beside passing messages on: properties, tokens, hashes of receivers, stanzas of its own.

use anyhow::{Context as _, Result};
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, api_key, eventually};
use moonwa_simulator::{Entry, Fault, Phone, PhoneOptions, Simulator, Target, wa};
use serde_json::Value;

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// The message of that id as it was on the wire.
fn wire(sim: &Simulator, id: &str) -> Result<Entry> {
    let journal = sim.journal();
    let sent = |entry: &&Entry| entry.is_in("message") && entry.attr("id").as_deref() == Some(id);
    journal.iter().rev().find(sent).cloned().context("not on the wire")
}

/// Sends a text, waits for that status, and answers the message's id.
async fn send(moonwa: &Moonwa, to: &Phone, text: &str, status: &str) -> Result<String> {
    let id = moonwa.send_text("toko", to.number(), text).await?;
    moonwa.wait_status("toko", &id, status).await;
    Ok(id)
}

async fn reconnect(moonwa: &Moonwa, phone: &Phone, since: u64) -> Result<()> {
    moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
    phone.expect_login(since).await?;
    moonwa.wait_state("toko", "connected").await;
    Ok(())
}

/// Waits until the device knows its AB properties: it has been told them, and has taken a message that came after.
async fn props_known(sim: &Simulator, since: u64, ann: &Phone, bob: &Phone) -> Result<()> {
    let told = |entry: &Entry| entry.is_out("iq") && entry.text.contains("<props");
    sim.wait_journal(since, told).await?;
    bob.send_text(ann, "apa kabar?").await?;
    ann.expect_confirmed().await
}

#[tokio::test]
async fn the_token_that_a_contact_gave_opens_the_door() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000931", "Ann").await, sim.phone("628111000932", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    props_known(&sim, 0, &ann, &bob).await?;

    // Without one a message is refused, and no more than that: the account is not locked.
    bob.wants_tokens();
    let id = send(&moonwa, &bob, "halo?", "failed").await?;
    assert!(!wire(&sim, &id)?.text.contains("<tctoken"));
    moonwa.wait_state("toko", "connected").await;

    // Whom Bob writes to has his token, and it outlives a restart.
    bob.trust(&ann);
    bob.send_text(&ann, "halo, toko").await?;
    hook.expect_text("halo, toko").await;
    ann.expect_confirmed().await?;
    for text in ["halo, Bob", "lagi"] {
        let id = send(&moonwa, &bob, text, "delivered").await?;
        assert!(wire(&sim, &id)?.text.contains("<tctoken"));
        let since = sim.cursor();
        moonwa.restart().await?;
        moonwa.wait_state("toko", "connected").await;
        props_known(&sim, since, &ann, &bob).await?;
    }

    // Bob has one of this account, and only one: a message is no reason for another.
    let given = |entry: &&Entry| entry.tag == "token given" && entry.text == bob.number();
    assert_eq!(sim.journal().iter().filter(given).count(), 1);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn properties_decide_what_a_message_carries_and_how_it_is_addressed() -> Result<()> {
    let sim = Simulator::start().await?;
    let old = PhoneOptions { migrated: false, ..Default::default() };
    let ann = sim.phone_with("628111000933", "Ann", old);
    let bob = sim.phone("628111000934", "Bob").await;
    sim.ab_prop("privacy_token_sending_on_all_1_on_1_messages", "0")?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    props_known(&sim, 0, &ann, &bob).await?;
    bob.trust(&ann);
    ann.expect_confirmed().await?;
    let id = send(&moonwa, &bob, "satu", "delivered").await?;
    let sent = wire(&sim, &id)?;
    assert_eq!(sent.attr("to"), Some(bob.jid()));
    assert!(!sent.text.contains("<tctoken"), "{}", sent.text);

    // From the next login on.
    sim.ab_prop("privacy_token_sending_on_all_1_on_1_messages", "1")?;
    ann.migrate();
    let since = sim.cursor();
    reconnect(&moonwa, &ann, since).await?;
    props_known(&sim, since, &ann, &bob).await?;
    let id = send(&moonwa, &bob, "dua", "delivered").await?;
    let sent = wire(&sim, &id)?;
    assert_eq!(sent.attr("to"), Some(bob.lid()));
    assert!(sent.text.contains("<tctoken"), "{}", sent.text);
    assert!(sim.ab_prop("no_such_property", "1").is_err());
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_device_of_which_nobody_told_is_found_by_the_hash_of_the_receivers() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000935", "Ann").await, sim.phone("628111000936", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).device("bob", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    send(&moonwa, &bob, "satu", "delivered").await?;

    sim.fault(&ann, Fault::DevicesUntold);
    moonwa.link("bob", &bob).await?;
    // It goes where it went before. The acknowledgement says that this is not all.
    send(&moonwa, &bob, "dua", "delivered").await?;
    send(&moonwa, &bob, "tiga", "delivered").await?;
    hook.expect_text("tiga").await;
    assert!(!hook.taken_texts().contains(&"dua".to_owned()), "somebody told of the device");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn in_a_group_a_device_of_which_nobody_told_has_only_to_ask() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000943", "Ann").await, sim.phone("628111000944", "Bob").await);
    let group = sim.group("Kebun", &[&ann, &bob]).await?;
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).device("bob", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    moonwa.send_text("toko", &group.jid(), "satu").await?;
    bob.expect_text("satu").await?;

    sim.fault(&ann, Fault::DevicesUntold);
    moonwa.link("bob", &bob).await?;
    // The first after it is for its phone alone. The device asks for it, and that is how it becomes known and gets it.
    let since = sim.cursor();
    let id = moonwa.send_text("toko", &group.jid(), "dua").await?;
    bob.expect_text("dua").await?;
    hook.expect_text("dua").await;
    let journal = sim.journal();
    let again = |entry: &&Entry| {
        entry.is_in("message") && entry.attr("id").as_ref() == Some(&id) && entry.seq > since
    };
    let again: Vec<_> =
        journal.iter().filter(again).map(|entry| entry.attr("participant")).collect();
    assert_eq!(again, [None, Some(bob.lid().replace('@', ":1@"))], "to everybody, and to it alone");
    let looked_up = |entry: &Entry| {
        let ours = entry.device.as_ref().is_some_and(|device| device.pn == ann.number());
        ours && entry.is_out("iq")
            && entry.text.contains("<device-list")
            && entry.text.contains(&bob.lid())
    };
    sim.wait_journal(since, looked_up).await?;
    bob.send_text(&ann, "apa kabar?").await?;
    ann.expect_confirmed().await?;
    moonwa.send_text("toko", &group.jid(), "tiga").await?;
    hook.expect_text("tiga").await;
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_login_is_no_connection_before_whatsapp_answers() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000937", "Ann").await;
    let hook = WebhookReceiver::start().await?;
    let lines = format!(
        "\n[device.toko]\napi_key = {:?}\nwebhooks = [{{ url = {:?}, events = [\"device.state\"] }}]\n",
        api_key("toko"),
        hook.url()
    );
    let moonwa = gateway(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    let states = || async {
        let told = hook.deliveries().into_iter();
        told.map(|post| post.json()["data"]["state"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let connected = |states: &Vec<String>| states.last().is_some_and(|state| state == "connected");
    let before = eventually("the link is told", states, connected).await.len();

    sim.fault(&ann, Fault::EarlySuccess);
    let since = sim.cursor();
    moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
    ann.expect_login(since).await?;
    // What a client says first after its login, and nobody answers.
    sim.wait_journal(since, |entry| entry.is_in("ib")).await?;
    assert_ne!(moonwa.device("toko").await?["state"], "connected");
    let since = sim.cursor();
    sim.drop_connections(ann.number());
    ann.expect_login(since).await?;
    moonwa.wait_state("toko", "connected").await;

    // It was told once: for the login that was answered.
    let more = |states: &Vec<String>| states.len() > before && connected(states);
    let told = eventually("the connection is told", states, more).await;
    let green = told.iter().skip(before).filter(|state| *state == "connected").count();
    assert_eq!(green, 1, "{told:?}");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_status_that_comes_as_a_stanza_of_its_own_is_taken() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000938", "Ann").await, sim.phone("628111000939", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let lines = format!(
        "\n[device.toko]\napi_key = {:?}\nwebhooks = [{{ url = {:?}, events = [\"status.received\"] }}]\n",
        api_key("toko"),
        hook.url()
    );
    let moonwa = gateway(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    sim.fault(&ann, Fault::StatusStanza);
    let shown =
        wa::Message { conversation: Some("buka hari ini".to_owned()), ..Default::default() };
    let id = bob.show_status(&[ann.number()], &shown)?;
    let event = hook.expect("the status", |post| post.json()["data"]["id"] == id).await.json();
    assert_eq!(event["type"], "status.received", "{event}");
    assert_eq!(event["data"]["text"], "buka hari ini", "{event}");
    // Confirmed as what it was: what is not stays in the service's queue, and comes at each login.
    ann.expect_confirmed().await?;
    let acked =
        |entry: &&Entry| entry.is_in("ack") && entry.attr("class").as_deref() == Some("status");
    assert_eq!(sim.journal().iter().filter(acked).count(), 1);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_loses_nothing() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000945", "Ann").await, sim.phone("628111000946", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    for fault in [Fault::Slow(20), Fault::AckDrop] {
        let text = format!("{fault:?}");
        sim.fault(&ann, fault);
        bob.send_text(&ann, &text).await?;
        hook.expect_text(&text).await;
        send(&moonwa, &bob, &text, "delivered").await?;
        bob.expect_text(&text).await?;
    }
    // A frame that cannot be read is passed over: the connection goes on with the next one.
    sim.fault(&ann, Fault::BadMac);
    bob.send_text(&ann, "masih di sana?").await?;
    hook.expect_text("masih di sana?").await;
    send(&moonwa, &bob, "masih", "delivered").await?;

    // What came meanwhile is handed out also when the service never says that it was all.
    sim.fault(&ann, Fault::NoOfflineEnd);
    let since = sim.cursor();
    moonwa.admin().post("/v1/devices/toko/stop", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "stopped").await;
    bob.send_text(&ann, "sudah tutup?").await?;
    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    ann.expect_login(since).await?;
    hook.expect_text("sudah tutup?").await;
    moonwa.wait_state("toko", "connected").await;
    // The engine gives it a minute before it sends; the next login is told.
    let id = moonwa.send_text("toko", bob.number(), "belum").await?;
    reconnect(&moonwa, &ann, sim.cursor()).await?;
    moonwa.wait_status("toko", &id, "delivered").await;

    let cid = sim.phone("628111000947", "Cid").await;
    sim.fault(&cid, Fault::KeysRefused);
    send(&moonwa, &cid, "kunci", "delivered").await?;
    sim.fault(Target::Any, Fault::DownloadSlow(50));
    bob.send_image(&ann, b"\xff\xd8\xff\xe0 a picture", Some("pelan")).await?;
    let data = hook.expect_text("pelan").await.json()["data"].clone();
    let url = data["media"]["url"].as_str().unwrap_or_default();
    let file = moonwa.key_of("toko").get(url).await?.expect(200);
    assert_eq!(file.body, b"\xff\xd8\xff\xe0 a picture".as_slice());

    sim.fault(&ann, Fault::DeviceRemoved);
    moonwa.wait_state("toko", "logged_out").await;
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
