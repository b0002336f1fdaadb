//! What keeps queued messages from going although the device is connected. WhatsApp locks an account against new
//! contacts for a time, and each further try counts against it: those messages wait, the others go on. And the device
//! has a pace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::{DeviceName, MessageId, UnixMillis};

/// How long a lock is taken to last when WhatsApp does not say until when.
const UNKNOWN: Duration = Duration::from_mins(10);

/// WhatsApp does not let the account write to new contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    /// Until when, if WhatsApp said so.
    pub(crate) until: Option<UnixMillis>,
    /// When it is taken to be over.
    pub(crate) end: Instant,
}

impl Lock {
    pub(crate) fn until(until: Option<UnixMillis>) -> Self {
        let left = until.map_or(UNKNOWN, |until| until.since(UnixMillis::now()));
        Self { until, end: Instant::now() + left }
    }
}

/// What a queued message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// A stable code.
    pub waits_for: &'static str,
    /// When it will go at the earliest, if that is known.
    pub not_before: Option<UnixMillis>,
}

/// The lock of a device, and the messages that wait for its end or for their turn.
pub(crate) struct Holds {
    device: DeviceName,
    lock: watch::Sender<Option<Lock>>,
    held: Mutex<BTreeSet<MessageId>>,
    paced: watch::Sender<BTreeMap<MessageId, Hold>>,
    /// Whether a lock may be there that was known before the start.
    unsure: AtomicBool,
}

impl Holds {
    pub(crate) fn new(device: DeviceName) -> Self {
        Self {
            device,
            lock: watch::Sender::default(),
            held: Mutex::default(),
            paced: watch::Sender::default(),
            unsure: AtomicBool::new(false),
        }
    }

    /// The account was linked before the start.
    pub(crate) fn doubt(&self) {
        self.unsure.store(true, Ordering::Relaxed);
    }

    /// Whether WhatsApp must be asked for a lock now.
    pub(crate) fn must_ask(&self) -> bool {
        self.unsure.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn set(&self, lock: Option<Lock>) {
        self.lock.send_if_modified(|now| std::mem::replace(now, lock) != lock);
        metrics::gauge!("moonwa_sending_locked", "device" => self.device.to_string())
            .set(if lock.is_some() { 1.0 } else { 0.0 });
    }

    /// Ends a lock whose time is over.
    pub(crate) fn expire(&self) {
        if self.lock().is_some_and(|lock| lock.end <= Instant::now()) {
            self.set(None);
        }
    }

    pub(crate) fn lock(&self) -> Option<Lock> {
        *self.lock.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Lock>> {
        self.lock.subscribe()
    }

    pub(crate) fn hold(&self, id: &MessageId) {
        self.held().insert(id.clone());
    }

    pub(crate) fn forget(&self, id: &MessageId) {
        self.held().remove(id);
    }

    /// Why a message waits.
    pub(crate) fn of(&self, id: &MessageId) -> Option<Hold> {
        let lock = self.lock().filter(|_| self.held().contains(id));
        let locked = lock.map(|lock| Hold { waits_for: "locked", not_before: lock.until });
        locked.or_else(|| self.paced.borrow().get(id).copied())
    }

    /// Which messages wait for their turn now.
    pub(crate) fn pace(&self, paced: BTreeMap<MessageId, Hold>) {
        self.paced.send_if_modified(|now| std::mem::replace(now, paced) != *now);
    }

    /// Resolves when it is known that a message will not have its turn before that time.
    pub(crate) async fn later_than(&self, id: &MessageId, time: UnixMillis) {
        let later = |paced: &BTreeMap<MessageId, Hold>| {
            paced.get(id).and_then(|hold| hold.not_before).is_some_and(|at| at > time)
        };
        // The sender lives as long as this.
        self.paced.subscribe().wait_for(later).await.ok();
    }

    /// All of them may be tried again.
    pub(crate) fn release(&self) -> BTreeSet<MessageId> {
        std::mem::take(&mut *self.held())
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<MessageId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
