//! Messages that are due while the gateway is killed again and again and its clock jumps: each goes once, and none early. When
//! that happens follows from a seed: after how many messages, on the wire or at the receiver.
//!
//! `cargo test --test it later::kills` is the short form; `MOONWA_LATER_SEED` repeats the one that a failure names. The long
//! form is documented in README.md:
//! `MOONWA_LATER_MESSAGES=1000 MOONWA_LATER_KILLS=50 cargo test --release --test it later::kills -- --nocapture`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use moonwa::facade::model::UnixMillis;
use moonwa_simulator::harness::{PATIENCE, eventually_within};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Shop;
use crate::clock::JumpingClock;

/// The time between two messages.
const STEP: Duration = Duration::from_millis(120);
/// The furthest that the clock is from the right time.
const JUMP: i64 = 3;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the gateway's clock showed, and when it could send.
struct Times {
    /// The right time at the beginning of the story.
    began: (Instant, UnixMillis),
    /// Since when the clock goes wrong by so many seconds.
    jumps: Vec<(Instant, i64)>,
    /// From when to when it was connected.
    up: Vec<(Instant, Instant)>,
}

impl Times {
    /// Sets the clock. What goes while it is set goes by the one time or the other: it counts by the later one.
    fn jump(&mut self, clock: &JumpingClock, wrong: i64) -> Result<()> {
        let last = self.jumps.last().map_or(0, |(_, wrong)| *wrong);
        let before = Instant::now();
        clock.jump(wrong)?;
        self.jumps.push((if wrong > last { before } else { Instant::now() }, wrong));
        Ok(())
    }

    fn shown(&self, at: Instant, wrong: i64) -> UnixMillis {
        let right = self.began.1.after(at - self.began.0).millis();
        UnixMillis::from_millis(right.saturating_add_signed(wrong * 1000))
    }

    /// When the clock showed that time first.
    fn first(&self, due: UnixMillis) -> Option<Instant> {
        let ends = self.jumps.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        for ((from, wrong), to) in self.jumps.iter().zip(ends) {
            let wait = due.since(self.shown(*from, *wrong));
            let at = *from + wait;
            if to.is_none_or(|to| at < to) {
                return Some(at);
            }
        }
        None
    }

    /// How late something went that could have gone at once; `None` when the gateway was down.
    fn late(&self, due: Instant, went: Instant) -> Option<Duration> {
        let up = self.up.iter().find(|(from, to)| (*from..*to).contains(&due))?;
        (went < up.1).then(|| went - due)
    }
}

/// When something happens to the gateway.
#[derive(Debug)]
enum Moment {
    /// So many messages have gone to WhatsApp, which has confirmed the last of them or not.
    Gone(usize),
    /// So many have come.
    Came(u64),
}

impl Moment {
    fn choose(chance: &mut StdRng, count: u64) -> Self {
        match usize::try_from(count) {
            Ok(gone) if chance.random() => Self::Gone(gone),
            _ => Self::Came(count),
        }
    }

    async fn wait(&self, shop: &Shop, patience: Duration) {
        let is_there = || async {
            match self {
                Self::Gone(count) => shop.gone().len() >= *count,
                Self::Came(count) => shop.came() >= *count,
            }
        };
        eventually_within(patience, &format!("{self:?}"), is_there, |there| *there).await;
    }
}

impl Shop {
    /// When each message went to WhatsApp first, by its id.
    fn gone(&self) -> BTreeMap<String, Instant> {
        let mut gone = BTreeMap::new();
        for entry in self.sim.journal().iter().filter(|entry| entry.is_in("message")) {
            if let Some(id) = entry.attr("id") {
                gone.entry(id).or_insert(entry.at);
            }
        }
        gone
    }

    /// How many messages have come to Bob.
    fn came(&self) -> u64 {
        self.texts().into_iter().collect::<BTreeSet<_>>().len() as u64
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_they_are_due_each_goes_once_and_none_early() -> Result<()> {
    let messages = number("MOONWA_LATER_MESSAGES", 40);
    let kills = number("MOONWA_LATER_KILLS", 4);
    let most = number("MOONWA_LATER_MOST", u64::MAX);
    let seed = number("MOONWA_LATER_SEED", rand::random::<u32>().into());
    println!("seed {seed}: {messages} messages, {kills} kills");
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut shop, clock) = Shop::with_clock(["628111000931", "628111000932"]).await?;
    let began = (Instant::now(), UnixMillis::now());
    let mut times = Times { began, jumps: vec![(began.0, 0)], up: Vec::new() };

    let first = began.1.after(Duration::from_secs(2) + Duration::from_millis(100 * messages));
    let mut due = BTreeMap::new();
    for n in 0..messages {
        let at = first.after(STEP * u32::try_from(n)?);
        due.insert(shop.at(&at.to_string(), &format!("message {n}")).await?, at);
    }
    println!("{} ms: all scheduled", began.0.elapsed().as_millis());
    let patience = PATIENCE + STEP * u32::try_from(messages)?;
    let mut connected = began.0;
    for kill in 0..kills {
        // Nothing is killed before the first has gone.
        let (from, to) = (1 + messages * kill / kills, messages * (kill + 1) / kills);
        let mut count = || chance.random_range(from..=to.max(from));
        let (a, b) = (count(), count());
        Moment::choose(&mut chance, a.min(b)).wait(&shop, patience).await;
        let wrong = chance.random_range(-JUMP..=JUMP);
        times.jump(&clock, wrong)?;
        Moment::choose(&mut chance, a.max(b)).wait(&shop, patience).await;
        times.up.push((connected, Instant::now()));
        shop.moonwa.kill().await?;
        shop.moonwa.relaunch().await?;
        shop.moonwa.wait_state("toko", "connected").await;
        connected = Instant::now();
    }
    times.jump(&clock, 0)?;
    let came = || async { shop.came() };
    let all = messages;
    eventually_within(patience, "all came", came, |count| *count == all).await;
    times.up.push((connected, Instant::now()));

    let mut once = shop.texts();
    once.sort_unstable();
    once.dedup();
    ensure!(once.len() == shop.texts().len(), "some came twice: {:?}", shop.texts());
    ensure!(shop.listed("?status=scheduled").await?.is_empty(), "some still wait");
    let (mut late, mut early) = (Vec::new(), Vec::new());
    let went = shop.gone();
    for (id, due) in &due {
        let went = went.get(id).with_context(|| format!("{id} never went"))?;
        match times.first(*due) {
            // The clock shows whole milliseconds.
            Some(at) if *went + Duration::from_millis(5) >= at => {
                late.extend(times.late(at, *went));
            }
            _ => early.push(id),
        }
    }
    ensure!(early.is_empty(), "early: {early:?}");
    late.sort_unstable();
    let at = |part: usize| late.get((late.len() * part / 100).min(late.len().saturating_sub(1)));
    println!(
        "{} ms: {messages} once each, none early; {} while it was up, late by {:?} (half), {:?} (99 of 100), {:?} (the latest)",
        began.0.elapsed().as_millis(),
        late.len(),
        at(50),
        at(99),
        late.last()
    );
    ensure!(
        late.last().is_none_or(|late| late.as_millis() <= u128::from(most)),
        "too late: {late:?}"
    );
    shop.sim.assert_no_violations();
    shop.moonwa.stop().await?;
    Ok(())
}
