//! What a message says, before it is known who said it.

use serde_json::{Map, Value};
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;

use crate::model::EventType;
use crate::whatsapp::history::row::MediaRow;

#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) kind: &'static str,
    pub(crate) text: Option<String>,
    pub(crate) media: Option<MediaRow>,
    pub(crate) details: Map<String, Value>,
    pub(crate) event: Option<EventType>,
}

impl Body {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(crate) fn text(mut self, text: Option<&String>) -> Self {
        self.text = text.filter(|text| !text.is_empty()).cloned();
        self
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

/// The message without its wrappers: those the engine knows, and those around albums, animated stickers and mentions of
/// a whole group.
pub(crate) fn unwrap(message: &wa::Message) -> &wa::Message {
    let mut current = message.get_base_message();
    // No client wraps deeper; a hostile sender could.
    for _ in 0..8 {
        let inner = [
            &current.group_mentioned_message,
            &current.lottie_sticker_message,
            &current.associated_child_message,
            &current.poll_creation_message_v4,
            &current.spoiler_message,
        ]
        .into_iter()
        .find_map(|wrapper| wrapper.as_option().and_then(|wrapper| wrapper.message.as_option()));
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
    ]
    .into_iter()
    .find_map(|poll| poll.as_option())
}
