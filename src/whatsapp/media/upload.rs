//! Uploads: a file is fetched or opened, made what its kind needs, encrypted, and given to WhatsApp's hosts. All of it
//! streams through unlinked files, like downloads.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wa_rs::client::Client;
use wa_rs::upload::UploadResponse;
use wa_rs::wacore::upload::{EncryptedMediaInfo, UploadSource, encrypt_media_streaming};

use super::fetch::{Claimed, FetchError};
use super::format::{self, Hints, Mismatch};
use super::image;
use super::mp4::{self, MediaHeader};
use super::picture::{self, STICKER};
use super::place::Place;
use super::transfer::{CHUNK, THREAD, media_type};
use super::voice::{self, VoiceError, VoiceNote};
use crate::model::{MediaKind, MediaSource, SpoolName, file_name};
use crate::store::Scratch;
use crate::task::Tasks;
use crate::whatsapp::context::Context;

/// A file to be sent, as the request describes it.
pub(crate) struct Wanted<'a> {
    pub(crate) kind: MediaKind,
    pub(crate) source: &'a MediaSource,
    pub(crate) mime: Option<&'a str>,
    pub(crate) filename: Option<&'a str>,
    /// Whether it goes as a document when it cannot be shown as that kind.
    pub(crate) as_document: bool,
}

/// A file that WhatsApp's hosts have, with what its message says about it.
pub(crate) struct UploadedFile {
    /// As what it goes out.
    pub(crate) kind: MediaKind,
    pub(crate) upload: UploadResponse,
    pub(crate) mime: String,
    pub(crate) filename: Option<String>,
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) seconds: Option<u32>,
    /// Of a voice note.
    pub(crate) waveform: Option<Vec<u8>>,
    /// The small JPEG picture of a picture.
    pub(crate) thumbnail: Option<Vec<u8>>,
}

/// A file that is encrypted and ready to go.
struct Ready {
    kind: MediaKind,
    cipher: Arc<Scratch>,
    length: u64,
    info: EncryptedMediaInfo,
    mime: String,
    filename: Option<String>,
    header: MediaHeader,
    waveform: Option<Vec<u8>>,
    thumbnail: Option<Vec<u8>>,
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
    #[error(transparent)]
    Voice(VoiceError),
    #[error(
        "the file cannot be made a sticker: it is damaged, or larger than 20 million pixels; as_document: true sends it as a document"
    )]
    Sticker,
    #[error("the file could not be read or written: {0}")]
    Disk(#[from] std::io::Error),
    #[error("the file could not be encrypted: {0}")]
    Cipher(String),
    #[error("the upload failed: {0}")]
    Upload(String),
}

impl MediaError {
    /// Whether the file is good, and only cannot be shown as what it was to be.
    fn is_of_its_kind(&self) -> bool {
        match self {
            Self::Mismatch(_) | Self::Sticker => true,
            Self::Voice(error) => !matches!(error, VoiceError::Cancelled),
            _ => false,
        }
    }
}

impl From<VoiceError> for MediaError {
    fn from(error: VoiceError) -> Self {
        match error {
            VoiceError::Disk(error) => Self::Disk(error),
            error => Self::Voice(error),
        }
    }
}

/// Fetches or opens a file, encrypts it and uploads it.
pub(crate) async fn upload(
    context: &Arc<Context>,
    client: &Client,
    wanted: Wanted<'_>,
) -> Result<UploadedFile, MediaError> {
    let Wanted { kind, source, mime, filename, as_document } = wanted;
    let (worker, source, mime) = (Arc::clone(context), source.clone(), mime.map(str::to_owned));
    let filename = filename.map(str::to_owned);
    let plain = match source {
        MediaSource::Url(url) => fetch_url(context, url).await?,
        MediaSource::Uploaded(name) => Plain::Uploaded(name),
        MediaSource::Inline(bytes) => Plain::Inline(bytes),
    };
    let cancel = CancellationToken::new();
    let _gone = cancel.clone().drop_guard();
    let place = place(context, kind).await;
    let work = Work { context: worker, kind, mime, filename, as_document, cancel, _place: place };
    let make_ready = move || match plain {
        Plain::Fetched(file, claimed) => {
            let size = file.size()?;
            work.prepare(file, size, claimed)
        }
        Plain::Uploaded(name) => {
            let file = work.context.store.spool().read(&name)?;
            let size = file.metadata()?.len();
            work.prepare(file, size, Claimed::default())
        }
        Plain::Inline(bytes) => {
            let size = bytes.len() as u64;
            work.prepare(std::io::Cursor::new(bytes), size, Claimed::default())
        }
    };
    let ready = Tasks::on_thread(THREAD, make_ready).await??;
    let Ready { kind, cipher, length, info, mime, filename, header, waveform, thumbnail } = ready;
    let MediaHeader { size, seconds } = header;
    let source = Cipher { file: cipher, length };
    let upload = client
        .upload_stream(source, info, media_type(kind))
        .await
        .map_err(|error| MediaError::Upload(error.to_string()))?;
    Ok(UploadedFile { kind, upload, mime, filename, size, seconds, waveform, thumbnail })
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

async fn place(context: &Context, kind: MediaKind) -> Place {
    match kind {
        MediaKind::Image | MediaKind::Sticker | MediaKind::Voice => {
            context.places.conversion().await
        }
        _ => context.places.encryption().await,
    }
}

/// What is done with a file on a thread.
struct Work {
    context: Arc<Context>,
    kind: MediaKind,
    mime: Option<String>,
    filename: Option<String>,
    as_document: bool,
    /// Cancelled once nobody waits for it.
    cancel: CancellationToken,
    _place: Place,
}

impl Work {
    /// Makes the file what its kind needs, and encrypts it.
    fn prepare(
        mut self,
        mut plain: impl Read + Seek + Send + Sync,
        size: u64,
        claimed: Claimed,
    ) -> Result<Ready, MediaError> {
        if size == 0 {
            return Err(MediaError::Empty);
        }
        if size > self.context.max_media {
            return Err(MediaError::TooLarge);
        }
        let mut head = Vec::new();
        plain.seek(SeekFrom::Start(0))?;
        plain.by_ref().take(format::HEAD as u64).read_to_end(&mut head)?;
        let claimed = Claimed { name: self.filename.take().or(claimed.name), ..claimed };
        match self.make(&mut plain, &head, &claimed) {
            Err(refused) if self.as_document && refused.is_of_its_kind() => {
                self.kind = MediaKind::Document;
                self.make(&mut plain, &head, &claimed)
            }
            made => made,
        }
    }

    fn make(
        &self,
        mut plain: impl Read + Seek + Send + Sync,
        head: &[u8],
        claimed: &Claimed,
    ) -> Result<Ready, MediaError> {
        let name = claimed.name.as_deref();
        let hints = Hints { said: self.mime.as_deref(), name, claimed: claimed.mime.as_deref() };
        let mime = format::decide(self.kind, head, hints)?;
        if self.kind == MediaKind::Voice {
            return self.prepare_voice(plain);
        }
        if self.kind == MediaKind::Sticker {
            return self.prepare_sticker(plain, head, mime);
        }
        // Of the others no name is shown.
        let filename = (self.kind == MediaKind::Document)
            .then(|| name.map_or_else(|| format::file_name(&mime, head), str::to_owned));
        let small =
            (self.kind == MediaKind::Image).then(|| picture::thumbnail(&mut plain)).flatten();
        let header = match self.kind {
            MediaKind::Image | MediaKind::Sticker => {
                let size = image::dimensions(&mut plain);
                let turned = small.as_ref().is_some_and(|small| small.turned);
                let upright = size
                    .map(|(width, height)| if turned { (height, width) } else { (width, height) });
                MediaHeader { size: upright, seconds: None }
            }
            MediaKind::Video => mp4::header(&mut plain),
            // Some comes in Ogg, most in MP4.
            MediaKind::Audio | MediaKind::Voice => {
                let opus = mime.contains("opus").then(|| mp4::opus(&mut plain)).flatten();
                let seconds = opus.or_else(|| mp4::header(&mut plain).seconds);
                MediaHeader { size: None, seconds }
            }
            MediaKind::Document => MediaHeader::default(),
        };
        let thumbnail = small.map(|small| small.jpeg);
        Ok(Ready { filename, thumbnail, ..self.encrypt(plain, mime, header)? })
    }

    /// What moves, or has a sticker's size, is one already.
    fn prepare_sticker(
        &self,
        mut plain: impl Read + Seek,
        head: &[u8],
        mime: String,
    ) -> Result<Ready, MediaError> {
        let size = image::dimensions(&mut plain);
        let square = (STICKER, STICKER);
        if mime == picture::WEBP && (image::moves(head) || size == Some(square)) {
            return self.encrypt(plain, mime, MediaHeader { size, seconds: None });
        }
        let webp = picture::sticker(&mut plain).ok_or(MediaError::Sticker)?;
        let header = MediaHeader { size: Some(square), seconds: None };
        self.encrypt(std::io::Cursor::new(webp), picture::WEBP.to_owned(), header)
    }

    fn prepare_voice(
        &self,
        mut plain: impl Read + Seek + Send + Sync,
    ) -> Result<Ready, MediaError> {
        let mut note = self.scratch()?;
        let VoiceNote { seconds, waveform, converted } =
            voice::make(&mut plain, &mut note, &self.cancel)?;
        let (mime, header) =
            (voice::MIME.to_owned(), MediaHeader { size: None, seconds: Some(seconds) });
        let ready = if converted {
            self.encrypt(note, mime, header)
        } else {
            self.encrypt(plain, mime, header)
        };
        Ok(Ready { waveform: Some(waveform), ..ready? })
    }

    fn encrypt(
        &self,
        mut plain: impl Read + Seek,
        mime: String,
        header: MediaHeader,
    ) -> Result<Ready, MediaError> {
        plain.seek(SeekFrom::Start(0))?;
        let mut cipher = self.scratch()?;
        let info = encrypt_media_streaming(
            std::io::BufReader::with_capacity(CHUNK, plain),
            std::io::BufWriter::with_capacity(CHUNK, &mut cipher),
            media_type(self.kind),
        )
        .map_err(|error| MediaError::Cipher(error.to_string()))?;
        let length = cipher.size()?;
        let cipher = Arc::new(cipher);
        Ok(Ready {
            kind: self.kind,
            cipher,
            length,
            info,
            mime,
            header,
            filename: None,
            waveform: None,
            thumbnail: None,
        })
    }

    fn scratch(&self) -> std::io::Result<Scratch> {
        self.context.store.spool().scratch(&self.context.name)
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
