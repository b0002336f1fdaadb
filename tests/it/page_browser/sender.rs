//! Single Send as a person uses it: every kind of message, an upload, the ticks, and what moonwa asks of a passkey's
//! owner.

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::eventually;
use serde_json::{Value, json};

use super::browser::Browser;
use super::gateway;

/// A form sends once at a time, until it has its answer and what changed.
const FREE: &str = "return document.querySelector('form[aria-busy]') === null";

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn single_send_shows_the_ticks_as_they_arrive() -> Result<()> {
    send_and_watch("en").await
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn single_send_shows_the_ticks_in_indonesian() -> Result<()> {
    send_and_watch("id").await
}

async fn send_and_watch(language: &str) -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000215", "Ann").await, sim.phone("628111000216", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::reading(language).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Single Send").await;
    browser.write("Receiver", "628999999999").await?;
    browser.sees("This number is not on WhatsApp.").await;
    browser.write("Receiver", "+62 811-1000-216").await?;
    browser.sees("On WhatsApp").await;
    browser.click("Send").await;
    browser.sees("Please fill in this field.").await;
    browser.write("Message", "pesanan siap, kak").await?;
    browser
        .until(
            "the preview",
            "return document.querySelector('.bubble').innerText.includes('pesanan siap, kak')",
        )
        .await;

    browser.click("Send").await;
    let got = bob.expect_text("pesanan siap, kak").await?;
    browser.sees("Delivered").await;
    browser
        .until("not read yet", "return document.querySelector('[data-status=read]') === null")
        .await;
    bob.read(&got.id).await?;
    browser.until("read", "return document.querySelector('[data-status=read]') !== null").await;
    browser.click("Messages").await;
    // The view before has the number too.
    browser.sees("All devices").await;
    browser.sees("+62 811-1000-216").await;
    browser.click_first(".contact").await;
    browser.sees("Read").await;
    browser.sees("pesanan siap, kak").await;
    browser.click("Messages").await;
    browser.click("All events").await;
    // Texts only when asked for; the list of chats had it.
    browser.misses("pesanan siap").await;
    browser.sees("Read").await;
    assert!(!browser.text().await.contains("pesanan siap"), "texts only when asked for");
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn every_kind_of_message_is_sent_from_the_page() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000217", "Ann").await, sim.phone("628111000218", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Single Send").await;
    browser.write("Receiver", "628111000218").await?;
    browser.sees("On WhatsApp").await;

    let picture = moonwa.dir().join("picture.png");
    std::fs::write(&picture, PICTURE)?;
    browser.choose("Message Type", "Image").await?;
    browser.choose("or a file from this device", &picture.display().to_string()).await?;
    browser.write("Caption", "stok baru").await?;
    browser
        .until("the preview", "return document.querySelector('.bubble canvas').width === 2")
        .await;
    browser.click("The same request as curl").await;
    browser.sees("-F 'file=@picture.png'").await;
    browser.click("Send").await;
    let got = bob.expect_text("stok baru").await?;
    assert_eq!(bob.media(&got.message)?, PICTURE, "byte for byte");

    let kinds: [(&str, &[(&str, &str)]); 3] = [
        ("Location", &[("Latitude", "-6.2"), ("Longitude", "106.8"), ("Name", "Toko Maju")]),
        ("Contact", &[("Name", "Budi"), ("Number", "+62 812-3456-789")]),
        ("Poll", &[("Question", "Besok buka?"), ("Options, one per line", "Ya\nTidak")]),
    ];
    for (kind, fields) in kinds {
        let before = bob.cursor();
        browser.choose("Message Type", kind).await?;
        for (label, text) in fields {
            browser.write(label, text).await?;
        }
        browser.until("the form is free", FREE).await;
        browser.click("Send").await;
        let item = bob.wait_inbox(before, |item| item.message().is_some()).await?;
        let message = &item.message().expect("a message").message;
        match kind {
            "Location" => {
                let place = message.location_message.as_option().expect("a place");
                assert_eq!(place.name.as_deref(), Some("Toko Maju"));
            }
            "Contact" => {
                let card = message.contact_message.as_option().expect("a contact");
                assert!(
                    card.vcard.as_deref().is_some_and(|card| card.contains("waid=628123456789"))
                );
            }
            _ => {
                let poll = message.poll_creation_message_v3.as_option().expect("a poll");
                assert_eq!(poll.options.len(), 2);
            }
        }
    }
    let before = bob.cursor();
    browser.choose("Message Type", "Reaction").await?;
    browser.write("Message id", &got.id).await?;
    browser.write("Emoji", "\u{2764}").await?;
    browser.until("the form is free", FREE).await;
    browser.click("Send").await;
    let item = bob.wait_inbox(before, |item| item.message().is_some()).await?;
    let reaction = &item.message().expect("a message").message.reaction_message;
    assert_eq!(reaction.as_option().expect("a reaction").text.as_deref(), Some("\u{2764}"));

    browser.choose("Message Type", "Voice note").await?;
    browser.write("File URL", "http://127.0.0.1:1/x.ogg").await?;
    browser.until("the form is free", FREE).await;
    browser.click("Send").await;
    browser.sees("moonwa does not fetch files from such an address.").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_message_answers_mentions_is_seen_once_and_is_passed_on() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000219", "Ann").await, sim.phone("628111000220", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::reading("id").await?;
    browser.log_in(&moonwa).await?;
    let asked = bob.send_text(&ann, "masih ada?").await?;
    let seen = |events: &Value| events["events"].as_array().is_some_and(|all| !all.is_empty());
    let events = async || moonwa.admin().get("/v1/devices/toko/events").await.map(|one| one.json());
    eventually("the question", || async { events().await.unwrap_or_default() }, seen).await;

    browser.click("Single Send").await;
    browser.write("Receiver", "628111000220").await?;
    browser.sees("On WhatsApp").await;
    browser.write("Message", "masih, @628111000220").await?;
    browser.click("Reply, mentions, later").await;
    browser.write("Reply to message id", &asked).await?;
    browser.write("Mentioned numbers, with commas", "+62 811-1000-220").await?;
    browser.click("Send").await;
    let got = bob.expect_text("masih, @628111000220").await?;
    let text = got.message.extended_text_message.as_option().expect("a text with a context");
    let context = text.context_info.as_option().expect("a context");
    assert_eq!(context.stanza_id.as_deref(), Some(asked.as_str()));
    assert_eq!(context.mentioned_jid.len(), 1);

    let picture = moonwa.dir().join("picture.png");
    std::fs::write(&picture, PICTURE)?;
    browser.write("Reply to message id", "").await?;
    browser.write("Mentioned numbers, with commas", "").await?;
    browser.choose("Message Type", "Image").await?;
    browser.choose("or a file from this device", &picture.display().to_string()).await?;
    browser.choose("View once", " ").await?;
    let before = bob.cursor();
    browser.until("the form is free", FREE).await;
    browser.click("Send").await;
    let item = bob.wait_inbox(before, |item| item.message().is_some()).await?;
    let message = format!("{:?}", item.message().expect("a message").message);
    assert!(message.contains("view_once: Some(true)"), "it can be seen once");

    browser.choose("Message Type", "Forward").await?;
    browser.write("Message id", &asked).await?;
    browser.until("the form is free", FREE).await;
    browser.click("Send").await;
    bob.expect_text("masih ada?").await?;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

/// Two pixels.
const PICTURE: &[u8] = include_bytes!("two.png");

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_passkey_is_asked_for_step_by_step() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.sees("START SESSION").await;
    // The simulated WhatsApp never asks for a passkey: the page is told that it did.
    let tell = async |step: Value| {
        let script = "const done = arguments[arguments.length - 1]; import(new URL('state.js', document.baseURI)).then(({ put, state }) => { \
            put({ ...state.devices.get('toko'), state: 'linking', linking: { has_qr: false, passkey: STEP } }); done(true) }, (error) => done(String(error)))";
        browser.run_async(&script.replace("STEP", &step.to_string())).await
    };
    assert_eq!(
        tell(json!({"step": "request", "options": "{\"challenge\":\"AA\"}"})).await?,
        json!(true)
    );
    browser.sees("WhatsApp wants your passkey first.").await;
    browser.sees("Open web.whatsapp.com in a browser that can use your passkey").await;
    browser.write("Paste the answer here", "no answer").await?;
    browser.click("Send the answer").await;
    browser.sees("That is not the answer from the console.").await;
    browser.write("Paste the answer here", "{\"id\": \"abc\"}").await?;
    browser.click("Send the answer").await;
    browser.sees("WhatsApp did not ask for this.").await;
    assert_eq!(tell(json!({"step": "confirm", "code": "K7QX"})).await?, json!(true));
    browser.sees("Compare this code with the one on your phone.").await;
    browser.sees("K7QX").await;
    browser.close(&["409"]).await?;
    moonwa.stop().await?;
    Ok(())
}
