//! The send queue: every message a caller was promised, how far it got, and the idempotency keys under which they
//! came. Rows live in `state/`.

use tokio::sync::{broadcast, watch};

use super::StoreError;
use crate::model::{DeviceName, IdempotencyKey, MessageId, MessageStatus, SentMessage};

/// What came of queueing a message.
#[derive(Clone, Debug)]
pub enum Enqueued {
    /// It is on disk now.
    Queued(SentMessage),
    /// The same key and the same request came before; this is that message.
    Known(SentMessage),
    /// The key was used for another request.
    Conflict,
    /// The device has `limit` messages waiting.
    Full,
}

/// The queue of all devices.
pub struct SendQueue {}

impl SendQueue {
    /// Puts a message on disk (and its idempotency key, in one batch), durable before `Ok`.
    pub async fn enqueue(
        &self,
        _message: SentMessage,
        _key: Option<IdempotencyKey>,
        _limit: usize,
    ) -> Result<Enqueued, StoreError> {
        todo!()
    }

    /// Messages of a device still `Queued`, oldest first.
    pub async fn queued(
        &self,
        _device: &DeviceName,
        _limit: usize,
    ) -> Result<Vec<SentMessage>, StoreError> {
        todo!()
    }

    /// One message.
    pub async fn get(
        &self,
        _device: &DeviceName,
        _id: &MessageId,
    ) -> Result<Option<SentMessage>, StoreError> {
        todo!()
    }

    /// The newest messages of a device, newest first.
    pub async fn recent(
        &self,
        _device: &DeviceName,
        _limit: usize,
    ) -> Result<Vec<SentMessage>, StoreError> {
        todo!()
    }

    /// Moves a message on. `None` when it is unknown or the status is no progress; else the message as it is now.
    /// Durable before `Ok`.
    pub async fn advance(
        &self,
        _device: &DeviceName,
        _id: &MessageId,
        _status: MessageStatus,
    ) -> Result<Option<SentMessage>, StoreError> {
        todo!()
    }

    /// Wakes whenever something was queued for the device.
    pub fn nudge(&self, _device: &DeviceName) -> watch::Receiver<u64> {
        todo!()
    }

    /// Every change of a status, for `?wait=` and the admin page. A slow receiver misses some: look in the store.
    pub fn changes(&self) -> broadcast::Receiver<SentMessage> {
        todo!()
    }
}
