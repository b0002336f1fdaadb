//! Reads an upload as it arrives. Fields are small and are kept in memory; the file goes straight to the spool, so that
//! a large upload needs space on disk and not in memory.

use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as HttpBody;

use super::content::{KINDS, MediaBody, SendBody, media_name};
use crate::api::call::Call;
use crate::api::http::multipart::Multipart;
use crate::api::http::problem::{Code, Problem};
use crate::model::{DeviceName, MediaKind, end_of_path};
use crate::store::{SpoolFull, Upload};

/// How long the whole upload may take: 64 MiB at 100 kB/s.
const WHOLE: Duration = Duration::from_mins(12);
/// The most bytes of a field other than the file.
const MAX_FIELD: usize = 64 * 1024;

/// Reads an upload: the fields of a message, and its file.
pub(crate) async fn send_body(call: &mut Call) -> Result<(SendBody, Option<Upload>), Problem> {
    let mut send = SendBody::default();
    let field = |name: &str, text: String| {
        match name {
            "to" => send.to = text,
            "expires" => send.expires = given(text),
            "reply_to" => send.reply_to = given(text),
            "mentions" => send.mentions.extend(given(text)),
            "send_at" => send.send_at = Some(text),
            "view_once" => send.view_once = text == "true",
            _ => return false,
        }
        true
    };
    let (kind, media, file) = file_of(call, &KINDS, field).await?;
    send.set_media(kind, media);
    Ok((send, Some(file)))
}

/// Reads a form with the file in the part `file` and what is said of it in others. `field` takes those that are not
/// about the file, and says whether it knows them.
pub(super) async fn file_of(
    call: &mut Call,
    kinds: &[MediaKind],
    mut field: impl FnMut(&str, String) -> bool,
) -> Result<(MediaKind, MediaBody, Upload), Problem> {
    let content_type = call.header("content-type").unwrap_or_default().to_owned();
    let mut multipart = Multipart::open(&content_type, call.body()?, WHOLE)?;
    let mut media = MediaBody::default();
    let (mut kind, mut file) = (None, None);
    while let Some(part) = multipart.next().await? {
        match part.name.as_str() {
            "file" => {
                // PHP's curl sends the whole path.
                let name = part.filename.as_deref().and_then(end_of_path);
                media.filename = media.filename.or(name);
                media.mime = media.mime.or(part.mime);
                file = Some(to_spool(call, &mut multipart).await?);
            }
            "kind" => {
                let name = multipart.text(MAX_FIELD).await?;
                let known = kinds.iter().find(|kind| media_name(**kind) == name);
                kind = Some(*known.ok_or_else(|| Problem::field("kind", one_of(kinds)))?);
            }
            "caption" => media.caption = given(multipart.text(MAX_FIELD).await?),
            "filename" => media.filename = given(multipart.text(MAX_FIELD).await?),
            "mime" => media.mime = given(multipart.text(MAX_FIELD).await?),
            "as_document" => media.as_document = multipart.text(MAX_FIELD).await? == "true",
            "thumbnail" => media.thumbnail = given(multipart.text(MAX_FIELD).await?),
            other => {
                if !field(other, multipart.text(MAX_FIELD).await?) {
                    return Err(Problem::field(other, "unknown field"));
                }
            }
        }
    }
    let kind = kind.ok_or_else(|| Problem::field("kind", "required"))?;
    let file = file.ok_or_else(|| Problem::field("file", "required"))?;
    media.spool = Some(file.name().clone());
    if kind != MediaKind::Document && !media.as_document {
        // Every upload has a file name, but only a document shows it.
        media.filename = None;
    }
    Ok((kind, media, file))
}

/// `image, video or document`.
fn one_of(kinds: &[MediaKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| media_name(*kind)).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A form sends an empty field if a person left it empty.
pub(super) fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Puts the present part of an upload, which is a file for the device in the path, into the spool.
pub(crate) async fn to_spool<B: HttpBody<Data = Bytes>>(
    call: &Call,
    multipart: &mut Multipart<B>,
) -> Result<Upload, Problem> {
    let most = call.config.media.max_size;
    let mut upload = begin(call, &call.device()?.0).await?;
    let mut size = 0_u64;
    while let Some(piece) = multipart.piece().await? {
        size += piece.len() as u64;
        if size > most {
            let detail = format!("a file has at most {most} bytes (media.max_size)");
            return Err(Problem::new(Code::TooLarge, detail));
        }
        upload.write(&piece).await.map_err(failed)?;
    }
    if upload.finish().await.map_err(failed)? == 0 {
        return Err(Problem::field("file", "must not be empty"));
    }
    Ok(upload)
}

/// A place for a file of that device.
pub(super) async fn begin(call: &Call, device: &DeviceName) -> Result<Upload, Problem> {
    let (spool, tasks) = (call.state.api.store.spool(), &call.state.api.tasks);
    spool.upload(device, tasks).await.map_err(failed)
}

/// Why a file was not taken.
#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
pub(crate) fn failed(error: std::io::Error) -> Problem {
    match SpoolFull::of(&error) {
        Some(full) => full.into(),
        None => {
            tracing::error!(%error, "An upload could not be kept.");
            Code::StoreFailed.into()
        }
    }
}
