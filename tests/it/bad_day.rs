//! What a disk does to the files of a stopped gateway: bits flip, tails are cut, files vanish. The real binary starts
//! and connects without a new QR code, or says what is damaged and which command puts it right; after that command it
//! does.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use moonwa_simulator::{Phone, Simulator};
use rustix::process::Signal;

/// `MOONWA_BAD_DAYS`: how many bits are flipped and, by half, how many tails are cut. With it, every file is deleted
/// and emptied too: cargo test --test it bad_day -- --nocapture, with MOONWA_BAD_DAYS=200.
fn asked_days() -> Option<usize> {
    std::env::var("MOONWA_BAD_DAYS").ok()?.parse().ok()
}

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

/// Every file of the databases, and how long it is without the zeros at its end.
fn files(data: &Path) -> Result<Vec<(PathBuf, usize)>> {
    let mut found = Vec::new();
    let mut open = vec![data.join("state"), data.join("outbox")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path)?;
                found
                    .push((path, bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn flip(path: &Path, at: usize, bit: usize) -> Result<()> {
    let mut bytes = fs::read(path)?;
    *bytes.get_mut(at).context("no such byte")? ^= 1 << bit;
    fs::write(path, bytes)?;
    Ok(())
}

fn cut(path: &Path, at: usize) -> Result<()> {
    OpenOptions::new().write(true).open(path)?.set_len(at as u64)?;
    Ok(())
}

struct Story {
    moonwa: Moonwa,
    ann: Phone,
    bob: Phone,
    hook: WebhookReceiver,
    round: usize,
    ends: BTreeMap<&'static str, u32>,
}

impl Story {
    /// Stops the gateway, lets something happen to its files, and follows what it says until it works again.
    async fn survive(&mut self, damage: impl FnOnce(&Path) -> Result<String>) -> Result<()> {
        self.round += 1;
        self.moonwa.signal(Signal::TERM)?;
        ensure!(self.moonwa.wait_exit().await?.success(), "{}", self.moonwa.log());
        let what = damage(&self.moonwa.dir().join("data"))?;
        let before = self.moonwa.log().len();
        let end = if self.moonwa.relaunch().await.is_ok() {
            let log = self.moonwa.log();
            let said = log.get(before..).unwrap_or_default();
            if said.contains("is made again") { "repaired by the start" } else { "unharmed" }
        } else {
            let log = self.moonwa.log();
            let said = log.get(before..).unwrap_or_default();
            ensure!(said.contains("run: moonwa repair"), "{what}: no way out:\n{said}");
            ensure!(!said.contains("panicked"), "{what}:\n{said}");
            let (code, said) = self.moonwa.command(&["repair"]).await?;
            ensure!(code == 0 && said.contains("toko is put back"), "{what}:\n{said}");
            self.moonwa.relaunch().await.with_context(|| what.clone())?;
            "repaired by the command"
        };
        *self.ends.entry(end).or_default() += 1;
        self.moonwa.wait_state("toko", "connected").await;
        // Long enough to be spread over the files.
        let text = format!("{} {what}", self.round);
        self.bob.send_text(&self.ann, &text).await?;
        self.hook.expect_text(&text).await;
        let answer = format!("answer {}", self.round);
        self.moonwa.send_text("toko", self.bob.number(), &answer).await?;
        self.bob.expect_text(&answer).await?;
        Ok(())
    }
}

#[tokio::test]
async fn whatever_the_disk_did_it_connects_without_a_new_qr() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000211", "Ann").await, sim.phone("628777000212", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
    let moonwa = moonwa.device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    let mut story = Story { moonwa, ann, bob, hook, round: 0, ends: BTreeMap::new() };
    let mut dice = Dice(7);

    // What was told to people before: lost files that looked like a device that was never linked.
    story
        .survive(|data| {
            Ok(fs::remove_file(data.join("state/0.jnl")).map(|()| "no journal".to_owned())?)
        })
        .await?;
    story
        .survive(|data| {
            fs::remove_file(data.join("state/keyspaces/2/current"))?;
            Ok("no list of tables".to_owned())
        })
        .await?;
    story
        .survive(|data| Ok(fs::remove_dir_all(data.join("state")).map(|()| "no state".to_owned())?))
        .await?;
    let days = asked_days().unwrap_or(3);
    for day in 0..days + days / 2 {
        story
            .survive(|data| {
                let files = files(data)?;
                let (path, length) = files.get(dice.below(files.len())).context("no file")?;
                let (at, bit) = (dice.below(*length), dice.below(8));
                let name = path.strip_prefix(data)?.display().to_string();
                if day % 3 == 2 {
                    cut(path, at)?;
                    return Ok(format!("{name} cut at {at}"));
                }
                if *length > 0 {
                    flip(path, at, bit)?;
                }
                Ok(format!("{name}: bit {bit} of byte {at}"))
            })
            .await?;
    }
    // Each file once, by its place among the files.
    let each =
        if asked_days().is_some() { files(&story.moonwa.dir().join("data"))?.len() } else { 0 };
    for place in 0..2 * each {
        story
            .survive(|data| {
                let files = files(data)?;
                let (path, _) = files.get(place / 2 % files.len()).context("no file")?;
                let name = path.strip_prefix(data)?.display().to_string();
                if place % 2 == 0 {
                    fs::remove_file(path)?;
                    return Ok(format!("{name} deleted"));
                }
                cut(path, 0)?;
                Ok(format!("{name} emptied"))
            })
            .await?;
    }
    sim.assert_no_violations();
    println!("{} bad days: {:?}", story.round, story.ends);
    story.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn with_auto_it_repairs_its_credentials_itself_and_keeps_what_waits() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000213", "Ann").await, sim.phone("628777000214", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
    let mut moonwa = moonwa.device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;
    // Or it would come again, to an outbox that was made anew.
    ann.expect_confirmed().await?;
    moonwa.edit_config(|text| {
        text.replace("path = \"data\"", "path = \"data\"\nrepair = \"auto\"")
    })?;
    moonwa.signal(Signal::TERM)?;
    moonwa.wait_exit().await?;
    for database in ["state", "outbox"] {
        fs::write(moonwa.dir().join("data").join(database).join("version"), "")?;
    }
    let (code, said) = moonwa.command(&["doctor"]).await?;
    ensure!(code == 1 && said.contains("version: is not what fjall wrote"), "{said}");
    ensure!(said.contains("moonwa repair"), "{said}");

    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    let log = moonwa.log();
    ensure!(log.contains("toko is put back"), "{log}");
    let aside = fs::read_dir(moonwa.dir().join("data"))?.flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().contains(".damaged-"));
    ensure!(aside.count() == 2, "the damaged databases are not there");
    bob.send_text(&ann, "after").await?;
    hook.expect_text("after").await;
    ensure!(hook.taken_texts() == ["before", "after"], "{:?}", hook.taken_texts());
    let (code, said) = moonwa.command(&["repair"]).await?;
    ensure!(code == 1 && said.contains("in use by another moonwa"), "{said}");
    moonwa.signal(Signal::TERM)?;
    moonwa.wait_exit().await?;
    let (code, said) = moonwa.command(&["repair"]).await?;
    ensure!(code == 0 && said.contains("is not damaged"), "{said}");
    let (_, said) = moonwa.command(&["doctor"]).await?;
    ensure!(said.contains("are whole"), "{said}");
    sim.assert_no_violations();
    Ok(())
}
