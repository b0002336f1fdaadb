//! What was accepted with 202 arrives: a nemesis strikes the connection, the server or the gateway again and again
//! while a caller sends texts and pictures to five chats. Then the phones are asked what they have, in which order,
//! and both webhooks what they were told.
//!
//! `cargo test --test it outbound::` is the short form; `MOONWA_OUTBOUND_ROUNDS=30` strikes each story thirty times,
//! with 600 sends. `MOONWA_OUTBOUND_SEED` repeats a run's choices.

mod albums;
mod caller;
mod cost;
mod kinds;
mod trouble;
mod verdict;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually_within};
use moonwa_simulator::{Group, Phone, Simulator};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use caller::{Caller, Pace};
use trouble::Trouble;
use verdict::Verdict;

/// Four people and a group.
const CHATS: usize = 5;
/// How many messages are sent for each strike.
const SENDS: usize = 20;
/// A dead line is noticed by its silence, which takes its time; so does a machine that does other things as well.
const PATIENCE: Duration = Duration::from_mins(4);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Everybody in a story.
struct Cast {
    sim: Simulator,
    /// Whose account sends.
    ann: Phone,
    /// The four she writes to.
    friends: Vec<Phone>,
    /// The fifth chat.
    group: Group,
    hooks: [WebhookReceiver; 2],
}

impl Cast {
    async fn new() -> Result<Self> {
        let sim = Simulator::start().await?;
        let ann = sim.phone("628777000111", "Ann").await;
        let mut friends = Vec::new();
        for n in 0..CHATS - 1 {
            friends.push(sim.phone(&format!("62877700020{n}"), &format!("Friend {n}")).await);
        }
        let group = sim.group("Friends", &[&ann, &friends[0], &friends[1]]).await?;
        let hooks = [WebhookReceiver::start().await?, WebhookReceiver::start().await?];
        // The second one is flaky: what it refuses comes again, and must come in order.
        let mut count = 0;
        hooks[1].choosing(move || {
            count += 1;
            Answer::status(if count % 7 == 0 { 503 } else { 200 })
        });
        Ok(Self { sim, ann, friends, group, hooks })
    }

    /// How the gateway is told to write to the `n`th chat.
    fn chat(&self, n: usize) -> String {
        self.friends.get(n).map_or_else(|| self.group.jid(), |friend| friend.number().to_owned())
    }

    /// Who must get what is written to the `n`th chat.
    fn readers(&self, n: usize) -> &[Phone] {
        self.friends.get(n..=n).unwrap_or(&self.friends[..2])
    }

    async fn gateway(&self) -> Result<Moonwa> {
        let hooks: Vec<String> = self
            .hooks
            .iter()
            .map(|hook| format!("{{ url = \"{}\", events = [\"message.status\"] }}", hook.url()))
            .collect();
        let config = format!(
            "\n[device.toko]\napi_key = \"{}\"\nwebhooks = [{}]\n",
            moonwa_simulator::harness::api_key("toko"),
            hooks.join(", ")
        );
        let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
            .whatsapp(&self.sim)
            .env("MOONWA_RETRY_SCALE", "0.01")
            .config(&config)
            .start()
            .await?;
        moonwa.link("toko", &self.ann).await?;
        Ok(moonwa)
    }
}

/// Sends under this trouble, `rounds` strikes of it unless the environment says how many, and judges.
async fn under(trouble: Trouble, rounds: usize) -> Result<()> {
    let rounds = match number("MOONWA_OUTBOUND_ROUNDS") {
        Some(rounds) => usize::try_from(rounds)?,
        None => rounds,
    };
    let seed = number("MOONWA_OUTBOUND_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    let (began, sends) = (Instant::now(), rounds * SENDS);
    println!("{trouble:?}: seed {seed}, {rounds} rounds, {sends} sends");

    let cast = Cast::new().await?;
    let mut moonwa = cast.gateway().await?;
    let pace = Pace::new(&moonwa);
    let caller = Caller { cast: &cast, pace: &pace, sends };
    let strikes = trouble::strike(trouble, &cast, &mut moonwa, &pace, rounds, seed);
    let (sent, ()) = tokio::try_join!(caller.send(), strikes)?;
    println!("{trouble:?}: all accepted after {} s", began.elapsed().as_secs());

    cast.sim.clear_faults();
    // What is missing is told at the end, with everything else.
    let in_time = timeout(PATIENCE, settled(&moonwa, &sent)).await;
    let told = async || cast.hooks.iter().all(|hook| verdict::heard(hook) >= sends);
    let all_told = eventually_within(PATIENCE * 2, "all told", told, |told| *told);
    let in_time = in_time.and(timeout(PATIENCE, all_told).await.map(drop));
    moonwa.stop().await?;

    let verdict = Verdict::of(&cast, &sent);
    println!("{trouble:?}: {} s; {verdict}", began.elapsed().as_secs());
    verdict.explain(&cast, &sent);
    verdict.assert_good(seed);
    cast.sim.assert_no_violations();
    in_time.with_context(|| format!("{trouble:?}: not all delivered in time (seed {seed})"))
}

/// Waits until `GET` says of every message that it is delivered.
async fn settled(moonwa: &Moonwa, sent: &[String]) {
    for id in sent {
        let path = format!("/v1/devices/toko/messages/{id}");
        let look = async || moonwa.admin().get(&path).await.map(|r| r.json()).unwrap_or_default();
        let delivered = |message: &Value| message["status"] == "delivered";
        // The caller's patience ends first.
        eventually_within(PATIENCE * 2, id, look, delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_lose_nothing() -> Result<()> {
    under(Trouble::Reset, 5).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_loses_nothing() -> Result<()> {
    under(Trouble::ServerDies, 4).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_acks_lose_nothing() -> Result<()> {
    under(Trouble::AckLost, 3).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing() -> Result<()> {
    under(Trouble::Kill, 5).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_black_hole_loses_nothing() -> Result<()> {
    under(Trouble::BlackHoleAndKill, 3).await
}

/// These are noticed by waiting, so they wait together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_only_seem_alive_lose_nothing() -> Result<()> {
    let troubles = [Trouble::BlackHole, Trouble::Silence, Trouble::Swallow, Trouble::Unanswered];
    let mut stories = JoinSet::new();
    for trouble in troubles {
        stories.spawn(under(trouble, 1));
    }
    // All of them are heard to the end, whatever the first says.
    let mut ends = Vec::new();
    while let Some(end) = stories.join_next().await {
        ends.push(end);
    }
    for end in ends {
        end??;
    }
    Ok(())
}
