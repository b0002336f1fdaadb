//! The state machine of one endpoint, and the only owner of its cursor. It reads the log from there, posts one event
//! at a time, and moves on when the event is delivered, parked or not wanted. `class` says what an outcome means,
//! `backoff` how long to wait.

mod backlog;
mod doubt;
mod filter;
mod report;
mod retention;
mod verdict;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::select;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::Outcome;
use super::class::Class;
use super::client::{GRACE, KeepAlive};
use super::delivery::{Deliverer, Delivery};
use super::monitor::Monitor;
use super::rule::Handed;
use crate::config::EndpointConfig;
use crate::model::UnixMillis;
use crate::store::{Begun, Cursor, EndpointId, EndpointState, Seq, StoreError, StoredEvent};
use backlog::Backlog;

/// How many events of an endpoint are held in memory.
const PAGE: usize = 64;
/// After how many unwanted events the cursor is saved although nothing was delivered.
const LAZY: u64 = 64;
/// The longest wait that is carried over a restart: the clock may have jumped meanwhile.
const LONGEST: Duration = Duration::from_mins(20);
/// The wait after the store failed to give a page.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// What a person asks an endpoint to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Pause,
    Resume,
    /// Go on after this place in the log, wherever the cursor is.
    Rewind(Seq),
    /// Count the dead letters: one was taken after all.
    Recount,
}

/// An action, and where to report that it is done.
pub(super) struct ActionRequest {
    pub(super) action: Action,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

pub(super) struct Machine {
    id: EndpointId,
    cursor: Cursor,
    current: Arc<EndpointConfig>,
    inputs: Inputs,
    deliverer: Deliverer,
    monitor: Arc<Monitor>,
    keep_alive: KeepAlive,
    page: VecDeque<StoredEvent>,
    /// Unwanted events passed since the cursor was saved.
    unsaved: u64,
    /// An event was delivered since the cursor was given to be saved.
    owed: bool,
    /// The cursor as it was given to be saved last, if nobody looked yet whether it is.
    saving: Option<Begun<()>>,
    /// When the back-off ends, by the monotonic clock.
    not_before: Option<Instant>,
    /// An event that the receiver may refuse for its own sake, because it took another one meanwhile.
    doubted: Option<Seq>,
    /// The last event that was tried in place of the one that keeps failing.
    tried_instead: Seq,
    /// Events after the cursor that are delivered already. Kept in memory only: after a restart they are delivered
    /// again.
    overtook: BTreeSet<Seq>,
    backlog: Backlog,
    /// Events that wait for the endpoint will be dropped soon.
    at_risk: bool,
    /// The dead letters that are kept.
    letters: u64,
    /// The cursor was moved while a request was under way, so that the outcome must not move it again.
    rewound: bool,
}

/// Everything that may wake the machine.
pub(super) struct Inputs {
    pub(super) config: watch::Receiver<Arc<EndpointConfig>>,
    pub(super) actions: mpsc::Receiver<ActionRequest>,
    pub(super) tail: watch::Receiver<Seq>,
    /// How far retention has got, and how far it is about to get.
    pub(super) dropped: watch::Receiver<Seq>,
    pub(super) at_risk: watch::Receiver<Seq>,
    /// What the rules hand over, and how far they have got.
    pub(super) handed: watch::Receiver<Handed>,
    /// moonwa stops.
    pub(super) shutdown: CancellationToken,
    /// The endpoint stops, because it is no longer in the file or because moonwa stops.
    pub(super) stop: CancellationToken,
}

enum Plan {
    Post(StoredEvent, Bytes),
    Wait,
}

impl Machine {
    pub(super) fn new(
        id: EndpointId,
        cursor: Cursor,
        mut inputs: Inputs,
        deliverer: Deliverer,
        monitor: Arc<Monitor>,
    ) -> Self {
        let current = inputs.config.borrow_and_update().clone();
        let left = cursor.next_try.map(|at| at.since(UnixMillis::now()).min(LONGEST));
        Self {
            backlog: Backlog::after(cursor.acked),
            id,
            cursor,
            current,
            inputs,
            deliverer,
            monitor,
            keep_alive: KeepAlive::default(),
            page: VecDeque::new(),
            unsaved: 0,
            owed: false,
            saving: None,
            not_before: left.map(|left| Instant::now() + left),
            doubted: None,
            tried_instead: Seq(0),
            overtook: BTreeSet::new(),
            at_risk: false,
            letters: 0,
            rewound: false,
        }
    }

    /// Delivers until told to stop.
    pub(super) async fn run(mut self) {
        self.count_letters().await;
        while !self.inputs.stop.is_cancelled() {
            if self.inputs.config.has_changed().unwrap_or(false) {
                self.adopt().await;
            }
            match self.plan().await {
                Plan::Post(event, body) => self.post(event, body).await,
                Plan::Wait => self.idle().await,
            }
        }
        if !self.saved().await || self.owed || self.unsaved > 0 {
            self.save_or_log().await;
        }
    }

    /// Finds the next event to post, if there is one now.
    async fn plan(&mut self) -> Plan {
        loop {
            self.look_at_retention().await;
            if self.state() != EndpointState::Active || self.is_backing_off() {
                break;
            }
            let waits = match self.next().await {
                None => false,
                Some(Plan::Wait) => true,
                Some(post) => return post,
            };
            if self.owed || self.unsaved >= LAZY {
                self.begin_to_save().await;
            }
            // The tail is marked as seen before the log is read, so an event appended in between wakes `idle`.
            let tail = *self.inputs.tail.borrow_and_update();
            if waits
                || tail <= self.cursor.acked
                || self.inputs.stop.is_cancelled()
                || !self.read().await
            {
                break;
            }
        }
        self.publish();
        Plan::Wait
    }

    /// Fills the page from the log. Returns whether there is anything to do now.
    async fn read(&mut self) -> bool {
        let log = self.deliverer.store.log();
        let page = match log.read_after(&self.cursor.device, self.cursor.acked, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                self.log_unread(&error);
                self.hold(STORE_PAUSE);
                return false;
            }
        };
        self.page = page.events.into();
        if page.dropped > 0 {
            self.lose(Seq(self.cursor.acked.0.saturating_add(page.dropped))).await;
        }
        page.dropped > 0 || !self.page.is_empty()
    }

    async fn idle(&mut self) {
        let unseen = self.unseen();
        let Inputs { config, actions, tail, dropped, at_risk, handed, stop, .. } = &mut self.inputs;
        select! {
            biased;
            () = stop.cancelled() => {}
            Some(request) = actions.recv() => self.apply(request).await,
            Ok(()) = config.changed() => self.adopt().await,
            Ok(()) = tail.changed() => self.publish(),
            // The next plan looks at it.
            Ok(()) = dropped.changed() => {}
            Ok(()) = at_risk.changed() => {}
            Ok(()) = handed.changed() => {}
            () = until(self.not_before) => {}
            () = self.keep_alive.expire() => {}
            page = unseen => self.look_at(page).await,
        }
    }

    async fn post(&mut self, event: StoredEvent, body: Bytes) {
        self.rewound = false;
        let (endpoint, source) = (self.current.clone(), event.body.clone());
        let delivery =
            Delivery { id: self.id.clone(), endpoint, event: event.id.clone(), source, body };
        if let Some(outcome) = self.deliver(&delivery).await {
            self.monitor.record(&delivery.endpoint, &event.id, &outcome);
            if !self.rewound {
                self.judge(&event, &outcome).await;
            }
        }
    }

    /// Delivers one event, and does meanwhile what must not wait for the receiver. `None` when the endpoint stops
    /// first.
    async fn deliver(&mut self, delivery: &Delivery) -> Option<Outcome> {
        if self.owed {
            // The cursor of the previous delivery is saved meanwhile. A crash then repeats that event, and at worst
            // this one too.
            self.begin_to_save().await;
            self.publish();
        }
        let deliverer = self.deliverer.clone();
        let mut keep_alive = std::mem::take(&mut self.keep_alive);
        let outcome = {
            let underway = deliverer.deliver(delivery, &mut keep_alive);
            tokio::pin!(underway);
            loop {
                select! {
                    biased;
                    answer = &mut underway => break answer,
                    () = self.inputs.stop.cancelled() => {
                        if !self.inputs.shutdown.is_cancelled() {
                            return None;
                        }
                        // If the answer still arrives, the receiver need not get the event a second time.
                        let answer = tokio::time::timeout(GRACE * 2, &mut underway).await.ok()?;
                        return (answer.class == Class::Delivered).then_some(answer);
                    }
                    Some(request) = self.inputs.actions.recv() => self.apply(request).await,
                }
            }
        };
        self.keep_alive = keep_alive;
        Some(outcome)
    }

    async fn apply(&mut self, request: ActionRequest) {
        match request.action {
            Action::Pause => self.cursor.state = EndpointState::Paused,
            Action::Resume => {
                self.cursor.state = EndpointState::Active;
                self.cursor.failures = 0;
                self.at_once();
            }
            Action::Recount => self.count_letters().await,
            Action::Rewind(seq) => {
                self.cursor.acked = seq;
                self.cursor.tries = 0;
                self.page.clear();
                self.doubted = None;
                self.overtook.clear();
                self.forget_backlog();
                self.rewound = true;
                self.at_once();
            }
        }
        let saved = self.save().await;
        self.publish();
        // The caller may have gone away.
        drop(request.done.send(saved));
    }

    /// Takes over the new values from the file. After an edit the endpoint is tried at once and a 410 is forgotten; a
    /// new place in the list is not an edit.
    async fn adopt(&mut self) {
        let next = self.inputs.config.borrow_and_update().clone();
        let edited = EndpointConfig { n: self.current.n, ..(*next).clone() } != *self.current;
        self.current = next;
        if edited {
            self.forget_backlog();
            self.at_once();
            if self.cursor.state == EndpointState::Gone {
                self.cursor.state = EndpointState::Active;
            }
            self.save_or_log().await;
        }
        self.publish();
    }

    fn advance(&mut self, seq: Seq) {
        self.cursor.acked = seq;
        self.cursor.tries = 0;
        self.backlog.passed(seq);
        if self.page.front().is_some_and(|event| event.seq == seq) {
            self.page.pop_front();
        }
    }

    fn state(&self) -> EndpointState {
        if self.current.paused { EndpointState::Paused } else { self.cursor.state }
    }

    fn is_backing_off(&self) -> bool {
        self.not_before.is_some_and(|at| at > Instant::now())
    }

    fn hold(&mut self, wait: Duration) {
        let wait = wait.mul_f64(self.deliverer.scale);
        self.not_before = Some(Instant::now() + wait);
        self.cursor.next_try = Some(UnixMillis::now().after(wait));
    }

    fn at_once(&mut self) {
        self.not_before = None;
        self.cursor.next_try = None;
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        self.deliverer.store.cursors().save(&self.id, &self.cursor).await?;
        (self.unsaved, self.owed, self.saving) = (0, false, None);
        Ok(())
    }

    /// Deliveries go on when the cursor cannot be saved: that means duplicates after a restart, never a loss.
    async fn save_or_log(&mut self) {
        if let Err(error) = self.save().await {
            self.log_unsaved(&error);
        }
    }

    /// Has the cursor saved as it is now. One is on its way at a time: a crash shall repeat few events.
    async fn begin_to_save(&mut self) {
        self.saved().await;
        match self.deliverer.store.cursors().begin_to_save(&self.id, &self.cursor).await {
            Ok(saving) => (self.unsaved, self.owed, self.saving) = (0, false, Some(saving)),
            Err(error) => self.log_unsaved(&error),
        }
    }

    /// Whether the cursor that was given to be saved is, once that is known.
    async fn saved(&mut self) -> bool {
        let Some(saving) = self.saving.take() else { return true };
        let done = saving.done().await;
        done.inspect_err(|error| self.log_unsaved(error)).is_ok()
    }

    fn log_unread(&self, error: &StoreError) {
        tracing::warn!(device = %self.cursor.device, n = self.current.n, %error, "The event log cannot be read.");
    }

    fn log_unsaved(&self, error: &StoreError) {
        tracing::warn!(device = %self.cursor.device, n = self.current.n, %error, "A webhook's cursor could not be saved.");
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
