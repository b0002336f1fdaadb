//! Memory, files and threads stay flat: ten devices, messages in and out, connections that drop, for as long as asked.
//! Run by hand in a release build: `cargo test --release --test it soak:: -- --ignored --nocapture`.
//! `MOONWA_SOAK_MESSAGES` says how many messages, 200,000 unless told otherwise.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver, eventually_within};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_hours(1);
const DEVICES: usize = 10;
/// So many samples are taken, evenly; the first one, after a tenth of the messages, is what the others are held
/// against.
const SAMPLES: usize = 10;
/// One in so many messages goes out, the others come in.
const OUT: usize = 10;
/// After so many messages a connection drops.
const DROP: usize = 1000;
/// The database's tables, which are merged from time to time.
const TABLES: usize = 64;
/// Each webhook's connection may be open or closed when a sample is taken.
const SLACK: usize = DEVICES;
/// What the memory may grow by after the first sample, and what it may be at most.
const GROWTH: f64 = 2.0;
const MOST: f64 = 25.0;

struct Sample {
    megabytes: f64,
    anonymous: f64,
    /// Open files and sockets, the database's tables apart.
    files: usize,
    tables: usize,
    threads: u32,
}

impl Sample {
    fn of(moonwa: &Moonwa) -> Result<Self> {
        let (tables, files): (Vec<_>, Vec<_>) = moonwa
            .open_files()?
            .into_iter()
            .partition(|path| path.components().any(|part| part.as_os_str() == "tables"));
        let megabytes = |name| anyhow::Ok(f64::from(moonwa.figure(name)?) / 1024.0);
        Ok(Self {
            megabytes: megabytes("VmRSS")?,
            anonymous: megabytes("RssAnon")?,
            files: files.len(),
            tables: tables.len(),
            threads: moonwa.figure("Threads")?,
        })
    }
}

fn name(device: usize) -> String {
    format!("d{device}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run by hand in a release build"]
async fn memory_files_and_threads_stay_flat() -> Result<()> {
    let asked = std::env::var("MOONWA_SOAK_MESSAGES").ok().and_then(|text| text.parse().ok());
    let messages: usize = asked.unwrap_or(200_000);
    let sim = Simulator::start().await?;
    let bob = sim.phone("628999000111", "Bob").await;
    let hook = WebhookReceiver::start().await?;
    // Connections drop more often than in life, and the pauses before a new one are not what is measured.
    let mut builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .env("MOONWA_RETRY_SCALE", "0.001");
    for device in 0..DEVICES {
        builder = builder.device(&name(device), &[hook.url()]);
    }
    let moonwa = builder.start().await?;
    let mut phones = Vec::new();
    for device in 0..DEVICES {
        let phone = sim.phone(&format!("6289990002{device:02}"), "Ann").await;
        moonwa.link(&name(device), &phone).await?;
        phones.push(phone);
    }
    sim.record(false);

    let (began, mut taken) = (Instant::now(), 0);
    let mut samples: Vec<Sample> = Vec::new();
    println!("messages   seconds   RSS MB   anonymous MB   files   tables   threads");
    for part in 1..=SAMPLES {
        let until = messages * part / SAMPLES;
        let from = messages * (part - 1) / SAMPLES;
        exchange(&sim, &moonwa, &bob, &phones, from..until).await?;
        quiet(&moonwa, &phones).await;
        taken += hook.forget().iter().filter(|delivery| delivery.text().starts_with("in ")).count();
        let sample = Sample::of(&moonwa)?;
        println!(
            "{until:>8}   {:>7}   {:>6.1}   {:>12.1}   {:>5}   {:>6}   {:>7}",
            began.elapsed().as_secs(),
            sample.megabytes,
            sample.anonymous,
            sample.files,
            sample.tables,
            sample.threads
        );
        samples.push(sample);
    }
    assert_eq!(taken, messages - messages / OUT, "every message came once");
    sim.assert_no_violations();
    let (warm, rest) = samples.split_first().unwrap();
    for sample in rest {
        let growth = sample.megabytes - warm.megabytes;
        assert!(growth <= GROWTH, "{growth:.1} MB more, at most {GROWTH}");
        assert!(sample.megabytes <= MOST, "{:.1} MB, at most {MOST}", sample.megabytes);
        let (before, files) = (warm.files, sample.files);
        assert!(files <= before + SLACK, "{before} files, then {files}");
        assert!(sample.tables <= TABLES, "{} tables", sample.tables);
        assert!(
            sample.threads <= warm.threads,
            "{} threads, then {}",
            warm.threads,
            sample.threads
        );
    }
    moonwa.stop().await?;
    Ok(())
}

/// Sends these messages, spread over the devices, and never far ahead of the gateway.
async fn exchange(
    sim: &Simulator,
    moonwa: &Moonwa,
    bob: &Phone,
    phones: &[Phone],
    numbers: std::ops::Range<usize>,
) -> Result<()> {
    let (begin, end) = (numbers.start, numbers.end);
    let one = async |device: usize| {
        let (name, phone) = (name(device), &phones[device]);
        for n in (begin..end).filter(|n| n % DEVICES == device) {
            if (n / DEVICES).is_multiple_of(OUT) {
                let body = json!({"to": bob.number(), "text": format!("out {n}")});
                let path = format!("/v1/devices/{name}/messages");
                moonwa.key_of(&name).post(&path, &body).await?.expect(202);
            } else {
                let behind = async || phone.devices().first().map_or(0, |own| own.unconfirmed);
                eventually_within(HOUR, "the gateway keeps up", behind, |behind| *behind < 50)
                    .await;
                bob.send_text(phone, &format!("in {n}")).await?;
            }
            if n % DROP == DROP - 1 {
                // Each device in its turn.
                sim.drop_connections(phones[n / DROP % DEVICES].number());
            }
        }
        anyhow::Ok(())
    };
    try_join_all((0..DEVICES).map(one)).await?;
    Ok(())
}

/// Waits until every device is connected and has nothing left to do.
async fn quiet(moonwa: &Moonwa, phones: &[Phone]) {
    for (device, phone) in phones.iter().enumerate() {
        let look = async || {
            let device = moonwa.device(&name(device)).await.unwrap_or_default();
            let waiting = phone.devices().first().map_or(1, |own| own.unconfirmed);
            (device["state"].clone(), device["webhooks"][0]["backlog"].clone(), waiting)
        };
        let quiet = (json!("connected"), json!(0), 0);
        eventually_within(HOUR, "all is quiet", look, |seen: &(Value, Value, usize)| {
            *seen == quiet
        })
        .await;
    }
}
