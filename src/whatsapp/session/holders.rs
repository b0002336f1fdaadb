//! Who holds the sender keys of groups, as far as only memory may know it. The engine takes a key for delivered once it is written
//! to the connection. If the disk had that before it has that the message left, a crash in between would send the message again
//! without the key, and everybody would have to ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::store::{Key, SpaceTxn};

pub(super) const HAS_SENDER_KEY: u8 = b'g';
pub(super) const GROUPS_OF_DEVICE: u8 = b'G';

/// The devices that were given a group's key, by group.
#[derive(Clone, Default)]
pub(crate) struct Holders(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl Holders {
    pub(super) fn add<'d>(&self, group: &str, devices: impl Iterator<Item = &'d str>) {
        let mut devices = devices.peekable();
        if devices.peek().is_some() {
            let mut all = self.lock();
            all.entry(group.to_owned()).or_default().extend(devices.map(str::to_owned));
        }
    }

    pub(super) fn of(&self, group: &str) -> BTreeSet<String> {
        self.lock().get(group).cloned().unwrap_or_default()
    }

    /// Those of a group, which the disk is about to have.
    pub(super) fn take(&self, group: &str) -> BTreeSet<String> {
        self.lock().remove(group).unwrap_or_default()
    }

    pub(super) fn forget(&self, is_gone: impl Fn(&str, &str) -> bool) {
        self.lock().retain(|group, devices| {
            devices.retain(|device| !is_gone(group, device));
            !devices.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn holder(group: &str, device: &str) -> Key {
    Key::new(HAS_SENDER_KEY).part(group).rest(device)
}

pub(super) fn holding(device: &str, group: &str) -> Key {
    Key::new(GROUPS_OF_DEVICE).part(device).rest(group)
}

pub(super) fn put_holders(
    txn: &mut SpaceTxn<'_, '_>,
    group: &str,
    devices: BTreeSet<String>,
    have_it: bool,
) {
    for device in devices {
        txn.put(holder(group, &device), vec![u8::from(have_it)]);
        txn.put(holding(&device, group), Bytes::new());
    }
}
