//! What delivery costs, as figures and ratios: `cargo bench --bench delivery`. The real binary, the simulated WhatsApp,
//! real receivers; every event is synced to the disk before its POST. The simulator's own work (it encrypts as a phone
//! does, on the same cores) is in all of them, so they are upper bounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "figures for people; what is not expected shall end it loudly"
)]

use std::time::{Duration, Instant};

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually_within};
use moonwa_simulator::{Phone, Simulator};
use serde_json::Value;

/// What the engine alone takes to decrypt one message, median and 99th percentile, and how many it decrypts a second.
const ENGINE: (f64, f64, f64) = (0.3, 0.6, 3000.0);
const ONE_BY_ONE: usize = 1000;
const BURST: usize = 5000;
const PATIENCE: Duration = Duration::from_mins(5);

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim.ws_url())
        .env("MOONWA_RETRY_SCALE", "0.01")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    one_by_one_and_bursts().await?;
    three_of_four_hang().await
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
