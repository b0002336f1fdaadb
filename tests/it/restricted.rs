//! WhatsApp restricts an account: who is told, what waits, and what is kept for a person to decide.

use anyhow::{Context, Result};
use moonwa_simulator::harness::{
    Delivery, Moonwa, MoonwaBuilder, WebhookReceiver, api_key, eventually,
};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/devices/toko/messages";

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// One with a device whose webhook is told everything.
fn telling(sim: &Simulator, hook: &WebhookReceiver) -> MoonwaBuilder {
    gateway(sim).config(&format!(
        "\n[device.toko]\napi_key = {:?}\nwebhooks = [{{ url = {:?}, events = [\"*\"] }}]\n",
        api_key("toko"),
        hook.url()
    ))
}

/// Whether a webhook was told that the device is in that state for that reason.
fn told(asked: &Delivery, state: &str, reason: &str) -> bool {
    let event = asked.json();
    event["type"] == "device.state"
        && event["data"]["state"] == state
        && event["data"]["reason"] == reason
}

async fn metrics(moonwa: &Moonwa) -> Result<String> {
    Ok(moonwa.admin().get("/metrics").await?.expect(200).text())
}

#[tokio::test]
async fn while_locked_strangers_wait_and_people_in_touch_do_not() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, cid) = (
        sim.phone("628111000171", "Ann").await,
        sim.phone("628111000172", "Bob").await,
        sim.phone("628111000173", "Cid").await,
    );
    let hook = WebhookReceiver::start().await?;
    let moonwa = telling(&sim, &hook).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "halo, toko").await?;
    hook.expect_text("halo, toko").await;

    // WhatsApp tells it, and nothing was refused before.
    sim.lock_sending(ann.number(), 3600);
    sim.tell_lock(ann.number());
    let locked = |device: &Value| device["reason"] == "sending_locked";
    let device = moonwa.wait_device("toko", "the lock", locked).await;
    let until = device["until"].as_str().context("no end")?.to_owned();
    let event = hook.expect("the lock", |asked| told(asked, "degraded", "sending_locked")).await;
    assert_eq!(event.json()["data"]["until"], until);
    sim.tell_quota(ann.number(), 13, 50, 0);
    let quota = |device: &Value| device["new_chats"]["used"] == 13;
    let device = moonwa.wait_device("toko", "the quota", quota).await;
    assert_eq!(device["new_chats"], json!({ "used": 13, "total": 50, "until": null }));
    let numbers = metrics(&moonwa).await?;
    for line in [
        "moonwa_sending_locked{device=\"toko\"} 1",
        "moonwa_new_chats_left{device=\"toko\"} 37",
        "moonwa_restrictions_total{device=\"toko\",kind=\"sending_locked\"} 1",
    ] {
        assert!(numbers.contains(line), "{line} in\n{numbers}");
    }

    // What is queued while the connection is down is not refused; it waits for both.
    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    moonwa.wait_state("toko", "reconnecting").await;
    let stranger = moonwa.send_text("toko", cid.number(), "salam kenal").await?;
    let known = moonwa.send_text("toko", bob.number(), "halo, Bob").await?;
    sim.refuse_connections(false);
    assert_eq!(bob.expect_text("halo, Bob").await?.id, known);
    let path = format!("{MESSAGES}/{stranger}");
    let look =
        || async { moonwa.admin().get(&path).await.map_or(Value::Null, |reply| reply.json()) };
    let held = |message: &Value| message["waits_for"] == "locked";
    let message = eventually("the message waits", look, held).await;
    assert_eq!((&message["status"], &message["not_before"]), (&json!("queued"), &json!(until)));
    let refusals = sim.journal().iter().filter(|entry| entry.tag == "locked").count();
    assert_eq!(refusals, 0, "WhatsApp was not tried");

    sim.lock_sending(ann.number(), 0);
    sim.tell_lock(ann.number());
    assert_eq!(cid.expect_text("salam kenal").await?.id, stranger);
    moonwa.wait_state("toko", "connected").await;
    let message = moonwa.wait_status("toko", &stranger, "delivered").await;
    assert!(message["waits_for"].is_null(), "{message}");
    assert!(metrics(&moonwa).await?.contains("moonwa_sending_locked{device=\"toko\"} 0"));
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_lock_is_known_after_a_restart() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000174", "Ann").await;
    let mut moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    sim.lock_sending(ann.number(), 3600);
    moonwa.restart().await?;
    let locked = |device: &Value| device["reason"] == "sending_locked";
    let device = moonwa.wait_device("toko", "the lock", locked).await;
    assert!(device["until"].is_string(), "{device}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_login_is_kept_until_a_person_decides() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000175", "Ann").await;
    let hook = WebhookReceiver::start().await?;
    let moonwa = telling(&sim, &hook).start().await?;
    moonwa.link("toko", &ann).await?;

    for code in [403, 406] {
        sim.fault(&ann, Fault::LoginFailure(code));
        sim.drop_connections(ann.number());
        let refused = |device: &Value| device["reason"] == "refused";
        let device = moonwa.wait_device("toko", "the refusal", refused).await;
        assert_eq!((&device["state"], &device["phone"]), (&json!("stopped"), &json!(ann.number())));
        let detail = device["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with(&code.to_string()), "{device}");
        if code == 403 {
            assert_eq!(detail, "403: Your account is locked. Open WhatsApp on your phone.");
            assert_eq!(device["appeal_token"], "appeal-once");
            let key = moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(200).json();
            assert!(key["appeal_token"].is_null(), "it is for admins: {key}");
        }
        hook.expect("the refusal", |asked| told(asked, "stopped", "refused")).await;
        // The credentials are there: nothing has to be scanned.
        moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
        moonwa.wait_state("toko", "connected").await;
    }
    assert_eq!(ann.devices().len(), 1, "it was linked once");

    sim.fault(&ann, Fault::LoginFailure(402));
    sim.drop_connections(ann.number());
    let banned = |device: &Value| device["reason"] == "banned";
    let device = moonwa.wait_device("toko", "the ban", banned).await;
    assert_eq!(device["detail"], "402: too many strangers");
    assert_eq!(device["url"], "https://faq.whatsapp.com/banned");
    assert!(device["until"].is_string(), "{device}");
    let event = hook.expect("the ban", |asked| told(asked, "stopped", "banned")).await.json();
    assert_eq!(event["data"]["url"], "https://faq.whatsapp.com/banned");
    assert_eq!(event["data"]["until"], device["until"]);
    let numbers = metrics(&moonwa).await?;
    for (kind, times) in [("refused", 2), ("banned", 1)] {
        let line = format!("moonwa_restrictions_total{{device=\"toko\",kind=\"{kind}\"}} {times}");
        assert!(numbers.contains(&line), "{line} in\n{numbers}");
    }
    moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "logged_out").await;
    moonwa.stop().await?;
    Ok(())
}
