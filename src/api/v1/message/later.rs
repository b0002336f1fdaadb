//! Messages that are to go later: they can be listed, changed and taken back until their time comes.

use serde::{Deserialize, Deserializer};

use super::content::{self, Issues, later};
use super::queue::{follow_up, own};
use crate::api::call::Call;
use crate::api::http::problem::{Code, Problem};
use crate::model::{Content, MessageStatus, SentMessage, UnixMillis};
use crate::store::Change;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditBody {
    #[serde(default, deserialize_with = "given")]
    pub(super) text: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub(super) send_at: Option<String>,
}

/// What is there is a text: `null` is none.
pub(super) fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

/// Changes the message in the path: one that is scheduled itself, and one that was sent by a message of its own, which
/// gives it other words.
pub(super) async fn edit(call: &Call, body: EditBody) -> Result<SentMessage, Problem> {
    let EditBody { text, send_at } = body;
    let mut issues = Issues::default();
    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        issues.add("text", "must not be empty");
    }
    if text.is_none() && send_at.is_none() {
        issues.add("", "give text, send_at or both");
    }
    let due = content::send_at(send_at.as_deref(), &mut issues)?;
    if !issues.0.is_empty() {
        return Err(Problem::invalid(issues.0));
    }
    let original = own(call).await?;
    if text.is_some() && !has_words(&original.request.content) {
        return Err(Problem::field("text", "only a text or a caption can be changed"));
    }
    if original.status == MessageStatus::Scheduled {
        if let Some(due) = due {
            later::check(due, UnixMillis::now())?;
        }
        let change = Change { words: text.clone(), due };
        let queue = call.state.api.store.queue();
        if let Some(now) = queue.reschedule(&original.device, &original.id, change).await? {
            return Ok(now);
        }
    }
    match (text, due) {
        (Some(text), None) => {
            let content = Content::Edit { message: original.id, text };
            follow_up(call, original.request.to, content).await
        }
        _ => Err(Problem::new(
            Code::Conflict,
            "the message is not scheduled, so it has no time to change",
        )),
    }
}

fn has_words(content: &Content) -> bool {
    match content {
        Content::Text { .. } | Content::LinkedText { .. } => true,
        Content::Media { media, .. } => media.has_caption(),
        _ => false,
    }
}

/// Takes the message in the path back if its time has not come; `None` when it is not scheduled.
pub(super) async fn cancel(call: &Call) -> Result<Option<SentMessage>, Problem> {
    let (name, _) = call.device()?;
    let (queue, id) = (call.state.api.store.queue(), call.message()?);
    let message = queue.own(&name, &id).await?;
    match message.map(|message| message.status) {
        Some(MessageStatus::Scheduled) => Ok(queue.cancel(&name, &id).await?),
        _ => Ok(None),
    }
}
