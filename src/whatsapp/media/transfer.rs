//! Uploads and downloads. Everything streams through unlinked files in the store's spool: no file is ever whole in
//! memory, and a crash leaves nothing behind. Blocking work has threads of its own.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::sync::mpsc;
use wa_rs::client::Client;
use wa_rs::download::{DownloadParams, DownloadWriter, MediaType};
use wa_rs::http::HttpStatusError;
use wa_rs::upload::UploadResponse;
use wa_rs::wacore::upload::{EncryptedMediaInfo, UploadSource, encrypt_media_streaming};

use super::fetch::{Claimed, FetchError};
use super::format::{self, Hints, Mismatch};
use super::image;
use super::mp4::{self, MediaHeader};
use crate::model::{MediaKind, MediaSource, MessageId, SpoolName, file_name};
use crate::store::{Scratch, SpoolFull};
use crate::task::Tasks;
use crate::whatsapp::context::Context;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::history::row::MediaRow;

/// Names the threads on which files are worked on.
pub(crate) const THREAD: &str = "whatsapp media";
/// How much is read at once on the way to a caller.
const CHUNK: usize = 64 << 10;

/// A file to be sent, as the request describes it.
pub(crate) struct Wanted<'a> {
    pub(crate) kind: MediaKind,
    pub(crate) source: &'a MediaSource,
    pub(crate) mime: Option<&'a str>,
    pub(crate) filename: Option<&'a str>,
}

/// A file that WhatsApp's hosts have, with what its message says about it.
pub(crate) struct UploadedFile {
    pub(crate) upload: UploadResponse,
    pub(crate) mime: String,
    pub(crate) filename: Option<String>,
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) seconds: Option<u32>,
}

/// A file that is streamed to a caller.
pub struct MediaStream {
    /// Its type, as the sender said.
    pub mime: Option<String>,
    pub filename: Option<String>,
    pub size: Option<u64>,
    /// The decrypted bytes; an error ends the stream.
    pub chunks: mpsc::Receiver<Result<Bytes, WhatsAppError>>,
}

/// A file that is encrypted and ready to go.
struct Ready {
    cipher: Arc<Scratch>,
    length: u64,
    info: EncryptedMediaInfo,
    mime: String,
    filename: Option<String>,
    header: MediaHeader,
}

/// Why a file was not uploaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    #[error("the file is empty")]
    Empty,
    #[error("the file is larger than media.max_size")]
    TooLarge,
    #[error("the file could not be read or written: {0}")]
    Disk(#[from] std::io::Error),
    #[error("the file could not be encrypted: {0}")]
    Cipher(String),
    #[error("the upload failed: {0}")]
    Upload(String),
}

/// Fetches or opens a file, encrypts it and uploads it.
pub(crate) async fn upload(
    context: &Arc<Context>,
    client: &Client,
    wanted: Wanted<'_>,
) -> Result<UploadedFile, MediaError> {
    let Wanted { kind, source, mime, filename } = wanted;
    let (worker, source, mime) = (Arc::clone(context), source.clone(), mime.map(str::to_owned));
    let filename = filename.map(str::to_owned);
    let plain = match source {
        MediaSource::Url(url) => fetch_url(context, url).await?,
        MediaSource::Uploaded(name) => Plain::Uploaded(name),
        MediaSource::Inline(bytes) => Plain::Inline(bytes),
    };
    let place = context.places.encryption().await;
    let make_ready = move || match plain {
        Plain::Fetched(file, claimed) => {
            let size = file.size()?;
            encrypt(&worker, kind, file, size, mime.as_deref(), filename, claimed)
        }
        Plain::Uploaded(name) => {
            let file = worker.store.spool().read(&name)?;
            let size = file.metadata()?.len();
            encrypt(&worker, kind, file, size, mime.as_deref(), filename, Claimed::default())
        }
        Plain::Inline(bytes) => {
            let size = bytes.len() as u64;
            let file = std::io::Cursor::new(bytes);
            encrypt(&worker, kind, file, size, mime.as_deref(), filename, Claimed::default())
        }
    };
    let ready = Tasks::on_thread(THREAD, make_ready).await??;
    drop(place);
    let Ready { cipher, length, info, mime, filename, header } = ready;
    let MediaHeader { size, seconds } = header;
    let source = Cipher { file: cipher, length };
    let upload = client
        .upload_stream(source, info, media_type(kind))
        .await
        .map_err(|error| MediaError::Upload(error.to_string()))?;
    Ok(UploadedFile { upload, mime, filename, size, seconds })
}

/// A file that is on this machine, and yet to be encrypted.
enum Plain {
    /// From a URL, with what its server says of it.
    Fetched(Scratch, Claimed),
    Uploaded(SpoolName),
    Inline(Vec<u8>),
}

async fn fetch_url(context: &Arc<Context>, url: String) -> Result<Plain, MediaError> {
    let place = context.places.download().await;
    let worker = Arc::clone(context);
    let fetch = move || {
        let mut file = worker.store.spool().scratch(&worker.name)?;
        let mut claimed = worker.fetcher.fetch(&url, &mut file)?;
        claimed.name = claimed.name.or_else(|| file_name(&url));
        Ok(Plain::Fetched(file, claimed))
    };
    let fetched = Tasks::on_thread(THREAD, fetch).await?;
    drop(place);
    fetched
}

fn encrypt(
    context: &Context,
    kind: MediaKind,
    mut plain: impl Read + Seek,
    size: u64,
    mime: Option<&str>,
    filename: Option<String>,
    claimed: Claimed,
) -> Result<Ready, MediaError> {
    if size == 0 {
        return Err(MediaError::Empty);
    }
    if size > context.max_media {
        return Err(MediaError::TooLarge);
    }
    let mut head = Vec::new();
    plain.seek(SeekFrom::Start(0))?;
    plain.by_ref().take(format::HEAD as u64).read_to_end(&mut head)?;
    let name = filename.or(claimed.name);
    let hints = Hints { said: mime, name: name.as_deref(), claimed: claimed.mime.as_deref() };
    let mime = format::decide(kind, &head, hints)?;
    // Of the others no name is shown.
    let filename = (kind == MediaKind::Document)
        .then(|| name.unwrap_or_else(|| format::file_name(&mime, &head)));
    let header = match kind {
        MediaKind::Image | MediaKind::Sticker => {
            MediaHeader { size: image::dimensions(&mut plain), seconds: None }
        }
        MediaKind::Video => mp4::header(&mut plain),
        // Voice notes come in Ogg, other audio often in MP4.
        MediaKind::Audio | MediaKind::Voice => {
            let opus = mime.contains("opus").then(|| mp4::opus(&mut plain)).flatten();
            let seconds = opus.or_else(|| mp4::header(&mut plain).seconds);
            MediaHeader { size: None, seconds }
        }
        MediaKind::Document => MediaHeader::default(),
    };
    plain.seek(SeekFrom::Start(0))?;
    let mut cipher = context.store.spool().scratch(&context.name)?;
    let info = encrypt_media_streaming(
        std::io::BufReader::with_capacity(CHUNK, plain),
        std::io::BufWriter::with_capacity(CHUNK, &mut cipher),
        media_type(kind),
    )
    .map_err(|error| MediaError::Cipher(error.to_string()))?;
    let length = cipher.size()?;
    Ok(Ready { cipher: Arc::new(cipher), length, info, mime, filename, header })
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

fn media_type(kind: MediaKind) -> MediaType {
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

/// The encrypted file. Every attempt of an upload reads it from an offset of its own.
struct Cipher {
    file: Arc<Scratch>,
    length: u64,
}

impl UploadSource for Cipher {
    fn len(&self) -> u64 {
        self.length
    }

    fn reader_from(&self, offset: u64) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(At { file: Arc::clone(&self.file), offset }))
    }
}

struct At {
    file: Arc<Scratch>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
