//! The routes of messages. A message is queued here and sent by its device. It is on disk before the caller is told
//! that it was taken.

pub(crate) mod content;
mod later;
pub(crate) mod list;
pub(crate) mod queue;
pub(crate) mod status;
pub(crate) mod upload;

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::Deserialize;
use serde_json::{Value, json};

use self::content::later::check as check_time;
use self::content::{SendBody, Wish, kind_of};
use self::later::EditBody;
pub(crate) use self::queue::{check_lock, follow_up};
use self::queue::{check_state, enqueue, follow, idempotency_key, nth_key, own, promised};
use self::upload::begin;
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::MAX_JSON;
use crate::api::http::response::{self, Response};
use crate::model::{
    Content, DeviceName, IdempotencyKey, Jid, KeyHash, MediaSource, MessageStatus, Recipient,
    SendRequest, SentMessage, UnixMillis,
};
use crate::store::{Due, Upload};
use crate::whatsapp::Fleet;

/// A JSON body may hold a small file in Base64. Larger ones are uploaded as multipart, which is not held in memory.
pub(crate) const MAX_INLINE: usize = 4 * 1024 * 1024;
/// The longest time that `?wait=` may ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
const LISTED: usize = 100;
const SCHEDULED: usize = 1_000;

/// A message as callers see it.
fn render(message: &SentMessage, canonical: Option<&Jid>) -> Value {
    let (code, detail) = match &message.status {
        MessageStatus::Failed { code, detail } => (Some(code), Some(detail)),
        _ => (None, None),
    };
    let mut shown = json!({
        "id": message.id,
        "device": message.device,
        "to": message.request.to.jid(),
        "canonical": canonical,
        "kind": kind_of(&message.request.content),
        "text": message.request.content.words(),
        "about": message.request.content.about(),
        "status": message.status.as_str(),
        "code": code,
        "detail": detail,
        "created": message.created,
        "updated": message.updated,
    });
    if let Value::Object(fields) = &mut shown {
        fields.extend(album_of(message));
        fields.extend(time_of(message));
        fields.extend(message.by.as_ref().map(|by| ("by".to_owned(), json!(by))));
    }
    shown
}

/// When it is to go, or was to go, if that was not at once, and until when.
fn time_of(message: &SentMessage) -> impl Iterator<Item = (String, Value)> {
    let times = [("send_at", message.due), ("expires", message.expires)];
    times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), json!(time?))))
}

/// The album that a message belongs to, or the files that it announces.
fn album_of(message: &SentMessage) -> Option<(String, Value)> {
    let parts = message.parts();
    match &message.request.album {
        Some(album) => Some(("album".to_owned(), json!(album))),
        None => (!parts.is_empty()).then(|| ("files".to_owned(), json!(parts))),
    }
}

/// A message, with the address under which WhatsApp knows its receiver, as far as that was looked up.
pub(crate) async fn shown(fleet: &Fleet, message: &SentMessage) -> Value {
    let canonical = match fleet.device(&message.device) {
        Some(handle) => handle.canonical(&message.request.to).await.unwrap_or_else(|error| {
            tracing::warn!(device = %message.device, %error, "A receiver's address could not be read.");
            None
        }),
        None => None,
    };
    let mut shown = render(message, canonical.as_ref());
    let hold = fleet.device(&message.device).and_then(|handle| handle.hold(&message.id));
    if let (Some(hold), Value::Object(shown)) = (hold, &mut shown) {
        shown.insert("waits_for".to_owned(), json!(hold.waits_for));
        shown.insert("not_before".to_owned(), json!(hold.not_before));
    }
    shown
}

/// `POST …/messages`.
pub(crate) async fn send(call: &mut Call) -> Answer {
    idempotency_key(call)?;
    let wait = call.query("wait")?.map(|text| parse_wait(&text)).transpose()?;
    call.handle()?;
    let (body, upload) = if call.has_type("multipart/form-data") {
        expect_device(call)?;
        upload::send_body(call).await?
    } else {
        (call.json::<SendBody>(MAX_INLINE).await?, None)
    };
    let changes = call.state.api.store.queue().changes();
    let due = if wait.is_some() { Due::Later } else { Due::Now };
    let message = Box::pin(accept(call, body, upload, due)).await?;
    // Nobody waits for what is to go later.
    let Some(wait) = wait.filter(|_| message.status != MessageStatus::Scheduled) else {
        return Ok(queued_answer(call, &message));
    };
    let message = follow(&call.state, changes, message, MessageStatus::is_settled, wait).await?;
    let settled = message.status.is_settled();
    let status = if settled { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(located(
        call,
        &message,
        response::json(status, &shown(&call.state.api.fleet, &message).await),
    ))
}

/// Refuses an upload that could not be sent, before it comes: nobody should upload a video only to learn that the device
/// is not linked. With an idempotency key the message may have been queued earlier, so that is asked first.
pub(crate) fn expect_device(call: &Call) -> Result<(), Problem> {
    match idempotency_key(call)? {
        Some(_) => Ok(()),
        None => check_state(&call.handle()?.status().state),
    }
}

/// Queues what a body asks of the device in the path, with the file that came beside it. `/v1` and the faces of other
/// products all send this way.
pub(crate) async fn accept(
    call: &Call,
    body: SendBody,
    upload: Option<Upload>,
    due: Due,
) -> Result<SentMessage, Problem> {
    let (_, config) = call.device()?;
    let wish = body.request(config.country_code.as_deref())?;
    accept_wish(call, wish, upload, due).await
}

async fn accept_wish(
    call: &Call,
    wish: Wish,
    upload: Option<Upload>,
    due: Due,
) -> Result<SentMessage, Problem> {
    let key = idempotency_key(call)?;
    let (name, _) = call.device()?;
    let handle = call.handle()?;
    let Wish { mut request, mut files, at, expires } = wish;
    let upload = settle(call, &name, &mut request, upload, key.as_ref()).await?;
    let mut uploads = Vec::new();
    for (n, file) in files.iter_mut().enumerate() {
        let key = nth_key(key.as_ref(), n + 1);
        let upload = settle(call, &name, file, None, key.as_ref()).await?;
        uploads.extend(upload.map(|upload| (n, upload)));
    }
    if let Content::Album { files: hash, .. } = &mut request.content {
        *hash = KeyHash::of(&json!(files).to_string()).to_string();
    }
    let message = match promised(&call.state, &name, &request, key.as_ref()).await? {
        Some(message) => message,
        None => {
            check_state(&handle.status().state)?;
            match at {
                Some(at) => check_time(at, UnixMillis::now())?,
                // Until its time the lock may be over.
                None => check_lock(&handle, &request.to).await?,
            }
            if let Content::Forward { message } = &request.content {
                handle.can_forward(message).await?;
            }
            enqueue(call, &name, (request, at, expires), files, key, due).await?
        }
    };
    // Of a request that came before, its message may have been sent meanwhile, and needs no file any more.
    if needs_file(&message)
        && let Some(upload) = upload
    {
        upload.keep();
    }
    for (n, upload) in uploads {
        let file = call.state.api.store.queue().get(&name, &message.id.part(n)).await?;
        if file.is_some_and(|file| needs_file(&file)) {
            upload.keep();
        }
    }
    Ok(message)
}

fn needs_file(message: &SentMessage) -> bool {
    matches!(message.status, MessageStatus::Scheduled | MessageStatus::Queued)
}

/// Puts the file of a request where its message finds it, under the name that the request then has.
async fn settle(
    call: &Call,
    device: &DeviceName,
    request: &mut SendRequest,
    upload: Option<Upload>,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Upload>, Problem> {
    let Content::Media { source, .. } = &mut request.content else { return Ok(upload) };
    let upload = match source {
        MediaSource::Inline(bytes) => {
            let mut upload = begin(call, device).await?;
            upload.write(bytes).await.map_err(upload::failed)?;
            upload.finish().await.map_err(upload::failed)?;
            Some(upload)
        }
        MediaSource::Url(_) | MediaSource::Uploaded(_) => upload,
    };
    let Some(mut upload) = upload else { return Ok(None) };
    if let Some(key) = key {
        upload.settle(key).await.map_err(upload::failed)?;
    }
    *source = MediaSource::Uploaded(upload.name().clone());
    Ok(Some(upload))
}

pub(crate) fn queued_answer(call: &Call, message: &SentMessage) -> Response {
    let mut answer = json!({ "id": message.id, "status": message.status.as_str() });
    if let Value::Object(fields) = &mut answer {
        fields.extend(album_of(message));
        fields.extend(time_of(message));
    }
    located(call, message, response::json(StatusCode::ACCEPTED, &answer))
}

/// Adds the place where the message can be asked for.
fn located(call: &Call, message: &SentMessage, mut response: Response) -> Response {
    let base = call.config.server.base_path.trim_end_matches('/');
    let place = format!("{base}/v1/devices/{}/messages/{}", message.device, message.id);
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

/// `10s`, `500ms` or `10`.
fn parse_wait(text: &str) -> Result<Duration, Problem> {
    let wait = match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s').unwrap_or(text).parse().ok().map(Duration::from_secs),
    };
    wait.filter(|wait| *wait <= LONGEST_WAIT)
        .ok_or_else(|| Problem::field("wait", "write 10s, at most 60s"))
}

/// `GET …/messages/{message}`: also one of an account that the device was linked to before, because whoever has its id
/// wants to know what became of it.
pub(crate) async fn show(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    let message = call.state.api.store.queue().get(&name, &call.message()?).await?;
    let message = message.ok_or_else(|| Problem::from(Code::MessageNotFound))?;
    Ok(response::ok(&shown(&call.state.api.fleet, &message).await))
}

/// `GET …/messages`: those of the present account, newest first, or those that are scheduled, the next one first.
pub(crate) async fn list(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    let queue = call.state.api.store.queue();
    let messages = match call.query("status")?.as_deref() {
        None => queue.recent(&name, LISTED).await?,
        Some("scheduled") => queue.scheduled(&name, SCHEDULED).await?,
        Some(_) => return Err(Problem::field("status", "only scheduled can be asked for")),
    };
    let mut list = Vec::with_capacity(messages.len());
    for message in &messages {
        list.push(shown(&call.state.api.fleet, message).await);
    }
    Ok(response::ok(&json!({ "messages": list })))
}

/// `PATCH …/messages/{message}`: new text, or a new caption, for a message sent earlier; of one that is scheduled also
/// another time.
pub(crate) async fn edit(call: &mut Call) -> Answer {
    let body = call.json(MAX_JSON).await?;
    Ok(queued_answer(call, &later::edit(call, body).await?))
}

/// New text, or a new caption, for the message in the path.
pub(crate) async fn change(call: &Call, text: String) -> Result<SentMessage, Problem> {
    later::edit(call, EditBody { text: Some(text), send_at: None }).await
}

/// `DELETE …/messages/{message}`: deletes it for everyone. `?chat=` and `?author=` name a message of somebody else,
/// which an admin of a group may delete.
pub(crate) async fn revoke(call: &Call) -> Answer {
    let read = |name| -> Result<Option<Jid>, Problem> {
        let jid = call.query(name)?.map(|text| Jid::parse(&text)).transpose();
        jid.map_err(|error| Problem::field(name, error))
    };
    Ok(queued_answer(call, &take_back(call, read("chat")?, read("author")?).await?))
}

/// Queues the deletion of the message in the path: our own, unless a chat is named.
pub(crate) async fn take_back(
    call: &Call,
    chat: Option<Jid>,
    author: Option<Jid>,
) -> Result<SentMessage, Problem> {
    if let Some(cancelled) = later::cancel(call).await? {
        return Ok(cancelled);
    }
    let message = call.message()?;
    let to = match chat {
        Some(chat) => Recipient::Jid(chat),
        None => own(call).await?.request.to,
    };
    follow_up(call, to, Content::Revoke { message, author }).await
}

/// `POST …/messages/{message}/read`.
pub(crate) async fn mark_read(call: &Call) -> Answer {
    let handle = call.handle()?;
    check_state(&handle.status().state)?;
    handle.mark_read(&call.message()?).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingBody {
    to: String,
    #[serde(default = "yes")]
    on: bool,
}

fn yes() -> bool {
    true
}

/// `POST …/typing`.
pub(crate) async fn typing(call: &mut Call) -> Answer {
    let TypingBody { to, on } = call.json(MAX_JSON).await?;
    show_typing(call, &to, on).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Shows "typing…" in a chat, or stops showing it.
pub(crate) async fn show_typing(call: &Call, to: &str, on: bool) -> Result<(), Problem> {
    let to = call.chat_of("to", to)?;
    Ok(call.handle()?.typing(&to.jid(), on).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MessageId;

    #[test]
    fn waits_are_short_and_have_a_unit_or_none() {
        assert_eq!(parse_wait("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_wait("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_wait("5"), Ok(Duration::from_secs(5)));
        for bad in ["", "-1", "61s", "1m", "s", "99999999999999999999"] {
            assert!(parse_wait(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_message_is_the_contracts_json() {
        let at = UnixMillis::from_secs(1_795_420_800);
        let message = SentMessage {
            id: MessageId::parse("3EB0AA").unwrap(),
            device: DeviceName::parse("toko").unwrap(),
            request: SendRequest::plain(
                Recipient::parse("628123456789", None).unwrap(),
                Content::Text { text: "Halo".into() },
            ),
            status: MessageStatus::Failed { code: "463".into(), detail: "why".into() },
            created: at,
            updated: at,
            due: None,
            expires: None,
            list: None,
            by: None,
        };
        assert_eq!(
            render(&message, None).to_string(),
            "{\"id\":\"3EB0AA\",\"device\":\"toko\",\"to\":\"628123456789@s.whatsapp.net\",\
             \"canonical\":null,\"kind\":\"text\",\"text\":\"Halo\",\"about\":null,\"status\":\"failed\",\"code\":\"463\",\"detail\":\"why\",\
             \"created\":\"2026-11-23T08:00:00Z\",\"updated\":\"2026-11-23T08:00:00Z\"}"
        );
    }
}
