//! Files out, byte for byte; messages passed on; and files that WhatsApp's hosts have thrown away.

use super::support::{Gateway, text_to, to};
use anyhow::Result;
use moonwa::facade::model::{
    Content, EventType, MediaKind, MessageId, MessageStatus, SendRequest, Thumbnail,
};
use moonwa::facade::whatsapp::WhatsAppError;
use moonwa_simulator::{Fault, InboxMessage, Phone, Simulator, wa};
use serde_json::Value;

/// A file that begins with `head` and is long enough to be split.
fn file(head: &[u8]) -> Vec<u8> {
    let tail = (0..150_000_u32).map(|n| u8::try_from(n % 253).unwrap_or_default());
    head.iter().copied().chain(tail).collect()
}

/// An MP4 of 640 × 360 that lasts 12 seconds, as far as its header goes.
pub(crate) fn film() -> Vec<u8> {
    let atom = |kind: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes(), kind, body].concat()
    };
    let mut movie = vec![0; 12];
    movie.extend(1000_u32.to_be_bytes());
    movie.extend(12_000_u32.to_be_bytes());
    movie.extend([0; 80]);
    let mut track = vec![0; 76];
    track.extend((640_u32 << 16).to_be_bytes());
    track.extend((360_u32 << 16).to_be_bytes());
    let tracks = atom(b"trak", &atom(b"tkhd", &track));
    let moov = atom(b"moov", &[atom(b"mvhd", &movie), tracks].concat());
    let data = atom(b"mdat", &file(b""));
    [atom(b"ftyp", b"isom\0\0\x02\0isommp41"), data, moov].concat()
}

/// A voice note of two seconds.
const SPEECH: &[u8] = include_bytes!("sounds/mono.opus");

pub(crate) struct Story {
    pub(crate) sim: Simulator,
    pub(crate) ann: Phone,
    pub(crate) bob: Phone,
    pub(crate) gateway: Gateway,
}

impl Story {
    pub(crate) async fn begin(number: u32) -> Result<Self> {
        let sim = Simulator::start().await?;
        let ann = sim.phone(&format!("6281113{number:05}1"), "Ann").await;
        let bob = sim.phone(&format!("6281113{number:05}2"), "Bob").await;
        let gateway = Gateway::start(&sim).await?;
        gateway.link(&ann).await?;
        Ok(Self { sim, ann, bob, gateway })
    }

    /// What Bob's phone gets of it.
    pub(crate) async fn sent(&self, request: SendRequest) -> Result<InboxMessage> {
        let row = self.gateway.send(request).await?;
        let got = self.bob.wait_inbox(0, |i| i.message().is_some_and(|m| m.id == row.id.as_str()));
        Ok(got.await?.message().expect("a message").clone())
    }

    /// The same for a file, uploaded to the gateway.
    async fn file(&self, media: MediaKind, bytes: &[u8]) -> Result<wa::Message> {
        self.file_shown(media, bytes, None).await
    }

    /// The same with a small picture that is shown before.
    async fn file_shown(
        &self,
        media: MediaKind,
        bytes: &[u8],
        thumbnail: Option<Thumbnail>,
    ) -> Result<wa::Message> {
        let source = self.gateway.uploaded(bytes).await?;
        let captioned = matches!(media, MediaKind::Image | MediaKind::Video | MediaKind::Document);
        let content = Content::Media {
            media,
            source,
            mime: None,
            filename: (media == MediaKind::Document).then(|| "nota.pdf".to_owned()),
            caption: captioned.then(|| "lihat".to_owned()),
            thumbnail,
            as_document: false,
        };
        let got = self.sent(to(self.bob.number(), content)).await?.message;
        assert_eq!(self.bob.media(&got)?, bytes, "{media:?}, byte for byte");
        Ok(got)
    }

    /// Sends what fails with that code.
    pub(crate) async fn refused(&self, request: SendRequest, code: &str) -> Result<()> {
        let row = self.gateway.send(request).await?;
        let failed = |data: &Value| data["id"] == row.id.as_str() && data["status"] == "failed";
        let event = self.gateway.expect_event(EventType::MessageStatus, failed).await;
        assert_eq!(event["data"]["code"], code, "{event}");
        Ok(())
    }

    pub(crate) async fn end(self) {
        self.sim.assert_no_violations();
        self.gateway.stop().await;
    }
}

#[tokio::test]
async fn every_kind_of_file_arrives_byte_for_byte() -> Result<()> {
    let story = Story::begin(1).await?;
    let png = file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0\0\xf0\x08\x06\0\0\0");
    let got = story.file(MediaKind::Image, &png).await?;
    let image = got.image_message.as_option().unwrap();
    assert_eq!((image.width, image.height), (Some(320), Some(240)));
    assert_eq!(
        (image.mimetype.as_deref(), image.caption.as_deref()),
        (Some("image/png"), Some("lihat"))
    );

    assert_eq!(image.view_once, None);
    let source = story.gateway.uploaded(&png).await?;
    let content = Content::Media {
        media: MediaKind::Image,
        source,
        mime: None,
        filename: None,
        caption: None,
        thumbnail: None,
        as_document: false,
    };
    let once = SendRequest { view_once: true, ..to(story.bob.number(), content) };
    let once = story.sent(once).await?;
    assert_eq!(once.message.image_message.as_option().unwrap().view_once, Some(true));
    assert_eq!(story.bob.media(&once.message)?, png);
    let id = MessageId::parse(&once.id).expect("an id");
    assert!(story.gateway.device().can_forward(&id).await.is_err(), "it is seen once");

    let got = story.file(MediaKind::Video, &film()).await?;
    let video = got.video_message.as_option().unwrap();
    assert_eq!((video.width, video.height, video.seconds), (Some(640), Some(360), Some(12)));
    assert_eq!(
        (video.mimetype.as_deref(), video.caption.as_deref()),
        (Some("video/mp4"), Some("lihat"))
    );

    let got = story.file(MediaKind::Audio, &file(b"ID3\x04")).await?;
    let audio = got.audio_message.as_option().unwrap();
    assert_eq!((audio.mimetype.as_deref(), audio.ptt), (Some("audio/mpeg"), Some(false)));

    let got = story.file(MediaKind::Voice, SPEECH).await?;
    let voice = got.audio_message.as_option().unwrap();
    assert_eq!((voice.ptt, voice.seconds), (Some(true), Some(2)));
    assert_eq!(voice.mimetype.as_deref(), Some("audio/ogg; codecs=opus"));

    let got = story.file(MediaKind::Document, &file(b"%PDF-1.7")).await?;
    let document = got.document_message.as_option().unwrap();
    assert_eq!(document.file_name.as_deref(), Some("nota.pdf"));
    assert_eq!(document.mimetype.as_deref(), Some("application/pdf"));

    let webp = file(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x01\0\xff\x01\0");
    let got = story.file(MediaKind::Sticker, &webp).await?;
    let sticker = got.sticker_message.as_option().unwrap();
    assert_eq!((sticker.width, sticker.height), (Some(512), Some(512)));
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn a_small_picture_is_shown_before_the_file() -> Result<()> {
    let story = Story::begin(5).await?;
    let small = b"\xff\xd8\xff\xe0 a small picture";
    let png = file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0\0\xf0\x08\x06\0\0\0");
    for (kind, bytes) in [
        (MediaKind::Image, png),
        (MediaKind::Video, film()),
        (MediaKind::Document, file(b"%PDF-1.7")),
    ] {
        let got = story.file_shown(kind, &bytes, Thumbnail::new(small)).await?;
        let shown = match kind {
            MediaKind::Image => got.image_message.as_option().unwrap().jpeg_thumbnail.clone(),
            MediaKind::Video => got.video_message.as_option().unwrap().jpeg_thumbnail.clone(),
            _ => got.document_message.as_option().unwrap().jpeg_thumbnail.clone(),
        };
        assert_eq!(shown.as_deref(), Some(&small[..]), "{kind:?}");
    }
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn messages_are_passed_on_as_they_are() -> Result<()> {
    let story = Story::begin(2).await?;
    let forward = async |id: &str| {
        let message = MessageId::parse(id).expect("an id");
        story.gateway.device().can_forward(&message).await?;
        anyhow::Ok(story.sent(to(story.bob.number(), Content::Forward { message })).await?.message)
    };
    let forwarded = |context: &wa::ContextInfo| context.is_forwarded == Some(true);

    let received = async |id: &str| {
        story.gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
    };
    let id = story.bob.send_text(&story.ann, "promo!").await?;
    received(&id).await;
    let got = forward(&id).await?;
    let text = got.extended_text_message.as_option().unwrap();
    assert_eq!(text.text.as_deref(), Some("promo!"));
    assert!(forwarded(text.context_info.as_option().unwrap()));

    let picture = file(&[0xff, 0xd8, 0xff, 0xe0]);
    let id = story.bob.send_image(&story.ann, &picture, Some("katalog")).await?;
    received(&id).await;
    let uploads = || story.sim.journal().iter().filter(|e| e.tag == "upload").count();
    let before = uploads();
    let got = forward(&id).await?;
    let image = got.image_message.as_option().unwrap();
    assert_eq!(image.caption.as_deref(), Some("katalog"));
    assert!(forwarded(image.context_info.as_option().unwrap()));
    assert_eq!(story.bob.media(&got)?, picture);
    assert_eq!(uploads(), before, "not uploaded again");

    let id = story.bob.send_location(&story.ann, -6.2, 106.8, "Toko").await?;
    received(&id).await;
    let got = forward(&id).await?;
    let place = got.location_message.as_option().unwrap();
    assert_eq!((place.degrees_latitude, place.name.as_deref()), (Some(-6.2), Some("Toko")));

    // What went out from here can be passed on, too.
    let first = story.gateway.send(text_to(story.bob.number(), "dari sini")).await?;
    story.bob.expect_text("dari sini").await?;
    let got = forward(first.id.as_str()).await?;
    let text = got.extended_text_message.as_option().and_then(|t| t.text.clone());
    assert_eq!(text.as_deref(), Some("dari sini"));

    let message = MessageId::parse("3EB0NOBODYKNOWS").expect("an id");
    let unknown = story.gateway.device().can_forward(&message).await;
    assert!(matches!(unknown, Err(WhatsAppError::NotFound)), "{unknown:?}");
    let row = story.gateway.send(to(story.bob.number(), Content::Forward { message })).await?;
    let settled = story.gateway.expect_settled(&row.id).await;
    assert!(
        matches!(&settled, MessageStatus::Failed { code, .. } if code == "message_not_found"),
        "{settled:?}"
    );
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn a_file_the_hosts_have_lost_comes_from_the_phone() -> Result<()> {
    let story = Story::begin(3).await?;
    let picture = file(&[0xff, 0xd8, 0xff, 0xe0]);
    let group = story.sim.group("Tim", &[&story.bob, &story.ann]).await?;
    let mut ids = Vec::new();
    for chat in [story.ann.number(), group.id.as_str()] {
        let id = story.bob.send_image(chat, &picture, None).await?;
        story.gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
        ids.push(id);
    }
    story.sim.expire_media();
    let asked = || story.sim.journal().iter().filter(|e| e.tag == "upload again").count();
    for id in &ids {
        assert_eq!(story.gateway.media(id).await?, picture);
    }
    assert_eq!(asked(), 2);
    // The new place is remembered.
    assert_eq!(story.gateway.media(&ids[0]).await?, picture);
    assert_eq!(asked(), 2);

    story.sim.expire_media();
    story.sim.fault(&story.ann, Fault::ReuploadRefused);
    let id = MessageId::parse(&ids[1]).expect("an id");
    let gone = story.gateway.device().media(&id).await;
    assert!(matches!(gone, Err(WhatsAppError::Expired)), "the phone has deleted it, too");
    story.end().await;
    Ok(())
}
