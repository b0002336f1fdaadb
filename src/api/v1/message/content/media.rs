//! A file as callers write it.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::issues::Issues;
use crate::model::{Content, MediaKind, MediaSource, SpoolName, Thumbnail, web_url};

/// Every kind of file that a message may have.
pub(crate) const KINDS: [MediaKind; 6] = [
    MediaKind::Image,
    MediaKind::Video,
    MediaKind::Audio,
    MediaKind::Voice,
    MediaKind::Document,
    MediaKind::Sticker,
];

/// A file, by URL or in Base64. An upload has it in another part of the body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MediaBody {
    pub(crate) url: Option<String>,
    pub(crate) base64: Option<String>,
    /// Where the file of an upload was put. Never read from a body: no caller may name another's file.
    #[serde(skip)]
    pub(crate) spool: Option<SpoolName>,
    pub(crate) mime: Option<String>,
    pub(crate) filename: Option<String>,
    pub(crate) caption: Option<String>,
    pub(crate) thumbnail: Option<String>,
    pub(crate) as_document: bool,
}

impl MediaBody {
    pub(crate) fn content(self, name: &str, media: MediaKind, issues: &mut Issues) -> Content {
        let source = match (self.url, self.base64, self.spool) {
            (Some(url), None, None) => {
                let url = web_url(&url).unwrap_or_else(|error| {
                    issues.add(&format!("{name}.url"), error);
                    url
                });
                MediaSource::Url(url)
            }
            (None, Some(text), None) => {
                let bytes = decode(&text).filter(|bytes| !bytes.is_empty());
                if bytes.is_none() {
                    issues.add(&format!("{name}.base64"), "not valid base64");
                }
                MediaSource::Inline(bytes.unwrap_or_default())
            }
            (None, None, Some(name)) => MediaSource::Uploaded(name),
            _ => {
                issues.add(name, "give either url or base64");
                MediaSource::Inline(Vec::new())
            }
        };
        let captioned = media.has_caption();
        if self.caption.is_some() && !captioned {
            issues.add(&format!("{name}.caption"), "this kind of message has no caption");
        }
        let as_document = self.as_document;
        if self.filename.is_some() && media != MediaKind::Document && !as_document {
            issues.add(&format!("{name}.filename"), "only documents show a file name");
        }
        let thumbnail = self.thumbnail.as_deref().map(|text| {
            let jpeg = decode(text).filter(|_| captioned);
            jpeg.and_then(|jpeg| Thumbnail::new(&jpeg))
        });
        if thumbnail == Some(None) {
            let words = "a JPEG of at most 16 KiB in base64, for image, video and document";
            issues.add(&format!("{name}.thumbnail"), words);
        }
        let Self { mime, filename, caption, .. } = self;
        let thumbnail = thumbnail.flatten();
        Content::Media { media, source, mime, filename, caption, thumbnail, as_document }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Browsers make `data:` URLs of files. The type in them is not relied on.
    let text = text.split_once(";base64,").map_or(text, |(_, data)| data);
    GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(text).ok()
}

/// What the API calls a kind of media.
pub(crate) fn media_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "voice",
        MediaKind::Document => "document",
        MediaKind::Sticker => "sticker",
    }
}
