//! The page as an operator uses it: what is wrong with a receiver or with the file, the tail of messages, the reference
//! of the API, a proxy in front, and many devices at once.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use moonwa::facade::config::{Config, Context};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Answer, Delivery, Moonwa, WebhookReceiver, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::browser::Browser;
use super::gateway;

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_receivers_troubles_are_seen_and_mended() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000221", "Ann").await, sim.phone("628111000222", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let gateway = gateway(&sim).env("MOONWA_RETRY_SCALE", "0.01");
    let moonwa = gateway.device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Webhook").await;
    browser.sees("Nothing sent yet").await;

    let answer = |status| Answer {
        body: "out of \u{201c}stock\u{201d}".to_owned(),
        ..Answer::status(status)
    };
    hook.answers([answer(200)]);
    browser.click("Test").await;
    browser.sees("out of \u{201c}stock\u{201d}").await;

    hook.otherwise(Some(answer(422)));
    bob.send_text(&ann, "halo, pesan dua").await?;
    browser.sees("Dead letters (1)").await;
    told(&moonwa, 1).await?;
    let (_, said) = moonwa.command(&["status"]).await?;
    assert!(said.contains("1 dead letters"), "{said}");
    let parked = "An event was parked as a dead letter.";
    let line = moonwa.log().lines().find(|line| line.contains(parked)).map(str::to_owned);
    assert!(line.as_ref().is_some_and(|line| line.contains("tries=3")), "{line:?}");
    // A receiver that refused something is not green, wherever it is named.
    let not_green = "return document.querySelector('.hook .pill').className === 'pill bad'";
    browser.until("a red pill", not_green).await;
    for view in ["Device", "Device toko"] {
        browser.click(view).await;
        browser.sees("1 dead letter").await;
    }
    browser.click("Webhook").await;
    browser.click("Last attempts").await;
    browser.sees("422").await;
    browser.click("Dead letters (1)").await;
    browser.sees("3 tries").await;
    assert!(!browser.text().await.contains("pesan dua"), "a text only shows when asked for");
    browser.click("The message").await;
    browser.sees("\"text\": \"halo, pesan dua\"").await;
    hook.otherwise(None);
    browser.click("Retry").await;
    hook.expect_text("halo, pesan dua").await;
    browser.misses("Dead letters (1)").await;
    browser.sees("Nothing sent yet").await;
    told(&moonwa, 0).await?;

    browser.click("Pause").await;
    browser.sees("Paused").await;
    let before = hook.count();
    bob.send_text(&ann, "halo lagi").await?;
    let waits = |device: &Value| device["webhooks"][0]["backlog"] == 1;
    moonwa.wait_device("toko", "a backlog", waits).await;
    assert_eq!(hook.count(), before, "a paused webhook gets nothing");
    browser.click("Resume").await;
    hook.expect_text("halo lagi").await;
    browser.misses("Paused").await;
    browser.sees("Working").await;

    let before = hook.count();
    browser.click("Replay\u{2026}").await;
    browser.sees("with the same ids").await;
    browser.click("Replay\u{2026}").await;
    browser.sees("The replay has started.").await;
    let all = hook.expect_count(before + 2).await;
    assert_eq!(
        all[before..].iter().map(Delivery::text).collect::<Vec<_>>(),
        ["halo, pesan dua", "halo lagi"]
    );
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

/// How many dead letters the metrics tell of.
async fn told(moonwa: &Moonwa, count: u32) -> Result<()> {
    let metrics = moonwa.admin().get("/metrics").await?.expect(200).text();
    let line = metrics.lines().find(|line| line.starts_with("moonwa_webhook_dead_letters{"));
    assert!(line.is_some_and(|line| line.ends_with(&format!(" {count}"))), "{line:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn more_dead_letters_than_one_page_has_are_all_shown() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000226", "Ann").await, sim.phone("628111000227", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    hook.otherwise(Some(Answer::status(422)));
    let gateway = gateway(&sim).env("MOONWA_RETRY_SCALE", "0.001");
    let moonwa = gateway.device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    for n in 0..101 {
        bob.send_text(&ann, &format!("pesanan {n}")).await?;
    }
    let parked = |device: &Value| device["webhooks"][0]["parked"] == 101;
    moonwa.wait_device("toko", "dead letters", parked).await;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Webhook").await;
    browser.click("Dead letters (101)").await;
    browser.click("Show more").await;
    browser.sees("Dead letters (101)").await;
    browser.misses("Show more").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn messages_are_tailed_and_filtered() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000223", "Ann").await, sim.phone("628111000224", "Bob").await);
    let cici = sim.phone("628111000225", "Cici").await;
    let moonwa = gateway(&sim).device("gudang", &[]).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.click("Messages").await;
    browser.click("All events").await;
    browser.sees("Device toko \u{b7} Device status \u{b7} pending").await;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "rahasia toko").await?;
    browser.sees("Received \u{b7} Text").await;
    browser.sees("Bob").await;
    assert!(!browser.text().await.contains("rahasia toko"), "kinds, not texts");
    browser.choose("Show texts", " ").await?;
    browser.sees("rahasia toko").await;
    browser.choose("Kind", "Reaction").await?;
    browser.sees("Messages appear here the moment they come in or go out.").await;
    browser.press(thirtyfour::Key::Home).await?;
    browser.sees("rahasia toko").await;
    // At first it is every device's.
    browser.sees("Device toko \u{b7} Received").await;
    moonwa.link("gudang", &cici).await?;
    bob.send_text(&cici, "rahasia gudang").await?;
    browser.sees("Device gudang \u{b7} Received").await;
    browser.choose("Device", "Device toko").await?;
    browser.misses("Device gudang \u{b7} Received").await;
    browser.choose("Show texts", " ").await?;
    bob.send_text(&ann, "satu lagi").await?;
    browser.sees("satu lagi").await;
    browser.choose("Device", "Device gudang").await?;
    browser.choose("Show texts", " ").await?;
    // The newest few are there when it opens.
    browser.sees("rahasia gudang").await;
    browser.misses("satu lagi").await;
    browser.until("its own address", "return location.hash === '#/messages/gudang'").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_file_with_problems_is_told_everywhere_and_where_it_is_wrong() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.sees("PENDING").await;
    let alarm = "moonwa.toml has problems. The old configuration still runs.";
    assert!(!browser.text().await.contains(alarm));
    moonwa.edit_config(|text| format!("{text}\npaec = \"20/min\"\n"))?;
    browser.sees(alarm).await;
    browser.click(alarm).await;
    browser.sees("moonwa.toml has problems").await;
    browser.sees("unknown key \"paec\"").await;
    browser.sees("Line 12, column 1").await;
    browser.sees("did you mean").await;
    browser.click("In force").await;
    browser.sees("[device.toko]").await;
    assert!(!browser.text().await.contains("key-of-toko"), "secrets are masked");

    // In Indonesian no sentence of the server stands there.
    browser.click("ID \u{2013} ganti ke Bahasa Indonesia").await;
    browser.sees("kunci \"paec\" tidak dikenal; maksudnya \"pace\"?").await;
    browser.misses("unknown key").await;
    browser.click("EN \u{2013} switch to English").await;

    moonwa.edit_config(|text| text.replace("paec", "pace"))?;
    browser.misses(alarm).await;
    browser.sees("The file is in force").await;
    browser.sees("pace = \"20/min\"").await;
    browser.click("What would change?").await;
    browser.sees("Nothing has changed").await;
    browser.click("Reload").await;
    browser.sees("this page or the API").await;

    browser.click("API reference").await;
    browser.sees("/api/send-message").await;
    browser.write("Search the API", "idempot nothing").await?;
    browser.misses("/api/send-message").await;
    browser.write("Search the API", "send a message").await?;
    browser.click_first(".ops summary").await;
    browser.sees("Idempotency-Key").await;
    browser.sees("curl -X POST").await;
    // A request can be copied for the device that was chosen, in the program's language.
    browser.sees("/v1/devices/toko/messages").await;
    browser.click("Python").await;
    browser.sees("requests.post(").await;
    browser.write("Search the API", "get /v1/session").await?;
    browser.misses("Idempotency-Key").await;
    browser.click_first(".ops summary").await;
    browser.click_first(".op details summary").await;
    browser.click_first(".op form button").await;
    browser.sees("\"role\": \"admin\"").await;
    // On a phone it is reached from the bar above.
    browser.resize(360, 740).await?;
    browser.fits().await;
    browser.click("Device").await;
    browser.click("API reference").await;
    browser.sees("/api/send-message").await;
    browser.fits().await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

/// What moonwa says of every wrong file that there is, and what the page makes of it.
#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn every_problem_is_told_in_indonesian() -> Result<()> {
    let mut told = Vec::new();
    for file in std::fs::read_dir("tests/it/config/bad")? {
        let file = file?.path();
        if file.extension().is_some_and(|kind| kind == "toml") {
            let rejected = Config::parse(std::fs::read(&file)?, &Context::of(&file));
            let problems = rejected.err().context("a refusal")?.problems;
            told.extend(problems.into_iter().map(|one| match one.hint {
                Some(hint) => format!("{}; {hint}", one.message),
                None => one.message,
            }));
        }
    }
    assert!(told.len() > 100, "the wrong files are gone");
    let moonwa = gateway(&Simulator::start().await?).device("toko", &[]).start().await?;
    let browser = Browser::reading("id").await?;
    browser.log_in(&moonwa).await?;
    let script = "const done = arguments[arguments.length - 1]; import('./view/problem.js').then(({ problemWords }) => \
        done(JSON.parse(TOLD).map((message) => problemWords({ message }))))";
    let list = serde_json::to_string(&serde_json::to_string(&told)?)?;
    let said = browser.run_async(&script.replace("TOLD", &list)).await?;
    let said: Vec<String> = serde_json::from_value(said)?;
    for (english, indonesian) in told.iter().zip(&said) {
        let by_parser = english.contains(", expected ");
        assert_eq!(indonesian.contains("Ini bukan TOML yang benar"), by_parser, "{indonesian}");
        let words = [" the ", " is ", " are ", " not ", "write ", " or "];
        let left = words.into_iter().find(|word| !by_parser && indonesian.contains(word));
        assert_eq!(left, None, "{english} is told as: {indonesian}");
    }
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

/// A reverse proxy that serves moonwa at `/wa/` and knows nothing else, as nginx does with `location /wa/`.
async fn proxy(tasks: &mut JoinSet<()>, to: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            // The browser may close a connection whenever it likes.
            open.spawn(async move { pass(stream, to).await.ok() });
        }
    });
    Ok(address)
}

async fn pass(mut browser: TcpStream, to: SocketAddr) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(browser.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    if head.split(' ').nth(1).is_none_or(|path| !path.starts_with("/wa/")) {
        let refusal = "HTTP/1.1 418 Outside\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return Ok(browser.write_all(refusal.as_bytes()).await?);
    }
    let mut moonwa = TcpStream::connect(to).await?;
    // One request for each connection, so that each is looked at.
    let head = head.replacen("Connection: keep-alive", "Connection: close", 1);
    moonwa.write_all(head.as_bytes()).await?;
    copy_bidirectional(&mut browser, &mut moonwa).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn the_page_works_below_a_path_behind_a_proxy() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.edit_config(|text| text.replace("[store]", "base_path = \"/wa/\"\n\n[store]"))?;
    moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200);
    let link = moonwa.admin().post("/v1/login-links", &Value::Null).await?.expect(201).json();
    let path = link["path"].as_str().unwrap_or_default();
    assert!(path.starts_with("/wa/"), "{path}");
    let browser = Browser::start().await?;
    let mut tasks = JoinSet::new();
    let proxy = proxy(&mut tasks, moonwa.address()).await?;
    browser.open(&format!("http://{proxy}{path}")).await?;
    browser.sees("PENDING").await;
    browser.click("Device toko").await;
    browser.click("START SESSION").await;
    browser.until("a QR code", super::QR_SHOWN).await;
    for view in ["Single Send", "Webhook", "Messages", "Config", "API reference"] {
        browser.click(view).await;
        let script = format!("return document.querySelector('h1').textContent === '{view}'");
        browser.until(view, &script).await;
    }
    browser.sees("/api/send-message").await;
    browser.click("Sign out of this page").await;
    browser.sees("Welcome to moonwa").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn fifty_devices_are_searched_and_change_together() -> Result<()> {
    let sim = Simulator::start().await?;
    let mut builder = gateway(&sim);
    for n in 0..50 {
        builder = builder.config(&format!("\n[device.d{n:02}]\nlabel = \"Cabang {n:02}\"\n"));
    }
    let moonwa = builder.start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.sees("0 of 50 connected").await;
    browser.write("Search name or number", "cabang 17").await?;
    let rows = "return document.querySelectorAll('tbody tr').length";
    eventually("one row", || browser.run(rows, Vec::new()), |rows| *rows == json!(1)).await;
    browser.write("Search name or number", "xyz").await?;
    browser.sees("No device matches.").await;
    browser.write("Search name or number", "pending").await?;
    eventually("all rows", || browser.run(rows, Vec::new()), |rows| *rows == json!(50)).await;

    // Each telling redraws the list once: fifty changes in a burst must not be fifty redraws.
    let count = "window.draws = 0; const add = () => window.draws++; \
        new MutationObserver(add).observe(document.querySelector('.head .muted'), { childList: true, characterData: true, subtree: true }); \
        new MutationObserver(add).observe(document.querySelector('tbody'), { childList: true, characterData: true, subtree: true })";
    browser.run(count, Vec::new()).await;
    let kept = "return [...document.querySelectorAll('tbody tr')].every((row, n) => row === window.rows?.[n])";
    browser.run("window.rows = [...document.querySelectorAll('tbody tr')]", Vec::new()).await;
    for n in 0..50 {
        moonwa.admin().post(&format!("/v1/devices/d{n:02}/start"), &Value::Null).await?.expect(202);
    }
    let waiting = "return document.body.innerText.split('Waiting for the phone.').length - 1";
    eventually("fifty linking", || browser.run(waiting, Vec::new()), |all| *all == json!(50)).await;
    let draws = browser.run("return window.draws", Vec::new()).await.as_u64().unwrap_or_default();
    println!("fifty devices changed in {draws} redraws");
    assert!(0 < draws && draws < 100, "{draws} redraws for fifty devices");
    assert_eq!(browser.run(kept, Vec::new()).await, json!(true), "rows stay the same elements");
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}
