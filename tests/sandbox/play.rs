//! Plays a scenario: the steps one after the other, until one fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use moonwa_simulator::harness::api_key;
use moonwa_simulator::{InboxItem, InboxMessage, Phone};
use tokio::time::{Instant, sleep};

use super::scenario::{Action, Scenario, Step, Wanted, webhooks};
use super::shop::{DEVICE, NUMBER, Shop};
use super::{BAD_SCENARIO, Ends, FAILED, NOT_MET};

pub(super) const HELP: &str = r#"The scenario, with the bot at the webhook's URL:

  [webhook]                        # as in moonwa.toml: url, secret, format, events ...
  url = "http://127.0.0.1:9000/"
  [people]
  budi = "628987654321"

  [[step]]                         # Budi writes to the shop
  from = "budi"
  text = "halo"
  [[step]]                         # and must get that: "contains", or "text" for the whole of it
  to = "budi"
  contains = "selamat datang"
  within = "5s"
  [[step]]                         # something goes wrong; what can is in tests/simulator/src/fault.rs
  fault = "drop"
  [[step]]                         # the time before a step; and nothing more may come for so long
  after = "1s"
  to = "budi"
  nothing = "2s"

The bot answers through moonwa's API at http://127.0.0.1:8080 ("listen" in the file changes it), device "toko", with the API
key "key-of-toko-0123456789abcdef".

Exit codes: 0 every expectation was met, 1 one was not, 2 the scenario is wrong (with line and column), 3 the sandbox failed."#;

/// A customer: their phone, and how far their inbox has been looked at.
struct Person {
    phone: Phone,
    seen: u64,
}

/// Plays that file.
pub(super) async fn play(file: &Path, mut ends: Ends) -> Result<ExitCode> {
    let scenario = match Scenario::read(file) {
        Ok(scenario) => scenario,
        Err(problem) => {
            eprintln!("{problem}");
            return Ok(BAD_SCENARIO.into());
        }
    };
    let shop = Shop::open(scenario.listen, webhooks(&scenario.webhook)).await?;
    println!(
        "moonwa is at http://{}, its device is {DEVICE}, the key {}",
        shop.moonwa.address(),
        api_key(DEVICE)
    );
    let done = tokio::select! {
        done = steps(&shop, &scenario, file) => done,
        () = ends.told() => {
            eprintln!("ended before the scenario did");
            Ok(FAILED.into())
        }
    };
    shop.close(&mut ends).await?;
    done
}

async fn steps(shop: &Shop, scenario: &Scenario, file: &Path) -> Result<ExitCode> {
    shop.scan().await?;
    shop.connected().await?;
    let mut people = BTreeMap::new();
    for (name, number) in &scenario.people {
        let phone = shop.sim.phone(number, name).await;
        people.insert(name.as_str(), Person { phone, seen: 0 });
    }
    for step in &scenario.steps {
        sleep(step.after).await;
        let begun = Instant::now();
        let said = take(shop, &mut people, step).await?;
        let (verdict, what) = match &said {
            Ok(what) => ("ok  ", what),
            Err(what) => ("FAIL", what),
        };
        let place = format!("{}:{}", file.display(), step.line);
        println!("{verdict} {place} {what} ({:.1} s)", begun.elapsed().as_secs_f64());
        if said.is_err() {
            println!("{}", webhook(shop).await?);
            return Ok(NOT_MET.into());
        }
    }
    println!("{} steps, all as expected", scenario.steps.len());
    Ok(ExitCode::SUCCESS)
}

/// What happened, as it should or not.
async fn take(
    shop: &Shop,
    people: &mut BTreeMap<&str, Person>,
    step: &Step,
) -> Result<Result<String, String>> {
    Ok(match &step.action {
        Action::Write { from, text } => {
            person(people, from).phone.send_text(&shop.phone, text).await?;
            Ok(format!("{from} writes {text:?}"))
        }
        Action::Expect { to, wanted, within } => {
            let Person { phone, seen } = person(people, to);
            let found = phone.await_inbox(*seen, *within, |item| wanted.is(item)).await;
            match found {
                Some(item) => {
                    *seen = item.seq;
                    Ok(format!("{to} gets {}", text(&item)))
                }
                None => {
                    let came = phone.inbox().into_iter().filter(|item| item.seq > *seen);
                    let came: Vec<String> =
                        came.filter(from_shop).map(|item| text(&item)).collect();
                    let came = if came.is_empty() { "nothing".to_owned() } else { came.join(", ") };
                    Err(format!("{to} did not get {wanted} within {within:?}, but {came}"))
                }
            }
        }
        Action::Silence { to, lasting } => {
            let Person { phone, seen } = person(people, to);
            match phone.await_inbox(*seen, *lasting, from_shop).await {
                Some(item) => Err(format!("{to} got {}", text(&item))),
                None => Ok(format!("{to} gets nothing")),
            }
        }
        Action::Fault { fault, times } => {
            shop.sim.fault_times(NUMBER, fault.clone(), *times);
            Ok(format!("fault {fault:?}"))
        }
    })
}

fn person<'p>(people: &'p mut BTreeMap<&str, Person>, name: &str) -> &'p mut Person {
    people.get_mut(name).expect("a scenario that was read names none but its people")
}

impl Wanted {
    fn is(&self, item: &InboxItem) -> bool {
        let text = message(item).and_then(|message| message.text.as_deref());
        text.is_some_and(|text| match self {
            Self::Text(whole) => text == whole,
            Self::Contains(part) => text.contains(part.as_str()),
        })
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Contains(part) => write!(f, "a text with {part:?}"),
        }
    }
}

/// The shop's message in an inbox item.
fn message(item: &InboxItem) -> Option<&InboxMessage> {
    item.message().filter(|message| message.from == NUMBER)
}

fn from_shop(item: &InboxItem) -> bool {
    message(item).is_some()
}

fn text(item: &InboxItem) -> String {
    match message(item).and_then(|message| message.text.as_ref()) {
        Some(text) => format!("{text:?}"),
        None => "something without a text".to_owned(),
    }
}

/// How it stands with the bot's webhook: most often that is why an answer does not come.
async fn webhook(shop: &Shop) -> Result<String> {
    let device = shop.moonwa.device(DEVICE).await?;
    let webhook = &device["webhooks"][0];
    let error =
        webhook["last_error"].as_str().map(|why| format!("; last: {why}")).unwrap_or_default();
    Ok(format!(
        "     the webhook is {}: {} delivered, {} waiting, {} dead letters{error}; moonwa is {}",
        webhook["state"].as_str().unwrap_or_default(),
        webhook["delivered"],
        webhook["backlog"],
        webhook["dead_letters"],
        device["state"].as_str().unwrap_or_default(),
    ))
}
