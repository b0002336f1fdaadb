//! What keeps queued messages from going although the device is connected: WhatsApp locks an account against new
//! contacts for a time, and each further try counts against it. Those messages wait; the others go on.

use std::collections::BTreeSet;
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

/// The lock of a device, and the messages that wait for its end.
pub(crate) struct Holds {
    device: DeviceName,
    lock: watch::Sender<Option<Lock>>,
    held: Mutex<BTreeSet<MessageId>>,
    /// Whether a lock may be there that was known before the start.
    unsure: AtomicBool,
}

impl Holds {
    pub(crate) fn new(device: DeviceName) -> Self {
        Self {
            device,
            lock: watch::Sender::default(),
            held: Mutex::default(),
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

    pub(crate) fn holds(&self, id: &MessageId) -> bool {
        self.held().contains(id)
    }

    /// All of them may be tried again.
    pub(crate) fn release(&self) -> BTreeSet<MessageId> {
        std::mem::take(&mut *self.held())
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<MessageId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
