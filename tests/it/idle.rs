//! What a gateway with nothing to do costs: threads, and how often it wakes.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use moonwa_simulator::harness::{Moonwa, eventually_within};
use moonwa_simulator::{Entry, Simulator};

const LONG: Duration = Duration::from_mins(3);
/// The goal; a process that runs one of these more has a thread that it does not need.
const THREADS: u32 = 10;
/// How many pings make the time in which it is watched: a device sends one every 15 to 30 seconds.
const PINGS: usize = 20;
/// What the gateway may wake for one ping of a device. The goal is 13 wake-ups a second with ten devices, which ping about
/// 0.45 times a second: 29. Twice that, for a machine that is busy with other tests.
const WAKES: u64 = 58;

/// A gateway with so many linked devices.
async fn linked(sim: &Simulator, devices: usize) -> Result<Moonwa> {
    let mut builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim);
    for n in 0..devices {
        builder = builder.device(&format!("d{n}"), &[]);
    }
    let moonwa = builder.start().await?;
    for n in 0..devices {
        let phone = sim.phone(&format!("6285550{devices:02}{n:02}"), "Ann").await;
        moonwa.link(&format!("d{n}"), &phone).await?;
    }
    Ok(moonwa)
}

/// How often each thread of the gateway has waited for something so far: once for every time that it woke.
fn waits(moonwa: &Moonwa) -> Result<Vec<(String, u64)>> {
    let mut all = Vec::new();
    for task in fs::read_dir(format!("/proc/{}/task", moonwa.pid()))? {
        let task = task?.path();
        // One that ends meanwhile is none.
        let (Ok(status), Ok(name)) =
            (fs::read_to_string(task.join("status")), fs::read_to_string(task.join("comm")))
        else {
            continue;
        };
        let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let waits = waits.context("no count")?.trim().parse()?;
        all.push((name.trim().to_owned(), waits));
    }
    all.sort();
    Ok(all)
}

/// Waits until the devices have sent so many pings after that place in the simulator's journal.
async fn pings(sim: &Simulator, after: u64, count: usize) {
    let is_ping = |entry: &&Entry| {
        entry.seq > after && entry.is_in("iq") && entry.attr("xmlns").as_deref() == Some("w:p")
    };
    let sent = || async { sim.journal().iter().filter(is_ping).count() };
    eventually_within(LONG, "pings", sent, |sent| *sent >= count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_gateway_has_few_threads_and_sleeps() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = linked(&sim, 10).await?;
    // Whatever linking left to do is done by then, and each thread of a moment has ended.
    let start = sim.cursor();
    pings(&sim, start, 10).await;
    let threads = || async { moonwa.figure("Threads").unwrap_or(u32::MAX) };
    eventually_within(LONG, "few threads", threads, |threads| *threads <= THREADS).await;

    let (from, before) = (sim.cursor(), waits(&moonwa)?);
    pings(&sim, from, PINGS).await;
    let after = waits(&moonwa)?;
    let sum = |all: &[(String, u64)]| all.iter().map(|(_, waits)| waits).sum::<u64>();
    let woken = sum(&after).saturating_sub(sum(&before));
    assert!(
        woken <= WAKES * PINGS as u64,
        "woken {woken} times within {PINGS} pings:\n{before:?}\n{after:?}"
    );
    println!("woken {woken} times within {PINGS} pings");
    moonwa.stop().await?;
    Ok(())
}
