//! When a message is to go, as callers write it: in so much time, at a time with its offset, or at a local time with the
//! name of its zone.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use regex::{Captures, Regex};

use crate::api::http::problem::{Code, Problem};
use crate::model::UnixMillis;

/// openapi.json has the same. A name of a zone has no dots, so it is no path anywhere.
pub(super) const FORM: &str = r"^(?:\+([0-9]{1,6})([smhd])|([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:(Z)|([+-])([0-9]{2}):([0-9]{2})(?:\[([A-Za-z][A-Za-z0-9_+/-]{0,63})\])?|\[([A-Za-z][A-Za-z0-9_+/-]{0,63})\]| ([A-Za-z][A-Za-z0-9_+/-]{0,63})))$";
/// A request may take that long, and clocks are not all right.
const GRACE: Duration = Duration::from_mins(1);
/// Who plans for longer than that has mistaken the year.
const FARTHEST: Duration = Duration::from_hours(366 * 24);

static READER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(FORM).ok());

/// What is wrong with a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is written in no known way.
    Form,
    /// There is no such time; why.
    Time(String),
}

impl Wrong {
    /// What people are told of a form of `expires` that nobody knows.
    pub(super) const UNTIL: &'static str =
        "write 2h, for so long after send_at, or a time such as 2026-12-01T12:00:00+07:00";
    /// The same of when a message goes.
    pub(super) const FORM: &'static str = "write +2h, 2026-12-01T08:00:00+07:00, or a local time with its zone: 2026-12-01 08:00 Asia/Jakarta";
}

/// The time that the words of a caller name. One that the clocks of its zone skip is as much later as they skip; of one
/// that comes twice the first is meant.
pub(super) fn parse(words: &str, now: UnixMillis) -> Result<UnixMillis, Wrong> {
    let read = READER.as_ref().and_then(|reader| reader.captures(words)).ok_or(Wrong::Form)?;
    match (text(&read, 1), text(&read, 2)) {
        (Some(count), Some(unit)) => Ok(now.after(length(count, unit)?)),
        _ => at(&read),
    }
}

/// Until when a message may go that is to go at `at`: a length from then on, without a sign, or a time.
pub(super) fn until(words: &str, at: UnixMillis, now: UnixMillis) -> Result<UnixMillis, Wrong> {
    if words.starts_with('+') {
        return Err(Wrong::Form);
    }
    let until = match parse(words, now) {
        Err(Wrong::Form) => parse(&format!("+{words}"), at)?,
        time => time?,
    };
    if until <= at {
        return Err(Wrong::Time(format!("{until} is not after send_at, {at}")));
    }
    if until.since(at) > FARTHEST {
        return Err(Wrong::Time(format!("{until} is more than a year after send_at, {at}")));
    }
    Ok(until)
}

/// Refuses a time that is over, or is too far away.
pub(crate) fn check(at: UnixMillis, now: UnixMillis) -> Result<(), Problem> {
    let why = if now.since(at) > GRACE {
        format!("send_at: {at} is over, it is {now} now")
    } else if at.since(now) > FARTHEST {
        format!("send_at: {at} is more than a year away, it is {now} now")
    } else {
        return Ok(());
    };
    Err(Problem::new(Code::TimeRefused, why))
}

fn length(count: &str, unit: &str) -> Result<Duration, Wrong> {
    let count: u64 = count.parse().map_err(|_not_a_number| Wrong::Form)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 86_400,
    };
    Ok(Duration::from_secs(count * seconds))
}

fn at(read: &Captures<'_>) -> Result<UnixMillis, Wrong> {
    let local = local(read)?;
    let name = text(read, 14).or(text(read, 15)).or(text(read, 16));
    let zone = name.map(zone).transpose()?;
    let offset = match (text(read, 11), zone.is_none()) {
        (Some(sign), _) => Some(offset(sign, number(read, 12), number(read, 13))?),
        (None, true) => Some(Offset::UTC),
        (None, false) => None,
    };
    let time = match (offset, &zone) {
        (Some(offset), _) => offset.to_timestamp(local),
        (None, Some(zone)) => zone.to_timestamp(local),
        (None, None) => return Err(Wrong::Form),
    };
    let time = time.map_err(|error| Wrong::Time(error.to_string()))?;
    if let (Some(offset), Some(zone)) = (offset, &zone)
        && zone.to_offset(time) != offset
    {
        let name = name.unwrap_or_default();
        return Err(Wrong::Time(format!("{name} is not {offset} from UTC at that time")));
    }
    // Never early: a part of a millisecond is a whole one.
    let millis = time.as_nanosecond().max(0).unsigned_abs().div_ceil(1_000_000);
    Ok(UnixMillis::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

fn local(read: &Captures<'_>) -> Result<DateTime, Wrong> {
    let none = |error: jiff::Error| Wrong::Time(error.to_string());
    let small = |n| i8::try_from(number(read, n)).unwrap_or(i8::MAX);
    let year = i16::try_from(number(read, 3)).unwrap_or(i16::MAX);
    let date = Date::new(year, small(4), small(5)).map_err(none)?;
    let nanos = format!("{:0<9}", text(read, 9).unwrap_or_default()).parse().unwrap_or_default();
    let time = Time::new(small(6), small(7), small(8), nanos).map_err(none)?;
    Ok(DateTime::from_parts(date, time))
}

fn zone(name: &str) -> Result<TimeZone, Wrong> {
    TimeZone::get(name).map_err(|_unknown| {
        Wrong::Time(format!("there is no time zone {name}; its name is like Asia/Jakarta"))
    })
}

fn offset(sign: &str, hours: u32, minutes: u32) -> Result<Offset, Wrong> {
    let seconds = i32::try_from(hours * 3_600 + minutes * 60).unwrap_or(i32::MAX);
    let seconds = if sign == "-" { -seconds } else { seconds };
    let known = Offset::from_seconds(seconds).ok().filter(|_| hours < 24 && minutes < 60);
    known.ok_or_else(|| Wrong::Time(format!("{sign}{hours:02}:{minutes:02} is no offset from UTC")))
}

fn text<'w>(read: &Captures<'w>, n: usize) -> Option<&'w str> {
    read.get(n).map(|found| found.as_str())
}

/// A group of digits; 0 when it is not there.
fn number(read: &Captures<'_>, n: usize) -> u32 {
    text(read, n).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis::from_secs(1_795_420_800);

    fn read(words: &str) -> String {
        match parse(words, NOW) {
            Ok(time) => time.to_string(),
            Err(Wrong::Form) => "form".to_owned(),
            Err(Wrong::Time(why)) => format!("time: {why}"),
        }
    }

    #[test]
    fn a_time_is_written_in_four_ways() {
        for (words, expected) in [
            ("+0s", "2026-11-23T08:00:00Z"),
            ("+90m", "2026-11-23T09:30:00Z"),
            ("+2h", "2026-11-23T10:00:00Z"),
            ("+7d", "2026-11-30T08:00:00Z"),
            ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00Z"),
            ("2026-12-01T08:00:00+07:00", "2026-12-01T01:00:00Z"),
            ("2026-12-01 08:00-03:30", "2026-12-01T11:30:00Z"),
            ("2026-12-01 08:00 Asia/Jakarta", "2026-12-01T01:00:00Z"),
            ("2026-12-01T08:00[Asia/Jakarta]", "2026-12-01T01:00:00Z"),
            ("2026-12-01T08:00+07:00[Asia/Jakarta]", "2026-12-01T01:00:00Z"),
            ("2026-12-01T08:00:30.5[Asia/Makassar]", "2026-12-01T00:00:30.500Z"),
            ("2026-12-01T08:00:00.0000001Z", "2026-12-01T08:00:00.001Z"),
            ("2026-12-01 08:00 America/Port-au-Prince", "2026-12-01T13:00:00Z"),
            ("2026-12-01 08:00 Etc/GMT+7", "2026-12-01T15:00:00Z"),
            ("1969-07-20 20:17 UTC", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(read(words), expected, "{words}");
        }
    }

    #[test]
    fn when_the_clocks_change_a_skipped_time_is_later_and_of_two_the_first_is_meant() {
        // At 02:00 on 29 March they go to 03:00, at 03:00 on 25 October to 02:00.
        assert_eq!(read("2026-03-29 02:30 Europe/Berlin"), "2026-03-29T01:30:00Z");
        assert_eq!(read("2026-10-25 02:30 Europe/Berlin"), "2026-10-25T00:30:00Z");
        assert_eq!(read("2026-10-25T02:30+01:00[Europe/Berlin]"), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn what_is_no_time_says_why() {
        for (words, why) in [
            ("2026-02-30T08:00:00Z", "time: "),
            ("2026-13-01T08:00:00Z", "time: "),
            ("2026-12-01T24:00:00Z", "time: "),
            ("2026-12-01T08:00:60Z", "time: "),
            ("2026-12-01T08:00:00+25:00", "time: +25:00 is no offset from UTC"),
            ("2026-12-01T08:00:00+07:60", "time: +07:60 is no offset from UTC"),
            (
                "2026-12-01 08:00 Asia/Jakarte",
                "time: there is no time zone Asia/Jakarte; its name is like Asia/Jakarta",
            ),
            (
                "2026-12-01T08:00+08:00[Asia/Jakarta]",
                "time: Asia/Jakarta is not +08 from UTC at that time",
            ),
            ("", "form"),
            ("tomorrow", "form"),
            ("+2", "form"),
            ("-2h", "form"),
            ("+1h30m", "form"),
            ("2026-12-01T08:00:00", "form"),
            ("2026-12-01", "form"),
            ("2026-12-01T08:00:00Z\n", "form"),
            ("2026-12-01 08:00 ../../etc/passwd", "form"),
            ("\u{0661}026-12-01T08:00:00Z", "form"),
        ] {
            assert!(read(words).starts_with(why), "{words}: {}", read(words));
        }
    }

    #[test]
    fn a_time_that_is_over_or_far_away_is_refused_with_the_time_that_it_is() {
        let hours = Duration::from_hours;
        for good in [NOW, NOW.before(GRACE), NOW.after(hours(8_000))] {
            assert_eq!(check(good, NOW), Ok(()));
        }
        for (bad, words) in [
            (
                NOW.before(hours(1)),
                "send_at: 2026-11-23T07:00:00Z is over, it is 2026-11-23T08:00:00Z now",
            ),
            (NOW.after(hours(9_000)), "is more than a year away, it is 2026-11-23T08:00:00Z now"),
        ] {
            let problem = check(bad, NOW).unwrap_err();
            assert_eq!(problem.code, Code::TimeRefused);
            let detail = problem.detail.unwrap();
            assert!(detail.contains(words), "{detail}");
        }
    }

    #[test]
    fn a_message_may_go_for_so_long_after_its_time_or_until_a_time() {
        let at = NOW.after(Duration::from_hours(1));
        let read = |words: &str| match until(words, at, NOW) {
            Ok(time) => time.to_string(),
            Err(Wrong::Form) => "form".to_owned(),
            Err(Wrong::Time(why)) => why,
        };
        for (words, expected) in [
            ("2h", "2026-11-23T11:00:00Z"),
            ("1d", "2026-11-24T09:00:00Z"),
            ("2026-11-23T17:30:00+07:00", "2026-11-23T10:30:00Z"),
            ("2026-11-23 17:30 Asia/Jakarta", "2026-11-23T10:30:00Z"),
            ("0s", "2026-11-23T09:00:00Z is not after send_at, 2026-11-23T09:00:00Z"),
            (
                "2026-11-23T08:30:00Z",
                "2026-11-23T08:30:00Z is not after send_at, 2026-11-23T09:00:00Z",
            ),
            (
                "400d",
                "2027-12-28T09:00:00Z is more than a year after send_at, 2026-11-23T09:00:00Z",
            ),
            ("+2h", "form"),
            ("2", "form"),
            ("", "form"),
        ] {
            assert_eq!(read(words), expected, "{words}");
        }
    }

    #[test]
    fn openapi_has_the_same_form() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json"));
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["components"]["schemas"]["SendAt"]["pattern"], FORM);
        let until = FORM.replacen(r"\+(", "(", 1);
        assert_eq!(document["components"]["schemas"]["Expires"]["pattern"], until);
    }

    proptest! {
        #[test]
        fn whatever_has_the_form_is_a_time_or_says_why(words in FORM.trim_start_matches('^').trim_end_matches('$')) {
            prop_assert_ne!(parse(&words, NOW), Err(Wrong::Form));
        }

        #[test]
        fn an_rfc_3339_time_is_the_time_that_it_says(
            millis in 0_u64..4_000_000_000_000,
            minutes in -14 * 60..14 * 60_i32,
        ) {
            let time = UnixMillis::from_millis(millis);
            prop_assert_eq!(parse(&time.to_string(), NOW), Ok(time));
            let offset = Offset::from_seconds(minutes * 60).unwrap();
            let there = offset.to_datetime(jiff::Timestamp::from_millisecond(millis.cast_signed()).unwrap());
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
            let words = format!("{there}{sign}{hours:02}:{rest:02}");
            prop_assert_eq!(parse(&words, NOW), Ok(time), "{}", words);
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(words: String) {
            let known = READER.as_ref().unwrap().is_match(&words);
            prop_assert_eq!(parse(&words, NOW) == Err(Wrong::Form), !known);
        }
    }
}
