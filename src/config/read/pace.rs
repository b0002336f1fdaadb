//! Reads `pace`: a text such as `"20/min"`, or a table.

use std::time::Duration;

use super::raw::Node;
use super::value::{self, Reading};
use crate::config::pace::{Gap, Pace, Quiet};

/// More is no limit, and so long a gap is none either.
const MOST: usize = 100_000;
const LONGEST_GAP: Duration = Duration::from_hours(24);

pub(crate) fn pace(node: &Node<'_>) -> Option<Pace> {
    let Some(mut table) = node.as_table() else {
        return Some(Pace::spread(node.parse(value::rate)?));
    };
    let number = |node: &Node<'_>| Some(u32::try_from(node.number(1..=MOST)?).ok());
    let pace = Pace {
        gap: table.or("gap", Gap::NONE, |node| node.parse(gap)),
        per_day: table.or("per_day", None, number),
        new_chats_per_day: table.or("new_chats_per_day", None, number),
        quiet: table.or("quiet", None, |node| node.parse(quiet).map(Some)),
        typing: table.or("typing", false, Node::flag),
    };
    if table.entries().is_empty() {
        let hint = "write at least one of gap, per_day, new_chats_per_day, quiet and typing";
        node.problem("this pace says nothing", hint);
    }
    if let (Some(all), Some(new)) = (pace.per_day, pace.new_chats_per_day)
        && new > all
        && let Some(node) = table.get("new_chats_per_day")
    {
        node.problem(format!("{new} is more than per_day"), format!("write at most {all}"));
    }
    table.finish();
    Some(pace)
}

/// `"8s..15s"`, or `"10s"` for always the same.
fn gap(text: &str) -> Reading<Gap> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let read = |text: &str| value::duration(text.trim(), Duration::ZERO, LONGEST_GAP);
    match (read(least), read(most)) {
        (Ok(least), Ok(most)) if least <= most => Ok(Gap::Between { least, most }),
        (Ok(_), Ok(_)) => Err((
            format!("\"{text}\" ends before it begins"),
            format!("write the shorter one first: \"{}..{}\"", most.trim(), least.trim()),
        )),
        _ => Err((
            format!("\"{}\" is not a gap", text.escape_debug()),
            "write the shortest and the longest time between two messages, a day at most, such as \"8s..15s\""
                .to_owned(),
        )),
    }
}

/// `"21:00-07:00"`.
fn quiet(text: &str) -> Reading<Quiet> {
    let time = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let part = |text: &str, end: u16| -> Option<u16> {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| digits && *number < end)
        };
        Some(part(hour, 24)? * 60 + part(minute, 60)?)
    };
    let read = text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
    match read {
        Some((from, to)) if from != to => Ok(Quiet { from, to }),
        Some(_) => Err((
            format!("\"{text}\" leaves no time in which a message could go"),
            "write hours that end, such as \"21:00-07:00\"".to_owned(),
        )),
        None => Err((
            format!("\"{}\" are not hours of the day", text.escape_debug()),
            "write from when until when, such as \"21:00-07:00\"".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps() {
        let secs = Duration::from_secs;
        let read = |text| gap(text).ok();
        let between = |least, most| Some(Gap::Between { least: secs(least), most: secs(most) });
        assert_eq!(read("8s..15s"), between(8, 15));
        assert_eq!(read("1m .. 2 min"), between(60, 120));
        assert_eq!(read("10s"), between(10, 10));
        for bad in ["", "8", "8s..", "..8s", "8s...15s", "8s-15s", "15s..8s", "1s..2d"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(gap("15s..8s").unwrap_err().1.contains("\"8s..15s\""));
    }

    #[test]
    fn quiet_hours() {
        let read = |text| quiet(text).ok();
        assert_eq!(read("21:00-07:00"), Some(Quiet { from: 1260, to: 420 }));
        assert_eq!(read("00:00 - 23:59"), Some(Quiet { from: 0, to: 1439 }));
        for bad in [
            "",
            "21-7",
            "21:00",
            "24:00-07:00",
            "21:60-07:00",
            "9:00-17:00",
            "+1:00-07:00",
            "07:00-07:00",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
