//! A wall clock that jumps by days, as that of a machine without a battery for it does: nothing fails and nothing is lost.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, api_key, eventually};

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

#[tokio::test]
async fn a_clock_that_jumps_days_fails_no_message_and_loses_no_event() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, library) = (dir.path().join("jump.c"), dir.path().join("jump.so"));
    let jump = dir.path().join("jump");
    fs::write(&source, JUMPING_CLOCK)?;
    fs::write(&jump, 0_i64.to_be_bytes())?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    ensure!(cc.status()?.success(), "cc failed");

    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000161", "Ann").await, sim.phone("628111000162", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim.ws_url())
        .env("LD_PRELOAD", library.to_str().context("a path that is no text")?)
        .env("JUMPING_CLOCK", jump.to_str().context("a path that is no text")?)
        .env("MOONWA_RETRY_SCALE", "0.05")
        .config(&format!(
            "\n[device.toko]\napi_key = {:?}\npace = \"1/s\"\nwebhooks = [{:?}]\n",
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
        fs::OpenOptions::new()
            .write(true)
            .open(&jump)
            .and_then(|mut file| std::io::Write::write_all(&mut file, &days.to_be_bytes()))?;
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
