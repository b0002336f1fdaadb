//! The reply in a receiver's answer (`moonwa` format). It becomes a row in the send queue under a key derived from the
//! event, so that an event delivered twice is answered once.

use bytes::Bytes;
use serde::Deserialize;

use super::profile;
use crate::model::{
    Content, EventId, IdempotencyKey, MediaKind, Recipient, SendRequest, SentMessage,
};
use crate::store::{EndpointId, Enqueued, QUEUE_LIMIT, Store, StoreError};

/// Why a reply was not queued.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplyError {
    /// The store failed.
    #[error("the reply could not be stored: {0}")]
    Store(#[from] StoreError),
    /// Too many messages wait to be sent. The receiver gets the event again later.
    #[error("the reply found the send queue full")]
    Full,
}

/// Queues the reply in `answer` to the event whose JSON is `source`. Returns how many messages that makes.
pub(super) async fn queue(
    store: &Store,
    endpoint: &EndpointId,
    event: &EventId,
    source: &Bytes,
    answer: &[u8],
) -> Result<usize, ReplyError> {
    let contents = contents(answer);
    if contents.is_empty() {
        return Ok(0);
    }
    let Some((to, device)) = chat(source) else { return Ok(0) };
    for (part, content) in contents.iter().enumerate() {
        let request = SendRequest::plain(to.clone(), content.clone());
        let message = SentMessage::new(device.clone(), request);
        // Each endpoint may answer an event once.
        let key = format!("reply:{event}:{}:{part}", endpoint.as_str());
        let key = IdempotencyKey::parse(&key);
        match store.queue().reply(event.clone(), message, key, QUEUE_LIMIT).await? {
            // A conflict means that the event was delivered before and answered differently. The first answer stands.
            Some(Enqueued::Queued(_) | Enqueued::Known(_) | Enqueued::Conflict) => {}
            Some(Enqueued::Full) => return Err(ReplyError::Full),
            None => {
                tracing::warn!(%device, %event, "A reply was dropped: the device is linked to another number now.");
                return Ok(0);
            }
        }
    }
    Ok(contents.len())
}

/// Whom the answer to the event goes to, and the device that received it.
fn chat(source: &[u8]) -> Option<(Recipient, crate::model::DeviceName)> {
    let (event, message) = profile::message(source)?;
    Some((message.answer_to()?, event.device))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ReplyBodies {
    One(ReplyBody),
    /// A list of items: n8n answers so.
    List(Vec<ReplyBody>),
}

#[derive(Deserialize)]
struct ReplyBody {
    data: ReplyData,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ReplyData {
    Reply(ReplyContent),
    /// The same object as a JSON string: PHP programs that encode twice send it so.
    Encoded(String),
}

#[derive(Deserialize)]
#[serde(tag = "message_type", content = "message", rename_all = "lowercase")]
enum ReplyContent {
    Text(ReplyText),
    Media(ReplyMedia),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ReplyText {
    Documented {
        message: String,
    },
    /// The text where its object belongs.
    Plain(String),
}

#[derive(Deserialize)]
struct ReplyMedia {
    url: String,
    #[serde(rename = "media_type")]
    kind: ReplyMediaType,
    #[serde(default)]
    caption: Option<String>,
    #[serde(default)]
    as_document: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReplyMediaType {
    Image,
    Video,
    Audio,
    File,
}

/// What to send. That is nothing when the answer is not a reply: receivers answer `ok`, HTML or nothing at all.
pub(super) fn contents(answer: &[u8]) -> Vec<Content> {
    let bodies = match serde_json::from_slice(answer) {
        Ok(ReplyBodies::One(body)) => vec![body],
        Ok(ReplyBodies::List(bodies)) => bodies,
        Err(_) => Vec::new(),
    };
    bodies.into_iter().flat_map(|body| body.data.contents()).collect()
}

impl ReplyData {
    fn contents(self) -> Vec<Content> {
        let reply = match self {
            Self::Reply(reply) => Some(reply),
            Self::Encoded(text) => serde_json::from_str(&text).ok(),
        };
        match reply {
            Some(ReplyContent::Text(
                ReplyText::Documented { message: text } | ReplyText::Plain(text),
            )) if !text.is_empty() => vec![Content::Text { text }],
            Some(ReplyContent::Media(media)) if !media.url.is_empty() => media.contents(),
            Some(_) | None => Vec::new(),
        }
    }
}

impl ReplyMedia {
    fn contents(self) -> Vec<Content> {
        let media = match self.kind {
            ReplyMediaType::Image => MediaKind::Image,
            ReplyMediaType::Video => MediaKind::Video,
            ReplyMediaType::Audio => MediaKind::Audio,
            ReplyMediaType::File => MediaKind::Document,
        };
        Content::file(media, self.url, self.caption, self.as_document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(answer: &str) -> Vec<String> {
        contents(answer.as_bytes())
            .into_iter()
            .map(|content| match content {
                Content::Text { text } => text,
                other => panic!("not a text: {other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_reply_is_an_object_or_the_object_as_a_string() {
        let object =
            r#"{"status":"success","data":{"message_type":"text","message":{"message":"pong"}}}"#;
        let string = r#"{"status":"success","data":"{\"message_type\":\"text\",\"message\":{\"message\":\"pong\"}}"}"#;
        assert_eq!(texts(object), ["pong"]);
        assert_eq!(texts(string), ["pong"]);
        assert_eq!(texts(&format!("[{object}]")), ["pong"], "a list of items");
        assert_eq!(texts(&format!("[{object},{string}]")), ["pong", "pong"]);
        assert_eq!(texts(r#"{"data":{"message_type":"text","message":"pong"}}"#), ["pong"]);
    }

    #[test]
    fn everything_else_is_no_reply() {
        for answer in [
            "",
            "ok",
            "<html>",
            "null",
            "[]",
            r#"{"status":"success","data":false}"#,
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":null}"#,
            r#"{"data":"false"}"#,
            r#"{"data":{}}"#,
            r#"{"data":{"message_type":"text","message":{"message":""}}}"#,
            r#"{"data":{"message_type":"dance","message":{"message":"x"}}}"#,
            r#"{"data":{"message_type":"text","message":""}}"#,
            r#"[{"status":"success"}]"#,
            "[[]]",
        ] {
            assert_eq!(contents(answer.as_bytes()), [], "{answer}");
        }
    }

    #[test]
    fn media_comes_by_url() {
        let answer = |kind: &str| {
            contents(
                format!(
                    r#"{{"data":{{"message_type":"media","message":
                    {{"url":"https://a.example/x/list.pdf?v=1","media_type":"{kind}","caption":"here"}}}}}}"#
                )
                .as_bytes(),
            )
        };
        let file = answer("file");
        assert!(
            matches!(
                &file[..],
                [Content::Media { media: MediaKind::Document, caption: Some(_), .. }]
            ),
            "{file:?}"
        );
        let audio = answer("audio");
        assert!(
            matches!(&audio[..], [Content::Media { media: MediaKind::Audio, caption: None, .. }, Content::Text { text }] if text == "here"),
            "{audio:?}"
        );
        assert!(matches!(&answer("image")[..], [Content::Media { media: MediaKind::Image, .. }]));
        assert_eq!(answer("hologram"), []);
    }
}
