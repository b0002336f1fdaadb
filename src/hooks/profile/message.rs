//! What a message says, in the JSON of WhatsApp's own protocol: so programs for Baileys and for whatsmeow read it. Both
//! name its fields alike, except for the URL of a file.

use serde_json::{Map, Value, json};

use super::event::{Told, by_phone, chat_of};
use crate::model::{Body, MediaData, MessageData, MessageKind};

/// The name of the field that a message's content is in, and the content.
pub(super) type Said = (&'static str, Value);

/// What the message says; `None` when it has neither words nor anything else that those programs know.
pub(super) fn said(told: &Told, message: &MessageData, url: &str) -> Option<Said> {
    let with_place = |latitude: Option<f64>, longitude: Option<f64>, others: Value| {
        let place = json!({ "degreesLatitude": latitude, "degreesLongitude": longitude });
        joined(place, others)
    };
    if let (Some(media), Some(name)) = (&message.media, file_field(&message.kind())) {
        return Some((name, with_context(file(told, message, media, url), message)));
    }
    let (name, value) = match &message.body {
        Body::Location(at) => {
            let others = json!({ "name": at.name, "address": at.address });
            ("locationMessage", with_place(at.latitude, at.longitude, others))
        }
        Body::LiveLocation(at) => {
            let others = json!({ "accuracyInMeters": at.accuracy });
            ("liveLocationMessage", with_place(at.latitude, at.longitude, others))
        }
        Body::Contact(cards) => {
            let card = |card: &crate::model::detail::Card| json!({ "displayName": card.name, "vcard": card.vcard });
            match cards.contacts.as_slice() {
                [one] => ("contactMessage", card(one)),
                all => {
                    let all: Vec<Value> = all.iter().map(card).collect();
                    ("contactsArrayMessage", json!({ "contacts": all }))
                }
            }
        }
        Body::Poll(poll) => {
            let options = poll.options.iter().map(|option| json!({ "optionName": option }));
            let poll = json!({
                "name": message.text,
                "options": options.collect::<Vec<_>>(),
                "selectableOptionsCount": poll.selectable,
            });
            ("pollCreationMessage", poll)
        }
        Body::Reaction(reaction) => {
            let about = key_of(message, reaction.about.message.as_deref(), None);
            ("reactionMessage", json!({ "key": about, "text": reaction.emoji }))
        }
        Body::PollVote(vote) => {
            let poll = key_of(message, vote.poll.message.as_deref(), None);
            let chosen = json!({ "selectedOptions": vote.options });
            ("pollUpdateMessage", json!({ "pollCreationMessageKey": poll, "vote": chosen }))
        }
        _ => return Some(("conversation", message.text.as_ref()?.clone().into())),
    };
    Some((name, with_context(without_nulls(value), message)))
}

/// The key of a message that this one is about, in the same chat.
pub(super) fn key_of(message: &MessageData, id: Option<&str>, from_me: Option<bool>) -> Value {
    without_nulls(json!({ "remoteJid": chat_of(message), "fromMe": from_me, "id": id }))
}

/// What the message answers, and whom it mentions.
pub(super) fn context(message: &MessageData) -> Option<Value> {
    let mut context = Map::new();
    if let Some(reply) = &message.reply_to {
        context.insert("stanzaId".to_owned(), json!(reply.id));
        context.insert("participant".to_owned(), json!(reply.from));
        if let Some(text) = &reply.text {
            context.insert("quotedMessage".to_owned(), json!({ "conversation": text }));
        }
    }
    if !message.mentioned.is_empty() {
        let mentioned = message.mentioned.iter();
        let mentioned = mentioned.map(|who| by_phone(&who.jid, who.phone.as_deref()));
        context.insert("mentionedJid".to_owned(), mentioned.collect::<Vec<_>>().into());
    }
    if message.circumstances.forwarded == Some(true) {
        context.insert("isForwarded".to_owned(), true.into());
    }
    (!context.is_empty()).then(|| without_nulls(context.into()))
}

/// The word for a file's kind, where it has one.
pub(super) fn file_word(kind: &MessageKind) -> Option<&'static str> {
    Some(match kind {
        MessageKind::Image => "image",
        MessageKind::Video => "video",
        MessageKind::Audio | MessageKind::Voice => "audio",
        MessageKind::Document => "document",
        MessageKind::Sticker => "sticker",
        _ => return None,
    })
}

fn file_field(kind: &MessageKind) -> Option<&'static str> {
    Some(match file_word(kind)? {
        "image" => "imageMessage",
        "video" => "videoMessage",
        "audio" => "audioMessage",
        "document" => "documentMessage",
        _ => "stickerMessage",
    })
}

fn file(told: &Told, message: &MessageData, media: &MediaData, url: &str) -> Value {
    let caption = message.text.as_ref();
    let file = json!({
        url: told.file.as_ref().unwrap_or(&media.url),
        "mimetype": media.mime,
        "caption": caption,
        "fileName": media.filename,
        // 64 bits are text in that JSON.
        "fileLength": media.size.map(|size| size.to_string()),
        "ptt": (message.kind() == MessageKind::Voice).then_some(true),
    });
    without_nulls(file)
}

fn with_context(value: Value, message: &MessageData) -> Value {
    match context(message) {
        Some(context) => joined(value, json!({ "contextInfo": context })),
        None => value,
    }
}

fn joined(mut value: Value, others: Value) -> Value {
    if let (Value::Object(fields), Value::Object(others)) = (&mut value, others) {
        fields.extend(others);
    }
    value
}

/// A field that is not known is not there.
pub(super) fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null());
    }
    value
}
