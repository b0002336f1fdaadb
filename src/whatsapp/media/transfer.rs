//! Downloads, and what they share with uploads. Everything streams through unlinked files in the store's spool: no file
//! is ever whole in memory, and a crash leaves nothing behind. Blocking work has threads of its own.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::sync::mpsc;
use wa_rs::client::Client;
use wa_rs::download::{DownloadParams, DownloadWriter, MediaType};
use wa_rs::http::HttpStatusError;

use crate::model::{MediaKind, MessageId};
use crate::store::{Scratch, SpoolFull};
use crate::task::Tasks;
use crate::whatsapp::context::Context;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::history::row::MediaRow;

/// Names the threads on which files are worked on.
pub(crate) const THREAD: &str = "whatsapp media";
/// How much is read at once on the way to a caller.
pub(crate) const CHUNK: usize = 64 << 10;

/// A file that is streamed to a caller.
pub struct MediaStream {
    /// Its type, as the sender said.
    pub mime: Option<String>,
    pub filename: Option<String>,
    pub size: Option<u64>,
    /// The decrypted bytes; an error ends the stream.
    pub chunks: mpsc::Receiver<Result<Bytes, WhatsAppError>>,
}

/// Downloads and decrypts a received file, then streams it. Nothing is streamed before the whole file is verified.
pub(crate) async fn download(
    context: &Arc<Context>,
    client: &Client,
    id: &MessageId,
    mut row: MediaRow,
) -> Result<MediaStream, WhatsAppError> {
    if row.size.is_some_and(|size| size > context.max_media) {
        return Err(WhatsAppError::TooLarge);
    }
    let file = match fetch(context, client, &row).await {
        Err(WhatsAppError::Expired) => {
            row.direct_path = upload_again(client, id, &row).await?;
            row.save(&context.store.space(&context.name), id).await?;
            fetch(context, client, &row).await?
        }
        fetched => fetched?,
    };
    let (chunks, stream) = mpsc::channel(4);
    let reader = file.reader().map_err(|error| no_file(&error))?;
    context.tasks.spawn("media stream", send_chunks(file, reader, chunks));
    let MediaRow { mime, filename, size, .. } = row;
    Ok(MediaStream { mime, filename, size, chunks: stream })
}

/// Downloads and decrypts into a nameless file.
async fn fetch(
    context: &Context,
    client: &Client,
    row: &MediaRow,
) -> Result<Scratch, WhatsAppError> {
    let params = params(row).ok_or(WhatsAppError::NotFound)?;
    let (spool, device) = (context.store.spool().clone(), context.name.clone());
    let sink = Tasks::on_thread(THREAD, move || spool.scratch(&device))
        .await
        .flatten()
        .map_err(|error| no_file(&error))?;
    client.download_to_writer(&params, sink).await.map_err(|error| {
        let failed = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
        if let Some(full) = failed.and_then(SpoolFull::of) {
            return WhatsAppError::NoRoom(full);
        }
        let refused = error.chain().find_map(|cause| cause.downcast_ref::<HttpStatusError>());
        match refused.map(|refused| refused.status) {
            // The hosts also answer 403 when a path's signature has expired.
            Some(403 | 404 | 410) => WhatsAppError::Expired,
            Some(status) => WhatsAppError::Refused(status.to_string()),
            None => WhatsAppError::Media(format!("the download failed: {error}")),
        }
    })
}

/// Asks the account's phone to upload a file that WhatsApp's hosts no longer have; returns its new path. It fails when
/// the phone is off or has deleted the file.
async fn upload_again(
    client: &Client,
    id: &MessageId,
    row: &MediaRow,
) -> Result<String, WhatsAppError> {
    let key = row.media_key.as_ref().and_then(|key| HEXLOWER.decode(key.as_bytes()).ok());
    let chat = row.chat.as_ref().and_then(|chat| chat.parse::<wa_rs::Jid>().ok());
    let (Some(key), Some(chat)) = (key, chat) else { return Err(WhatsAppError::Expired) };
    let participant = row.participant.as_ref().and_then(|jid| jid.parse::<wa_rs::Jid>().ok());
    let request = wa_rs::MediaReuploadRequest {
        msg_id: id.as_str(),
        chat_jid: &chat,
        media_key: &key,
        is_from_me: row.from_me,
        participant: participant.as_ref(),
    };
    match client.media_reupload().request(&request).await {
        Ok(wa_rs::MediaRetryResult::Success { direct_path }) => Ok(direct_path),
        Err(wa_rs::MediaReuploadError::Client(_)) => Err(WhatsAppError::NotConnected),
        Ok(_) | Err(_) => Err(WhatsAppError::Expired),
    }
}

async fn send_chunks(
    scratch: Scratch,
    file: File,
    chunks: mpsc::Sender<Result<Bytes, WhatsAppError>>,
) {
    use tokio::io::AsyncReadExt;
    let mut file = tokio::fs::File::from_std(file);
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await;
        let (item, last) = match read {
            Ok(0) => break,
            Ok(_) => (Ok(Bytes::from(chunk)), false),
            Err(error) => (Err(WhatsAppError::Media(error.to_string())), true),
        };
        // A caller who hung up does not want the rest.
        if chunks.send(item).await.is_err() || last {
            break;
        }
    }
    // Until here its bytes were on the disk.
    drop(scratch);
}

/// Why there is no file to work on.
fn no_file(error: &std::io::Error) -> WhatsAppError {
    match SpoolFull::of(error) {
        Some(full) => WhatsAppError::NoRoom(full),
        None => WhatsAppError::Media(error.to_string()),
    }
}

pub(crate) fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Image => MediaType::Image,
        MediaKind::Video => MediaType::Video,
        MediaKind::Audio | MediaKind::Voice => MediaType::Audio,
        MediaKind::Document => MediaType::Document,
        MediaKind::Sticker => MediaType::Sticker,
    }
}

fn params(row: &MediaRow) -> Option<DownloadParams> {
    let bytes = |hex: &Option<String>| HEXLOWER.decode(hex.as_ref()?.as_bytes()).ok();
    Some(DownloadParams {
        direct_path: row.direct_path.clone(),
        media_key: bytes(&row.media_key),
        file_sha256: bytes(&row.file_sha256)?,
        file_enc_sha256: bytes(&row.file_enc_sha256),
        file_length: row.size.unwrap_or_default(),
        media_type: media_type(row.kind),
    })
}

impl DownloadWriter for Scratch {
    fn truncate(&mut self, size: u64) -> std::io::Result<()> {
        self.set_size(size)
    }
}
