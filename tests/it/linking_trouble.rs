//! What goes wrong while a device is linked, and what a person is told to do: the real binary against the simulated
//! WhatsApp.

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, eventually};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// Waits until the linking of the device has that trouble.
async fn trouble(moonwa: &Moonwa, reason: &str) -> Value {
    let good = |device: &Value| device["reason"] == reason && device["state"] == "linking";
    moonwa.wait_device("toko", reason, good).await
}

/// Waits for a pair code other than that.
async fn another_code(moonwa: &Moonwa, old: &str) -> String {
    let other = |device: &Value| device["linking"]["pair_code"].as_str().is_some_and(|c| c != old);
    let shown = moonwa.wait_device("toko", "another pair code", other).await;
    shown["linking"]["pair_code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_dead_pair_code_is_not_shown() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000161", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let path = "/v1/devices/toko/pair-code";
    let asked = json!({ "phone": ann.number() });
    moonwa.admin().post(path, &asked).await?.expect(202);
    let first = another_code(&moonwa, "").await;

    sim.refresh_pair_code(false);
    let second = another_code(&moonwa, &first).await;
    sim.refresh_pair_code(true);
    let device = trouble(&moonwa, "pair_code_expired").await;
    assert!(device["linking"]["pair_code"].is_null(), "{device}");
    assert_eq!(device["linking"]["has_qr"], true, "the linking goes on: {device}");

    moonwa.admin().post(path, &asked).await?.expect(202);
    let third = another_code(&moonwa, &second).await;
    assert!(ann.enter_code("ABCD1234").await.is_err(), "a wrong code links nothing");
    let device = trouble(&moonwa, "pair_code_refused").await;
    assert!(device["linking"]["pair_code"].is_null(), "{device}");
    assert!(device["detail"].as_str().is_some_and(|why| why.contains("400")), "{device}");

    let stranger = json!({ "phone": "628999999999" });
    let refused = moonwa.admin().post(path, &stranger).await?.expect(422).json();
    assert_eq!(refused["code"], "whatsapp_refused", "{refused}");
    trouble(&moonwa, "pair_code_refused").await;

    moonwa.admin().post(path, &asked).await?.expect(202);
    let last = another_code(&moonwa, &third).await;
    let hello = |entry: &&moonwa_simulator::Entry| {
        entry.is_in("iq") && entry.text.contains("companion_hello")
    };
    assert_eq!(sim.journal().iter().filter(hello).count(), 5, "one question per code");
    ann.enter_code(&last).await?;
    moonwa.wait_state("toko", "connected").await;
    for code in [first, second, third, last] {
        assert!(!moonwa.log().contains(&code), "a pair code is a login secret");
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_passkey_is_asked_for_answered_again_and_confirmed() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000162", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    ann.scan_with_passkey(&moonwa.qr("toko").await)?;
    let asks = |device: &Value| device["linking"]["passkey"]["step"] == "request";
    let device = moonwa.wait_device("toko", "the passkey question", asks).await;
    let question = device["linking"]["passkey"]["options"].as_str().context("no options")?;

    // The answer to another question.
    let path = "/v1/devices/toko/passkey";
    let body =
        |assertion: Value| json!({ "credential_id": assertion["id"], "assertion": assertion });
    let wrong = ann.assertion(&json!({ "publicKey": { "challenge": "AAAA" } }).to_string())?;
    moonwa.admin().post(path, &body(wrong)).await?.expect(422);
    let device = trouble(&moonwa, "passkey_failed").await;
    assert!(device["detail"].as_str().is_some_and(|why| why.contains("400")), "{device}");
    assert!(asks(&device), "it can be answered again: {device}");

    // What the phone says then cannot be read.
    sim.fault_times(&ann, Fault::BadContinuation, 1);
    let answer = body(ann.assertion(question)?);
    moonwa.admin().post(path, &answer).await?.expect(202);
    ann.continue_passkey()?;
    let why = |device: &Value| device["detail"].as_str().is_some_and(|why| why.contains("31"));
    let device = moonwa.wait_device("toko", "the cause", why).await;
    assert!(device["reason"] == "passkey_failed" && asks(&device), "{device}");

    moonwa.admin().post(path, &answer).await?.expect(202);
    ann.continue_passkey()?;
    let confirms = |device: &Value| device["linking"]["passkey"]["step"] == "confirm";
    let device = moonwa.wait_device("toko", "a code to compare", confirms).await;
    assert!(device["reason"].is_null(), "nothing is wrong any more: {device}");
    let shown = device["linking"]["passkey"]["code"].as_str().context("no code")?.to_owned();
    assert_eq!(shown.replace('-', ""), ann.passkey_code().await?, "the phone shows the same");
    moonwa.admin().post("/v1/devices/toko/passkey/confirm", &Value::Null).await?.expect(202);
    ann.finish_passkey()?;
    let device = moonwa.wait_state("toko", "connected").await;
    assert_eq!(device["phone"], ann.number());
    assert!(!moonwa.log().contains(&shown), "the code is a login secret");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_unreachable_whatsapp_is_said_with_its_cause() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000163", "Ann").await;
    // As behind a firewall that lets connections in and nothing out.
    sim.mute_connections(true);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let mut command = moonwa.begin(&["link", "toko"])?;
    let said =
        |text: &String| text.contains("WhatsApp cannot be reached: no WebSocket at 127.0.0.1");
    eventually("the cause in the terminal", || async { moonwa.printed() }, said).await;
    let device = trouble(&moonwa, "unreachable").await;
    assert!(
        device["detail"].as_str().is_some_and(|why| why.contains("no answer so far")),
        "{device}"
    );
    assert!(moonwa.log().contains("WhatsApp cannot be reached."), "{}", moonwa.log());
    moonwa.admin().post("/v1/devices/toko/stop", &Value::Null).await?.expect(202);
    command.wait().await?;
    sim.mute_connections(false);
    moonwa.link("toko", &ann).await?;

    sim.mute_connections(true);
    sim.drop_connections(ann.number());
    let waits = |device: &Value| {
        device["state"] == "reconnecting"
            && device["detail"].as_str().is_some_and(|why| why.contains("no answer so far"))
    };
    moonwa.wait_device("toko", "the cause, once linked", waits).await;
    sim.mute_connections(false);
    moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "connected").await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_closed_port_is_a_blocked_connection() -> Result<()> {
    // Nobody listens at its port, and nobody else gets it while the socket lives.
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let port = socket.local_addr()?.port();
    let url = format!("ws://127.0.0.1:{port}/ws/chat");
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).env("MOONWA_WHATSAPP_URL", &url);
    let moonwa = moonwa.device("toko", &[]).start().await?;
    moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    let device = trouble(&moonwa, "unreachable_blocked").await;
    let said = device["detail"].as_str().context("no detail")?;
    assert!(said.contains(&format!("127.0.0.1, port {port}, cannot be connected to")), "{said}");
    moonwa.stop().await?;
    Ok(())
}
