//! Decides which rules of a device act on a message. There is no clock and no disk here, so that `moonwa rules test` says
//! what the gateway would do, and tests can ask about any day.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::{RuleConfig, When};
use crate::model::{ChatKind, Jid, MessageData, MessageId, UnixMillis};
use crate::store::{Acted, ChatMemory};

const HOUR: Duration = Duration::from_hours(1);

/// The message that rules are asked about.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) message: &'a MessageData,
    /// When it was written.
    pub(crate) at: UnixMillis,
    pub(crate) now: UnixMillis,
}

/// Why a rule does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The account wrote it.
    Own,
    /// It is a status, a post in a channel, or came through a broadcast list.
    NobodyAsked,
    /// The rules of a moonwa sent it.
    Answer,
    /// A rule before this one acted, and lets none act after it.
    Stopped(String),
    Chats,
    From,
    Text,
    /// It was written at this time.
    Hours(String),
    TooOld,
    /// Somebody wrote in the chat so lately.
    NotFirst(Duration),
    /// It acted in the chat so lately.
    CoolDown(Duration),
    /// It acted in the chat so often within an hour.
    TooOften(u32),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => write!(f, "the account's own message"),
            Self::NobodyAsked => write!(f, "not from a person or a group"),
            Self::Answer => write!(f, "a moonwa's rule sent it"),
            Self::Stopped(by) => write!(f, "rule {by} acts and stops the others"),
            Self::Chats => write!(f, "chats: not of this kind"),
            Self::From => write!(f, "from: somebody else"),
            Self::Text => write!(f, "text: does not fit"),
            Self::Hours(time) => write!(f, "hours: it is {time}"),
            Self::TooOld => write!(f, "max_age: the message is too old"),
            Self::NotFirst(ago) => {
                write!(f, "first_in: the message before is {} s old", ago.as_secs())
            }
            Self::CoolDown(ago) => write!(f, "cool_down: it acted {} s ago", ago.as_secs()),
            Self::TooOften(count) => write!(f, "most_per_hour: it acted {count} times"),
        }
    }
}

impl Why {
    /// Whether the rule was for this message, and acted too often already.
    pub(super) fn is_restraint(&self) -> bool {
        matches!(self, Self::CoolDown(_) | Self::TooOften(_))
    }
}

/// What becomes of each rule, in their order.
pub(crate) fn judge(
    rules: &[RuleConfig],
    asked: Asked<'_>,
    memory: &ChatMemory,
) -> Vec<Result<(), Why>> {
    let general = unanswerable(asked.message);
    let mut stopped: Option<&str> = None;
    let mut verdicts = Vec::with_capacity(rules.len());
    for rule in rules {
        let stopped_by = || stopped.map(|by| Why::Stopped(by.to_owned()));
        let why = general.clone().or_else(stopped_by);
        let why = why.or_else(|| misfit(rule, asked)).or_else(|| restraint(rule, asked, memory));
        if why.is_none() && rule.stop {
            stopped = Some(&rule.name);
        }
        verdicts.push(why.map_or(Ok(()), Err));
    }
    verdicts
}

/// Whether it depends on what is remembered of the chat what the rules do, or must be remembered.
pub(super) fn concerns(rules: &[RuleConfig], asked: Asked<'_>) -> bool {
    let one = |rule: &RuleConfig| match misfit(rule, asked) {
        None => true,
        Some(Why::Chats) => false,
        Some(_) => rule.when.first_in.is_some(),
    };
    unanswerable(asked.message).is_none() && rules.iter().any(one)
}

/// Notes that a message came, and which rules act on it. Rules that are gone are forgotten.
pub(super) fn remember(
    memory: &mut ChatMemory,
    rules: &[RuleConfig],
    verdicts: &[Result<(), Why>],
    at: UnixMillis,
) {
    memory.last_in = memory.last_in.max(Some(at));
    memory.rules.retain(|name, _| rules.iter().any(|rule| rule.name == *name));
    for (rule, _) in rules.iter().zip(verdicts).filter(|(_, verdict)| verdict.is_ok()) {
        let acted = memory.rules.entry(rule.name.clone()).or_default();
        if acted.count == 0 || at.since(acted.since) >= HOUR {
            (acted.since, acted.count) = (at, 0);
        }
        *acted = Acted { last: acted.last.max(at), count: acted.count.saturating_add(1), ..*acted };
    }
}

/// Why no rule acts on the message, whatever they say.
fn unanswerable(message: &MessageData) -> Option<Why> {
    if message.from_me {
        return Some(Why::Own);
    }
    let of_chat = Jid::parse(&message.chat).map(|chat| chat.chat_kind());
    let answerable = of_chat.is_ok_and(ChatKind::is_answerable)
        && message.chat_kind.is_none_or(ChatKind::is_answerable);
    if !answerable {
        return Some(Why::NobodyAsked);
    }
    MessageId::parse(&message.id).is_some_and(|id| id.is_answer()).then_some(Why::Answer)
}

/// What of the message does not fit the rule.
fn misfit(rule: &RuleConfig, Asked { message, at, now }: Asked<'_>) -> Option<Why> {
    let When { text, chats, from, hours, time_zone, max_age, first_in: _ } = &rule.when;
    let kind = if message.group.is_some() { ChatKind::Group } else { ChatKind::Person };
    if !chats.contains(&kind) {
        return Some(Why::Chats);
    }
    let addresses = || {
        let known = [Some(&message.chat), Some(&message.from.jid)].into_iter();
        known.chain([message.from.phone.as_ref(), message.from.lid.as_ref()]).flatten()
    };
    if !from.is_empty() && !from.iter().any(|one| addresses().any(|address| one.fits(address))) {
        return Some(Why::From);
    }
    if let Some(pattern) = text
        && !message.text.as_deref().is_some_and(|text| pattern.fits(text))
    {
        return Some(Why::Text);
    }
    if !hours.is_empty() {
        let local = local(at, time_zone.as_ref());
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        let minute = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute()));
        let minute = minute.unwrap_or_default();
        if !hours.iter().any(|hours| hours.are_on(day, minute)) {
            return Some(Why::Hours(local.strftime("%a %H:%M").to_string()));
        }
    }
    (now.since(at) > *max_age).then_some(Why::TooOld)
}

/// What holds the rule back in this chat.
fn restraint(rule: &RuleConfig, Asked { at, .. }: Asked<'_>, memory: &ChatMemory) -> Option<Why> {
    if let (Some(silence), Some(last)) = (rule.when.first_in, memory.last_in)
        && at.since(last) < silence
    {
        return Some(Why::NotFirst(at.since(last)));
    }
    let acted = memory.rules.get(&rule.name)?;
    if at.since(acted.last) < rule.cool_down {
        return Some(Why::CoolDown(at.since(acted.last)));
    }
    let often = at.since(acted.since) < HOUR && acted.count >= rule.most_per_hour;
    often.then_some(Why::TooOften(acted.count))
}

/// A time as the clocks show it there.
pub(super) fn local(at: UnixMillis, zone: Option<&TimeZone>) -> DateTime {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    zone.cloned().unwrap_or_else(TimeZone::system).to_datetime(at)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Hours, TextPattern};
    use crate::model::{ChatPattern, Person};

    pub(in crate::hooks::rule) fn at(text: &str) -> UnixMillis {
        UnixMillis::parse(text).unwrap()
    }

    pub(in crate::hooks::rule) fn message(text: &str) -> MessageData {
        let jid = "628123456789@s.whatsapp.net".to_owned();
        let phone = Some("628123456789".to_owned());
        let from = Person { jid, phone, lid: Some("77".to_owned()), name: None };
        MessageData::written("3EB0AABBCCDDEEFF001122", from, text)
    }

    fn rule(change: impl FnOnce(&mut RuleConfig)) -> RuleConfig {
        let mut rule = RuleConfig::new(1);
        change(&mut rule);
        rule
    }

    fn asked(rule: &RuleConfig, message: &MessageData, at: UnixMillis) -> Result<(), Why> {
        let asked = Asked { message, at, now: at };
        judge(std::slice::from_ref(rule), asked, &ChatMemory::default()).remove(0)
    }

    const NOON: &str = "2026-11-30T12:00:00Z";

    #[test]
    fn nobody_is_answered_who_did_not_ask() {
        let everybody = rule(|rule| rule.when.chats = [ChatKind::Person, ChatKind::Group].into());
        let judged = |change: &dyn Fn(&mut MessageData)| {
            let mut message = message("halo");
            change(&mut message);
            asked(&everybody, &message, at(NOON))
        };
        assert_eq!(judged(&|_| ()), Ok(()));
        assert_eq!(judged(&|message| message.from_me = true), Err(Why::Own));
        for chat in ["status@broadcast", "1203@newsletter", "1700000000@broadcast", "nonsense"] {
            assert_eq!(
                judged(&|message| message.chat = chat.to_owned()),
                Err(Why::NobodyAsked),
                "{chat}"
            );
        }
        for kind in [ChatKind::Status, ChatKind::Channel, ChatKind::Broadcast] {
            assert_eq!(judged(&|message| message.chat_kind = Some(kind)), Err(Why::NobodyAsked));
        }
        let id = MessageId::answer("evt_x", 0);
        assert_eq!(judged(&|message| message.id = id.to_string()), Err(Why::Answer));
    }

    #[test]
    fn a_group_is_answered_only_where_that_is_said() {
        let mut message = message("halo");
        message.chat = "1203@g.us".to_owned();
        message.group = Some(message.chat.clone());
        message.chat_kind = Some(ChatKind::Group);
        assert_eq!(asked(&RuleConfig::new(1), &message, at(NOON)), Err(Why::Chats));
        let groups = rule(|rule| rule.when.chats = [ChatKind::Group].into());
        assert_eq!(asked(&groups, &message, at(NOON)), Ok(()));
        assert_eq!(asked(&groups, &self::message("halo"), at(NOON)), Err(Why::Chats));
    }

    #[test]
    fn text_and_sender_must_fit() {
        let price = rule(|rule| {
            rule.when.text = Some(TextPattern::parse("(?i)^harga").unwrap());
            rule.when.from = vec![ChatPattern::parse("62812*").unwrap()];
        });
        assert_eq!(asked(&price, &message("Harga?"), at(NOON)), Ok(()));
        assert_eq!(asked(&price, &message("halo"), at(NOON)), Err(Why::Text));
        let mut picture = message("");
        picture.text = None;
        assert_eq!(asked(&price, &picture, at(NOON)), Err(Why::Text));
        let mut other = message("harga");
        other.chat = "628999@s.whatsapp.net".to_owned();
        other.from.jid.clone_from(&other.chat);
        other.from.phone = Some("628999".to_owned());
        assert_eq!(asked(&price, &other, at(NOON)), Err(Why::From));
    }

    #[test]
    fn hours_are_those_of_the_place_also_when_its_clocks_change() {
        let shop = |zone: &str, hours: &str| {
            rule(|rule| {
                rule.when.time_zone = Some(TimeZone::get(zone).unwrap());
                rule.when.hours = vec![Hours::parse(hours).unwrap()];
            })
        };
        let open = |rule: &RuleConfig, time: &str| asked(rule, &message("halo"), at(time)).is_ok();
        let jakarta = shop("Asia/Jakarta", "08:00-17:00");
        assert!(open(&jakarta, "2026-11-30T01:00:00Z") && !open(&jakarta, "2026-11-30T00:59:59Z"));
        assert!(open(&jakarta, "2026-11-30T09:59:59Z") && !open(&jakarta, "2026-11-30T10:00:00Z"));
        // In Berlin the clocks go forward at 01:00Z on 2026-03-29 and back at 01:00Z on 2026-10-25.
        let berlin = shop("Europe/Berlin", "08:00-17:00");
        assert!(!open(&berlin, "2026-03-28T06:30:00Z") && open(&berlin, "2026-03-29T06:30:00Z"));
        assert!(open(&berlin, "2026-10-24T06:30:00Z") && !open(&berlin, "2026-10-25T06:30:00Z"));
        let night = shop("Europe/Berlin", "Sat 22:00-02:30");
        assert!(open(&night, "2026-10-25T00:15:00Z"), "02:15 in summer");
        assert!(open(&night, "2026-10-25T01:15:00Z"), "02:15 again, in winter");
        assert!(!open(&night, "2026-10-25T01:45:00Z") && !open(&night, "2026-10-24T00:15:00Z"));
        let verdict = asked(&berlin, &message("halo"), at("2026-11-30T20:00:00Z"));
        assert_eq!(verdict, Err(Why::Hours("Mon 21:00".to_owned())));
    }

    #[test]
    fn what_is_too_old_is_not_answered() {
        let message = message("halo");
        let judged = |age: u64| {
            let asked = Asked {
                message: &message,
                at: at(NOON),
                now: at(NOON).after(Duration::from_secs(age)),
            };
            judge(&[RuleConfig::new(1)], asked, &ChatMemory::default()).remove(0)
        };
        assert_eq!((judged(6 * 3600), judged(6 * 3600 + 1)), (Ok(()), Err(Why::TooOld)));
    }

    #[test]
    fn one_that_stops_the_others_stops_those_after_it() {
        let stop = |n, text: &str| RuleConfig {
            stop: true,
            when: When { text: Some(TextPattern::parse(text).unwrap()), ..When::default() },
            ..RuleConfig::new(n)
        };
        let rules = [stop(1, "a"), RuleConfig::new(2), stop(3, "b"), RuleConfig::new(4)];
        let message = message("b");
        let asked = Asked { message: &message, at: at(NOON), now: at(NOON) };
        let verdicts = judge(&rules, asked, &ChatMemory::default());
        assert_eq!(verdicts, [Err(Why::Text), Ok(()), Ok(()), Err(Why::Stopped("3".to_owned()))]);
    }

    /// What one rule does with messages that come at these times, in seconds.
    fn history(rule: &RuleConfig, times: &[u64]) -> Vec<bool> {
        let (message, mut memory) = (message("halo"), ChatMemory::default());
        let rules = std::slice::from_ref(rule);
        let one = |time: &u64| {
            let at = UnixMillis::from_secs(1_790_000_000 + time);
            let verdicts = judge(rules, Asked { message: &message, at, now: at }, &memory);
            remember(&mut memory, rules, &verdicts, at);
            verdicts[0].is_ok()
        };
        times.iter().map(one).collect()
    }

    #[test]
    fn the_first_message_after_a_silence_is_one() {
        let greeting = rule(|rule| rule.when.first_in = Some(Duration::from_mins(10)));
        assert_eq!(history(&greeting, &[0, 599, 1100, 1700]), [true, false, false, true]);
    }

    proptest! {
        #[test]
        fn it_never_acts_within_its_cool_down(cool_down in 0u64..500, steps in prop::collection::vec(0u64..200, 1..60)) {
            let rule = rule(|rule| {
                rule.cool_down = Duration::from_secs(cool_down);
                rule.most_per_hour = u32::MAX;
            });
            let times: Vec<u64> = steps.iter().scan(0, |sum, step| { *sum += step; Some(*sum) }).collect();
            let acts = history(&rule, &times);
            let hits: Vec<u64> = times.iter().zip(&acts).filter(|(_, acts)| **acts).map(|(time, _)| *time).collect();
            prop_assert!(hits.windows(2).all(|pair| pair[1] - pair[0] >= cool_down));
            prop_assert!(acts[0]);
        }

        #[test]
        fn it_acts_in_an_hour_as_often_as_allowed(most in 1u32..20, count in 1usize..60) {
            let rule = rule(|rule| rule.most_per_hour = most);
            let times: Vec<u64> = (0..count as u64).map(|n| n * 10).collect();
            let hits = history(&rule, &times).into_iter().filter(|acts| *acts).count();
            prop_assert_eq!(hits, count.min(most as usize));
            let later: Vec<u64> = times.iter().copied().chain([3600]).collect();
            prop_assert!(history(&rule, &later)[count]);
        }
    }
}
