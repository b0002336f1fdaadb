//! Many devices, many broken files, and a log that follows the file.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use moonwa::facade::config::Config;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::eventually;
use serde_json::{Value, json};

use super::{gateway, logins, reloaded};

#[tokio::test]
async fn editing_one_device_of_ten_closes_no_other_socket() -> Result<()> {
    let sim = Simulator::start().await?;
    let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
    let builder = names.iter().fold(gateway(&sim), |builder, name| builder.device(name, &[]));
    let moonwa = builder.start().await?;
    for (n, name) in names.iter().enumerate() {
        let phone = sim.phone(&format!("6287770002{n:02}"), name).await;
        moonwa.link(name, &phone).await?;
    }
    // How long each has been connected: whoever reconnects begins anew.
    let since = async || -> Result<BTreeMap<String, Value>> {
        let mut found = BTreeMap::new();
        for name in &names {
            let device = moonwa.device(name).await?;
            found.insert(name.clone(), json!([device["state"], device["since"]]));
        }
        Ok(found)
    };
    let (mut before, count) = (since().await?, logins(&sim));
    let edit =
        json!({"label": "Third", "pace": "5/s", "webhooks": [{"url": "http://127.0.0.1:9/"}]});
    moonwa.admin().put("/v1/devices/d3", None, &edit).await?.expect(200);
    moonwa.edit_config(|text| text.replace("Device d5", "Fifth"))?;
    reloaded(&moonwa, "applied", |report| report["changed"].to_string().contains("d5")).await;
    assert_eq!(since().await?, before);
    // What must touch a connection touches that one only.
    moonwa.admin().put("/v1/devices/d7", None, &json!({"enabled": false})).await?.expect(200);
    moonwa.wait_state("d7", "stopped").await;
    let mut after = since().await?;
    assert_ne!(after.remove("d7"), before.remove("d7"));
    assert_eq!(after, before);
    assert_eq!(logins(&sim), count, "nobody has logged in again");
    // A file that loses most of its devices disconnects them, says so, and costs no credentials.
    let whole = fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    let cut = whole.split("\n[device.d2]").next().unwrap_or_default().to_owned();
    moonwa.edit_config(|_| cut)?;
    let report = reloaded(&moonwa, "applied", |report| {
        report["trigger"] == "file" && report["changed"].to_string().contains("8 of 10 devices go")
    })
    .await;
    assert!(report["changed"].to_string().contains("credentials stay"), "{report}");
    moonwa.edit_config(|_| whole)?;
    moonwa.wait_state("d9", "connected").await;
    moonwa.stop().await?;
    Ok(())
}

/// A generator of numbers that is the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_each_error_has_a_place() -> Result<()> {
    let wanted: usize =
        std::env::var("MOONWA_BROKEN").ok().and_then(|all| all.parse().ok()).unwrap_or(150);
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &["http://127.0.0.1:9/".to_owned()]).start().await?;
    let file = moonwa.dir().join("moonwa.toml");
    let good = fs::read(&file)?;
    let revision = moonwa.admin().get("/v1/config").await?.json()["revision"].clone();
    let probe = tempfile::tempdir()?;
    let probe = probe.path().join("moonwa.toml");
    fs::write(&probe, &good)?;
    fs::set_permissions(&probe, fs::metadata(&file)?.permissions())?;
    let (mut dice, mut broken) = (Dice(2026), 0);
    while broken < wanted {
        let mut text = good.clone();
        for _ in 0..=dice.below(3) {
            let at = dice.below(text.len());
            match dice.below(4) {
                0 => text[at] = u8::try_from(dice.below(256))?,
                1 => text.insert(at, b"\"'[]{}=.,\n\\\xff"[dice.below(12)]),
                2 => drop(text.drain(at..(at + 9).min(text.len()))),
                _ => text.truncate(at.max(30)),
            }
        }
        fs::write(&probe, &text)?;
        if Config::load(&probe).is_ok() {
            continue;
        }
        broken += 1;
        // In place: a truncated file is one of the broken ones, and the watcher may read it at any moment.
        fs::write(&file, &text)?;
        let report =
            moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200).json();
        assert_eq!(
            (&report["outcome"], &report["revision"]),
            (&json!("rejected"), &revision),
            "{report}"
        );
        let problems = report["problems"].as_array().cloned().unwrap_or_default();
        let placed = |problem: &Value| problem["line"].is_u64() && problem["column"].is_u64();
        assert!(!problems.is_empty() && problems.iter().all(placed), "{report}");
    }
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(200);
    assert!(!moonwa.log().contains("panicked"), "{}", moonwa.log());
    fs::write(&file, &good)?;
    let report = moonwa.admin().post("/v1/config/reload", &Value::Null).await?.json();
    assert_eq!(report["outcome"], "unchanged", "{report}");
    println!("{broken} broken files, none applied");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_log_follows_the_file() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).config("[log]\nlevel = \"info\"\n").start().await?;
    let reload = async || moonwa.admin().post("/v1/config/reload", &Value::Null).await;
    moonwa.admin().get("/v1/devices").await?.expect(200);
    assert!(!moonwa.log().contains("Answered."));
    moonwa.edit_config(|text| text.replace("info", "debug"))?;
    reload().await?.expect(200);
    moonwa.admin().get("/v1/devices").await?.expect(200);
    let log = async || moonwa.log();
    eventually("a line for the request", log, |log| log.contains("Answered.")).await;
    moonwa.edit_config(|text| text.replace("debug", "error"))?;
    reload().await?.expect(200);
    let quiet = moonwa.log();
    moonwa.admin().get("/v1/devices").await?.expect(200);
    moonwa.admin().get("/v1/devices").await?.expect(200);
    assert_eq!(moonwa.log(), quiet);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn numbers_are_masked_in_the_log_until_the_file_says_otherwise() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628777000141", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).config("[log]\n").start().await?;
    moonwa.link("toko", &ann).await?;
    // Nobody has these numbers, so that each is named in the log: masked, in full, and masked again.
    let (masked, full) = ("6281****111@s.whatsapp.net", "628111222111@s.whatsapp.net");
    for (line, told, untold) in [
        ("[log]\n", masked, full),
        ("[log]\nfull_jids = true\n", full, masked),
        ("[log]\nfull_jids = false\n", masked, full),
    ] {
        moonwa.edit_config(|text| {
            let (rest, _) = text.split_once("[log]").unwrap_or_default();
            format!("{rest}{line}")
        })?;
        moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200);
        let before = moonwa.log().len();
        let id = moonwa.send_text("toko", "628111222111", "hello").await?;
        moonwa.wait_status("toko", &id, "failed").await;
        let log = async || moonwa.log()[before..].to_owned();
        let log = eventually("the line about it", log, |log| log.contains(&id)).await;
        assert!(log.contains(told) && !log.contains(untold), "{line}: {log}");
        assert!(!log.contains("hello"), "{log}");
    }
    moonwa.stop().await?;
    Ok(())
}
