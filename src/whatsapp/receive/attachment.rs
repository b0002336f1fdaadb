//! Files in messages: what is kept of them, so that they can be downloaded and forwarded.

use data_encoding::HEXLOWER;
use wa_rs::buffa::Message as _;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;

use super::body::{Said, unwrap};
use crate::model::detail::{Film, Sound};
use crate::model::{Body, DeviceName, MediaData, MediaKind, UnixMillis, path_step};
use crate::whatsapp::history::row::MediaRow;

pub(crate) fn attachment(m: &wa::Message) -> Option<Said> {
    if let Some(file) = m.image_message.as_option() {
        return Some(Said::new(Body::Image).text(file.caption.as_ref()).with(image(file)));
    }
    if let Some(file) = m.video_message.as_option().or(m.ptv_message.as_option()) {
        let film = Film { seconds: file.seconds, gif: file.gif_playback.filter(|gif| *gif) };
        let said = Said::new(Body::Video(film)).text(file.caption.as_ref());
        return Some(said.with(video(file)));
    }
    if let Some(audio) = m.audio_message.as_option() {
        let sound = Sound { seconds: audio.seconds };
        let (kind, body) = match audio.ptt {
            Some(true) => (MediaKind::Voice, Body::Voice(sound)),
            _ => (MediaKind::Audio, Body::Audio(sound)),
        };
        return Some(Said::new(body).with(row(audio, kind, audio.mimetype.as_ref(), None)));
    }
    if let Some(file) = m.document_message.as_option() {
        return Some(Said::new(Body::Document).text(file.caption.as_ref()).with(document(file)));
    }
    let sticker = m.sticker_message.as_option()?;
    let media = row(sticker, MediaKind::Sticker, sticker.mimetype.as_ref(), None);
    Some(Said::new(Body::Sticker).with(media))
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
            url: format!("/v1/devices/{device}/media/{}", path_step(id)),
            mime: self.mime.clone(),
            size: self.size,
            sha256: self.file_sha256.clone(),
            filename: self.filename.clone(),
        }
    }
}
