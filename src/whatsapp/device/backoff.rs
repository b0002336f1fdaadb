//! When the next connection is tried. The delay never grows beyond a minute, so that a device is back soon after
//! WhatsApp is, and has jitter, so that a fleet does not reconnect all at once.

use std::time::Duration;

/// Delays in seconds; the last one repeats.
const LADDER: [u16; 7] = [1, 2, 5, 10, 20, 40, 60];

/// Counts the failures since the last success.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes a failure and says how long to wait.
    pub(crate) fn fail(&mut self) -> Duration {
        let step = usize::try_from(self.failures).unwrap_or(usize::MAX).min(LADDER.len() - 1);
        self.failures = self.failures.saturating_add(1);
        delay(LADDER.get(step).copied().unwrap_or(60), rand::random())
    }

    /// A connection proved stable, or a person asked for one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
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
        let delays: Vec<u64> = (0..12).map(|_| backoff.fail().as_secs()).collect();
        assert!(delays.first().is_some_and(|&first| first <= 1));
        assert!(delays.last().is_some_and(|&last| (48..=60).contains(&last)), "{delays:?}");
        assert_eq!(backoff.failures(), 12);
        backoff.reset();
        assert!(backoff.fail() <= Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn jitter_only_shortens(base in 1u16..=60, dice: u16) {
            let full = Duration::from_secs(u64::from(base));
            prop_assert!(delay(base, dice) <= full);
            prop_assert!(delay(base, dice) >= full * 4 / 5);
        }
    }
}
