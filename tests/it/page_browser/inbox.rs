//! The inbox: several people answer from one number, each with a key of their own; what a key may is what its holder may;
//! and an answer goes once, whatever happens on its way.

use anyhow::Result;
use moonwa::facade::model::KeyHash;
use moonwa_simulator::harness::{Moonwa, eventually};
use moonwa_simulator::{File, Phone, Simulator};
use serde_json::{Value, json};
use thirtyfour::Key;

use super::browser::Browser;
use super::gateway;

pub(super) const BOB: &str = ".contact[href*='628111000262']";
/// Who sent what, of our own messages, oldest first.
const OWN: &str = "return [...document.querySelectorAll('.mine')].map((one) => \
    [one.querySelector('.by')?.textContent ?? '', one.querySelector('.words')?.textContent ?? ''])";

fn key_of(id: &str) -> String {
    format!("mw_{id:0<8}_not-a-secret-in-a-test")
}

/// The device toko, whose messages Ani and Budi answer and Tamu reads.
pub(super) fn shop() -> String {
    let key = |id: &str, scopes: &str| {
        format!("{{ id = {id:?}, hash = \"{}\", scopes = [{scopes}] }}", KeyHash::of(&key_of(id)))
    };
    let all = [
        key("ani", "\"read\", \"history\", \"send\""),
        key("budi", "\"read\", \"history\", \"send\""),
        key("tamu", "\"read\", \"history\""),
        key("lama", "\"read\""),
        key("buta", "\"send\""),
    ];
    format!(
        "\n[history]\nkeep = \"30d\"\n\n[device.toko]\nlabel = \"Toko Maju\"\nkeys = [{}]\n",
        all.join(", ")
    )
}

/// Ann's shop with its keys, and Bob, who writes to it.
pub(super) struct Inbox {
    pub(super) sim: Simulator,
    pub(super) ann: Phone,
    pub(super) bob: Phone,
    pub(super) moonwa: Moonwa,
}

impl Inbox {
    pub(super) async fn open() -> Result<Self> {
        let sim = Simulator::start().await?;
        let ann = sim.phone("628111000261", "Ann").await;
        let bob = sim.phone("628111000262", "Bob").await;
        let moonwa = gateway(&sim).config(&shop()).device("gudang", &[]).start().await?;
        moonwa.link("toko", &ann).await?;
        Ok(Self { sim, ann, bob, moonwa })
    }

    /// Somebody at the page, on a phone or at a desk.
    pub(super) async fn desk(&self, id: &str, language: &str, width: u32) -> Result<Browser> {
        let browser = Browser::reading(language).await?;
        browser.resize(width, if width < 768 { 740 } else { 800 }).await?;
        browser.sign_in(&self.moonwa, id).await?;
        Ok(browser)
    }

    /// What the API says of the messages that moonwa sent, or of the conversation with Bob.
    pub(super) async fn told(&self, path: &str) -> Result<Vec<Value>> {
        let path = format!("/v1/devices/toko/{path}");
        let told = self.moonwa.admin().get(&path).await?.expect(200).json();
        Ok(told["messages"].as_array().cloned().unwrap_or_default())
    }

    pub(super) async fn close<const N: usize>(
        self,
        browsers: [(Browser, &[&str]); N],
    ) -> Result<()> {
        for (browser, forgiven) in browsers {
            browser.close(forgiven).await?;
        }
        self.moonwa.stop().await?;
        Ok(())
    }
}

impl Browser {
    /// Signs in on the page with a device's key.
    pub(super) async fn sign_in(&self, moonwa: &Moonwa, id: &str) -> Result<()> {
        self.open(&format!("http://{}/", moonwa.address())).await?;
        self.write("Admin token or API key", &key_of(id)).await?;
        self.click("Sign in").await;
        Ok(())
    }

    /// Waits until a script gives that.
    pub(super) async fn shows(&self, what: &str, script: &str, wanted: &Value) {
        eventually(what, || self.run(script, Vec::new()), |seen| seen == wanted).await;
    }
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn two_people_answer_and_each_sees_who_did() -> Result<()> {
    let inbox = Inbox::open().await?;
    let Inbox { ann, bob, moonwa, .. } = &inbox;
    let asked = bob.send_text(ann, "Masih ada? Lihat https://toko.example/merah.").await?;

    let (ani, budi) = (inbox.desk("ani", "en", 1280).await?, inbox.desk("budi", "id", 360).await?);
    for browser in [&ani, &budi] {
        browser.sees("Masih ada?").await;
        browser.fits().await;
        browser.click_first(BOB).await;
        browser.sees("Masih ada? Lihat").await;
        browser.fits().await;
    }
    // Of another site the page tells nobody where it was, and hands it nothing.
    let link = "const link = document.querySelector('.words a'); return [link.href, link.target, link.rel]";
    let safe = json!(["https://toko.example/merah", "_blank", "noopener noreferrer"]);
    ani.shows("a link that tells nothing", link, &safe).await;
    // Neither sees more than the device's conversations.
    let text = ani.text().await;
    assert!(!text.contains("Config") && !text.contains("gudang"), "{text}");

    ani.write("Write an answer", "Masih, kak.").await?;
    ani.press(Key::Enter + "").await?;
    bob.expect_text("Masih, kak.").await?;
    let first = json!([["ani", "Masih, kak."]]);
    for browser in [&ani, &budi] {
        browser.shows("Ani's answer", OWN, &first).await;
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
        browser.shows("Budi's answer", OWN, &both).await;
    }
    bob.read(&answer.id).await?;
    ani.sees("Read").await;
    // The API says the same.
    let told = inbox.told("messages").await?;
    let by: Vec<&Value> = told.iter().map(|one| &one["by"]).collect();
    assert_eq!(by, [&json!("budi"), &json!("ani")]);

    // A login ends with its key.
    let [old, new] = ["budi", "eko"].map(|id| KeyHash::of(&key_of(id)).to_string());
    moonwa.edit_config(|text| text.replace(&old, &new))?;
    budi.sees("Your login has ended").await;
    ani.sees("Tinggal dua.").await;
    inbox.close([(ani, &[]), (budi, &["401", "ERR_"])]).await
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn who_may_only_read_sees_no_box_and_is_told_why() -> Result<()> {
    let inbox = Inbox::open().await?;
    let Inbox { ann, bob, moonwa, .. } = &inbox;
    bob.send_text(ann, "Halo?").await?;
    // Without the scope read there is nothing to show.
    let browser = inbox.desk("buta", "en", 360).await?;
    browser.sees("This login may not do that.").await;
    browser.sign_in(moonwa, "tamu").await?;
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
    bob.react(ann, &bob.send_text(ann, "Kok diam?").await?, "\u{1f914}").await?;
    browser.sees("Kok diam?").await;
    browser.sees("\u{1f914}").await;
    // Whose key reads, but no history, has the newest messages, and is told what for others there were.
    browser.click("Messages").await;
    browser.click("Sign out of this page").await;
    browser.sees("Welcome to moonwa").await;
    browser.sign_in(moonwa, "lama").await?;
    browser.sees("Kok diam?").await;
    browser.click("Only the newest messages are shown").await;
    browser.sees("your key needs the scope history").await;
    // What was asked for just before it signed out may be answered after that.
    inbox.close([(browser, &["401", "403"])]).await
}

/// The words of each bubble, oldest first.
const WORDS: &str = "return [...document.querySelectorAll('.words')].map((one) => one.textContent)";
const UNREAD: &str = "return [...document.querySelectorAll('.contact')].map((one) => \
    [one.querySelector('strong').textContent, parseInt(one.querySelector('.unread')?.textContent ?? '0')]).sort()";

fn says(text: &str) -> moonwa_simulator::wa::Message {
    moonwa_simulator::wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn what_was_said_long_ago_is_found_and_what_is_new_is_read() -> Result<()> {
    let inbox = Inbox::open().await?;
    let Inbox { ann, bob, moonwa, .. } = &inbox;
    ann.has_had(bob, false, says("sebelum semuanya"), 3 * 86_400, false)?;
    let kopi = bob.send_text(ann, "Ada kopi Gayo?").await?;
    for n in 1..=70 {
        bob.send_text(ann, &format!("pesan {n}")).await?;
    }
    let picture = File::Image(Some("Yang ini".to_owned()));
    bob.send_file(ann, include_bytes!("shirt.png"), "image/png", picture).await?;
    bob.reply(ann, &kopi, "Jadi, masih ada?").await?;

    let (ani, tamu) = (inbox.desk("ani", "en", 360).await?, inbox.desk("tamu", "id", 1280).await?);
    let unread = |n: u32| json!([["Bob", n]]);
    for browser in [&ani, &tamu] {
        browser.shows("what is new", UNREAD, &unread(73)).await;
    }
    // Who may only read reads for nobody else.
    tamu.click_first(BOB).await;
    tamu.sees("Jadi, masih ada?").await;
    ani.fits().await;
    ani.click_first(BOB).await;
    ani.sees("Jadi, masih ada?").await;
    bob.expect_receipt("read", &newest_id(moonwa).await?).await?;
    // Ani's list is another screen; Tamu's hears of it.
    ani.click("Messages").await;
    for browser in [&ani, &tamu] {
        browser.shows("all is read", UNREAD, &unread(0)).await;
    }

    // The quote leads to what it quotes, further back than what is here.
    ani.click_first(BOB).await;
    ani.until("the picture", "return document.querySelector('.bubble img')?.naturalWidth === 240")
        .await;
    let first = "return document.querySelector('.words').textContent !== 'Ada kopi Gayo?'";
    ani.until("the newest ones", first).await;
    ani.click_first("button.quote").await;
    let there = "const found = document.querySelector('.found'); if (!found) return false; \
        const { top, bottom } = found.getBoundingClientRect(); \
        return found.textContent.includes('Ada kopi Gayo?') && top > 0 && bottom < innerHeight";
    ani.until("what was quoted", there).await;
    let all = || ani.run(WORDS, Vec::new());
    eventually("everything", all, |words| words.as_array().map(Vec::len) == Some(73)).await;
    // What is older still the phone has.
    ani.click("Ask the phone for older messages").await;
    ani.sees("sebelum semuanya").await;
    ani.fits().await;

    // A search finds it, and leads there.
    ani.click("Messages").await;
    ani.write("Search chats and messages", "gayo").await?;
    ani.sees("In messages").await;
    ani.fits().await;
    ani.click_first(".contact:has(.hit)").await;
    ani.until("what was found", there).await;
    // What happens to it is seen there.
    bob.edit(ann, &kopi, "Ada kopi Toraja?").await?;
    ani.sees("Ada kopi Toraja?").await;
    ani.sees("edited").await;
    bob.react(ann, &kopi, "\u{2615}").await?;
    ani.sees("\u{2615}").await;
    bob.revoke(ann, &kopi).await?;
    ani.sees("This message was deleted.").await;
    inbox.close([(ani, &[]), (tamu, &[])]).await
}

/// The id of the newest message.
async fn newest_id(moonwa: &Moonwa) -> Result<String> {
    let chats = moonwa.admin().get("/v1/devices/toko/chats").await?.expect(200).json();
    Ok(chats["chats"][0]["newest"]["id"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn an_answer_that_did_not_get_there_says_so_and_goes_once() -> Result<()> {
    let inbox = Inbox::open().await?;
    let Inbox { ann, bob, .. } = &inbox;
    bob.send_text(ann, "Halo?").await?;
    let file = File::Document("Bukti.pdf".to_owned());
    bob.send_file(ann, b"%PDF", "application/pdf", file).await?;
    let browser = inbox.desk("ani", "en", 1280).await?;
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
    browser.shows("one answer", OWN, &once).await;
    assert_eq!(inbox.told("messages").await?.len(), 1);
    inbox.close([(browser, &["ERR_"])]).await
}
