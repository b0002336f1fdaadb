//! When the next connection is tried. The delay never grows beyond a minute, so that a device is back soon after
//! WhatsApp is, and has jitter, so that a fleet does not reconnect all at once. Where WhatsApp refuses the device itself it
//! grows to a quarter of an hour, and is not forgotten as soon as a connection holds.

use std::time::Duration;

/// How long a connection must hold before its failures are forgotten.
const STABLE: Duration = Duration::from_secs(30);
/// The same for refusals.
const FORGIVEN: Duration = Duration::from_hours(1);
/// Delays in seconds; the last one repeats.
const LADDER: [u16; 7] = [1, 2, 5, 10, 20, 40, 60];

/// The same after WhatsApp refused.
const REFUSED: [u16; 7] = [10, 30, 60, 120, 300, 600, 900];

/// Counts the failures since the last success.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    refusals: u32,
    /// Whether WhatsApp refused the version that we claimed last.
    outdated: bool,
}

/// Whether a code says that WhatsApp does not want this device now, in contrast to a failure of its own.
fn refuses(code: u16) -> bool {
    matches!(code, 400 | 409 | 413..=418 | 429 | 501)
}

impl Backoff {
    pub(crate) fn failures(&self) -> u32 {
        self.failures.saturating_add(self.refusals)
    }

    /// Notes a failure, with WhatsApp's code if it gave one, and says how long to wait.
    pub(crate) fn fail(&mut self, code: Option<u16>) -> Duration {
        let (ladder, count) = match code {
            Some(code) if refuses(code) => (&REFUSED, &mut self.refusals),
            _ => (&LADDER, &mut self.failures),
        };
        let step = usize::try_from(*count).unwrap_or(usize::MAX).min(ladder.len() - 1);
        *count = count.saturating_add(1);
        delay(ladder.get(step).copied().unwrap_or(60), rand::random())
    }

    /// WhatsApp refused our version; says whether it did before, with another one.
    pub(crate) fn outdated(&mut self) -> bool {
        std::mem::replace(&mut self.outdated, true)
    }

    /// A connection held that long.
    pub(crate) fn held(&mut self, long: Duration) {
        if long >= STABLE {
            self.failures = 0;
            self.outdated = false;
        }
        if long >= FORGIVEN {
            self.refusals = 0;
        }
    }

    /// A person asked for a connection.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// `base` seconds, up to a fifth less: jitter must not break the promised cap.
fn delay(base: u16, dice: u16) -> Duration {
    let millis = u64::from(base) * 1000;
    let fifth = millis / 5;
    Duration::from_millis(millis - fifth * u64::from(dice) / u64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ladder_climbs_to_a_minute_and_stays() {
        let mut backoff = Backoff::default();
        let delays: Vec<u64> = (0..12).map(|_| backoff.fail(None).as_secs()).collect();
        assert!(delays.first().is_some_and(|&first| first <= 1));
        assert!(delays.last().is_some_and(|&last| (48..=60).contains(&last)), "{delays:?}");
        assert_eq!(backoff.failures(), 12);
        backoff.reset();
        assert!(backoff.fail(None) <= Duration::from_secs(1));
    }

    #[test]
    fn a_refusal_climbs_to_a_quarter_of_an_hour_and_is_not_forgiven_soon() {
        let mut backoff = Backoff::default();
        let mut last = Duration::ZERO;
        for code in [429, 400, 409, 413, 418, 501, 429, 429] {
            // A connection that holds for a while in between.
            backoff.held(STABLE);
            let delay = backoff.fail(Some(code));
            assert!(delay >= last * 4 / 5, "{code}: {delay:?} after {last:?}");
            last = delay;
        }
        assert!((720..=900).contains(&last.as_secs()), "{last:?}");
        assert!(backoff.fail(Some(503)).as_secs() <= 1, "a failure of WhatsApp's own");
        backoff.held(FORGIVEN);
        assert!(backoff.fail(Some(429)).as_secs() <= 10);
        assert!(!backoff.outdated() && backoff.outdated());
        backoff.held(STABLE);
        assert!(!backoff.outdated());
    }

    proptest! {
        #[test]
        fn jitter_only_shortens(base in 1u16..=900, dice: u16) {
            let full = Duration::from_secs(u64::from(base));
            prop_assert!(delay(base, dice) <= full);
            prop_assert!(delay(base, dice) >= full * 4 / 5);
        }
    }
}
