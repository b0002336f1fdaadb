//! What a file is. Its content tells most, but many formats are ZIP or plain text inside; then its name tells more, and
//! what the server says comes last, because most servers call everything the same.

use super::image;
use crate::model::MediaKind;

/// How many bytes are enough to tell a format; office files are told by the names in their ZIP.
pub(crate) const HEAD: usize = 8 << 10;
const UNKNOWN: &str = "application/octet-stream";
const TEXT: &str = "text/plain";
const ZIP: &str = "application/zip";
const OLE: &str = "application/x-ole-storage";

/// Formats that the content alone does not tell, by the end of their names.
const IN_ZIP: [(&str, &str); 12] = [
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("apk", "application/vnd.android.package-archive"),
    ("epub", "application/epub+zip"),
    ("jar", "application/java-archive"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("zip", ZIP),
];
const IN_OLE: [(&str, &str); 4] = [
    ("doc", "application/msword"),
    ("xls", "application/vnd.ms-excel"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("msg", "application/vnd.ms-outlook"),
];
const IN_TEXT: [(&str, &str); 16] = [
    ("txt", TEXT),
    ("log", TEXT),
    ("csv", "text/csv"),
    ("tsv", "text/tab-separated-values"),
    ("json", "application/json"),
    ("xml", "text/xml"),
    ("vcf", "text/vcard"),
    ("ics", "text/calendar"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("md", "text/markdown"),
    ("svg", "image/svg+xml"),
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("gpx", "application/gpx+xml"),
    ("kml", "application/vnd.google-earth.kml+xml"),
];

/// What is known of a file beside its content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints<'a> {
    /// The type that the caller gives.
    pub(crate) said: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    /// The type that the server of its URL gives.
    pub(crate) claimed: Option<&'a str>,
}

/// A file cannot be shown as the kind of message that it was to be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file is not {wanted}: it looks like {found}; {advice}")]
pub(crate) struct Mismatch {
    wanted: &'static str,
    found: String,
    advice: &'static str,
}

/// The type of a file that begins with `head` and goes out as that kind of message.
pub(crate) fn decide(kind: MediaKind, head: &[u8], hints: Hints<'_>) -> Result<String, Mismatch> {
    let found = content(head);
    let (wanted, advice) = match kind {
        MediaKind::Document => return Ok(document(found, head, hints)),
        MediaKind::Image => {
            ("a picture that phones show", "send a JPEG or PNG, or say as_document: true")
        }
        MediaKind::Sticker => {
            ("a picture for a sticker", "send a WebP, PNG or JPEG, or say as_document: true")
        }
        MediaKind::Video => ("a film that phones play", "send an MP4, or say as_document: true"),
        MediaKind::Audio | MediaKind::Voice => {
            ("audio", "send an MP3, M4A or Ogg, or say as_document: true")
        }
    };
    let fits = |mime: &&str| match kind {
        MediaKind::Document => true,
        MediaKind::Image => {
            matches!(*mime, "image/jpeg" | "image/png" | "image/gif" | "image/webp")
        }
        MediaKind::Sticker => matches!(*mime, "image/jpeg" | "image/png" | "image/webp"),
        MediaKind::Video => {
            matches!(*mime, "video/mp4" | "video/3gpp" | "video/quicktime" | "video/webm")
        }
        MediaKind::Audio | MediaKind::Voice => mime.starts_with("audio/"),
    };
    // These containers hold film or sound; the caller knows that this one has no film.
    let found = match found {
        Some("video/mp4") if wanted == "audio" => Some("audio/mp4"),
        Some("video/webm") if wanted == "audio" => Some("audio/webm"),
        None if is_text(head) => Some(TEXT),
        found => found,
    };
    let said = [hints.said, hints.claimed].into_iter().flatten();
    match found {
        Some(found) if fits(&found) => Ok(hints.said.filter(fits).unwrap_or(found).to_owned()),
        Some(found) => Err(Mismatch { wanted, found: found.to_owned(), advice }),
        None => said.clone().find(fits).map(str::to_owned).ok_or_else(|| {
            let found = said.last().unwrap_or("something else").to_owned();
            Mismatch { wanted, found, advice }
        }),
    }
}

fn document(found: Option<&'static str>, head: &[u8], hints: Hints<'_>) -> String {
    if let Some(said) = hints.said.filter(|said| tells(said)) {
        return said.to_owned();
    }
    let (formats, fallback): (&[(&str, &'static str)], _) = match found {
        Some(ZIP) => (&IN_ZIP, ZIP),
        Some(OLE) => (&IN_OLE, OLE),
        Some("text/xml") => (&IN_TEXT, "text/xml"),
        Some("text/x-shellscript") => (&IN_TEXT, TEXT),
        Some(found) => return found.to_owned(),
        None if is_text(head) => (&IN_TEXT, TEXT),
        // Text in another encoding than UTF-8, or what only its server knows.
        None => (&IN_TEXT, UNKNOWN),
    };
    let end = hints.name.and_then(|name| name.rsplit_once('.')).map(|(_, end)| end.to_lowercase());
    let named = formats.iter().find(|(known, _)| end.as_deref() == Some(known));
    // A program that sets no type has its answer called HTML.
    let claimed = hints.claimed.filter(|claimed| tells(claimed) && *claimed != "text/html");
    named.map(|(_, mime)| *mime).or(claimed).unwrap_or(fallback).to_owned()
}

/// What a file without a name is called.
pub(crate) fn file_name(mime: &str, head: &[u8]) -> String {
    let mut known = IN_ZIP.iter().chain(&IN_OLE).chain(&IN_TEXT);
    let end = known.find(|(_, known)| *known == mime).map(|(end, _)| *end);
    let end = end.or_else(|| {
        let found = infer::get(head).filter(|_| content(head) == Some(mime));
        found.map(|found| found.extension())
    });
    end.map_or_else(|| "file".to_owned(), |end| format!("file.{end}"))
}

/// Whether a type says anything.
fn tells(mime: &str) -> bool {
    let end = mime.rsplit('/').next().unwrap_or_default();
    !matches!(end, "" | "octet-stream" | "x-download" | "force-download" | "download" | "*")
}

/// The format that the content tells.
fn content(head: &[u8]) -> Option<&'static str> {
    // `infer` takes all of Microsoft's older files for Word's.
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some(OLE);
    }
    let known = image::sniff(head).filter(|mime| *mime != ZIP);
    let found = known.or_else(|| infer::get(head).map(|found| found.mime_type()));
    match found {
        Some("text/xml") | None if is_svg(head) => Some("image/svg+xml"),
        Some("video/x-m4v") => Some("video/mp4"),
        found => found.filter(|mime| *mime != UNKNOWN),
    }
}

fn is_svg(head: &[u8]) -> bool {
    is_text(head)
        && head.windows(5).any(|word| word.eq_ignore_ascii_case(b"<svg "))
        && head.trim_ascii_start().first() == Some(&b'<')
}

/// Whether it is UTF-8 text, as far as it goes.
fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last letter is cut.
        Err(error) => error.error_len().is_none() && head.len() == HEAD,
    };
    whole && !head.contains(&0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTENT: u8 = 40;

    /// A ZIP whose first files have these names.
    fn zip(names: &[&str]) -> Vec<u8> {
        let entry = |name: &&str| {
            let mut entry = b"PK\x03\x04\x14\0\0\0\0\0".to_vec();
            entry.resize(18, 0);
            entry.extend([CONTENT, 0, 0, 0, CONTENT, 0, 0, 0]);
            entry.extend([u8::try_from(name.len()).unwrap(), 0, 0, 0]);
            entry.extend(name.as_bytes());
            entry.extend([b'x'; CONTENT as usize]);
            entry
        };
        names.iter().flat_map(entry).collect()
    }

    fn word() -> Vec<u8> {
        zip(&["[Content_Types].xml", "_rels/.rels", "word/document.xml", "word/styles.xml"])
    }

    fn odt() -> Vec<u8> {
        let mut mimetype = zip(&["mimetype"]);
        mimetype.truncate(38);
        [mimetype, b"application/vnd.oasis.opendocument.text".to_vec()].concat()
    }

    #[test]
    fn a_document_is_told_by_content_then_name_then_server() {
        let zip = zip(&["a.txt"]);
        let ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0".to_vec();
        let (word, odt) = (word(), odt());
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (head, said, name, claimed, mime) in [
            (&word[..], "", "", "application/zip", docx),
            (&word, "application/octet-stream", "x.zip", "", docx),
            (&odt, "", "", "", "application/vnd.oasis.opendocument.text"),
            (&zip, "", "Toko.APK", "application/zip", "application/vnd.android.package-archive"),
            (&zip, "", "nota.txt", "", "application/zip"),
            (
                &zip,
                "",
                "",
                "application/vnd.android.package-archive",
                "application/vnd.android.package-archive",
            ),
            (&ole, "", "harga.xls", "", "application/vnd.ms-excel"),
            (b"a,b\n1,2", "", "harga.csv", "text/html", "text/csv"),
            (b"a;b\n1;\xe9", "", "harga.csv", "", "text/csv"),
            (b"a,b\n1,2", "", "", "text/csv", "text/csv"),
            (b"{}", "", "x.json", "application/octet-stream", "application/json"),
            (b"BEGIN:VCARD", "", "ann.vcf", "text/plain", "text/vcard"),
            (b"halo", "", "", "", "text/plain"),
            (b"halo", "", "", "text/html", "text/plain"),
            (b"<?xml version=\"1.0\"?><a/>", "", "", "", "text/xml"),
            (b"<!DOCTYPE html><p>x", "", "nota.pdf", "", "text/html"),
            (b"%PDF-1.7", "", "nota.txt", "text/html", "application/pdf"),
            (b"%PDF-1.7", "application/x-own", "", "", "application/x-own"),
            (b"\0\x01\x02", "", "x.txt2", "", "application/octet-stream"),
            (b"\0\x01\x02", "", "", "model/step", "model/step"),
        ] {
            let given = |text: &'static str| Some(text).filter(|text| !text.is_empty());
            let hints = Hints { said: given(said), name: given(name), claimed: given(claimed) };
            let found = decide(MediaKind::Document, head, hints);
            assert_eq!(found.as_deref(), Ok(mime), "{} {hints:?}", head.escape_ascii());
        }
    }

    #[test]
    fn a_file_without_a_name_has_the_end_of_its_type() {
        for (mime, head, name) in [
            ("application/pdf", &b"%PDF-1.7"[..], "file.pdf"),
            ("image/png", b"\x89PNG\r\n\x1a\n", "file.png"),
            ("text/csv", b"a,b", "file.csv"),
            ("text/plain", b"halo", "file.txt"),
            ("application/zip", b"PK\x03\x04", "file.zip"),
            ("application/x-own", b"%PDF-1.7", "file"),
        ] {
            assert_eq!(file_name(mime, head), name);
        }
    }

    #[test]
    fn what_phones_do_not_show_is_refused_with_what_to_do() {
        const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        const MP4: &[u8] = b"\0\0\0\x18ftypisom\0\0\0\0isommp42";
        use MediaKind::{Audio, Image, Sticker, Video};
        for (kind, head, said, found) in [
            (Image, PNG, "", Ok("image/png")),
            (Image, PNG, "image/jpeg", Ok("image/jpeg")),
            (Image, PNG, "text/html", Ok("image/png")),
            (Image, b"<html><p>not found", "image/jpeg", Err("text/html")),
            (Image, b"{\"error\":\"gone\"}", "image/jpeg", Err("text/plain")),
            (Image, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic", Err("image/heic")),
            (Image, b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "", Err("image/avif")),
            (Image, b"<svg xmlns='x'/>", "image/svg+xml", Err("image/svg+xml")),
            (Image, b"<?xml version='1.0'?>\n<svg >", "", Err("image/svg+xml")),
            (Image, b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0", "image/bmp", Err("image/bmp")),
            (Image, b"II*\0\x08\0\0\0\0\0", "", Err("image/tiff")),
            (Image, b"%PDF-1.7", "", Err("application/pdf")),
            (Image, b"\0\x01", "image/jpeg", Ok("image/jpeg")),
            (Image, b"\0\x01", "", Err("something else")),
            (Sticker, PNG, "", Ok("image/png")),
            (Video, MP4, "", Ok("video/mp4")),
            (Video, b"RIFF\x10\0\0\0AVI LIST", "video/mp4", Err("video/x-msvideo")),
            (Audio, MP4, "", Ok("audio/mp4")),
            (Audio, b"<html><p>x", "audio/mpeg", Err("text/html")),
        ] {
            let hints =
                Hints { said: Some(said).filter(|said| !said.is_empty()), ..Hints::default() };
            let decided = decide(kind, head, hints);
            let decided = decided.as_deref().map_err(|mismatch| mismatch.found.as_str());
            assert_eq!(decided, found, "{kind:?} {}", head.escape_ascii());
        }
        let heic = decide(Image, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Hints::default());
        assert_eq!(
            heic.unwrap_err().to_string(),
            "the file is not a picture that phones show: it looks like image/heic; send a JPEG or PNG, or say as_document: true"
        );
    }

    proptest! {
        #[test]
        fn every_file_is_something(
            head in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..4, name: String,
        ) {
            let magic: [&[u8]; 4] = [b"", b"PK\x03\x04", b"RIFF", b"\0\0\0\x18ftyp"];
            let head = [magic[kind], &head].concat();
            let hints = Hints { name: Some(&name), ..Hints::default() };
            prop_assert!(decide(MediaKind::Document, &head, hints).is_ok());
        }
    }
}
