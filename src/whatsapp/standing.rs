//! How an account stands with WhatsApp: what it sent and what came of it, and what it may still send as far as anybody
//! said. Only what the store has counted is read, so it costs no look at the log.

use std::time::Duration;

use serde::Serialize;

use super::send::pace::{Past, Turn};
use crate::config::Pace;
use crate::model::{NewChats, UnixMillis};
use crate::store::{Tallies, Tally, quarter_end};

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);
/// WhatsApp restricts numbers that write to many people who never wrote to them. Its limit is not known; this is what
/// numbers survive.
const WISE: u64 = 50;

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// What may still be sent, for people.
    pub forecast: String,
    /// What it would be wise to change.
    pub advice: Option<String>,
    pub day: Figures,
    pub week: Figures,
    /// How many new chats WhatsApp allows, as it said last.
    pub new_chats: Option<NewChats>,
    pub lock: Option<LockedUntil>,
    pub pace: Option<Left>,
}

/// What happened in a length of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub sent: u64,
    pub first_contacts: u64,
    /// The people among these who have answered.
    pub answered: u64,
    /// The part of them that has.
    pub answered_share: Option<f64>,
    pub refused: u64,
    pub locks: u64,
}

/// WhatsApp lets the account write to no new contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LockedUntil {
    pub until: Option<UnixMillis>,
}

/// What the pace of the device allows within 24 hours, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Without a number there is no limit.
    pub messages: Option<u64>,
    pub first_contacts: Option<u64>,
    /// When the next message may go.
    pub next: UnixMillis,
    pub next_first_contact: UnixMillis,
}

/// The standing of an account at the time `now`; `lock` is that of now.
pub(crate) fn standing(
    tallies: &Tallies,
    pace: Option<&Pace>,
    lock: Option<LockedUntil>,
    now: UnixMillis,
) -> Standing {
    let current = |said: &NewChats| said.until.is_none_or(|until| until > now);
    let new_chats = tallies.new_chats.filter(current);
    let pace = pace.map(|pace| {
        let past = Past::new(tallies, now.time_of_day());
        let at = |turn: Turn| now.after(turn.at.since(past.now()));
        let (messages, first_contacts) = past.left(pace);
        Left {
            messages,
            first_contacts,
            next: at(past.turn(pace, false)),
            next_first_contact: at(past.turn(pace, true)),
        }
    });
    let (day, week) = (figures(tallies, DAY), figures(tallies, WEEK));
    Standing {
        forecast: forecast(&day, new_chats, lock, pace.as_ref(), now),
        advice: advice(day.first_contacts),
        day,
        week,
        new_chats,
        lock,
        pace,
    }
}

fn figures(tallies: &Tallies, length: Duration) -> Figures {
    let mut sum = Tally::default();
    let lately = |number: u64| quarter_end(number).after(length) > tallies.now;
    for (_, tally) in tallies.quarters.iter().filter(|(number, _)| lately(*number)) {
        sum.sent += tally.sent;
        sum.first += tally.first;
        sum.answered += tally.answered;
        sum.refused += tally.refused;
        sum.locks += tally.locks;
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits of it are shown")]
    let share = |part: u64, of: u64| (part as f64 * 100.0 / of as f64).round() / 100.0;
    Figures {
        sent: sum.sent,
        first_contacts: sum.first,
        answered: sum.answered,
        answered_share: (sum.first > 0).then(|| share(sum.answered, sum.first)),
        refused: sum.refused,
        locks: sum.locks,
    }
}

fn forecast(
    day: &Figures,
    new_chats: Option<NewChats>,
    lock: Option<LockedUntil>,
    pace: Option<&Left>,
    now: UnixMillis,
) -> String {
    let until = |until: Option<UnixMillis>| {
        until.map_or_else(String::new, |until| format!(" until {}", until.said_at(now)))
    };
    let said = match (lock, new_chats) {
        (Some(lock), _) => Some(format!(
            "No new chats{}: WhatsApp locks the account against them",
            until(lock.until)
        )),
        (None, Some(quota)) => {
            let left = more(quota.total.saturating_sub(quota.used), "new chat");
            Some(format!("{left}{}, as far as WhatsApp said", until(quota.until)))
        }
        (None, None) => None,
    };
    let paced = pace.and_then(|left| {
        let parts = [
            left.first_contacts.map(|left| more(left, "new chat")),
            left.messages.map(|left| more(left, "message")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let parts = parts.join(" and ");
        (!parts.is_empty()).then(|| format!("{parts} within these 24 hours, as the pace allows"))
    });
    match (said, paced) {
        (Some(said), Some(paced)) => format!("{said}; {paced}."),
        (Some(one), None) | (None, Some(one)) => format!("{one}."),
        (None, None) => format!(
            "{} in 24 hours, {} of them the first to somebody; WhatsApp has said nothing of a limit.",
            plural(day.sent, "message"),
            day.first_contacts
        ),
    }
}

fn more(count: u64, what: &str) -> String {
    match count {
        0 => format!("no more {what}s"),
        1 => format!("1 more {what}"),
        count => format!("{count} more {what}s"),
    }
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn advice(strangers: u64) -> Option<String> {
    (strangers > WISE).then(|| {
        format!(
            "{strangers} people were written to for the first time within 24 hours, and WhatsApp restricts numbers that \
             write to more than about {WISE} a day: set pace = {{ new_chats_per_day = {WISE} }}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Gap;

    const NOW: UnixMillis = UnixMillis::from_secs(1_795_420_800);

    fn said(tallies: &Tallies, pace: Option<&Pace>, lock: Option<LockedUntil>) -> String {
        standing(tallies, pace, lock, NOW).forecast
    }

    #[test]
    fn a_forecast_is_a_sentence() {
        let soon = NOW.after(Duration::from_hours(80));
        let weekday = soon.said_at(NOW);
        let tallies = |used, until| Tallies {
            now: NOW,
            new_chats: Some(NewChats { used, total: 50, until }),
            ..Tallies::default()
        };
        let nothing = Tallies { now: NOW, ..Tallies::default() };
        assert_eq!(
            said(&tallies(13, Some(soon)), None, None),
            format!("37 more new chats until {weekday}, as far as WhatsApp said.")
        );
        assert_eq!(
            said(&tallies(49, None), None, None),
            "1 more new chat, as far as WhatsApp said."
        );
        let pace = Pace { new_chats_per_day: Some(20), ..Pace::spread(Gap::NONE) };
        assert_eq!(
            said(&tallies(60, Some(soon)), Some(&pace), None),
            format!(
                "no more new chats until {weekday}, as far as WhatsApp said; 20 more new chats within these 24 hours, as \
                 the pace allows."
            )
        );
        let pace = Pace { per_day: Some(10), ..pace };
        assert_eq!(
            said(&tallies(1, Some(NOW)), Some(&pace), None),
            "10 more new chats and 10 more messages within these 24 hours, as the pace allows.",
            "what WhatsApp said is over"
        );
        assert_eq!(
            said(&tallies(13, None), None, Some(LockedUntil { until: Some(soon) })),
            format!("No new chats until {weekday}: WhatsApp locks the account against them.")
        );
        assert_eq!(
            said(&nothing, Some(&Pace::spread(Gap::NONE)), None),
            "0 messages in 24 hours, 0 of them the first to somebody; WhatsApp has said nothing of a limit."
        );
    }

    #[test]
    fn a_week_is_a_week_and_a_day_is_a_day() {
        let quarter = |ago: u64| crate::store::quarter_of(NOW.before(Duration::from_hours(ago)));
        let tally = Tally { sent: 3, first: 3, answered: 1, refused: 1, locks: 1, last: NOW };
        let quarters = [6 * 24, 25, 1].map(|ago| (quarter(ago), tally)).to_vec();
        let standing = standing(&Tallies { now: NOW, quarters, new_chats: None }, None, None, NOW);
        let all = |times: u64| Figures {
            sent: 3 * times,
            first_contacts: 3 * times,
            answered: times,
            answered_share: Some(0.33),
            refused: times,
            locks: times,
        };
        assert_eq!((standing.day, standing.week), (all(1), all(3)));
        assert_eq!((standing.pace, standing.advice), (None, None));
    }
}
