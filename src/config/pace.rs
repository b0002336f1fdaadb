//! How fast messages may go out, as `pace` says.

use std::time::Duration;

/// How messages are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub gap: Gap,
    /// The most messages in 24 hours.
    pub per_day: Option<u32>,
    /// The most people in 24 hours who are written to for the first time.
    pub new_chats_per_day: Option<u32>,
    pub quiet: Option<Quiet>,
    /// Whether "typing…" is shown before a text goes.
    pub typing: bool,
}

/// How long a message waits after the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Long enough that at most `count` go in each `per`.
    Even { count: u32, per: Duration },
    /// A time between these, drawn anew for each message.
    Between { least: Duration, most: Duration },
}

/// The hours in which nothing goes out, by the machine's local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Minutes after midnight.
    pub from: u16,
    /// Minutes after midnight, of the next day when it is before `from`.
    pub to: u16,
}

/// Of an even spread, a message is late by at most a part of so many: a person is no metronome.
const LATE: u32 = 5;

impl Pace {
    /// Nothing but a gap.
    pub fn spread(gap: Gap) -> Self {
        Self { gap, per_day: None, new_chats_per_day: None, quiet: None, typing: false }
    }
}

impl Gap {
    pub const NONE: Self = Self::Between { least: Duration::ZERO, most: Duration::ZERO };

    /// The shortest and the longest.
    pub fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Even { count, per } => {
                let least = per / count.max(1);
                (least, least + least / LATE)
            }
            Self::Between { least, most } => (least, most),
        }
    }
}

impl Quiet {
    /// How long these hours last from that time of the day on; `None` outside of them.
    pub fn left(self, time_of_day: Duration) -> Option<Duration> {
        let at = |minutes: u16| Duration::from_mins(u64::from(minutes));
        let (from, to) = (at(self.from), at(self.to));
        let gone = since(from, time_of_day);
        since(from, to).checked_sub(gone).filter(|left| !left.is_zero())
    }
}

/// From one time of the day to the next time that it is another.
fn since(from: Duration, to: Duration) -> Duration {
    let same_day = to.checked_sub(from);
    same_day.unwrap_or_else(|| (Duration::from_hours(24) + to).saturating_sub(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        let time = |hour: u64, minute: u64| Duration::from_mins(hour * 60 + minute);
        let night = Quiet { from: 21 * 60, to: 7 * 60 };
        for (at, left) in [
            (time(20, 59), None),
            (time(21, 0), Some(time(10, 0))),
            (time(0, 0), Some(time(7, 0))),
            (time(6, 59), Some(time(0, 1))),
            (time(7, 0), None),
        ] {
            assert_eq!(night.left(at), left, "{at:?}");
        }
        let noon = Quiet { from: 12 * 60, to: 13 * 60 };
        assert_eq!((noon.left(time(11, 59)), noon.left(time(12, 15))), (None, Some(time(0, 45))));
    }

    #[test]
    fn an_even_spread_never_goes_faster_than_it_says() {
        let minute = Duration::from_mins(1);
        let (least, most) = Gap::Even { count: 20, per: minute }.bounds();
        assert_eq!((least, most), (Duration::from_secs(3), Duration::from_millis(3600)));
    }
}
