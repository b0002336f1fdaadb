//! A scenario: who writes what to a bot and when, what it must answer, and what goes wrong meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use moonwa::facade::config::{Config, Context};
use moonwa_simulator::Fault;
use serde::{Deserialize, Deserializer, de};
use toml::{Spanned, Table};

use super::shop::{self, NUMBER};

const PATIENCE: Duration = Duration::from_secs(10);
const STEPS: &str = "a step is one of: `from` and `text`; `to` and `text` or `contains`, perhaps with `within`; \
    `to` and `nothing`; `fault`, perhaps with `times`. Each may have `after`";

/// A scenario that can be played.
pub(super) struct Scenario {
    /// Where the gateway's API is for the bot.
    pub(super) listen: SocketAddr,
    /// The bot, as moonwa.toml has a webhook.
    pub(super) webhook: Table,
    /// The customers' numbers by their names.
    pub(super) people: BTreeMap<String, String>,
    pub(super) steps: Vec<Step>,
}

/// One step, and where it stands in the file.
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) after: Duration,
    pub(super) action: Action,
}

pub(super) enum Action {
    /// Somebody writes to the shop.
    Write { from: String, text: String },
    /// Somebody must get that from the shop.
    Expect { to: String, wanted: Wanted, within: Duration },
    /// Somebody must get nothing from the shop for so long.
    Silence { to: String, lasting: Duration },
    /// Something goes wrong with the gateway's connection.
    Fault { fault: Fault, times: u32 },
}

pub(super) enum Wanted {
    Text(String),
    Contains(String),
}

/// What is wrong with a scenario, and where.
pub(super) struct Problem {
    place: String,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "usual")]
    listen: SocketAddr,
    webhook: Spanned<Table>,
    #[serde(default)]
    people: BTreeMap<String, Number>,
    #[serde(rename = "step")]
    steps: Vec<Spanned<Raw>>,
}

fn usual() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    after: Option<Wait>,
    from: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
    text: Option<String>,
    contains: Option<String>,
    within: Option<Wait>,
    nothing: Option<Wait>,
    fault: Option<Fault>,
    times: Option<u32>,
}

/// A phone number, digits only.
struct Number(String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = String::deserialize(from)?;
        let digits = (7..=15).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
        if !digits || number.starts_with('0') {
            return Err(de::Error::custom(
                "a number is the country's code and the rest, 7 to 15 digits: \"628987654321\"",
            ));
        }
        if number == NUMBER {
            return Err(de::Error::custom("that is the shop's number"));
        }
        Ok(Self(number))
    }
}

/// A time such as "500ms", "5s" or "2m".
struct Wait(Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let unit_in_ms = match unit {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            _ => None,
        };
        let count: Option<u64> = text.strip_suffix(unit).and_then(|count| count.parse().ok());
        let wait =
            unit_in_ms.and_then(|ms| count?.checked_mul(ms)).filter(|wait| *wait <= 3_600_000);
        let wait = wait.ok_or_else(|| {
            de::Error::custom("a time is \"500ms\", \"5s\" or \"2m\", an hour at most")
        })?;
        Ok(Self(Duration::from_millis(wait)))
    }
}

impl Scenario {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let name = path.display();
        let nowhere = |message: String| Problem { place: name.to_string(), message };
        let text = std::fs::read_to_string(path).map_err(|error| nowhere(error.to_string()))?;
        Self::parse(&text).map_err(|(at, message)| {
            let (line, column) = position(&text, at);
            Problem { place: format!("{name}:{line}:{column}"), message }
        })
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            (at, error.message().to_owned())
        })?;
        let people: BTreeMap<String, String> =
            file.people.into_iter().map(|(name, Number(number))| (name, number)).collect();
        let at = file.webhook.span().start;
        let webhook = file.webhook.into_inner();
        refused(&webhook).map_or(Ok(()), |why| Err((at, why)))?;
        let step = |raw: Spanned<Raw>| {
            let at = raw.span().start;
            let raw = raw.into_inner();
            let after = raw.after.as_ref().map_or(Duration::ZERO, |after| after.0);
            let action = action(raw, at, &people)?;
            Ok(Step { line: position(text, at).0, after, action })
        };
        let steps = file.steps.into_iter().map(step).collect::<Result<_, _>>()?;
        Ok(Self { listen: file.listen, webhook, people, steps })
    }
}

/// Why moonwa would not take that webhook.
fn refused(webhook: &Table) -> Option<String> {
    let context = Context {
        file: String::new(),
        dir: ".".into(),
        env: Box::new(|name| std::env::var(name).ok()),
        world_readable: false,
    };
    let text = match shop::configuration(webhooks(webhook)) {
        Ok(text) => text,
        Err(error) => return Some(error.to_string()),
    };
    let rejected = Config::parse(text, &context).err()?;
    let problem = rejected.problems.first()?;
    let key = problem.key.rsplit_once("webhooks[1]").map_or("", |(_, key)| key);
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    Some(format!("webhook{key}: {}{hint}", problem.message))
}

/// That webhook as the part of moonwa.toml about the device.
pub(super) fn webhooks(webhook: &Table) -> Table {
    Table::from_iter([("webhooks".to_owned(), vec![webhook.clone()].into())])
}

fn action(
    raw: Raw,
    at: usize,
    people: &BTreeMap<String, String>,
) -> Result<Action, (usize, String)> {
    let known = |name: Spanned<String>| {
        let Range { start, .. } = name.span();
        let name = name.into_inner();
        if people.contains_key(&name) {
            return Ok(name);
        }
        Err((start, format!("{name:?} is not in [people]")))
    };
    let wanted = match (raw.text, raw.contains) {
        (Some(text), None) => Some(Wanted::Text(text)),
        (None, Some(part)) => Some(Wanted::Contains(part)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err((at, STEPS.to_owned())),
    };
    match (raw.from, raw.to, wanted, raw.within, raw.nothing, raw.fault, raw.times) {
        (Some(from), None, Some(Wanted::Text(text)), None, None, None, None) => {
            Ok(Action::Write { from: known(from)?, text })
        }
        (None, Some(to), Some(wanted), within, None, None, None) => {
            let within = within.map_or(PATIENCE, |within| within.0);
            Ok(Action::Expect { to: known(to)?, wanted, within })
        }
        (None, Some(to), None, None, Some(lasting), None, None) => {
            Ok(Action::Silence { to: known(to)?, lasting: lasting.0 })
        }
        (None, None, None, None, None, Some(fault), times) => {
            Ok(Action::Fault { fault, times: times.unwrap_or(1) })
        }
        _ => Err((at, STEPS.to_owned())),
    }
}

/// The line and the column of a place, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}
