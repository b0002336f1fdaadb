//! Conversations on the page: who wrote what, the answer, its ticks, what became of a message afterwards.

use anyhow::Result;
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{File, Simulator};
use serde_json::json;

use super::browser::Browser;
use super::gateway;

/// The words of each bubble, oldest first.
const BUBBLES: &str =
    "return [...document.querySelectorAll('.bubble > p:not(.ticks)')].map((p) => p.textContent)";

const BOB: &str = ".contact[href*='628111000242']";
const CICI: &str = ".contact[href*='628111000243']";

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_customer_is_read_and_answered() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000241", "Ann").await;
    let bob = sim.phone("628111000242", "Bob").await;
    let cici = sim.phone("628111000243", "Cici").await;
    let moonwa = gateway(&sim).device("toko", &[]).device("gudang", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::reading("id").await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Messages").await;
    browser.sees("Nothing yet").await;
    bob.send_text(&ann, "halo, ada stok?").await?;
    let asked = bob.send_text(&ann, "yang merah").await?;
    cici.send_text(&ann, "pesanan saya?").await?;
    browser.sees("yang merah").await;
    let unread = "return [...document.querySelectorAll('.contact')].map((one) => \
        [one.querySelector('strong').textContent, parseInt(one.querySelector('.unread')?.textContent ?? '0')]).sort()";
    let list = json!([["Bob", 2], ["Cici", 1]]);
    eventually("two chats", || browser.run(unread, Vec::new()), |seen| *seen == list).await;
    browser.fits().await;

    browser.click_first(BOB).await;
    browser
        .until("whose chat it is", "return document.querySelector('h1').textContent === 'Bob'")
        .await;
    let both = json!(["halo, ada stok?", "yang merah"]);
    eventually("its bubbles", || browser.run(BUBBLES, Vec::new()), |said| *said == both).await;
    browser.fits().await;
    browser.write("Write an answer", "ada, kak").await?;
    browser.click("Send").await;
    let answer = bob.expect_text("ada, kak").await?;
    bob.read(&answer.id).await?;
    browser.sees("Read").await;
    // Nothing stays in the box, and what another program sends is in the chat too.
    browser.until("an empty box", "return document.querySelector('textarea').value === ''").await;
    let body = json!({"to": bob.number(), "text": "dari program"});
    moonwa.admin().post("/v1/devices/toko/messages", &body).await?.expect(202);
    browser.sees("dari program").await;
    bob.edit(&ann, &asked, "yang merah tua").await?;
    browser.sees("yang merah tua").await;
    browser.sees("edited").await;
    bob.revoke(&ann, &asked).await?;
    browser.sees("This message was deleted.").await;
    browser.misses("yang merah tua").await;
    bob.react(&ann, &answer.id, "\u{1f64f}").await?;
    browser.sees("\u{1f64f}").await;

    let picture = File::Image(Some("begini".to_owned()));
    bob.send_file(&ann, include_bytes!("shirt.png"), "image/png", picture).await?;
    let drawn = "return document.querySelector('.bubble img')?.naturalWidth === 240";
    browser.until("the picture", drawn).await;

    // What is typed for one waits while another is looked at.
    browser.write("Write an answer", "sebentar").await?;
    browser.click("Messages").await;
    let list = json!([["Bob", 0], ["Cici", 1]]);
    eventually("Bob was read", || browser.run(unread, Vec::new()), |seen| *seen == list).await;
    browser.click_first(CICI).await;
    browser.sees("pesanan saya?").await;
    browser.until("an empty box", "return document.querySelector('textarea').value === ''").await;
    browser.click("Messages").await;
    browser.click_first(BOB).await;
    let kept = "return document.querySelector('textarea')?.value === 'sebentar'";
    browser.until("what was typed", kept).await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}
