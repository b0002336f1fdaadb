//! Whether a connection is alive. An open socket proves nothing; only what WhatsApp sent does, and the older that is,
//! the less it proves. Pure: the actor asks once a second and acts on the answer.

use std::time::Duration;

use crate::model::UnixMillis;

/// The engine announces a login once its first sync is done. When the sync fails it never does, although the connection
/// works, so after this long a login counts without it.
const ANNOUNCEMENT: Duration = Duration::from_secs(15);
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
    since: UnixMillis,
    announced: bool,
    first: Option<UnixMillis>,
    /// When it was last seen logged in, once it counted as online.
    online: Option<UnixMillis>,
}

impl Probe {
    /// A client that starts now.
    pub(crate) fn new(now: UnixMillis) -> Self {
        Self { since: now, announced: false, first: None, online: None }
    }

    /// The engine announced the login.
    pub(crate) fn announce(&mut self) {
        self.announced = true;
    }

    /// The clock starts again: a scan was confirmed, a login follows.
    pub(crate) fn restart(&mut self, now: UnixMillis) {
        self.since = now;
    }

    /// Judges the client. `unbounded` while it waits for a person to scan.
    pub(crate) fn judge(
        &mut self,
        now: UnixMillis,
        logged_in: bool,
        heard: Option<UnixMillis>,
        unbounded: bool,
    ) -> Health {
        if !logged_in {
            self.first = None;
            let (start, patience) = self.online.map_or((self.since, STUCK), |last| (last, LIMBO));
            let late = !unbounded && now.since(start) > patience;
            return if late { Health::Dead } else { Health::Starting };
        }
        let first = *self.first.get_or_insert(now);
        if self.online.is_none() && !self.announced && now.since(first) < ANNOUNCEMENT {
            return Health::Starting;
        }
        self.online = Some(now);
        match heard.map(|at| now.since(at)) {
            Some(age) if age > DEAD => Health::Dead,
            Some(age) if age > SILENT => Health::Silent,
            _ => Health::Online,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixMillis {
        UnixMillis::from_secs(1000 + secs)
    }

    #[test]
    fn an_announced_login_counts_at_once_an_unannounced_one_later() {
        let mut probe = Probe::new(at(0));
        assert_eq!(probe.judge(at(1), true, Some(at(1)), false), Health::Starting);
        probe.announce();
        assert_eq!(probe.judge(at(2), true, Some(at(1)), false), Health::Online);

        let mut quiet = Probe::new(at(0));
        assert_eq!(quiet.judge(at(1), true, Some(at(1)), false), Health::Starting);
        assert_eq!(quiet.judge(at(15), true, Some(at(14)), false), Health::Starting);
        assert_eq!(quiet.judge(at(16), true, Some(at(14)), false), Health::Online);
    }

    #[test]
    fn silence_degrades_then_kills() {
        let mut probe = Probe::new(at(0));
        probe.announce();
        assert_eq!(probe.judge(at(1), true, Some(at(1)), false), Health::Online);
        assert_eq!(probe.judge(at(46), true, Some(at(1)), false), Health::Online);
        assert_eq!(probe.judge(at(47), true, Some(at(1)), false), Health::Silent);
        assert_eq!(probe.judge(at(60), true, Some(at(59)), false), Health::Online);
        assert_eq!(probe.judge(at(135), true, Some(at(59)), false), Health::Dead);
    }

    #[test]
    fn a_login_must_come_in_time_unless_a_person_is_waited_for() {
        let mut probe = Probe::new(at(0));
        assert_eq!(probe.judge(at(90), false, None, false), Health::Starting);
        assert_eq!(probe.judge(at(91), false, None, true), Health::Starting);
        assert_eq!(probe.judge(at(91), false, None, false), Health::Dead);
        probe.restart(at(91));
        assert_eq!(probe.judge(at(92), false, None, false), Health::Starting);
    }

    #[test]
    fn a_client_thrown_out_on_an_open_socket_is_replaced_soon() {
        let mut probe = Probe::new(at(0));
        probe.announce();
        assert_eq!(probe.judge(at(200), true, Some(at(200)), false), Health::Online);
        assert_eq!(probe.judge(at(205), false, Some(at(200)), false), Health::Starting);
        assert_eq!(probe.judge(at(211), false, Some(at(200)), false), Health::Dead);
    }
}
