//! Accepted sends per second, and how long a caller waits for the 202 (the message is on the disk), with 1, 10 and
//! 100 linked devices: what one send costs must not grow with their number. Figures, not verdicts: `cargo bench
//! --bench send`. MOONWA_BENCH_SENDS=N sends more than 800.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "what a bench does not expect shall end it loudly"
)]

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::Moonwa;
use serde_json::json;

/// Callers at once.
const CALLERS: usize = 16;

/// What was seen with so many devices.
struct Figures {
    devices: usize,
    per_second: f64,
    p50: Duration,
    p99: Duration,
    megabytes: f64,
}

async fn measure(devices: usize, sends: usize) -> Result<Figures> {
    let sim = Simulator::start().await?;
    let mut builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
    for n in 0..devices {
        builder = builder.device(&format!("d{n}"), &[]).config("pace = \"1/day\"\n");
    }
    let moonwa = builder.start().await?;
    let bob = sim.phone("628777000000", "Bob").await;
    let numbers: Vec<usize> = (0..devices).collect();
    for some in numbers.chunks(8) {
        try_join_all(some.iter().map(|n| {
            let (moonwa, sim, bob) = (&moonwa, &sim, &bob);
            async move {
                let phone = sim.phone(&format!("6287770{n:05}1"), "Phone").await;
                let device = format!("d{n}");
                moonwa.link(&device, &phone).await?;
                // The one message of the day. What is measured is not sent: encrypting it costs more than taking it,
                // and the virtual phones would share the processor.
                let id = moonwa.send_text(&device, bob.number(), "pesan pertama").await?;
                moonwa.wait_status(&device, &id, "delivered").await;
                anyhow::Ok(())
            }
        }))
        .await?;
    }
    let one = async |caller: usize| {
        let mut took = Vec::new();
        for n in (caller..sends).step_by(CALLERS) {
            let device = format!("d{}", n % devices);
            let body = json!({"to": bob.number(), "text": format!("pesan {n}")});
            let path = format!("/v1/devices/{device}/messages");
            let key = moonwa.key_of(&device);
            let began = Instant::now();
            key.post(&path, &body).await?.expect(202);
            took.push(began.elapsed());
        }
        anyhow::Ok(took)
    };
    let began = Instant::now();
    let took = try_join_all((0..CALLERS).map(one)).await?;
    let all = began.elapsed();
    let mut took = took.concat();
    took.sort();
    let kilobytes = f64::from(moonwa.figure("VmRSS")?);
    moonwa.stop().await?;
    Ok(Figures {
        devices,
        per_second: sends as f64 / all.as_secs_f64(),
        p50: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
        megabytes: kilobytes / 1024.0,
    })
}

fn main() -> Result<()> {
    let sends = std::env::var("MOONWA_BENCH_SENDS").map_or(Ok(800), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("devices  accepted/s   p50 ms   p99 ms   RSS MB   cost of a send, against one device");
    let mut alone = None;
    for devices in [1, 10, 100] {
        let seen = runtime.block_on(measure(devices, sends))?;
        let base = *alone.get_or_insert(seen.per_second);
        println!(
            "{:>7}  {:>10.0}  {:>7.2}  {:>7.2}  {:>7.1}   {:.2}",
            seen.devices,
            seen.per_second,
            seen.p50.as_secs_f64() * 1e3,
            seen.p99.as_secs_f64() * 1e3,
            seen.megabytes,
            base / seen.per_second,
        );
    }
    Ok(())
}
