//! How many instructions a message takes, in (from WhatsApp's socket to the webhook's answer) and out (from the request to
//! WhatsApp's ack). Valgrind's callgrind counts them, so what else the machine does changes nothing. Figures, not
//! verdicts: `cargo bench --profile measured --bench instructions`.

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

use anyhow::{Context as _, Result, ensure};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use serde_json::json;
use tempfile::TempDir;

/// Messages that come before those that are counted: the first ones make sessions and read code.
const WARM: usize = 20;
const COUNTED: usize = 200;

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
            "#!/bin/sh\nexec /usr/bin/valgrind --quiet --tool=callgrind --callgrind-out-file={} {} \"$@\"\n",
            dir.path().join("out").display(),
            env!("CARGO_BIN_EXE_moonwa"),
        );
        fs::write(&binary, script)?;
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o700))?;
        Ok(Self { dir, binary })
    }

    fn instructions(&self) -> Result<f64> {
        total(&self.dir.path().join("out"))
    }
}

/// The sum that callgrind writes below everything else.
fn total(path: &Path) -> Result<f64> {
    let text =
        fs::read_to_string(path).context("callgrind wrote nothing: is valgrind installed?")?;
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    Ok(line.context("callgrind's file has no sum")?.trim().parse()?)
}

/// The instructions of a whole life with so many messages in and out.
async fn life(messages_in: usize, messages_out: usize) -> Result<f64> {
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

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let base = life(WARM, WARM).await?;
    let more_in = life(WARM + COUNTED, WARM).await?;
    let more_out = life(WARM, WARM + COUNTED).await?;
    let each = |more: f64| (more - base) / COUNTED as f64;
    println!("start, link, {WARM} messages each way, end: {base:.0} instructions");
    println!("one in: {:.0} instructions; one out: {:.0}", each(more_in), each(more_out));
    Ok(())
}
