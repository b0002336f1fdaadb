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
        self.with(device, |place| {
            place.send_if_modified(|place| {
                let moved = to > *place;
                *place = to.max(*place);
                moved
            })
        });
    }

    /// `Seq(0)` until it moves.
    pub(crate) fn watch(&self, device: &DeviceName) -> watch::Receiver<Seq> {
        self.with(device, watch::Sender::subscribe)
    }

    fn with<T>(&self, device: &DeviceName, f: impl FnOnce(&watch::Sender<Seq>) -> T) -> T {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || watch::Sender::new(Seq(0));
        f(places.entry(device.clone()).or_insert_with(fresh))
    }
}
