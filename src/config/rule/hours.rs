//! Hours of the day, on some days of the week.

use std::fmt;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MIDNIGHT: u16 = 24 * 60;

/// `08:00-17:00`, `Mon-Fri 08:00-17:00` or `Sat,Sun 22:00-02:00`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hours {
    written: String,
    /// On which days they begin, Monday first.
    days: [bool; 7],
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight, of the next day when it is before `from`.
    to: u16,
}

impl Hours {
    pub fn parse(written: &str) -> Option<Self> {
        let text = written.trim();
        let (days, times) = text
            .rsplit_once(char::is_whitespace)
            .map_or((None, text), |(days, times)| (Some(days), times));
        let days = days.map_or(Some([true; 7]), self::days)?;
        let (from, to) = times.split_once('-')?;
        let (from, to) = (time(from).filter(|from| *from < MIDNIGHT)?, time(to)?);
        (from != to).then(|| Self { written: written.to_owned(), days, from, to })
    }

    /// Whether they are on at that minute of that day, of which Monday is 0.
    pub fn are_on(&self, day: usize, minute: u16) -> bool {
        let begins = |day: usize| self.days.get(day % 7).copied().unwrap_or_default();
        if self.from < self.to {
            return begins(day) && (self.from..self.to).contains(&minute);
        }
        (begins(day) && minute >= self.from) || (begins(day + 6) && minute < self.to)
    }

    /// As they were written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}

/// `Mon-Fri`, `Sat`, `Mon,Wed-Fri`; a span may go over Sunday.
fn days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|known| known.eq_ignore_ascii_case(name.trim()));
    let mut days = [false; 7];
    for span in text.split(',') {
        let (first, last) = span.split_once('-').unwrap_or((span, span));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        for day in first..=first + length {
            *days.get_mut(day % 7)? = true;
        }
    }
    Some(days)
}

/// `08:00`, and `24:00` for the end of a day.
fn time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let part = |text: &str| -> Option<u16> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let minute = part(minute).filter(|minute| *minute < 60)?;
    Some(part(hour)? * 60 + minute).filter(|time| *time <= MIDNIGHT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(text: &str) -> Hours {
        Hours::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    const MON: usize = 0;
    const FRI: usize = 4;
    const SAT: usize = 5;
    const SUN: usize = 6;

    #[test]
    fn hours_begin_at_their_minute_and_end_before_it() {
        let day = hours("08:00-17:00");
        for (minute, on) in [(479, false), (480, true), (1019, true), (1020, false)] {
            assert!((0..7).all(|day_| day.are_on(day_, minute) == on), "{minute}");
        }
        assert!(hours("00:00-24:00").are_on(SUN, 1439) && hours("22:00-24:00").are_on(MON, 1439));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = hours("Fri 22:00-02:00");
        assert!(night.are_on(FRI, 1320) && night.are_on(SAT, 119) && night.are_on(SAT, 0));
        assert!(!night.are_on(FRI, 119) && !night.are_on(SAT, 120) && !night.are_on(SAT, 1320));
        assert!(hours("Sun 22:00-02:00").are_on(MON, 0));
    }

    #[test]
    fn days_are_spans_and_lists() {
        let on =
            |text: &str| {
                (0..7)
                    .map(|day| {
                        if hours(&format!("{text} 08:00-17:00")).are_on(day, 600) {
                            'x'
                        } else {
                            '.'
                        }
                    })
                    .collect::<String>()
            };
        assert_eq!(on("Mon-Fri"), "xxxxx..");
        assert_eq!(on("sat,SUN"), ".....xx");
        assert_eq!(on("Mon, Wed-Thu"), "x.xx...");
        assert_eq!(on("Sat-Mon"), "x....xx");
    }

    #[test]
    fn what_is_no_hours_is_refused() {
        for bad in [
            "",
            "8-17",
            "08:00",
            "8:00-17:00",
            "08:60-17:00",
            "24:00-08:00",
            "08:00-24:01",
            "25:00-26:00",
            "08:00-08:00",
            "+1:00-02:00",
            "Foo 08:00-17:00",
            "Mon- 08:00-17:00",
            "Mon-Fri08:00-17:00",
            ", 08:00-17:00",
            "08:00-17:00 Mon",
        ] {
            assert_eq!(Hours::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            if let Some(hours) = Hours::parse(&text) {
                hours.are_on(3, 7);
            }
        }

        #[test]
        fn a_week_has_as_many_minutes_as_its_hours_say(from in 0u16..1440, to in 0u16..=1440) {
            prop_assume!(from != to);
            let text = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
            let hours = hours(&text);
            let on = (0..7).flat_map(|day| (0..1440).map(move |minute| (day, minute))).filter(|(day, minute)| hours.are_on(*day, *minute)).count();
            let length = if from < to { to - from } else { 1440 - from + to };
            prop_assert_eq!(on, 7 * usize::from(length));
        }
    }
}
