//! Counts wrong keys and tokens, per client and overall, so that guessing is slow. Device keys are too random to be
//! guessed, so they are compared before this is asked, and a right one is never held up. Nor is a token as moonwa makes
//! them, or a login link: nobody guesses 256 bits, so a wrong one only waits for its answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::http::problem::{Code, Problem};

const WINDOW: Duration = Duration::from_mins(1);
const PER_CLIENT: u32 = 10;
const OVERALL: u32 = 60;
/// How long the answer to a wrong key waits, once a client has sent many.
const DELAY: Duration = Duration::from_secs(1);
/// How long a client that logged in is not locked out.
const LATELY: Duration = Duration::from_hours(24);
/// So many such clients are remembered.
const REMEMBERED: usize = 64;

/// What was tried. A program with an old key must not keep the admin from logging in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// A request with a key.
    Key,
    /// To log in to the admin page.
    Login,
    /// Either, with what only moonwa makes: no guess, and never locked out.
    Made,
}

/// Who failed how often within the current minute, and who logged in lately.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    keys: Window,
    logins: Window,
    made: Window,
    known: BTreeMap<IpAddr, Instant>,
}

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    overall: u32,
    clients: BTreeMap<IpAddr, u32>,
}

impl Counts {
    fn window(&mut self, attempt: Attempt) -> &mut Window {
        match attempt {
            Attempt::Key => &mut self.keys,
            Attempt::Login => &mut self.logins,
            Attempt::Made => &mut self.made,
        }
    }

    fn knows(&self, client: IpAddr) -> bool {
        self.known.get(&block(client)).is_some_and(|when| when.elapsed() < LATELY)
    }
}

impl Throttle {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a client that has failed too often, and says how long it has to wait.
    pub(crate) fn check(&self, attempt: Attempt, client: IpAddr) -> Result<(), Problem> {
        let mut counts = self.counts();
        if attempt == Attempt::Made || counts.knows(client) {
            return Ok(());
        }
        let window = counts.window(attempt);
        let left = window.left();
        if window.failures(client) >= PER_CLIENT || window.overall >= OVERALL {
            return Err(Problem::from(Code::TooManyAttempts).retry_after(left));
        }
        Ok(())
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, attempt: Attempt, client: IpAddr) {
        let mut counts = self.counts();
        let window = counts.window(attempt);
        window.left();
        window.overall = window.overall.saturating_add(1);
        // Past the overall limit everybody has to wait, so no more clients need to be remembered.
        if window.overall <= OVERALL || window.clients.contains_key(&block(client)) {
            let failed = window.clients.entry(block(client)).or_default();
            *failed = failed.saturating_add(1);
            if *failed == PER_CLIENT {
                tracing::warn!(%client, ?attempt, failed, "Too many wrong keys from one client in a minute.");
            }
        }
        if window.overall == OVERALL {
            tracing::warn!(?attempt, "Too many wrong keys in a minute.");
        }
    }

    /// How long a client's next wrong key waits for its answer.
    pub(crate) fn delay(&self, client: IpAddr) -> Option<Duration> {
        let mut counts = self.counts();
        let many = [Attempt::Key, Attempt::Login, Attempt::Made].into_iter().any(|attempt| {
            let window = counts.window(attempt);
            window.left();
            window.failures(client) > PER_CLIENT || window.overall > OVERALL
        });
        many.then_some(DELAY)
    }

    /// The admin has come from here, and will not be locked out from here.
    pub(crate) fn welcome(&self, client: IpAddr) {
        let mut counts = self.counts();
        counts.known.insert(block(client), Instant::now());
        if counts.known.len() > REMEMBERED {
            let oldest = counts.known.iter().min_by_key(|(_, when)| **when).map(|(ip, _)| *ip);
            counts.known.retain(|ip, _| Some(*ip) != oldest);
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

    fn failures(&self, client: IpAddr) -> u32 {
        self.clients.get(&block(client)).copied().unwrap_or_default()
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

    fn wait(throttle: &Throttle, attempt: Attempt, client: &str) -> Option<Duration> {
        throttle.check(attempt, ip(client)).err().and_then(|problem| problem.retry_after)
    }

    #[tokio::test(start_paused = true)]
    async fn ten_failures_cost_the_rest_of_the_minute() {
        let throttle = Throttle::default();
        for _ in 0..PER_CLIENT {
            assert_eq!(wait(&throttle, Attempt::Key, "192.0.2.1"), None);
            throttle.failed(Attempt::Key, ip("192.0.2.1"));
        }
        assert_eq!(throttle.delay(ip("192.0.2.1")), None, "mistakes are answered at once");
        throttle.failed(Attempt::Key, ip("192.0.2.1"));
        assert_eq!(throttle.delay(ip("192.0.2.1")), Some(DELAY));
        tokio::time::advance(Duration::from_secs(20)).await;
        let left = Some(Duration::from_secs(40));
        assert_eq!(wait(&throttle, Attempt::Key, "192.0.2.1"), left);
        assert_eq!(wait(&throttle, Attempt::Login, "192.0.2.1"), None, "counted apart");
        for _ in 0..2 * OVERALL {
            throttle.failed(Attempt::Made, ip("192.0.2.2"));
        }
        assert_eq!(wait(&throttle, Attempt::Made, "192.0.2.2"), None);
        assert_eq!(wait(&throttle, Attempt::Key, "192.0.2.2"), None, "others are not touched");
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(wait(&throttle, Attempt::Key, "192.0.2.1"), None);
        assert_eq!(throttle.delay(ip("192.0.2.1")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_clients_share_one_overall_limit_and_a_slash_64_is_one_client() {
        let throttle = Throttle::default();
        for n in 0..10 {
            throttle.failed(Attempt::Login, ip(&format!("2001:db8::{n}")));
        }
        assert!(wait(&throttle, Attempt::Login, "2001:db8::ffff").is_some());
        assert!(wait(&throttle, Attempt::Login, "2001:db8:1::1").is_none());
        for n in 0..50 {
            throttle.failed(Attempt::Login, ip(&format!("192.0.2.{n}")));
        }
        assert!(wait(&throttle, Attempt::Login, "198.51.100.1").is_some());
        assert!(wait(&throttle, Attempt::Key, "198.51.100.1").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_logged_in_lately_is_not_locked_out() {
        let throttle = Throttle::default();
        throttle.welcome(ip("192.0.2.1"));
        for _ in 0..2 * OVERALL {
            throttle.failed(Attempt::Login, ip("192.0.2.1"));
        }
        assert_eq!(wait(&throttle, Attempt::Login, "192.0.2.1"), None);
        assert_eq!(throttle.delay(ip("192.0.2.1")), Some(DELAY), "but guessing is slow");
        assert!(wait(&throttle, Attempt::Login, "192.0.2.2").is_some());
        for n in 0..REMEMBERED {
            tokio::time::advance(Duration::from_millis(1)).await;
            throttle.welcome(ip(&format!("198.51.100.{n}")));
        }
        assert_eq!(throttle.counts().known.len(), REMEMBERED);
        assert!(wait(&throttle, Attempt::Login, "192.0.2.1").is_some(), "others came since");
    }
}
