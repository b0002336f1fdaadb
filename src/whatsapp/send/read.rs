//! Read receipts that somebody asked for. They wait in the send queue like messages, under an id of ours; on the wire
//! they carry the id of the message that was read, and so does WhatsApp's ack.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::MessageId;

/// The id under which the queue has the receipt for a message.
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
