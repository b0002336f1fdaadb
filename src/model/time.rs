//! Points in time, as they are stored and sent. A length of time is a `std::time::Duration`, never a bare number.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since 1970-01-01T00:00:00Z. Shown and serialised as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// Now, by the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the clock")]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    pub const fn millis(self) -> u64 {
        self.0
    }

    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// The time that is `by` later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time that is `by` earlier.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How much of the day is over, by the local time of the machine.
    pub fn time_of_day(self) -> Duration {
        let seconds = self.local().map_or(0, |time| time.num_seconds_from_midnight());
        Duration::from_secs(u64::from(seconds))
    }

    fn local(self) -> Option<DateTime<Local>> {
        let millis = i64::try_from(self.0).ok()?;
        DateTime::<Utc>::from_timestamp_millis(millis).map(|time| time.with_timezone(&Local))
    }

    /// As people say it at the time `now`, by the local time of the machine: "14:30", "Tuesday" or "3 March".
    pub fn said_at(self, now: Self) -> String {
        let format = match self.since(now).as_secs() / 3600 {
            0..18 => "%H:%M",
            18..144 => "%A",
            _ => "%-d %B",
        };
        self.local().map(|time| time.format(format).to_string()).unwrap_or_default()
    }

    /// Reads an RFC 3339 time.
    pub fn parse(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        u64::try_from(time.timestamp_millis()).ok().map(Self)
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        let time =
            DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let format =
            if self.0.is_multiple_of(1000) { SecondsFormat::Secs } else { SecondsFormat::Millis };
        f.write_str(&time.to_rfc3339_opts(format, true))
    }
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UnixMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_text() {
        for millis in [0, 1, 999, 1_000, 1_763_884_800_123, 4_102_444_800_000] {
            let time = UnixMillis::from_millis(millis);
            assert_eq!(UnixMillis::parse(&time.to_string()), Some(time));
        }
        assert_eq!(UnixMillis::from_secs(1_795_420_800).to_string(), "2026-11-23T08:00:00Z");
        assert_eq!(UnixMillis::parse("yesterday"), None);
    }
}
