//! The actor of one device: it owns at most one client at a time, decides when there is one, and publishes why not. It
//! never waits for WhatsApp or the disk; whatever takes time runs beside it and reports back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use wa_rs::client::Client;
use wa_rs::wacore::store::traits::DeviceStore;

use super::backoff::Backoff;
use super::link::Link;
use super::notice::{Answer, DeviceCommand, Ending, Notice};
use super::phase::{Current, Effort, Gap, Phase, Rest, Then};
use super::probe::Probe;
use crate::model::{Account, Disconnect, LoggedOut, Pending, PhoneNumber, Stop, UnixMillis};
use crate::task::beat;
use crate::whatsapp::context::Context;
use crate::whatsapp::error::WhatsAppError;

/// How often a connection is judged until it is online, and after that: what WhatsApp says comes as a notice meanwhile.
const BRISK: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_secs(3);
/// How often a full disk is looked at again.
const ROOM: Duration = Duration::from_secs(2);
/// How often an unlinked client may fail before the linking is given up.
const LINK_TRIES: u32 = 5;
/// The longest pause between two connections that were replaced because a message got no ack.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_mins(15);
/// The shortest pause after WhatsApp itself asked for one.
const SERVER_PAUSE: Duration = Duration::from_secs(5);

/// The account whose messages the send queue has, by its phone number. Nothing is sent for another one.
#[derive(PartialEq, Eq)]
pub(crate) enum Owner {
    Unknown,
    /// The queue is being told.
    Asked,
    Account(String),
}

pub(crate) struct Device {
    pub(crate) context: Arc<Context>,
    pub(crate) mailbox: mpsc::UnboundedReceiver<DeviceCommand>,
    pub(crate) notices: mpsc::UnboundedReceiver<(u64, Notice)>,
    /// The client, while messages can be sent through it.
    pub(crate) live: watch::Sender<Option<Arc<Client>>>,
    pub(crate) enabled: bool,
    pub(crate) linked: bool,
    pub(crate) owner: Owner,
    pub(crate) phase: Phase,
    pub(crate) generation: u64,
    pub(crate) backoff: Backoff,
    /// When a message without an ack last cost the connection, and how long it may not do so again.
    pub(crate) unacked: Option<(Duration, Instant)>,
    /// Who asked for something that is decided, and is told once it can be seen.
    pub(crate) replies: Vec<(Answer, Result<(), WhatsAppError>)>,
    /// Who waits until no client runs.
    pub(crate) waiting: Vec<Answer>,
}

impl Device {
    /// An actor that has not looked at its credentials yet.
    pub(crate) fn new(
        context: Arc<Context>,
        mailbox: mpsc::UnboundedReceiver<DeviceCommand>,
        notices: mpsc::UnboundedReceiver<(u64, Notice)>,
        live: watch::Sender<Option<Arc<Client>>>,
        phase: Phase,
        enabled: bool,
    ) -> Self {
        Self {
            context,
            mailbox,
            notices,
            live,
            enabled,
            linked: false,
            owner: Owner::Unknown,
            phase,
            generation: 0,
            backoff: Backoff::default(),
            unacked: None,
            replies: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Learns whether there are credentials; a linked device connects by itself.
    pub(crate) async fn wake(&mut self) {
        let account = loop {
            match self.identify().await {
                Ok(account) => break account,
                Err(error) => {
                    tracing::error!(device = %self.context.name, %error, "Credentials could not be read.");
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_secs(2)) => {}
                        () = self.context.tasks.stop().cancelled() => return,
                    }
                }
            }
        };
        self.linked = account.is_some();
        self.context.status.set_account(account);
        if !self.enabled {
            self.rest(Rest::Stopped(Stop::Disabled));
        } else if self.linked {
            self.context.holds.doubt();
        } else {
            self.rest(Rest::Pending(Pending::NotStarted));
        }
        self.publish();
    }

    /// Reads whose account it is, and tells the send queue. A store of an older version does not know it.
    async fn identify(&mut self) -> Result<Option<Account>, WhatsAppError> {
        let device = self.context.backend().load().await?;
        let phone = device.as_ref().and_then(|device| Some(device.pn.as_ref()?.user.to_string()));
        self.context.store.queue().belong(&self.context.name, phone.clone()).await?;
        self.owner = phone.map_or(Owner::Unknown, Owner::Account);
        Ok(device.and_then(|device| account(&device)))
    }

    /// The actor's loop; ends when it is told to quit or the gateway stops.
    pub(crate) async fn run(&mut self) {
        let stop = self.context.tasks.stop().clone();
        let mut look = beat(BRISK);
        loop {
            self.settle();
            self.publish();
            if !matches!(self.phase, Phase::Online(_, None)) {
                look = look.min(beat(BRISK));
            }
            let due = match self.phase {
                Phase::Waiting(due, _) => Some(due),
                _ => None,
            };
            let runs = self.phase.running().is_some();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some((generation, notice)) = self.notices.recv() => self.react(generation, notice),
                command = self.mailbox.recv() => match command {
                    None | Some(DeviceCommand::Quit) => return,
                    Some(command) => self.obey(command),
                },
                () = until(due), if due.is_some() => {}
                () = tokio::time::sleep_until(look), if runs => {
                    self.judge();
                    look = beat(CALM);
                }
            }
        }
    }

    /// Closes the client, if there is one, and waits until it is down and flushed.
    pub(crate) async fn leave(&mut self) {
        self.live.send_replace(None);
        let mut phase =
            std::mem::replace(&mut self.phase, Phase::Resting(Rest::Stopped(Stop::Shutdown)));
        if let Some(current) = phase.current() {
            current.link.close();
            drop(phase);
            while let Some((generation, notice)) = self.notices.recv().await {
                if generation == self.generation && matches!(notice, Notice::Ended) {
                    break;
                }
            }
        }
        self.publish();
    }

    /// After a panic the client is replaced.
    pub(crate) fn recover(&mut self) {
        if !self.rests() {
            self.drop_connection(Disconnect::Crashed);
        }
    }

    /// Shows what the device does now, and then answers who asked for it.
    fn publish(&mut self) {
        let live = self.phase.live();
        self.live.send_if_modified(|old| {
            let same = old.as_ref().map(Arc::as_ptr) == live.as_ref().map(Arc::as_ptr);
            *old = live;
            !same
        });
        self.context.status.set(self.phase.shown());
        for (answer, outcome) in self.replies.drain(..) {
            drop(answer.send(outcome));
        }
        if !matches!(self.phase, Phase::Closing { .. } | Phase::Erasing(_)) {
            for answer in self.waiting.drain(..) {
                drop(answer.send(Ok(())));
            }
        }
    }

    /// Opens a client when one is due and nothing stands in the way.
    fn settle(&mut self) {
        let now = Instant::now();
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Waiting(due, Effort::Connect(_))
                if due <= now && !self.context.store.has_room() =>
            {
                let at = UnixMillis::now().after(ROOM);
                Phase::Waiting(now + ROOM, Effort::Connect(self.gap(at, Disconnect::Store)))
            }
            Phase::Waiting(due, Effort::Connect(gap)) if due <= now => {
                Phase::Opening(self.open(), Gap { at: UnixMillis::now(), ..gap })
            }
            Phase::Waiting(due, Effort::Link(linkage)) if due <= now => {
                Phase::Linking(self.open(), linkage)
            }
            other => other,
        };
    }

    fn open(&mut self) -> Current {
        self.generation += 1;
        Current {
            link: Link::open(&self.context, self.generation),
            client: None,
            probe: Probe::new(Instant::now()),
            online_since: None,
            server: None,
            qr_seen: false,
            obstacle: None,
            ending: Ending::default(),
            refused: self.context.store.refused(),
        }
    }

    /// Leads to what shall come next, as soon as no client stands before it.
    pub(crate) fn head_for(&mut self, then: Then) {
        self.phase = std::mem::take(&mut self.phase).toward(then);
    }

    /// Whether no client is wanted.
    pub(crate) fn rests(&self) -> bool {
        matches!(
            self.phase,
            Phase::Resting(_)
                | Phase::Closing { then: Then::Rest(_), .. }
                | Phase::Erasing(Then::Rest(_))
        )
    }

    pub(crate) fn gap(&self, at: UnixMillis, why: Disconnect) -> Gap {
        Gap { attempt: self.backoff.failures(), at, why }
    }

    /// What the next client is for, if it is to start now; `why` there is none at the moment.
    pub(crate) fn effort(&mut self, why: Disconnect) -> Effort {
        if self.linked {
            return Effort::Connect(self.gap(UnixMillis::now(), why));
        }
        let linkage = self.phase.linkage().map(std::mem::take).unwrap_or_default();
        Effort::Link(linkage.renewed())
    }

    /// No client is wanted any more; why.
    pub(crate) fn rest(&mut self, rest: Rest) {
        self.head_for(Then::Rest(rest));
    }

    pub(crate) fn client(&mut self) -> Option<Arc<Client>> {
        self.phase.running().and_then(|current| current.client.clone())
    }

    /// Replaces the client now.
    pub(crate) fn drop_connection(&mut self, why: Disconnect) {
        let effort = self.effort(why);
        self.head_for(Then::Open(effort));
    }

    /// Erases the credentials, for the reason that is shown.
    pub(crate) fn forget(&mut self, why: LoggedOut) {
        self.linked = false;
        self.context.holds.set(None);
        self.context.status.set_account(None);
        self.rest(Rest::LoggedOut(why));
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Closing { current, then, .. } => Phase::Closing { current, erase: true, then },
            Phase::Resting(rest) => {
                self.erase();
                Phase::Erasing(Then::Rest(rest))
            }
            other => other,
        };
    }

    /// The client has nothing to say to WhatsApp any more.
    pub(crate) fn down(&mut self, ending: Ending) {
        if let Some(current) = self.phase.current() {
            current.ending = ending;
        }
        if let Some(why) = self.phase.running().map(|current| current.why()) {
            let effort = self.effort(why);
            self.head_for(Then::Retry(effort));
        }
    }

    /// The client is down and flushed.
    pub(crate) fn ended(&mut self) {
        if self.phase.running().is_some() {
            // It had no time to say that it goes down.
            self.down(Ending::default());
        }
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Closing { erase: true, then, .. } => {
                self.erase();
                Phase::Erasing(then)
            }
            Phase::Closing { current, then: Then::Retry(effort), .. } => {
                self.failed(&current, effort)
            }
            Phase::Closing { then, .. } => then.begin(),
            other => other,
        };
    }

    /// What follows a connection that was lost, or never made.
    fn failed(&mut self, ended: &Current, effort: Effort) -> Phase {
        if let Some(since) = ended.online_since {
            self.backoff.held(since.elapsed());
        }
        if !self.linked && self.backoff.failures() >= LINK_TRIES {
            return Phase::Resting(Rest::Pending(Pending::LinkFailed));
        }
        let why = ended.why();
        let delay = match why {
            Disconnect::Server(code) => self.backoff.fail(Some(code)).max(SERVER_PAUSE),
            _ => self.backoff.fail(None),
        };
        let effort = match effort {
            Effort::Connect(_) => Effort::Connect(self.gap(UnixMillis::now().after(delay), why)),
            link @ Effort::Link(_) => link,
        };
        Phase::Waiting(Instant::now() + delay, effort)
    }

    fn erase(&self) {
        let context = Arc::clone(&self.context);
        self.context.tasks.spawn("erase credentials", async move {
            let done = context.store.space(&context.name).erase().await;
            if let Err(error) = &done {
                tracing::error!(device = %context.name, %error, "Credentials could not be erased; trying again.");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            drop(context.notices.send((0, Notice::Erased(done.is_ok()))));
        });
    }

    pub(crate) fn erased(&mut self, done: bool) {
        if !done {
            return self.erase();
        }
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Erasing(then) => then.begin(),
            other => other,
        };
    }
}

/// Whose account the credentials belong to; `None` when there are none.
pub(crate) fn account(device: &wa_rs::wacore::store::Device) -> Option<Account> {
    let pn = device.pn.as_ref()?;
    Some(Account {
        phone: PhoneNumber::exact(&pn.user).ok(),
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
