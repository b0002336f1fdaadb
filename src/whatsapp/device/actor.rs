//! The actor of one device: it owns at most one client at a time, decides when there is one, and publishes why not. It
//! never waits for WhatsApp or the disk; whatever takes time runs beside it and reports back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use wa_rs::client::Client;
use wa_rs::wacore::store::traits::DeviceStore;

use super::backoff::Backoff;
use super::command::{Answer, DeviceCommand, Pairing};
use super::link::Link;
use super::notice::{Ending, Notice};
use super::probe::Probe;
use crate::model::{
    Account, DeviceState, Disconnect, Linking, Obstacle, Pending, PhoneNumber, Secret, Stop,
    UnixMillis,
};
use crate::whatsapp::context::Context;
use crate::whatsapp::error::WhatsAppError;

/// How often a full disk is looked at again.
const ROOM: Duration = Duration::from_secs(2);
/// How often an unlinked client may fail before the linking is given up.
const LINK_TRIES: u32 = 5;
/// The longest pause between two connections that were replaced because a message got no ack.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_mins(15);
/// The shortest pause after WhatsApp itself asked for one.
const SERVER_PAUSE: Duration = Duration::from_secs(5);

/// Whether a connection is wanted.
pub(crate) enum Wish {
    Up,
    Down,
}

/// Whether the credentials are to be erased.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Erasure {
    No,
    /// As soon as the client is down.
    Due,
    Running,
}

/// The account whose messages the send queue has, by its phone number. Nothing is sent for another one.
#[derive(PartialEq, Eq)]
pub(crate) enum Owner {
    Unknown,
    /// The queue is being told.
    Asked,
    Account(String),
}

/// The client that runs now, and what is known of it.
pub(crate) struct Current {
    pub(crate) link: Link,
    pub(crate) client: Option<Arc<Client>>,
    pub(crate) probe: Probe,
    pub(crate) online_since: Option<Instant>,
    /// WhatsApp's own code for the end of this connection.
    pub(crate) server: Option<u16>,
    pub(crate) qr_seen: bool,
    /// It was told to go down: what it still says about codes and endings no longer counts.
    pub(crate) closing: bool,
    /// What stands in the way of the connection, as far as was told.
    pub(crate) obstacle: Option<Obstacle>,
    /// How many writes the store had refused when this client started.
    pub(crate) refused: u64,
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
    pub(crate) wish: Wish,
    pub(crate) current: Option<Current>,
    pub(crate) generation: u64,
    pub(crate) why: Disconnect,
    pub(crate) backoff: Backoff,
    /// When a message without an ack last cost the connection, and how long it may not do so again.
    pub(crate) unacked: Option<(Duration, Instant)>,
    pub(crate) retry: Option<Instant>,
    /// The connection that ends next is followed by another at once.
    pub(crate) again: bool,
    pub(crate) erasure: Erasure,
    /// What a person can use now to link the device.
    pub(crate) linking: Linking,
    /// The passkey question, for another try after a failed one.
    pub(crate) question: Option<Secret>,
    pub(crate) pair: Option<Pairing>,
    pub(crate) waiting: Vec<Answer>,
}

impl Device {
    /// An actor that has not looked at its credentials yet.
    pub(crate) fn new(
        context: Arc<Context>,
        mailbox: mpsc::UnboundedReceiver<DeviceCommand>,
        notices: mpsc::UnboundedReceiver<(u64, Notice)>,
        live: watch::Sender<Option<Arc<Client>>>,
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
            wish: Wish::Down,
            current: None,
            generation: 0,
            why: Disconnect::Starting,
            backoff: Backoff::default(),
            unacked: None,
            retry: None,
            again: false,
            erasure: Erasure::No,
            linking: Linking::default(),
            question: None,
            pair: None,
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
            self.rest(DeviceState::Stopped(Stop::Disabled));
        } else if self.linked {
            self.context.holds.doubt();
            self.wish = Wish::Up;
        } else {
            self.rest(DeviceState::Pending(Pending::NotStarted));
        }
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
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.settle();
            let retry = self.retry.filter(|_| self.current.is_none());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some((generation, notice)) = self.notices.recv() => self.react(generation, notice),
                command = self.mailbox.recv() => match command {
                    None | Some(DeviceCommand::Quit) => return,
                    Some(command) => self.obey(command),
                },
                () = until(retry), if retry.is_some() => self.retry = None,
                _ = tick.tick(), if self.current.is_some() => self.judge(),
            }
        }
    }

    /// Closes the client, if there is one, and waits until it is down and flushed.
    pub(crate) async fn leave(&mut self) {
        self.live.send_replace(None);
        if let Some(current) = self.current.take() {
            current.link.close();
            drop(current);
            while let Some((generation, notice)) = self.notices.recv().await {
                if generation == self.generation && matches!(notice, Notice::Ended(_)) {
                    break;
                }
            }
        }
        self.context.status.set(DeviceState::Stopped(Stop::Shutdown));
    }

    /// After a panic the client is replaced.
    pub(crate) fn recover(&mut self) {
        if matches!(self.wish, Wish::Up) {
            self.drop_connection(Disconnect::Crashed);
        }
    }

    /// Opens a client when one is wanted and nothing stands in the way.
    fn settle(&mut self) {
        let ready = self.current.is_none() && self.erasure == Erasure::No && self.retry.is_none();
        if !ready || !matches!(self.wish, Wish::Up) {
            return;
        }
        if self.linked && !self.context.store.has_room() {
            self.why = Disconnect::Store;
            self.show_waiting(UnixMillis::now().after(ROOM));
            self.retry = Some(Instant::now() + ROOM);
            return;
        }
        self.generation += 1;
        self.again = false;
        // The codes of another connection are dead.
        let trouble = self.linking.trouble.take();
        self.linking = Linking { trouble, ..Linking::default() };
        self.question = None;
        self.show_waiting(UnixMillis::now());
        self.current = Some(Current {
            link: Link::open(&self.context, self.generation),
            client: None,
            probe: Probe::new(Instant::now()),
            online_since: None,
            server: None,
            qr_seen: false,
            closing: false,
            obstacle: None,
            refused: self.context.store.refused(),
        });
    }

    pub(crate) fn show_waiting(&self, retry_at: UnixMillis) {
        let state = if self.linked {
            let attempt = self.backoff.failures();
            DeviceState::Reconnecting { attempt, retry_at, why: self.why.clone() }
        } else {
            DeviceState::Linking(self.linking.clone())
        };
        self.context.status.set(state);
    }

    /// No client is wanted any more, for the reason `state` gives.
    pub(crate) fn rest(&mut self, state: DeviceState) {
        self.wish = Wish::Down;
        self.retry = None;
        self.again = false;
        self.context.status.set(state);
        self.offline();
        self.linking = Linking::default();
        self.question = None;
        self.end_pairing(Err(WhatsAppError::NotConnected));
        self.close();
    }

    /// No further pair code is wanted.
    pub(crate) fn end_pairing(&mut self, outcome: Result<(), WhatsAppError>) {
        if let Some(answer) = self.pair.take().and_then(|pairing| pairing.answer) {
            drop(answer.send(outcome));
        }
    }

    /// Begins to close the client; `Notice::Ended` follows.
    pub(crate) fn close(&mut self) {
        if let Some(current) = &mut self.current {
            current.closing = true;
            current.client = None;
            current.link.close();
        }
    }

    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.current.as_ref().and_then(|current| current.client.clone())
    }

    /// Nothing can be sent until there is a client again.
    pub(crate) fn offline(&self) {
        self.live.send_if_modified(|live| live.take().is_some());
    }

    /// Replaces the client now.
    pub(crate) fn drop_connection(&mut self, why: Disconnect) {
        self.why = why;
        self.again = true;
        self.retry = None;
        self.offline();
        self.close();
        self.show_waiting(UnixMillis::now());
    }

    /// Erases the credentials, for the reason `state` gives.
    pub(crate) fn forget(&mut self, state: DeviceState) {
        self.linked = false;
        self.erasure = Erasure::Due;
        self.context.holds.set(None);
        self.context.status.set_account(None);
        self.rest(state);
        if self.current.is_none() {
            self.erase();
        }
    }

    /// The client is down and flushed. What happens next depends on what is wanted.
    pub(crate) fn ended(&mut self, ending: Ending) {
        self.offline();
        let Some(ended) = self.current.take() else { return };
        if self.erasure == Erasure::Due {
            return self.erase();
        }
        if matches!(self.wish, Wish::Down) {
            return self.answer_waiting();
        }
        if self.again {
            return;
        }
        if let Some(since) = ended.online_since {
            self.backoff.held(since.elapsed());
        }
        if !self.linked && self.backoff.failures() >= LINK_TRIES {
            return self.rest(DeviceState::Pending(Pending::LinkFailed));
        }
        self.why = match ended.server {
            Some(code) => Disconnect::Server(code),
            None if ending.throttled => Disconnect::Server(429),
            None if ending.reached => Disconnect::Closed,
            None => Disconnect::Unreachable(ended.obstacle),
        };
        let delay = match self.why {
            Disconnect::Server(code) => self.backoff.fail(Some(code)).max(SERVER_PAUSE),
            _ => self.backoff.fail(None),
        };
        self.retry = Some(Instant::now() + delay);
        self.show_waiting(UnixMillis::now().after(delay));
    }

    fn erase(&mut self) {
        self.erasure = Erasure::Running;
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
        self.erasure = Erasure::No;
        self.answer_waiting();
    }

    pub(crate) fn answer_waiting(&mut self) {
        for answer in self.waiting.drain(..) {
            drop(answer.send(Ok(())));
        }
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
