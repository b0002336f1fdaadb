//! What delivery costs, as figures and ratios: `cargo bench --bench delivery`; `-- hanging` or another part of a
//! figure's name in the code runs that one alone. `MOONWA_BENCH_BINARY` measures another build, for a comparison. The
//! real binary, the simulated WhatsApp, real receivers; every event is synced to the disk before its POST. The
//! simulator's own work (it encrypts as a phone does, on the same cores) is in all of them, so they are upper bounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "figures for people; what is not expected shall end it loudly"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use moonwa::facade::config::{DeviceConfig, EndpointConfig};
use moonwa::facade::hooks::Webhooks;
use moonwa::facade::model::{DeviceName, EventId, EventType, UnixMillis};
use moonwa::facade::store::{Counted, NewEvent, Store, StoreOptions};
use moonwa::facade::task::Tasks;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually_within};
use moonwa_simulator::{Phone, Simulator};
use serde_json::Value;
use tokio::net::TcpListener;

/// What the engine alone takes to decrypt one message, median and 99th percentile, and how many it decrypts a second.
const ENGINE: (f64, f64, f64) = (0.3, 0.6, 3000.0);
const ONE_BY_ONE: usize = 1000;
const BURST: usize = 5000;
const PATIENCE: Duration = Duration::from_mins(5);

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    let binary = std::env::var("MOONWA_BENCH_BINARY");
    Moonwa::builder(binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_moonwa").to_owned()))
        .whatsapp(sim)
        .env("MOONWA_RETRY_SCALE", "0.01")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|part| name.contains(part));
    if wants("bursts") {
        one_by_one_and_bursts().await?;
    }
    if wants("cost_of_a_post") {
        cost_of_a_post().await?;
    }
    if wants("three_of_four_hanging") {
        three_of_four_hang().await?;
    }
    if wants("four_hundred_hanging") {
        four_hundred_hang().await?;
    }
    Ok(())
}

/// A number from a line of a process' status: `VmRSS` in KiB, `Threads`.
fn status(process: &str, line: &str) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = text.lines().find_map(|row| row.strip_prefix(line)).unwrap();
    value.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// The processor time it has taken, in milliseconds.
fn processor(moonwa: &Moonwa) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", moonwa.pid())).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks = |n: usize| fields.split_whitespace().nth(n).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) * 10.0
}

/// What one event takes from the log to the receiver: read, signed, posted, its cursor saved.
async fn cost_of_a_post() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628667000117", "Ann").await, sim.phone("628667000118", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    one_by_one((&bob, &ann), &hook, 50).await?;
    let endpoint = "/v1/devices/toko/webhooks/1";
    moonwa.admin().post(&format!("{endpoint}/pause"), &Value::Null).await?;
    let one = [bob];
    send(&one, &ann, "stored").await?;
    let waiting = || async { ann.devices().first().map_or(0, |device| device.unconfirmed) };
    eventually_within(PATIENCE, "all stored", waiting, |waiting| *waiting == 0).await;
    let before = processor(&moonwa);
    let resume = async { moonwa.admin().post(&format!("{endpoint}/resume"), &Value::Null).await };
    let (_, rate) = burst(&hook, &one, "stored", resume).await?;
    println!(
        "{BURST} stored messages to one endpoint: {rate:.0}/s, {:.0} µs of processor time each, {} threads",
        (processor(&moonwa) - before) * 1000.0 / BURST as f64,
        status(&moonwa.pid().to_string(), "Threads"),
    );
    moonwa.stop().await?;
    Ok(())
}

/// One receiver that answers beside 399 that accept the connection and say nothing. moonwa's own process cannot have so
/// many on one device, so this is its delivery alone.
async fn four_hundred_hang() -> Result<()> {
    let device = DeviceName::parse("toko").unwrap();
    let mut alone = None;
    for others in [0, 399] {
        let (healthy, silent) =
            (WebhookReceiver::start().await?, TcpListener::bind("127.0.0.1:0").await?);
        let dir = tempfile::TempDir::new()?;
        let keep = Duration::from_hours(72);
        let options = StoreOptions {
            path: dir.path().to_owned(),
            power_safe: false,
            keep,
            max_size: 64 << 20,
        };
        let store = Store::open(options).await?;
        let tasks = Tasks::new();
        let hooks = Webhooks::start_scaled(store.clone(), tasks.clone(), 0.01).await?;
        let (rss, threads) = (status("self", "VmRSS"), status("self", "Threads"));
        // Each URL is an endpoint of its own.
        let silents = (1..=others).map(|n| format!("http://{}/{n}", silent.local_addr().unwrap()));
        let urls = std::iter::once(healthy.url()).chain(silents);
        let webhooks = urls.zip(1..).map(|(url, n)| EndpointConfig::new(n, url)).collect();
        let config = DeviceConfig { webhooks, ..DeviceConfig::new("Toko") };
        hooks.reconcile(&BTreeMap::from([(device.clone(), config)])).await?;
        let mut held = Vec::new();
        let mut took = Vec::new();
        for n in 0..=ONE_BY_ONE {
            let (before, began) = (healthy.count(), Instant::now());
            store.log().append(vec![event(&device, n)]).await?;
            healthy.more_than(before).await;
            took.push(began.elapsed());
            while held.len() < others {
                held.push(silent.accept().await?);
            }
        }
        let (rss, threads) = (status("self", "VmRSS") - rss, status("self", "Threads") - threads);
        let (median, slow) = percentiles(took.split_off(1));
        let stopping = Instant::now();
        assert_eq!(tasks.shutdown(PATIENCE).await, 0);
        let stopped = stopping.elapsed().as_secs_f64();
        let times = slow / *alone.get_or_insert(slow);
        println!(
            "an endpoint beside {others} that hang: p50 {median:.2} ms, p99 {slow:.2} ms ({times:.2} × alone); {rss:+} KiB, {threads:+} threads; stopped in {stopped:.1} s"
        );
        store.close().await?;
    }
    Ok(())
}

fn event(device: &DeviceName, n: usize) -> NewEvent {
    let id = EventId::derive(&["bench", &n.to_string()]);
    let body = serde_json::json!({ "id": id.as_str(), "data": { "text": "x".repeat(300) } });
    let (kind, at) = (EventType::MessageReceived, UnixMillis::now());
    let (body, counts) = (body.to_string().into(), Counted::Nothing);
    NewEvent { device: device.clone(), id, kind, at, body, counts }
}

/// Milliseconds of the median and of the 99th percentile.
fn percentiles(mut took: Vec<Duration>) -> (f64, f64) {
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    (at(50), at(99))
}

/// Sends messages one at a time; how long each took until its POST was read.
async fn one_by_one(
    (bob, ann): (&Phone, &Phone),
    hook: &WebhookReceiver,
    count: usize,
) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(count);
    for n in 0..count {
        let before = hook.count();
        let began = Instant::now();
        bob.send_text(ann, &format!("one {n}")).await?;
        hook.more_than(before).await;
        took.push(began.elapsed());
    }
    Ok(took)
}

async fn one_by_one_and_bursts() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628667000111", "Ann").await, sim.phone("628667000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    one_by_one((&bob, &ann), &hook, 50).await?;

    let (median, slow) = percentiles(one_by_one((&bob, &ann), &hook, ONE_BY_ONE).await?);
    println!(
        "message in to POST, {ONE_BY_ONE} one by one: p50 {median:.2} ms ({:.1} × the engine), p99 {slow:.2} ms ({:.1} ×)",
        median / ENGINE.0,
        slow / ENGINE.1
    );

    let one = [bob];
    let mut ten = Vec::new();
    for n in 0..10 {
        ten.push(sim.phone(&format!("62866700020{n}"), "Bob").await);
    }
    for (mark, bobs) in [("live", &one[..]), ("lively", &ten[..])] {
        let (rate, _) = burst(&hook, bobs, mark, send(bobs, &ann, mark)).await?;
        println!(
            "a burst of {BURST} from {} phones: {rate:.0} messages/s in order ({:.2} × the engine)",
            bobs.len(),
            rate / ENGINE.2
        );
    }
    let endpoint = "/v1/devices/toko/webhooks/1";
    moonwa.admin().post(&format!("{endpoint}/pause"), &Value::Null).await?;
    send(&one, &ann, "stored").await?;
    ann.expect_confirmed().await?;
    let resume = async { moonwa.admin().post(&format!("{endpoint}/resume"), &Value::Null).await };
    let (_, rate) = burst(&hook, &one, "stored", resume).await?;
    println!(
        "{BURST} stored messages to one endpoint: {rate:.0} messages/s in order ({:.2} × the engine)",
        rate / ENGINE.2
    );
    for (mark, bobs) in [("queued", &one[..]), ("chats", &ten[..])] {
        ann.expect_confirmed().await?;
        moonwa.kill().await?;
        send(bobs, &ann, mark).await?;
        let (whole, rate) = burst(&hook, bobs, mark, moonwa.relaunch()).await?;
        println!(
            "{BURST} in {} chats that waited while it was down: {rate:.0} messages/s in order ({:.2} × the engine), {whole:.0} with start-up",
            bobs.len(),
            rate / ENGINE.2
        );
    }
    moonwa.stop().await?;
    Ok(())
}

/// The texts of a burst, each with the place of its sender.
fn texts(bobs: &[Phone], mark: &str) -> Vec<(usize, String)> {
    (0..BURST).map(|n| (n % bobs.len(), format!("{mark} {} {n}", n % bobs.len()))).collect()
}

/// Every phone sends its part, one message after another, all phones at the same time.
async fn send(bobs: &[Phone], ann: &Phone, mark: &str) -> Result<()> {
    let all = texts(bobs, mark);
    let parts = bobs.iter().enumerate().map(|(n, bob)| {
        let own = all.iter().filter(move |(of, _)| *of == n);
        async move {
            for (_, text) in own {
                bob.send_text(ann, text).await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(parts).await?;
    Ok(())
}

/// How many messages of a burst were taken in a second, from its beginning and from the first POST to the last; all,
/// once, and in each chat in order.
async fn burst(
    hook: &WebhookReceiver,
    bobs: &[Phone],
    mark: &str,
    begin: impl Future<Output = Result<impl Sized>>,
) -> Result<(f64, f64)> {
    let before = hook.count();
    let began = Instant::now();
    let arriving = async {
        hook.more_than(before).await;
        let first = Instant::now();
        hook.more_than(before + BURST - 1).await;
        anyhow::Ok((first, Instant::now()))
    };
    let arriving = async { tokio::time::timeout(PATIENCE, arriving).await? };
    let (_, (first, last)) = futures_util::future::try_join(begin, arriving).await?;
    let taken: Vec<String> = hook
        .taken_texts()
        .into_iter()
        .filter(|text| text.starts_with(&format!("{mark} ")))
        .collect();
    assert_eq!(taken.len(), BURST, "once each");
    for (bob, _) in bobs.iter().enumerate() {
        let chat = format!("{mark} {bob} ");
        let taken: Vec<&String> = taken.iter().filter(|text| text.starts_with(&chat)).collect();
        let sent = texts(bobs, mark);
        let sent: Vec<&String> =
            sent.iter().filter(|(of, _)| *of == bob).map(|(_, text)| text).collect();
        assert_eq!(taken, sent, "in order");
    }
    let rate = |from: Instant| BURST as f64 / (last - from).as_secs_f64();
    Ok((rate(began), rate(first)))
}

async fn three_of_four_hang() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628667000113", "Ann").await, sim.phone("628667000114", "Bob").await);
    let mut hooks = Vec::new();
    for _ in 0..4 {
        hooks.push(WebhookReceiver::start().await?);
    }
    let urls: Vec<String> = hooks.iter().map(WebhookReceiver::url).collect();
    let moonwa = gateway(&sim).device("toko", &urls).start().await?;
    moonwa.link("toko", &ann).await?;
    let (fourth, others) = hooks.split_last().expect("four receivers");
    one_by_one((&bob, &ann), fourth, 50).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _round in 0..3 {
        alone.extend(one_by_one((&bob, &ann), fourth, ONE_BY_ONE / 2).await?);
        for hook in others {
            hook.hang(true);
        }
        beside.extend(one_by_one((&bob, &ann), fourth, ONE_BY_ONE / 2).await?);
        for hook in others {
            hook.hang(false);
        }
        let drained = || async {
            let device = moonwa.device("toko").await.unwrap_or_default();
            let hooks = device["webhooks"].as_array().cloned().unwrap_or_default();
            hooks.iter().filter(|hook| hook["backlog"] == 0).count()
        };
        eventually_within(PATIENCE, "all caught up", drained, |drained| *drained == 4).await;
    }
    let ((median, slow), (median_beside, slow_beside)) = (percentiles(alone), percentiles(beside));
    println!(
        "one of four endpoints: p50 {median:.2} ms, p99 {slow:.2} ms; while the three others hang: p50 {median_beside:.2} ms, p99 {slow_beside:.2} ms ({:.2} ×)",
        slow_beside / slow
    );
    moonwa.stop().await?;
    Ok(())
}
