//! WhatsApp's acks of what was sent.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::MessageId;

/// The messages that WhatsApp said it has since the send loop asked last. What the disk knows of it comes later; the next
/// message of a chat need not wait for that.
#[derive(Default)]
pub(crate) struct Acks {
    ids: Mutex<Vec<MessageId>>,
    news: Notify,
}

impl Acks {
    pub(crate) fn note(&self, id: MessageId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        self.news.notify_one();
    }

    /// Those that came, once there is one. When this is dropped before its end, none is lost.
    pub(crate) async fn next(&self) -> Vec<MessageId> {
        loop {
            let ids = std::mem::take(&mut *self.ids.lock().unwrap_or_else(PoisonError::into_inner));
            if !ids.is_empty() {
                return ids;
            }
            self.news.notified().await;
        }
    }
}

/// The id under which the queue has the read receipt for a message: it waits there like messages, under an id of ours; on the
/// wire it carries the id of the message that was read, and so does WhatsApp's ack.
pub(crate) fn read_receipt_id(message: &MessageId) -> MessageId {
    // An id that is too long for the prefix gets another one; its receipt then ends without WhatsApp's ack.
    MessageId::parse(&format!("read-{message}")).unwrap_or_else(MessageId::random)
}

/// The messages whose read receipts were written. The engine acknowledges each message with a receipt of its own under
/// the same id; WhatsApp's acks of those are not meant here.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<BTreeSet<MessageId>>>);

impl Written {
    /// The receipt that an ack is for.
    pub(crate) fn acked(&self, message: &str) -> Option<MessageId> {
        let message = MessageId::parse(message)?;
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.remove(&message).then(|| read_receipt_id(&message))
    }

    pub(crate) fn insert(&self, message: &MessageId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone());
    }
}
