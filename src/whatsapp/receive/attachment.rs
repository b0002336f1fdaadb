//! Files in messages: what is kept of them, so that they can be downloaded and forwarded.

use data_encoding::HEXLOWER;
use wa_rs::buffa::Message as _;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;

use super::body::{Body, unwrap};
use crate::model::{DeviceName, MediaData, MediaKind, MessageKind, UnixMillis};
use crate::whatsapp::history::row::MediaRow;

pub(crate) fn attachment(m: &wa::Message) -> Option<Body> {
    if let Some(file) = m.image_message.as_option() {
        return Some(Body {
            media: image(file),
            ..Body::new(MessageKind::Image).text(file.caption.as_ref())
        });
    }
    if let Some(file) = m.video_message.as_option().or(m.ptv_message.as_option()) {
        let body = Body::new(MessageKind::Video)
            .text(file.caption.as_ref())
            .detail("seconds", file.seconds)
            .detail("gif", file.gif_playback.filter(|gif| *gif));
        return Some(Body { media: video(file), ..body });
    }
    if let Some(audio) = m.audio_message.as_option() {
        let (kind, name) = match audio.ptt {
            Some(true) => (MediaKind::Voice, MessageKind::Voice),
            _ => (MediaKind::Audio, MessageKind::Audio),
        };
        let media = row(audio, kind, audio.mimetype.as_ref(), None);
        return Some(Body { media, ..Body::new(name).detail("seconds", audio.seconds) });
    }
    if let Some(file) = m.document_message.as_option() {
        let body = Body::new(MessageKind::Document).text(file.caption.as_ref());
        return Some(Body { media: document(file), ..body });
    }
    let sticker = m.sticker_message.as_option()?;
    let media = row(sticker, MediaKind::Sticker, sticker.mimetype.as_ref(), None);
    Some(Body { media, ..Body::new(MessageKind::Sticker) })
}

pub(crate) fn image(file: &wa::message::ImageMessage) -> Option<MediaRow> {
    row(file, MediaKind::Image, file.mimetype.as_ref(), None)
}

pub(crate) fn video(file: &wa::message::VideoMessage) -> Option<MediaRow> {
    row(file, MediaKind::Video, file.mimetype.as_ref(), None)
}

pub(crate) fn document(file: &wa::message::DocumentMessage) -> Option<MediaRow> {
    row(file, MediaKind::Document, file.mimetype.as_ref(), file.file_name.as_ref())
}

/// The row of a file that is being sent.
pub(crate) fn sent_file(message: &wa::Message, chat: &str, view_once: bool) -> Option<MediaRow> {
    let message = unwrap(message);
    let row = attachment(message)?.media?;
    let forward = if view_once { None } else { forwardable(message) };
    let at = UnixMillis::now();
    Some(MediaRow { at, chat: Some(chat.to_owned()), from_me: true, forward, ..row })
}

/// The message of a file as it would be forwarded, unless it is unreasonably large.
pub(crate) fn forwardable(base: &wa::Message) -> Option<String> {
    const MOST: usize = 64 << 10;
    let encoded = base.prepare_for_forward().encode_to_vec();
    (encoded.len() <= MOST).then(|| data_encoding::BASE64.encode(&encoded))
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
        chat: None,
        participant: None,
        from_me: false,
        forward: None,
    })
}

impl MediaRow {
    /// What an event says of the file.
    pub(crate) fn public(&self, device: &DeviceName, id: &str) -> MediaData {
        MediaData {
            url: format!("/v1/devices/{device}/media/{id}"),
            mime: self.mime.clone(),
            size: self.size,
            sha256: self.file_sha256.clone(),
            filename: self.filename.clone(),
        }
    }
}
