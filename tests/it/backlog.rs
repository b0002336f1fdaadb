//! Figures, not verdicts: what a receiver that is down costs, and how fast it catches up. Run by hand in a release
//! build: `cargo test --release --test it backlog:: -- --ignored --nocapture`; `MOONWA_BACKLOG_EVENTS` says how many.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually_within};
use serde_json::Value;

const HOUR: Duration = Duration::from_hours(1);
/// The cap on the outbox; `max_size`'s default.
const CAP: u64 = 256 << 20;

/// What a directory takes of the disk, in bytes.
fn disk(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        bytes += match entry.metadata()? {
            data if data.is_dir() => disk(&entry.path())?,
            data => data.blocks() * 512,
        };
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run by hand in a release build"]
async fn a_receiver_that_is_down() -> Result<()> {
    let asked = std::env::var("MOONWA_BACKLOG_EVENTS").ok().and_then(|text| text.parse().ok());
    let events: u32 = asked.unwrap_or(50_000);
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628888000111", "Ann").await, sim.phone("628888000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .env("MOONWA_RETRY_SCALE", "0.01")
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    // Warm: sessions, caches and threads are there before anything is compared.
    for n in 0..500 {
        bob.send_text(&ann, &format!("warm {n}")).await?;
    }
    hook.expect_text("warm 499").await;
    let before = moonwa.figure("VmRSS")?;

    hook.otherwise(Some(Answer::status(503)));
    let began = Instant::now();
    for n in 0..events {
        bob.send_text(&ann, &format!("event {n}")).await?;
        if n.is_multiple_of(100) {
            let waiting = || async { ann.devices().first().map_or(0, |device| device.unconfirmed) };
            eventually_within(HOUR, "room in WhatsApp's queue", waiting, |n| *n < 200).await;
        }
    }
    let backlog = || async {
        let device = moonwa.device("toko").await.unwrap_or(Value::Null);
        device["webhooks"][0]["backlog"].as_u64().unwrap_or_default()
    };
    eventually_within(HOUR, "all of them stored", backlog, |backlog| *backlog >= events.into())
        .await;
    let rate = f64::from(events) / began.elapsed().as_secs_f64();
    let after = moonwa.figure("VmRSS")?;
    println!("{events} messages in at {rate:.0}/s while the receiver was down");
    println!(
        "RSS {before} KiB before, {after} KiB after: {:+} KiB",
        i64::from(after) - i64::from(before)
    );
    let stored = disk(&moonwa.dir().join("data/outbox"))?;
    println!("disk {} MiB of {} MiB", stored >> 20, CAP >> 20);
    assert!(stored < CAP, "{stored} bytes");

    hook.otherwise(None);
    eventually_within(HOUR, "a first one is taken", backlog, |backlog| *backlog < events.into())
        .await;
    let began = Instant::now();
    eventually_within(HOUR, "drained", backlog, |backlog| *backlog == 0).await;
    let rate = f64::from(events) / began.elapsed().as_secs_f64();
    let taken = hook.taken_texts();
    let numbers: Vec<u64> =
        taken.iter().filter_map(|text| text.strip_prefix("event ")?.parse().ok()).collect();
    let inversions = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    println!("drained at {rate:.0}/s: {} taken, {inversions} inversions", numbers.len());
    println!("RSS at the end {} KiB", moonwa.figure("VmRSS")?);
    assert_eq!((u32::try_from(numbers.len())?, inversions), (events, 0));
    moonwa.stop().await?;
    Ok(())
}
