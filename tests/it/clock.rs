//! A wall clock that jumps by days, as that of a machine without a battery for it does: nothing fails and nothing is lost.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use moonwa::facade::model::UnixMillis;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{
    Answer, Moonwa, MoonwaBuilder, WebhookReceiver, api_key, eventually,
};
use tempfile::TempDir;

/// Moves the wall clock by the seconds that a file holds; the other clocks go on.
const JUMPING_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static volatile unsigned long *jump;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
  int file = open(getenv("JUMPING_CLOCK"), O_RDONLY);
  jump = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int outcome = real(clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += (long) be64toh(*jump);
  return outcome;
}
"#;

const DAYS: i64 = 5 * 24 * 3600;

/// A wall clock that jumps by the seconds that are written to its file.
pub(crate) struct JumpingClock {
    dir: TempDir,
}

impl JumpingClock {
    pub(crate) fn make() -> Result<Self> {
        let clock = Self { dir: tempfile::tempdir()? };
        fs::write(clock.path("jump.c"), JUMPING_CLOCK)?;
        fs::write(clock.path("jump"), 0_i64.to_be_bytes())?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(clock.path("jump.so")).arg(clock.path("jump.c"));
        ensure!(cc.arg("-ldl").status()?.success(), "cc failed");
        Ok(clock)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn wound_into(&self, builder: MoonwaBuilder) -> MoonwaBuilder {
        builder
            .env("LD_PRELOAD", self.path("jump.so").to_string_lossy())
            .env("JUMPING_CLOCK", self.path("jump").to_string_lossy())
    }

    pub(crate) fn jump(&self, seconds: i64) -> Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(self.path("jump"))?;
        Ok(std::io::Write::write_all(&mut file, &seconds.to_be_bytes())?)
    }
}

#[tokio::test]
async fn a_clock_that_jumps_days_fails_no_message_and_loses_no_event() -> Result<()> {
    let clock = JumpingClock::make()?;
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000161", "Ann").await, sim.phone("628111000162", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = clock
        .wound_into(Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")))
        .whatsapp(&sim)
        .env("MOONWA_RETRY_SCALE", "0.05")
        .config(&format!(
            "\n[device.toko]\napi_key = {:?}\npace = \"20/min\"\nwebhooks = [{:?}]\n",
            api_key("toko"),
            hook.url()
        ));
    let moonwa = moonwa.start().await?;
    moonwa.link("toko", &ann).await?;
    for (round, days) in [DAYS, 0, -DAYS].into_iter().enumerate() {
        // An event that nobody took yet, and messages that wait for their turn.
        hook.otherwise(Some(Answer::status(503)));
        let text = format!("while it jumps {round}");
        bob.send_text(&ann, &text).await?;
        hook.expect("refused", |asked| asked.text() == text).await;
        let first = moonwa.send_text("toko", bob.number(), &format!("first {round}")).await?;
        let second = moonwa.send_text("toko", bob.number(), &format!("second {round}")).await?;
        clock.jump(days)?;
        hook.otherwise(None);
        hook.expect_text(&text).await;
        moonwa.wait_status("toko", &first, "delivered").await;
        let waited = moonwa.wait_status("toko", &second, "delivered").await;
        let day =
            |field: &str| waited[field].as_str().and_then(|time| time.get(..10)).map(str::to_owned);
        ensure!(day("created") != day("updated"), "the clock did not jump: {waited}");
        let seen = || async { moonwa.device("toko").await.unwrap_or_default() };
        eventually("connected", seen, |device| device["state"] == "connected").await;
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_clock_that_jumps_days_gives_no_fresh_allowance_and_holds_nothing_for_ever() -> Result<()>
{
    let clock = JumpingClock::make()?;
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000163", "Ann").await, sim.phone("628111000164", "Bob").await);
    let pace = "pace = { per_day = 1 }";
    let moonwa = clock
        .wound_into(Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")))
        .whatsapp(&sim)
        .config(&format!("\n[device.toko]\napi_key = {:?}\n{pace}\n", api_key("toko")));
    let mut moonwa = moonwa.start().await?;
    moonwa.link("toko", &ann).await?;
    let first = moonwa.send_text("toko", bob.number(), "first").await?;
    moonwa.wait_status("toko", &first, "delivered").await;
    let mut waiting = Vec::new();
    for (round, days) in [DAYS, 0, -DAYS].into_iter().enumerate() {
        clock.jump(days)?;
        if round == 2 {
            moonwa.restart().await?;
            moonwa.wait_state("toko", "connected").await;
        }
        let text = format!("waits {round}");
        waiting.push(moonwa.send_text("toko", bob.number(), &text).await?);
        // A day from now, whatever now is.
        let now = UnixMillis::now().millis().saturating_add_signed(days * 1000);
        let (earliest, hour) = (UnixMillis::from_millis(now), std::time::Duration::from_hours(1));
        let path = format!("/v1/devices/toko/messages/{}", waiting[0]);
        let look = || async {
            let reply = moonwa.admin().get(&path).await;
            reply.map(|reply| reply.json()).unwrap_or_default()
        };
        eventually("it waits for a day", look, |message| {
            let not_before = message["not_before"].as_str().and_then(UnixMillis::parse);
            let wait = not_before.unwrap_or_default().since(earliest);
            message["waits_for"] == "pace" && wait > 22 * hour && wait < 25 * hour
        })
        .await;
    }
    // What the device and its own phone say to each other does not count.
    let is_sent = |entry: &&moonwa_simulator::Entry| {
        entry.is_in("message") && entry.attr("category").as_deref() != Some("peer")
    };
    let sent = sim.journal().iter().filter(is_sent).count();
    ensure!(sent == 1, "{sent} messages went");
    moonwa.edit_config(|text| text.replace(pace, ""))?;
    for id in &waiting {
        moonwa.wait_status("toko", id, "delivered").await;
    }
    moonwa.stop().await?;
    Ok(())
}
