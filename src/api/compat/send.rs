//! Sending through `/api`.

use std::time::Duration;

use serde_json::{Value, json};

use super::error::{Kind, Refusal, asked};
use super::fields::{Fields, connected, device_of};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Issue, Problem};
use crate::api::http::response::{self, Response};
use crate::api::v1::message::queue;
use crate::config::Scope;
use crate::model::{
    Content, DeviceName, IdempotencyKey, Jid, MediaKind, MessageStatus, Recipient, SendRequest,
    SentMessage, UnixMillis, web_url,
};
use crate::store::Due;
use crate::whatsapp::{DeviceHandle, WhatsAppError};

/// How long a caller waits for a text, and for a file, which must first be fetched and uploaded.
const TEXT_PATIENCE: Duration = Duration::from_secs(30);
const MEDIA_PATIENCE: Duration = Duration::from_mins(1);

const RECEIVER: &[&str] = &["receiver", "to", "phone", "number", "data.receiver"];
const MESSAGE: &[&str] = &["data.message", "message", "text", "data.text"];
const URL: &[&str] = &["data.url", "url", "media_url", "data.media_url"];
const MEDIA_TYPE: &[&str] = &["data.media_type", "media_type", "type"];
const CAPTION: &[&str] = &["data.caption", "caption"];
const AS_DOCUMENT: &[&str] = &["data.as_document", "as_document"];

/// What is to be sent.
fn content(kind: Kind, fields: &Fields, issues: &mut Vec<Issue>) -> Vec<Content> {
    match kind {
        Kind::Message => {
            let text = fields.need(MESSAGE, issues).to_owned();
            vec![Content::Text { text }]
        }
        Kind::Media => {
            let url = fields.need(URL, issues);
            if let (Err(error), false) = (web_url(url), url.is_empty()) {
                issues.push(Issue::new("data.url", error));
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
            let caption = fields.get(CAPTION).map(str::to_owned);
            Content::file(media, url.to_owned(), caption, fields.is_set(AS_DOCUMENT))
        }
    }
}

/// The messages that a body asks for, or everything that is wrong with it.
pub(crate) fn requests(
    kind: Kind,
    fields: &Fields,
    country_code: Option<&str>,
) -> Result<Vec<SendRequest>, Vec<Issue>> {
    let mut issues = Vec::new();
    let contents = content(kind, fields, &mut issues);
    let receiver = fields.need(RECEIVER, &mut issues);
    let to = Recipient::parse(receiver, country_code);
    if let (Err(error), false) = (&to, receiver.is_empty()) {
        issues.push(Issue::new("receiver", error));
    }
    match to {
        Ok(to) if issues.is_empty() => Ok(contents
            .into_iter()
            .map(|content| SendRequest::plain(to.clone(), content))
            .collect()),
        _ => Err(issues),
    }
}

/// `POST /api/send-message`.
pub(crate) async fn text(call: &mut Call) -> Answer {
    Ok(send(call, Kind::Message).await.unwrap_or_else(Refusal::render))
}

/// `POST /api/send-media`.
pub(crate) async fn media(call: &mut Call) -> Answer {
    Ok(send(call, Kind::Media).await.unwrap_or_else(Refusal::render))
}

async fn send(call: &mut Call, kind: Kind) -> Result<Response, Refusal> {
    let fields = Fields::of(call).await?;
    let device = device_of(call, &fields, Scope::Send)?;
    let key = queue::idempotency_key(call).map_err(|problem| Refusal::Invalid(problem.issues))?;
    let code = call.config.devices.get(&device).and_then(|d| d.country_code.as_deref());
    let requests = requests(kind, &fields, code).map_err(Refusal::Invalid)?;
    let first = requests.first().ok_or_else(|| Problem::from(Code::Internal))?;
    let known = queue::promised(&call.state, &device, first, key.as_ref()).await?.is_some();
    let to = first.to.clone();
    if !known {
        check(&connected(call, &device)?, &to, kind).await?;
    }
    let sent = deliver(call, &device, requests, key, kind, known).await?;
    let canonical = match call.state.api.fleet.device(&device) {
        Some(handle) => handle.canonical(&to).await.map_err(Problem::from)?,
        None => None,
    };
    // As docs.moonwa.id shows it, unless WhatsApp knows the number in another form.
    let canonical = canonical.filter(|jid| *jid != to.jid());
    Ok(response::ok(&success(kind, &sent, canonical.as_ref())))
}

/// Whether a message to that receiver can go out now.
async fn check(handle: &DeviceHandle, to: &Recipient, kind: Kind) -> Result<(), Refusal> {
    queue::check_lock(handle, to).await.map_err(|problem| match problem.code {
        Code::SendingLocked => Refusal::Failed(kind, problem.code.row().0.to_owned()),
        _ => problem.into(),
    })?;
    let Recipient::Phone(phone) = to else { return Ok(()) };
    match handle.on_whatsapp(phone).await {
        // WhatsApp does not say now: the message waits for it in the queue, as long as its caller does.
        Err(WhatsAppError::TooFast(_) | WhatsAppError::Refused(_)) => Ok(()),
        found => asked(kind, found)?.map(drop).ok_or(Refusal::NotOnWhatsApp),
    }
}

/// Queues the messages in order, waits for the first, and answers for that one.
async fn deliver(
    call: &Call,
    device: &DeviceName,
    requests: Vec<SendRequest>,
    key: Option<IdempotencyKey>,
    kind: Kind,
    known: bool,
) -> Result<SentMessage, Refusal> {
    let queue = call.state.api.store.queue();
    let changes = queue.changes();
    let mut first = None;
    // The answer is about the first message only.
    let due = if requests.len() == 1 { Due::Later } else { Due::Now };
    for (n, request) in requests.into_iter().enumerate() {
        let message = queue::enqueue(
            call,
            device,
            (request, None, None),
            Vec::new(),
            queue::nth_key(key.as_ref(), n),
            due,
        );
        let message = message.await?;
        first = first.or(Some(message));
    }
    let first = first.ok_or_else(|| Problem::from(Code::Internal))?;
    let patience = if kind == Kind::Media { MEDIA_PATIENCE } else { TEXT_PATIENCE };
    let done = MessageStatus::is_settled;
    let handle = call.state.api.fleet.device(device);
    let queued = first.clone();
    // Who hears that it failed need not wait for that as long as for a message that goes.
    let too_late = async {
        match &handle {
            Some(handle) => {
                handle.held_later_than(&queued.id, UnixMillis::now().after(patience)).await;
            }
            None => std::future::pending().await,
        }
    };
    let mut sent = tokio::select! {
        sent = queue::follow(&call.state, changes, first, done, patience) => sent?,
        () = too_late => queued.clone(),
    };
    if sent.status == MessageStatus::Queued {
        // The caller will hear that it failed, so it must not be sent later. If the engine has it already, or had it
        // before a restart, it may still go out; then nobody can say that it failed.
        if known {
            return Err(Refusal::Unconfirmed);
        }
        let hold = handle.as_ref().and_then(|handle| handle.hold(&sent.id));
        let claim = handle.map(|handle| handle.withdraw(&sent.id));
        if matches!(claim, Some(None)) {
            return Err(Refusal::Unconfirmed);
        }
        let code = hold.map_or("timeout", |hold| hold.waits_for).to_owned();
        let detail = match hold.and_then(|hold| hold.not_before) {
            Some(at) => {
                format!("it could not go before {at}, and its caller does not wait so long")
            }
            None => "it was not sent while the caller waited".to_owned(),
        };
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
        // It was written to the socket, but WhatsApp never confirmed it, so this is not "sent".
        MessageStatus::Sent => Err(Refusal::Unconfirmed),
        _ => Ok(sent),
    }
}

fn success(kind: Kind, sent: &SentMessage, canonical: Option<&Jid>) -> Value {
    let message = match kind {
        Kind::Message => "Message sent.",
        Kind::Media => "Media sent.",
    };
    let mut data = json!({ "id": sent.id, "to": sent.request.to.jid(), "timestamp": sent.updated });
    if let (Some(jid), Value::Object(fields)) = (canonical, &mut data) {
        fields.insert("canonical".to_owned(), json!(jid));
    }
    json!({ "status": true, "message": message, "data": data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MessageId, UnixMillis};

    fn sent(kind: Kind) -> String {
        let at = UnixMillis::from_secs(1_795_420_800);
        let message = SentMessage {
            id: MessageId::parse("3EB0AA").unwrap(),
            device: DeviceName::parse("toko").unwrap(),
            request: SendRequest::plain(
                Recipient::parse("628123456789", None).unwrap(),
                Content::Text { text: "Halo".into() },
            ),
            status: MessageStatus::Sent,
            created: at,
            updated: at,
            due: None,
            expires: None,
            list: None,
            by: None,
        };
        success(kind, &message, None).to_string()
    }

    #[test]
    fn success_stays_as_documented() {
        assert_eq!(
            sent(Kind::Message),
            "{\"status\":true,\"message\":\"Message sent.\",\"data\":{\"id\":\"3EB0AA\",\
             \"to\":\"628123456789@s.whatsapp.net\",\"timestamp\":\"2026-11-23T08:00:00Z\"}}"
        );
        assert!(
            sent(Kind::Media)
                .starts_with("{\"status\":true,\"message\":\"Media sent.\",\"data\":{")
        );
    }

    fn read(body: &str) -> Fields {
        Fields::read(body.as_bytes(), !body.starts_with('{')).unwrap()
    }

    #[test]
    fn bodies_are_understood_as_people_write_them() {
        for body in [
            r#"{"api_key":"k","receiver":"628123456789","data":{"message":"Halo"}}"#,
            r#"{"api_key":"k","to":628123456789,"message":"Halo"}"#,
            r#"{"api_key":"k","phone":"628123456789","text":"Halo","number":""}"#,
            "api_key=k&number=628123456789&data[message]=Halo",
            "api_key=k&receiver=628123456789&data%5Bmessage%5D=Halo",
            "api_key=k&receiver=628123456789&message=Halo",
        ] {
            let fields = read(body);
            assert_eq!(fields.get(&["api_key"]), Some("k"), "{body}");
            assert_eq!(fields.get(RECEIVER), Some("628123456789"), "{body}");
            let mut issues = Vec::new();
            let contents = content(Kind::Message, &fields, &mut issues);
            assert_eq!(contents, [Content::Text { text: "Halo".into() }], "{body}");
            assert!(issues.is_empty(), "{body}");
        }
    }

    #[test]
    fn what_is_missing_is_named_as_documented() {
        let missing = |kind, body| {
            let mut issues = Vec::new();
            content(kind, &read(body), &mut issues);
            issues.into_iter().map(|issue| issue.path).collect::<Vec<_>>()
        };
        assert_eq!(missing(Kind::Message, "{}"), ["data.message"]);
        assert_eq!(missing(Kind::Message, r#"{"data":{"message":["a"]}}"#), ["data.message"]);
        assert_eq!(missing(Kind::Media, "{}"), ["data.url", "data.media_type"]);
        let wrong = r#"{"data":{"url":"file:///etc/passwd","media_type":"gif"}}"#;
        assert_eq!(missing(Kind::Media, wrong), ["data.url", "data.media_type"]);
    }

    #[test]
    fn a_file_is_a_document() {
        let fields =
            read(r#"{"data":{"url":"https://a/b%20c.pdf?d","media_type":"file","caption":"c"}}"#);
        let mut issues = Vec::new();
        let contents = content(Kind::Media, &fields, &mut issues);
        assert!(matches!(
            &contents[..],
            [Content::Media { media: MediaKind::Document, caption: Some(_), .. }]
        ));
    }

    #[test]
    fn a_file_may_be_a_document_if_it_must() {
        for (body, wanted) in [
            (r#"{"data":{"url":"https://a/b","media_type":"image","as_document":true}}"#, true),
            (r#"{"data":{"url":"https://a/b","media_type":"image","as_document":"true"}}"#, true),
            (r#"{"url":"https://a/b","media_type":"image","as_document":1}"#, true),
            (r#"{"data":{"url":"https://a/b","media_type":"image","as_document":false}}"#, false),
            ("url=https://a/b&media_type=image&data[as_document]=1", true),
            ("url=https://a/b&media_type=image&data[as_document]=0", false),
        ] {
            let contents = content(Kind::Media, &read(body), &mut Vec::new());
            let [Content::Media { as_document, .. }] = &contents[..] else { panic!("{body}") };
            assert_eq!(*as_document, wanted, "{body}");
        }
    }

    #[test]
    fn an_audio_caption_follows_as_a_second_message() {
        let body = r#"{"data":{"url":"https://a/b.mp3","media_type":"audio","caption":"Lagu"}}"#;
        let contents = content(Kind::Media, &read(body), &mut Vec::new());
        assert!(matches!(&contents[0], Content::Media { caption: None, .. }));
        assert_eq!(contents[1..], [Content::Text { text: "Lagu".into() }]);
    }
}
