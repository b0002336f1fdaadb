//! The forms that write moonwa.toml, as a person fills them in: what they write is what an editor would have written.

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually};
use serde_json::json;
use thirtyfour::Key;

use super::browser::Browser;
use super::{QR_SHOWN, gateway};

/// The file as it stands.
fn file(moonwa: &Moonwa) -> String {
    std::fs::read_to_string(moonwa.dir().join("moonwa.toml")).unwrap_or_default()
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_device_is_added_linked_and_deleted_by_the_forms() -> Result<()> {
    add_link_and_delete("en").await
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_device_is_added_linked_and_deleted_in_indonesian() -> Result<()> {
    add_link_and_delete("id").await
}

async fn add_link_and_delete(language: &str) -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000231", "Ann").await;
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).config("\n# our shop\n").start().await?;
    let browser = Browser::reading(language).await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    browser.sees("Link your first number").await;
    browser.click("Add Device").await;
    browser.click("Submit").await;
    browser.sees("Give it a Session Name first.").await;
    browser.write("Session Name", "Admin Toko").await?;
    let name = "return document.querySelector('[name=name]').value === 'admin-toko'";
    browser.until("a proposed name", name).await;
    browser.misses("Give it a Session Name first.").await;
    browser.click("More settings").await;
    browser.click("Webhook URL 1").await;
    browser.write("Webhook URL 1", &hook.url()).await?;
    browser.click("Submit").await;
    browser.sees("START SESSION").await;
    browser.sees("admin-toko").await;
    let text = file(&moonwa);
    assert!(text.contains("# our shop") && text.contains("[device.admin-toko]"), "{text}");
    browser.click("START SESSION").await;
    browser.until("a QR code", QR_SHOWN).await;
    ann.scan(&moonwa.qr("admin-toko").await).await?;
    browser.sees("Connected since").await;

    browser.click("Delete device").await;
    browser.sees("Delete Admin Toko?").await;
    let warning = "It is unlinked and removed from moonwa.toml. This cannot be undone.";
    browser.sees(warning).await;
    browser.press(Key::Escape).await?;
    browser.misses(warning).await;
    assert!(file(&moonwa).contains("admin-toko"), "a question is no answer");
    browser.click("Delete device").await;
    browser.sees("Delete Admin Toko?").await;
    browser.click("Delete device").await;
    browser.sees("Link your first number").await;
    let text = file(&moonwa);
    assert!(text.contains("# our shop") && !text.contains("admin-toko"), "{text}");
    eventually("unlinked", || async { ann.devices().len() }, |count| *count == 0).await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn settings_are_saved_tested_and_a_key_is_made() -> Result<()> {
    save_test_and_make_a_key("en").await
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn settings_are_saved_tested_and_a_key_is_made_in_indonesian() -> Result<()> {
    save_test_and_make_a_key("id").await
}

async fn save_test_and_make_a_key(language: &str) -> Result<()> {
    let sim = Simulator::start().await?;
    let (hook, other) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    other.otherwise(Some(Answer::body("pong from the receiver")));
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    let browser = Browser::reading(language).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Settings of Device toko").await;
    browser.write("Session Name", "Toko Maju").await?;
    browser.click("More settings").await;
    browser.write("At most so many messages", "fast").await?;
    browser.click("Save").await;
    browser.sees("moonwa.toml would not be valid so:").await;
    let beside = "return document.querySelector('[name=pace]').closest('label').nextElementSibling.matches('.note.bad')";
    browser.until("the problem at its field", beside).await;
    let told = if language == "en" { "is not a pace" } else { "misalnya \"20/min\"" };
    browser.sees(told).await;
    assert_eq!(browser.text().await.contains("is not a pace"), language == "en");
    browser.write("At most so many messages", "20/min").await?;
    browser.click("Webhook URL 2").await;
    browser.write("Webhook URL 2", &other.url()).await?;
    // The rest of a webhook opens once it has an address.
    browser
        .run(
            "document.querySelectorAll('.hook-row')[1].querySelector('details').open = true",
            Vec::new(),
        )
        .await;
    browser
        .run(
            "document.querySelectorAll('.hook-row')[1].querySelector('details button').click()",
            Vec::new(),
        )
        .await;
    let made = "return /^whsec_.{44}$/.test(document.querySelector('[name=\"1 secret\"]').value)";
    browser.until("a secret", made).await;
    // Testing what is not saved yet saves it first.
    browser
        .run(
            "document.querySelectorAll('.hook-row')[1].querySelector('details + .row button').click()",
            Vec::new(),
        )
        .await;
    browser.sees("pong from the receiver").await;
    let test = other.expect("the test", |_| true).await;
    assert!(test.header("webhook-signature").starts_with("v1,"), "it is signed");
    let device = moonwa.device("toko").await?;
    assert_eq!(device["label"], "Toko Maju");
    let text = file(&moonwa);
    assert!(text.contains("pace = \"20/min\"") && text.contains(&hook.url()), "{text}");
    assert_eq!(hook.count(), 0, "the other webhook was not touched");

    browser.click("Generate").await;
    browser.sees("The old key stops working at once. Programs that use it need the new one.").await;
    browser.click("Generate").await;
    let once = "Shown only now: copy it.";
    browser.sees(once).await;
    let script = "return document.querySelector('#key').textContent";
    let key = browser.run(script, Vec::new()).await.as_str().unwrap_or_default().to_owned();
    moonwa.anyone().with_token(&key).get("/v1/devices/toko").await?.expect(200);
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(401);
    assert!(!file(&moonwa).contains(&key), "the file has its hash");
    // A key that nobody has copied is not lost to one press of Escape.
    browser.press(Key::Escape).await?;
    browser.sees("Close without copying the key?").await;
    browser.click("Cancel").await;
    browser.sees(once).await;
    browser.click("Copy").await;
    browser.sees("Copied").await;
    browser.press(Key::Escape).await?;
    browser.misses(once).await;
    browser.click("Settings of Toko Maju").await;
    browser.misses(once).await;
    assert!(!browser.text().await.contains(&key), "it is shown once");
    browser.close(&["422"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn an_edit_made_elsewhere_is_not_written_over() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Settings of Device toko").await;
    browser.write("Session Name", "Toko Baru").await?;
    moonwa.edit_config(|text| format!("{text}country_code = \"62\"\n"))?;
    moonwa.wait_device("toko", "the edit", |device| device["country_code"] == "62").await;
    browser.click("Save").await;
    browser.sees("moonwa.toml was edited elsewhere meanwhile.").await;
    let form = "const at = (name) => document.querySelector(`[name=${name}]`).value; return [at('label'), at('country_code')]";
    let both = json!(["Toko Baru", "62"]);
    eventually("both edits", || browser.run(form, Vec::new()), |form| *form == both).await;
    browser.click("Save").await;
    browser.sees("Saved and in force.").await;
    let text = file(&moonwa);
    assert!(text.contains("\"Toko Baru\"") && text.contains("country_code = \"62\""), "{text}");
    browser.close(&["409"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_file_that_may_not_be_written_gives_lines_to_paste() -> Result<()> {
    let sim = Simulator::start().await?;
    let gateway = gateway(&sim).config("\n[admin]\neditable = false\n");
    let moonwa = gateway.device("toko", &[]).start().await?;
    let before = file(&moonwa);
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Add Device").await;
    browser.sees("moonwa may not write moonwa.toml here").await;
    browser.write("Session Name", "Gudang").await?;
    browser.click("Show the lines for moonwa.toml").await;
    browser.sees("[device.gudang]").await;
    browser.sees("label = \"Gudang\"").await;
    assert_eq!(file(&moonwa), before, "nothing was written");
    let script = "return document.querySelector('#lines pre').textContent";
    let lines = browser.run(script, Vec::new()).await.as_str().unwrap_or_default().to_owned();
    moonwa.edit_config(|text| format!("{text}\n{lines}\n"))?;
    browser.sees("START SESSION").await;
    browser.sees("gudang").await;
    browser.click("Delete device").await;
    browser.sees("moonwa forget gudang").await;
    browser.click("Cancel").await;
    browser.close(&["409"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn the_rest_of_a_webhook_is_set_and_what_is_hidden_stays() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim)
        .config(
            "\n[device.toko]\nlabel = \"Device toko\"\nwebhooks = [{ url = \"http://127.0.0.1:1/a\", \
             headers = { authorization = \"Bearer of-the-shop\" } }] # ours\n",
        )
        .start()
        .await?;
    let browser = Browser::reading("id").await?;
    browser.log_in(&moonwa).await?;
    browser.click("Settings of Device toko").await;
    browser.click("Webhook URL 1").await;
    browser.click("Secret, events, format").await;
    let hidden = "return document.querySelector('textarea').value === 'authorization: \u{2022}\u{2022}\u{2022}'";
    browser.until("a hidden header", hidden).await;
    browser.input("Headers, one per line").await?.send_keys("\nx-team: cs").await?;
    browser.write("Secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").await?;
    browser.choose("WAHA", " ").await?;
    browser.choose("Vote", " ").await?;
    browser.choose("Groups", " ").await?;
    browser.write("Only from these", "62812*, 62813*").await?;
    browser.choose("Also what the account itself writes", " ").await?;
    browser.write("Longest wait for an answer", "20s").await?;
    browser.choose("When it is new, begin with", "everything that is kept").await?;
    browser.choose("Paused", " ").await?;
    browser.click("More settings").await;
    browser.choose("Presence", "available").await?;
    browser.choose("Shown on the phone as", "Firefox (Windows)").await?;
    browser.click("Save").await;
    browser.sees("Saved and in force.").await;
    let text = file(&moonwa);
    for wanted in [
        "presence = \"available\"",
        "shown_as = \"Firefox (Windows)\"",
        "chats = [\"people\"]",
        "only = [\"62812*\", \"62813*\"]",
        "from_me = false",
        "authorization = \"Bearer of-the-shop\"",
        "x-team = \"cs\"",
        "compat = [\"waha\"]",
        "\"poll.vote\"",
        "timeout = \"20s\"",
        "start = \"earliest\"",
        "paused = true",
        "# ours",
    ] {
        assert!(text.contains(wanted), "no {wanted} in {text}");
    }
    assert!(!text.contains("format =") && !text.contains("ignore ="), "untouched: {text}");
    // It is there once what was saved has been read back.
    browser.choose("Remove the secret", " ").await?;
    browser.choose("Paused", " ").await?;
    browser.choose("WAHA", " ").await?;
    browser.click("Save").await;
    eventually("no secret", || async { file(&moonwa) }, |text: &String| !text.contains("whsec_"))
        .await;
    let text = file(&moonwa);
    assert!(!text.contains("paused = true") && text.contains("Bearer of-the-shop"), "{text}");
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_row_of_the_list_starts_a_session_and_deletes_its_device() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("gudang", &[]).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Delete Device gudang").await;
    browser.sees("This cannot be undone.").await;
    browser.click("Cancel").await;
    assert!(file(&moonwa).contains("gudang"), "a question is no answer");
    browser.click("Delete Device gudang").await;
    browser.click("Delete device").await;
    browser.sees("Device gudang is deleted.").await;
    eventually("it is gone", || async { file(&moonwa) }, |text: &String| !text.contains("gudang"))
        .await;
    browser.sees("0 of 1 connected").await;
    browser.click("START SESSION").await;
    browser.until("its own page", "return location.hash === '#/devices/toko'").await;
    browser.until("a QR code", QR_SHOWN).await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn an_edit_that_is_not_saved_is_not_dropped_silently() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::reading("id").await?;
    browser.log_in(&moonwa).await?;
    let before = file(&moonwa);
    browser.click("Settings of Device toko").await;
    browser.write("Session Name", "Toko Baru").await?;
    for _ in 0..2 {
        browser.press(Key::Escape).await?;
        browser.sees("Discard the changes?").await;
        browser.press(Key::Escape).await?;
        browser.misses("Discard the changes?").await;
        let kept = "return document.querySelector('[name=label]').value === 'Toko Baru'";
        browser.until("what was typed", kept).await;
    }
    browser.click("Close").await;
    browser.sees("What was changed here is not saved yet.").await;
    browser.click("Discard").await;
    browser.until("the form is gone", "return document.querySelector('dialog') === null").await;
    assert_eq!(file(&moonwa), before);
    browser.click("Settings of Device toko").await;
    browser.sees("API Key").await;
    browser.press(Key::Escape).await?;
    browser.until("no question", "return document.querySelector('dialog') === null").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn what_was_typed_outlives_the_login() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000232", "Ann").await;
    let bob = sim.phone("628111000233", "Bob").await;
    let token = "the-admin-token-of-this-story-0123456789";
    let gateway = gateway(&sim).config(&format!("\n[admin]\ntoken = {token:?}\n"));
    let moonwa = gateway.device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::reading("id").await?;
    browser.log_in(&moonwa).await?;
    browser.click("Single Send").await;
    browser.write("Receiver", bob.number()).await?;
    browser.sees("On WhatsApp").await;
    browser.write("Message", "sudah diketik").await?;
    let log_out = "const done = arguments[arguments.length - 1]; fetch('logout', { method: 'POST' }).then(({ status }) => done(status))";
    assert_eq!(browser.run_async(log_out).await?, json!(204));
    browser.click("Send").await;
    browser.sees("Your login has ended").await;
    assert!(!browser.text().await.contains("Single Send"), "the page behind it is hidden");
    browser.write("Admin token or API key", "wrong").await?;
    browser.click("Sign in").await;
    browser.sees("This token is not right.").await;
    browser.write("Admin token or API key", token).await?;
    browser.click("Sign in").await;
    let kept = "return document.querySelector('[name=text]')?.value === 'sudah diketik' && !document.querySelector('dialog')";
    browser.until("what was typed", kept).await;
    browser.click("Send").await;
    bob.expect_text("sudah diketik").await?;
    browser.sees("Delivered").await;
    browser.close(&["401"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn the_first_steps_lead_and_tick_themselves() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000234", "Ann").await;
    let bob = sim.phone("628111000235", "Bob").await;
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).start().await?;
    let browser = Browser::reading("id").await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    let done = async |count: usize| {
        let script = format!("return document.querySelectorAll('.first .done').length === {count}");
        browser.until(&format!("{count} steps done"), &script).await;
        browser.fits().await;
    };
    browser.sees("Link your first number").await;
    done(0).await;
    browser.click("Add Device").await;
    browser.write("Session Name", "Toko").await?;
    browser.click("Submit").await;
    browser.sees("How to link").await;
    browser.click("Device").await;
    done(1).await;
    browser.click("Link").await;
    browser.sees("How to link").await;
    moonwa.link("toko", &ann).await?;
    browser.sees("Connected since").await;
    browser.click("Device").await;
    done(2).await;
    browser.click("Write one").await;
    browser.write("Receiver", bob.number()).await?;
    browser.sees("On WhatsApp").await;
    browser.write("Message", "tes").await?;
    browser.click("Send").await;
    bob.expect_text("tes").await?;
    browser.sees("Delivered").await;
    browser.click("Device").await;
    done(3).await;
    browser.click("Settings").await;
    browser.click("Webhook URL 1").await;
    browser.write("Webhook URL 1", &hook.url()).await?;
    browser.click("Save").await;
    browser.sees("Saved and in force.").await;
    browser.click("Close").await;
    browser.until("no steps any more", "return document.querySelector('.first') === null").await;
    browser.sees("CONNECTED").await;
    // The code may have been scanned between its telling and its fetching.
    browser.close(&["/qr?"]).await?;
    moonwa.stop().await?;
    Ok(())
}
