//! Figures, not verdicts: memory and start-up of the real binary. Run by hand in a release build:
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

use std::time::Instant;

use anyhow::{Context, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder};

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
