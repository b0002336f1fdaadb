//! moonwa against what people run instead: sessions of Baileys with a forwarder to a webhook and an endpoint that sends.
//! Both have their durable store, and the same simulated WhatsApp, phones and receiver, in turns. A table of medians and
//! ratios comes out, and `target/against.json`. It installs Baileys and its node from npm below `target/` (`.ci/baileys`).
//!
//! `cargo bench --bench against`, on a machine that does nothing else. Shorter: `MOONWA_BENCH_ROUNDS` turns of each
//! (2), bursts of `MOONWA_BENCH_BURST` messages (2000; everything else is counted in parts of it), and
//! `MOONWA_BENCH_SECONDS` (20) of idling and of a receiver that is down. `MOONWA_BENCH_BINARY` measures another build.
//! The simulator's own work (it encrypts as a phone does, on the same cores) is in all times of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "figures for people; what is not expected shall end it loudly"
)]

mod gateway;
mod process;
mod table;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use moonwa_simulator::harness::WebhookReceiver;
use moonwa_simulator::{Phone, Simulator};
use serde_json::json;
use tokio::time::{sleep, timeout};

use gateway::{Face, Gateway, Installed, Kind};
use process::{awake, resident, size, stirred, threads, used, used_at_rest};
use table::{Figures, Table};

/// Devices of the fleet, and chats of the wider burst.
const MANY: usize = 10;
/// Devices of a large shop.
const CROWD: usize = 50;
/// Bursts that are stored before a start: 50,000 messages with bursts as they are by default.
const STORED: usize = 25;
const CALLERS: usize = 8;
/// Messages that warm up.
const WARM: usize = 50;

/// How much of everything there is.
#[derive(Clone, Copy)]
struct Load {
    burst: usize,
    pause: Duration,
}

fn asked(name: &str, otherwise: usize) -> Result<usize> {
    std::env::var(name).map_or(Ok(otherwise), |text| Ok(text.parse()?))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let rounds = asked("MOONWA_BENCH_ROUNDS", 2)?;
    let burst = asked("MOONWA_BENCH_BURST", 2000)?;
    let seconds = asked("MOONWA_BENCH_SECONDS", 20)?;
    let load = Load { burst, pause: Duration::from_secs(seconds as u64) };
    let installed = Installed::get()?;
    let mut table = Table::default();
    for round in 1..=rounds {
        for kind in [Kind::Moonwa, Kind::Baileys] {
            println!("turn {round} of {rounds}: {kind:?}");
            let mut figures = one_device(kind, &installed, load).await?;
            let fleet = fleet(kind, &installed, load).await?;
            let further = (fleet["rss_10_mb"] - figures["rss_1_mb"]) / (MANY - 1) as f64;
            figures.extend(fleet);
            figures.insert("rss_device_mb", further);
            figures.insert("rss_50_mb", crowd(kind, &installed, load).await?);
            // Baileys and its forwarder keep no messages.
            if kind == Kind::Moonwa {
                figures.insert("ready_stored_ms", ready_with_many(&installed, load).await?);
            }
            table.add(kind, figures);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/against.json");
    let (machine, date) = (process::machine()?, chrono::Utc::now().format("%Y-%m-%d").to_string());
    println!("\n{machine}; {date}; medians of {rounds}; bursts of {burst}\n");
    table.print();
    let about = json!({ "machine": machine, "date": date, "rounds": rounds, "burst": burst, "seconds": seconds });
    table.save(&path, &about)?;
    println!("\nThe same, and every turn: {}", path.display());
    Ok(())
}

/// Milliseconds of the median and of the 99th percentile.
fn percentiles(mut took: Vec<Duration>) -> (f64, f64) {
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    (at(50), at(99))
}

/// Waits until so many POSTs have come in all, or none has for that long; answers when the last one came.
async fn arrivals(hook: &WebhookReceiver, all: usize, quiet: Duration) -> Instant {
    let mut last = Instant::now();
    while hook.count() < all {
        if timeout(quiet, hook.more_than(hook.count())).await.is_err() {
            break;
        }
        last = Instant::now();
    }
    last
}

/// What came of messages that were sent.
struct Outcome {
    per_second: f64,
    lost: usize,
    inversions: usize,
}

/// Every pair's sender writes its part, one message after another, all at the same time.
async fn write(pairs: &[(&Phone, &Phone)], mark: &str, count: usize) -> Result<()> {
    try_join_all(pairs.iter().enumerate().map(|(chat, (from, to))| async move {
        for n in (chat..count).step_by(pairs.len()) {
            from.send_text(to, &format!("{mark} {chat} {n}")).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    Ok(())
}

/// Looks at what the receiver got of them, whatever came twice counted once.
fn lost_and_inverted(hook: &WebhookReceiver, mark: &str, count: usize) -> (usize, usize) {
    let mut seen = BTreeSet::new();
    let mut newest = [None; MANY];
    let mut inversions = 0;
    for text in hook.taken_texts() {
        let parts: Vec<&str> = text.split(' ').collect();
        let [of, chat, n] = parts[..] else { continue };
        if of != mark || !seen.insert(text.clone()) {
            continue;
        }
        let (chat, n): (usize, usize) = (chat.parse().unwrap(), n.parse().unwrap());
        inversions += usize::from(newest[chat].replace(n).is_some_and(|before| before > n));
    }
    (count - seen.len(), inversions)
}

async fn burst(
    hook: &WebhookReceiver,
    pairs: &[(&Phone, &Phone)],
    mark: &str,
    load: Load,
) -> Result<Outcome> {
    let (before, began) = (hook.count(), Instant::now());
    let arrived = arrivals(hook, before + load.burst, load.pause.max(Duration::from_secs(10)));
    let (written, last) = tokio::join!(write(pairs, mark, load.burst), arrived);
    written?;
    let (lost, inversions) = lost_and_inverted(hook, mark, load.burst);
    let per_second = (load.burst - lost) as f64 / (last - began).as_secs_f64();
    Ok(Outcome { per_second, lost, inversions })
}

/// Messages one at a time: how long each took until its POST was read.
async fn one_by_one(
    pair: (&Phone, &Phone),
    hook: &WebhookReceiver,
    count: usize,
) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(count);
    for n in 0..count {
        let (before, began) = (hook.count(), Instant::now());
        pair.0.send_text(pair.1, &format!("one 0 {n}")).await?;
        hook.more_than(before).await;
        took.push(began.elapsed());
    }
    Ok(took)
}

/// What a send costs by that face: p50, p99, sends per second, processor seconds per 1,000, kB written per send.
async fn sends(gateway: &Gateway, face: Face, to: &Phone, load: Load) -> Result<[f64; 5]> {
    let (alone, together) = (load.burst / 4, load.burst / 2);
    for n in 0..WARM {
        gateway.send(face, to, &format!("warm {n}")).await?;
    }
    let before = used(gateway.pid())?;
    let mut took = Vec::with_capacity(alone);
    for n in 0..alone {
        let began = Instant::now();
        gateway.send(face, to, &format!("alone {n}")).await?;
        took.push(began.elapsed());
    }
    let began = Instant::now();
    let caller = async |caller: usize| {
        for n in (caller..together).step_by(CALLERS) {
            gateway.send(face, to, &format!("together {n}")).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..CALLERS).map(caller)).await?;
    let per_second = together as f64 / began.elapsed().as_secs_f64();
    let (after, all) = (used_at_rest(gateway.pid()).await?, (alone + together) as f64);
    let (p50, p99) = percentiles(took);
    let processor = (after.processor - before.processor) / all * 1000.0;
    Ok([p50, p99, per_second, processor, (after.written - before.written) / all / 1000.0])
}

async fn one_device(kind: Kind, at: &Installed, load: Load) -> Result<Figures> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628777100001", "Ann").await;
    let mut bobs = Vec::new();
    for n in 0..MANY {
        bobs.push(sim.phone(&format!("62877720000{n}"), "Bob").await);
    }
    let pairs: Vec<_> = bobs.iter().map(|bob| (bob, &ann)).collect();
    let mut hook = WebhookReceiver::start().await?;
    let (mut gateway, ready) = Gateway::start(kind, &sim, at, 1, &hook.url()).await?;
    let mut figures = Figures::from([("ready_ms", ready.as_secs_f64() * 1000.0)]);
    gateway.link(0, &ann).await?;
    sim.record(false);
    sleep(load.pause).await;
    figures.insert("rss_1_mb", resident(gateway.pid())?);
    write(&pairs, "warm", WARM).await?;
    arrivals(&hook, WARM, load.pause).await;

    let (before, kept) = (used(gateway.pid())?, size(&gateway.folder())?);
    let (p50, p99) = percentiles(one_by_one(pairs[0], &hook, load.burst / 2).await?);
    figures.extend([("hook_p50_ms", p50), ("hook_p99_ms", p99)]);
    let chat = burst(&hook, &pairs[..1], "chat", load).await?;
    let chats = burst(&hook, &pairs, "chats", load).await?;
    let (after, all) = (used_at_rest(gateway.pid()).await?, (load.burst * 5 / 2) as f64);
    figures.extend([
        ("burst_chat_per_s", chat.per_second),
        ("burst_chats_per_s", chats.per_second),
        ("inversions", (chat.inversions + chats.inversions) as f64),
        ("burst_lost", (chat.lost + chats.lost) as f64),
        ("in_processor_s", (after.processor - before.processor) / all * 1000.0),
        ("in_written_kb", (after.written - before.written) / all / 1000.0),
        ("in_kept_kb", (size(&gateway.folder())? - kept) / all / 1000.0),
    ]);

    let [p50, p99, per_second, processor, written] =
        sends(&gateway, Face::V1, &bobs[0], load).await?;
    figures.extend([("send_p50_ms", p50), ("send_p99_ms", p99), ("sends_per_s", per_second)]);
    figures.extend([("send_processor_s", processor), ("send_written_kb", written)]);
    let [p50, p99, per_second, processor, _] = sends(&gateway, Face::Api, &bobs[0], load).await?;
    figures.extend([("api_p50_ms", p50), ("api_p99_ms", p99), ("apis_per_s", per_second)]);
    figures.insert("api_processor_s", processor);
    sleep(load.pause / 4).await;
    figures.insert("rss_after_mb", resident(gateway.pid())?);
    figures.insert("threads", threads(gateway.pid())?);

    // The receiver is down for a while, and then again while the gateway is killed.
    for (mark, count, killed) in
        [("down", load.burst / 10, false), ("killed", load.burst / 20, true)]
    {
        let address = hook.address();
        drop(hook);
        write(&pairs[..1], mark, count).await?;
        ann.expect_confirmed().await?;
        sleep(if killed { Duration::ZERO } else { load.pause }).await;
        if killed {
            gateway.kill().await?;
        }
        hook = WebhookReceiver::start_at(address).await?;
        if killed {
            figures.insert("ready_full_ms", gateway.relaunch().await?.as_secs_f64() * 1000.0);
        }
        arrivals(&hook, count, load.pause * 2).await;
        let name = if killed { "killed_lost" } else { "down_lost" };
        figures.insert(name, lost_and_inverted(&hook, mark, count).0 as f64);
    }
    Ok(figures)
}

/// Ten devices: at rest, and in a burst to all of them.
async fn fleet(kind: Kind, at: &Installed, load: Load) -> Result<Figures> {
    let sim = Simulator::start().await?;
    let hook = WebhookReceiver::start().await?;
    let (mut gateway, _) = Gateway::start(kind, &sim, at, MANY, &hook.url()).await?;
    let (mut anns, mut bobs) = (Vec::new(), Vec::new());
    for n in 0..MANY {
        anns.push(sim.phone(&format!("62877730000{n}"), "Ann").await);
        bobs.push(sim.phone(&format!("62877740000{n}"), "Bob").await);
        gateway.link(n, &anns[n]).await?;
    }
    sim.record(false);
    sleep(load.pause / 2).await;
    let (before, began) = (awake(gateway.pid())?, Instant::now());
    sleep(load.pause).await;
    let (done, took) = (stirred(gateway.pid(), &before)?, began.elapsed().as_secs_f64());
    let mut figures = Figures::from([
        ("rss_10_mb", resident(gateway.pid())?),
        ("idle_processor_ms", done.0 / took * 60.0),
        ("idle_wakes_per_s", done.1 / took),
    ]);
    let pairs: Vec<_> = bobs.iter().zip(&anns).collect();
    figures.insert("burst_devices_per_s", burst(&hook, &pairs, "fleet", load).await?.per_second);
    Ok(figures)
}

/// What so many devices at rest have in memory, in MB.
async fn crowd(kind: Kind, at: &Installed, load: Load) -> Result<f64> {
    let sim = Simulator::start().await?;
    let hook = WebhookReceiver::start().await?;
    let (mut gateway, _) = Gateway::start(kind, &sim, at, CROWD, &hook.url()).await?;
    for n in 0..CROWD {
        let phone = sim.phone(&format!("6287775000{n:02}"), "Ann").await;
        gateway.link(n, &phone).await?;
    }
    sleep(load.pause).await;
    resident(gateway.pid())
}

/// How long moonwa takes to be ready with many messages stored, after it was killed, in ms.
async fn ready_with_many(at: &Installed, load: Load) -> Result<f64> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628777600001", "Ann").await;
    let bob = sim.phone("628777600002", "Bob").await;
    let hook = WebhookReceiver::start().await?;
    let (mut gateway, _) = Gateway::start(Kind::Moonwa, &sim, at, 1, &hook.url()).await?;
    gateway.link(0, &ann).await?;
    sim.record(false);
    for part in 0..STORED {
        let stored = burst(&hook, &[(&bob, &ann)], &format!("stored{part}"), load).await?;
        ensure!(stored.lost == 0, "{} were lost", stored.lost);
    }
    gateway.kill().await?;
    Ok(gateway.relaunch().await?.as_secs_f64() * 1000.0)
}
