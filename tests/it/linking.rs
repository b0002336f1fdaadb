//! How a device becomes linked, stays linked and is unlinked: the real binary against the simulated WhatsApp.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Result;
use moonwa_simulator::harness::{
    Answer, Delivery, Moonwa, MoonwaBuilder, WebhookReceiver, api_key, eventually,
    eventually_within,
};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

#[tokio::test]
async fn a_device_is_linked_by_scanning_the_qr() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000111", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;

    let before = moonwa.device("toko").await?;
    assert_eq!((&before["status"], &before["state"]), (&json!("PENDING"), &json!("pending")));
    moonwa.admin().get("/v1/devices/toko/qr").await?.expect(404);

    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    let qr = moonwa.qr("toko").await;
    let linking = moonwa.wait_state("toko", "linking").await;
    assert!(linking["linking"]["expires_at"].is_string(), "the code's end is told: {linking}");
    ann.scan(&qr).await?;

    let linked = moonwa.wait_state("toko", "connected").await;
    assert_eq!(linked["status"], "CONNECTED");
    assert_eq!(linked["phone"], ann.number());
    assert!(linked["proof_at"].is_string(), "a green dot has its proof: {linked}");
    moonwa.admin().get("/v1/devices/toko/qr").await?.expect(404);
    assert!(!moonwa.log().contains(&qr), "the QR is a login secret");
    let devices = ann.devices();
    assert_eq!(devices.len(), 1);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_device_is_linked_by_a_pair_code() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000112", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;

    let body = json!({"phone": ann.number()});
    moonwa.admin().post("/v1/devices/toko/pair-code", &body).await?.expect(202);
    let shown = moonwa
        .wait_device("toko", "a pair code", |device| device["linking"]["pair_code"].is_string())
        .await;
    let code = shown["linking"]["pair_code"].as_str().unwrap_or_default().to_owned();
    ann.enter_code(&code).await?;

    let linked = moonwa.wait_state("toko", "connected").await;
    assert_eq!(linked["phone"], ann.number());
    assert!(!moonwa.log().contains(&code), "the pair code is a login secret");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn codes_run_out_and_a_second_round_gives_new_ones() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000113", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    let first = moonwa.qr("toko").await;

    // By the clock this takes three minutes; the server can also end the codes.
    sim.expire_qr();
    let told =
        moonwa.wait_device("toko", "QR expired", |device| device["reason"] == "qr_expired").await;
    assert_eq!((&told["status"], &told["state"]), (&json!("PENDING"), &json!("pending")));
    moonwa.admin().get("/v1/devices/toko/qr").await?.expect(404);
    assert!(ann.scan(&first).await.is_err(), "an expired code links nothing");

    moonwa.link("toko", &ann).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn unlinked_on_the_phone_it_forgets_its_keys_and_links_again() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000114", "Ann").await, sim.phone("628111000115", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;

    ann.unlink(1).await?;
    let gone = moonwa.wait_state("toko", "logged_out").await;
    assert_eq!((&gone["status"], &gone["reason"]), (&json!("DISCONNECTED"), &json!("unlinked")));
    moonwa.restart().await?;
    // A stop may come before the last row is erased; then WhatsApp's answer to the next login does it.
    let ended = |device: &Value| {
        ["logged_out", "pending"].contains(&device["state"].as_str().unwrap_or_default())
    };
    moonwa.wait_device("toko", "no QR by itself, and no connection", ended).await;

    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "after the second link").await?;
    hook.expect_text("after the second link").await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn logging_out_here_unlinks_on_the_phone() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000116", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    let gone = moonwa.wait_state("toko", "logged_out").await;
    assert_eq!(gone["reason"], "logged_out");
    assert!(ann.devices().is_empty(), "the phone shows no linked device any more");
    moonwa.link("toko", &ann).await?;
    moonwa.stop().await?;
    Ok(())
}

/// The ids in the list of a device's messages.
async fn listed(moonwa: &Moonwa) -> Result<Vec<String>> {
    let list = moonwa.admin().get("/v1/devices/toko/messages").await?.expect(200).json();
    let ids = list["messages"].as_array().into_iter().flatten();
    Ok(ids.filter_map(|message| message["id"].as_str().map(str::to_owned)).collect())
}

#[tokio::test]
async fn another_number_has_none_of_the_messages_before_it_and_sends_none() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, cid) = (
        sim.phone("628111000151", "Ann").await,
        sim.phone("628111000152", "Bob").await,
        sim.phone("628111000153", "Cid").await,
    );
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).env("MOONWA_RETRY_SCALE", "0.05").config(&format!(
        "\n[device.toko]\napi_key = {:?}\nwebhooks = [{{ url = {:?}, format = \"moonwa\" }}]\n",
        api_key("toko"),
        hook.url()
    ));
    let moonwa = moonwa.start().await?;
    moonwa.link("toko", &ann).await?;
    let sent = moonwa.send_text("toko", bob.number(), "from Ann").await?;
    bob.expect_text("from Ann").await?;
    moonwa.wait_status("toko", &sent, "delivered").await;
    let read = bob.send_text(&ann, "to Ann").await?;
    let holds = |asked: &Delivery, text: &str| String::from_utf8_lossy(&asked.body).contains(text);
    hook.expect("a message", |asked| holds(asked, "to Ann")).await;

    // A receiver that answers late, and a message that waits for a connection.
    hook.otherwise(Some(Answer::status(503)));
    bob.send_text(&ann, "a question").await?;
    hook.expect("the question", |asked| holds(asked, "a question")).await;
    ann.expect_confirmed().await?;
    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    moonwa.wait_state("toko", "reconnecting").await;
    let waiting = moonwa.send_text("toko", bob.number(), "never under another number").await?;
    moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "logged_out").await;
    assert_eq!(listed(&moonwa).await?, [waiting.clone(), sent.clone()], "until another is linked");
    sim.refuse_connections(false);
    moonwa.link("toko", &cid).await?;

    assert!(listed(&moonwa).await?.is_empty(), "they are not Cid's");
    let failed = moonwa.wait_status("toko", &waiting, "failed").await;
    assert_eq!(failed["code"], "account_changed", "{failed}");
    moonwa.wait_status("toko", &sent, "delivered").await;
    let key = moonwa.key_of("toko");
    for path in [read, sent.clone()] {
        let path = format!("/v1/devices/toko/messages/{path}");
        key.post(&format!("{path}/read"), &Value::Null).await?.expect(404);
        key.delete(&path).await?.expect(404);
    }
    hook.otherwise(Some(Answer::body(
        json!({"data": {"message_type": "text", "message": {"message": "to the question"}}})
            .to_string(),
    )));
    let events = moonwa.admin().get("/v1/devices/toko/events").await?.expect(200).json();
    let told = |event: &Value| {
        event["data"]["id"] == *waiting && event["data"]["code"] == "account_changed"
    };
    assert!(events["events"].as_array().is_some_and(|all| all.iter().any(told)), "{events}");
    let dropped = |log: &String| log.contains("A reply was dropped");
    eventually("the reply is dropped", || async { moonwa.log() }, dropped).await;
    let own = moonwa.send_text("toko", bob.number(), "from Cid").await?;
    bob.expect_text("from Cid").await?;
    assert_eq!(listed(&moonwa).await?, [own]);
    let texts = bob.inbox();
    assert!(
        !texts.iter().any(|item| {
            item.is_text("never under another number") || item.is_text("to the question")
        }),
        "{texts:?}"
    );

    moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "logged_out").await;
    moonwa.link("toko", &ann).await?;
    assert_eq!(listed(&moonwa).await?, [waiting, sent], "Ann has hers again");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_nameless_account_whose_phone_sleeps_is_connected_once_whatsapp_answers() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000154", "Ann").await, sim.phone("628111000155", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    // The name comes with the settings, whose key only the phone has.
    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    let qr = moonwa.qr("toko").await;
    ann.offline().await;
    ann.scan(&qr).await?;
    let look = || async { moonwa.device("toko").await.unwrap_or_default() };
    // The engine alone waits ten seconds and more for the phone.
    let soon = Duration::from_secs(9);
    let device =
        eventually_within(soon, "connected", look, |device| device["state"] == "connected").await;
    assert!(device["push_name"].is_null(), "its name is not known yet: {device}");
    moonwa.send_text("toko", bob.number(), "from a nameless account").await?;
    bob.expect_text("from a nameless account").await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn two_devices_stay_apart() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000117", "Ann").await, sim.phone("628111000118", "Bob").await);
    let cid = sim.phone("628111000119", "Cid").await;
    let (hook_a, hook_b) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let moonwa =
        gateway(&sim).device("a", &[hook_a.url()]).device("b", &[hook_b.url()]).start().await?;
    moonwa.link("a", &ann).await?;
    moonwa.link("b", &bob).await?;

    cid.send_text(&ann, "for a").await?;
    cid.send_text(&bob, "for b").await?;
    let (at_a, at_b) = (hook_a.expect_text("for a").await, hook_b.expect_text("for b").await);
    assert_eq!((&at_a.json()["device"], &at_b.json()["device"]), (&json!("a"), &json!("b")));

    let id = moonwa.send_text("b", cid.number(), "from b").await?;
    assert_eq!(cid.expect_text("from b").await?.id, id);
    moonwa.key_of("a").get(&format!("/v1/devices/b/messages/{id}")).await?.expect(403);
    moonwa.admin().get(&format!("/v1/devices/a/messages/{id}")).await?.expect(404);

    ann.unlink(1).await?;
    moonwa.wait_state("a", "logged_out").await;
    cid.send_text(&bob, "b goes on").await?;
    hook_b.expect_text("b goes on").await;
    assert_eq!(hook_a.taken_texts(), ["for a"]);
    assert_eq!(hook_b.taken_texts(), ["for b", "b goes on"]);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn used_elsewhere_it_stops_and_says_so() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000120", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    sim.fault(&ann, Fault::Replaced);
    let stopped = moonwa.wait_state("toko", "stopped").await;
    assert_eq!(stopped["reason"], "replaced");
    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "connected").await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_server_asks_for_a_restart_and_gets_it() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000121", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    for code in [515, 503] {
        let before = sim.cursor();
        sim.fault(&ann, Fault::StreamError(code));
        ann.expect_login(before).await?;
        moonwa.wait_state("toko", "connected").await;
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn banned_outdated_and_refused_are_told_apart() -> Result<()> {
    for (code, state, reason) in
        [(402, "stopped", "banned"), (405, "stopped", "outdated"), (401, "logged_out", "unlinked")]
    {
        let sim = Simulator::start().await?;
        let ann = sim.phone("628111000122", "Ann").await;
        let moonwa = gateway(&sim).device("toko", &[]).start().await?;
        moonwa.link("toko", &ann).await?;
        // Another version is tried before a device is given up for its version.
        sim.fault_times(&ann, Fault::LoginFailure(code), if code == 405 { 2 } else { 1 });
        sim.drop_connections(ann.number());
        let device = moonwa.wait_state("toko", state).await;
        assert_eq!(device["reason"], reason, "login refused with {code}");
        moonwa.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_terminal_shows_the_same_qr() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000123", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let mut command = moonwa.begin(&["link", "toko"])?;
    let shown = eventually(
        "a code in the terminal",
        || async { moonwa.printed() },
        |text| text.contains('█'),
    )
    .await;
    let qr = moonwa.qr("toko").await;
    let picture = moonwa
        .admin()
        .request(hyper::Method::GET, "/v1/devices/toko/qr")
        .header("accept", "text/plain");
    let picture = moonwa
        .admin()
        .send(picture.body(http_body_util::Full::default())?)
        .await?
        .expect(200)
        .text();
    assert!(
        shown.contains(picture.trim_end()),
        "the terminal shows the live code:\n{shown}\n---\n{picture}"
    );
    ann.scan(&qr).await?;
    assert!(command.wait().await?.success(), "{}", moonwa.printed());
    assert!(
        moonwa.printed().contains(&format!("toko is linked: {}", ann.number())),
        "{}",
        moonwa.printed()
    );
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_lost_disk_costs_no_new_qr() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000124", "Ann").await, sim.phone("628111000125", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;
    moonwa.send_text("toko", bob.number(), "one").await?;
    bob.expect_text("one").await?;

    moonwa.key_of("toko").get("/v1/backup").await?.expect(403);
    let (code, text) = moonwa.command(&["backup", "saved.json"]).await?;
    assert_eq!((code, text.contains("saved.json: 1 linked devices")), (0, true), "{text}");
    let (code, text) = moonwa.command(&["backup", "saved.json"]).await?;
    assert_eq!((code, text.contains("File exists")), (1, true), "{text}");
    let saved = moonwa.dir().join("saved.json");
    assert_eq!(std::fs::metadata(&saved)?.permissions().mode() & 0o777, 0o600);
    let saved: Value = serde_json::from_slice(&std::fs::read(saved)?)?;
    for row in saved["devices"]["toko"].as_array().expect("rows") {
        let key = data_encoding::BASE64.decode(row[0].as_str().expect("a key").as_bytes())?;
        assert!(b"DpPaL".contains(&key[0]), "a session or a message is in it: {key:?}");
    }
    let (code, text) = moonwa.command(&["restore", "saved.json"]).await?;
    assert_eq!((code, text.contains("in use by another moonwa")), (1, true), "{text}");

    // The conversation goes on, so that an old session would be one that was used before.
    bob.send_text(&ann, "between").await?;
    hook.expect_text("between").await;
    moonwa.send_text("toko", bob.number(), "two").await?;
    bob.expect_text("two").await?;
    moonwa.kill().await?;
    let (code, text) = moonwa.command(&["backup", "stopped.json"]).await?;
    assert_eq!((code, text.contains("stopped.json: 1 linked devices")), (0, true), "{text}");
    std::fs::remove_dir_all(moonwa.dir().join("data"))?;

    let (code, text) = moonwa.command(&["restore", "moonwa.toml"]).await?;
    assert_eq!((code, text.contains("not a backup")), (1, true), "{text}");
    let good = std::fs::read_to_string(moonwa.dir().join("saved.json"))?;
    for (bad, said) in [
        (good.replacen("\"2\"", "\"3\"", 1), "by a newer moonwa"),
        (good.replacen("[\"RA==\",\"", "[\"RA==\",\"A", 1), "is damaged"),
        (good[..good.len() / 2].to_owned(), "is damaged"),
    ] {
        std::fs::write(moonwa.dir().join("bad.json"), bad)?;
        let (code, text) = moonwa.command(&["restore", "bad.json"]).await?;
        assert_eq!((code, text.contains(said)), (1, true), "{text}");
    }
    let (code, text) = moonwa.command(&["restore", "saved.json"]).await?;
    assert_eq!((code, text.contains("toko is back")), (0, true), "{text}");
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "after").await?;
    hook.expect_text("after").await;
    moonwa.send_text("toko", bob.number(), "three").await?;
    bob.expect_text("three").await?;
    sim.assert_no_violations();

    moonwa.kill().await?;
    let (code, text) = moonwa.command(&["restore", "saved.json"]).await?;
    assert_eq!((code, text.contains("toko is linked already")), (1, true), "{text}");
    Ok(())
}
