//! The admin page as a person uses it: real Chromium, the real binary, the simulated WhatsApp. Run by `.ci/run`, or
//! with `cargo test --test it page_browser:: -- --ignored` where Chromium and ChromeDriver are installed.

mod adopt;
mod browser;
mod chats;
mod device;
mod forms;
mod gallery;
mod groups;
mod inbox;
mod inbox_acts;
mod later;
mod newcomer;
mod operator;
mod proxied;
mod reference;
mod rules;
mod sender;

use anyhow::Result;
use browser::Browser;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually};
use serde_json::{Value, json};
use thirtyfour::Key;

/// The countdown's number.
const LEFT: &str =
    "return parseInt(document.querySelector('.left')?.textContent.match(/\\d+/)?.[0] ?? '-1')";
/// A QR code is on the screen, completely drawn.
const QR_SHOWN: &str = "const img = document.querySelector('.qr img'); return Boolean(img?.checkVisibility() && img.complete && img.naturalWidth)";
/// The window's connection to the gateway broke, or was refused: that is what the story is about.
const CUT: [&str; 2] = ["ERR_", "Failed to load resource"];

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// The modules of the code on the screen as a phone's camera sees them, row by row.
async fn modules_shown(browser: &Browser, width: usize) -> String {
    let script = "const [width] = arguments; const side = (width + 8) * 4; const canvas = document.createElement('canvas'); \
        canvas.width = canvas.height = side; const pen = canvas.getContext('2d'); \
        pen.drawImage(document.querySelector('.qr img'), 0, 0, side, side); const seen = pen.getImageData(0, 0, side, side).data; \
        let text = ''; for (let y = 0; y < width; y++) for (let x = 0; x < width; x++) \
        text += seen[(((y + 4) * 4 + 2) * side + (x + 4) * 4 + 2) * 4] < 128 ? '1' : '0'; return text";
    browser.run(script, vec![json!(width)]).await.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_device_is_linked_on_the_page() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000211", "Ann").await;
    let hook = WebhookReceiver::start().await?;
    let all = format!("webhooks = [{{ url = {:?}, events = [\"*\"] }}]\n", hook.url());
    let moonwa = gateway(&sim)
        .config(&format!("\n[device.toko]\nlabel = \"Device toko\"\n{all}"))
        .start()
        .await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;

    browser.sees("PENDING").await;
    browser.click("Device toko").await;
    browser.click("START SESSION").await;
    browser.until("a QR code", QR_SHOWN).await;
    let qr = moonwa.qr("toko").await;
    let code = qrcode::QrCode::new(&qr)?;
    let expected: String = code.to_colors().iter().map(|color| color.select('1', '0')).collect();
    assert_eq!(modules_shown(&browser, code.width()).await, expected, "the code is the live one");
    let first = browser.run(LEFT, Vec::new()).await.as_i64().unwrap_or_default();
    assert!(first > 0, "the countdown says {first}");
    let runs = |left: &Value| left.as_i64().is_some_and(|left| 0 < left && left + 1 < first);
    eventually("the countdown runs", || browser.run(LEFT, Vec::new()), runs).await;
    // The page is drawn again with each second; the code is not fetched again.
    let fetched = "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/qr?')).length";
    assert_eq!(browser.run(fetched, Vec::new()).await, json!(1));

    ann.scan(&qr).await?;
    browser.sees("CONNECTED").await;
    browser.sees("+62 811-1000-211").await;
    browser.sees("Connected since").await;
    browser
        .until("no code any more", "return document.querySelector('.qr img[src]') === null")
        .await;
    browser.click("Device").await;
    browser.sees("1 of 1 connected").await;
    browser.close(&[]).await?;
    // The QR is a login secret: whoever reads the log, the metrics, an event or a file does not find it there.
    hook.expect("the states", |one| one.body.windows(9).any(|part| part == b"connected")).await;
    let told: Vec<_> = hook.deliveries().into_iter().map(|one| one.body.to_vec()).collect();
    let metrics = moonwa.admin().get("/metrics").await?.text();
    let page = moonwa.admin().get("/v1/devices").await?.text();
    for place in [moonwa.log(), metrics, page]
        .iter()
        .map(String::as_bytes)
        .chain(told.iter().map(Vec::as_slice))
    {
        let found = qr.split(',').any(|part| {
            part.len() > 20 && place.windows(part.len()).any(|at| at == part.as_bytes())
        });
        assert!(!found, "the QR is in {}", String::from_utf8_lossy(place));
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn by_keyboard_alone_in_indonesian_on_a_small_phone() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000212", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    browser.sees("0 of 1 connected").await;
    browser.fits().await;

    browser.tab_to("ID – ganti ke Bahasa Indonesia").await?;
    browser.press(Key::Enter).await?;
    browser.sees("0 dari 1 terhubung").await;
    browser.until("the language is told", "return document.documentElement.lang === 'id'").await;
    browser.fits().await;
    browser.tab_to("Device toko").await?;
    browser.press(Key::Enter).await?;
    browser.sees("Cara menautkan").await;
    browser.tab_to("START SESSION").await?;
    browser.press(Key::Enter).await?;
    browser.until("a QR code", QR_SHOWN).await;
    browser.fits().await;
    ann.scan(&moonwa.qr("toko").await).await?;
    browser.sees("CONNECTED").await;
    browser.sees("Terhubung sejak").await;
    browser.fits().await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn unlinked_on_the_phone_the_page_says_so_and_offers_a_new_start() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000213", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.sees("CONNECTED").await;

    ann.unlink(1).await?;
    browser.sees("DISCONNECTED").await;
    browser.sees("Unlinked on the phone. Scan a new QR.").await;
    browser.click("START SESSION").await;
    browser.until("a QR code", QR_SHOWN).await;
    ann.scan(&moonwa.qr("toko").await).await?;
    browser.sees("Connected since").await;

    browser.click("Log out").await;
    browser.sees("Log out Device toko?").await;
    browser.click("Cancel").await;
    browser.misses("Log out Device toko?").await;
    assert_eq!(ann.devices().len(), 1, "a question is no answer");
    browser.click("Log out").await;
    browser.sees("Log out Device toko?").await;
    browser.click("Log out").await;
    browser.sees("Logged out here.").await;
    eventually("unlinked", || async { ann.devices().len() }, |count| *count == 0).await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_qr_that_expired_is_told_and_the_next_one_comes_at_a_press() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.click("START SESSION").await;
    browser.until("a QR code", QR_SHOWN).await;

    sim.expire_qr();
    browser.sees("The QR code has expired").await;
    browser
        .until("no code any more", "return document.querySelector('.qr img[src]') === null")
        .await;
    browser.click("START SESSION").await;
    browser.until("a new QR code", QR_SHOWN).await;
    browser.misses("has expired").await;
    browser.click("Cancel").await;
    browser.sees("Linking was cancelled.").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_device_is_linked_with_the_phone_number() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000214", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.click("Cannot scan? Link with your phone number").await;
    browser.write("WhatsApp number, with country code", "0811-1000-214").await?;
    browser.click("Get the code").await;
    browser.sees("Write the number with its country code: 628111000214").await;
    browser.write("WhatsApp number, with country code", "+62 811-1000-214").await?;
    browser.click("Get the code").await;
    browser.sees("Type this code into WhatsApp").await;
    let script = "return document.querySelector('.pair').textContent";
    let shown = |code: &Value| code.as_str().is_some_and(|code| code.len() == 9);
    let code = eventually("a pair code", || browser.run(script, Vec::new()), shown).await;
    let left = browser.run(LEFT, Vec::new()).await.as_i64().unwrap_or_default();
    assert!(left > 0, "its countdown says {left}");
    ann.enter_code(&code.as_str().unwrap_or_default().replace('-', "")).await?;
    browser.sees("CONNECTED").await;
    browser.sees("+62 811-1000-214").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_lost_connection_is_told() -> Result<()> {
    let sim = Simulator::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.sees("PENDING").await;
    let banner = "No connection to moonwa. Trying again…";
    assert!(!browser.text().await.contains(banner));
    let fetched = "const all = performance.getEntriesByType('resource'); \
        return ['send', 'send_request', 'webhooks'].every((view) => all.some(({ name }) => name.endsWith(`view/${view}.js`)))";
    browser.until("the other views are fetched ahead", fetched).await;
    let colour = "return document.querySelector('.pill').className";
    assert_eq!(browser.run(colour, Vec::new()).await, json!("pill wait"));
    moonwa.kill().await?;
    // The states grey at once and say how old they are; the banner waits for a restart's length.
    browser.sees("As of ").await;
    assert_eq!(browser.run(colour, Vec::new()).await, json!("pill"));
    browser.sees(banner).await;
    // The views are there already.
    browser.click("Single Send").await;
    browser.sees("Message Type").await;
    browser.click("Webhook").await;
    browser.sees("No webhook yet").await;
    browser.close(&CUT).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_view_that_cannot_be_fetched_says_so() -> Result<()> {
    let moonwa = gateway(&Simulator::start().await?).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.block(&["*/view/config.js"]).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Config").await;
    browser.sees("This view could not be loaded").await;
    browser.click("Messages").await;
    browser.sees("Nothing yet").await;
    browser.close(&["view/config.js"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn what_stands_in_the_way_of_linking_is_said_in_red() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    sim.refuse_connections(true);
    browser.click("Device toko").await;
    browser.click("START SESSION").await;
    let red = "return document.querySelector('.note.bad') !== null";
    browser.until("a red note", red).await;
    browser.sees("WhatsApp cannot be").await;
    browser.sees("check the network").await;
    sim.refuse_connections(false);
    browser.until("a QR code", QR_SHOWN).await;
    browser.until("no red note", &red.replace("!==", "===")).await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_page_that_is_put_aside_listens_no_more_and_catches_up() -> Result<()> {
    let moonwa = gateway(&Simulator::start().await?).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Messages").await;
    let there = "return document.querySelector('h1')?.textContent === 'Messages'";
    browser.until("the view and its stream", there).await;
    let count = "window.ended = 0; const close = EventSource.prototype.close; \
        EventSource.prototype.close = function () { window.ended++; close.call(this) }; \
        dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })); return window.ended";
    assert_eq!(browser.run(count, Vec::new()).await, 2, "the page's stream and the view's");
    moonwa.edit_config(|text| text.replace("label = \"Device toko\"", "label = \"Toko Maju\""))?;
    moonwa.wait_device("toko", "the new label", |device| device["label"] == "Toko Maju").await;
    let back = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))";
    browser.run(back, Vec::new()).await;
    browser.click("Device").await;
    browser.sees("Toko Maju").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_page_that_is_not_logged_in_has_no_qr() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.click("START SESSION").await;
    browser.until("a QR code", QR_SHOWN).await;
    let address = browser.run("return document.querySelector('.qr img').src", Vec::new()).await;

    browser.click("Sign out of this page").await;
    browser.sees("Welcome to moonwa").await;
    // This moonwa has no admin token; what to type on its machine is said in full.
    browser.sees("sudo -u moonwa moonwa login").await;
    browser.until("no code any more", "return document.querySelector('.qr') === null").await;
    let script = format!(
        "return fetch({address}).then(async (answer) => `${{answer.status}} ${{(await answer.text()).includes('<svg')}}`)"
    );
    assert_eq!(browser.run(&script, Vec::new()).await, json!("401 false"), "not even in a cache");
    browser.open(&format!("http://{}/#/devices/toko", moonwa.address())).await?;
    browser.sees("Welcome to moonwa").await;
    let page = browser.text().await;
    assert!(!page.contains("Device toko") && !page.contains("PENDING"), "{page}");
    browser.close(&["401"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_login_link_works_once() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let link = moonwa.admin().post("/v1/login-links", &Value::Null).await?.json();
    let link = format!("http://{}{}", moonwa.address(), link["path"].as_str().unwrap_or_default());
    let (first, second) = (Browser::start().await?, Browser::start().await?);
    first.open(&link).await?;
    first.sees("Device toko").await;
    second.open(&link).await?;
    second.sees("That login link").await;
    assert!(!second.text().await.contains("Device toko"));
    first.close(&[]).await?;
    second.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn signing_out_everywhere_ends_other_browsers_too() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let (first, second) = (Browser::start().await?, Browser::start().await?);
    first.log_in(&moonwa).await?;
    second.log_in(&moonwa).await?;
    first.click("Config").await;
    first.click("Sign out everywhere").await;
    first.sees("Sign out everywhere?").await;
    first.click_first("dialog.ask .danger").await;
    first.sees("Your login has ended").await;
    second.sees("Your login has ended").await;
    assert!(!second.text().await.contains("Device toko"));
    first.close(&["401"]).await?;
    second.close(&["401"]).await?;
    moonwa.stop().await?;
    Ok(())
}
