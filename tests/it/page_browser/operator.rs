//! The page as an operator uses it: what is wrong with a receiver or with the file, the tail of messages, the reference
//! of the API, and many devices at once.

use anyhow::{Context as _, Result};
use moonwa::facade::config::{Config, Context};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Answer, Delivery, Moonwa, WebhookReceiver, eventually};
use serde_json::{Value, json};

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
    // It is not known to work.
    let grey = "return document.querySelector('.hook .pill').className === 'pill'";
    browser.until("a grey pill", grey).await;

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
    browser.misses("satu lagi").await;
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
    let found = "return document.querySelector('.ops summary code')?.textContent === '/v1/session'";
    browser.until("the request that was found", found).await;
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

/// moonwa reads its file at once, so a plan seldom has all kinds of change: this one is made up.
#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn what_would_change_is_told_in_colours() -> Result<()> {
    let moonwa = gateway(&Simulator::start().await?).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    moonwa.edit_config(|text| format!("{text}\n[media]\nmax_size = \"5 MB\"\n"))?;
    browser.click("Config").await;
    browser.sees("media.max_size").await;
    let diff = json!({
        "devices": {
            "added": ["kasir"],
            "changed": [{ "device": "toko", "keys": ["pace"], "reconnects": false }],
            "removed": ["gudang"],
        },
        "webhooks": { "added": [], "changed": [], "removed": [] },
        "keys": [],
        "needs_restart": ["media.max_size"],
        "mass_removal": false,
    });
    let plan = json!({ "outcome": "applied", "problems": [], "diff": diff });
    let answer = "const plan = arguments[0], real = fetch; window.fetch = (path, options) => \
        path.endsWith('/plan') ? Promise.resolve(Response.json(plan)) : real(path, options)";
    browser.run(answer, vec![plan]).await;
    browser.click("What would change?").await;
    browser.sees("gudang").await;
    let look = "return [...document.querySelectorAll('.diff li')].map((line) => \
        `${line.querySelector('b').textContent} ${getComputedStyle(line).backgroundColor}`)";
    let lines = browser.run(look, Vec::new()).await;
    let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut seen: Vec<_> = lines.iter().filter_map(|line| line.as_str()?.split_once(' ')).collect();
    assert_eq!(seen.iter().map(|(sign, _)| *sign).collect::<String>(), "!+~-", "{seen:?}");
    assert!(seen.iter().all(|(_, colour)| *colour != "rgba(0, 0, 0, 0)"), "{seen:?}");
    seen.sort_by_key(|(_, colour)| *colour);
    seen.dedup_by_key(|(_, colour)| *colour);
    assert_eq!(seen.len(), 3, "what goes, what comes and what changes look different: {seen:?}");
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn what_went_well_is_said_for_four_seconds_and_in_its_view() -> Result<()> {
    let moonwa = gateway(&Simulator::start().await?).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    let said = "return document.getElementById('say').textContent !== ''";
    let nothing = &said.replace("!==", "===");
    // The clock of this story: what is to happen after four seconds happens when the story says so.
    let clock = "window.later = []; const real = setTimeout; \
        window.setTimeout = (act, ms, ...more) => (ms === 4000 ? -later.push(act) : real(act, ms, ...more))";
    browser.run(clock, Vec::new()).await;
    browser.click("Config").await;
    browser.click("Reload").await;
    browser.until("a word about it", said).await;
    assert_eq!(
        browser.run("later.forEach((act) => act()); return later.length", Vec::new()).await,
        json!(1)
    );
    browser.until("silence", nothing).await;
    browser.click("Reload").await;
    browser.until("a word about it", said).await;
    let late = "const real = Date.now; Date.now = () => real() + 2000";
    browser.run(late, Vec::new()).await;
    browser.click("Webhook").await;
    browser.sees("No webhook yet").await;
    browser.until("silence in the next view", nothing).await;
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
