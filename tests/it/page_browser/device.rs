//! A device's own view once it is linked: what it sent and may still send, and what there is to copy.

use anyhow::Result;
use moonwa_simulator::harness::{WebhookReceiver, api_key};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

use super::browser::Browser;
use super::gateway;

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn what_was_sent_and_may_be_sent_still_is_said_and_a_workflow_is_copied() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000231", "Ann").await, sim.phone("628111000232", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let device = format!(
        "\n[device.toko]\nlabel = \"Device toko\"\napi_key = {:?}\nwebhooks = [{:?}]\npace = {{ per_day = 10, new_chats_per_day = 5 }}\n",
        api_key("toko"),
        hook.url()
    );
    let moonwa = gateway(&sim).config(&device).start().await?;
    moonwa.link("toko", &ann).await?;
    sim.tell_quota(ann.number(), 13, 50, 0);
    let told = |device: &Value| device["new_chats"]["used"] == 13;
    moonwa.wait_device("toko", "the quota", told).await;

    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.sees("0 messages").await;
    browser.sees("37 new chats").await;
    browser.sees("10 messages").await;
    browser.sees("5 new chats").await;
    let body = json!({ "to": bob.number(), "text": "halo" });
    moonwa.key_of("toko").post("/v1/devices/toko/messages", &body).await?.expect(202);
    browser.sees("1 to new contacts, 0 answered").await;
    browser.sees("9 messages").await;
    browser.sees("4 new chats").await;

    let keep = "navigator.clipboard.writeText = async (text) => { window.kept = text; }";
    browser.run(keep, Vec::new()).await;
    browser.click("Copy n8n workflow").await;
    browser.until("it is copied", "return typeof window.kept === 'string'").await;
    let copied = browser.run("return window.kept", Vec::new()).await;
    let workflow: Value = serde_json::from_str(copied.as_str().unwrap_or_default())?;
    let nodes = workflow["nodes"].as_array().unwrap();
    let node = |name: &Value| nodes.iter().find(|node| node["name"] == *name);
    let url = format!("http://{}/v1/devices/toko/messages", moonwa.address());
    assert_eq!(node(&json!("Answer")).unwrap()["parameters"]["url"], url);
    for (from, to) in workflow["connections"].as_object().unwrap() {
        assert!(node(&json!(from)).is_some(), "{from}");
        for next in to["main"].as_array().unwrap().iter().flat_map(|way| way.as_array().unwrap()) {
            assert!(node(&next["node"]).is_some(), "{next}");
        }
    }
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn what_whatsapp_restricts_and_why_it_cannot_be_reached_is_said() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000233", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let start = async || moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;

    sim.lock_sending(ann.number(), 3600);
    sim.tell_lock(ann.number());
    browser.sees("WhatsApp keeps this number from new contacts for now. Until").await;
    for (code, said) in [
        (403, "WhatsApp refused the login (403: Your account is locked."),
        (402, "WhatsApp has banned this number (402: too many strangers)."),
    ] {
        sim.fault(&ann, Fault::LoginFailure(code));
        sim.drop_connections(ann.number());
        browser.sees(said).await;
        start().await?.expect(202);
        moonwa.wait_device("toko", "a login", |device| device["status"] == "CONNECTED").await;
    }
    sim.mute_connections(true);
    sim.drop_connections(ann.number());
    browser.sees("WhatsApp cannot be reached: check the network.").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}
