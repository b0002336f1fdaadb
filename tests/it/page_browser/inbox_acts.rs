//! What people do in the inbox beside answering: they react, narrow the list, and send again what WhatsApp refused.

use anyhow::Result;
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{ChatSetting, Fault};
use serde_json::{Value, json};
use thirtyfour::Key;

use super::inbox::{BOB, Inbox};

/// The reactions at each message, oldest first.
const REACTIONS: &str = "return [...document.querySelectorAll('.turn')].map((one) => one.querySelector('.emojis')?.textContent ?? '')";
const FOCUSED: &str = "return document.activeElement?.className.includes('opener') === true";
const CLOSED: &str = "return document.querySelector('.choice') === null";

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_reaction_of_one_is_seen_by_the_other_and_taken_back() -> Result<()> {
    let inbox = Inbox::open().await?;
    let Inbox { ann, bob, .. } = &inbox;
    let thanks = bob.send_text(ann, "Terima kasih, kak!").await?;
    let (ani, budi) = (inbox.desk("ani", "en", 1280).await?, inbox.desk("budi", "id", 360).await?);
    let tamu = inbox.desk("tamu", "en", 768).await?;
    for browser in [&ani, &budi, &tamu] {
        browser.click_first(BOB).await;
        browser.sees("Terima kasih, kak!").await;
    }
    // With the keyboard alone, and closed again without a choice.
    ani.tab_to("React").await?;
    let opened = CLOSED.replace("===", "!==");
    for (key, there) in [(Key::Enter, opened.as_str()), (Key::Escape, CLOSED)] {
        ani.press(key + "").await?;
        ani.until("opened, then closed", there).await;
        ani.until("the focus where it was", FOCUSED).await;
    }
    ani.press(Key::Enter + "").await?;
    ani.tab_to("\u{1f44d}").await?;
    ani.press(Key::Enter + "").await?;
    bob.expect_text("\u{1f44d}").await?;
    for browser in [&ani, &budi, &tamu] {
        browser.shows("Ani's reaction", REACTIONS, &json!(["\u{1f44d}"])).await;
        browser.until("no choice open", CLOSED).await;
        browser.fits().await;
    }
    ani.until("the focus where it was", FOCUSED).await;
    // The account has one reaction: Budi's is in the place of Ani's, and Bob's beside it.
    budi.click("React").await;
    budi.fits().await;
    budi.click("\u{2764}\u{fe0f}").await;
    bob.expect_text("\u{2764}\u{fe0f}").await?;
    bob.react(ann, &thanks, "\u{1f64f}").await?;
    for browser in [&ani, &budi, &tamu] {
        let shown = |seen: &Value| {
            let seen = seen[0].as_str().unwrap_or_default().to_owned();
            seen.contains('\u{2764}') && seen.contains('\u{1f64f}') && !seen.contains('\u{1f44d}')
        };
        eventually("both", || browser.run(REACTIONS, Vec::new()), shown).await;
    }
    ani.click("React").await;
    ani.until(
        "what is theirs",
        "return document.querySelectorAll('.choice [aria-pressed=true]').length === 1",
    )
    .await;
    ani.click_first(".choice [aria-pressed=true]").await;
    for browser in [&ani, &budi, &tamu] {
        browser.shows("Bob's alone", REACTIONS, &json!(["\u{1f64f}"])).await;
    }
    let path = format!("chats/{}/messages", bob.number());
    let kept = || async { inbox.told(&path).await.unwrap_or_default() };
    let one = |messages: &Vec<Value>| messages[0]["reactions"].as_array().map(Vec::len) == Some(1);
    let messages = eventually("what the history has", kept, one).await;
    assert_eq!(messages[0]["reactions"][0]["from"]["phone"], bob.number());
    tamu.until("nothing to react with", "return document.querySelector('.opener') === null").await;
    inbox.close([(ani, &[]), (budi, &[]), (tamu, &[])]).await
}

const TITLES: &str =
    "return [...document.querySelectorAll('.contact strong')].map((one) => one.textContent).sort()";

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn the_list_is_narrowed_and_stays_so() -> Result<()> {
    let inbox = Inbox::open().await?;
    let Inbox { sim, ann, bob, moonwa } = &inbox;
    let eve = sim.phone("628111000263", "Eve").await;
    let group = sim.group("Pelanggan", &[ann, bob]).await?;
    eve.send_text(ann, "lama").await?;
    let read = bob.send_text(&group, "di grup").await?;
    let ani = inbox.desk("ani", "en", 360).await?;
    ani.sees("di grup").await;
    ann.look_at(&read, true).await?;
    ann.set_chat(&eve.lid(), ChatSetting::Archived(true))?;
    let quiet = || async {
        let told = moonwa.admin().get("/v1/devices/toko/chats").await;
        let chats = told.map(|told| told.json()["chats"].clone()).unwrap_or_default();
        let of = |kind: &str| chats.as_array()?.iter().find(|chat| chat["kind"] == kind).cloned();
        Some((of("group")?["unread"].clone(), of("person")?["archived"].clone()))
    };
    let done = Some((json!(0), json!(true)));
    eventually("read and archived on the phone", quiet, |seen| *seen == done).await;
    bob.send_text(ann, "baru").await?;
    ani.shows("all", TITLES, &json!(["Bob", "Eve", "Pelanggan"])).await;
    for (name, wanted) in [
        ("Unread", json!(["Bob", "Eve"])),
        ("Archived", json!(["Eve"])),
        ("All", json!(["Bob", "Eve", "Pelanggan"])),
        ("Groups", json!(["Pelanggan"])),
    ] {
        ani.click(name).await;
        ani.shows(name, TITLES, &wanted).await;
        ani.fits().await;
    }
    // A conversation and the way back leave it so, and the address says it to another tab.
    ani.click_first(".contact").await;
    ani.sees("di grup").await;
    ani.click("Messages").await;
    ani.shows("the groups, after one of them", TITLES, &json!(["Pelanggan"])).await;
    let address = ani.run("return location.href", Vec::new()).await;
    assert!(address.as_str().is_some_and(|address| address.ends_with("/groups")), "{address}");
    ani.open("about:blank").await?;
    ani.open(address.as_str().unwrap_or_default()).await?;
    ani.shows("the groups, in another tab", TITLES, &json!(["Pelanggan"])).await;
    inbox.close([(ani, &[])]).await
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_message_that_whatsapp_refused_says_why_and_is_sent_again() -> Result<()> {
    let inbox = Inbox::open().await?;
    let Inbox { sim, ann, bob, .. } = &inbox;
    bob.send_text(ann, "Halo?").await?;
    let (ani, tamu) = (inbox.desk("ani", "id", 360).await?, inbox.desk("tamu", "id", 768).await?);
    for browser in [&ani, &tamu] {
        browser.click_first(BOB).await;
        browser.sees("Halo?").await;
    }
    sim.fault(ann, Fault::Nack(463));
    ani.write("Write an answer", "Ya, kak.").await?;
    ani.click("Send").await;
    let why = "WhatsApp keeps this number from new contacts for now.";
    for browser in [&ani, &tamu] {
        browser.sees(why).await;
    }
    // The history knows it, too.
    let address = ani.run("return location.href", Vec::new()).await;
    ani.open("about:blank").await?;
    ani.open(address.as_str().unwrap_or_default()).await?;
    ani.sees(why).await;
    ani.fits().await;
    ani.until("no reaction to it", "return document.querySelector('.mine .opener') === null").await;
    tamu.until("nothing to press", "return document.querySelector('.bubble button') === null")
        .await;
    ani.click("Try again").await;
    bob.expect_text("Ya, kak.").await?;
    inbox.close([(ani, &[]), (tamu, &[])]).await
}
