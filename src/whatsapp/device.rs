//! The actor of one device: it owns at most one client at a time, decides when there is one, and publishes why not. It
//! never waits for WhatsApp or the disk; whatever takes time runs beside it and reports back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use wa_rs::client::Client;

use super::WhatsAppError;
use super::backoff::Backoff;
use super::link::{Link, Parts, Signal};
use super::probe::{Health, Probe};
use crate::model::{
    Account, Degradation, DeviceState, Disconnect, Linking, LoggedOut, Pending, PhoneNumber, Shown,
    Stop, UnixMillis,
};

/// How long a connection must hold before its failures are forgotten.
const STABLE: Duration = Duration::from_secs(30);
/// How often an unlinked client may fail before the linking is given up.
const LINK_TRIES: u32 = 5;
/// How long "sending is locked" is shown when WhatsApp does not say until when.
const LOCK_SHOWN: Duration = Duration::from_secs(600);
/// The shortest pause after WhatsApp itself asked for one.
const SERVER_PAUSE: Duration = Duration::from_secs(5);

/// Where the answer to a command goes.
pub(super) type Reply = oneshot::Sender<Result<(), WhatsAppError>>;

/// What a device can be told.
pub(super) enum Command {
    /// Connect, or begin linking.
    Start(Reply),
    /// Disconnect until told otherwise.
    Stop(Reply),
    /// A new connection now.
    Reconnect(Reply),
    /// Unlink and forget.
    Logout(Reply),
    /// Link by a code typed on that phone.
    PairCode(PhoneNumber, Reply),
    /// Answer the passkey request.
    PasskeyResponse(String, String, Reply),
    /// Confirm the passkey code.
    PasskeyConfirm(Reply),
    /// The file says whether it runs.
    Enable(bool),
    /// Go down for good.
    Quit,
}

/// What is wanted of the device.
enum Wish {
    Up,
    Down,
}

/// The actor.
pub(super) struct Device {
    parts: Arc<Parts>,
    mailbox: mpsc::UnboundedReceiver<Command>,
    signals: mpsc::UnboundedReceiver<(u64, Signal)>,
    /// The client, while messages can be sent through it.
    live: watch::Sender<Option<Arc<Client>>>,
    enabled: bool,
    linked: bool,
    wish: Wish,
    link: Option<Link>,
    client: Option<Arc<Client>>,
    generation: u64,
    probe: Probe,
    online_since: Option<Instant>,
    locked: Option<(Option<UnixMillis>, Instant)>,
    why: Disconnect,
    /// WhatsApp's own code for the end of this connection.
    server: Option<u16>,
    backoff: Backoff,
    retry: Option<Instant>,
    /// The connection that ends next is followed by another at once.
    again: bool,
    erase_due: bool,
    erasing: bool,
    qr_seen: bool,
    pair: Option<(PhoneNumber, Reply)>,
    waiting: Vec<Reply>,
}

impl Device {
    /// An actor that has not looked at its credentials yet.
    pub(super) fn new(
        parts: Arc<Parts>,
        mailbox: mpsc::UnboundedReceiver<Command>,
        signals: mpsc::UnboundedReceiver<(u64, Signal)>,
        live: watch::Sender<Option<Arc<Client>>>,
        enabled: bool,
    ) -> Self {
        Self {
            parts,
            mailbox,
            signals,
            live,
            enabled,
            linked: false,
            wish: Wish::Down,
            link: None,
            client: None,
            generation: 0,
            probe: Probe::new(UnixMillis::now()),
            online_since: None,
            locked: None,
            why: Disconnect::Starting,
            server: None,
            backoff: Backoff::default(),
            retry: None,
            again: false,
            erase_due: false,
            erasing: false,
            qr_seen: false,
            pair: None,
            waiting: Vec::new(),
        }
    }

    /// Learns whether there are credentials; a linked device connects by itself.
    pub(super) async fn wake(&mut self) {
        let account = loop {
            match self.parts.backend().load().await {
                Ok(device) => break device.and_then(|device| account(&device)),
                Err(error) => {
                    tracing::error!(device = %self.parts.name, %error, "Credentials could not be read.");
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_secs(2)) => {}
                        () = self.parts.tasks.stop().cancelled() => return,
                    }
                }
            }
        };
        self.linked = account.is_some();
        self.parts.status.set_account(account);
        if !self.enabled {
            self.rest(DeviceState::Stopped(Stop::Disabled));
        } else if self.linked {
            self.wish = Wish::Up;
        } else {
            self.rest(DeviceState::Pending(Pending::NotStarted));
        }
    }

    /// The actor's loop; ends when it is told to quit or the gateway stops.
    pub(super) async fn run(&mut self) {
        let stop = self.parts.tasks.stop().clone();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.settle();
            let retry = self.retry.filter(|_| self.link.is_none());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some((generation, signal)) = self.signals.recv() => self.observe(generation, signal),
                command = self.mailbox.recv() => match command {
                    None | Some(Command::Quit) => return,
                    Some(command) => self.obey(command),
                },
                () = until(retry), if retry.is_some() => self.retry = None,
                _ = tick.tick(), if self.link.is_some() => self.judge(),
            }
        }
    }

    /// Closes the client, if there is one, and waits until it is down and flushed.
    pub(super) async fn leave(&mut self) {
        self.live.send_replace(None);
        self.client = None;
        if let Some(link) = self.link.take() {
            link.close();
            while let Some((generation, signal)) = self.signals.recv().await {
                if generation == self.generation && matches!(signal, Signal::Ended { .. }) {
                    break;
                }
            }
        }
        self.parts.status.set(DeviceState::Stopped(Stop::Shutdown));
    }

    /// The loop panicked: its client is replaced.
    pub(super) fn recover(&mut self) {
        self.drop_connection(Disconnect::Crashed);
    }

    /// Opens a client when one is wanted and nothing stands in the way.
    fn settle(&mut self) {
        let ready = self.link.is_none() && !self.erasing && self.retry.is_none();
        if !ready || !matches!(self.wish, Wish::Up) {
            return;
        }
        self.generation += 1;
        self.again = false;
        self.qr_seen = false;
        self.server = None;
        self.probe = Probe::new(UnixMillis::now());
        self.show_waiting(UnixMillis::now());
        self.link = Some(Link::open(&self.parts, self.generation));
    }

    fn show_waiting(&self, retry_at: UnixMillis) {
        let state = if self.linked {
            let attempt = self.backoff.failures();
            DeviceState::Reconnecting { attempt, retry_at, why: self.why.clone() }
        } else {
            DeviceState::Linking(Linking::default())
        };
        self.parts.status.set(state);
    }

    /// Wants no client any more, for the reason `state` gives.
    fn rest(&mut self, state: DeviceState) {
        self.wish = Wish::Down;
        self.retry = None;
        self.again = false;
        self.parts.status.set(state);
        self.offline();
        if let Some((_, reply)) = self.pair.take() {
            drop(reply.send(Err(WhatsAppError::NotConnected)));
        }
        if let Some(link) = &self.link {
            link.close();
        }
    }

    fn offline(&mut self) {
        self.online_since = None;
        self.live.send_if_modified(|live| live.take().is_some());
    }

    /// The client is replaced now.
    fn drop_connection(&mut self, why: Disconnect) {
        self.why = why;
        self.again = true;
        self.retry = None;
        self.offline();
        if let Some(link) = &self.link {
            link.close();
        }
        self.show_waiting(UnixMillis::now());
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start(reply) => drop(reply.send(self.start())),
            Command::Stop(reply) => {
                self.stop_by_user();
                self.when_down(reply);
            }
            Command::Reconnect(reply) => drop(reply.send(self.reconnect())),
            Command::Logout(reply) => {
                self.logout();
                self.when_down(reply);
            }
            Command::PairCode(phone, reply) => self.pair_code(phone, reply),
            Command::PasskeyResponse(assertion, id, reply) => {
                self.passkey(Some((assertion, id)), reply)
            }
            Command::PasskeyConfirm(reply) => self.passkey(None, reply),
            Command::Enable(enabled) => self.enable(enabled),
            Command::Quit => {}
        }
    }

    fn start(&mut self) -> Result<(), WhatsAppError> {
        if !self.enabled {
            return Err(WhatsAppError::Disabled);
        }
        // A person who presses START does not want to wait for the ladder.
        self.retry = None;
        if matches!(self.wish, Wish::Down) {
            self.wish = Wish::Up;
            self.again = true;
            self.why = Disconnect::Asked;
            self.backoff.reset();
            self.show_waiting(UnixMillis::now());
        }
        Ok(())
    }

    fn stop_by_user(&mut self) {
        match (&self.wish, self.linked) {
            (Wish::Up, true) => self.rest(DeviceState::Stopped(Stop::ByUser)),
            (Wish::Up, false) => self.rest(DeviceState::Pending(Pending::Cancelled)),
            (Wish::Down, _) => {}
        }
    }

    fn reconnect(&mut self) -> Result<(), WhatsAppError> {
        if !self.linked {
            return Err(WhatsAppError::NotConnected);
        }
        if matches!(self.wish, Wish::Up) {
            self.backoff.reset();
            self.drop_connection(Disconnect::Asked);
            return Ok(());
        }
        self.start()
    }

    fn logout(&mut self) {
        if !self.linked {
            return self.stop_by_user();
        }
        if let Some(link) = &self.link {
            link.say_farewell();
        } else {
            tracing::warn!(
                device = %self.parts.name,
                "Logged out while WhatsApp was not connected: the phone lists the device until it is removed there."
            );
        }
        self.forget(DeviceState::LoggedOut(LoggedOut::ByUser));
    }

    /// The credentials go, for the reason `state` gives.
    fn forget(&mut self, state: DeviceState) {
        self.linked = false;
        self.erase_due = true;
        self.parts.status.set_account(None);
        self.rest(state);
        if self.link.is_none() {
            self.erase();
        }
    }

    fn enable(&mut self, enabled: bool) {
        if self.enabled == enabled {
            return;
        }
        self.enabled = enabled;
        if !enabled {
            self.rest(DeviceState::Stopped(Stop::Disabled));
        } else if self.linked {
            drop(self.start());
        } else {
            self.rest(DeviceState::Pending(Pending::NotStarted));
        }
    }

    fn pair_code(&mut self, phone: PhoneNumber, reply: Reply) {
        if self.linked {
            return drop(reply.send(Err(WhatsAppError::AlreadyLinked)));
        }
        if let Err(error) = self.start() {
            return drop(reply.send(Err(error)));
        }
        self.pair = Some((phone, reply));
        self.ask_pair_code();
    }

    /// WhatsApp takes the request once it has offered QR codes on this connection.
    fn ask_pair_code(&mut self) {
        let (Some(client), Some((phone, _)), true) = (&self.client, &self.pair, self.qr_seen)
        else {
            return;
        };
        let (client, parts, generation) =
            (Arc::clone(client), Arc::clone(&self.parts), self.generation);
        let options = wa_rs::pair_code::PairCodeOptions {
            phone_number: phone.as_str().to_owned(),
            ..Default::default()
        };
        self.parts.tasks.spawn("pair code", async move {
            // A new request means that the old code is not wanted any more.
            client.cancel_pair_code().await;
            let outcome =
                client.pair_with_code(options).await.map(drop).map_err(|error| {
                    match error.backoff() {
                        Some(wait) => WhatsAppError::TooFast(Some(UnixMillis::now().after(wait))),
                        None => WhatsAppError::Refused(error.to_string()),
                    }
                });
            drop(parts.signals.send((generation, Signal::PairCodeAsked(outcome))));
        });
    }

    fn passkey(&mut self, answer: Option<(String, String)>, reply: Reply) {
        let asked = match self.parts.status.state() {
            DeviceState::Linking(Linking { passkey: Some(_), .. }) => self.client.clone(),
            _ => None,
        };
        let Some(client) = asked else {
            return drop(reply.send(Err(WhatsAppError::NotAsked)));
        };
        self.parts.tasks.spawn("passkey", async move {
            let outcome = match answer {
                Some((assertion, id)) => {
                    let credential_id =
                        data_encoding::BASE64URL_NOPAD.decode(id.trim_end_matches('=').as_bytes());
                    match credential_id {
                        Ok(credential_id) => {
                            let assertion_json = assertion.into_bytes();
                            let assertion =
                                wa_rs::passkey::Assertion { assertion_json, credential_id };
                            client.send_passkey_response(assertion).await
                        }
                        Err(error) => {
                            let refused = format!("credential_id: {error}");
                            return drop(reply.send(Err(WhatsAppError::Refused(refused))));
                        }
                    }
                }
                None => client.send_passkey_confirmation().await,
            };
            let outcome = outcome.map_err(|error| WhatsAppError::Refused(error.to_string()));
            drop(reply.send(outcome));
        });
    }

    fn observe(&mut self, generation: u64, signal: Signal) {
        if let Signal::Erased(done) = signal {
            return self.erased(done);
        }
        if generation != self.generation {
            return;
        }
        match signal {
            Signal::Up(client) => self.client = Some(client),
            Signal::Qr(code, ttl) => {
                self.show_code(
                    |linking, expires_at| {
                        linking.qr = Some(Shown { code, expires_at });
                    },
                    ttl,
                );
                if !std::mem::replace(&mut self.qr_seen, true) {
                    self.ask_pair_code();
                }
            }
            Signal::PairCode(code, ttl) => self.show_code(
                |linking, expires_at| {
                    linking.pair_code = Some(Shown { code, expires_at });
                },
                ttl,
            ),
            Signal::PairCodeAsked(outcome) => {
                if let Some((_, reply)) = self.pair.take() {
                    drop(reply.send(outcome));
                }
            }
            Signal::Passkey(step) => {
                self.show_code(|linking, _| linking.passkey = Some(step), Duration::ZERO);
            }
            Signal::Paired => self.paired(),
            Signal::Ready => {
                self.probe.announce();
                self.judge();
            }
            Signal::Named => self.show_account(),
            Signal::SendingLocked => self.ask_lock(),
            Signal::LockedUntil(until) => {
                let left = until.map_or(LOCK_SHOWN, |until| until.since(UnixMillis::now()));
                self.locked = Some((until, Instant::now() + left));
                self.judge();
            }
            Signal::Server(code) => self.server = Some(code),
            Signal::Ended { reached } => self.ended(reached),
            Signal::Erased(_) => {}
            ending => self.conclude(ending),
        }
    }

    /// WhatsApp ended it: no further client follows by itself.
    fn conclude(&mut self, ending: Signal) {
        if matches!(self.wish, Wish::Down) {
            return;
        }
        match ending {
            Signal::QrExhausted => self.rest(DeviceState::Pending(Pending::QrExpired)),
            Signal::PairFailed if !self.linked => {
                self.rest(DeviceState::Pending(Pending::LinkFailed));
            }
            Signal::LoggedOut(401) => self.forget(DeviceState::LoggedOut(LoggedOut::ByPhone)),
            Signal::LoggedOut(code) => {
                self.forget(DeviceState::LoggedOut(LoggedOut::Refused(code)));
            }
            Signal::Replaced => self.rest(DeviceState::Stopped(Stop::Replaced)),
            Signal::Banned(until) => self.rest(DeviceState::Stopped(Stop::Banned(until))),
            Signal::Outdated => {
                self.forget_version();
                self.rest(DeviceState::Stopped(Stop::Outdated));
            }
            _ => {}
        }
    }

    fn show_code(&self, change: impl FnOnce(&mut Linking, UnixMillis), ttl: Duration) {
        if self.linked || matches!(self.wish, Wish::Down) {
            return;
        }
        let mut linking = match self.parts.status.state() {
            DeviceState::Linking(linking) => linking,
            _ => Linking::default(),
        };
        change(&mut linking, UnixMillis::now().after(ttl));
        self.parts.status.set(DeviceState::Linking(linking));
    }

    fn paired(&mut self) {
        self.linked = true;
        self.why = Disconnect::Starting;
        self.backoff.reset();
        self.probe.restart(UnixMillis::now());
        if matches!(self.wish, Wish::Up) {
            self.parts.status.set(DeviceState::Linking(Linking::default()));
        }
        if let Some((_, reply)) = self.pair.take() {
            drop(reply.send(Ok(())));
        }
    }

    fn ask_lock(&mut self) {
        let Some(client) = self.client.clone() else { return };
        let (parts, generation) = (Arc::clone(&self.parts), self.generation);
        self.parts.tasks.spawn("reach-out lock", async move {
            let answer = client.mex().fetch_reachout_timelock().await;
            let until = answer.ok().and_then(|lock| lock.time_enforcement_ends).and_then(|ends| {
                let secs = ends.parse().ok().map(UnixMillis::from_secs);
                secs.or_else(|| UnixMillis::parse(&ends))
            });
            drop(parts.signals.send((generation, Signal::LockedUntil(until))));
        });
    }

    /// A refused version must not be taken from the cache next time.
    fn forget_version(&self) {
        let Some(client) = self.client.clone() else { return };
        self.parts.tasks.spawn("forget version", async move {
            let persistence = client.persistence_manager();
            persistence.modify_device(|device| device.app_version_last_fetched_ms = 0).await;
            if let Err(error) = persistence.flush().await {
                tracing::warn!(%error, "The refused version could not be forgotten.");
            }
        });
    }

    fn ended(&mut self, reached: bool) {
        self.link = None;
        let client = self.client.take();
        let stable = self.online_since.is_some_and(|since| since.elapsed() >= STABLE);
        self.offline();
        if self.erase_due {
            return self.erase();
        }
        if matches!(self.wish, Wish::Down) {
            return self.answer_waiting();
        }
        if self.again {
            return;
        }
        if stable {
            self.backoff.reset();
        }
        if !self.linked && self.backoff.failures() >= LINK_TRIES {
            return self.rest(DeviceState::Pending(Pending::LinkFailed));
        }
        // The engine counts a 429 as five failures, and tells nobody else.
        let throttled = client.is_some_and(|client| client.stats().reconnect_errors >= 5);
        self.why = match self.server {
            Some(code) => Disconnect::Server(code),
            None if throttled => Disconnect::Server(429),
            None if reached => Disconnect::Closed,
            None => Disconnect::Unreachable,
        };
        let mut delay = self.backoff.fail();
        if matches!(self.why, Disconnect::Server(_)) {
            delay = delay.max(SERVER_PAUSE);
        }
        self.retry = Some(Instant::now() + delay);
        self.show_waiting(UnixMillis::now().after(delay));
    }

    fn erase(&mut self) {
        self.erase_due = false;
        self.erasing = true;
        let parts = Arc::clone(&self.parts);
        self.parts.tasks.spawn("erase credentials", async move {
            let done = parts.store.space(&parts.name).erase().await;
            if let Err(error) = &done {
                tracing::error!(device = %parts.name, %error, "Credentials could not be erased; trying again.");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            drop(parts.signals.send((0, Signal::Erased(done.is_ok()))));
        });
    }

    fn erased(&mut self, done: bool) {
        if !done {
            return self.erase();
        }
        self.erasing = false;
        self.answer_waiting();
    }

    /// Answers once no client runs and nothing is left to erase.
    fn when_down(&mut self, reply: Reply) {
        self.waiting.push(reply);
        if self.link.is_none() && !self.erasing {
            self.answer_waiting();
        }
    }

    fn answer_waiting(&mut self) {
        for reply in self.waiting.drain(..) {
            drop(reply.send(Ok(())));
        }
    }

    /// Looks at the client and says what it is worth.
    fn judge(&mut self) {
        let (Some(client), Wish::Up) = (self.client.clone(), &self.wish) else { return };
        let now = UnixMillis::now();
        let heard = match client.stats().last_data_received_ms {
            0 => None,
            millis => Some(UnixMillis::from_millis(millis)),
        };
        if let Some(at) = heard {
            self.parts.status.proven(at);
        }
        let logged_in = client.is_connected() && client.is_logged_in();
        // Only an unlinked client waits for a person, and then as long as its codes last.
        let health = self.probe.judge(now, logged_in, heard, !self.linked);
        match health {
            Health::Starting => self.offline(),
            Health::Dead => self.give_up(),
            Health::Online | Health::Silent => self.online(&client, health == Health::Silent),
        }
    }

    fn give_up(&mut self) {
        tracing::warn!(device = %self.parts.name, "WhatsApp does not answer; connecting anew.");
        self.offline();
        if let Some(link) = &self.link {
            link.close();
        }
        self.probe.restart(UnixMillis::now());
    }

    fn online(&mut self, client: &Arc<Client>, silent: bool) {
        if self.online_since.is_none() {
            self.online_since = Some(Instant::now());
            self.linked = true;
            self.why = Disconnect::Closed;
            // Needed once, for the reconnect after a scan.
            client.enable_auto_reconnect.store(false, Ordering::Relaxed);
            self.show_account();
            self.live.send_replace(Some(Arc::clone(client)));
        }
        if self.locked.as_ref().is_some_and(|(_, end)| *end <= Instant::now()) {
            self.locked = None;
        }
        self.parts.status.set(match &self.locked {
            _ if client.persistence_manager().is_saver_halted() => {
                DeviceState::Degraded(Degradation::Store)
            }
            _ if silent => DeviceState::Degraded(Degradation::Unproven),
            Some((until, _)) => DeviceState::Degraded(Degradation::SendingLocked(*until)),
            None => DeviceState::Connected,
        });
    }

    fn show_account(&self) {
        if let Some(client) = &self.client {
            let device = client.persistence_manager().get_device_snapshot();
            self.parts.status.set_account(account(&device));
        }
    }
}

/// Whose account the credentials belong to; `None` when there are none.
fn account(device: &wa_rs::wacore::store::Device) -> Option<Account> {
    let pn = device.pn.as_ref()?;
    Some(Account {
        phone: PhoneNumber::parse(&pn.user, None).ok(),
        lid: device.lid.as_ref().map(|lid| lid.user.to_string()),
        name: Some(device.push_name.clone()).filter(|name| !name.is_empty()),
    })
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
