//! Forwards a message as it is. Its file is not uploaded again: WhatsApp's hosts keep one copy, and the forwarded
//! message carries its keys.

use data_encoding::BASE64;
use wa_rs::buffa::{Message as _, MessageField};
use wa_rs::wacore::proto_helpers::{MessageBuilderExt, MessageExt};
use wa_rs::waproto::whatsapp as wa;

use super::encode;
use crate::model::detail::{Card, Contacts, Place};
use crate::model::{Body, Content, MessageData, MessageId, MessageKind};
use crate::store::StoreError;
use crate::whatsapp::context::Context;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::history::lookup::find;
use crate::whatsapp::history::row::MediaRow;

/// A known message, ready to be forwarded. `None` when it is not known here any more, or is of a kind that cannot be
/// forwarded.
pub(crate) async fn original(
    context: &Context,
    id: &MessageId,
) -> Result<Option<wa::Message>, StoreError> {
    match MediaRow::find(&context.store.space(&context.name), id).await {
        Ok(row) => return Ok(decoded(&row).map(without_timer)),
        Err(WhatsAppError::NotFound) => {}
        Err(WhatsAppError::Store(error)) => return Err(error),
        Err(_) => return Ok(None),
    }
    let rebuilt = match find(&context.store, &context.name, id).await?.found {
        Some(data) => received(&data),
        None => {
            let row = context.store.queue().own(&context.name, id).await?;
            row.and_then(|row| sent(&row.request.content))
        }
    };
    Ok(rebuilt.map(|message| *message.prepare_for_forward()))
}

/// The message of a file as it was, without what it answered and whom it mentioned.
pub(crate) async fn file(
    context: &Context,
    id: &MessageId,
    good: impl Fn(&MediaRow) -> bool,
) -> Result<Option<wa::Message>, StoreError> {
    let row = MediaRow::find_that(&context.store.space(&context.name), id, good).await?;
    let mut message = row.and_then(|row| decoded(&row));
    if let Some(message) = &mut message {
        message.set_context_info(wa::ContextInfo::default());
    }
    Ok(message)
}

/// The timer belongs to the chat that it came from.
fn without_timer(mut file: wa::Message) -> wa::Message {
    if let Some(context) = context_mut(&mut file) {
        context.expiration = None;
        context.ephemeral_setting_timestamp = None;
        context.disappearing_mode = MessageField::none();
    }
    file
}

fn context_mut(file: &mut wa::Message) -> Option<&mut wa::ContextInfo> {
    let context = if let Some(image) = file.image_message.as_option_mut() {
        &mut image.context_info
    } else if let Some(video) = file.video_message.as_option_mut() {
        &mut video.context_info
    } else if let Some(film) = file.ptv_message.as_option_mut() {
        &mut film.context_info
    } else if let Some(audio) = file.audio_message.as_option_mut() {
        &mut audio.context_info
    } else if let Some(document) = file.document_message.as_option_mut() {
        &mut document.context_info
    } else {
        &mut file.sticker_message.as_option_mut()?.context_info
    };
    context.as_option_mut()
}

fn decoded(row: &MediaRow) -> Option<wa::Message> {
    let bytes = BASE64.decode(row.forward.as_ref()?.as_bytes()).ok()?;
    wa::Message::decode_from_slice(&bytes).ok()
}

pub(crate) fn received(data: &MessageData) -> Option<wa::Message> {
    match &data.body {
        Body::Text(_) => data.text.clone().map(wa::Message::text),
        Body::Location(Place { latitude, longitude, name, address }) => {
            let (latitude, longitude) = ((*latitude)?.to_string(), (*longitude)?.to_string());
            encode::place(&latitude, &longitude, name.clone(), address.clone(), None).ok()
        }
        Body::Contact(Contacts { contacts }) => match contacts.as_slice() {
            [Card { name, vcard, .. }] => {
                let name = name.as_deref().unwrap_or_default();
                Some(encode::card(name, vcard.as_deref()?, None))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What an answer shows of a message whose file is not kept, or that cannot be passed on: its kind and its words.
pub(crate) fn outline(
    kind: &MessageKind,
    text: Option<String>,
    file_name: Option<String>,
) -> Option<wa::Message> {
    use wa::message::{
        AudioMessage, DocumentMessage, EventMessage, ImageMessage, PollCreationMessage,
        StickerMessage, VideoMessage,
    };
    let mut message = wa::Message::default();
    match kind {
        MessageKind::Image => {
            let image = ImageMessage { caption: text, ..Default::default() };
            message.image_message = MessageField::some(image);
        }
        MessageKind::Video => {
            let film = VideoMessage { caption: text, ..Default::default() };
            message.video_message = MessageField::some(film);
        }
        MessageKind::Audio | MessageKind::Voice => {
            let ptt = Some(*kind == MessageKind::Voice);
            message.audio_message = MessageField::some(AudioMessage { ptt, ..Default::default() });
        }
        MessageKind::Document => {
            let document = DocumentMessage { caption: text, file_name, ..Default::default() };
            message.document_message = MessageField::some(document);
        }
        MessageKind::Sticker => {
            message.sticker_message = MessageField::some(StickerMessage::default());
        }
        MessageKind::Poll => {
            let poll = PollCreationMessage { name: text, ..Default::default() };
            message.poll_creation_message_v3 = MessageField::some(poll);
        }
        MessageKind::Event => {
            let event = EventMessage { name: text, ..Default::default() };
            message.event_message = MessageField::some(event);
        }
        _ => return None,
    }
    Some(message)
}

/// The same of a message that was sent.
pub(crate) fn outline_of(content: &Content) -> Option<wa::Message> {
    let (kind, filename) = match content {
        Content::Media { media, filename, .. } => (MessageKind::from(*media), filename.clone()),
        Content::Poll { .. } => (MessageKind::Poll, None),
        Content::Event { .. } => (MessageKind::Event, None),
        _ => return None,
    };
    outline(&kind, content.words().map(str::to_owned), filename)
}

pub(crate) fn sent(content: &Content) -> Option<wa::Message> {
    match content {
        Content::Text { text } | Content::LinkedText { text } => {
            Some(wa::Message::text(text.clone()))
        }
        Content::Location { latitude, longitude, name, address } => {
            encode::place(latitude, longitude, name.clone(), address.clone(), None).ok()
        }
        Content::Contact { name, vcard } => Some(encode::card(name, vcard, None)),
        Content::Contacts { contacts } => Some(encode::cards(contacts, None)),
        _ => None,
    }
}
