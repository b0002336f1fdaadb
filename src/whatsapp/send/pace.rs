//! When the next message of a device may go, as the file's `pace` says. A message that is too early waits; none is
//! dropped. Pure: what went before comes from the store, with the time of the store's clock, so that neither a restart
//! nor a jump of the wall clock gives a fresh allowance. Only the quiet hours ask the wall clock, again at each look.

use std::collections::VecDeque;
use std::time::Duration;

use super::hold::Hold;
use crate::config::Pace;
use crate::model::{Content, UnixMillis};
use crate::store::{Tallies, quarter_end, quarter_of};

const DAY: Duration = Duration::from_hours(24);
/// How long "typing…" is shown: a moment, and so much for each character, as fast people write on a phone.
const MOMENT: Duration = Duration::from_secs(1);
const PER_CHARACTER: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(10);

/// When a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// By the store's clock.
    pub(crate) at: UnixMillis,
    /// What it waits for until then; nothing when that is now.
    pub(crate) waits_for: Option<&'static str>,
}

/// What a device sent in the last day, or will have sent, and what the clocks say now.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// By the store's clock.
    now: UnixMillis,
    /// Since the local midnight.
    time_of_day: Duration,
    last: Option<UnixMillis>,
    quarters: VecDeque<Quarter>,
}

#[derive(Clone, Copy, Debug)]
struct Quarter {
    end: UnixMillis,
    sent: u64,
    first: u64,
}

impl Past {
    pub(crate) fn new(tallies: &Tallies, time_of_day: Duration) -> Self {
        let quarters = tallies.quarters.iter().map(|(number, tally)| Quarter {
            end: quarter_end(*number),
            sent: tally.sent,
            first: tally.first,
        });
        let last = tallies.quarters.iter().map(|(_, tally)| tally.last).max();
        let last = last.filter(|last| *last > UnixMillis::default());
        Self { now: tallies.now, time_of_day, last, quarters: quarters.collect() }
    }

    /// When the next message may go; `stranger` if it is the first one to a person.
    pub(crate) fn turn(&self, pace: &Pace, stranger: bool) -> Turn {
        let mut at = self.now;
        if let Some(last) = self.last {
            at = at.max(last.after(gap(pace.gap.bounds(), last)));
        }
        if let Some(most) = pace.per_day {
            at = at.max(self.free(most, |quarter| quarter.sent));
        }
        if let Some(most) = pace.new_chats_per_day.filter(|_| stranger) {
            at = at.max(self.free(most, |quarter| quarter.first));
        }
        let quiet = |at: UnixMillis| {
            let time = millis(self.time_of_day + at.since(self.now)) % millis(DAY);
            pace.quiet.and_then(|quiet| quiet.left(Duration::from_millis(time)))
        };
        let now = if quiet(self.now).is_some() { "quiet" } else { "pace" };
        match quiet(at) {
            Some(left) => Turn { at: at.after(left), waits_for: Some("quiet") },
            None => Turn { at, waits_for: (at > self.now).then_some(now) },
        }
    }

    /// A message goes then.
    pub(crate) fn note(&mut self, at: UnixMillis, stranger: bool) {
        self.last = self.last.max(Some(at));
        let end = quarter_end(quarter_of(at));
        let place = self.quarters.partition_point(|quarter| quarter.end < end);
        if self.quarters.get(place).is_none_or(|quarter| quarter.end != end) {
            self.quarters.insert(place, Quarter { end, sent: 0, first: 0 });
        }
        if let Some(quarter) = self.quarters.get_mut(place) {
            quarter.sent += 1;
            quarter.first += u64::from(stranger);
        }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.now
    }

    /// How many messages, and first ones to people, may still go before others are a day old.
    pub(crate) fn left(&self, pace: &Pace) -> (Option<u64>, Option<u64>) {
        let left = |most: Option<u32>, count: fn(&Quarter) -> u64| {
            let sum: u64 = self.lately().map(count).sum();
            most.map(|most| u64::from(most).saturating_sub(sum))
        };
        let messages = left(pace.per_day, |quarter| quarter.sent);
        let first = left(pace.new_chats_per_day, |quarter| quarter.first);
        (messages, first.map(|first| first.min(messages.unwrap_or(first))))
    }

    /// When there are fewer than `most` in the 24 hours before. A quarter counts until its end is as old as that.
    fn free(&self, most: u32, count: impl Fn(&Quarter) -> u64) -> UnixMillis {
        let mut sum = 0;
        let last = self.quarters.iter().rev().find(|quarter| {
            sum += count(quarter);
            sum >= u64::from(most)
        });
        last.map_or(self.now, |quarter| quarter.end.after(DAY))
    }

    fn lately(&self) -> impl Iterator<Item = &Quarter> {
        self.quarters.iter().filter(|quarter| quarter.end.after(DAY) > self.now)
    }
}

impl Turn {
    /// As people are told of it.
    pub(crate) fn hold(self, past: &Past) -> Option<Hold> {
        let not_before = Some(UnixMillis::now().after(self.at.since(past.now)));
        Some(Hold { waits_for: self.waits_for?, not_before })
    }
}

/// For how long "typing…" is shown before a message: not at all, unless it is a text.
pub(crate) fn typing(content: &Content) -> Option<Duration> {
    let (Content::Text { text } | Content::LinkedText { text }) = content else { return None };
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    Some((MOMENT + PER_CHARACTER.saturating_mul(characters)).min(LONGEST))
}

/// Drawn from the time of the message before: the same however often it is asked, also after a restart.
fn gap((least, most): (Duration, Duration), last: UnixMillis) -> Duration {
    // The mixing of splitmix64.
    let mut mixed = last.millis().wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let room = millis(most.saturating_sub(least)).saturating_add(1);
    least + Duration::from_millis(mixed % room)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Gap, Quiet};
    use crate::store::{QUARTER, Tally};

    const START: u64 = 1_795_420_800_000;

    fn past(events: &[(u64, bool)], now: u64, time_of_day: Duration) -> Past {
        let tallies = Tallies { now: UnixMillis::from_millis(now), ..Tallies::default() };
        let mut past = Past::new(&tallies, time_of_day);
        for (at, stranger) in events {
            past.note(UnixMillis::from_millis(*at), *stranger);
        }
        past
    }

    fn any_pace() -> impl Strategy<Value = Pace> {
        let gap = (0_u64..7_200, 0_u64..600).prop_map(|(least, more)| Gap::Between {
            least: Duration::from_secs(least),
            most: Duration::from_secs(least + more),
        });
        let even = (1_u32..50, 1_u64..7_200)
            .prop_map(|(count, secs)| Gap::Even { count, per: Duration::from_secs(secs) });
        let quiet = (0_u16..1440, 1_u16..1440)
            .prop_map(|(from, long)| Quiet { from, to: (from + long) % 1440 });
        let most = || proptest::option::of(1_u32..8);
        (prop_oneof![gap, even], most(), most(), proptest::option::of(quiet)).prop_map(
            |(gap, per_day, new_chats_per_day, quiet)| Pace {
                gap,
                per_day,
                new_chats_per_day,
                quiet,
                typing: false,
            },
        )
    }

    proptest! {
        /// Whoever sends each message at its turn keeps all of the pace, also when the process ends between any two of
        /// them, and never waits without a reason that is told.
        #[test]
        fn turns_keep_the_pace(
            pace in any_pace(),
            strangers in proptest::collection::vec(any::<bool>(), 1..60),
            rests in proptest::collection::vec(0_u64..20_000, 60),
            began in 0_u64..1440,
        ) {
            let (mut now, mut sent): (u64, Vec<(u64, bool)>) = (START, Vec::new());
            let time_of_day = |now: u64| Duration::from_millis(
                (began * 60_000 + now - START) % 86_400_000,
            );
            for (stranger, rest) in strangers.into_iter().zip(rests) {
                now += rest * 1000;
                let before = past(&sent, now, time_of_day(now));
                let turn = before.turn(&pace, stranger);
                let at = turn.at.millis();
                prop_assert_eq!(turn.waits_for.is_some(), at > now);
                prop_assert!(pace.quiet.is_none_or(|quiet| quiet.left(time_of_day(at)).is_none()));
                if turn.waits_for == Some("pace") {
                    // Looked at again at its time, it goes.
                    let then = past(&sent, at, time_of_day(at)).turn(&pace, stranger);
                    prop_assert_eq!(then, Turn { at: turn.at, waits_for: None });
                }
                if let Some((last, _)) = sent.last() {
                    let (least, _) = pace.gap.bounds();
                    prop_assert!(at - last >= u64::try_from(least.as_millis()).unwrap());
                }
                sent.push((at, stranger));
                now = at;
                let in_a_day = |of: fn(&&(u64, bool)) -> bool| {
                    sent.iter().filter(|(when, _)| *when + 86_400_000 > at).filter(of).count()
                };
                let within = |most: Option<u32>, count| most.is_none_or(|most| count <= most as usize);
                prop_assert!(within(pace.per_day, in_a_day(|_| true)));
                prop_assert!(within(pace.new_chats_per_day, in_a_day(|(_, first)| *first)));
            }
        }

        /// No pace holds a message for longer than the limit that is reached and one night.
        #[test]
        fn a_turn_always_comes(
            pace in any_pace(),
            ago in proptest::collection::vec((0_u64..172_800, any::<bool>()), 0..60),
            began in 0_u64..1440,
        ) {
            let mut sent: Vec<_> = ago.iter().map(|(secs, first)| (START - secs * 1000, *first)).collect();
            sent.sort_unstable();
            let turn = past(&sent, START, Duration::from_mins(began)).turn(&pace, true);
            let wait = turn.at.since(UnixMillis::from_millis(START));
            prop_assert!(wait <= DAY + QUARTER + DAY, "{wait:?}");
        }

        #[test]
        fn a_gap_is_between_its_bounds(least in 0_u64..100_000, more in 0_u64..100_000, at: u64) {
            let bounds = (Duration::from_millis(least), Duration::from_millis(least + more));
            let drawn = gap(bounds, UnixMillis::from_millis(at));
            prop_assert!(drawn >= bounds.0 && drawn <= bounds.1);
        }
    }

    #[test]
    fn what_the_store_counted_is_the_past() {
        let at = UnixMillis::from_millis(START);
        let tally = Tally { sent: 2, first: 2, last: at, ..Tally::default() };
        let quarters = vec![(quarter_of(at), tally)];
        let now = at.after(Duration::from_secs(3));
        let tallies = Tallies { now, quarters, new_chats: None };
        let past = Past::new(&tallies, Duration::ZERO);
        let gap = Gap::Between { least: Duration::from_secs(8), most: Duration::from_secs(8) };
        let turn = past.turn(&Pace::spread(gap), true);
        assert_eq!(turn, Turn { at: at.after(Duration::from_secs(8)), waits_for: Some("pace") });
        let pace = Pace { new_chats_per_day: Some(2), ..Pace::spread(gap) };
        assert_eq!(past.turn(&pace, false), turn, "a first contact counts apart");
        let later = past.turn(&pace, true);
        assert!(later.at >= at.after(DAY) && later.at <= at.after(DAY + QUARTER), "{later:?}");
        let pace = Pace { new_chats_per_day: Some(5), per_day: Some(4), ..pace };
        assert_eq!(past.left(&pace), (Some(2), Some(2)));
    }

    #[test]
    fn gaps_differ() {
        let bounds = (Duration::from_secs(8), Duration::from_secs(15));
        let drawn = |at| gap(bounds, UnixMillis::from_millis(at));
        let all: std::collections::BTreeSet<_> = (START..START + 100).map(drawn).collect();
        assert!(all.len() > 90 && all.iter().max() > Some(&Duration::from_secs(14)), "{all:?}");
    }

    #[test]
    fn typing_fits_the_text() {
        let typed = |text: &str| typing(&Content::Text { text: text.to_owned() });
        assert_eq!(typed("ya"), Some(Duration::from_millis(1100)));
        assert_eq!(typed(&"x".repeat(10_000)), Some(LONGEST));
        let location = Content::Location {
            latitude: "0".to_owned(),
            longitude: "0".to_owned(),
            name: None,
            address: None,
        };
        assert_eq!(typing(&location), None);
    }
}
