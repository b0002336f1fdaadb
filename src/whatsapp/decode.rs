//! What came from WhatsApp, as events. Pure: addresses are resolved before, nothing is fetched and nothing is written.
//! A kind that is not understood is said so by its name, never dropped.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use wa_rs::types::{events::Event as EngineEvent, message::MessageInfo};
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::wacore::types::call::CallAction;
use wa_rs::waproto::whatsapp as wa;

use super::history::MediaRow;
use crate::model::{
    DeviceName, Event, EventData, EventId, EventType, MediaData, MediaKind, MessageData, Person,
    Reply, UnixMillis,
};

/// A message as an event, and what is needed to download its file later.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The event.
    pub(super) event: Event,
    /// Where the file is and how it is decrypted.
    pub(super) media: Option<MediaRow>,
}

/// What a message says, before it is known who said it.
#[derive(Debug, Default)]
struct Body {
    kind: &'static str,
    text: Option<String>,
    media: Option<MediaRow>,
    details: Map<String, Value>,
    event: Option<EventType>,
}

impl Body {
    fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    fn text(mut self, text: Option<&String>) -> Self {
        self.text = text.filter(|text| !text.is_empty()).cloned();
        self
    }

    fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.details.insert(name.to_owned(), value);
        }
        self
    }

    fn is(mut self, event: EventType) -> Self {
        self.event = Some(event);
        self
    }
}

/// The event of a message; `None` for what carries nothing for people (keys, settings).
pub(super) fn message(
    device: &DeviceName,
    info: &MessageInfo,
    message: &wa::Message,
    from: Person,
    chat: String,
) -> Option<Decoded> {
    let base = message.get_base_message();
    let Body { kind, text, media, mut details, event } = body(base)?;
    if message.is_view_once() {
        details.insert("view_once".to_owned(), Value::Bool(true));
    }
    let from_me = info.source.is_from_me;
    let event =
        event.unwrap_or(if from_me { EventType::MessageSent } else { EventType::MessageReceived });
    let at = UnixMillis::from_millis(
        u64::try_from(info.timestamp.timestamp_millis()).unwrap_or_default(),
    );
    let context = context(base);
    let data = MessageData {
        id: info.id.clone(),
        group: info.source.is_group.then(|| chat.clone()),
        chat,
        from,
        from_me,
        kind: kind.to_owned(),
        text,
        mentions: context.map(|context| context.mentioned_jid.clone()).unwrap_or_default(),
        reply_to: context.and_then(reply),
        media: media.as_ref().map(|row| row.public(device, &info.id)),
        details: (!details.is_empty()).then_some(Value::Object(details)),
    };
    // The key as it stands in the stanza: what is shown may be resolved better the next time.
    let id = EventId::derive(&[
        device.as_str(),
        &info.source.chat.to_non_ad_string(),
        &info.source.sender.to_non_ad_string(),
        &info.id,
        event.as_str(),
    ]);
    let event = Event {
        id,
        kind: event,
        timestamp: at,
        device: device.clone(),
        data: EventData::Message(Box::new(data)),
    };
    let media = media.map(|row| MediaRow { at, ..row });
    Some(Decoded { event, media })
}

fn body(m: &wa::Message) -> Option<Body> {
    if let Some(text) = m.conversation.as_ref() {
        return Some(Body::new("text").text(Some(text)));
    }
    if let Some(text) = m.extended_text_message.as_option() {
        return Some(Body::new("text").text(text.text.as_ref()));
    }
    attachment(m).or_else(|| place_or_card(m)).or_else(|| answer(m)).or_else(|| about(m))
}

fn attachment(m: &wa::Message) -> Option<Body> {
    if let Some(image) = m.image_message.as_option() {
        let media = row(image, MediaKind::Image, image.mimetype.as_ref(), None);
        return Some(Body { media, ..Body::new("image").text(image.caption.as_ref()) });
    }
    if let Some(video) = m.video_message.as_option().or(m.ptv_message.as_option()) {
        let media = row(video, MediaKind::Video, video.mimetype.as_ref(), None);
        let body = Body::new("video").text(video.caption.as_ref()).detail("seconds", video.seconds);
        return Some(Body { media, ..body });
    }
    if let Some(audio) = m.audio_message.as_option() {
        let (kind, name) = match audio.ptt {
            Some(true) => (MediaKind::Voice, "voice"),
            _ => (MediaKind::Audio, "audio"),
        };
        let media = row(audio, kind, audio.mimetype.as_ref(), None);
        return Some(Body { media, ..Body::new(name).detail("seconds", audio.seconds) });
    }
    if let Some(file) = m.document_message.as_option() {
        let media = row(file, MediaKind::Document, file.mimetype.as_ref(), file.file_name.as_ref());
        return Some(Body { media, ..Body::new("document").text(file.caption.as_ref()) });
    }
    let sticker = m.sticker_message.as_option()?;
    let media = row(sticker, MediaKind::Sticker, sticker.mimetype.as_ref(), None);
    Some(Body { media, ..Body::new("sticker") })
}

fn place_or_card(m: &wa::Message) -> Option<Body> {
    if let Some(place) = m.location_message.as_option() {
        let body = Body::new("location")
            .text(place.comment.as_ref())
            .detail("latitude", place.degrees_latitude)
            .detail("longitude", place.degrees_longitude)
            .detail("name", place.name.clone())
            .detail("address", place.address.clone());
        return Some(body);
    }
    if let Some(place) = m.live_location_message.as_option() {
        let body = Body::new("live_location")
            .text(place.caption.as_ref())
            .detail("latitude", place.degrees_latitude)
            .detail("longitude", place.degrees_longitude);
        return Some(body);
    }
    let card = |card: &wa::message::ContactMessage| json!({ "name": card.display_name, "vcard": card.vcard });
    if let Some(contact) = m.contact_message.as_option() {
        return Some(Body::new("contact").detail("contacts", vec![card(contact)]));
    }
    if let Some(array) = m.contacts_array_message.as_option() {
        let cards: Vec<Value> = array.contacts.iter().map(card).collect();
        return Some(Body::new("contact").detail("contacts", cards));
    }
    let poll = [
        &m.poll_creation_message,
        &m.poll_creation_message_v2,
        &m.poll_creation_message_v3,
        &m.poll_creation_message_v5,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option())?;
    let options: Vec<Value> =
        poll.options.iter().filter_map(|o| o.option_name.clone()).map(Value::from).collect();
    let body = Body::new("poll")
        .text(poll.name.as_ref())
        .detail("options", options)
        .detail("selectable", poll.selectable_options_count);
    Some(body)
}

/// A press on something a business sent: what it said, as text, and which it was.
fn answer(m: &wa::Message) -> Option<Body> {
    use wa::message::buttons_response_message::Response;
    if let Some(pressed) = m.buttons_response_message.as_option() {
        let text = pressed.response.as_ref().map(|Response::SelectedDisplayText(text)| text);
        return Some(
            Body::new("text").text(text).detail("selected", pressed.selected_button_id.clone()),
        );
    }
    if let Some(pressed) = m.template_button_reply_message.as_option() {
        let body = Body::new("text")
            .text(pressed.selected_display_text.as_ref())
            .detail("selected", pressed.selected_id.clone());
        return Some(body);
    }
    if let Some(chosen) = m.list_response_message.as_option() {
        let row = chosen.single_select_reply.as_option().and_then(|r| r.selected_row_id.clone());
        return Some(Body::new("text").text(chosen.title.as_ref()).detail("selected", row));
    }
    let chosen = m.interactive_response_message.as_option()?;
    let text = chosen.body.as_option().and_then(|body| body.text.as_ref());
    Some(Body::new("text").text(text))
}

/// What is said about another message, and what is not understood.
fn about(m: &wa::Message) -> Option<Body> {
    if let Some(reaction) = m.reaction_message.as_option() {
        let emoji = reaction.text.clone().unwrap_or_default();
        let body = target(Body::new("reaction"), reaction.key.as_option())
            .text(Some(&emoji))
            .detail("emoji", emoji);
        return Some(body.is(EventType::MessageReaction));
    }
    if let Some(vote) = m.poll_update_message.as_option() {
        let body = target(Body::new("poll_vote"), vote.poll_creation_message_key.as_option());
        return Some(body.is(EventType::PollVote));
    }
    if let Some(protocol) = m.protocol_message.as_option() {
        return protocol_message(protocol);
    }
    unsupported(m)
}

fn protocol_message(protocol: &wa::message::ProtocolMessage) -> Option<Body> {
    use wa::message::protocol_message::Type;
    let key = protocol.key.as_option();
    if protocol.r#type == Some(Type::REVOKE) {
        return Some(target(Body::new("revoked"), key).is(EventType::MessageRevoked));
    }
    let edited = protocol.edited_message.as_option()?;
    let new = body(edited.get_base_message())?;
    // The file of an edited message stays what it was.
    Some(target(Body { media: None, ..new }, key).is(EventType::MessageEdited))
}

fn target(body: Body, key: Option<&wa::MessageKey>) -> Body {
    body.detail("message", key.and_then(|key| key.id.clone()))
        .detail("author", key.and_then(|key| key.participant.clone()))
}

/// Names the first field of a message that nothing above knows.
fn unsupported(m: &wa::Message) -> Option<Body> {
    const PLUMBING: [&str; 4] = [
        "sender_key_distribution_message",
        "fast_ratchet_key_sender_key_distribution_message",
        "message_context_info",
        "device_sent_message",
    ];
    let Ok(Value::Object(fields)) = serde_json::to_value(m) else { return None };
    let name = fields
        .into_iter()
        .find(|(name, value)| {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            !empty && !name.starts_with("__") && !PLUMBING.contains(&name.as_str())
        })?
        .0;
    Some(Body::new("unsupported").detail("type", name.trim_end_matches("_message").to_owned()))
}

/// The context of the first part that has one.
fn context(m: &wa::Message) -> Option<&wa::ContextInfo> {
    macro_rules! first {
        ($($field:ident),+ $(,)?) => {
            None$(.or_else(|| m.$field.as_option().and_then(|part| part.context_info.as_option())))+
        };
    }
    first!(
        extended_text_message,
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        live_location_message,
        contact_message,
        contacts_array_message,
        buttons_response_message,
        template_button_reply_message,
        list_response_message,
        interactive_response_message,
        poll_creation_message,
        poll_creation_message_v3,
    )
}

fn reply(context: &wa::ContextInfo) -> Option<Reply> {
    let quoted = context.quoted_message.as_option();
    let text = quoted.and_then(|quoted| {
        let base = quoted.get_base_message();
        base.text_content().or_else(|| base.get_caption()).map(str::to_owned)
    });
    Some(Reply { id: context.stanza_id.clone()?, from: context.participant.clone(), text })
}

fn row(
    file: &dyn wa_rs::wacore::download::Downloadable,
    kind: MediaKind,
    mime: Option<&String>,
    filename: Option<&String>,
) -> Option<MediaRow> {
    Some(MediaRow {
        at: UnixMillis::default(),
        kind,
        direct_path: file.direct_path()?.to_owned(),
        media_key: file.media_key().map(|key| HEXLOWER.encode(key)),
        file_sha256: file.file_sha256().map(|hash| HEXLOWER.encode(hash)),
        file_enc_sha256: file.file_enc_sha256().map(|hash| HEXLOWER.encode(hash)),
        size: file.file_length(),
        mime: mime.cloned(),
        filename: filename.cloned(),
    })
}

impl MediaRow {
    fn public(&self, device: &DeviceName, id: &str) -> MediaData {
        MediaData {
            url: format!("/v1/devices/{device}/media/{id}"),
            mime: self.mime.clone(),
            size: self.size,
            sha256: self.file_sha256.clone(),
            filename: self.filename.clone(),
        }
    }
}

/// The event of what happened to a group, or of a call.
pub(super) fn occasion(device: &DeviceName, event: &EngineEvent) -> Option<Event> {
    match event {
        EngineEvent::GroupUpdate(update) => {
            let group = update.group_jid.to_string();
            let by = update.participant.as_ref().map(wa_rs::Jid::to_non_ad_string);
            let phone = update.participant_pn.as_ref().map(|pn| pn.user.to_string());
            let data = json!({
                "group": group,
                "by": by,
                "by_phone": phone,
                "change": serde_json::to_value(&update.action).ok()?,
            });
            let notification = update.notification_id.clone().unwrap_or_default();
            let part = format!("{notification}/{}", update.action_index);
            let at = update.timestamp.timestamp_millis();
            Some(other(device, EventType::GroupUpdated, &[&group, "", &part], at, data))
        }
        EngineEvent::IncomingCall(call) => {
            let (id, creator, video, group) = match &call.action {
                CallAction::Offer { call_id, call_creator, is_video, group_jid, .. } => {
                    (call_id, call_creator, *is_video, group_jid.is_some())
                }
                CallAction::OfferNotice { call_id, call_creator, is_video, is_group } => {
                    (call_id, call_creator, *is_video, *is_group)
                }
                _ => return None,
            };
            let phone = match &call.action {
                CallAction::Offer { caller_pn: Some(pn), .. } => Some(pn.user.to_string()),
                _ => creator.is_pn().then(|| creator.user.to_string()),
            };
            let from = creator.to_non_ad_string();
            let data = json!({
                "id": id, "from": from, "phone": phone, "video": video, "group": group, "missed": false,
            });
            let at = call.timestamp.timestamp_millis();
            Some(other(device, EventType::CallOffer, &[&from, &from, id], at, data))
        }
        EngineEvent::MissedCall(call) => {
            let from = call.from.to_non_ad_string();
            let phone = call.from.is_pn().then(|| call.from.user.to_string());
            let data = json!({
                "id": call.call_id, "from": from, "phone": phone, "video": null, "group": null, "missed": true,
            });
            let at = call.timestamp.timestamp_millis();
            Some(other(device, EventType::CallOffer, &[&from, &from, &call.call_id], at, data))
        }
        _ => None,
    }
}

fn other(device: &DeviceName, kind: EventType, key: &[&str; 3], at: i64, data: Value) -> Event {
    let [chat, sender, id] = key;
    Event {
        id: EventId::derive(&[device.as_str(), chat, sender, id, kind.as_str()]),
        kind,
        timestamp: UnixMillis::from_millis(u64::try_from(at).unwrap_or_default()),
        device: device.clone(),
        data: EventData::Other(data),
    }
}

#[cfg(test)]
mod tests;
