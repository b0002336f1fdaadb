//! What goes wrong, and when.

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Moonwa, eventually_within};
use moonwa_simulator::{Fault, Target};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::caller::Pace;
use super::{Cast, PATIENCE, SENDS};

/// The kinds of trouble.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    /// The connection is reset after a few stanzas.
    Reset,
    /// The server takes a message and goes down.
    ServerDies,
    /// Messages are relayed, but the connection ends without their acks; every other time the receipts are lost as
    /// well.
    AckLost,
    /// The gateway is killed.
    Kill,
    /// The connection is forgotten on the way while the socket stays open.
    BlackHole,
    /// The same, and then the gateway is killed.
    BlackHoleAndKill,
    /// The server reads everything and answers nothing.
    Silence,
    /// The server forgets messages and answers everything else.
    Swallow,
    /// Messages are relayed, and neither acks nor receipts come back on a connection that lives.
    Unanswered,
}

/// Strikes once in each round.
pub(super) async fn strike(
    trouble: Trouble,
    cast: &Cast,
    moonwa: &mut Moonwa,
    pace: &Pace,
    rounds: usize,
    seed: u64,
) -> Result<()> {
    let mut chance = StdRng::seed_from_u64(seed);
    let (sim, ann) = (&cast.sim, &cast.ann);
    let target = Target::from(ann);
    for round in 0..rounds {
        // A strike hits a connection that works; otherwise the last one's is still dying.
        let device =
            async || moonwa.device("toko").await.map(|device| device["state"].clone()).ok();
        eventually_within(PATIENCE, "connected", device, |state| {
            state.as_ref().is_some_and(|state| state == "connected")
        })
        .await;
        // Most messages of a round are behind the strike, so that it hits something.
        let when = round * SENDS + chance.random_range(1..SENDS / 2);
        pace.allow(when);
        accepted(pace, when).await;
        let before = sim.cursor();
        match trouble {
            Trouble::Reset => {
                sim.fault(target.clone(), Fault::ResetAfter(chance.random_range(0..6)));
            }
            Trouble::ServerDies => sim.fault(target.clone(), Fault::DropBeforeAck),
            Trouble::AckLost => {
                if round % 2 == 1 {
                    sim.fault(target.clone(), Fault::Unanswered);
                }
                sim.fault(target.clone(), Fault::DropAfterRelay);
            }
            Trouble::BlackHole | Trouble::BlackHoleAndKill => {
                sim.fault(target.clone(), Fault::BlackHole);
            }
            Trouble::Silence => sim.fault(target.clone(), Fault::Silence),
            Trouble::Swallow => sim.fault(target.clone(), Fault::Swallow),
            Trouble::Unanswered => {
                sim.fault_times(target.clone(), Fault::Unanswered, chance.random_range(1..5));
            }
            Trouble::Kill => {}
        }
        pace.allow((round + 1) * SENDS);
        let killed = match trouble {
            Trouble::Kill => {
                accepted(pace, when + 1).await;
                let until = sim.cursor() + chance.random_range(0..SENDS as u64 / 2);
                let seen = async || sim.cursor();
                eventually_within(PATIENCE, "it goes on", seen, |seen| *seen >= until).await;
                true
            }
            Trouble::BlackHoleAndKill => {
                accepted(pace, when + chance.random_range(1..SENDS / 2)).await;
                true
            }
            _ => false,
        };
        if killed {
            moonwa.kill().await?;
            moonwa.relaunch().await.with_context(|| format!("no start in round {round}"))?;
            pace.moved(moonwa);
        }
        let back = async || {
            let login = |entry: &moonwa_simulator::Entry| {
                entry.seq > before
                    && entry.tag == "login"
                    && entry.direction == moonwa_simulator::Direction::Note
            };
            if sim.journal().iter().any(login) {
                return true;
            }
            hurry(moonwa).await;
            false
        };
        eventually_within(PATIENCE, "the next login", back, |back| *back).await;
    }
    Ok(())
}

/// Presses START SESSION while the device waits for its next try: what is measured is what arrives, not how soon.
pub(super) async fn hurry(moonwa: &Moonwa) {
    let state = moonwa.device("toko").await.map(|device| device["state"].clone());
    if state.is_ok_and(|state| state == "reconnecting") {
        drop(moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await);
    }
}

async fn accepted(pace: &Pace, count: usize) {
    let seen = async || pace.accepted();
    eventually_within(PATIENCE, "sends are accepted", seen, |seen| *seen >= count).await;
}
