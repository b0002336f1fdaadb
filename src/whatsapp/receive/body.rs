//! What a message says, before it is known who said it.

use std::fmt::Debug;

use serde_json::{Map, Value};
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;

use crate::model::{EventType, MessageKind};
use crate::whatsapp::history::row::MediaRow;

#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) kind: MessageKind,
    pub(crate) text: Option<String>,
    pub(crate) media: Option<MediaRow>,
    pub(crate) details: Map<String, Value>,
    pub(crate) event: Option<EventType>,
}

impl Body {
    pub(crate) fn new(kind: MessageKind) -> Self {
        Self { kind, text: None, media: None, details: Map::new(), event: None }
    }

    pub(crate) fn text(mut self, text: Option<&String>) -> Self {
        self.text = text.filter(|text| !text.is_empty()).cloned();
        self
    }

    /// The texts that a person reads, each on its line.
    pub(crate) fn lines<'t>(self, texts: impl IntoIterator<Item = Option<&'t String>>) -> Self {
        let mut lines: Vec<&str> = texts.into_iter().flatten().map(String::as_str).collect();
        lines.retain(|line| !line.trim().is_empty());
        self.text(Some(&lines.join("\n")))
    }

    /// A detail that is a list, unless it is empty.
    pub(crate) fn list(self, name: &str, values: impl IntoIterator<Item = Value>) -> Self {
        let values: Vec<Value> = values.into_iter().collect();
        if values.is_empty() { self } else { self.detail(name, values) }
    }

    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.details.insert(name.to_owned(), value);
        }
        self
    }

    pub(crate) fn is(mut self, event: EventType) -> Self {
        self.event = Some(event);
        self
    }
}

/// Adds the message that this one is about.
pub(crate) fn target(body: Body, key: Option<&wa::MessageKey>) -> Body {
    body.detail("message", key.and_then(|key| key.id.clone()))
        .detail("author", key.and_then(|key| key.participant.clone()))
}

/// A word of the protocol's, in lower case.
pub(crate) fn word(value: impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// What is written beside a payment.
pub(crate) fn note(message: Option<&wa::Message>) -> Option<&String> {
    let base = message?.get_base_message();
    let long = base.extended_text_message.as_option().and_then(|text| text.text.as_ref());
    base.conversation.as_ref().or(long)
}

/// The message without its wrappers: those the engine knows, and the others that say how it is shown.
pub(crate) fn unwrap(message: &wa::Message) -> &wa::Message {
    let mut current = message.get_base_message();
    // No client wraps deeper; a hostile sender could.
    for _ in 0..8 {
        let inner = [
            &current.group_mentioned_message,
            &current.lottie_sticker_message,
            &current.associated_child_message,
            &current.poll_creation_message_v4,
            &current.poll_creation_option_image_message,
            &current.spoiler_message,
            &current.bot_invoke_message,
            &current.bot_task_message,
            &current.bot_forwarded_message,
            &current.event_cover_image,
            &current.status_mention_message,
            &current.group_status_mention_message,
            &current.status_add_yours,
            &current.group_status_message,
            &current.group_status_message_v2,
            &current.limit_sharing_message,
            &current.question_message,
            &current.question_reply_message,
            &current.newsletter_admin_profile_message,
            &current.newsletter_admin_profile_message_v2,
            &current.newsletter_admin_profile_status_message,
        ]
        .into_iter()
        .find_map(|wrapper| wrapper.as_option().and_then(|wrapper| wrapper.message.as_option()))
        .or_else(|| current.comment_message.as_option()?.message.as_option());
        match inner {
            Some(inner) => current = inner.get_base_message(),
            None => break,
        }
    }
    current
}

/// The poll of a message, in whichever of the forms it was sent.
pub(crate) fn poll_of(m: &wa::Message) -> Option<&wa::message::PollCreationMessage> {
    [
        &m.poll_creation_message,
        &m.poll_creation_message_v2,
        &m.poll_creation_message_v3,
        &m.poll_creation_message_v5,
        &m.poll_creation_message_v6,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option())
}
