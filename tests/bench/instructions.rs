//! How many instructions a message takes, in (from WhatsApp's socket to the webhook's answer) and out (from the request to
//! WhatsApp's ack), and whether that is within 5 % of the budget in `instructions.json` beside this file. Valgrind's callgrind counts them, so what
//! else the machine does changes little: `cargo bench --profile measured --bench instructions`.
//!
//! A change that is meant to cost more, or less, writes the budget anew: the same with `-- --write`. The budget holds for one target and
//! one compiler, which are written into it; elsewhere the figures are only printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "what a bench does not expect shall end it loudly"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

/// Messages that come before those that are counted: the first ones make sessions and read code.
const WARM: usize = 20;
/// Enough that what differs from start to start, some 2 % of it, is little for each.
const COUNTED: usize = 800;

/// moonwa under callgrind, which writes what it counted into a file at the end.
struct Counted {
    dir: TempDir,
    binary: PathBuf,
}

impl Counted {
    fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("callgrind-").tempdir()?;
        let binary = dir.path().join("moonwa");
        let script = format!(
            // moonwa begins by starting itself again, with its heap set up.
            "#!/bin/sh\nexec /usr/bin/valgrind --quiet --trace-children=yes --tool=callgrind --callgrind-out-file={} {} \"$@\"\n",
            dir.path().join("out").display(),
            env!("CARGO_BIN_EXE_moonwa"),
        );
        fs::write(&binary, script)?;
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o700))?;
        Ok(Self { dir, binary })
    }

    fn instructions(&self) -> Result<u64> {
        total(&self.dir.path().join("out"))
    }
}

/// The sum that callgrind writes below everything else.
fn total(path: &Path) -> Result<u64> {
    let text =
        fs::read_to_string(path).context("callgrind wrote nothing: is valgrind installed?")?;
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    Ok(line.context("callgrind's file has no sum")?.trim().parse()?)
}

/// The instructions of a whole life with so many messages in and out.
async fn life(messages_in: usize, messages_out: usize) -> Result<u64> {
    let counted = Counted::new()?;
    let sim = Simulator::start().await?;
    let receiver = WebhookReceiver::start().await?;
    let builder = Moonwa::builder(&counted.binary).whatsapp(&sim);
    let moonwa = builder.device("toko", &[receiver.url()]).start().await?;
    let ann = sim.phone("628666100001", "Ann").await;
    let bob = sim.phone("628666100002", "Bob").await;
    moonwa.link("toko", &ann).await?;
    for n in 0..messages_in {
        let text = format!("pesan masuk {n:04}");
        bob.send_text(&ann, &text).await?;
        receiver.expect_text(&text).await;
        ann.expect_confirmed().await?;
    }
    let key = moonwa.key_of("toko");
    for n in 0..messages_out {
        let body = json!({"to": bob.number(), "text": format!("pesan keluar {n:04}")});
        let reply = key.post("/v1/devices/toko/messages?wait=30s", &body).await?.json();
        ensure!(reply["status"] != "queued", "{reply}");
    }
    moonwa.stop().await?;
    counted.instructions()
}

/// How often it is counted. Threads that meet, or miss each other, only ever add to a life: the least of each is what the
/// code takes.
const ROUNDS: usize = 3;
/// How far a figure may be from its budget, in hundredths of that.
const TOLERANCE: f64 = 5.0;

/// What one message takes.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    one_in: u64,
    one_out: u64,
}

/// The budget, as its file has it.
#[derive(Serialize, Deserialize)]
struct Budget {
    target: String,
    compiler: String,
    #[serde(flatten)]
    cost: Cost,
}

/// A life with few messages, one with more in, and one with more out.
async fn round() -> Result<[u64; 3]> {
    let few = life(WARM, WARM).await?;
    let more_in = life(WARM + COUNTED, WARM).await?;
    let more_out = life(WARM, WARM + COUNTED).await?;
    println!("start, link, {WARM} each way, end: {few}; more in: {more_in}; more out: {more_out}");
    Ok([few, more_in, more_out])
}

/// The compiler's first line, and the target that it makes programs for.
fn compiler() -> Result<(String, String)> {
    let told = Command::new("rustc").arg("-vV").output()?;
    let told = String::from_utf8(told.stdout)?;
    let target = told.lines().find_map(|line| line.strip_prefix("host: ")).context("no host")?;
    Ok((told.lines().next().context("no version")?.to_owned(), target.to_owned()))
}

/// Says how far a figure is from its budget, and whether that is too far.
fn is_off(what: &str, seen: u64, budget: u64) -> bool {
    let off = (seen as f64 / budget as f64 - 1.0) * 100.0;
    println!("{what}: {seen} instructions, {off:+.1} % of the budget of {budget}");
    off.abs() > TOLERANCE
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let mut least = [u64::MAX; 3];
    for _ in 0..ROUNDS {
        let lives = round().await?;
        least = std::array::from_fn(|n| least[n].min(lives[n]));
    }
    let [few, more_in, more_out] = least;
    let each = |more: u64| more.saturating_sub(few) / COUNTED as u64;
    let least = Cost { one_in: each(more_in), one_out: each(more_out) };
    println!("one in: {} instructions; one out: {}", least.one_in, least.one_out);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/instructions.json");
    let (compiler, target) = compiler()?;
    if std::env::args().any(|argument| argument == "--write") {
        let budget = Budget { target, compiler, cost: least };
        fs::write(&file, serde_json::to_string_pretty(&budget)? + "\n")?;
        println!("{} is written.", file.display());
        return Ok(());
    }
    if !file.exists() {
        println!("No verdict: there is no budget yet. `-- --write` makes one of these figures.");
        return Ok(());
    }
    let budget: Budget = serde_json::from_slice(&fs::read(&file)?)?;
    if (&budget.target, &budget.compiler) != (&target, &compiler) {
        println!("No verdict: the budget is for {} of {}.", budget.target, budget.compiler);
        return Ok(());
    }
    let off = [
        is_off("one in", least.one_in, budget.cost.one_in),
        is_off("one out", least.one_out, budget.cost.one_out),
    ];
    ensure!(
        off == [false; 2],
        "more than {TOLERANCE} % off: if that is meant, run it with -- --write"
    );
    Ok(())
}
