//! How many messages of a device wait, and the place of its newest: one row, so that taking a message reads no queue.

use fjall::Readable;

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
    /// How many are to be queued later.
    pub(super) scheduled: u64,
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
        match (parts.number(), parts.number(), parts.number()) {
            // An older version knew of none.
            (Some(waiting), Some(last), scheduled) => {
                Ok(Self { waiting, last, scheduled: scheduled.unwrap_or_default() })
            }
            _ => Err(StoreError::Damaged("a count of messages".to_owned())),
        }
    }

    /// How many messages of each of these devices are queued.
    pub(super) fn waiting(outbox: &Outbox, devices: &[DeviceName]) -> Result<Vec<u64>, StoreError> {
        let now = outbox.db.snapshot();
        let waiting = |device: &DeviceName| {
            let key = Key::new(b'n').device(device).into_bytes();
            let row = now.get(&outbox.queue, key).map_err(StoreError::database)?;
            Ok(row.and_then(|row| Parts::of(&row).number()).unwrap_or_default())
        };
        devices.iter().map(waiting).collect()
    }

    pub(super) fn save(&self, outbox: &Outbox, txn: &mut Txn<'_>, device: &DeviceName) {
        let row = Key::default().number(self.waiting).number(self.last).number(self.scheduled);
        txn.put(&outbox.queue, Key::new(b'n').device(device), row.into_bytes());
    }
}
