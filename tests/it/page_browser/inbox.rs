//! The inbox: several people answer from one number, each with a key of their own; what a key may is what its holder may;
//! and an answer goes once, whatever happens on its way.

use anyhow::Result;
use moonwa::facade::model::KeyHash;
use moonwa_simulator::harness::{Moonwa, eventually};
use moonwa_simulator::{File, Simulator};
use serde_json::{Value, json};
use thirtyfour::Key;

use super::browser::Browser;
use super::gateway;

const BOB: &str = ".contact[href*='628111000262']";
/// Who sent what, of our own messages, oldest first.
const OWN: &str = "return [...document.querySelectorAll('.mine')].map((one) => \
    [one.querySelector('.by')?.textContent ?? '', one.querySelector('.words')?.textContent ?? ''])";

fn key_of(id: &str) -> String {
    format!("mw_{id:0<8}_not-a-secret-in-a-test")
}

/// The device toko, whose messages Ani and Budi answer and Tamu reads.
fn shop() -> String {
    let key = |id: &str, scopes: &str| {
        format!("{{ id = {id:?}, hash = \"{}\", scopes = [{scopes}] }}", KeyHash::of(&key_of(id)))
    };
    let all = [
        key("ani", "\"read\", \"send\""),
        key("budi", "\"read\", \"send\""),
        key("tamu", "\"read\""),
        key("buta", "\"send\""),
    ];
    format!("\n[device.toko]\nlabel = \"Toko Maju\"\nkeys = [{}]\n", all.join(", "))
}

impl Browser {
    /// Signs in on the page with a device's key.
    async fn sign_in(&self, moonwa: &Moonwa, id: &str) -> Result<()> {
        self.open(&format!("http://{}/", moonwa.address())).await?;
        self.write("Admin token or API key", &key_of(id)).await?;
        self.click("Sign in").await;
        Ok(())
    }
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn two_people_answer_and_each_sees_who_did() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000261", "Ann").await;
    let bob = sim.phone("628111000262", "Bob").await;
    let moonwa = gateway(&sim).config(&shop()).device("gudang", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let asked = bob.send_text(&ann, "Masih ada? Lihat https://toko.example/merah.").await?;

    let (ani, budi) = (Browser::start().await?, Browser::reading("id").await?);
    budi.resize(360, 740).await?;
    for (browser, id) in [(&ani, "ani"), (&budi, "budi")] {
        browser.sign_in(&moonwa, id).await?;
        browser.sees("Masih ada?").await;
        browser.fits().await;
        browser.click_first(BOB).await;
        browser.sees("Masih ada? Lihat").await;
        browser.fits().await;
    }
    // Of another site the page tells nobody where it was, and hands it nothing.
    let link = "const link = document.querySelector('.words a'); return [link.href, link.target, link.rel]";
    let safe = json!(["https://toko.example/merah", "_blank", "noopener noreferrer"]);
    assert_eq!(ani.run(link, Vec::new()).await, safe);
    // Neither sees more than the device's conversations.
    let text = ani.text().await;
    assert!(!text.contains("Config") && !text.contains("gudang"), "{text}");

    ani.write("Write an answer", "Masih, kak.").await?;
    ani.press(Key::Enter + "").await?;
    bob.expect_text("Masih, kak.").await?;
    let first = json!([["ani", "Masih, kak."]]);
    for browser in [&ani, &budi] {
        eventually("Ani's answer", || browser.run(OWN, Vec::new()), |own| *own == first).await;
    }
    // Budi answers that very message, and Ani sees by whom and to what.
    budi.click("Reply").await;
    budi.write("Write an answer", "Tinggal dua.").await?;
    budi.click("Send").await;
    let answer = bob.expect_text("Tinggal dua.").await?;
    let quoted = serde_json::to_string(&answer.message)?;
    assert!(quoted.contains(&asked), "{quoted}");
    let both = json!([["ani", "Masih, kak."], ["budi", "Tinggal dua."]]);
    for browser in [&ani, &budi] {
        eventually("Budi's answer", || browser.run(OWN, Vec::new()), |own| *own == both).await;
    }
    bob.read(&answer.id).await?;
    ani.sees("Read").await;
    // The API says the same.
    let told = moonwa.admin().get("/v1/devices/toko/messages").await?.json();
    let by: Vec<&Value> =
        told["messages"].as_array().unwrap().iter().map(|one| &one["by"]).collect();
    assert_eq!(by, [&json!("budi"), &json!("ani")]);

    // A login ends with its key.
    let [old, new] = ["budi", "eko"].map(|id| KeyHash::of(&key_of(id)).to_string());
    moonwa.edit_config(|text| text.replace(&old, &new))?;
    budi.sees("Your login has ended").await;
    ani.sees("Tinggal dua.").await;
    ani.close(&[]).await?;
    budi.close(&["401", "ERR_"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn who_may_only_read_sees_no_box_and_is_told_why() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000261", "Ann").await;
    let bob = sim.phone("628111000262", "Bob").await;
    let moonwa = gateway(&sim).config(&shop()).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "Halo?").await?;
    let browser = Browser::start().await?;
    browser.resize(360, 740).await?;
    // Without the scope read there is nothing to show.
    browser.sign_in(&moonwa, "buta").await?;
    browser.sees("This login may not do that.").await;
    browser.sign_in(&moonwa, "tamu").await?;
    browser.sees("Halo?").await;
    browser.click_first(BOB).await;
    browser.sees("To answer, your key needs the scope send.").await;
    let none = "return document.querySelector('textarea, .said-by > button') === null";
    browser.until("nothing to answer with", none).await;
    browser.fits().await;
    // It is so behind the page as well.
    let sent = "const done = arguments[0]; fetch('v1/devices/toko/messages', { method: 'POST', \
        headers: { 'content-type': 'application/json' }, body: JSON.stringify({ to: '628111000262', text: 'x' }) }) \
        .then(({ status }) => done(status))";
    assert_eq!(browser.run_async(sent).await?, json!(403));
    bob.react(&ann, &bob.send_text(&ann, "Kok diam?").await?, "\u{1f914}").await?;
    browser.sees("Kok diam?").await;
    browser.sees("\u{1f914}").await;
    browser.close(&["403"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn an_answer_that_did_not_get_there_says_so_and_goes_once() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000261", "Ann").await;
    let bob = sim.phone("628111000262", "Bob").await;
    let moonwa = gateway(&sim).config(&shop()).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "Halo?").await?;
    let file = File::Document("Bukti.pdf".to_owned());
    bob.send_file(&ann, b"%PDF", "application/pdf", file).await?;
    let browser = Browser::start().await?;
    browser.sign_in(&moonwa, "ani").await?;
    browser.click_first(BOB).await;
    browser.sees("Bukti.pdf").await;

    browser.block(&["*/v1/devices/toko/messages"]).await?;
    browser.write("Write an answer", "Ya, kak?").await?;
    browser.click("Send").await;
    browser.sees("moonwa cannot be reached.").await;
    // The answer is lost on its way back: it went, and nobody here knows.
    browser.block(&[]).await?;
    let lose = "const ask = window.fetch; window.asked = 0; window.fetch = async (path, request) => { \
        const answer = await ask(path, request); if (request?.method !== 'POST' || window.asked++) return answer; \
        throw new TypeError('lost') }";
    browser.run(lose, Vec::new()).await;
    browser.click("Try again").await;
    browser.until("a second try", "return window.asked === 1").await;
    bob.expect_text("Ya, kak?").await?;
    browser.click("Try again").await;
    let once = json!([["ani", "Ya, kak?"]]);
    eventually("one answer", || browser.run(OWN, Vec::new()), |own| *own == once).await;
    let told = moonwa.admin().get("/v1/devices/toko/messages").await?.json();
    assert_eq!(told["messages"].as_array().map(Vec::len), Some(1), "{told}");
    browser.close(&["ERR_"]).await?;
    moonwa.stop().await?;
    Ok(())
}
