//! The dimensions of a video, and the duration of a video or voice note, from their headers: WhatsApp's clients show
//! these before they have the file. Nothing is decoded, and a header that lies does no more than look wrong.

use std::io::{Read, Seek, SeekFrom};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MediaHeader {
    /// Width and height, with the rotation applied.
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) seconds: Option<u32>,
}

/// How many boxes are looked at: a real video has a few dozen outside of its data.
const BOXES: usize = 256;
/// How deep boxes are followed: `moov`, `trak`, `tkhd`.
const DEPTH: usize = 3;
/// A page of an Ogg file is at most this long.
const PAGE: u64 = 65_307;

/// Reads an MP4's `moov`.
pub(crate) fn header(file: &mut (impl Read + Seek)) -> MediaHeader {
    let mut header = MediaHeader::default();
    let Ok(end) = file.seek(SeekFrom::End(0)) else { return header };
    let mut left = BOXES;
    boxes(file, 0, end, DEPTH, &mut left, &mut header);
    header
}

fn boxes(
    file: &mut (impl Read + Seek),
    mut at: u64,
    end: u64,
    depth: usize,
    left: &mut usize,
    header: &mut MediaHeader,
) -> Option<()> {
    while at.saturating_add(8) <= end && *left > 0 {
        *left -= 1;
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0; 8];
        file.read_exact(&mut head).ok()?;
        let (length, kind) = head.split_first_chunk::<4>()?;
        let (body, size) = match u32::from_be_bytes(*length) {
            0 => (at + 8, end - at),
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long).ok()?;
                (at + 16, u64::from_be_bytes(long))
            }
            size => (at + 8, u64::from(size)),
        };
        let next = at.checked_add(size).filter(|next| *next >= body && *next <= end)?;
        match kind {
            b"moov" | b"trak" if depth > 1 => {
                boxes(file, body, next, depth - 1, left, header);
            }
            b"mvhd" => header.seconds = head_of(file, body, next).and_then(|body| duration(&body)),
            b"tkhd" => {
                let size = head_of(file, body, next).and_then(|body| dimensions(&body));
                header.size = header.size.or(size);
            }
            _ => {}
        }
        at = next;
    }
    Some(())
}

/// The first bytes of a box: more than a header has.
fn head_of(file: &mut (impl Read + Seek), at: u64, end: u64) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    file.seek(SeekFrom::Start(at)).ok()?;
    file.take((end - at).min(128)).read_to_end(&mut body).ok()?;
    Some(body)
}

fn duration(body: &[u8]) -> Option<u32> {
    let (scale, units) = if body.first() == Some(&1) {
        (be32(body, 20)?, u64::from(be32(body, 24)?) << 32 | u64::from(be32(body, 28)?))
    } else {
        (be32(body, 12)?, u64::from(be32(body, 16)?))
    };
    seconds(units, u64::from(scale))
}

fn dimensions(body: &[u8]) -> Option<(u32, u32)> {
    let at = if body.first() == Some(&1) { 88 } else { 76 };
    let (width, height) = (be32(body, at)? >> 16, be32(body, at + 4)? >> 16);
    // The matrix in front of it rotates videos that were taken upright.
    let matrix = |n: usize| be32(body, at - 36 + 4 * n);
    let turned = matrix(0)? == 0 && matrix(4)? == 0 && matrix(1)? != 0 && matrix(3)? != 0;
    let size = if turned { (height, width) } else { (width, height) };
    // Audio tracks have no dimensions.
    (width > 0 && height > 0).then_some(size)
}

/// The duration of an Opus voice note in an Ogg file, which its last page states.
pub(crate) fn opus(file: &mut (impl Read + Seek)) -> Option<u32> {
    const RATE: u64 = 48_000;
    let end = file.seek(SeekFrom::End(0)).ok()?;
    file.seek(SeekFrom::Start(end.saturating_sub(PAGE))).ok()?;
    let mut tail = Vec::new();
    file.take(PAGE).read_to_end(&mut tail).ok()?;
    let at = tail.windows(4).rposition(|window| window == b"OggS")?;
    let mut granule = *tail.get(at + 6..)?.first_chunk::<8>()?;
    granule.reverse();
    seconds(u64::from_be_bytes(granule), RATE)
}

/// Rounded to whole seconds, at least one.
fn seconds(units: u64, scale: u64) -> Option<u32> {
    let rounded = units.checked_add(scale / 2)?.checked_div(scale)?;
    u32::try_from(rounded.max(1)).ok().filter(|_| units > 0)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn atom(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes(), kind, body].concat()
    }

    fn track(matrix: [u32; 4], width: u32, height: u32) -> Vec<u8> {
        let [a, b, c, d] = matrix;
        let rows = [a, b, 0, c, d, 0, 0, 0, 1 << 30, width << 16, height << 16];
        let body: Vec<u8> =
            std::iter::repeat_n(0, 40).chain(rows.into_iter().flat_map(u32::to_be_bytes)).collect();
        atom(b"trak", &atom(b"tkhd", &body))
    }

    #[test]
    fn a_video_tells_its_size_and_duration() {
        let one = 1 << 16;
        let sound = track([one, 0, 0, one], 0, 0);
        for (matrix, expected) in
            [([one, 0, 0, one], (640, 360)), ([0, one, u32::MAX - one, 0], (360, 640))]
        {
            let tracks = [sound.clone(), track(matrix, 640, 360)].concat();
            let mvhd = [vec![0; 12], 600_u32.to_be_bytes().into(), 7500_u32.to_be_bytes().into()];
            let moov = atom(b"moov", &[atom(b"mvhd", &mvhd.concat()), tracks].concat());
            let file = [atom(b"ftyp", b"isom"), atom(b"mdat", &[9; 5000]), moov].concat();
            let shown = header(&mut Cursor::new(file));
            assert_eq!(shown, MediaHeader { size: Some(expected), seconds: Some(13) });
        }
        assert_eq!(header(&mut Cursor::new(b"no video at all")), MediaHeader::default());
    }

    proptest! {
        #[test]
        fn nothing_breaks_on_garbage(bytes: Vec<u8>, kinds in proptest::collection::vec(0usize..5, 0..6)) {
            let mut file = bytes;
            for kind in kinds {
                let all: [&[u8]; 5] = [b"moov", b"trak", b"tkhd", b"mvhd", b"OggS"];
                file = atom(all[kind], &file);
            }
            let _ = header(&mut Cursor::new(file.clone()));
            let _ = opus(&mut Cursor::new(file));
        }
    }
}
