//! The media host: keeps what clients upload and hands it out again, with ranges and faults. It
//! never sees a plaintext, except when a phone encrypts a file of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wacore::download::{DownloadUtils, MediaType};
use wacore::upload::{EncryptedMedia, encrypt_media};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::fault::Fault;
use crate::util::{hex, iq_result, random};
use crate::world::World;

const AUTH_SECONDS: u64 = 3600;

/// The files by path.
#[derive(Default)]
pub(crate) struct MediaStore {
    files: BTreeMap<String, Vec<u8>>,
    /// What was thrown away; phones still have it.
    gone: BTreeMap<String, Vec<u8>>,
}

impl MediaStore {
    /// Throws everything away.
    pub(crate) fn expire(&mut self) {
        self.gone.append(&mut self.files);
    }

    /// A phone uploads a file again: the new direct path.
    pub(crate) fn revive(&mut self, direct_path: &str) -> Option<String> {
        let path = direct_path.split('?').next().unwrap_or_default();
        let file = self.gone.get(path).or_else(|| self.files.get(path))?.clone();
        Some(self.keep(file))
    }

    fn keep(&mut self, body: Vec<u8>) -> String {
        let path = format!("/v/t62.7118-24/{}.enc", hex(&random::<12>()));
        self.files.insert(path.clone(), body);
        // Real paths carry a query of their own; clients must not add a second question mark.
        format!("{path}?ccb=11-4&oh={}&oe=6A000000", hex(&random::<8>()))
    }
}

/// An answer of the media host.
pub(crate) struct MediaAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Wait so long first.
    pub wait: Duration,
}

impl MediaAnswer {
    /// A plain answer.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), wait: Duration::ZERO }
    }
}

/// A file of a phone, encrypted and stored.
pub(crate) struct Stored {
    /// Full URL.
    pub url: String,
    /// Path and query.
    pub direct_path: String,
    /// Keys and hashes.
    pub media: EncryptedMedia,
    /// Plaintext length.
    pub length: u64,
}

impl World {
    /// `w:m`: where and with which token to upload.
    pub(crate) fn media_conn(&mut self, node: &Node) -> Node {
        let host = NodeBuilder::new("host")
            .attr("hostname", self.http_host.as_str())
            .attr("type", "primary")
            .build();
        let conn = NodeBuilder::new("media_conn")
            .attr("auth", hex(&random::<12>()))
            .attr("ttl", AUTH_SECONDS)
            .attr("auth_ttl", AUTH_SECONDS)
            .attr("max_buckets", "12")
            .children([host])
            .build();
        iq_result(node, vec![conn])
    }

    /// `POST /mms/…`
    pub(crate) fn upload(&mut self, path: &str, query: &str, body: Vec<u8>) -> MediaAnswer {
        self.journal.note(0, None, "upload", format!("{path} {} bytes", body.len()));
        self.touch();
        if query.split('&').any(|part| part == "resume=1") {
            return MediaAnswer::new(200, r#"{"resume":"0"}"#);
        }
        if let Some(status) = self.faults.take(None, |f| match f {
            Fault::UploadStatus(status) => Some(*status),
            _ => None,
        }) {
            return MediaAnswer::new(status, "simulated");
        }
        let direct_path = self.media.keep(body);
        let url = format!("https://{}{direct_path}", self.http_host);
        let answer = serde_json::json!({ "url": url, "direct_path": direct_path });
        MediaAnswer::new(200, answer.to_string())
    }

    /// `GET /v/…`
    pub(crate) fn download(&mut self, path: &str, range: Option<&str>) -> MediaAnswer {
        self.journal.note(0, None, "download", path.to_owned());
        self.touch();
        if let Some(status) = self.faults.take(None, |f| match f {
            Fault::DownloadStatus(status) => Some(*status),
            _ => None,
        }) {
            return MediaAnswer::new(status, "simulated");
        }
        let truncated = self.faults.strikes(None, &Fault::DownloadTruncated);
        let corrupt = self.faults.strikes(None, &Fault::DownloadCorrupt);
        let slow = self.faults.take(None, |f| match f {
            Fault::DownloadSlow(ms) => Some(*ms),
            _ => None,
        });
        let Some(file) = self.media.files.get(path) else {
            let gone = self.media.gone.contains_key(path);
            return MediaAnswer::new(if gone { 410 } else { 404 }, "no such file");
        };
        let mut body = file.clone();
        if truncated {
            body.truncate(body.len() / 2);
        }
        if corrupt && let Some(byte) = body.first_mut() {
            *byte ^= 1;
        }
        let mut answer = match range.and_then(|r| slice(r, body.len())) {
            Some((from, to)) => {
                let part = body.get(from..to).unwrap_or_default().to_vec();
                let total = format!("bytes {from}-{}/{}", to.saturating_sub(1), body.len());
                let mut answer = MediaAnswer::new(206, part);
                answer.headers.push(("content-range", total));
                answer
            }
            None => MediaAnswer::new(200, body),
        };
        answer.headers.push(("accept-ranges", "bytes".to_owned()));
        answer.wait = Duration::from_millis(slow.unwrap_or_default());
        answer
    }

    /// Encrypts and stores a file of a phone.
    pub(crate) fn phone_upload(&mut self, bytes: &[u8], kind: MediaType) -> Result<Stored> {
        let mut media = encrypt_media(bytes, kind).context("encrypting a file")?;
        let data = std::mem::take(&mut media.data_to_upload);
        let direct_path = self.media.keep(data);
        let url = format!("https://{}{direct_path}", self.http_host);
        Ok(Stored { url, direct_path, media, length: bytes.len() as u64 })
    }

    /// The stored (encrypted) file behind a direct path.
    pub(crate) fn media_file(&self, direct_path: &str) -> Option<Vec<u8>> {
        self.media.files.get(direct_path.split('?').next().unwrap_or_default()).cloned()
    }
}

fn slice(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = if to.is_empty() { length } else { to.parse::<usize>().ok()? + 1 };
    (from < length).then_some((from, to.min(length)))
}

/// The direct path, the key and the kind of the file a message names.
fn file_of(m: &wa::Message) -> Option<(&str, &[u8], MediaType)> {
    let (path, key, kind) = if let Some(i) = m.image_message.as_option() {
        (&i.direct_path, &i.media_key, MediaType::Image)
    } else if let Some(v) = m.video_message.as_option() {
        (&v.direct_path, &v.media_key, MediaType::Video)
    } else if let Some(a) = m.audio_message.as_option() {
        (&a.direct_path, &a.media_key, MediaType::Audio)
    } else if let Some(d) = m.document_message.as_option() {
        (&d.direct_path, &d.media_key, MediaType::Document)
    } else if let Some(s) = m.sticker_message.as_option() {
        (&s.direct_path, &s.media_key, MediaType::Sticker)
    } else {
        return None;
    };
    Some((path.as_deref()?, key.as_deref()?, kind))
}

/// The direct path and the key of the file a message names.
pub(crate) fn path_of(message: &wa::Message) -> Option<(String, Vec<u8>)> {
    let (path, key, _) = file_of(message)?;
    Some((path.to_owned(), key.to_owned()))
}

/// Finds, decrypts and checks the file a message names.
pub(crate) fn open(world: &World, message: &wa::Message) -> Result<Vec<u8>> {
    let (path, key, kind) = file_of(message).context("no file in the message")?;
    let file = world.media_file(path).context("the media host does not have the file")?;
    DownloadUtils::decrypt_stream(file.as_slice(), key, kind)
}
