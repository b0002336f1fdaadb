//! What a device does about its client's notices (codes to show, endings), and how it judges whether the connection is
//! alive.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use wa_rs::IqError;
use wa_rs::client::Client;
use wa_rs::wacore::iq::keepalive::KeepaliveSpec;

use super::actor::{Device, LONGEST_SILENCE, Owner, account};
use super::notice::{Ending, Notice};
use super::phase::{Current, Effort, Linkage, Phase, Rest, Then};
use super::probe::Health;
use crate::model::{
    Degradation, Disconnect, LoggedOut, Obstacle, Passkey, Pending, Shown, Stop, Trouble,
    UnixMillis,
};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::send::hold::Lock;
use crate::whatsapp::send::lanes::ACK_PATIENCE;

/// How long WhatsApp may take for its first answer before it is asked again.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

impl Device {
    pub(crate) fn react(&mut self, generation: u64, notice: Notice) {
        if let Notice::Erased(done) = notice {
            return self.erased(done);
        }
        if let Notice::Unacked { again } = notice {
            return self.unacked(again);
        }
        if let Notice::Belongs(account) = notice {
            self.owner = account.map_or(Owner::Unknown, Owner::Account);
            return self.judge();
        }
        if generation != self.generation {
            return;
        }
        // What a client that was told to go down still says about codes and endings no longer counts.
        let told =
            matches!(&self.phase, Phase::Closing { then, .. } if !matches!(then, Then::Retry(_)));
        let counts = matches!(
            notice,
            Notice::Ended | Notice::Down(_) | Notice::Paired | Notice::PairCodeAsked(_)
        );
        if told && !counts {
            return;
        }
        match notice {
            Notice::Up(client) => self.amend(|current| current.client = Some(client)),
            Notice::Qr(..)
            | Notice::PairCode(..)
            | Notice::PairCodeStale { .. }
            | Notice::PairCodeRefused(_)
            | Notice::PairCodeAsked(_)
            | Notice::Passkey(_)
            | Notice::PasskeyFailed(_) => self.link(notice),
            Notice::Obstacle(obstacle) => self.hindered(&obstacle),
            Notice::Paired => self.paired(),
            Notice::Ready => self.judge(),
            Notice::Answered(yes) => {
                self.amend(|current| current.probe.answered(yes));
                self.judge();
            }
            Notice::Named => self.show_account(),
            Notice::SendingLocked => self.ask_lock(true),
            Notice::LockedUntil(until) => self.lock(Some(Lock::until(until))),
            Notice::NotLocked => self.lock(None),
            Notice::NewChats(quota) => self.context.status.allowed(quota),
            Notice::Server(code) => self.failing(code),
            Notice::Down(ending) => self.down(ending),
            Notice::Ended => self.ended(),
            Notice::Erased(_) | Notice::Unacked { .. } | Notice::Belongs(_) => {}
            ending => self.conclude(&ending),
        }
    }

    /// WhatsApp ended it: no further client follows by itself.
    fn conclude(&mut self, ending: &Notice) {
        if self.rests() {
            return;
        }
        match ending {
            Notice::QrExhausted => self.rest(Rest::Pending(Pending::QrExpired)),
            Notice::PairFailed if !self.linked => self.rest(Rest::Pending(Pending::LinkFailed)),
            Notice::LoggedOut => self.forget(LoggedOut::ByPhone),
            // The link may be good again one day, so only a person ends it.
            Notice::Refused(refusal) => self.rest(Rest::Stopped(Stop::Refused(refusal.clone()))),
            Notice::Replaced => self.rest(Rest::Stopped(Stop::Replaced)),
            Notice::Banned(refusal) => self.rest(Rest::Stopped(Stop::Banned(refusal.clone()))),
            Notice::Outdated => {
                self.forget_version();
                if self.backoff.outdated() {
                    self.rest(Rest::Stopped(Stop::Outdated));
                } else {
                    // The next client fetches the version anew.
                    self.failing(405);
                }
            }
            _ => {}
        }
    }

    /// WhatsApp says with which code it ends the connection.
    fn failing(&mut self, code: u16) {
        if let Some(current) = self.phase.current() {
            current.server = Some(code);
        }
    }

    /// What a client tells while the phone is asked to know it.
    fn link(&mut self, notice: Notice) {
        let until = |ttl| UnixMillis::now().after(ttl);
        // The codes of a client that goes down are dead, but whoever asked for one is answered.
        let dead = self.phase.running().is_none() && !matches!(notice, Notice::PairCodeAsked(_));
        if self.linked || dead {
            return;
        }
        let Some(linkage) = self.phase.linkage() else { return };
        let codes = &mut linkage.codes;
        match notice {
            Notice::Qr(code, ttl) => {
                codes.qr = Some(Shown { code, expires_at: until(ttl) });
                if matches!(codes.trouble, Some(Trouble::Unreachable(_))) {
                    codes.trouble = None;
                }
                let first = self
                    .phase
                    .running()
                    .is_some_and(|current| !std::mem::replace(&mut current.qr_seen, true));
                if first {
                    self.ask_pair_code();
                }
            }
            Notice::PairCode(code, ttl) => {
                codes.pair_code = Some(Shown { code, expires_at: until(ttl) });
                codes.trouble = None;
            }
            Notice::PairCodeStale { by_hand } => {
                codes.pair_code = None;
                if by_hand {
                    codes.trouble = Some(Trouble::PairCodeExpired);
                    self.end_pairing(Err(WhatsAppError::NotConnected));
                } else {
                    self.ask_pair_code();
                }
            }
            // While somebody waits for a code, `PairCodeAsked` says the same.
            Notice::PairCodeRefused(why)
                if linkage.pair.as_ref().is_some_and(|pairing| pairing.answer.is_none()) =>
            {
                self.refuse_pair_code(WhatsAppError::Refused(why.clone()), why);
            }
            Notice::PairCodeAsked(Ok(())) => {
                let answer = linkage.pair.as_mut().and_then(|pairing| pairing.answer.take());
                self.replies.extend(answer.map(|answer| (answer, Ok(()))));
            }
            Notice::PairCodeAsked(Err(error)) => {
                let why = error.to_string();
                self.refuse_pair_code(error, why);
            }
            Notice::Passkey(step) => {
                if let Passkey::Request(question) = &step {
                    linkage.question = Some(question.clone());
                }
                codes.passkey = Some(step);
                codes.trouble = None;
            }
            Notice::PasskeyFailed(why) => {
                // The question can be answered again; a failed confirmation begins with it, too.
                codes.passkey = linkage.question.clone().map(Passkey::Request);
                codes.trouble = Some(Trouble::PasskeyFailed(why));
            }
            _ => {}
        }
    }

    /// The connection cannot be made, or not yet. The next try follows when the client gives up.
    fn hindered(&mut self, obstacle: &Obstacle) {
        let known = match &mut self.phase {
            Phase::Opening(current, gap) => {
                let why = Disconnect::Unreachable(Some(obstacle.clone()));
                current.obstacle = Some(obstacle.clone());
                std::mem::replace(&mut gap.why, why.clone()) == why
            }
            Phase::Linking(current, linkage) => {
                let trouble = Some(Trouble::Unreachable(obstacle.clone()));
                current.obstacle = Some(obstacle.clone());
                std::mem::replace(&mut linkage.codes.trouble, trouble.clone()) == trouble
            }
            _ => return,
        };
        if !known {
            tracing::warn!(
                device = %self.context.name, cause = %obstacle.detail, step = obstacle.hurdle.as_str(),
                "WhatsApp cannot be reached."
            );
        }
    }

    fn paired(&mut self) {
        self.linked = true;
        self.backoff.reset();
        self.end_pairing(Ok(()));
        let gap = self.gap(UnixMillis::now(), Disconnect::Starting);
        match &mut self.phase {
            Phase::Linking(current, linkage) => {
                current.probe.restart(Instant::now());
                *linkage = Linkage::default();
            }
            // It was stopped at that moment, or gets another client.
            Phase::Closing { then: Then::Rest(rest @ Rest::Pending(_)), .. } => {
                *rest = Rest::Stopped(Stop::ByUser);
            }
            Phase::Closing { then: Then::Open(effort) | Then::Retry(effort), .. } => {
                *effort = Effort::Connect(gap);
            }
            _ => {}
        }
    }

    /// The next client must not take the refused version from the cache.
    fn forget_version(&mut self) {
        let Some(client) = self.client() else { return };
        self.context.tasks.spawn("forget version", async move {
            let persistence = client.persistence_manager();
            persistence.modify_device(|device| device.app_version_last_fetched_ms = 0).await;
            if let Err(error) = persistence.flush().await {
                tracing::warn!(%error, "The refused version could not be forgotten.");
            }
        });
    }

    /// Looks at the client once a second and decides whether its connection is alive.
    pub(crate) fn judge(&mut self) {
        let Some(client) = self.client() else { return };
        // Messages that the store refused come again only with the next connection, so there must be a new one. While
        // the store takes nothing there is no connection at all, or later messages would overtake them.
        let store = &self.context.store;
        let refused = self.phase.running().is_some_and(|now| store.refused() != now.refused);
        if self.linked && (refused || !store.has_room()) {
            tracing::warn!(device = %self.context.name, "The store takes no writes now; WhatsApp keeps the messages meanwhile.");
            return self.drop_connection(Disconnect::Store);
        }
        let stats = client.stats();
        let heard = match stats.last_data_received_ms {
            0 => None,
            millis => Some(UnixMillis::from_millis(millis)),
        };
        if let Some(at) = heard {
            self.context.status.proven(at);
        }
        // A login before the pairing is nobody's.
        let logged_in = client.is_connected() && client.is_logged_in() && client.pn().is_some();
        // An unlinked client waits for a person, for as long as its codes last.
        let unbounded = !self.linked;
        let Some(current) = self.phase.running() else { return };
        let frames = stats.frames_received;
        let health = current.probe.judge(Instant::now(), logged_in, frames, unbounded);
        if current.probe.must_ask() {
            self.ask(&client);
        }
        match health {
            Health::Starting => self.offline(),
            Health::Dead => self.give_up(&client),
            Health::Online => self.online(&client, false),
            Health::Silent => self.online(&client, true),
        }
    }

    /// The connection may lead nowhere although it looks alive, so another one is tried, but not in a hurry: it may
    /// be the message that WhatsApp does not like.
    fn unacked(&mut self, again: bool) {
        if self.client().is_none() {
            return;
        }
        let pause = match self.unacked {
            Some(_) if !again => ACK_PATIENCE,
            Some((pause, last)) if last.elapsed() < pause => return,
            Some((pause, last)) if last.elapsed() < LONGEST_SILENCE * 2 => {
                (pause * 2).min(LONGEST_SILENCE)
            }
            _ => ACK_PATIENCE,
        };
        self.unacked = Some((pause, Instant::now()));
        tracing::warn!(device = %self.context.name, "WhatsApp does not acknowledge a message; connecting anew.");
        self.drop_connection(Disconnect::Closed);
    }

    /// Asks WhatsApp something that it always answers.
    fn ask(&self, client: &Arc<Client>) {
        let (context, generation) = (Arc::clone(&self.context), self.generation);
        let client = Arc::downgrade(client);
        self.context.tasks.spawn("first request", async move {
            let Some(client) = client.upgrade() else { return };
            let answer = client.execute(KeepaliveSpec::with_timeout(FIRST_ANSWER)).await;
            // A refusal is an answer.
            let answered = matches!(answer, Ok(()) | Err(IqError::ServerError { .. }));
            drop(client);
            drop(context.notices.send((generation, Notice::Answered(answered))));
        });
    }

    fn give_up(&mut self, client: &Client) {
        tracing::warn!(device = %self.context.name, "WhatsApp does not answer; connecting anew.");
        self.down(Ending::of(client));
    }

    /// Nothing can be sent until WhatsApp takes the client again.
    fn offline(&mut self) {
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Online(current, _) => {
                let why = current.server.map_or(Disconnect::Closed, Disconnect::Server);
                Phase::Opening(current, self.gap(UnixMillis::now(), why))
            }
            other => other,
        };
    }

    /// Whether the send queue has the messages of the client's account. When it has those of another one, or nobody knows,
    /// it is told first.
    fn belongs(&mut self, client: &Client) -> bool {
        let Some(phone) = client.pn().map(|jid| jid.user.to_string()) else { return false };
        match &self.owner {
            Owner::Account(owner) if *owner == phone => return true,
            Owner::Asked => return false,
            _ => self.owner = Owner::Asked,
        }
        let context = Arc::clone(&self.context);
        self.context.tasks.spawn("account of the queue", async move {
            let told = context.store.queue().belong(&context.name, Some(phone.clone())).await;
            if let Err(error) = &told {
                tracing::error!(device = %context.name, %error, "The account could not be noted; trying again.");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            drop(context.notices.send((0, Notice::Belongs(told.is_ok().then_some(phone)))));
        });
        false
    }

    fn online(&mut self, client: &Arc<Client>, silent: bool) {
        if !self.belongs(client) {
            return self.offline();
        }
        if !matches!(self.phase, Phase::Online(..)) {
            self.linked = true;
            // It was only needed for the reconnect after a scan.
            client.enable_auto_reconnect.store(false, Ordering::Relaxed);
            self.show_account();
            if self.context.holds.must_ask() {
                self.ask_lock(false);
            }
        }
        self.context.holds.expire();
        let wrong = match self.context.holds.lock() {
            _ if client.persistence_manager().is_saver_halted() => Some(Degradation::Store),
            _ if silent => Some(Degradation::Unproven),
            Some(lock) => Some(Degradation::SendingLocked(lock.until)),
            None => None,
        };
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Opening(mut current, _)
            | Phase::Linking(mut current, _)
            | Phase::Online(mut current, _) => {
                current.online_since.get_or_insert_with(Instant::now);
                Phase::Online(current, wrong)
            }
            other => other,
        };
    }

    fn show_account(&mut self) {
        if let Some(client) = self.client() {
            let device = client.persistence_manager().get_device_snapshot();
            self.context.status.set_account(account(&device));
        }
    }

    fn amend(&mut self, change: impl FnOnce(&mut Current)) {
        if let Some(current) = self.phase.running() {
            change(current);
        }
    }
}
