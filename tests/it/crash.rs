//! The crash harness: a nemesis kills the gateway again and again, at random and at named fail-points, while messages
//! come in and both receivers fail now and then. A checker then compares what WhatsApp was told (acks) with what the
//! receivers took, in which order, and how often.
//!
//! `cargo test --test it crash::` is the short form. The long one is documented in README.md:
//! `MOONWA_CRASH_EVENTS=10000 MOONWA_CRASH_KILLS=500 cargo test --release --test it crash:: -- --nocapture`.
//! `MOONWA_CRASH_SEED` repeats a run's choices.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use moonwa_simulator::harness::{
    Answer, Moonwa, PATIENCE, WebhookReceiver, eventually_within, noise,
};
use moonwa_simulator::{Entry, Phone, Simulator};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::time::timeout;

/// What `abort` at a fail-point ends with.
const ABORTED: i32 = 6;

/// Where the gateway may be stopped dead, and at which visit at the latest.
const FAILPOINTS: [(&str, u32); 8] = [
    ("keep.before", 6),
    ("append.before", 6),
    ("append.synced", 6),
    ("ack.after", 6),
    ("post.delivered", 12),
    ("cursor.before", 12),
    ("segment.drop", 1),
    ("open.middle", 1),
];
/// How long a fail-point may take to be visited.
const WINDOW: Duration = Duration::from_secs(2);
/// What makes a message fill the log, which must drop its oldest parts during the run.
const FILLER: usize = 700;
/// Events that a receiver may be behind the phone: far less than the log holds, so that nothing may be dropped.
const BEHIND: u64 = 300;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How far the run is.
#[derive(Default)]
struct Pace {
    events: u64,
    kills: u64,
    /// The nemesis' round.
    round: AtomicU64,
    /// What each receiver took.
    taken: [AtomicU64; 2],
}

impl Pace {
    /// Everything that happened, on both sides of the gateway.
    fn progress(&self, sim: &Simulator) -> u64 {
        sim.cursor() + self.taken.iter().map(|taken| taken.load(Ordering::SeqCst)).sum::<u64>()
    }

    /// How many messages may be sent by now.
    fn due(&self) -> u64 {
        let even = (self.round.load(Ordering::SeqCst) + 1) * self.events / self.kills.max(1);
        let slowest = self.taken.iter().map(|taken| taken.load(Ordering::SeqCst)).min();
        even.min(slowest.unwrap_or_default() + BEHIND)
    }
}

/// 20 % answer 500, 5 % hang up, 2 % never answer; counts what it takes.
fn flaky(seed: u64, pace: Arc<Pace>, n: usize) -> impl FnMut() -> Answer + Send + 'static {
    let mut chance = StdRng::seed_from_u64(seed);
    move || match chance.random_range(0..100) {
        0..20 => Answer::status(500),
        20..25 => Answer::status(0),
        25..27 => Answer::status(Answer::NEVER),
        _ => {
            pace.taken[n].fetch_add(1, Ordering::SeqCst);
            Answer::status(200)
        }
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
    /// What came after the number beside it.
    inversions: Vec<(u64, u64)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_a_hundred_times_it_loses_nothing() -> Result<()> {
    let events = number("MOONWA_CRASH_EVENTS", 2000);
    let kills = number("MOONWA_CRASH_KILLS", 100);
    let seed = number("MOONWA_CRASH_SEED", rand::random::<u32>().into());
    println!("seed {seed}: {events} events, {kills} kills");
    let began = Instant::now();

    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000111", "Ann").await, sim.phone("628555000112", "Bob").await);
    let hooks = [WebhookReceiver::start().await?, WebhookReceiver::start().await?];
    let mut moonwa = gateway(&sim, &hooks).await?;
    moonwa.link("toko", &ann).await?;
    let pace = Arc::new(Pace { events, kills, ..Pace::default() });
    for (n, hook) in hooks.iter().enumerate() {
        hook.choosing(flaky(seed + n as u64, pace.clone(), n));
    }
    let ((hits, deaths), sent) =
        tokio::try_join!(nemesis(&sim, &mut moonwa, seed, &pace), write(&ann, &bob, &pace))?;
    println!("{} s: all sent", began.elapsed().as_secs());

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
    eventually_within(PATIENCE * 2, "everything delivered", drained, |seen| {
        *seen == (true, 0, 0, 0)
    })
    .await;

    let acked = acked(&sim, &sent);
    let late = asked_for(&sim, &sent);
    assert_eq!(acked.len() as u64, events, "every message was confirmed in the end");
    let mut verdicts = Vec::new();
    for (n, hook) in hooks.iter().enumerate() {
        let verdict = judge(&moonwa, n + 1, hook, (&acked, &late)).await?;
        println!(
            "endpoint {}: {} taken, {} duplicates, inversions {:?}, {} dead letters, {} dropped, lost {:?}",
            n + 1,
            verdict.taken,
            verdict.duplicates,
            verdict.inversions,
            verdict.parked,
            verdict.dropped,
            verdict.lost,
        );
        verdicts.push(verdict);
    }
    assert!(
        late.len() <= deaths,
        "{} asked for again in {deaths} deaths (seed {seed})",
        late.len()
    );
    for verdict in verdicts {
        assert_eq!(verdict.lost, Vec::<u64>::new(), "acknowledged and lost (seed {seed})");
        assert_eq!(verdict.dropped, 0, "dropped from a log that has room (seed {seed})");
        assert_eq!(verdict.inversions, [], "out of order (seed {seed})");
        assert!(verdict.duplicates <= deaths, "more duplicates than {deaths} deaths (seed {seed})");
    }
    println!(
        "{} s; {} asked for again; fail-points hit: {hits:?}",
        began.elapsed().as_secs(),
        late.len()
    );
    if kills >= 100 {
        for (name, _) in FAILPOINTS {
            assert!(hits.contains_key(name), "{name} was never hit: {hits:?} (seed {seed})");
        }
    }
    moonwa.stop().await?;
    Ok(())
}

async fn gateway(sim: &Simulator, hooks: &[WebhookReceiver]) -> Result<Moonwa> {
    let tables: Vec<String> = hooks
        .iter()
        .map(|hook| format!("{{ url = \"{}\", timeout = \"1s\" }}", hook.url()))
        .collect();
    let config = format!(
        "\n[device.toko]\nwebhooks = [{}]\n\n[outbox]\nmax_size = \"1 MiB\"\n",
        tables.join(", ")
    );
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(sim)
        .env("MOONWA_RETRY_SCALE", "0.001")
        .env("MOONWA_SEGMENT_BYTES", "16384")
        // A session that has moved past a message must not be on the disk before that.
        .env("MOONWA_SLOW_KEEP", "20")
        .config(&config)
        .start()
        .await
}

/// Sends the messages, spread over all rounds, and never far ahead of the receivers.
async fn write(ann: &Phone, bob: &Phone, pace: &Pace) -> Result<BTreeMap<String, u64>> {
    let mut sent = BTreeMap::new();
    for n in 0..pace.events {
        let look = || async {
            let unconfirmed = ann.devices().first().map(|device| device.unconfirmed);
            (pace.due(), unconfirmed.unwrap_or_default())
        };
        // Under the nemesis a slow machine may get nothing done; whether it does is asked at the end.
        eventually_within(PATIENCE * 10, "the gateway keeps up", look, |(due, unconfirmed)| {
            n < *due && *unconfirmed < 100
        })
        .await;
        let text = format!("event {n} {}", noise(n, FILLER));
        sent.insert(bob.send_text(ann, &text).await?, n);
    }
    Ok(sent)
}

/// Ends the gateway `kills` times and starts it again, half at random moments, half at fail-points.
async fn nemesis(
    sim: &Simulator,
    moonwa: &mut Moonwa,
    seed: u64,
    pace: &Pace,
) -> Result<(BTreeMap<&'static str, u32>, usize)> {
    let kills = pace.kills;
    let mut chance = StdRng::seed_from_u64(seed);
    let mut hits: BTreeMap<&'static str, u32> = BTreeMap::new();
    let (mut deaths, mut starting) = (0, Duration::ZERO);
    for n in 0..kills {
        let before = pace.progress(sim);
        pace.round.store(n, Ordering::SeqCst);
        if n % 2 == 1 {
            // Each of the round's messages comes, is confirmed, and is taken by both receivers. Whatever it does at that
            // moment, it must still be alive to be killed.
            let until = before + chance.random_range(0..3 * pace.events / kills.max(1));
            let seen = || async { pace.progress(sim) };
            eventually_within(PATIENCE * 10, "it goes on", seen, |seen| *seen >= until).await;
            moonwa.kill().await?;
        } else {
            let (name, visits) = FAILPOINTS[usize::try_from(n / 2)? % FAILPOINTS.len()];
            moonwa.kill().await?;
            // On a slow machine the first visit may be the only one in the window, and each point must be hit once.
            let visit = if hits.get(name).is_some_and(|hit| *hit > 0) {
                chance.random_range(1..=visits)
            } else {
                1
            };
            moonwa.set_env("MOONWA_FAILPOINT", Some(&format!("{name}:{visit}")));
            // The log must be full before its oldest part is dropped; from then on each point must be hit once.
            let never = !hits.contains_key(name) || hits[name] == 0;
            let window = if never && n * 2 >= kills { PATIENCE } else { WINDOW };
            let hit = match moonwa.relaunch().await {
                Ok(()) => match timeout(window, moonwa.wait_exit()).await {
                    Ok(status) => {
                        let status = status?;
                        ensure!(status.signal() == Some(ABORTED), "{status}\n{}", moonwa.log());
                        true
                    }
                    Err(_not_visited) => moonwa.kill_or_aborted().await?,
                },
                Err(ended) if format!("{ended:#}").contains("SIGABRT") => true,
                Err(ended) => return Err(ended),
            };
            deaths += 1;
            moonwa.set_env("MOONWA_FAILPOINT", None);
            *hits.entry(name).or_default() += u32::from(hit);
        }
        let began = Instant::now();
        moonwa.relaunch().await.with_context(|| format!("no start in round {n} (seed {seed})"))?;
        starting += began.elapsed();
        deaths += 1;
    }
    hits.retain(|_, hits| *hits > 0);
    println!("{deaths} deaths; {} ms per start", starting.as_millis() / u128::from(kills.max(1)));
    Ok((hits, deaths))
}

/// The numbers of the messages that the gateway confirmed to WhatsApp.
fn acked(sim: &Simulator, sent: &BTreeMap<String, u64>) -> BTreeSet<u64> {
    numbers(sim, sent, |entry| {
        // A request to send it again is a receipt, too, and says the opposite.
        entry.is_in("ack") || (entry.is_in("receipt") && !asks_again(entry))
    })
}

/// Those that a kill met before they were kept. Their sender was asked for them, so they come late.
fn asked_for(sim: &Simulator, sent: &BTreeMap<String, u64>) -> BTreeSet<u64> {
    numbers(sim, sent, |entry| entry.is_in("receipt") && asks_again(entry))
}

fn asks_again(entry: &Entry) -> bool {
    entry.attr("type").is_some_and(|kind| kind.ends_with("retry"))
}

fn numbers(
    sim: &Simulator,
    sent: &BTreeMap<String, u64>,
    says: impl Fn(&Entry) -> bool,
) -> BTreeSet<u64> {
    let journal = sim.journal();
    let entries = journal.iter().filter(|entry| says(entry));
    entries.flat_map(Entry::ids).filter_map(|id| sent.get(&id).copied()).collect()
}

async fn judge(
    moonwa: &Moonwa,
    n: usize,
    hook: &WebhookReceiver,
    (acked, late): (&BTreeSet<u64>, &BTreeSet<u64>),
) -> Result<Verdict> {
    let number = |text: &str| {
        let text = text.strip_prefix("event ")?;
        text.split_once(' ')?.0.parse::<u64>().ok()
    };
    let mut verdict = Verdict::default();
    let mut seen = BTreeSet::new();
    let mut highest = None;
    for text in hook.taken_texts() {
        let Some(event) = number(&text) else { continue };
        if !seen.insert(event) {
            verdict.duplicates += 1;
            continue;
        }
        if late.contains(&event) {
            continue;
        }
        if let Some(highest) = highest.filter(|highest| event < *highest) {
            verdict.inversions.push((event, highest));
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
    Ok(verdict)
}
