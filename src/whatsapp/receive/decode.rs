//! Turns WhatsApp's messages into events. Pure: addresses are resolved before, nothing is fetched or written. A message
//! of a kind that is not understood becomes an event that names the kind; it is never dropped.

use serde_json::Value;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;

use super::attachment::{attachment, forwardable};
use super::body::{Said, list, poll_of, shorten, target, unwrap};
use super::business::{business, parsed};
use super::commerce::commerce;
use super::raw;
use super::special::special;
use crate::model::detail::{
    Ad, Card, Circumstances, Contacts, MovingPlace, Place, Poll, PollVote, Pressed, Reaction,
    Target, Unsupported,
};
use crate::model::{
    Body, Cap, ChatKind, DeviceName, Event, EventData, EventId, EventType, MessageData, Person,
    Reply, UnixMillis,
};
use crate::whatsapp::directory::chat_kind;
use crate::whatsapp::history::row::MediaRow;

/// A message as an event, and what is needed to download its file later.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) event: Event,
    pub(crate) media: Option<MediaRow>,
}

/// The event of a message; `None` when it carries nothing for people (keys, settings).
pub(crate) fn message(
    device: &DeviceName,
    info: &MessageInfo,
    message: &wa::Message,
    from: Person,
    chat: String,
) -> Option<Decoded> {
    let base = unwrap(message);
    let context = context(base);
    let Said { body, text, media, about, event } = said(base)?;
    let (from_me, chat_kind) = (info.source.is_from_me, chat_kind(&info.source.chat));
    let event = event.unwrap_or(match chat_kind {
        ChatKind::Status => EventType::StatusReceived,
        ChatKind::Channel => EventType::ChannelReceived,
        _ if from_me => EventType::MessageSent,
        _ => EventType::MessageReceived,
    });
    let at = UnixMillis::from_millis(
        u64::try_from(info.timestamp.timestamp_millis()).unwrap_or_default(),
    );
    let mut data = MessageData {
        id: info.id.clone(),
        group: (chat_kind == ChatKind::Group).then(|| chat.clone()),
        chat,
        chat_kind: Some(chat_kind),
        from,
        from_me,
        body,
        text,
        mentions: context.map(|context| context.mentioned_jid.clone()).unwrap_or_default(),
        mentioned: Vec::new(),
        reply_to: context.and_then(reply),
        disappears_after: context.and_then(|context| context.expiration).filter(|after| *after > 0),
        media: media.as_ref().map(|row| row.public(device, &info.id)),
        circumstances: circumstances(message, context, about, post_of(info)),
        truncated: false,
    };
    shorten(&mut data);
    // Derived from the addresses in the stanza, not from those shown: the same message may be resolved better the next
    // time, and must still have the same id.
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
    let media = media.map(|mut row| {
        let mut cap = Cap::new();
        cap.maybe(&mut row.mime);
        cap.maybe(&mut row.filename);
        row
    });
    let media = media.map(|row| MediaRow {
        at: UnixMillis::now(),
        chat: Some(info.source.chat.to_non_ad_string()),
        participant: info.source.is_group.then(|| info.source.sender.to_non_ad_string()),
        from_me,
        // A view-once message cannot be forwarded.
        forward: (!message.is_view_once()).then(|| forwardable(base)).flatten(),
        ..row
    });
    Some(Decoded { event, media })
}

impl Decoded {
    /// Adds who is mentioned, under every address known.
    pub(crate) fn mention(&mut self, people: Vec<Person>) {
        if let EventData::Message(data) = &mut self.event.data {
            data.mentioned = people;
        }
    }

    /// Whom it mentions, as its sender wrote them.
    pub(crate) fn mentions(&self) -> &[String] {
        match &self.event.data {
            EventData::Message(data) => &data.mentions,
            _ => &[],
        }
    }

    /// Where what is read later is put.
    pub(crate) fn body(&mut self) -> Option<&mut Body> {
        match &mut self.event.data {
            EventData::Message(data) => Some(&mut data.body),
            _ => None,
        }
    }
}

/// What is said about a message of any kind: how it is shown, and where it came from.
fn circumstances(
    message: &wa::Message,
    context: Option<&wa::ContextInfo>,
    about: Target,
    post: Option<i32>,
) -> Circumstances {
    use wa::message_association::AssociationType;
    let base = message.get_base_message();
    let yes = |is: bool| is.then_some(true);
    let around = [message, base]
        .into_iter()
        .find_map(|part| part.message_context_info.as_option()?.message_association.as_option());
    let album =
        around.filter(|around| around.association_type == Some(AssociationType::MEDIA_ALBUM));
    let album = album.and_then(|around| around.parent_message_key.as_option()?.id.clone());
    let comment = base.comment_message.as_option();
    let comment = comment.and_then(|comment| comment.target_message_key.as_option()?.id.clone());
    let for_group =
        base.group_status_message.as_option().or(base.group_status_message_v2.as_option());
    let ad = context.and_then(|context| context.external_ad_reply.as_option()).and_then(ad);
    let context = |read: fn(&wa::ContextInfo) -> bool| yes(context.is_some_and(read));
    Circumstances {
        about,
        view_once: yes(message.is_view_once()),
        forwarded: context(|context| context.is_forwarded == Some(true)),
        group_status: yes(for_group.is_some()),
        album,
        comment_on: comment,
        post,
        ad,
    }
}

/// WhatsApp's number for a post in a channel. The engine says 0 when there is none.
fn post_of(info: &MessageInfo) -> Option<i32> {
    let in_channel = chat_kind(&info.source.chat) == ChatKind::Channel;
    (in_channel && info.server_id > 0).then_some(info.server_id)
}

/// The advertisement that somebody came from. A link's card looks alike, but has no source.
fn ad(card: &wa::context_info::ExternalAdReplyInfo) -> Option<Ad> {
    card.source_id.as_ref().or(card.ctwa_clid.as_ref())?;
    Some(Ad {
        source_id: card.source_id.clone(),
        ctwa_clid: card.ctwa_clid.clone(),
        title: card.title.clone(),
        url: card.source_url.clone(),
    })
}

fn said(m: &wa::Message) -> Option<Said> {
    if let Some(text) = m.conversation.as_ref() {
        return Some(Said::new(Body::text()).text(Some(text)));
    }
    if let Some(text) = m.extended_text_message.as_option() {
        return Some(Said::new(Body::text()).text(text.text.as_ref()));
    }
    attachment(m)
        .or_else(|| place_or_card(m))
        .or_else(|| answer(m))
        .or_else(|| business(m))
        .or_else(|| commerce(m))
        .or_else(|| special(m))
        .or_else(|| about(m))
}

fn place_or_card(m: &wa::Message) -> Option<Said> {
    if let Some(place) = m.location_message.as_option() {
        let details = Place {
            latitude: place.degrees_latitude.filter(|degrees| degrees.is_finite()),
            longitude: place.degrees_longitude.filter(|degrees| degrees.is_finite()),
            name: place.name.clone(),
            address: place.address.clone(),
        };
        return Some(Said::new(Body::Location(details)).text(place.comment.as_ref()));
    }
    if let Some(place) = m.live_location_message.as_option() {
        let details = MovingPlace {
            latitude: place.degrees_latitude.filter(|degrees| degrees.is_finite()),
            longitude: place.degrees_longitude.filter(|degrees| degrees.is_finite()),
            accuracy: place.accuracy_in_meters,
        };
        return Some(Said::new(Body::LiveLocation(details)).text(place.caption.as_ref()));
    }
    let card = |card: &wa::message::ContactMessage| Card {
        name: card.display_name.clone(),
        vcard: card.vcard.clone(),
        phones: card.vcard.as_deref().and_then(|vcard| list(phones(vcard))),
    };
    if let Some(contact) = m.contact_message.as_option() {
        let contacts = vec![card(contact)];
        return Some(Said::new(Body::Contact(Contacts { contacts })));
    }
    if let Some(array) = m.contacts_array_message.as_option() {
        let contacts = array.contacts.iter().map(card).collect();
        return Some(Said::new(Body::Contact(Contacts { contacts })));
    }
    let poll = poll_of(m)?;
    let details = Poll {
        options: poll.options.iter().filter_map(|o| o.option_name.clone()).collect(),
        selectable: poll.selectable_options_count,
        correct: poll.correct_answer.as_option().and_then(|o| o.option_name.clone()),
    };
    Some(Said::new(Body::Poll(details)).text(poll.name.as_ref()))
}

/// The numbers of a contact card: WhatsApp's own form of one where the card has it, else its digits.
fn phones(vcard: &str) -> Vec<String> {
    let line = |line: &str| {
        let (name, number) = line.split_once(':')?;
        let field = name.rsplit('.').next()?;
        let mut parts = field.split(';');
        parts.next().filter(|part| part.eq_ignore_ascii_case("TEL"))?;
        let known = parts.find_map(|part| part.strip_prefix("waid="));
        let digits = number.chars().filter(char::is_ascii_digit).collect::<String>();
        Some(known.map_or(digits, str::to_owned)).filter(|number| !number.is_empty())
    };
    vcard.lines().filter_map(line).collect()
}

/// A press on a button or list that a business sent: its label as text, and its id.
fn answer(m: &wa::Message) -> Option<Said> {
    use wa::message::buttons_response_message::Response;
    use wa::message::interactive_response_message::InteractiveResponseMessage as Flow;
    if let Some(pressed) = m.buttons_response_message.as_option() {
        let text = pressed.response.as_ref().map(|Response::SelectedDisplayText(text)| text);
        return Some(chose(pressed.selected_button_id.clone()).text(text));
    }
    if let Some(pressed) = m.template_button_reply_message.as_option() {
        let said = chose(pressed.selected_id.clone());
        return Some(said.text(pressed.selected_display_text.as_ref()));
    }
    if let Some(chosen) = m.list_response_message.as_option() {
        let row = chosen.single_select_reply.as_option().and_then(|r| r.selected_row_id.clone());
        return Some(chose(row).text(chosen.title.as_ref()));
    }
    let chosen = m.interactive_response_message.as_option()?;
    let text = chosen.body.as_option().and_then(|body| body.text.as_ref());
    let Some(Flow::NativeFlowResponseMessage(flow)) = &chosen.interactive_response_message else {
        return Some(Said::new(Body::text()).text(text));
    };
    let params = flow.params_json.as_deref().map(parsed).filter(|params| !params.is_null());
    let selected = params.as_ref().and_then(|params| params["id"].as_str()).map(str::to_owned);
    let pressed = Pressed { selected, flow: flow.name.clone(), params };
    Some(Said::new(Body::Text(pressed)).text(text))
}

fn chose(selected: Option<String>) -> Said {
    Said::new(Body::Text(Pressed { selected, ..Pressed::default() }))
}

/// Messages about another message, and those that are not understood.
fn about(m: &wa::Message) -> Option<Said> {
    if let Some(reaction) = m.reaction_message.as_option() {
        let emoji = reaction.text.clone().unwrap_or_default();
        let about = target(reaction.key.as_option());
        let said = Said::new(Body::Reaction(Reaction { about, emoji: emoji.clone() }));
        return Some(said.text(Some(&emoji)).is(EventType::MessageReaction));
    }
    if let Some(vote) = m.poll_update_message.as_option() {
        let poll = target(vote.poll_creation_message_key.as_option());
        let said = Said::new(Body::PollVote(PollVote { poll, options: None }));
        return Some(said.is(EventType::PollVote));
    }
    if let Some(protocol) = m.protocol_message.as_option() {
        return protocol_message(protocol);
    }
    unsupported(m)
}

/// The id of the message that this one takes back.
pub(crate) fn revoked(message: &wa::Message) -> Option<&str> {
    use wa::message::protocol_message::Type;
    let protocol = unwrap(message).protocol_message.as_option()?;
    let revokes = protocol.r#type == Some(Type::REVOKE);
    protocol.key.as_option().filter(|_| revokes)?.id.as_deref()
}

fn protocol_message(protocol: &wa::message::ProtocolMessage) -> Option<Said> {
    use wa::message::protocol_message::Type;
    let key = protocol.key.as_option();
    if protocol.r#type == Some(Type::REVOKE) {
        return Some(Said::new(Body::Revoked(target(key))).is(EventType::MessageRevoked));
    }
    let edited = protocol.edited_message.as_option()?;
    // An edit changes the text only; the file stays as it was.
    let new = said(unwrap(edited))?.with(None);
    Some(new.about(key).is(EventType::MessageEdited))
}

/// A message that is not understood: its first field, and all of it as far as it may be shown.
fn unsupported(m: &wa::Message) -> Option<Said> {
    let Ok(Value::Object(fields)) = serde_json::to_value(m) else { return None };
    let readable =
        |(name, value): &(&String, &Value)| !raw::is_empty(value) && !raw::is_plumbing(name);
    let r#type = fields.iter().find(readable)?.0.trim_end_matches("_message").to_owned();
    Some(Said::new(Body::Unsupported(Unsupported { r#type, raw: raw::shown(fields) })))
}

/// The context of the first part that has one.
pub(crate) fn context(m: &wa::Message) -> Option<&wa::ContextInfo> {
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
        poll_creation_message_v2,
        poll_creation_message_v3,
        poll_creation_message_v5,
        poll_creation_message_v6,
        buttons_message,
        list_message,
        template_message,
        interactive_message,
        product_message,
        order_message,
        event_message,
        event_invite_message,
        album_message,
        sticker_pack_message,
        group_invite_message,
        newsletter_admin_invite_message,
        newsletter_follower_invite_message_v2,
        poll_result_snapshot_message,
        poll_result_snapshot_message_v3,
        split_payment_message,
    )
}

fn reply(context: &wa::ContextInfo) -> Option<Reply> {
    let quoted = context.quoted_message.as_option().map(unwrap);
    let (kind, text) = match quoted.and_then(said) {
        Some(Said { body, text, .. }) => (Some(body.kind()), text),
        None => (None, None),
    };
    // A quoted file often has no address, so that it is no file to fetch.
    let document = quoted.and_then(|message| message.document_message.as_option());
    Some(Reply {
        id: context.stanza_id.clone()?,
        from: context.participant.clone(),
        text,
        kind,
        filename: document.and_then(|file| file.file_name.clone()),
    })
}
