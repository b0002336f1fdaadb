//! How many messages of a device wait, and the place of its newest: one row, so that taking a message reads no queue.

use crate::model::DeviceName;
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::key::{Key, Parts};

/// What is known of a device's messages without reading them.
#[derive(Default)]
pub(super) struct Counts {
    /// How many are queued.
    pub(super) waiting: u64,
    /// The place of the newest.
    pub(super) last: u64,
}

impl Counts {
    pub(super) fn load(
        outbox: &Outbox,
        txn: &Txn<'_>,
        device: &DeviceName,
    ) -> Result<Self, StoreError> {
        let Some(row) = txn.get(&outbox.queue, Key::new(b'n').device(device))? else {
            return Ok(Self::default());
        };
        let mut parts = Parts::of(&row);
        match (parts.number(), parts.number()) {
            (Some(waiting), Some(last)) => Ok(Self { waiting, last }),
            _ => Err(StoreError::Damaged("a count of messages".to_owned())),
        }
    }

    pub(super) fn save(&self, outbox: &Outbox, txn: &mut Txn<'_>, device: &DeviceName) {
        let row = Key::default().number(self.waiting).number(self.last);
        txn.put(&outbox.queue, Key::new(b'n').device(device), row.into_bytes());
    }
}
