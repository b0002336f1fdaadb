//! Waiting on a condition, with a deadline and the last value seen in the failure.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long a condition may take before a test fails. Generous: a loaded machine is not a bug.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until `good` holds, and returns that value.
///
/// # Panics
/// When it does not hold within `PATIENCE`; the message names `what` and the last value.
pub async fn eventually<T, F, Fut>(what: &str, look: F, good: impl Fn(&T) -> bool) -> T
where
    T: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = T>,
{
    eventually_within(PATIENCE, what, look, good).await
}

/// The same with another deadline, for what takes its time by nature.
///
/// # Panics
/// When it does not hold within `patience`.
pub async fn eventually_within<T, F, Fut>(
    patience: Duration,
    what: &str,
    mut look: F,
    good: impl Fn(&T) -> bool,
) -> T
where
    T: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = T>,
{
    let deadline = Instant::now() + patience;
    let mut tick = interval(Duration::from_millis(15));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let seen = look().await;
        if good(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}; last seen: {seen:#?}");
    }
}
