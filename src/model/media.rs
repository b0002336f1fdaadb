//! The files that messages carry: their kinds, where their bytes come from, and their names.

use std::path::PathBuf;

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// Common file systems allow no longer name.
const LONGEST_NAME: usize = 255;

/// The kinds of media a message can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    Image,
    Video,
    Audio,
    /// A voice note.
    Voice,
    Document,
    Sticker,
}

impl MediaKind {
    /// Whether WhatsApp shows a text under it.
    pub fn has_caption(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Document)
    }
}

/// Where media to be sent comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// Fetched from this URL when the message is sent.
    Url(String),
    /// Uploaded by the caller; a file in the store's spool, removed once sent.
    Spool(PathBuf),
}

/// A small JPEG picture, as base64. Only its first bytes and its size are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbnail(String);

impl Thumbnail {
    /// The most bytes it may have; WhatsApp's own thumbnails have a few KiB.
    const MOST: usize = 16 << 10;

    /// `None` when it does not begin like a JPEG, or is too large.
    pub fn new(jpeg: &[u8]) -> Option<Self> {
        let good = jpeg.starts_with(&[0xff, 0xd8, 0xff]) && jpeg.len() <= Self::MOST;
        good.then(|| Self(BASE64.encode(jpeg)))
    }

    pub fn bytes(&self) -> Vec<u8> {
        BASE64.decode(self.0.as_bytes()).unwrap_or_default()
    }
}

impl TryFrom<String> for Thumbnail {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let jpeg = BASE64.decode(text.as_bytes()).ok();
        jpeg.and_then(|jpeg| Self::new(&jpeg)).ok_or("not a thumbnail")
    }
}

impl From<Thumbnail> for String {
    fn from(thumbnail: Thumbnail) -> Self {
        thumbnail.0
    }
}

/// The name at the end of a URL's path, fit to be the name of a file on any system.
pub(crate) fn file_name(url: &str) -> Option<String> {
    let (_, place) = url.split(['?', '#']).next()?.split_once("://")?;
    let (_, name) = place.rsplit_once('/')?;
    let name: String = percent_decode_str(name)
        .decode_utf8_lossy()
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\'))
        .take(LONGEST_NAME)
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_url() {
        for (url, name) in [
            ("https://x.example/x/list.pdf?v=1", Some("list.pdf")),
            ("https://x.example/a/b/Harga%20Baru.pdf?x=1#y", Some("Harga Baru.pdf")),
            ("https://x.example/a/Daftar+Harga.pdf", Some("Daftar+Harga.pdf")),
            ("https://x.example/%F0%9F%91%8B.png", Some("👋.png")),
            ("https://x.example/a/%2e%2e%2fetc", Some("..etc")),
            ("https://x.example/a%5cb%0Ac.txt", Some("abc.txt")),
            ("https://x.example/a/%zz", Some("%zz")),
            ("https://x.example/a/%ff.pdf", Some("\u{fffd}.pdf")),
            ("https://x.example/a/", None),
            ("https://x.example/", None),
            ("https://x.example", None),
            ("https://x.example?a=/b.pdf", None),
            ("x.pdf", None),
            ("", None),
        ] {
            assert_eq!(file_name(url).as_deref(), name, "{url}");
        }
        let long = file_name(&format!("https://x.example/{}", "a".repeat(300))).unwrap();
        assert_eq!(long.chars().count(), LONGEST_NAME);
    }
}
