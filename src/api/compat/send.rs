//! The frozen `/api` face of docs.moonwa.id: its bodies in, its sentences out, byte for byte. A translation, not a
//! second engine: what is sent goes the way of `/v1`.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::error::{Kind, Refusal};
use crate::api::access::auth::{self, Principal};
use crate::api::call::Call;
use crate::api::http::form;
use crate::api::http::problem::{Code, Issue, Problem};
use crate::api::http::request::{self, MAX_JSON};
use crate::api::http::response::{self, Response};
use crate::api::v1::message;
use crate::api::v1::message::content::is_web;
use crate::config::Scope;
use crate::model::{
    Content, DeviceName, IdempotencyKey, Jid, MediaKind, MediaSource, MessageStatus, Recipient,
    SendRequest, SentMessage,
};
use crate::whatsapp::{DeviceHandle, GroupMember, GroupSummary, WhatsAppError};

/// How long a caller waits for a text, and for a file, which has to be fetched and uploaded first.
const TEXT_PATIENCE: Duration = Duration::from_secs(30);
const MEDIA_PATIENCE: Duration = Duration::from_mins(1);

/// `GET /api`.
pub(crate) fn hello() -> Result<Response, Problem> {
    Ok(response::ok(&json!({ "message": "Server Running!" })))
}

/// The body of this face, whatever it was written in: fields at the top, and those of `data`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads JSON, or a form with `data[message]` or `data.message` for what is nested there.
    fn read(bytes: &[u8], is_form: bool) -> Result<Self, Vec<Issue>> {
        let broken = |msg: &str| vec![Issue::new("", msg)];
        if is_form {
            let text =
                str::from_utf8(bytes).map_err(|_not_utf8| broken("the form is not UTF-8"))?;
            let pairs = form::pairs(text).ok_or_else(|| broken("the form is not valid"))?;
            let plain = |name: String| match name.strip_prefix("data[") {
                Some(inner) => format!("data.{}", inner.trim_end_matches(']')),
                None => name,
            };
            return Ok(Self(pairs.into_iter().map(|(n, value)| (plain(n), value)).collect()));
        }
        let value: Value = request::parse(bytes)
            .map_err(|problem| broken(problem.detail.as_deref().unwrap_or("not JSON")))?;
        let Value::Object(top) = value else { return Err(broken("must be a JSON object")) };
        let mut fields = Self::default();
        for (name, value) in top {
            match value {
                Value::Object(nested) => {
                    for (inner, value) in nested {
                        fields.push(format!("{name}.{inner}"), &value);
                    }
                }
                value => fields.push(name, &value),
            }
        }
        Ok(fields)
    }

    /// Keeps text and numbers (people write phone numbers as such); the rest counts as absent.
    fn push(&mut self, name: String, value: &Value) {
        match value {
            Value::String(text) => self.0.push((name, text.clone())),
            Value::Number(number) => self.0.push((name, number.to_string())),
            _ => {}
        }
    }

    /// The first of these names that has a value.
    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let found = self.0.iter().find(|(n, value)| n == name && !value.trim().is_empty());
            found.map(|(_, value)| value.as_str())
        })
    }

    /// The same, noting under the documented name when there is none.
    fn need<'a>(&'a self, names: &[&str], issues: &mut Vec<Issue>) -> &'a str {
        self.get(names).unwrap_or_else(|| {
            issues.push(Issue::new(names.first().copied().unwrap_or_default(), "required"));
            ""
        })
    }
}

const RECEIVER: &[&str] = &["receiver", "to", "phone", "number", "data.receiver"];
const MESSAGE: &[&str] = &["data.message", "message", "text", "data.text"];
const URL: &[&str] = &["data.url", "url", "media_url", "data.media_url"];
const MEDIA_TYPE: &[&str] = &["data.media_type", "media_type", "type"];
const CAPTION: &[&str] = &["data.caption", "caption"];

/// What a send asks for, before the receiver is read, which needs the device.
fn content(kind: Kind, fields: &Fields, issues: &mut Vec<Issue>) -> Vec<Content> {
    match kind {
        Kind::Message => {
            let text = fields.need(MESSAGE, issues).to_owned();
            vec![Content::Text { text }]
        }
        Kind::Media => {
            let url = fields.need(URL, issues);
            if !url.is_empty() && !is_web(url) {
                issues.push(Issue::new("data.url", "must begin with http:// or https://"));
            }
            let media = match fields.need(MEDIA_TYPE, issues) {
                "image" | "" => MediaKind::Image,
                "video" => MediaKind::Video,
                "audio" => MediaKind::Audio,
                "file" | "document" => MediaKind::Document,
                _ => {
                    let words = "must be image, video, audio or file";
                    issues.push(Issue::new("data.media_type", words));
                    MediaKind::Image
                }
            };
            media_contents(media, url, fields.get(CAPTION))
        }
    }
}

/// The messages of one file: audio cannot carry a caption, so that follows by itself.
fn media_contents(media: MediaKind, url: &str, caption: Option<&str>) -> Vec<Content> {
    let caption = caption.map(str::to_owned);
    let (caption, after) =
        if media == MediaKind::Audio { (None, caption) } else { (caption, None) };
    let filename = (media == MediaKind::Document).then(|| last_segment(url));
    let source = MediaSource::Url(url.to_owned());
    let mut contents =
        vec![Content::Media { media, source, mime: None, filename, caption, thumbnail: None }];
    contents.extend(after.map(|text| Content::Text { text }));
    contents
}

/// A document's name: the last segment of the URL's path.
fn last_segment(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let segment = path.split_once('/').and_then(|(_, path)| path.rsplit('/').next());
    let name = segment.and_then(form::decode).unwrap_or_default();
    if name.is_empty() { "file".to_owned() } else { name }
}

/// The device a request's key belongs to.
fn device_of(call: &mut Call, fields: &Fields, scope: Scope) -> Result<DeviceName, Refusal> {
    let key = fields.get(&["api_key"]).or_else(|| auth::presented(&call.head));
    let key = key.ok_or_else(|| Refusal::Invalid(vec![Issue::new("api_key", "required")]))?;
    if let Some((device, config)) = auth::key_of(&call.config, key) {
        let (device, id, scopes) = (device.clone(), config.id.clone(), config.scopes.clone());
        // A right key is no guess, also when it may do other things only.
        let may = scopes.contains(&scope);
        call.who = Principal::Key { device: device.clone(), id, scopes };
        return if may { Ok(device) } else { Err(Refusal::Key) };
    }
    if let Some(wait) = call.state.throttle.wait(call.client) {
        return Err(Problem::from(Code::TooManyAttempts).retry_after(wait).into());
    }
    call.state.throttle.failed(call.client);
    Err(Refusal::Key)
}

async fn fields(call: &mut Call) -> Result<Fields, Refusal> {
    let is_form = call.has_type("application/x-www-form-urlencoded");
    let bytes = call.read(MAX_JSON).await?;
    Fields::read(&bytes, is_form).map_err(Refusal::Invalid)
}

fn connected(call: &Call, device: &DeviceName) -> Result<DeviceHandle, Refusal> {
    let handle = call.state.api.fleet.device(device).ok_or(Refusal::NotConnected)?;
    if handle.status().state.can_send() { Ok(handle) } else { Err(Refusal::NotConnected) }
}

/// What WhatsApp's answer to a question becomes.
fn asked<T>(kind: Kind, answer: Result<T, WhatsAppError>) -> Result<T, Refusal> {
    answer.map_err(|error| match error {
        WhatsAppError::NotConnected => Refusal::NotConnected,
        error => match Problem::from(error) {
            problem if problem.retry_after.is_some() => problem.into(),
            problem if problem.status() == StatusCode::SERVICE_UNAVAILABLE => problem.into(),
            problem => Refusal::Failed(kind, problem.code.row().0.to_owned()),
        },
    })
}

/// `POST /api/send-message`.
pub(crate) async fn send_text(call: &mut Call) -> Result<Response, Problem> {
    Ok(send(call, Kind::Message).await.unwrap_or_else(Refusal::render))
}

/// `POST /api/send-media`.
pub(crate) async fn send_media(call: &mut Call) -> Result<Response, Problem> {
    Ok(send(call, Kind::Media).await.unwrap_or_else(Refusal::render))
}

async fn send(call: &mut Call, kind: Kind) -> Result<Response, Refusal> {
    let fields = fields(call).await?;
    let device = device_of(call, &fields, Scope::Send)?;
    let mut issues = Vec::new();
    let contents = content(kind, &fields, &mut issues);
    let receiver = fields.need(RECEIVER, &mut issues);
    let code = call.config.devices.get(&device).and_then(|d| d.country_code.as_deref());
    let to = Recipient::parse(receiver, code);
    if let (Err(error), false) = (&to, receiver.is_empty()) {
        issues.push(Issue::new("receiver", error));
    }
    let key = message::idempotency_key(call).map_err(|problem| Refusal::Invalid(problem.issues))?;
    let (Ok(to), true) = (to, issues.is_empty()) else { return Err(Refusal::Invalid(issues)) };
    let requests: Vec<SendRequest> =
        contents.into_iter().map(|content| plain(&to, content)).collect();
    let first = requests.first().ok_or_else(|| Problem::from(Code::Internal))?;
    if message::promised(&call.state, &device, first, key.as_ref()).await?.is_none() {
        check(&connected(call, &device)?, &to, kind).await?;
    }
    let sent = deliver(call, &device, requests, key, kind).await?;
    Ok(response::json(StatusCode::OK, &success(kind, &sent)))
}

/// A message without anything that this face does not know.
fn plain(to: &Recipient, content: Content) -> SendRequest {
    let to = to.clone();
    SendRequest { to, content, reply_to: None, mentions: Vec::new(), view_once: false }
}

/// Whether a message to that receiver can go out now.
async fn check(handle: &DeviceHandle, to: &Recipient, kind: Kind) -> Result<(), Refusal> {
    message::check_lock(handle, to).await.map_err(|problem| match problem.code {
        Code::SendingLocked => Refusal::Failed(kind, problem.code.row().0.to_owned()),
        _ => problem.into(),
    })?;
    if let Recipient::Phone(phone) = to
        && asked(kind, handle.lookup(phone).await)?.is_none()
    {
        return Err(Refusal::NotOnWhatsApp);
    }
    Ok(())
}

/// Queues the messages in order and waits for the first; the answer is about that one.
async fn deliver(
    call: &Call,
    device: &DeviceName,
    requests: Vec<SendRequest>,
    key: Option<IdempotencyKey>,
    kind: Kind,
) -> Result<SentMessage, Refusal> {
    let queue = call.state.api.store.queue();
    let changes = queue.changes();
    let mut first = None;
    for (n, request) in requests.into_iter().enumerate() {
        let message = message::enqueue(&call.state, device, request, nth_key(key.as_ref(), n));
        let message = message.await?;
        first = first.or(Some(message));
    }
    let first = first.ok_or_else(|| Problem::from(Code::Internal))?;
    let patience = if kind == Kind::Media { MEDIA_PATIENCE } else { TEXT_PATIENCE };
    let done = MessageStatus::is_settled;
    let mut sent = message::follow(&call.state, changes, first, done, patience).await?;
    if sent.status == MessageStatus::Queued {
        // The caller will be told that it failed, so it must not be sent later. What the engine has already may still go
        // out, and nobody can say that it failed.
        let handle = call.state.api.fleet.device(device);
        let held = handle.map(|handle| handle.withdraw(&sent.id));
        if matches!(held, Some(None)) {
            return Err(Refusal::Failed(kind, "unconfirmed".to_owned()));
        }
        let code = "timeout".to_owned();
        let detail = "it was not sent while the caller waited".to_owned();
        let failed = MessageStatus::Failed { code, detail };
        sent = match queue.advance(device, &sent.id, failed).await.map_err(Problem::from)? {
            Some(failed) => failed,
            None => queue.get(device, &sent.id).await.map_err(Problem::from)?.unwrap_or(sent),
        };
    }
    match &sent.status {
        MessageStatus::Failed { code, .. } if code == "not_on_whatsapp" => {
            Err(Refusal::NotOnWhatsApp)
        }
        MessageStatus::Failed { code, .. } => Err(Refusal::Failed(kind, code.clone())),
        // Written to the socket, but WhatsApp never said that it has it: not "sent".
        MessageStatus::Sent => Err(Refusal::Failed(kind, "unconfirmed".to_owned())),
        _ => Ok(sent),
    }
}

/// The second message of a request needs a key of its own.
fn nth_key(key: Option<&IdempotencyKey>, n: usize) -> Option<IdempotencyKey> {
    let key = key?;
    if n == 0 {
        return Some(key.clone());
    }
    // Hashed, because a key of full length has no room for a number.
    let derived = crate::model::KeyHash::of(&format!("{}#{n}", key.as_str()));
    IdempotencyKey::parse(&derived.to_string())
}

fn success(kind: Kind, sent: &SentMessage) -> Value {
    let message = match kind {
        Kind::Message => "Message sent.",
        Kind::Media => "Media sent.",
    };
    json!({
        "status": true,
        "message": message,
        "data": { "id": sent.id, "to": sent.request.to.jid(), "timestamp": sent.updated },
    })
}

/// `POST /api/fetch-group`.
pub(crate) async fn groups(call: &mut Call) -> Result<Response, Problem> {
    let groups = async {
        let fields = fields(call).await?;
        let device = device_of(call, &fields, Scope::Read)?;
        let groups = connected(call, &device)?.groups().await;
        Ok::<_, Refusal>(response::json(
            StatusCode::OK,
            &group_list(&asked(Kind::Message, groups)?),
        ))
    };
    Ok(groups.await.unwrap_or_else(Refusal::render))
}

fn group_list(groups: &[GroupSummary]) -> Value {
    let groups = groups.iter().map(|group| json!({ "name": group.name, "id": group.id }));
    json!({ "status": true, "data": groups.collect::<Vec<_>>() })
}

/// `POST /api/fetch-group-members`.
pub(crate) async fn members(call: &mut Call) -> Result<Response, Problem> {
    let members = async {
        let fields = fields(call).await?;
        let device = device_of(call, &fields, Scope::Read)?;
        let mut issues = Vec::new();
        let id = fields.need(&["id", "group_id", "data.id"], &mut issues);
        let Some(group) = Jid::parse(id).ok().filter(Jid::is_group) else {
            if issues.is_empty() {
                issues.push(Issue::new("id", "a group id ends in @g.us"));
            }
            return Err(Refusal::Invalid(issues));
        };
        let group = connected(call, &device)?.group(&group).await;
        let group = asked(Kind::Message, group)?;
        Ok(response::json(StatusCode::OK, &member_list(&group.members)))
    };
    Ok(members.await.unwrap_or_else(Refusal::render))
}

fn member_list(members: &[GroupMember]) -> Value {
    let members = members.iter().map(|member| {
        json!({ "id": member.jid, "phone": member.phone, "lid": member.lid, "admin": member.admin })
    });
    json!({ "status": true, "data": members.collect::<Vec<_>>() })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
