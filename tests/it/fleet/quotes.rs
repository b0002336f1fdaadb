//! Answers that show what they answer, and captions that are changed, whatever kind of file it is.

use super::files::{Story, film};
use super::support::{text_to, to};
use anyhow::{Context as _, Result};
use moonwa::facade::model::{Content, EventType, MediaKind, MessageId, SendRequest, Thumbnail};
use moonwa_simulator::{File, wa};

const SMALL: &[u8] = b"\xff\xd8\xff\xe0 a small picture";

impl Story {
    /// A file from Bob, with a small picture of it where its kind has one.
    async fn received(&self, mime: &str, file: File) -> Result<MessageId> {
        let first = self.bob.send_file(&self.ann, b"its bytes", mime, file).await?;
        let inbox = self.ann.inbox();
        let mut messages = inbox.iter().filter_map(|item| item.message());
        let mut message =
            messages.find(|m| m.id == first).map(|m| m.message.clone()).context("a message")?;
        if let Some(film) = message.video_message.as_option_mut() {
            film.jpeg_thumbnail = Some(SMALL.to_vec());
        }
        if let Some(document) = message.document_message.as_option_mut() {
            document.jpeg_thumbnail = Some(SMALL.to_vec());
        }
        let id = self.bob.send(&self.ann, message).await?;
        self.gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
        MessageId::parse(&id).context("an id")
    }

    /// What an answer to a message shows of it.
    async fn quoted(&self, id: &MessageId) -> Result<wa::Message> {
        let reply =
            SendRequest { reply_to: Some(id.clone()), ..text_to(self.bob.number(), "yang ini?") };
        let got = self.sent(reply).await?.message;
        let text = got.extended_text_message.as_option().context("a text")?;
        let context = text.context_info.as_option().context("a context")?;
        assert_eq!(context.stanza_id.as_deref(), Some(id.as_str()));
        context.quoted_message.as_option().cloned().context("a quoted message")
    }

    async fn captioned(&self, media: MediaKind, file: &[u8]) -> Result<(MessageId, wa::Message)> {
        let content = Content::Media {
            as_document: false,
            media,
            source: self.gateway.uploaded(file).await?,
            mime: None,
            filename: (media == MediaKind::Document).then(|| "nota.pdf".to_owned()),
            caption: Some("lama".to_owned()),
            thumbnail: Thumbnail::new(SMALL),
        };
        let got = self.sent(to(self.bob.number(), content)).await?;
        Ok((MessageId::parse(&got.id).context("an id")?, got.message))
    }
}

#[tokio::test]
async fn an_answer_shows_the_file_that_it_answers() -> Result<()> {
    let story = Story::begin(12).await?;
    let id = story.received("video/mp4", File::Video(Some("lihat".to_owned()))).await?;
    let quoted = story.quoted(&id).await?;
    let video = quoted.video_message.as_option().context("a film")?;
    assert_eq!(
        (video.caption.as_deref(), video.jpeg_thumbnail.as_deref()),
        (Some("lihat"), Some(SMALL))
    );

    let id = story.received("application/pdf", File::Document("nota.pdf".to_owned())).await?;
    let quoted = story.quoted(&id).await?;
    let document = quoted.document_message.as_option().context("a document")?;
    assert_eq!(
        (document.file_name.as_deref(), document.jpeg_thumbnail.as_deref()),
        (Some("nota.pdf"), Some(SMALL))
    );

    let id = story.received("audio/ogg; codecs=opus", File::Audio(true)).await?;
    let quoted = story.quoted(&id).await?;
    assert_eq!(quoted.audio_message.as_option().context("a voice note")?.ptt, Some(true));

    let id = story.received("image/webp", File::Sticker).await?;
    let quoted = story.quoted(&id).await?;
    let sticker = quoted.sticker_message.as_option().context("a sticker")?;
    assert!(sticker.media_key.is_some() && sticker.direct_path.is_some());

    // Of what may be seen once no file is kept: its kind is shown.
    let once = wa::message::ImageMessage { view_once: Some(true), ..Default::default() };
    let once = wa::Message {
        image_message: moonwa_simulator::MessageField::some(once),
        ..Default::default()
    };
    let id = story.bob.send(&story.ann, once).await?;
    story.gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
    let quoted = story.quoted(&MessageId::parse(&id).context("an id")?).await?;
    assert!(quoted.image_message.is_set(), "{quoted:?}");

    // What went out from here is shown, too.
    let (id, sent) = story.captioned(MediaKind::Video, &film()).await?;
    let quoted = story.quoted(&id).await?;
    let quoted = quoted.video_message.as_option().context("a film")?;
    assert_eq!(quoted.jpeg_thumbnail.as_deref(), Some(SMALL));
    assert_eq!(quoted.media_key, sent.video_message.as_option().context("a film")?.media_key);
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn a_changed_caption_leaves_the_film_and_the_document_as_they_were() -> Result<()> {
    let story = Story::begin(13).await?;
    for (media, bytes) in [(MediaKind::Video, film()), (MediaKind::Document, b"%PDF-1.7".to_vec())]
    {
        let (message, before) = story.captioned(media, &bytes).await?;
        let edit = Content::Edit { message: message.clone(), text: "baru".to_owned() };
        let got = story.sent(to(story.bob.number(), edit)).await?.message;
        let protocol = got.protocol_message.as_option().context("an edit")?;
        assert_eq!(
            protocol.key.as_option().and_then(|key| key.id.as_deref()),
            Some(message.as_str())
        );
        let after = protocol.edited_message.as_option().context("a message")?;
        let said = |m: &wa::Message| match media {
            MediaKind::Video => {
                let film = m.video_message.as_option().expect("a film");
                (film.caption.clone(), film.media_key.clone(), film.jpeg_thumbnail.clone())
            }
            _ => {
                let file = m.document_message.as_option().expect("a document");
                assert_eq!(file.file_name.as_deref(), Some("nota.pdf"));
                (file.caption.clone(), file.media_key.clone(), file.jpeg_thumbnail.clone())
            }
        };
        let (old, new) = (said(&before), said(after));
        assert_eq!((old.0.as_deref(), new.0.as_deref()), (Some("lama"), Some("baru")));
        assert_eq!((&new.1, &new.2), (&old.1, &old.2), "{media:?}");
    }
    story.end().await;
    Ok(())
}
