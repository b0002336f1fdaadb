//! Figures, not verdicts: memory, start-up and latency of the real binary. Run by hand in a release build:
//! `cargo test --release --test measure -- --ignored --nocapture --test-threads 1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "what a test does not expect shall end it loudly"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually_within};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim.ws_url())
}

/// A line of `/proc/PID/status` in MB.
fn megabytes(pid: u32, line: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = text.lines().find_map(|row| row.strip_prefix(line)).context("no such line")?;
    let kilobytes: f64 = value.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run by hand in a release build"]
async fn memory_and_start() -> Result<()> {
    let sim = Simulator::start().await?;
    let idle = gateway(&sim).device("toko", &[]).start().await?;
    println!("RSS idle, one unlinked device: {:.1} MB", megabytes(idle.pid(), "VmRSS")?);
    idle.stop().await?;

    let mut builder = gateway(&sim);
    for n in 0..10 {
        builder = builder.device(&format!("d{n}"), &[]);
    }
    let mut moonwa = builder.start().await?;
    for n in 0..10 {
        let phone = sim.phone(&format!("62866600{n:04}"), "Phone").await;
        moonwa.link(&format!("d{n}"), &phone).await?;
    }
    println!("RSS, ten devices just linked: {:.1} MB", megabytes(moonwa.pid(), "VmRSS")?);
    moonwa.restart().await?;
    for n in 0..10 {
        moonwa.wait_state(&format!("d{n}"), "connected").await;
    }
    println!(
        "RSS, ten linked devices after a restart: {:.1} MB",
        megabytes(moonwa.pid(), "VmRSS")?
    );
    println!("   of it anonymous: {:.1} MB", megabytes(moonwa.pid(), "RssAnon")?);

    for round in 1..=3 {
        moonwa.kill().await?;
        let began = Instant::now();
        moonwa.relaunch().await?;
        println!(
            "start to READY with ten devices, round {round}: {} ms",
            began.elapsed().as_millis()
        );
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run by hand in a release build"]
async fn message_to_post() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628667000111", "Ann").await, sim.phone("628667000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "warm up").await?;
    hook.expect_text("warm up").await;

    // One at a time: what one message takes, from the simulated server's socket to the answered POST.
    let mut took = Vec::new();
    for n in 0..200_usize {
        let began = Instant::now();
        bob.send_text(&ann, &format!("one {n}")).await?;
        while hook.count() < n + 2 {
            tokio::task::yield_now().await;
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!(
        "message in to POST answered: p50 {:?}, p99 {:?}",
        took[took.len() / 2],
        took[took.len() * 99 / 100]
    );

    // A burst, as fast as the phone can encrypt.
    let count = 2000;
    let began = Instant::now();
    for n in 0..count {
        bob.send_text(&ann, &format!("burst {n}")).await?;
    }
    let sent = began.elapsed();
    eventually_within(
        Duration::from_secs(120),
        "the burst",
        || async { hook.count() },
        |seen| *seen >= 201 + count,
    )
    .await;
    let all = began.elapsed();
    println!("a burst of {count}: sent in {sent:?}, all posted after {all:?}");
    let texts: Vec<String> =
        hook.taken_texts().into_iter().filter(|text| text.starts_with("burst")).collect();
    assert_eq!(
        texts,
        (0..count).map(|n| format!("burst {n}")).collect::<Vec<_>>(),
        "in order, once each"
    );
    moonwa.stop().await?;
    Ok(())
}
