//! Albums: a message that announces files, and the files, promised together or not at all.

use super::{Enqueued, SendQueue, enqueue_and_nudge};
use crate::model::{IdempotencyKey, SendRequest, SentMessage};
use crate::store::StoreError;
use crate::store::database::committer::Promise;
use crate::store::disk::Room;

/// When a message must be able to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    /// Once its caller is answered: its fate comes first and takes it along, or `settle` does.
    Later,
}

impl SendQueue {
    /// Puts an album's announcement and its files on disk, in this order and in one commit. The answer is about the
    /// announcement, which the key belongs to. Durable before `Ok`, unless that is due later.
    pub(crate) async fn enqueue_album(
        &self,
        album: SentMessage,
        files: Vec<SendRequest>,
        key: Option<IdempotencyKey>,
        limit: usize,
        due: Due,
    ) -> Result<Enqueued, StoreError> {
        let nudges = self.nudges.clone();
        // What is known under its key is looked for after a power cut too.
        let promise = match due {
            Due::Later if key.is_none() => Promise::Lazy,
            Due::Later | Due::Now => Promise::Durable,
        };
        self.writer
            .run(promise, Room::Promise, move |outbox, txn| {
                let room = limit.saturating_sub(files.len());
                let announced =
                    enqueue_and_nudge(outbox, txn, album, key.as_ref(), room, nudges.clone())?;
                if let Enqueued::Queued(album) = &announced {
                    for (n, file) in files.into_iter().enumerate() {
                        let file = album.with_part(n, file);
                        enqueue_and_nudge(outbox, txn, file, None, limit, nudges.clone())?;
                    }
                }
                Ok(announced)
            })
            .await
    }
}
