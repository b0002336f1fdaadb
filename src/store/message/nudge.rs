//! Wakes those who look in the store when there is something new for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::DeviceName;

/// What is new of the messages of each device.
#[derive(Clone, Default)]
pub(super) struct Nudges {
    /// Something is to be sent.
    pub(super) queued: Nudge,
    /// Something is to be sent later, or at another time than before.
    pub(super) scheduled: Nudge,
}

/// A counter per device that only says "look in the store".
#[derive(Clone, Default)]
pub(super) struct Nudge(Arc<Mutex<BTreeMap<DeviceName, watch::Sender<u64>>>>);

impl Nudge {
    pub(super) fn give(&self, device: &DeviceName) {
        self.with(device, |nudge| nudge.send_modify(|n| *n = n.wrapping_add(1)));
    }

    pub(super) fn watch(&self, device: &DeviceName) -> watch::Receiver<u64> {
        self.with(device, watch::Sender::subscribe)
    }

    fn with<T>(&self, device: &DeviceName, f: impl FnOnce(&watch::Sender<u64>) -> T) -> T {
        let mut nudges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f(nudges.entry(device.clone()).or_default())
    }
}
