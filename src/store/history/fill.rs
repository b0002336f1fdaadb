//! What the log and the send queue had before the history was switched on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::History;
use super::desk::Desk;
use super::take;
use crate::model::{DeviceName, SentMessage};
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::disk::Room;
use crate::store::key::Key;
use crate::store::log::retention::tails;
use crate::store::tally::Counted;
use crate::store::{EventLog, NewEvent, SendQueue, Seq, StoreError, StoredEvent};

/// Events that are taken in one transaction.
const STEP: usize = 100;
/// Messages that moonwa sent which are looked at.
const SENT: usize = 1_000;

impl History {
    /// Takes what the log and the queue have of every device, unless that was done. What was interrupted is done again:
    /// nothing is taken twice.
    pub(in crate::store) async fn fill(
        &self,
        log: &EventLog,
        queue: &SendQueue,
    ) -> Result<(), StoreError> {
        let unfilled = self.readers.run(|databases| unfilled(&databases.outbox)).await?;
        for device in unfilled {
            let mut after = queue.account_began(&device).await?;
            let tail = *log.tail(&device).borrow();
            while after < tail {
                let page = log.read_after(&device, after, STEP).await?;
                let Some(last) = page.events.last() else { break };
                after = last.seq;
                self.take_events(&device, page.events).await?;
            }
            let sent = queue.recent(&device, SENT).await?;
            self.take_sent(&device, sent).await?;
        }
        self.whole.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn take_events(
        &self,
        device: &DeviceName,
        events: Vec<StoredEvent>,
    ) -> Result<(), StoreError> {
        let device = device.clone();
        self.writer
            .run(Promise::Lazy, Room::Essential, move |outbox, txn| {
                for StoredEvent { id, kind, at, body, .. } in events {
                    let (device, counts) = (device.clone(), Counted::default());
                    take::event(outbox, txn, &NewEvent { device, id, kind, at, body, counts })?;
                }
                Ok(())
            })
            .await
    }

    /// Takes the rest, and notes that everything is taken.
    async fn take_sent(
        &self,
        device: &DeviceName,
        sent: Vec<SentMessage>,
    ) -> Result<(), StoreError> {
        let device = device.clone();
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                for message in sent.iter().rev() {
                    take::sent_before(outbox, txn, message)?;
                }
                filled(outbox, txn, &device)
            })
            .await
    }
}

fn filled_key(device: &DeviceName) -> Key {
    Key::new(b'L').device(device)
}

/// The devices with a log that is not taken yet.
fn unfilled(outbox: &Outbox) -> Result<Vec<DeviceName>, StoreError> {
    let Some(keeps) = outbox.history.get() else { return Ok(Vec::new()) };
    let mut unfilled = Vec::new();
    for (device, tail) in tails(outbox)? {
        let done = keeps.base.get(filled_key(&device)).map_err(StoreError::database)?;
        if tail > Seq(0) && done.is_none() {
            unfilled.push(device);
        }
    }
    Ok(unfilled)
}

fn filled(outbox: &Arc<Outbox>, txn: &mut Txn<'_>, device: &DeviceName) -> Result<(), StoreError> {
    if let Some(desk) = Desk::open(outbox, txn, device)? {
        let base = desk.keeps.base.clone();
        desk.txn.put(&base, filled_key(device), Vec::new());
    }
    Ok(())
}
