//! Counts wrong keys and tokens, per client and overall, so that guessing is slow. Device keys are too random to be
//! guessed, so they are compared before this is asked, and a right one is never held up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);
const PER_CLIENT: u32 = 10;
const OVERALL: u32 = 60;

/// Who failed how often within the current minute.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Window>);

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    overall: u32,
    clients: BTreeMap<IpAddr, u32>,
}

impl Throttle {
    /// How long this client has to wait, when it has failed too often.
    pub(crate) fn wait(&self, client: IpAddr) -> Option<Duration> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = window.left();
        let failed = window.clients.get(&block(client)).copied().unwrap_or_default();
        (failed >= PER_CLIENT || window.overall >= OVERALL).then_some(left)
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, client: IpAddr) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.left();
        window.overall = window.overall.saturating_add(1);
        // Past the overall limit everybody has to wait, so no more clients need to be remembered.
        if window.overall <= OVERALL {
            let failed = window.clients.entry(block(client)).or_default();
            *failed += 1;
            if *failed == PER_CLIENT {
                tracing::warn!(%client, failed, "Too many wrong keys; refusing more for this minute.");
            }
        }
        if window.overall == OVERALL {
            tracing::warn!("Too many wrong keys overall; refusing more for this minute.");
        }
    }
}

impl Window {
    /// What is left of the minute; begins a new one when it is over.
    fn left(&mut self) -> Duration {
        let now = Instant::now();
        let began = self.began.filter(|began| now.duration_since(*began) < WINDOW);
        if began.is_none() {
            *self = Self { began: Some(now), ..Self::default() };
        }
        WINDOW.saturating_sub(began.map_or(Duration::ZERO, |began| now.duration_since(began)))
    }
}

/// An IPv6 client owns its /64 and can change the rest at will.
pub(crate) fn block(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_failures_cost_the_rest_of_the_minute() {
        let throttle = Throttle::default();
        for _ in 0..PER_CLIENT {
            assert_eq!(throttle.wait(ip("192.0.2.1")), None);
            throttle.failed(ip("192.0.2.1"));
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(throttle.wait(ip("192.0.2.1")), Some(Duration::from_secs(40)));
        assert_eq!(throttle.wait(ip("192.0.2.2")), None, "others are not touched");
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(throttle.wait(ip("192.0.2.1")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_clients_share_one_overall_limit_and_a_slash_64_is_one_client() {
        let throttle = Throttle::default();
        for n in 0..10 {
            throttle.failed(ip(&format!("2001:db8::{n}")));
        }
        assert!(throttle.wait(ip("2001:db8::ffff")).is_some());
        assert!(throttle.wait(ip("2001:db8:1::1")).is_none());
        for n in 0..50 {
            throttle.failed(ip(&format!("192.0.2.{n}")));
        }
        assert!(throttle.wait(ip("198.51.100.1")).is_some());
    }
}
