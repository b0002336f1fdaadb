//! From a request to a queued message: whether it can be taken, whether it was taken before, and what becomes of it.
//! Both `/v1` and `/api` send this way.

use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, timeout_at};

use crate::api::call::Call;
use crate::api::http::problem::{Code, Problem};
use crate::api::state::State;
use crate::model::{
    ChatKind, Content, Degradation, DeviceName, DeviceState, IdempotencyKey, KeyHash,
    MessageStatus, Recipient, SendRequest, SentMessage, UnixMillis,
};
use crate::store::{Due, Enqueued, QUEUE_LIMIT};
use crate::whatsapp::DeviceHandle;

/// When to try again if sending is locked and WhatsApp does not say until when.
const LOCKED: Duration = Duration::from_mins(10);

/// Refuses a message for a device that will not be able to send it soon: it would wait, and nobody would know.
pub(crate) fn check_state(state: &DeviceState) -> Result<(), Problem> {
    match state {
        DeviceState::Connected | DeviceState::Degraded(_) | DeviceState::Reconnecting { .. } => {
            Ok(())
        }
        other => {
            let detail = format!("the device is {}", other.as_str().replace('_', " "));
            Err(Problem::new(Code::DeviceNotConnected, detail))
        }
    }
}

/// Refuses what WhatsApp would refuse with 463, because every further try counts against the account. The lock is only
/// about new contacts: people who wrote lately, or received a message lately, can still be written to.
pub(crate) async fn check_lock(handle: &DeviceHandle, to: &Recipient) -> Result<(), Problem> {
    match locked(&handle.status().state, to) {
        Err(problem) if !handle.in_touch(to).await? => Err(problem),
        _ => Ok(()),
    }
}

fn locked(state: &DeviceState, to: &Recipient) -> Result<(), Problem> {
    let DeviceState::Degraded(Degradation::SendingLocked(until)) = state else { return Ok(()) };
    if to.jid().chat_kind() != ChatKind::Person {
        return Ok(());
    }
    let wait = until.map_or(LOCKED, |until| until.since(UnixMillis::now()));
    Err(Problem::from(Code::SendingLocked).retry_after(wait))
}

pub(crate) fn idempotency_key(call: &Call) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = call.head.headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(IdempotencyKey::parse);
    let wrong = || Problem::field("Idempotency-Key", "1 to 255 visible ASCII characters");
    key.map(Some).ok_or_else(wrong)
}

/// The message that was queued earlier for the same request under that key. It is the answer whatever has happened to
/// the device since: a caller that repeats a request because it heard nothing must not be told that nothing was sent.
pub(crate) async fn promised(
    state: &State,
    device: &DeviceName,
    request: &SendRequest,
    key: Option<&IdempotencyKey>,
) -> Result<Option<SentMessage>, Problem> {
    let Some(key) = key else { return Ok(None) };
    match state.api.store.queue().known(device, request, key).await? {
        Some(Enqueued::Conflict) => Err(Code::IdempotencyConflict.into()),
        Some(Enqueued::Known(message) | Enqueued::Queued(message)) => Ok(Some(message)),
        Some(Enqueued::Full) | None => Ok(None),
    }
}

/// Every further message of a request needs a key of its own.
pub(crate) fn nth_key(key: Option<&IdempotencyKey>, n: usize) -> Option<IdempotencyKey> {
    let key = key?;
    if n == 0 {
        return Some(key.clone());
    }
    // Hashed, because a key of the greatest length has no room for a number.
    let derived = KeyHash::of(&format!("{}#{n}", key.as_str()));
    IdempotencyKey::parse(&derived.to_string())
}

/// Gives a message its id and puts it on disk, with the files of the album that it announces.
pub(crate) async fn enqueue(
    call: &Call,
    device: &DeviceName,
    (request, at, expires): (SendRequest, Option<UnixMillis>, Option<UnixMillis>),
    files: Vec<SendRequest>,
    key: Option<IdempotencyKey>,
    due: Due,
) -> Result<SentMessage, Problem> {
    let by = call.who.author();
    let message = SentMessage { expires, by, ..SentMessage::new(device.clone(), request) };
    let message = match at {
        Some(at) => message.at(at),
        None => message,
    };
    let queue = call.state.api.store.queue();
    match queue.enqueue_album(message, files, key, QUEUE_LIMIT, due).await? {
        Enqueued::Queued(message) | Enqueued::Known(message) => Ok(message),
        Enqueued::Conflict => Err(Code::IdempotencyConflict.into()),
        Enqueued::Full => Err(Problem::from(Code::QueueFull).retry_after(Duration::from_mins(1))),
    }
}

/// A message that the device's present account sent.
pub(crate) async fn own(call: &Call) -> Result<SentMessage, Problem> {
    let (name, _) = call.device()?;
    let message = call.state.api.store.queue().own(&name, &call.message()?).await?;
    message.ok_or_else(|| Code::MessageNotFound.into())
}

/// Queues a message about another one.
pub(crate) async fn follow_up(
    call: &Call,
    to: Recipient,
    content: Content,
) -> Result<SentMessage, Problem> {
    let (name, _) = call.device()?;
    let key = idempotency_key(call)?;
    let request = SendRequest::plain(to, content);
    match promised(&call.state, &name, &request, key.as_ref()).await? {
        Some(message) => Ok(message),
        None => {
            check_state(&call.handle()?.status().state)?;
            enqueue(call, &name, (request, None, None), Vec::new(), key, Due::Now).await
        }
    }
}

/// Follows a message until `done`, or until the patience is over, and gives it as it is then. `changes` must have been
/// subscribed to before the message was queued.
pub(crate) async fn follow(
    state: &State,
    mut changes: broadcast::Receiver<SentMessage>,
    mut message: SentMessage,
    done: fn(&MessageStatus) -> bool,
    patience: Duration,
) -> Result<SentMessage, Problem> {
    let deadline = Instant::now() + patience;
    let queue = state.api.store.queue();
    let stop = state.api.tasks.stop();
    while !done(&message.status) {
        let news = tokio::select! {
            news = timeout_at(deadline, changes.recv()) => news,
            // The message is on the disk and goes out after the start; who waits for it must not hold up the stop.
            () = stop.cancelled() => break,
        };
        match news {
            Ok(Ok(news)) if news.id == message.id && news.device == message.device => {
                message = news;
            }
            Ok(Ok(_)) => {}
            Ok(Err(RecvError::Closed)) => return Err(Code::ShuttingDown.into()),
            missed @ (Ok(Err(RecvError::Lagged(_))) | Err(_)) => {
                let stored = queue.get(&message.device, &message.id).await?;
                message = stored.unwrap_or(message);
                if missed.is_err() {
                    break;
                }
            }
        }
    }
    if !message.status.is_settled() {
        // Nothing was synced for it yet, perhaps, and now its caller is told that it will go.
        queue.settle().await?;
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Disconnect, LoggedOut, Pending, Stop};

    #[test]
    fn a_device_that_comes_back_by_itself_takes_messages() {
        let retry_at = UnixMillis::default();
        let why = Disconnect::Closed;
        assert!(check_state(&DeviceState::Reconnecting { attempt: 1, retry_at, why }).is_ok());
        assert!(check_state(&DeviceState::Connected).is_ok());
        for state in [
            DeviceState::Pending(Pending::NotStarted),
            DeviceState::Linking(crate::model::Linking::default()),
            DeviceState::LoggedOut(LoggedOut::ByPhone),
            DeviceState::Stopped(Stop::ByUser),
        ] {
            assert_eq!(check_state(&state).unwrap_err().code, Code::DeviceNotConnected);
        }
    }

    #[test]
    fn a_lock_holds_people_back_and_says_until_when() {
        let to = |to| Recipient::parse(to, None).unwrap();
        let (bob, group) = (to("628123456789"), to("120363000000000001@g.us"));
        let until = UnixMillis::now().after(Duration::from_secs(90));
        let state = DeviceState::Degraded(Degradation::SendingLocked(Some(until)));
        let problem = locked(&state, &bob).unwrap_err();
        assert_eq!(problem.code, Code::SendingLocked);
        assert!((1..=90).contains(&problem.retry_secs().unwrap()), "{problem:?}");
        assert!(locked(&state, &group).is_ok());
        assert!(locked(&DeviceState::Connected, &bob).is_ok());
        let unknown = DeviceState::Degraded(Degradation::SendingLocked(None));
        assert_eq!(locked(&unknown, &bob).unwrap_err().retry_secs(), Some(600));
    }

    #[test]
    fn every_message_of_a_request_has_a_key_of_its_own() {
        let key = IdempotencyKey::parse(&"k".repeat(255)).unwrap();
        let second = nth_key(Some(&key), 1).unwrap();
        assert_eq!(nth_key(Some(&key), 1), Some(second));
        assert_ne!(nth_key(Some(&key), 1), nth_key(Some(&key), 2));
        assert_eq!(nth_key(Some(&key), 0), Some(key));
        assert_eq!(nth_key(None, 1), None);
    }
}
