//! The clock that tells how old events are. It runs only while the store is open, so events do not become old because
//! the wall clock jumps (a Raspberry Pi has no battery for its clock).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fjall::Keyspace;

use crate::knobs::knobs;
use crate::model::UnixMillis;
use crate::store::StoreError;
use crate::store::database::txn::Txn;
use crate::store::key::{Key, number};

pub(crate) struct StoreClock {
    base: UnixMillis,
    since: Instant,
    saved: AtomicU64,
}

impl StoreClock {
    /// Goes on from what was saved; without that, from the newest thing in the store. A new store begins with the
    /// time of the wall clock, which need not be right.
    pub(crate) fn open(meta: &Keyspace, newest: Option<UnixMillis>) -> Result<Self, StoreError> {
        let row = meta.get(key()).map_err(StoreError::database)?;
        let saved = row.map(|row| number(&row)).transpose()?.map(UnixMillis::from_millis);
        let base = saved.max(newest).unwrap_or_else(UnixMillis::now).after(knobs().store_age);
        Ok(Self { base, since: Instant::now(), saved: AtomicU64::new(base.millis()) })
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.base.after(self.since.elapsed())
    }

    /// Saves the time with the other changes of a transaction, unless it was saved less than `every` ago.
    pub(crate) fn save(&self, meta: &Keyspace, txn: &mut Txn<'_>, every: Duration) {
        let now = self.now();
        if now.since(UnixMillis::from_millis(self.saved.load(Ordering::Relaxed))) >= every {
            self.saved.store(now.millis(), Ordering::Relaxed);
            txn.put(meta, key(), now.millis().to_be_bytes().to_vec());
        }
    }
}

fn key() -> Vec<u8> {
    Key::new(b'a').into_bytes()
}
