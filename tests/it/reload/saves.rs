//! However the file is saved, the running gateway has what was saved, once, and never the half of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::styles::{STYLES, link};
use super::{gateway, reloaded};

/// What is saved. Cut short anywhere it is refused, for it lacks the address then, which only a restart may change: so
/// a half that is applied is seen without measuring any time.
fn text(label: &str) -> String {
    format!("[device.toko]\nlabel = \"{label}\"\n\n[server]\nlisten = \"127.0.0.1:0\"")
}

/// How many times each way saves. The README's "Developing" has the command for a thousand saves.
fn each() -> usize {
    let asked = std::env::var("MOONWA_SAVES").ok().and_then(|each| each.parse().ok());
    asked.unwrap_or(5).clamp(1, 99)
}

async fn label(moonwa: &Moonwa) -> Value {
    moonwa.device("toko").await.map(|device| device["label"].clone()).unwrap_or_default()
}

/// How often a configuration was applied, and how often because of a signal.
fn applied(moonwa: &Moonwa) -> (usize, usize) {
    let log = moonwa.log();
    (log.matches(" applied trigger=").count(), log.matches(" applied trigger=Signal").count())
}

/// Saves again and again in one way: what is deaf after the first save is found out by the second.
async fn saves(
    sim: &Simulator,
    name: &str,
    mut save: impl FnMut(&Moonwa, usize, &str) -> Result<()>,
) -> Result<usize> {
    let moonwa = gateway(sim).config("[device.toko]\n").start().await?;
    let (all, mut slowest) = (each(), Duration::ZERO);
    // The first one lays the file out as that way needs it.
    for round in 0..=all {
        // One label longer than the other, as the styles ask for.
        let name_now = "s".repeat(round + 1);
        save(&moonwa, round, &text(&name_now)).with_context(|| format!("{name}: {round}"))?;
        let start = Instant::now();
        let what = format!("{name}: save {round} in the running configuration");
        eventually(&what, || label(&moonwa), |seen| *seen == name_now.as_str()).await;
        slowest = slowest.max(start.elapsed() * u32::from(round > 0));
    }
    // Whatever else was on its way has been read after this.
    let report = moonwa.admin().post("/v1/config/reload", &Value::Null).await?.json();
    assert_eq!(report["outcome"], "unchanged", "{name}: {report}");
    let (times, by_signal) = applied(&moonwa);
    assert_eq!(times, all + 1, "{name}: each save is applied once\n{}", moonwa.log());
    println!("{all} saves applied, the slowest after {slowest:?}: {name}");
    moonwa.stop().await?;
    Ok(by_signal)
}

#[tokio::test]
async fn every_save_in_every_way_is_applied_and_once() -> Result<()> {
    let sim = Simulator::start().await?;
    let mut ways: Vec<BoxFuture<'_, Result<usize>>> = Vec::new();
    for style in &STYLES {
        let save = |moonwa: &Moonwa, round: usize, text: &str| {
            let step = if round == 0 { style.lay } else { style.save };
            Ok(step(moonwa.dir(), text)?)
        };
        ways.push(saves(&sim, style.name, save).boxed());
    }
    let mut elsewhere = Elsewhere::new()?;
    let unseen = move |moonwa: &Moonwa, round: usize, text: &str| {
        elsewhere.save(text)?;
        if round == 0 { Ok(link(moonwa.dir(), &elsewhere.path())?) } else { Ok(()) }
    };
    ways.push(saves(&sim, "where no event tells of it", unseen).boxed());
    let hangup = |moonwa: &Moonwa, _round: usize, text: &str| {
        moonwa.edit_config(|_| text.to_owned())?;
        moonwa.signal(Signal::HUP)
    };
    ways.push(saves(&sim, "SIGHUP", hangup).boxed());
    let count = ways.len();
    let by_signal = try_join_all(ways).await?;
    assert!(
        by_signal.last().is_some_and(|times| *times > 0),
        "a signal does not wait for the watch"
    );
    println!("{} saves in {count} ways, all applied", count * each());
    Ok(())
}

/// A file that changes while the kernel tells nobody, as on a network mount: the way to it leads through the working
/// directory of a shell, which goes elsewhere.
struct Elsewhere {
    dir: tempfile::TempDir,
    shell: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Elsewhere {
    fn new() -> Result<Self> {
        let mut shell = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = shell.stdin.take().context("no way to tell it anything")?;
        let answers = BufReader::new(shell.stdout.take().context("no way to hear it")?);
        Ok(Self { dir: tempfile::tempdir()?, shell, orders, answers })
    }

    fn path(&self) -> String {
        format!("/proc/{}/cwd/moonwa.toml", self.shell.id())
    }

    fn save(&mut self, text: &str) -> Result<()> {
        let dir = self.dir.path().join(text.len().to_string());
        fs::create_dir(&dir)?;
        fs::write(dir.join("moonwa.toml"), text)?;
        writeln!(self.orders, "cd '{}' && echo there", dir.display())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer == "there\n", "the shell did not go there: {answer:?}");
        Ok(())
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.shell.kill().unwrap_or_default();
        drop(self.shell.wait());
    }
}

#[tokio::test]
async fn a_half_written_file_is_never_applied() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).config("[device.toko]\nlabel = \"whole\"\n").start().await?;
    let (file, whole) = (moonwa.dir().join("moonwa.toml"), text("another"));
    // Cut anywhere, and read at once.
    for cut in 0..whole.len() {
        fs::write(&file, &whole[..cut])?;
        let report = moonwa.admin().post("/v1/config/reload", &Value::Null).await?.json();
        assert_eq!(report["outcome"], "rejected", "cut at {cut}: {report}");
        assert_eq!(label(&moonwa).await, "whole", "cut at {cut}");
    }
    // Found half-written by the watch, which waits no longer than for a writer who has gone to sleep.
    let half = whole.len() / 2;
    fs::write(&file, &whole[..half])?;
    let from_the_watch = |report: &Value| report["trigger"] == "file";
    reloaded(&moonwa, "rejected", from_the_watch).await;
    assert_eq!(label(&moonwa).await, "whole");
    fs::OpenOptions::new().append(true).open(&file)?.write_all(&whole.as_bytes()[half..])?;
    reloaded(&moonwa, "applied", from_the_watch).await;
    assert_eq!((label(&moonwa).await, applied(&moonwa).0), (json!("another"), 1));
    moonwa.stop().await?;
    Ok(())
}
