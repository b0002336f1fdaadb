//! What disks do: a commit torn by a power cut, a disk that fills up and is freed, a write that fails under the
//! database. The real binary must come back by itself, keep its credentials and lose nothing it acknowledged.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use moonwa_simulator::harness::{
    Delivery, Moonwa, MoonwaBuilder, WebhookReceiver, eventually, eventually_within, noise,
};
use moonwa_simulator::{Phone, Simulator};
use tempfile::TempDir;

/// What a batch of fjall's journal ends with.
const TRAILER: &[u8] = b"FJL\x03";
const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// A text that spans several pages of a journal, found there by its first words.
fn long(mark: &str) -> String {
    format!("{mark} torn {}", noise(0, 15_000))
}

/// How often a text was taken.
fn times(hook: &WebhookReceiver, text: &str) -> usize {
    hook.taken_texts().iter().filter(|taken| *taken == text).count()
}

/// Waits until that many deliveries are on disk: one that is not may come again after a kill.
async fn delivered(moonwa: &Moonwa, count: u64) {
    let look = || async {
        let webhooks = moonwa.admin().get("/v1/devices/toko/webhooks").await.ok()?.json();
        webhooks["webhooks"][0]["delivered"].as_u64()
    };
    eventually("the cursor is saved", look, |seen| *seen == Some(count)).await;
}

fn newest_journal(moonwa: &Moonwa, database: &str) -> Result<PathBuf> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
    fs::read_dir(moonwa.dir().join("data").join(database))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension() == Some(OsStr::new("jnl")))
        .max_by_key(number)
        .context("no journal")
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

/// Makes the journal look as a power cut leaves it that came while a commit was written: one page inside the commit's
/// value never got to the disk, and nothing after it did.
fn tear(journal: &Path, mark: &str) -> Result<()> {
    let mut bytes = fs::read(journal)?;
    let value = find(&bytes, 0, mark.as_bytes()).context("the commit is not in the journal")?;
    let end = find(&bytes, value, TRAILER).context("the commit has no end")? + TRAILER.len();
    let page = value.next_multiple_of(PAGE);
    ensure!(page + PAGE < end, "no whole page inside the commit");
    bytes[page..page + PAGE].fill(0);
    bytes[end..].fill(0);
    fs::write(journal, bytes)?;
    Ok(())
}

/// It came back as the same device, with what was torn repaired and told.
async fn repaired(moonwa: &Moonwa, database: &str) {
    moonwa.wait_state("toko", "connected").await;
    let log = moonwa.log();
    let told = |line: &str| line.contains("torn by a power cut") && line.contains(database);
    assert!(log.lines().any(told), "the repair is not in the log:\n{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_torn_commit_of_the_event_log_costs_nothing() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000111", "Ann").await, sim.phone("628777000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;
    // Unconfirmed it would come again, and be what the fail-point sees first.
    ann.expect_confirmed().await?;
    delivered(&moonwa, 1).await;

    // The message's commit is the last thing the process does.
    moonwa.kill().await?;
    moonwa.set_env("MOONWA_FAILPOINT", Some("append.synced"));
    let text = long("outbox");
    bob.send_text(&ann, &text).await?;
    moonwa.relaunch().await.ok();
    moonwa.wait_exit().await?;
    tear(&newest_journal(&moonwa, "outbox")?, "outbox torn")?;

    moonwa.set_env("MOONWA_FAILPOINT", None);
    moonwa.relaunch().await?;
    repaired(&moonwa, "outbox").await;
    hook.expect_text(&text).await;
    assert_eq!((times(&hook, "before"), times(&hook, &text)), (1, 1));
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_torn_commit_of_the_credentials_needs_no_new_qr() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000113", "Ann").await, sim.phone("628777000114", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let dir = tempfile::tempdir()?;
    let hold = dir.path().join("hold");
    let mut moonwa = gateway(&sim)
        .env("MOONWA_HOLD_COMMIT", hold.to_string_lossy())
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;
    delivered(&moonwa, 1).await;

    // The message is in `state/`, waiting for the event log, when the process dies.
    fs::write(&hold, "")?;
    let text = long("state");
    bob.send_text(&ann, &text).await?;
    let journal = newest_journal(&moonwa, "state")?;
    let written = || async {
        let bytes = fs::read(&journal).unwrap_or_default();
        let value = find(&bytes, 0, b"state torn");
        value.is_some_and(|value| find(&bytes, value, TRAILER).is_some())
    };
    eventually("the message is in state/", written, |written| *written).await;
    moonwa.kill().await?;
    tear(&journal, "state torn")?;

    fs::remove_file(&hold)?;
    moonwa.relaunch().await?;
    repaired(&moonwa, "state").await;
    hook.expect_text(&text).await;
    assert_eq!((times(&hook, "before"), times(&hook, &text)), (1, 1));
    moonwa.stop().await?;
    Ok(())
}

/// Lets every sync fail as a dying disk does, while the file named by the variable is there.
const DYING_DISK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int failing(void) { const char *flag = getenv("DYING_DISK"); return flag && access(flag, F_OK) == 0; }

#define SYNC(name) \
  int name(int fd) { \
    if (failing()) { errno = EIO; return -1; } \
    return ((int (*)(int)) dlsym(RTLD_NEXT, #name))(fd); \
  }
SYNC(fsync)
SYNC(fdatasync)
"#;

/// Whoever asks hears within five seconds that nothing can be taken.
async fn unready(moonwa: &Moonwa) {
    let look = || async { moonwa.anyone().get("/readyz").await.ok() };
    // It is looked at every three seconds; how long a look takes, a loaded machine decides.
    let limit = Duration::from_secs(10);
    eventually_within(limit, "not ready", look, |reply| {
        reply.as_ref().is_some_and(|reply| reply.status == 503)
    })
    .await;
    let look = || async { moonwa.device("toko").await.unwrap_or_default() };
    eventually_within(limit, "store_failing", look, |device| device["reason"] == "store_failing")
        .await;
}

/// The same, because the store has failed for good: then the process is not well either.
async fn failing(moonwa: &mut Moonwa) -> Result<()> {
    unready(moonwa).await;
    let health = moonwa.anyone().get("/healthz").await?;
    assert_eq!(health.status.as_u16(), 503, "{}", health.text());
    ended(moonwa).await
}

/// It said so once, and ended so that it is started anew.
async fn ended(moonwa: &mut Moonwa) -> Result<()> {
    let status = moonwa.wait_exit().await?;
    let log = moonwa.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(log.matches("The store has failed: ").count(), 1, "{log}");
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_deleted_under_it_is_told_and_the_process_ends() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000121", "Ann").await, sim.phone("628777000122", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).env("MOONWA_RETRY_SCALE", "0.2").device("toko", &[hook.url()]);
    let mut moonwa = moonwa.start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;
    let (code, said) = moonwa.command(&["healthcheck"]).await?;
    ensure!(code == 0, "{said}");
    // Changes come several at a time, so it is kept beside the store half a second after the first.
    let identity = moonwa.dir().join("data/identities/toko");
    eventually("its identity is kept", || async { identity.is_file() }, |kept| *kept).await;
    fs::remove_dir_all(moonwa.dir().join("data/state"))?;
    unready(&moonwa).await;
    let (code, said) = moonwa.command(&["healthcheck"]).await?;
    ensure!(code == 1 && said.contains("503"), "{said}");
    ended(&mut moonwa).await?;
    assert!(moonwa.log().contains("data/state: it was deleted"), "{}", moonwa.log());
    // Its identity is beside what is gone.
    let (code, said) = moonwa.command(&["repair"]).await?;
    ensure!(code == 0 && said.contains("toko is put back"), "{said}");
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "after").await?;
    hook.expect_text("after").await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_disk_that_cannot_sync_ends_the_process_and_nothing_was_promised() -> Result<()> {
    dying_disk(false, "power", ["628777000119", "628777000120"]).await
}

#[tokio::test]
async fn a_disk_that_cannot_sync_is_noticed_although_nothing_is_written() -> Result<()> {
    dying_disk(true, "power", ["628777000123", "628777000124"]).await
}

#[tokio::test]
async fn a_disk_that_cannot_sync_is_noticed_although_no_commit_is_synced() -> Result<()> {
    dying_disk(true, "crash", ["628777000125", "628777000126"]).await
}

async fn dying_disk(idle: bool, durability: &str, numbers: [&str; 2]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, library) = (dir.path().join("dying.c"), dir.path().join("dying.so"));
    fs::write(&source, DYING_DISK)?;
    run("cc", &["-shared", "-fPIC", "-o", text(&library)?, text(&source)?, "-ldl"])?;
    let flag = dir.path().join("failing");

    let sim = Simulator::start().await?;
    let (ann, bob) = (sim.phone(numbers[0], "Ann").await, sim.phone(numbers[1], "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim)
        .env("LD_PRELOAD", library.to_string_lossy())
        .env("DYING_DISK", flag.to_string_lossy())
        .env("MOONWA_RETRY_SCALE", "0.2")
        .device("toko", &[hook.url()])
        .start()
        .await?;
    let durability = format!("[store]\ndurability = \"{durability}\"");
    moonwa.edit_config(|file| file.replace("[store]", &durability))?;
    moonwa.restart().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;
    delivered(&moonwa, 1).await;
    ann.expect_confirmed().await?;

    fs::write(&flag, "")?;
    if !idle {
        bob.send_text(&ann, "unsynced").await?;
    }
    failing(&mut moonwa).await?;
    assert_eq!(times(&hook, "unsynced"), 0, "delivered without a promise");
    if idle {
        bob.send_text(&ann, "unsynced").await?;
    }
    assert_eq!(ann.devices().first().map(|device| device.unconfirmed), Some(1), "acknowledged");

    fs::remove_file(&flag)?;
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    hook.expect_text("unsynced").await;
    assert_eq!((times(&hook, "before"), times(&hook, "unsynced")), (1, 1));
    moonwa.stop().await?;
    Ok(())
}

/// A small file system in memory; gone with this value.
struct Small(PathBuf);

impl Small {
    /// Over `path`, with what was in there.
    fn over(path: &Path, mib: usize) -> Result<Self> {
        let aside = path.with_extension("aside");
        fs::rename(path, &aside)?;
        fs::create_dir(path)?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", text(path)?])?;
        let small = Self(path.to_owned());
        run("cp", &["-a", "--sparse=always", &format!("{}/.", text(&aside)?), text(path)?])?;
        Ok(small)
    }

    fn resize(&self, mib: usize) -> Result<()> {
        run("mount", &["-o", &format!("remount,size={mib}m"), text(&self.0)?])
    }

    /// Takes the last byte.
    fn fill(&self) -> Result<()> {
        let mut file = fs::File::create(self.0.join("filler"))?;
        for size in [MIB, PAGE, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The gateway may still hold files in there.
        run("umount", &["-l", &self.0.to_string_lossy()]).ok();
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// A linked gateway whose directory `data/<part>` is a small file system.
async fn on_a_small_disk(
    sim: &Simulator,
    hook: &WebhookReceiver,
    ann: &Phone,
    part: &str,
    mib: usize,
) -> Result<(Moonwa, Small)> {
    let moonwa = gateway(sim).env("MOONWA_RETRY_SCALE", "0.2").device("toko", &[hook.url()]);
    let mut moonwa = moonwa.start().await?;
    moonwa.link("toko", ann).await?;
    // The account's name comes once, after the link, and a kill would lose what is not saved yet.
    ann.expect_nobody_there().await?;
    moonwa.restart().await?;
    moonwa.kill().await?;
    let small = Small::over(&moonwa.dir().join("data").join(part), mib)?;
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    Ok((moonwa, small))
}

#[tokio::test]
#[ignore = "mounts a tmpfs: needs root"]
async fn a_disk_filled_to_the_last_byte_and_freed_heals_by_itself() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000115", "Ann").await, sim.phone("628777000116", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let (moonwa, small) = on_a_small_disk(&sim, &hook, &ann, "", 400).await?;
    for cycle in 0..20 {
        small.fill()?;
        let cursor = sim.cursor();
        let full = format!("while full {cycle}");
        let id = bob.send_text(&ann, &full).await?;
        sim.wait_journal(cursor, |entry| {
            entry.is_out("message") && entry.attr("id").as_deref() == Some(id.as_str())
        })
        .await?;
        let refused = moonwa
            .key_of("toko")
            .post(
                "/v1/devices/toko/messages",
                &serde_json::json!({"to": bob.number(), "text": "no room"}),
            )
            .await?;
        assert_eq!(refused.status.as_u16(), 507, "{}", refused.text());
        assert!(times(&hook, &full) == 0, "promised on a full disk");
        if cycle == 0 {
            unready(&moonwa).await;
        }
        small.free()?;
        let after = format!("after {cycle}");
        bob.send_text(&ann, &after).await?;
        within_ten_seconds(&hook, &full).await;
        within_ten_seconds(&hook, &after).await;
        let taken = hook.taken_texts();
        let place = |text: &str| taken.iter().position(|one| one == text);
        assert!(place(&full) < place(&after), "out of order: {taken:?}");
    }
    // Messages flow in before the new connection's first ping is answered.
    moonwa.wait_state("toko", "connected").await;
    assert_eq!(moonwa.anyone().get("/readyz").await?.status.as_u16(), 200);
    assert!(!moonwa.log().contains("panicked"), "{}", moonwa.log());
    moonwa.stop().await?;
    Ok(())
}

async fn within_ten_seconds(hook: &WebhookReceiver, text: &str) {
    let taken =
        |all: &Vec<Delivery>| all.iter().any(|one| one.answered == 200 && one.text() == text);
    let patience = Duration::from_secs(10);
    eventually_within(patience, text, || async { hook.deliveries() }, taken).await;
}

#[tokio::test]
#[ignore = "mounts a tmpfs: needs root"]
async fn a_write_that_fails_under_the_database_ends_the_process_cleanly() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000117", "Ann").await, sim.phone("628777000118", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    // The watch looks at `data/`, where there is plenty: it cannot see this coming.
    let (mut moonwa, small) = on_a_small_disk(&sim, &hook, &ann, "outbox", 16).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;
    small.fill()?;
    let text = long("refused");
    bob.send_text(&ann, &text).await?;
    failing(&mut moonwa).await?;
    assert_eq!(times(&hook, &text), 0, "delivered without a promise");

    small.free()?;
    small.resize(64)?;
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    hook.expect_text(&text).await;
    assert_eq!((times(&hook, "before"), times(&hook, &text)), (1, 1));
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "mounts a tmpfs: needs root"]
async fn a_table_that_finds_no_room_waits_for_it() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000129", "Ann").await, sim.phone("628777000130", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    // The tables alone are there: the watch sees plenty, and the journal has it too.
    let (moonwa, small) = on_a_small_disk(&sim, &hook, &ann, "outbox/keyspaces", 16).await?;
    let before = bytes_of_tables(&small)?;
    small.fill()?;
    // More than a keyspace keeps in memory.
    let texts: Vec<String> = (0..40).map(|n| long(&format!("full {n}"))).collect();
    for text in &texts {
        bob.send_text(&ann, text).await?;
    }
    for text in &texts {
        hook.expect_text(text).await;
    }
    let told = || async { moonwa.log().contains("no room for a table") };
    eventually("a table found no room", told, |told| *told).await;
    small.free()?;
    let size = || async { bytes_of_tables(&small).unwrap_or_default() };
    eventually("the rows are in a table", size, |size| *size > before).await;
    bob.send_text(&ann, "after").await?;
    hook.expect_text("after").await;
    assert_eq!(moonwa.anyone().get("/readyz").await?.status.as_u16(), 200);
    assert!(!moonwa.log().contains("crashed"), "{}", moonwa.log());
    moonwa.stop().await?;
    Ok(())
}

fn bytes_of_tables(small: &Small) -> Result<u64> {
    let mut bytes = 0;
    for keyspace in fs::read_dir(&small.0)? {
        let tables = keyspace?.path().join("tables");
        for table in fs::read_dir(tables).into_iter().flatten() {
            bytes += table?.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// A directory that can only be read, until this value is gone.
struct ReadOnly {
    over: PathBuf,
    side: TempDir,
}

impl ReadOnly {
    fn over(path: &Path) -> Result<Self> {
        // A mount cannot become read-only while a file is open for writing by way of it, so this happens where nobody writes.
        let locked = Self { over: path.to_owned(), side: tempfile::tempdir()? };
        let side = text(locked.side.path())?;
        run("mount", &["--bind", text(path)?, side])?;
        run("mount", &["-o", "remount,bind,ro", side])?;
        run("mount", &["--bind", side, text(path)?])?;
        Ok(locked)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        for mounted in [self.over.as_path(), self.side.path()] {
            run("umount", &["-l", &mounted.to_string_lossy()]).ok();
        }
    }
}

#[tokio::test]
#[ignore = "mounts a directory read-only: needs root"]
async fn a_store_that_becomes_read_only_is_told_and_the_process_ends() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000127", "Ann").await, sim.phone("628777000128", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).env("MOONWA_RETRY_SCALE", "0.2").device("toko", &[hook.url()]);
    let mut moonwa = moonwa.start().await?;
    moonwa.link("toko", &ann).await?;
    let locked = ReadOnly::over(&moonwa.dir().join("data"))?;
    failing(&mut moonwa).await?;
    assert!(moonwa.log().contains("its file system is read-only now"), "{}", moonwa.log());

    drop(locked);
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "after").await?;
    hook.expect_text("after").await;
    moonwa.stop().await?;
    Ok(())
}
