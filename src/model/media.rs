//! The files that messages carry: their kinds, where their bytes come from, and their names.

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::DeviceName;

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
    /// In the request itself, until it is put in the spool. It is never stored like that.
    #[serde(skip)]
    Inline(Vec<u8>),
    /// Uploaded by the caller; a file in the store's spool, removed once sent.
    #[serde(rename = "spool")]
    Uploaded(SpoolName),
}

/// The name of a file in the store's spool: its device and 32 or 64 hexadecimal digits, as in `toko.0f…`. Earlier ones
/// have no device. It is no path, so it holds wherever the store is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpoolName(String);

impl SpoolName {
    /// A name for a file of that device.
    pub(crate) fn of(device: &DeviceName, digits: &str) -> Self {
        Self(format!("{device}.{digits}"))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (device, digits) = text.rsplit_once('.').map_or((None, text), |(d, n)| (Some(d), n));
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let good = matches!(digits.len(), 32 | 64)
            && digits.bytes().all(hex)
            && device.is_none_or(|device| DeviceName::parse(device).is_ok());
        good.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose file it is, when its name says so.
    pub(crate) fn device(&self) -> Option<DeviceName> {
        self.0.rsplit_once('.').and_then(|(device, _)| DeviceName::parse(device).ok())
    }
}

impl TryFrom<String> for SpoolName {
    type Error = &'static str;
    /// Rows of earlier versions hold the whole path; its end is the name.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name = text.rsplit('/').next().unwrap_or_default();
        Self::parse(name).ok_or("not the name of a file in the spool")
    }
}

impl From<SpoolName> for String {
    fn from(name: SpoolName) -> Self {
        name.0
    }
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
    fit_name(&percent_decode_str(name).decode_utf8_lossy())
}

/// The name that a server gives its file in `Content-Disposition` (RFC 6266): `filename*` before `filename`.
pub(crate) fn given_name(disposition: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    let mut rest = disposition.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_text(quoted),
            None => {
                let (value, after) = value.split_once(';').unwrap_or((value, ""));
                (value.trim().to_owned(), after)
            }
        };
        let name = name.rsplit(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "filename" => plain = Some(value),
            "filename*" => extended = Some(value),
            _ => {}
        }
        rest = after;
    }
    // Browsers decode %XX in both, because servers write it in both.
    let plain = plain.map(|name| percent_decode_str(&name).decode_utf8_lossy().into_owned());
    let name = extended.and_then(|text| extended_text(&text)).or(plain)?;
    // Some servers tell the whole path.
    fit_name(name.rsplit(['/', '\\']).next().unwrap_or_default())
}

/// A text in quotes whose first is gone, and what follows it.
fn quoted_text(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        let follows = chars.clone().next();
        match (c, follows) {
            ('"', _) => break,
            ('\\', Some(escaped @ ('"' | '\\'))) => {
                text.push(escaped);
                chars.next();
            }
            _ => text.push(c),
        }
    }
    (text, chars.as_str())
}

/// `UTF-8''Harga%20Baru.pdf` (RFC 8187).
fn extended_text(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_language, text) = rest.split_once('\'')?;
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

/// The name at the end of a path of any system.
pub(crate) fn end_of_path(path: &str) -> Option<String> {
    fit_name(path.rsplit(['/', '\\']).next()?)
}

/// A name without what some system takes for a path.
fn fit_name(name: &str) -> Option<String> {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\'))
        .take(LONGEST_NAME)
        .collect();
    let name = name.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// An attachment; the bytes are fetched on demand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediaData {
    /// Where moonwa serves it, for a key with the scope `read`.
    pub url: String,
    /// Its type, as the sender said.
    pub mime: Option<String>,
    /// In bytes.
    pub size: Option<u64>,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: Option<String>,
    pub filename: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_not_shown() {
        for path in ["nota.pdf", "/var/www/nota.pdf", "C:\\Berkas\\nota.pdf", "../nota.pdf"] {
            assert_eq!(end_of_path(path).as_deref(), Some("nota.pdf"), "{path}");
        }
        assert_eq!(end_of_path("/"), None);
    }

    #[test]
    fn a_file_in_the_spool_has_a_name_and_no_path() {
        let digits = "0123456789abcdef".repeat(2);
        let read = |text: &str| {
            let source = serde_json::json!({ "spool": text });
            serde_json::from_value::<MediaSource>(source).ok()
        };
        let named = |name: &str| SpoolName::parse(name).map(MediaSource::Uploaded);
        let own = SpoolName::of(&DeviceName::parse("toko").unwrap(), &digits);
        assert_eq!(own.device(), DeviceName::parse("toko").ok());
        assert_eq!(read(own.as_str()), Some(MediaSource::Uploaded(own.clone())));
        assert_eq!(
            serde_json::to_value(MediaSource::Uploaded(own.clone())).unwrap(),
            serde_json::json!({ "spool": own.as_str() })
        );
        // What earlier versions stored.
        assert_eq!(read(&format!("/var/lib/moonwa/spool/{digits}")), named(&digits));
        assert_eq!(SpoolName::parse(&digits).unwrap().device(), None);
        for bad in ["", "..", "toko.", "a/b", &format!("../{digits}.x"), &format!("A B.{digits}")] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(serde_json::to_value(MediaSource::Inline(vec![1])).is_err(), "never stored");
    }

    #[test]
    fn a_server_names_its_file() {
        for (header, name) in [
            ("attachment; filename=nota.pdf", Some("nota.pdf")),
            ("attachment;FileName = \"Harga Baru; 2.pdf\" ; size=3", Some("Harga Baru; 2.pdf")),
            ("inline; size=3; filename=\"a\\\"b.pdf\"", Some("a\"b.pdf")),
            ("attachment; filename=\"a.pdf\"; filename*=UTF-8''kaf%C3%A9.pdf", Some("kafé.pdf")),
            ("attachment; filename*=iso-8859-1'en'kaf%E9.pdf; filename=a.pdf", Some("kafé.pdf")),
            ("attachment; filename*=klingon''x; filename=a.pdf", Some("a.pdf")),
            ("attachment; filename=kafé.pdf", Some("kafé.pdf")),
            ("attachment; filename=\"Harga%20Baru.pdf\"", Some("Harga Baru.pdf")),
            ("attachment; filename=\"C:\\data\\nota.pdf\"", Some("nota.pdf")),
            ("attachment; filename=../../etc/passwd", Some("passwd")),
            ("attachment; x; filename=\"nota.pdf", Some("nota.pdf")),
            ("attachment; filename=\"\"", None),
            ("attachment; filename", None),
            ("filename=nota.pdf", None),
            ("", None),
        ] {
            assert_eq!(given_name(header).as_deref(), name, "{header}");
        }
    }

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
