//! What an open admin page costs: the bytes of its event stream, and the server's time and memory, with fifty devices
//! that change state together. `cargo bench --bench page_stream`; figures, not verdicts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "what a measurement does not expect shall end it loudly"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use hyper::Method;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const DEVICES: u64 = 50;
/// Each round is every device started and stopped: two changes of its state.
const ROUNDS: u64 = 4;

/// What one open page has read.
#[derive(Default)]
struct Page {
    bytes: AtomicU64,
    told: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let sim = Simulator::start().await?;
    let mut builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
    for n in 0..DEVICES {
        builder = builder.device(&format!("d{n:02}"), &[]);
    }
    let moonwa = builder.start().await?;
    rounds(&moonwa, 1).await?;
    let (alone, _) = cost(&moonwa, &mut JoinSet::new(), 0).await?;
    println!("no page open: {alone:.0} ms of CPU for {ROUNDS} rounds of {DEVICES} devices");
    let mut open = JoinSet::new();
    let mut memory = f64::from(moonwa.figure("VmRSS")?);
    for pages in [1, 9, 20] {
        let (busy, opened) = cost(&moonwa, &mut open, pages).await?;
        let (count, now) = (open.len() as f64, f64::from(moonwa.figure("VmRSS")?));
        let first = &opened[0];
        let bytes = first.bytes.load(Ordering::Relaxed) as f64;
        let told = first.told.load(Ordering::Relaxed);
        println!(
            "{count} pages open: {:.2} ms of CPU for each page and round; a page read {:.1} kB and {told} events in {ROUNDS} rounds \
             ({:.0} bytes for each change); {:.0} kB of memory for each page more",
            (busy - alone) / count / ROUNDS as f64,
            bytes / 1000.0,
            bytes / (ROUNDS * DEVICES * 2) as f64,
            (now - memory) / pages as f64,
        );
        memory = now;
    }
    open.abort_all();
    moonwa.stop().await?;
    Ok(())
}

/// Opens some pages more, lets the devices change, and says how long the server computed for it.
async fn cost(moonwa: &Moonwa, open: &mut JoinSet<()>, more: u64) -> Result<(f64, Vec<Arc<Page>>)> {
    let mut opened = Vec::new();
    for _ in 0..more {
        let page = Arc::new(Page::default());
        let stream = stream(moonwa).await?;
        open.spawn(read(stream, Arc::clone(&page)));
        opened.push(page);
    }
    for page in &opened {
        let look = || async { page.told.load(Ordering::Relaxed) };
        eventually("a snapshot", look, |told| *told > 0).await;
        let bytes = page.bytes.swap(0, Ordering::Relaxed);
        if more == 1 {
            println!("a snapshot of {DEVICES} devices: {:.1} kB", bytes as f64 / 1000.0);
        }
        page.told.store(0, Ordering::Relaxed);
    }
    let before = computed(moonwa.pid())?;
    rounds(moonwa, ROUNDS).await?;
    Ok((computed(moonwa.pid())? - before, opened))
}

async fn rounds(moonwa: &Moonwa, rounds: u64) -> Result<()> {
    for _ in 0..rounds {
        for (command, state) in [("start", "linking"), ("stop", "pending")] {
            for n in 0..DEVICES {
                let path = format!("/v1/devices/d{n:02}/{command}");
                moonwa.admin().post(&path, &Value::Null).await?.expect(202);
            }
            let list = || async {
                moonwa.admin().get("/v1/devices").await.map_or(Value::Null, |list| list.json())
            };
            let all = |list: &Value| {
                let there = |one: &Value| {
                    one["state"] == state
                        && (state != "linking" || one["linking"]["has_qr"] == true)
                };
                list["devices"].as_array().is_some_and(|devices| devices.iter().all(there))
            };
            eventually(state, list, all).await;
        }
    }
    Ok(())
}

async fn stream(moonwa: &Moonwa) -> Result<TcpStream> {
    let request = moonwa.admin().request(Method::GET, "/v1/events").body(())?;
    let key = request.headers().get("authorization").context("no key")?.to_str()?;
    let mut stream = TcpStream::connect(moonwa.address()).await?;
    let head =
        format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

async fn read(mut stream: TcpStream, page: Arc<Page>) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        let told = piece[..length].windows(7).filter(|at| at == b"\nevent:").count();
        page.bytes.fetch_add(length as u64, Ordering::Relaxed);
        page.told.fetch_add(told as u64, Ordering::Relaxed);
    }
}

/// Milliseconds the process has computed.
fn computed(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("no end of the name")?;
    let ticks = |place: usize| rest.split(' ').nth(place)?.parse::<f64>().ok();
    let both = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    // Linux counts in hundredths of a second.
    Ok(both.context("no times")? * 10.0)
}
