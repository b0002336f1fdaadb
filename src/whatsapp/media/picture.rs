//! Pictures that are decoded: for the small picture that is shown before the file is fetched, and for stickers. A
//! picture's decoder meets strangers' files, so what it may allocate is bounded, and a fault of it is the file's alone.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::webp::WebPEncoder;
use ::image::metadata::Orientation;
use ::image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageReader, Limits, RgbaImage, imageops,
};

/// No side of WhatsApp's own small pictures is longer.
const SMALL: u32 = 100;
/// Of 100.
const QUALITY: u8 = 60;
/// The type of a sticker.
pub(crate) const WEBP: &str = "image/webp";
/// Its width and height.
pub(crate) const STICKER: u32 = 512;
/// No side of the picture of a group or person is longer, and of 100 it has this quality.
const FACE: u32 = 640;
const FACE_QUALITY: u8 = 85;
/// What one picture may take while it is decoded: 20 million pixels of four bytes.
const MEMORY: u64 = 80 << 20;

/// What is shown of a picture before it is fetched.
pub(crate) struct Thumbnail {
    pub(crate) jpeg: Vec<u8>,
    /// Whether the picture stands on its side, and is turned by whoever shows it.
    pub(crate) turned: bool,
}

/// `None` for a picture that cannot be decoded, or is too large for it: it is sent without. Blocks.
pub(crate) fn thumbnail(file: &mut (impl Read + Seek)) -> Option<Thumbnail> {
    guarded(|| {
        let (picture, orientation) = decode(file)?;
        let mut small = picture.thumbnail(SMALL, SMALL);
        drop(picture);
        small.apply_orientation(orientation);
        let (small, mut jpeg) = (small.to_rgb8(), Vec::new());
        let (width, height) = small.dimensions();
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
            .encode(&small, width, height, ExtendedColorType::Rgb8)
            .ok()?;
        Some(Thumbnail { jpeg, turned: turns(orientation) })
    })
}

/// The picture as a sticker in WebP, whole and in the middle of a transparent square; `None` when it cannot be decoded.
/// Blocks.
pub(crate) fn sticker(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    guarded(|| {
        let (picture, orientation) = decode(file)?;
        let mut fitting = picture.resize(STICKER, STICKER, imageops::FilterType::Triangle);
        drop(picture);
        fitting.apply_orientation(orientation);
        let mut square = RgbaImage::new(STICKER, STICKER);
        let middle = |length: u32| i64::from(STICKER.saturating_sub(length) / 2);
        let (x, y) = (middle(fitting.width()), middle(fitting.height()));
        imageops::replace(&mut square, &fitting.to_rgba8(), x, y);
        let mut webp = Vec::new();
        WebPEncoder::new_lossless(&mut webp)
            .encode(&square, STICKER, STICKER, ExtendedColorType::Rgba8)
            .ok()?;
        Some(webp)
    })
}

/// The middle of the picture as a JPEG in the form that WhatsApp wants of a group or an account; `None` when it cannot be
/// decoded. Blocks.
pub(crate) fn square(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    guarded(|| {
        let (mut picture, orientation) = decode(file)?;
        picture.apply_orientation(orientation);
        let side = picture.width().min(picture.height());
        let (x, y) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
        let middle = picture.crop_imm(x, y, side, side);
        drop(picture);
        let side = side.min(FACE);
        let small = middle.resize_exact(side, side, imageops::FilterType::Triangle).to_rgb8();
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, FACE_QUALITY)
            .encode(&small, side, side, ExtendedColorType::Rgb8)
            .ok()?;
        Some(jpeg)
    })
}

fn guarded<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

fn decode(file: &mut (impl Read + Seek)) -> Option<(DynamicImage, Orientation)> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if decoder.total_bytes() > MEMORY {
        return None;
    }
    Some((DynamicImage::from_decoder(decoder).ok()?, orientation))
}

fn turns(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ::image::{Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    /// 160 × 80: red on the left, blue on the right.
    fn flag() -> RgbImage {
        RgbImage::from_fn(160, 80, |x, _| if x < 80 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
    }

    fn written(format: image::ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        flag().write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    /// A JPEG with an EXIF segment that says how it is turned.
    fn turned(orientation: u8) -> Vec<u8> {
        let jpeg = written(image::ImageFormat::Jpeg);
        let (start, rest) = jpeg.split_at(2);
        let exif = [
            b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
            &[orientation, 0, 0, 0, 0, 0, 0],
        ];
        [start, &exif.concat(), rest].concat()
    }

    fn is_red(picture: &DynamicImage, x: u32, y: u32) -> bool {
        let [red, _, blue] = picture.to_rgb8().get_pixel(x, y).0;
        red > blue
    }

    #[test]
    fn a_small_picture_stands_upright() {
        for (orientation, size, corner_is_red, turns) in [
            (1, (100, 50), true, false),
            (3, (100, 50), false, false),
            (6, (50, 100), true, true),
            (8, (50, 100), false, true),
        ] {
            let small = thumbnail(&mut Cursor::new(turned(orientation))).unwrap();
            assert!(small.jpeg.len() < 4096);
            let shown = image::load_from_memory(&small.jpeg).unwrap();
            assert_eq!((shown.width(), shown.height()), size, "{orientation}");
            assert_eq!(is_red(&shown, 5, 5), corner_is_red, "{orientation}");
            assert_eq!(small.turned, turns, "{orientation}");
        }
    }

    #[test]
    fn a_sticker_is_a_square_with_the_whole_picture() {
        for format in [image::ImageFormat::Jpeg, image::ImageFormat::Png, image::ImageFormat::WebP]
        {
            let webp = sticker(&mut Cursor::new(written(format))).unwrap();
            let shown = image::load_from_memory(&webp).unwrap();
            assert_eq!((shown.width(), shown.height()), (STICKER, STICKER), "{format:?}");
            assert_eq!(
                shown.to_rgba8().get_pixel(256, 100).0[3],
                0,
                "{format:?}: nothing above it"
            );
            assert!(is_red(&shown, 10, 256) && !is_red(&shown, 500, 256), "{format:?}");
        }
    }

    #[test]
    fn a_square_is_the_middle_of_the_picture() {
        for (side, file) in [(80, written(image::ImageFormat::Png)), (80, turned(6))] {
            let shown = image::load_from_memory(&square(&mut Cursor::new(file)).unwrap()).unwrap();
            assert_eq!((shown.width(), shown.height()), (side, side));
        }
        let middle = square(&mut Cursor::new(written(image::ImageFormat::Png))).unwrap();
        let middle = image::load_from_memory(&middle).unwrap();
        assert!(is_red(&middle, 5, 40) && !is_red(&middle, 75, 40), "half of either colour");
        let mut large = Cursor::new(Vec::new());
        RgbImage::new(900, 700).write_to(&mut large, image::ImageFormat::Png).unwrap();
        let shown = image::load_from_memory(&square(&mut large).unwrap()).unwrap();
        assert_eq!((shown.width(), shown.height()), (FACE, FACE));
        assert!(square(&mut Cursor::new(b"no picture")).is_none());
    }

    #[test]
    fn a_picture_that_would_fill_the_memory_is_not_decoded() {
        // 20,000 × 20,000, as its header says.
        let mut png = written(image::ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        assert!(thumbnail(&mut Cursor::new(&png)).is_none());
        assert!(sticker(&mut Cursor::new(&png)).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_damaged_picture_breaks_nothing(
            kind in 0usize..3,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        ) {
            let formats = [image::ImageFormat::Jpeg, image::ImageFormat::Png, image::ImageFormat::WebP];
            let mut file = written(formats[kind]);
            for (at, byte) in changes {
                let at = at.index(file.len());
                file[at] = byte;
            }
            if let Some((picture, _)) = decode(&mut Cursor::new(file)) {
                prop_assert!(u64::from(picture.width()) * u64::from(picture.height()) <= MEMORY);
            }
        }
    }
}
