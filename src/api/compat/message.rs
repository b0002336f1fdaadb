//! Sending for the faces. A message is queued as through `/v1`; those callers want to hear at once what became of it,
//! so it is followed for a while. One that is not out by then stays promised, and goes out later.

use std::time::Duration;

use crate::api::call::{Call, PathName};
use crate::api::http::problem::{Code, Problem};
use crate::api::v1::message::content::SendBody;
use crate::api::v1::message::{self, queue};
use crate::model::{Jid, MessageId, MessageStatus, SentMessage, UnixMillis};
use crate::store::{Due, Upload};
use crate::whatsapp::WhatsAppError;

/// How long a caller waits to hear whether WhatsApp took a message.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a problem says beside its code when a message failed: why, as a stable code.
pub(crate) const FAILURE: &str = "failure";

/// Sends what a body asks for.
pub(crate) async fn send(
    call: &Call,
    body: SendBody,
    upload: Option<Upload>,
) -> Result<SentMessage, Problem> {
    followed(call, Box::pin(message::accept(call, body, upload, Due::Now))).await
}

/// Queues a message and follows it until it is known whether WhatsApp took it, or until it must wait.
pub(crate) async fn followed(
    call: &Call,
    queued: impl Future<Output = Result<SentMessage, Problem>>,
) -> Result<SentMessage, Problem> {
    let changes = call.state.api.store.queue().changes();
    let queued = queued.await?;
    let handle = call.handle()?;
    let later = handle.held_later_than(&queued.id, UnixMillis::now().after(PATIENCE));
    let followed =
        queue::follow(&call.state, changes, queued.clone(), MessageStatus::is_settled, PATIENCE);
    let message = tokio::select! {
        message = followed => message?,
        // It has to wait for its turn longer than its caller would.
        () = later => queued.clone(),
    };
    match &message.status {
        MessageStatus::Failed { code, detail } => {
            let words = if detail.is_empty() { code } else { detail };
            Err(Problem::new(Code::WhatsAppRefused, words.clone()).with(FAILURE, code))
        }
        _ => Ok(message),
    }
}

/// Names the message that a request is about, where its path does not.
pub(crate) fn about(call: &mut Call, id: &str) {
    call.path.set(PathName::Message, id.to_owned());
}

/// Who wrote a message in that chat; nobody else when the account itself did.
pub(crate) async fn author(
    call: &Call,
    id: &MessageId,
    chat: &Jid,
) -> Result<Option<Jid>, Problem> {
    let (name, _) = call.device()?;
    if call.state.api.store.queue().own(&name, id).await?.is_some() {
        return Ok(None);
    }
    match call.handle()?.author(id).await {
        // Of two people in a chat it was the other one.
        Err(WhatsAppError::NotFound | WhatsAppError::OutOfSight) if !chat.is_group() => {
            Ok(Some(chat.clone()))
        }
        found => Ok(found?),
    }
}
