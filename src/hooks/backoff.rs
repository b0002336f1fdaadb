//! When to try again: growing waits, some randomness, and what the receiver asked for. The caller gives the time and
//! the random number, so everything here can be tested without either.

use std::time::Duration;

use chrono::DateTime;

use crate::model::UnixMillis;

/// Seconds to wait after an endpoint's 1st, 2nd, … failure in a row. A POST every five minutes costs nothing, and the
/// receiver gets its events soon after it is back.
const ENDPOINT: [u64; 9] = [1, 2, 5, 10, 15, 30, 60, 120, 300];
/// How long to wait between the tries of an endpoint that has failed for `LONG`.
const RARELY: Duration = Duration::from_mins(15);
const LONG: Duration = Duration::from_hours(24);
/// Whoever fails for that long was tried as often at least. After fewer tries the clock has jumped.
const OFTEN: u32 = 80;
/// Seconds between the tries of an event that was refused. After the last one it is parked.
const MESSAGE: [u64; 2] = [5, 30];
/// The least rest for an overloaded receiver.
const OVERLOAD: Duration = Duration::from_mins(1);
/// The longest `Retry-After` that is honoured.
const ASKED: Duration = Duration::from_mins(15);

/// What the receiver's answer says about the next try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hint {
    /// Its `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// It did not answer in time, or said that it gets too many requests.
    pub(super) overload: bool,
}

impl Hint {
    fn at_least(self, wait: Duration) -> Duration {
        let asked = self.retry_after.unwrap_or_default().min(ASKED);
        let patience = if self.overload { OVERLOAD } else { Duration::ZERO };
        wait.max(asked).max(patience)
    }
}

/// The wait after an endpoint's `failures`-th failure in a row. `roll` is random in 0..1.
pub(super) fn endpoint(failures: u32, failing_for: Duration, hint: Hint, roll: f64) -> Duration {
    let step = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let [.., last] = ENDPOINT;
    let wait = match ENDPOINT.get(step) {
        _ if failing_for >= LONG && failures >= OFTEN => RARELY,
        Some(secs) => Duration::from_secs(*secs),
        None => Duration::from_secs(last),
    };
    hint.at_least(jittered(wait, roll))
}

/// The wait after the `tries`-th refusal of an event; `None`: park it.
pub(super) fn message(tries: u32, hint: Hint, roll: f64) -> Option<Duration> {
    let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let secs = MESSAGE.get(step)?;
    Some(hint.at_least(jittered(Duration::from_secs(*secs), roll)))
}

/// ±20 %, so that many endpoints on one receiver do not come back at the same moment.
fn jittered(wait: Duration, roll: f64) -> Duration {
    wait.mul_f64(0.8 + 0.4 * roll.clamp(0.0, 1.0))
}

/// Reads `Retry-After`: seconds or an HTTP date.
pub(super) fn retry_after(header: &str, now: UnixMillis) -> Option<Duration> {
    let header = header.trim();
    if let Ok(secs) = header.parse::<u64>() {
        return Some(Duration::from_secs(secs).min(ASKED));
    }
    let at = DateTime::parse_from_rfc2822(header).ok()?;
    let at = UnixMillis::from_millis(u64::try_from(at.timestamp_millis()).ok()?);
    Some(at.since(now).min(ASKED))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_HINT: Hint = Hint { retry_after: None, overload: false };

    fn exactly(failures: u32, failing_for: Duration) -> Duration {
        endpoint(failures, failing_for, NO_HINT, 0.5)
    }

    #[test]
    fn the_ladders_are_as_documented() {
        let waits: Vec<u64> = (1..=10).map(|n| exactly(n, Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [1, 2, 5, 10, 15, 30, 60, 120, 300, 300]);
        assert_eq!(exactly(80, Duration::from_hours(25)), Duration::from_mins(15));
        assert_eq!(
            exactly(3, Duration::from_hours(25)),
            exactly(3, Duration::ZERO),
            "a clock that jumped"
        );
        let message: Vec<_> =
            (1..=3).map(|n| message(n, NO_HINT, 0.5).map(|w| w.as_secs())).collect();
        assert_eq!(message, [Some(5), Some(30), None]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UnixMillis::parse("2026-11-23T08:00:00Z").unwrap();
        let secs = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(secs("120"), Some(120));
        assert_eq!(secs(" 7 "), Some(7));
        assert_eq!(secs("86400"), Some(900));
        assert_eq!(secs("Mon, 23 Nov 2026 08:01:30 GMT"), Some(90));
        assert_eq!(secs("Mon, 23 Nov 2026 07:00:00 GMT"), Some(0));
        assert_eq!(secs("soon"), None);
        assert_eq!(secs("-5"), None);
        assert_eq!(secs(""), None);
    }

    #[test]
    fn an_overloaded_receiver_gets_a_minute() {
        let hint = Hint { retry_after: None, overload: true };
        assert_eq!(endpoint(1, Duration::ZERO, hint, 0.0), Duration::from_mins(1));
        let asked = Hint { retry_after: Some(Duration::from_mins(2)), overload: true };
        assert_eq!(endpoint(1, Duration::ZERO, asked, 0.0), Duration::from_mins(2));
    }

    proptest! {
        #[test]
        fn waits_stay_within_bounds(
            failures in 0u32..100_000,
            hours in 0u64..200,
            asked in proptest::option::of(0u64..100_000),
            overload: bool,
            roll in 0.0f64..1.0,
        ) {
            let hint = Hint { retry_after: asked.map(Duration::from_secs), overload };
            let wait = endpoint(failures, Duration::from_hours(hours), hint, roll);
            prop_assert!(wait >= Duration::from_millis(800));
            prop_assert!(wait <= Duration::from_mins(18));
            // Never earlier than asked, as far as that is honoured.
            prop_assert!(wait >= Duration::from_secs(asked.unwrap_or(0).min(900)));
            if let Some(wait) = message(failures, hint, roll) {
                prop_assert!(wait >= Duration::from_secs(4) && wait <= Duration::from_mins(15));
            }
        }

        #[test]
        fn more_failures_never_mean_a_shorter_wait(failures in 0u32..1000, roll in 0.0f64..1.0) {
            let before = endpoint(failures, Duration::ZERO, NO_HINT, roll);
            let after = endpoint(failures + 1, Duration::ZERO, NO_HINT, roll);
            prop_assert!(before <= after);
        }

        #[test]
        fn any_retry_after_header_is_read_without_harm(text in "\\PC{0,40}") {
            let wait = retry_after(&text, UnixMillis::from_secs(1_795_420_800));
            prop_assert!(wait.is_none_or(|wait| wait <= Duration::from_mins(15)));
        }
    }
}
