//! Read receipts that somebody asked for. They wait in the send queue like messages, under an id of ours; on the wire they
//! carry the id of the message that was read, and so does WhatsApp's ack.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wa_rs::Jid;
use wa_rs::client::Client;

use super::failure::Failure;
use crate::model::{self, MessageId};

/// How long the engine may take to write one.
const PATIENCE: Duration = Duration::from_secs(30);

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

    fn insert(&self, message: &MessageId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone());
    }
}

/// Writes the receipt for `message` to its chat.
pub(crate) async fn write(
    client: &Client,
    written: &Written,
    chat: &Jid,
    message: &MessageId,
    author: Option<&model::Jid>,
) -> Result<(), Failure> {
    let author: Option<Jid> = match author.map(|author| author.as_str().parse()).transpose() {
        Ok(author) => author,
        Err(error) => return Err(Failure::never("invalid_request", &error)),
    };
    written.insert(message);
    let ids = [message.as_str()];
    match tokio::time::timeout(PATIENCE, client.mark_as_read(chat, author.as_ref(), &ids)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Failure::Offline),
        Err(_) => Err(Failure::Later("the read receipt took too long".to_owned())),
    }
}
