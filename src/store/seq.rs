//! Where an event is in its device's log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::DeviceName;

/// An event's place in its device's log, from 1.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Seq(pub u64);

/// One place in every device's log, which only moves forward, for those who wait for that. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<BTreeMap<DeviceName, watch::Sender<Seq>>>>);

impl Places {
    pub(crate) fn advance(&self, device: &DeviceName, to: Seq) {
        self.sender(device).send_if_modified(|place| {
            let moved = to > *place;
            *place = to.max(*place);
            moved
        });
    }

    pub(crate) fn of(&self, device: &DeviceName) -> Seq {
        *self.sender(device).borrow()
    }

    /// `Seq(0)` until it moves.
    pub(crate) fn watch(&self, device: &DeviceName) -> watch::Receiver<Seq> {
        self.sender(device).subscribe()
    }

    /// Whoever is woken asks for a place at once, so that the lock must not be held until then.
    fn sender(&self, device: &DeviceName) -> watch::Sender<Seq> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match places.get(device) {
            Some(known) => known.clone(),
            None => places.entry(device.clone()).or_default().clone(),
        }
    }
}
