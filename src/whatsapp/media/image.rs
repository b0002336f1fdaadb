//! A file's type from its first bytes, and a picture's dimensions from its header. Only the header is read and nothing
//! is decoded, so there is no decoder for a hostile picture to attack.

use std::io::{Read, Seek, SeekFrom};

/// How many bytes are enough to tell a type.
pub(crate) const HEAD: usize = 64;

/// The type of a file that begins with `head`.
pub(crate) fn sniff(head: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    let riff = |kind: &[u8]| at(0, b"RIFF") && at(8, kind);
    Some(match () {
        () if at(0, &[0xff, 0xd8, 0xff]) => "image/jpeg",
        () if at(0, b"\x89PNG\r\n\x1a\n") => "image/png",
        () if at(0, b"GIF87a") || at(0, b"GIF89a") => "image/gif",
        () if riff(b"WEBP") => "image/webp",
        () if riff(b"WAVE") => "audio/wav",
        () if at(4, b"ftypM4A") => "audio/mp4",
        () if at(4, b"ftyp3g") => "video/3gpp",
        () if at(4, b"ftypqt") => "video/quicktime",
        () if at(4, b"ftypavif") => "image/avif",
        () if at(4, b"ftyphei") || at(4, b"ftypmif1") => "image/heic",
        () if at(4, b"ftyp") => "video/mp4",
        () if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) => "video/webm",
        () if at(0, b"OggS") && at(28, b"OpusHead") => "audio/ogg; codecs=opus",
        () if at(0, b"OggS") => "audio/ogg",
        () if at(0, b"#!AMR") => "audio/amr",
        () if at(0, b"fLaC") => "audio/flac",
        () if at(0, b"ID3") => "audio/mpeg",
        () if at(0, &[0xff, 0xf1]) || at(0, &[0xff, 0xf9]) => "audio/aac",
        () if at(0, &[0xff, 0xfb]) || at(0, &[0xff, 0xf3]) || at(0, &[0xff, 0xf2]) => "audio/mpeg",
        () if at(0, b"%PDF-") => "application/pdf",
        () if at(0, b"PK\x03\x04") => "application/zip",
        () => return None,
    })
}

/// Width and height of a JPEG, PNG, GIF or WebP.
pub(crate) fn dimensions(file: &mut (impl Read + Seek)) -> Option<(u32, u32)> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(HEAD as u64).read_to_end(&mut head).ok()?;
    match sniff(&head)? {
        "image/jpeg" => jpeg(file),
        "image/png" => Some((be32(&head, 16)?, be32(&head, 20)?)),
        "image/gif" => Some((le16(&head, 6)?, le16(&head, 8)?)),
        "image/webp" => webp(&head),
        _ => None,
    }
    .filter(|(width, height)| *width > 0 && *height > 0)
}

fn jpeg(file: &mut (impl Read + Seek)) -> Option<(u32, u32)> {
    file.seek(SeekFrom::Start(2)).ok()?;
    // A real file has a few dozen segments before its frame.
    for _ in 0..512 {
        let mut marker = [0; 4];
        file.read_exact(&mut marker).ok()?;
        let [0xff, kind, high, low] = marker else { return None };
        let length = i64::from(u16::from_be_bytes([high, low]));
        let frame = matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc);
        if frame {
            let mut body = [0; 5];
            file.read_exact(&mut body).ok()?;
            let [_, h1, h2, w1, w2] = body;
            let wide = |a, b| u32::from(u16::from_be_bytes([a, b]));
            return Some((wide(w1, w2), wide(h1, h2)));
        }
        file.seek(SeekFrom::Current((length - 2).max(0))).ok()?;
    }
    None
}

/// Whether a file that begins so is a WebP that moves.
pub(crate) fn moves(head: &[u8]) -> bool {
    const ANIMATION: u8 = 2;
    head.get(8..16) == Some(b"WEBPVP8X") && head.get(20).is_some_and(|flags| flags & ANIMATION != 0)
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8 " => Some((le16(head, 26)? & 0x3fff, le16(head, 28)? & 0x3fff)),
        b"VP8L" => {
            let bits = le16(head, 21)? | (le16(head, 23)? << 16);
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => Some((le24(head, 24)? + 1, le24(head, 27)? + 1)),
        _ => None,
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    let [low, high] = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u32::from(*low) | u32::from(*high) << 8)
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    Some(le16(bytes, at)? | u32::from(*bytes.get(at + 2)?) << 16)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn size(bytes: &[u8]) -> Option<(u32, u32)> {
        dimensions(&mut Cursor::new(bytes))
    }

    #[test]
    fn headers_tell_the_size() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0\0\xf0\x08\x06";
        assert_eq!(size(png), Some((320, 240)));
        assert_eq!(size(b"GIF89a\x40\x01\xf0\x00"), Some((320, 240)));
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe1, 0x00, 0x10];
        jpeg.extend([0; 14]);
        jpeg.extend([0xff, 0xc2, 0x00, 0x11, 8, 0x00, 0xf0, 0x01, 0x40, 3]);
        assert_eq!(size(&jpeg), Some((320, 240)));
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xf0\x00";
        assert_eq!(size(lossy), Some((320, 240)));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\x01\0\xef\0\0";
        assert_eq!(size(extended), Some((320, 240)));
        let bits: u32 = 0x13f | (0xef << 14);
        // The format is little-endian.
        let [d, c, b, a] = bits.to_be_bytes();
        let mut lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".to_vec();
        lossless.extend([a, b, c, d]);
        assert_eq!(size(&lossless), Some((320, 240)));
    }

    #[test]
    fn types_are_told_from_bytes() {
        let mut opus = b"OggS".to_vec();
        opus.resize(28, 0);
        opus.extend(b"OpusHead");
        assert_eq!(sniff(&opus), Some("audio/ogg; codecs=opus"));
        assert_eq!(sniff(b"\0\0\0\x18ftypisom"), Some("video/mp4"));
        assert_eq!(sniff(b"\0\0\0\x18ftypM4A "), Some("audio/mp4"));
        assert_eq!(sniff(b"%PDF-1.7"), Some("application/pdf"));
        assert_eq!(sniff(b"<html>"), None);
        assert_eq!(sniff(b""), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_on_garbage(bytes: Vec<u8>, kind in 0usize..5) {
            let magic: [&[u8]; 5] = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8L"];
            let file = [magic[kind], &bytes].concat();
            let _ = dimensions(&mut Cursor::new(file));
        }
    }
}
