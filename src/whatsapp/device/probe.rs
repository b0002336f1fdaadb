//! Whether a connection is alive. An open socket proves nothing; only what WhatsApp sent does, and the older that is,
//! the less it proves. Pure: the actor asks every few seconds and acts on the answer.

use std::time::Duration;

use tokio::time::Instant;

/// The engine pings WhatsApp every 15 to 30 seconds when idle, so silence this long is not by chance.
const SILENT: Duration = Duration::from_secs(45);
/// After this much silence the socket is given up.
const DEAD: Duration = Duration::from_secs(75);
/// How long a client may take from its start to a login.
const STUCK: Duration = Duration::from_secs(90);
/// How long a client may stay logged off on an open socket (503, 429) before it is replaced.
const LIMBO: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Not logged in yet, within its time.
    Starting,
    /// Logged in and heard from.
    Online,
    /// Logged in, but WhatsApp has not said anything lately.
    Silent,
    /// The client is to be replaced.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Probe {
    since: Instant,
    /// When this login was first seen.
    login: Option<Instant>,
    /// Whether WhatsApp answered a request since then.
    answered: bool,
    /// Whether a request is on its way.
    asked: bool,
    /// When it was last seen logged in, once it counted as online.
    online: Option<Instant>,
    /// How many frames had come when one last came, and when that was. The engine's own time of it is the wall clock's,
    /// which jumps.
    heard: Option<(u64, Instant)>,
}

impl Probe {
    /// A client that starts now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, login: None, answered: false, asked: false, online: None, heard: None }
    }

    /// Whether WhatsApp is to be asked something now. A login alone proves little, and what the engine does after it may
    /// wait for the phone.
    pub(crate) fn must_ask(&mut self) -> bool {
        let ask = self.login.is_some() && !self.answered && !self.asked;
        self.asked |= ask;
        ask
    }

    /// What became of the request.
    pub(crate) fn answered(&mut self, yes: bool) {
        self.asked = false;
        self.answered = yes && self.login.is_some();
    }

    /// The clock starts again: a scan was confirmed, a login follows.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.since = now;
    }

    /// Judges the client, which has received so many frames. `unbounded` while it waits for a person to scan.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        logged_in: bool,
        frames: u64,
        unbounded: bool,
    ) -> Health {
        if self.heard.map_or(frames > 0, |(before, _)| before != frames) {
            self.heard = Some((frames, now));
        }
        if !logged_in {
            self.login = None;
            self.answered = false;
            let (start, patience) = self.online.map_or((self.since, STUCK), |last| (last, LIMBO));
            let late = !unbounded && now - start > patience;
            return if late { Health::Dead } else { Health::Starting };
        }
        let login = *self.login.get_or_insert(now);
        if !self.answered {
            return if now - login > STUCK { Health::Dead } else { Health::Starting };
        }
        self.online = Some(now);
        match self.heard.map(|(_, at)| now - at) {
            Some(age) if age > DEAD => Health::Dead,
            Some(age) if age > SILENT => Health::Silent,
            _ => Health::Online,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that has just been started, and a clock.
    fn start() -> (Probe, impl Fn(u64) -> Instant) {
        let zero = Instant::now();
        (Probe::new(zero), move |secs| zero + Duration::from_secs(secs))
    }

    /// The same, logged in and answered.
    fn answered() -> (Probe, impl Fn(u64) -> Instant) {
        let (mut probe, at) = start();
        assert_eq!(probe.judge(at(1), true, 1, false), Health::Starting);
        assert!(probe.must_ask());
        probe.answered(true);
        (probe, at)
    }

    #[test]
    fn a_login_counts_once_whatsapp_has_answered() {
        let (mut probe, at) = start();
        assert!(!probe.must_ask(), "nobody is logged in");
        assert_eq!(probe.judge(at(1), true, 1, false), Health::Starting);
        assert!(probe.must_ask() && !probe.must_ask(), "one request at a time");
        probe.answered(false);
        assert_eq!(probe.judge(at(11), true, 1, false), Health::Starting);
        assert!(probe.must_ask());
        probe.answered(true);
        assert_eq!(probe.judge(at(12), true, 2, false), Health::Online);
        assert!(!probe.must_ask());
        assert_eq!(probe.judge(at(13), false, 2, false), Health::Starting);
        assert_eq!(probe.judge(at(14), true, 3, false), Health::Starting, "another login");
        assert!(probe.must_ask());
    }

    #[test]
    fn a_login_that_is_never_answered_is_given_up() {
        let (mut probe, at) = start();
        assert_eq!(probe.judge(at(1), true, 1, false), Health::Starting);
        assert_eq!(probe.judge(at(91), true, 9, false), Health::Starting);
        assert_eq!(probe.judge(at(92), true, 9, false), Health::Dead);
    }

    #[test]
    fn silence_degrades_then_kills() {
        let (mut probe, at) = answered();
        assert_eq!(probe.judge(at(46), true, 1, false), Health::Online);
        assert_eq!(probe.judge(at(47), true, 1, false), Health::Silent);
        assert_eq!(probe.judge(at(60), true, 2, false), Health::Online);
        assert_eq!(probe.judge(at(135), true, 2, false), Health::Silent);
        assert_eq!(probe.judge(at(136), true, 2, false), Health::Dead);
    }

    #[test]
    fn a_login_must_come_in_time_unless_a_person_is_waited_for() {
        let (mut probe, at) = start();
        assert_eq!(probe.judge(at(90), false, 0, false), Health::Starting);
        assert_eq!(probe.judge(at(91), false, 0, true), Health::Starting);
        assert_eq!(probe.judge(at(91), false, 0, false), Health::Dead);
        probe.restart(at(91));
        assert_eq!(probe.judge(at(92), false, 0, false), Health::Starting);
    }

    #[test]
    fn a_client_thrown_out_on_an_open_socket_is_replaced_soon() {
        let (mut probe, at) = answered();
        assert_eq!(probe.judge(at(200), true, 2, false), Health::Online);
        assert_eq!(probe.judge(at(205), false, 2, false), Health::Starting);
        assert_eq!(probe.judge(at(211), false, 2, false), Health::Dead);
    }
}
