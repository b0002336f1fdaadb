//! Builds WhatsApp's message from a caller's request, with one small function per kind. Pure: files are uploaded and
//! the quoted message is looked up before.

use wa_rs::Jid;
use wa_rs::buffa::MessageField;
use wa_rs::wacore::proto_helpers::{
    MessageBuilderExt, MessageExt, build_reaction_message, wrap_as_album_child,
};
use wa_rs::waproto::whatsapp as wa;

use super::parts::{MessageParts, ground, mark, mention};
use super::preview::Preview;
use crate::model::{
    ContactCard, Content, EventPlace, MediaKind, MessageId, SendRequest, UnixMillis,
};
use crate::whatsapp::media::upload::UploadedFile;

/// How the links of WhatsApp's own calls begin.
const CALL_LINK: &str = "https://call.whatsapp.com/";

/// Why a message cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum EncodeError {
    #[error("latitude and longitude must be numbers")]
    Coordinates,
    #[error("there is no file")]
    NoFile,
    #[error("a read receipt is no message")]
    NoMessage,
    #[error("the message to be forwarded is not known here any more")]
    Unknown,
}

/// Builds the message for `to`.
pub(crate) fn message(
    to: &Jid,
    request: &SendRequest,
    parts: MessageParts,
) -> Result<wa::Message, EncodeError> {
    let context = context(&parts);
    let mentioning = |text: &str| mention::written(text, &parts.mentions);
    let view_once = request.view_once.then_some(true);
    let now = i64::try_from(UnixMillis::now().millis()).unwrap_or(i64::MAX);
    let mut message = match &request.content {
        Content::Text { text } | Content::LinkedText { text } => {
            words(mentioning(text), context, parts.preview)
        }
        Content::StatusText { text, background, font } => ground::text(text, *background, *font),
        Content::Media { caption, .. } => {
            let file = parts.file.ok_or(EncodeError::NoFile)?;
            let caption = caption.as_deref().map(mentioning);
            attachment(file, parts.thumbnail, caption, context, view_once)
        }
        Content::Album { images, videos, .. } => album(*images, *videos, context),
        Content::Location { latitude, longitude, name, address } => {
            place(latitude, longitude, name.clone(), address.clone(), context)?
        }
        Content::Contact { name, vcard } => card(name, vcard, context),
        Content::Contacts { contacts } => cards(contacts, context),
        Content::Poll { question, options, selectable, correct } => {
            poll(question, options, *selectable, correct.as_ref(), context)
        }
        Content::Event { .. } => event(&request.content, context)?,
        Content::Reaction { message, author, emoji } => {
            let author = author.as_ref().map(ToString::to_string).or(parts.author);
            build_reaction_message(key(to, message, author), emoji.clone(), now)
        }
        Content::Edit { message, text } => {
            let key = key_of_own(to, message, parts.own.clone());
            let new = match parts.original {
                Some(file) => captioned(file, text),
                None => wa::Message::text(text.clone()),
            };
            edit(key, new, now)
        }
        Content::Revoke { message, author } => {
            let key = match author {
                Some(author) => key(to, message, Some(author.to_string())),
                None => key_of_own(to, message, None),
            };
            revoke(key)
        }
        Content::Pin { message, author, seconds } => {
            mark::pin(key(to, message, author.as_ref().map(ToString::to_string)), *seconds, now)
        }
        Content::Timer { seconds } => protocol(mark::timer(*seconds, now)),
        Content::Forward { .. } => parts.original.ok_or(EncodeError::Unknown)?,
        Content::Read { .. } => return Err(EncodeError::NoMessage),
    };
    if let Some(album) = &request.album {
        message = wrap_as_album_child(message, key_of_own(to, album, parts.own));
    }
    if let Some(secret) = parts.secret {
        message.message_context_info = MessageField::some(wa::MessageContextInfo {
            message_secret: Some(secret.to_vec()),
            ..Default::default()
        });
    }
    Ok(message)
}

/// Makes a message disappear. Reactions and changes of other messages have no timer.
pub(crate) fn disappearing(message: &mut wa::Message, seconds: u32) {
    let child = message.associated_child_message.as_option_mut();
    if let Some(file) = child.and_then(|child| child.message.as_option_mut()) {
        file.set_ephemeral_expiration(seconds);
    } else if let Some(album) = message.album_message.as_option_mut() {
        album.context_info.get_or_insert_default().expiration = Some(seconds);
    } else {
        message.set_ephemeral_expiration(seconds);
    }
}

fn album(images: u32, videos: u32, context: Option<wa::ContextInfo>) -> wa::Message {
    let album = wa::message::AlbumMessage {
        expected_image_count: Some(images),
        expected_video_count: Some(videos),
        context_info: field(context),
    };
    wa::Message { album_message: MessageField::some(album), ..Default::default() }
}

fn words(text: String, context: Option<wa::ContextInfo>, preview: Option<Preview>) -> wa::Message {
    if context.is_none() && preview.is_none() {
        return wa::Message::text(text);
    }
    let mut message = wa::message::ExtendedTextMessage {
        text: Some(text),
        context_info: field(context),
        ..Default::default()
    };
    if let Some(Preview { url, title, description, thumbnail, .. }) = preview {
        message.matched_text = Some(url);
        message.title = Some(title);
        message.description = description;
        message.jpeg_thumbnail = thumbnail;
    }
    wa::Message { extended_text_message: MessageField::some(message), ..Default::default() }
}

fn context(parts: &MessageParts) -> Option<wa::ContextInfo> {
    if parts.quote.is_none() && parts.mentions.is_empty() {
        return None;
    }
    let mentioned_jid = parts.mentions.iter().map(|mention| mention.jid.clone()).collect();
    let mut context = wa::ContextInfo { mentioned_jid, ..Default::default() };
    if let Some(quote) = &parts.quote {
        context.stanza_id = Some(quote.id.to_string());
        context.participant.clone_from(&quote.author);
        context.quoted_message = MessageField::some(quote.message.clone());
    }
    Some(context)
}

fn field(context: Option<wa::ContextInfo>) -> MessageField<wa::ContextInfo> {
    context.into()
}

fn attachment(
    file: UploadedFile,
    jpeg_thumbnail: Option<Vec<u8>>,
    caption: Option<String>,
    context: Option<wa::ContextInfo>,
    view_once: Option<bool>,
) -> wa::Message {
    use wa_rs::media::{self, AudioOptions, DocumentOptions, ImageOptions, VideoOptions};
    let UploadedFile { kind, upload, mime, filename, size, seconds, waveform, .. } = file;
    let mimetype = Some(mime);
    let context_info = context.map(Box::new);
    match kind {
        MediaKind::Image => {
            let options = ImageOptions { caption, mimetype, jpeg_thumbnail, context_info };
            let mut message = media::image_message(upload, options);
            if let Some(image) = message.image_message.as_option_mut() {
                (image.width, image.height) = size.unzip();
                image.view_once = view_once;
            }
            message
        }
        MediaKind::Video => {
            let options = VideoOptions {
                caption,
                mimetype,
                context_info,
                jpeg_thumbnail,
                ..Default::default()
            };
            let mut message = media::video_message(upload, options);
            if let Some(video) = message.video_message.as_option_mut() {
                (video.width, video.height) = size.unzip();
                video.seconds = seconds;
                video.view_once = view_once;
            }
            message
        }
        MediaKind::Audio | MediaKind::Voice => {
            let ptt = Some(kind == MediaKind::Voice);
            let options =
                AudioOptions { mimetype, ptt, waveform, context_info, ..Default::default() };
            let mut message = media::audio_message(upload, options);
            if let Some(audio) = message.audio_message.as_option_mut() {
                audio.seconds = seconds;
                audio.view_once = view_once;
            }
            message
        }
        MediaKind::Document => {
            let title = filename.clone();
            let options = DocumentOptions {
                mimetype,
                file_name: filename,
                title,
                caption,
                context_info,
                jpeg_thumbnail,
                ..Default::default()
            };
            media::document_message(upload, options)
        }
        MediaKind::Sticker => wa::Message {
            sticker_message: MessageField::some(wa::message::StickerMessage {
                url: Some(upload.url),
                direct_path: Some(upload.direct_path),
                media_key: Some(upload.media_key.to_vec()),
                file_sha256: Some(upload.file_sha256.to_vec()),
                file_enc_sha256: Some(upload.file_enc_sha256.to_vec()),
                file_length: Some(upload.file_length),
                media_key_timestamp: Some(upload.media_key_timestamp),
                mimetype,
                width: size.map(|(width, _)| width),
                height: size.map(|(_, height)| height),
                context_info: field(context_info.map(|context| *context)),
                ..Default::default()
            }),
            ..Default::default()
        },
    }
}

fn degrees(text: &str, most: f64) -> Result<f64, EncodeError> {
    let value = text.trim().parse::<f64>().ok().filter(|value| value.abs() <= most);
    value.ok_or(EncodeError::Coordinates)
}

fn location(place: &EventPlace) -> Result<wa::message::LocationMessage, EncodeError> {
    let (latitude, longitude) = place.degrees.as_ref().map(|(north, east)| (north, east)).unzip();
    Ok(wa::message::LocationMessage {
        degrees_latitude: latitude.map(|text| degrees(text, 90.0)).transpose()?,
        degrees_longitude: longitude.map(|text| degrees(text, 180.0)).transpose()?,
        name: place.name.clone(),
        address: place.address.clone(),
        ..Default::default()
    })
}

pub(crate) fn place(
    latitude: &str,
    longitude: &str,
    name: Option<String>,
    address: Option<String>,
    context: Option<wa::ContextInfo>,
) -> Result<wa::Message, EncodeError> {
    Ok(wa::Message {
        location_message: MessageField::some(wa::message::LocationMessage {
            degrees_latitude: Some(degrees(latitude, 90.0)?),
            degrees_longitude: Some(degrees(longitude, 180.0)?),
            name,
            address,
            context_info: field(context),
            ..Default::default()
        }),
        ..Default::default()
    })
}

pub(crate) fn card(name: &str, vcard: &str, context: Option<wa::ContextInfo>) -> wa::Message {
    wa::Message {
        contact_message: MessageField::some(wa::message::ContactMessage {
            display_name: Some(name.to_owned()),
            vcard: Some(vcard.to_owned()),
            context_info: field(context),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn cards(contacts: &[ContactCard], context: Option<wa::ContextInfo>) -> wa::Message {
    let one = |card: &ContactCard| wa::message::ContactMessage {
        display_name: Some(card.name.clone()),
        vcard: Some(card.vcard.clone()),
        ..Default::default()
    };
    wa::Message {
        contacts_array_message: MessageField::some(wa::message::ContactsArrayMessage {
            display_name: Some(format!("{} contacts", contacts.len())),
            contacts: contacts.iter().map(one).collect(),
            context_info: field(context),
        }),
        ..Default::default()
    }
}

fn poll(
    question: &str,
    options: &[String],
    selectable: u32,
    correct: Option<&String>,
    context: Option<wa::ContextInfo>,
) -> wa::Message {
    use wa::message::poll_creation_message::Option as Choice;
    let choice = |name: &String| Choice { option_name: Some(name.clone()), ..Default::default() };
    let poll = MessageField::some(wa::message::PollCreationMessage {
        name: Some(question.to_owned()),
        options: options.iter().map(choice).collect(),
        selectable_options_count: Some(selectable),
        poll_type: correct.map(|_| wa::message::PollType::QUIZ),
        correct_answer: correct.map(choice).into(),
        context_info: field(context),
        ..Default::default()
    });
    // WhatsApp's own clients use the third form when only one answer may be chosen.
    if selectable == 1 {
        wa::Message { poll_creation_message_v3: poll, ..Default::default() }
    } else {
        wa::Message { poll_creation_message: poll, ..Default::default() }
    }
}

fn event(content: &Content, context: Option<wa::ContextInfo>) -> Result<wa::Message, EncodeError> {
    let Content::Event { name, description, start, end, place, link } = content else {
        return Err(EncodeError::NoMessage);
    };
    let seconds = |time: &UnixMillis| i64::try_from(time.secs()).unwrap_or(i64::MAX);
    let place = place.as_ref().map(location).transpose()?;
    let event = wa::message::EventMessage {
        context_info: field(context),
        name: Some(name.clone()),
        description: description.clone(),
        location: place.into(),
        join_link: link.clone(),
        start_time: Some(seconds(start)),
        end_time: end.as_ref().map(seconds),
        is_canceled: Some(false),
        is_schedule_call: link.as_ref().map(|link| link.starts_with(CALL_LINK)),
        ..Default::default()
    };
    Ok(wa::Message { event_message: MessageField::some(event), ..Default::default() })
}

/// The key of somebody's message; ours when `author` is `None`.
fn key(to: &Jid, id: &MessageId, author: Option<String>) -> wa::MessageKey {
    let in_group = to.to_string().ends_with("@g.us");
    wa::MessageKey {
        remote_jid: Some(to.to_string()),
        from_me: Some(author.is_none()),
        id: Some(id.to_string()),
        participant: author.filter(|_| in_group),
    }
}

fn key_of_own(to: &Jid, id: &MessageId, own: Option<String>) -> wa::MessageKey {
    wa::MessageKey { participant: own, ..key(to, id, None) }
}

fn edit(key: wa::MessageKey, new: wa::Message, now: i64) -> wa::Message {
    protocol(wa::message::ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(wa::message::protocol_message::Type::MESSAGE_EDIT),
        edited_message: MessageField::some(new),
        timestamp_ms: Some(now),
        ..Default::default()
    })
}

/// The same file with another text under it.
fn captioned(mut file: wa::Message, text: &str) -> wa::Message {
    let text = Some(text.to_owned());
    if let Some(image) = file.image_message.as_option_mut() {
        image.caption = text;
    } else if let Some(video) = file.video_message.as_option_mut() {
        video.caption = text;
    } else if let Some(document) = file.document_message.as_option_mut() {
        document.caption = text;
    }
    file
}

fn revoke(key: wa::MessageKey) -> wa::Message {
    protocol(wa::message::ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(wa::message::protocol_message::Type::REVOKE),
        ..Default::default()
    })
}

fn protocol(protocol: wa::message::ProtocolMessage) -> wa::Message {
    wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Recipient;

    fn request(content: Content) -> SendRequest {
        let to = Recipient::parse("628111000111", None).unwrap();
        SendRequest::plain(to, content)
    }

    fn build(to: &str, content: Content, parts: MessageParts) -> Result<wa::Message, EncodeError> {
        message(&to.parse().unwrap(), &request(content), parts)
    }

    fn place(latitude: &str) -> Content {
        let (longitude, name, address) = ("106.8".to_owned(), None, None);
        Content::Location { latitude: latitude.to_owned(), longitude, name, address }
    }

    #[test]
    fn plain_text_stays_plain() {
        let text = Content::Text { text: "halo".into() };
        let built = build("628111000111@s.whatsapp.net", text, MessageParts::default()).unwrap();
        assert_eq!(built, wa::Message::text("halo"));
    }

    #[test]
    fn a_place_needs_real_coordinates() {
        for bad in ["north", "", "91", "NaN", "inf"] {
            let built = build("1@s.whatsapp.net", place(bad), MessageParts::default());
            assert_eq!(built.err(), Some(EncodeError::Coordinates), "{bad}");
        }
        assert!(build("1@s.whatsapp.net", place("-6.2"), MessageParts::default()).is_ok());
    }

    #[test]
    fn a_key_names_the_author_only_in_a_group() {
        let id = MessageId::parse("3EB0").unwrap();
        let author = || Some("628222@s.whatsapp.net".to_owned());
        let reaction = |id: &MessageId| Content::Reaction {
            message: id.clone(),
            author: None,
            emoji: "x".into(),
        };
        let key_of = |built: wa::Message| {
            built.reaction_message.as_option().unwrap().key.as_option().unwrap().clone()
        };
        let theirs = || MessageParts { author: author(), ..MessageParts::default() };
        let alone = key_of(build("628222@s.whatsapp.net", reaction(&id), theirs()).unwrap());
        assert_eq!((alone.from_me, alone.participant), (Some(false), None));
        let group = key_of(build("120@g.us", reaction(&id), theirs()).unwrap());
        assert_eq!((group.from_me, group.participant), (Some(false), author()));
        let ours = key_of(build("120@g.us", reaction(&id), MessageParts::default()).unwrap());
        assert_eq!((ours.from_me, ours.participant), (Some(true), None));
    }

    #[test]
    fn a_poll_carries_its_secret() {
        let poll = |selectable| {
            let options = vec!["a".to_owned(), "b".to_owned()];
            let content =
                Content::Poll { question: "?".into(), options, selectable, correct: None };
            let secret = Some([7; 32]);
            build("1@s.whatsapp.net", content, MessageParts { secret, ..MessageParts::default() })
                .unwrap()
        };
        let secret = |m: &wa::Message| {
            m.message_context_info.as_option().unwrap().message_secret.clone().unwrap()
        };
        let (one, many) = (poll(1), poll(2));
        assert!(one.poll_creation_message_v3.is_set() && many.poll_creation_message.is_set());
        assert_eq!((secret(&one), secret(&many)), (vec![7; 32], vec![7; 32]));
    }
}
