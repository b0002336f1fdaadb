//! Pictures that are shown before they are fetched, and stickers made of them.

use std::io::Cursor;

use super::files::Story;
use super::support::to;
use anyhow::Result;
use image::{ImageFormat, Rgb, RgbImage};
use moonwa::facade::model::{Content, MediaKind, SendRequest};

async fn request(story: &Story, media: MediaKind, file: &[u8]) -> Result<SendRequest> {
    let source = story.gateway.uploaded(file).await?;
    let content = Content::Media {
        media,
        source,
        mime: None,
        filename: None,
        caption: None,
        thumbnail: None,
        as_document: false,
    };
    Ok(to(story.bob.number(), content))
}

fn red(format: ImageFormat) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    RgbImage::from_pixel(160, 80, Rgb([250, 0, 0])).write_to(&mut file, format)?;
    Ok(file.into_inner())
}

#[tokio::test]
async fn a_picture_is_shown_small_before_it_is_fetched() -> Result<()> {
    let story = Story::begin(8).await?;
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let file = red(format)?;
        let got = story.sent(request(&story, MediaKind::Image, &file).await?).await?.message;
        assert_eq!(story.bob.media(&got)?, file, "{format:?}: as it came");
        let picture = got.image_message.as_option().unwrap();
        assert_eq!((picture.width, picture.height), (Some(160), Some(80)), "{format:?}");
        let small = image::load_from_memory(picture.jpeg_thumbnail.as_ref().unwrap())?.to_rgb8();
        assert_eq!(small.dimensions(), (100, 50), "{format:?}");
        assert!(small.get_pixel(50, 25).0[0] > 240, "{format:?}");
    }
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn a_picture_that_lies_on_its_side_is_shown_upright() -> Result<()> {
    let story = Story::begin(18).await?;
    let jpeg = red(ImageFormat::Jpeg)?;
    // What a camera says that was held upright: turn it by 90 degrees.
    let exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let file = [&jpeg[..2], exif, &jpeg[2..]].concat();
    let got = story.sent(request(&story, MediaKind::Image, &file).await?).await?.message;
    assert_eq!(story.bob.media(&got)?, file, "as it came");
    let picture = got.image_message.as_option().unwrap();
    assert_eq!((picture.width, picture.height), (Some(80), Some(160)));
    let small = image::load_from_memory(picture.jpeg_thumbnail.as_ref().unwrap())?;
    assert_eq!((small.width(), small.height()), (50, 100));
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn a_picture_becomes_a_sticker() -> Result<()> {
    let story = Story::begin(9).await?;
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let file = red(format)?;
        let got = story.sent(request(&story, MediaKind::Sticker, &file).await?).await?.message;
        let sticker = got.sticker_message.as_option().unwrap();
        assert_eq!(sticker.mimetype.as_deref(), Some("image/webp"), "{format:?}");
        assert_eq!((sticker.width, sticker.height), (Some(512), Some(512)), "{format:?}");
        let webp = story.bob.media(&got)?;
        assert_eq!(image::guess_format(&webp)?, ImageFormat::WebP, "{format:?}");
        assert_eq!(image::load_from_memory(&webp)?.to_rgba8().dimensions(), (512, 512));
    }
    let moving = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x3f\x01\0\x3f\x01\0 and its frames";
    let got = story.sent(request(&story, MediaKind::Sticker, moving).await?).await?.message;
    assert_eq!(story.bob.media(&got)?, moving, "what moves is passed on");
    let damaged = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0\0\xf0\x08\x06\0\0\0";
    let damaged = request(&story, MediaKind::Sticker, damaged).await?;
    story.refused(damaged, "media_type_mismatch").await?;
    story.end().await;
    Ok(())
}
