//! Limits how fast messages leave a device, as the file's `pace` says. A message that is too early waits; none is
//! dropped. Without a pace there is no limit.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::Pace;

#[derive(Debug, Default)]
pub(crate) struct Pacer {
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Pacer {
    pub(crate) fn new(pace: Option<Pace>) -> Self {
        let quota = pace.and_then(|pace| {
            let count = NonZeroU32::new(pace.count)?;
            // After a rest, the messages of a whole period may leave at once; then they leave evenly spaced.
            Quota::with_period(pace.per / count.get()).map(|quota| quota.allow_burst(count))
        });
        Self { limiter: quota.map(RateLimiter::direct) }
    }

    /// Takes permission for one message, or says how long to wait for it.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        match &self.limiter {
            None => Ok(()),
            Some(limiter) => {
                limiter.check().map_err(|no| no.wait_time_from(DefaultClock::default().now()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_its_count_through_then_waits() {
        let pacer = Pacer::new(Some(Pace { count: 3, per: Duration::from_secs(3600) }));
        assert_eq!((0..3).filter(|_| pacer.take().is_ok()).count(), 3);
        let wait = pacer.take().expect_err("the fourth must wait");
        assert!(wait > Duration::from_secs(1000) && wait <= Duration::from_secs(1200), "{wait:?}");
        assert!((0..1000).all(|_| Pacer::new(None).take().is_ok()));
    }
}
