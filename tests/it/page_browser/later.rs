//! What goes later, on a phone: written, looked at, changed and taken back on the page.

use anyhow::{Context, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::eventually;
use serde_json::{Value, json};

use super::browser::Browser;
use super::gateway;

const MESSAGES: &str = "/v1/devices/toko/messages";
/// Sets the field for a time to so many seconds from now, by the browser's clock.
const SET_TIME: &str = "const field = document.querySelector('[type=datetime-local]'); \
    const time = new Date(Date.now() + 1000 * arguments[0]); \
    time.setMinutes(time.getMinutes() - time.getTimezoneOffset()); \
    field.value = time.toISOString().slice(0, 16); \
    field.dispatchEvent(new Event('input', { bubbles: true }))";

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_message_is_scheduled_changed_and_taken_back_on_the_page() -> Result<()> {
    schedule("en").await
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_message_is_scheduled_in_indonesian() -> Result<()> {
    schedule("id").await
}

async fn schedule(language: &str) -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000261", "Ann").await, sim.phone("628111000262", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let scheduled = || async {
        let list = moonwa.admin().get(&format!("{MESSAGES}?status=scheduled")).await;
        list.map(|list| list.json()["messages"].clone()).unwrap_or_default()
    };
    let browser = Browser::reading(language).await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Single Send").await;
    browser.write("Receiver", "628111000262").await?;
    browser.sees("On WhatsApp").await;
    browser.write("Message", "nanti, kak").await?;
    browser.click("Reply, mentions, later").await;
    browser.run(SET_TIME, vec![json!(24 * 3600)]).await;
    browser.fits().await;
    browser.click("Send").await;
    browser.sees("Scheduled").await;
    let one = eventually("it waits", scheduled, |list| list[0]["text"] == "nanti, kak").await;
    let id = one[0]["id"].as_str().context("an id")?.to_owned();

    browser.click("Messages").await;
    browser.sees("nanti, kak").await;
    browser.fits().await;
    browser.click("Change").await;
    browser.write("Message", "besok, kak").await?;
    browser.run(SET_TIME, vec![json!(48 * 3600)]).await;
    browser.fits().await;
    if let Ok(album) = std::env::var("MOONWA_PICTURES") {
        let picture = browser.picture(360, 740).await?;
        std::fs::write(format!("{album}/later-{language}.png"), picture)?;
    }
    browser.click("Save").await;
    let moved =
        |list: &Value| list[0]["text"] == "besok, kak" && list[0]["send_at"] != one[0]["send_at"];
    eventually("it is changed", scheduled, moved).await;
    browser.sees("besok, kak").await;

    browser.click("Take back").await;
    browser.sees("It will not be sent.").await;
    browser.click("Cancel").await;
    browser.misses("It will not be sent.").await;
    browser.click("Take back").await;
    browser.sees("It will not be sent.").await;
    browser.click("Take back").await;
    browser.misses("besok, kak").await;
    moonwa.wait_status("toko", &id, "failed").await;

    // Its time comes while somebody looks.
    let body = json!({"to": bob.number(), "text": "sudah siap", "send_at": "+2s"});
    moonwa.admin().post(MESSAGES, &body).await?.expect(202);
    browser.click("Single Send").await;
    browser.click("Messages").await;
    bob.expect_text("sudah siap").await?;
    browser.misses("Take back").await;
    browser.sees("sudah siap").await;
    assert!(!bob.inbox().iter().any(|item| item.is_text("besok, kak")));
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}
