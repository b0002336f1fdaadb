//! A nemesis kills the gateway again and again, at random moments and around the commit of an answer, while people ask. Each
//! question is answered once, and handed in its turn to the webhook that a rule names.
//!
//! `cargo test --test it rules::kills` is the short form; `MOONWA_RULES_SEED` repeats the choices that a failure names. The
//! long one is
//! `MOONWA_RULES_MESSAGES=10000 MOONWA_RULES_KILLS=100 cargo test --test it rules::kills -- --nocapture`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Moonwa, PATIENCE, WebhookReceiver, eventually_within};
use moonwa_simulator::{Phone, Simulator};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::timeout;

use super::{CHANNEL, gateway, says};

/// Where the gateway may be stopped dead, beside anywhere.
const FAILPOINTS: [&str; 3] = ["rules.before", "rules.after", "append.synced"];
/// How long a fail-point may take to be visited.
const WINDOW: Duration = Duration::from_secs(2);
/// Of so many messages one is no question.
const SILENT: u64 = 5;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_answers_each_message_once() -> Result<()> {
    let messages = number("MOONWA_RULES_MESSAGES", 240);
    let kills = number("MOONWA_RULES_KILLS", 8).max(1);
    let seed = number("MOONWA_RULES_SEED", rand::random::<u32>().into());
    println!("seed {seed}: {messages} messages, {kills} kills");
    let mut chance = StdRng::seed_from_u64(seed);
    let began = Instant::now();
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628333000141", "Ann").await, sim.phone("628333000142", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let table = format!(
        "\n[device.toko]\nlabel = \"Toko\"\nwebhooks = [{{ url = {:?}, events = [\"rules\"] }}]\n",
        hook.url()
    );
    let rules = "[[device.toko.rules]]\nwhen = { text = \"tanya\", first_in = \"1m\" }\nreply = \"lama tak jumpa\"\nmost_per_hour = 1\n\
        [[device.toko.rules]]\nwhen = { text = \"tanya\" }\nreply = \"jawab {text}\"\nmost_per_hour = 100000\n\
        [[device.toko.rules]]\nwhen = { text = \"tanya\" }\nwebhook = 1\n";
    let mut moonwa =
        gateway(&sim).env("MOONWA_RETRY_SCALE", "0.001").config(&(table + rules)).start().await?;
    moonwa.link("toko", &ann).await?;

    let answered = || {
        let inbox = bob.inbox();
        inbox
            .iter()
            .filter(|item| {
                item.message().is_some_and(|m| {
                    m.text.as_deref().is_some_and(|text| text.starts_with("jawab"))
                })
            })
            .count() as u64
    };
    let (mut sent, mut deaths) = (0, 0);
    let mut asked = Vec::new();
    for round in 0..kills {
        let before = answered();
        let batch = messages * (round + 1) / kills - sent;
        for n in sent..sent + batch {
            if n % SILENT == 0 {
                bob.send_text(&ann, &format!("halo {n}")).await?;
            } else {
                bob.send_text(&ann, &format!("tanya {n}")).await?;
                asked.push(format!("jawab tanya {n}"));
            }
        }
        sent += batch;
        ann.send_text(&bob, &format!("tanya sendiri {round}")).await?;
        bob.show_status(&[ann.number()], &says(&format!("tanya status {round}")))?;
        sim.post_in_channel(CHANNEL, ann.number(), &says(&format!("tanya saluran {round}")))?;
        // In half of the rounds at random, in the others around a commit.
        if round % 2 == 0 {
            let until = before + chance.random_range(0..=batch / 2);
            let due = u64::try_from(asked.len())?;
            let look = || async { answered() };
            eventually_within(PATIENCE * 10, "it goes on", look, |seen| *seen >= until.min(due))
                .await;
            moonwa.kill().await?;
        } else {
            die_at_a_commit(&mut moonwa, round, chance.random_range(1..=batch.clamp(1, 8))).await?;
            deaths += 1;
        }
        moonwa.relaunch().await.with_context(|| format!("no start in round {round}"))?;
        deaths += 1;
    }

    let look = || async { answered() };
    let due = u64::try_from(asked.len())?;
    let patience = PATIENCE * 10 + Duration::from_millis(200 * messages);
    eventually_within(patience, "all answers", look, |seen| *seen >= due).await;
    // The newest of all is answered last: whatever could come twice has come by then.
    bob.send_text(&ann, "tanya terakhir").await?;
    asked.push("jawab tanya terakhir".to_owned());
    bob.expect_text("jawab tanya terakhir").await?;
    hook.expect_text("tanya terakhir").await;
    let all = check(&bob, &asked);
    let again = check_handed(&hook.taken_texts(), &asked);
    println!(
        "{messages} messages, {deaths} deaths, {all} answers, each once; {} came again under the same id; \
         each was handed over, {again} again; {} s",
        bob.repeated().len(),
        began.elapsed().as_secs()
    );
    moonwa.stop().await?;
    Ok(())
}

/// Kills the gateway, and lets it die at a fail-point if it comes there in time.
async fn die_at_a_commit(moonwa: &mut Moonwa, round: u64, visit: u64) -> Result<()> {
    moonwa.kill().await?;
    let name = FAILPOINTS[usize::try_from(round / 2)? % FAILPOINTS.len()];
    moonwa.set_env("MOONWA_FAILPOINT", Some(&format!("{name}:{visit}")));
    match moonwa.relaunch().await {
        Ok(()) => {
            if timeout(WINDOW, moonwa.wait_exit()).await.is_err() {
                moonwa.kill_or_aborted().await?;
            }
        }
        Err(ended) if format!("{ended:#}").contains("SIGABRT") => {}
        Err(ended) => return Err(ended),
    }
    moonwa.set_env("MOONWA_FAILPOINT", None);
    Ok(())
}

/// Each question came to the webhook, in its turn, and nothing else did; how many came again.
fn check_handed(taken: &[String], asked: &[String]) -> usize {
    let asked: Vec<_> = asked.iter().filter_map(|text| text.strip_prefix("jawab ")).collect();
    let mut first = Vec::new();
    let mut seen = BTreeSet::new();
    for text in taken {
        if seen.insert(text.as_str()) {
            first.push(text.as_str());
        }
    }
    let wrong = first.iter().zip(&asked).find(|(came, due)| came != due);
    assert_eq!((first.len(), wrong), (asked.len(), None), "lost, unasked or out of turn");
    taken.len() - first.len()
}

/// Each question was answered once, and nothing else; how many answers that are.
fn check(bob: &Phone, asked: &[String]) -> usize {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in bob.inbox() {
        let text = item.message().and_then(|message| message.text.clone());
        *counts.entry(text.unwrap_or_default()).or_default() += 1;
    }
    let wrong: Vec<_> = asked.iter().filter(|text| counts.get(*text) != Some(&1)).collect();
    assert_eq!(wrong, Vec::<&String>::new(), "lost, or answered twice");
    for unasked in ["sendiri", "status", "saluran"] {
        let answers =
            counts.keys().filter(|text| text.starts_with("jawab") && text.contains(unasked));
        assert_eq!(answers.count(), 0, "{unasked}");
    }
    let all = counts
        .iter()
        .filter(|(text, _)| text.starts_with("jawab"))
        .map(|(_, count)| count)
        .sum::<usize>();
    assert_eq!(all, asked.len());
    all
}
