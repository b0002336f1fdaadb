//! What a message says, before it is known who said it.

use std::fmt::Debug;

use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;

use crate::model::detail::Target;
use crate::model::{Body, Cap, EventType, MessageData, Part as _};
use crate::whatsapp::history::row::MediaRow;

#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) body: Body,
    pub(crate) text: Option<String>,
    pub(crate) media: Option<MediaRow>,
    /// The message that it is about, unless its body says so.
    pub(crate) about: Target,
    pub(crate) event: Option<EventType>,
}

impl Said {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, text: None, media: None, about: Target::default(), event: None }
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

    pub(crate) fn with(self, media: Option<MediaRow>) -> Self {
        Self { media, ..self }
    }

    pub(crate) fn about(self, key: Option<&wa::MessageKey>) -> Self {
        Self { about: target(key), ..self }
    }

    pub(crate) fn is(mut self, event: EventType) -> Self {
        self.event = Some(event);
        self
    }
}

/// The message that another one is about.
pub(crate) fn target(key: Option<&wa::MessageKey>) -> Target {
    Target {
        message: key.and_then(|key| key.id.clone()),
        author: key.and_then(|key| key.participant.clone()),
    }
}

/// A list, unless it is empty.
pub(crate) fn list<T>(values: impl IntoIterator<Item = T>) -> Option<Vec<T>> {
    Some(Vec::from_iter(values)).filter(|values| !values.is_empty())
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

/// Cuts off what is too much of a message, and says so in it.
pub(crate) fn shorten(data: &mut MessageData) {
    let mut cap = Cap::new();
    cap.maybe(&mut data.text);
    cap.maybe(&mut data.from.name);
    if let Some(reply) = &mut data.reply_to {
        cap.maybe(&mut reply.text);
        cap.maybe(&mut reply.filename);
    }
    if let Some(media) = &mut data.media {
        cap.maybe(&mut media.mime);
        cap.maybe(&mut media.filename);
    }
    data.body.shorten(&mut cap);
    data.circumstances.shorten(&mut cap);
    cap.mentions(&mut data.mentions);
    data.truncated = cap.has_cut();
}
