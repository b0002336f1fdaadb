//! What a reload costs with a hundred devices of which one changed: `cargo bench --bench reload`. The real binary, from
//! the request to the answer that all is reconciled, so HTTP is in it too; reading, comparing and the copy for
//! `--fallback-last-good` are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "figures for people; what is not expected shall end it loudly"
)]

use std::time::{Duration, Instant};

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::Moonwa;
use serde_json::Value;

const DEVICES: usize = 100;
const ROUNDS: usize = 100;
const GOAL: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let sim = Simulator::start().await?;
    let builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
    let hooks = ["http://127.0.0.1:9/a".to_owned(), "http://127.0.0.1:9/b".to_owned()];
    let names: Vec<String> = (0..DEVICES).map(|n| format!("d{n}")).collect();
    let moonwa = names.iter().fold(builder, |all, name| all.device(name, &hooks)).start().await?;
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let old = if round == 0 { "Device d50".to_owned() } else { format!("Round {round:03}") };
        moonwa.edit_config(|text| text.replace(&old, &format!("Round {:03}", round + 1)))?;
        let began = Instant::now();
        let report = moonwa.admin().post("/v1/config/reload", &Value::Null).await?;
        took.push(began.elapsed());
        assert_eq!(report.expect(200).json()["outcome"], "applied");
    }
    moonwa.stop().await?;
    took.sort();
    println!("a reload of {DEVICES} devices with one changed, {ROUNDS} times:");
    println!("  median {:?}, slowest {:?}; goal {GOAL:?}", took[ROUNDS / 2], took[ROUNDS - 1]);
    Ok(())
}
