//! The crash harness: a nemesis kills the gateway again and again, at random and at named fail-points, while messages come
//! in and both receivers fail now and then. A checker then compares what WhatsApp was told (acks) with what the receivers
//! took, in which order, and how often.
//!
//! `cargo test --test crash` is the short form. The long one is documented in README.md:
//! `MOONWA_CRASH_EVENTS=10000 MOONWA_CRASH_KILLS=500 cargo test --release --test crash -- --nocapture`.
//! `MOONWA_CRASH_SEED` repeats a run's choices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually_within};
use moonwa_simulator::{Direction, Simulator};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::time::timeout;

/// Where the gateway may be stopped dead.
const FAILPOINTS: [&str; 7] = [
    "append.before",
    "append.synced",
    "ack.after",
    "post.delivered",
    "cursor.before",
    "generation.drop",
    "open.middle",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// 20 % answer 500, 5 % never, 5 % hang up.
fn flaky(seed: u64) -> impl FnMut() -> Answer + Send + 'static {
    let mut chance = StdRng::seed_from_u64(seed);
    move || match chance.random_range(0..100) {
        0..20 => Answer::status(500),
        20..25 => Answer::status(Answer::NEVER),
        25..30 => Answer::status(0),
        _ => Answer::status(200),
    }
}

/// What one endpoint got, after the run.
#[derive(Debug, Default)]
struct Verdict {
    taken: usize,
    lost: Vec<u64>,
    parked: usize,
    dropped: u64,
    duplicates: usize,
    inversions: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_a_hundred_times_it_loses_nothing() -> Result<()> {
    let events = number("MOONWA_CRASH_EVENTS", 2000);
    let kills = number("MOONWA_CRASH_KILLS", 100);
    let seed = number("MOONWA_CRASH_SEED", rand::random::<u32>().into());
    println!("seed {seed}: {events} events, {kills} kills");

    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000111", "Ann").await, sim.phone("628555000112", "Bob").await);
    let hooks = [WebhookReceiver::start().await?, WebhookReceiver::start().await?];
    let tables: Vec<String> = hooks
        .iter()
        .map(|hook| format!("{{ url = \"{}\", timeout = \"1s\" }}", hook.url()))
        .collect();
    // A small log drops its generations during the run.
    let config = format!(
        "\n[device.toko]\nwebhooks = [{}]\n\n[outbox]\nmax_size = \"64 MiB\"\n",
        tables.join(", ")
    );
    let mut moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim.ws_url())
        .env("MOONWA_RETRY_SCALE", "0.001")
        .env("MOONWA_GENERATION_BYTES", "65536")
        .config(&config)
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    for (hook, salt) in hooks.iter().zip(1..) {
        hook.choosing(flaky(seed + salt));
    }

    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (ann, bob, done) = (ann.clone(), bob.clone(), done.clone());
        tokio::spawn(async move {
            let mut sent = BTreeMap::new();
            for n in 0..events {
                let text = format!("event {n}");
                sent.insert(bob.send_text(&ann, &text).await?, n);
                // The server's queue is bounded by what the gateway confirms, not by how fast a phone can type.
                while ann.devices().first().is_some_and(|device| device.unconfirmed > 200) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            done.store(true, Ordering::SeqCst);
            anyhow::Ok(sent)
        })
    };
    let hits = nemesis(&mut moonwa, kills, seed).await?;
    let sent = writer.await??;
    assert!(done.load(Ordering::SeqCst));

    for hook in &hooks {
        hook.choosing(|| Answer::status(200));
    }
    let drained = || async {
        let device = moonwa.device("toko").await.unwrap_or(Value::Null);
        let backlog = |n: usize| device["webhooks"][n]["backlog"].as_u64().unwrap_or(1);
        let waiting = ann
            .devices()
            .first()
            .map_or(1, |device| u64::try_from(device.unconfirmed).unwrap_or(1));
        (device["state"] == "connected", backlog(0), backlog(1), waiting)
    };
    eventually_within(Duration::from_secs(120), "everything delivered", drained, |seen| {
        *seen == (true, 0, 0, 0)
    })
    .await;

    let acked = acked(&sim, &sent);
    assert_eq!(acked.len() as u64, events, "every message was confirmed in the end");
    for (n, hook) in hooks.iter().enumerate() {
        let verdict = judge(&moonwa, n + 1, hook, &acked).await?;
        println!(
            "endpoint {}: {} taken, {} duplicates, {} inversions, {} dead letters, {} dropped, lost {:?}",
            n + 1,
            verdict.taken,
            verdict.duplicates,
            verdict.inversions,
            verdict.parked,
            verdict.dropped,
            verdict.lost,
        );
        assert!(verdict.lost.is_empty(), "acknowledged and lost: {:?} (seed {seed})", verdict.lost);
        assert_eq!(verdict.inversions, 0, "out of order (seed {seed})");
        assert!(
            verdict.duplicates as u64 <= kills,
            "{} duplicates of {kills} kills (seed {seed})",
            verdict.duplicates
        );
    }
    println!("fail-points hit: {hits:?}");
    for name in FAILPOINTS {
        assert!(
            hits.get(name).is_some_and(|hits| *hits > 0),
            "{name} was never hit: {hits:?} (seed {seed})"
        );
    }
    moonwa.stop().await?;
    Ok(())
}

/// Ends the gateway `kills` times and starts it again, half at random moments, half at fail-points.
async fn nemesis(
    moonwa: &mut Moonwa,
    kills: u64,
    seed: u64,
) -> Result<BTreeMap<&'static str, u32>> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut hits: BTreeMap<&'static str, u32> = BTreeMap::new();
    for round in 0..kills {
        let turn = usize::try_from(round / 2)? % FAILPOINTS.len();
        let name = (round % 2 == 0).then_some(FAILPOINTS[turn]);
        let visit = chance.random_range(1..12);
        let armed = name.map(|name| {
            if name == "open.middle" { name.to_owned() } else { format!("{name}:{visit}") }
        });
        moonwa.kill().await.context("the gateway was not running")?;
        moonwa.set_env("MOONWA_FAILPOINT", armed.as_deref());
        let patience = Duration::from_millis(chance.random_range(50..2000));
        let started = moonwa.relaunch().await;
        let ended = match started {
            Ok(()) => timeout(patience, moonwa.wait_exit()).await.is_ok(),
            Err(_before_ready) => true,
        };
        if ended {
            if let Some(name) = name {
                *hits.entry(name).or_default() += 1;
            }
            moonwa.set_env("MOONWA_FAILPOINT", None);
            moonwa.relaunch().await.context("it does not come up again")?;
        }
    }
    moonwa.kill().await?;
    moonwa.set_env("MOONWA_FAILPOINT", None);
    moonwa.relaunch().await?;
    Ok(hits)
}

/// The numbers of the messages that the gateway confirmed to WhatsApp.
fn acked(sim: &Simulator, sent: &BTreeMap<String, u64>) -> BTreeSet<u64> {
    let confirms = |tag: &str| matches!(tag, "ack" | "receipt");
    sim.journal()
        .iter()
        .filter(|entry| entry.direction == Direction::In && confirms(&entry.tag))
        .filter_map(|entry| sent.get(&entry.attr("id")?).copied())
        .collect()
}

async fn judge(
    moonwa: &Moonwa,
    n: usize,
    hook: &WebhookReceiver,
    acked: &BTreeSet<u64>,
) -> Result<Verdict> {
    let number = |text: &str| text.strip_prefix("event ").and_then(|n| n.parse::<u64>().ok());
    let mut verdict = Verdict::default();
    let mut seen = BTreeSet::new();
    let mut highest = None;
    for text in hook.taken_texts() {
        let Some(event) = number(&text) else { continue };
        if !seen.insert(event) {
            verdict.duplicates += 1;
            continue;
        }
        if highest.is_some_and(|highest| event < highest) {
            verdict.inversions += 1;
        }
        highest = highest.max(Some(event));
    }
    verdict.taken = seen.len();
    let path = format!("/v1/devices/toko/webhooks/{n}/dead-letters");
    let letters = moonwa.admin().get(&path).await?.expect(200).json();
    let parked = letters["dead_letters"].as_array().cloned().unwrap_or_default();
    verdict.parked = parked.len();
    for letter in &parked {
        let body: Value =
            serde_json::from_str(letter["body"].as_str().unwrap_or_default()).unwrap_or_default();
        seen.extend(body["data"]["text"].as_str().and_then(number));
    }
    let device = moonwa.device("toko").await?;
    verdict.dropped = device["webhooks"][n - 1]["dropped"].as_u64().unwrap_or_default();
    verdict.lost = acked.difference(&seen).copied().collect();
    if verdict.lost.len() as u64 == verdict.dropped {
        // Counted as dropped is accounted for; with this log's size there should be none.
        verdict.lost.clear();
    }
    Ok(verdict)
}
