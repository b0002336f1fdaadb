//! Chats whose messages disappear: whatever goes there says after how long.

use super::files::Story;
use super::support::{Gateway, text_to, to};
use anyhow::Result;
use moonwa::facade::model::{Content, EventType, MediaKind, MessageId, Recipient, SendRequest};
use moonwa_simulator::{MessageField, Phone, Simulator, wa};

const DAY: u32 = 86_400;
const WEEK: u32 = 7 * DAY;

fn text_with(context: wa::ContextInfo) -> wa::Message {
    let text = wa::message::ExtendedTextMessage {
        text: Some("hai".to_owned()),
        context_info: MessageField::some(context),
        ..Default::default()
    };
    wa::Message { extended_text_message: MessageField::some(text), ..Default::default() }
}

fn plain(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

/// A message that disappears; `set` is when the timer was set.
fn disappearing(seconds: u32, set: Option<i64>) -> wa::Message {
    text_with(wa::ContextInfo {
        expiration: Some(seconds),
        ephemeral_setting_timestamp: set,
        ..Default::default()
    })
}

/// The change of a chat's timer.
fn setting(seconds: u32) -> wa::Message {
    let setting = wa::message::ProtocolMessage {
        r#type: Some(wa::message::protocol_message::Type::EPHEMERAL_SETTING),
        ephemeral_expiration: Some(seconds),
        ..Default::default()
    };
    wa::Message { protocol_message: MessageField::some(setting), ..Default::default() }
}

/// The timer that is said in a message, whatever its kind.
fn timer(m: &wa::Message) -> Option<u32> {
    let context = m
        .extended_text_message
        .as_option()
        .map(|part| &part.context_info)
        .or_else(|| m.image_message.as_option().map(|part| &part.context_info))
        .or_else(|| m.audio_message.as_option().map(|part| &part.context_info))
        .or_else(|| m.document_message.as_option().map(|part| &part.context_info))
        .or_else(|| m.sticker_message.as_option().map(|part| &part.context_info))
        .or_else(|| m.location_message.as_option().map(|part| &part.context_info))
        .or_else(|| m.contact_message.as_option().map(|part| &part.context_info))
        .or_else(|| m.poll_creation_message_v3.as_option().map(|part| &part.context_info));
    context?.as_option()?.expiration
}

async fn heard(gateway: &Gateway, from: &Phone, to: &str, message: wa::Message) -> Result<String> {
    let id = from.send(to, message).await?;
    gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
    Ok(id)
}

/// The timer with which a text reaches a phone.
async fn sent(gateway: &Gateway, chat: &str, reader: &Phone) -> Result<Option<u32>> {
    let row = gateway.send(text_to(chat, "halo")).await?;
    let mine = |m: &moonwa_simulator::InboxMessage| m.id == row.id.as_str();
    let got = reader.wait_inbox(0, |item| item.message().is_some_and(mine)).await?;
    Ok(timer(&got.message().expect("a message").message))
}

#[tokio::test]
async fn every_kind_of_message_carries_the_timer_of_its_chat() -> Result<()> {
    let story = Story::begin(10).await?;
    let (bob, gateway) = (&story.bob, &story.gateway);
    let asked = heard(gateway, bob, story.ann.number(), disappearing(DAY, None)).await?;
    let file = async |media, bytes: &[u8]| -> Result<Content> {
        let source = gateway.uploaded(bytes).await?;
        let (mime, filename, caption, thumbnail) = (None, None, None, None);
        Ok(Content::Media { media, source, mime, filename, caption, thumbnail, as_document: false })
    };
    let moving = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x3f\x01\0\x3f\x01\0 and its frames";
    let contents = [
        Content::Text { text: "halo".into() },
        file(MediaKind::Image, b"\x89PNG\r\n\x1a\n a picture").await?,
        file(MediaKind::Voice, include_bytes!("sounds/mono.opus")).await?,
        file(MediaKind::Document, b"%PDF-1.7").await?,
        file(MediaKind::Sticker, moving).await?,
        Content::Location {
            latitude: "-6.2".into(),
            longitude: "106.8".into(),
            name: None,
            address: None,
        },
        Content::Contact { name: "Siti".into(), vcard: "BEGIN:VCARD\nEND:VCARD".into() },
        Content::Poll {
            question: "Kapan?".into(),
            options: vec!["Senin".into(), "Selasa".into()],
            selectable: 1,
            correct: None,
        },
        Content::Forward { message: MessageId::parse(&asked).expect("an id") },
    ];
    for content in contents {
        let got = story.sent(to(bob.number(), content.clone())).await?.message;
        assert_eq!(timer(&got), Some(DAY), "{content:?}: {got:?}");
    }
    let reply_to = MessageId::parse(&asked);
    let reply = SendRequest { reply_to, ..text_to(bob.number(), "jam 8") };
    assert_eq!(timer(&story.sent(reply).await?.message), Some(DAY));
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn the_latest_setting_of_a_person_counts_also_after_a_restart() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, carl) = (
        sim.phone("628111000331", "Ann").await,
        sim.phone("628111000332", "Bob").await,
        sim.phone("628111000333", "Carl").await,
    );
    let mut gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    assert_eq!(sent(&gateway, bob.number(), &bob).await?, None);

    heard(&gateway, &bob, ann.number(), disappearing(DAY, None)).await?;
    assert_eq!(sent(&gateway, bob.number(), &bob).await?, Some(DAY));
    assert_eq!(sent(&gateway, &bob.lid(), &bob).await?, Some(DAY), "by the other address");
    assert_eq!(sent(&gateway, carl.number(), &carl).await?, None, "another chat");

    // What comes after it is known says that it was read.
    bob.send(&ann, setting(WEEK)).await?;
    heard(&gateway, &bob, ann.number(), text_with(wa::ContextInfo::default())).await?;
    assert_eq!(sent(&gateway, bob.number(), &bob).await?, Some(WEEK));
    gateway = gateway.restart(&sim).await?;
    gateway.expect_connected().await;
    assert_eq!(sent(&gateway, bob.number(), &bob).await?, Some(WEEK), "after a restart");

    ann.send(&bob, setting(DAY)).await?;
    let changed = ann.send(&bob, plain("dari HP")).await?;
    gateway.expect_event(EventType::MessageSent, |data| data["id"] == changed).await;
    assert_eq!(sent(&gateway, bob.number(), &bob).await?, Some(DAY), "set on the own phone");

    bob.send(&ann, setting(0)).await?;
    heard(&gateway, &bob, ann.number(), disappearing(WEEK, Some(1_000))).await?;
    assert_eq!(sent(&gateway, bob.number(), &bob).await?, None, "what is late changes nothing");
    heard(&gateway, &bob, ann.number(), disappearing(WEEK, Some(99_999_999_999))).await?;
    bob.send(&ann, setting(0)).await?;
    heard(&gateway, &bob, ann.number(), disappearing(0, None)).await?;
    assert_eq!(sent(&gateway, bob.number(), &bob).await?, None, "no time to come counts");
    sim.assert_no_violations();
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_group_has_the_timer_that_whatsapp_says() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000334", "Ann").await, sim.phone("628111000335", "Bob").await);
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    group.disappear(&ann, DAY).await?;
    let mut gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let jid = group.jid();
    assert_eq!(sent(&gateway, &jid, &bob).await?, Some(DAY), "set before the device was linked");

    let changed = async |gateway: &Gateway, seconds: u32| -> Result<()> {
        let known = gateway.events().await.len();
        group.disappear(&bob, seconds).await?;
        let told = |data: &serde_json::Value| data["change"]["expiration"] == seconds;
        gateway.expect_event(EventType::GroupUpdated, told).await;
        assert!(gateway.events().await.len() > known);
        Ok(())
    };
    changed(&gateway, WEEK).await?;
    assert_eq!(sent(&gateway, &jid, &bob).await?, Some(WEEK));
    heard(&gateway, &bob, &group.id, disappearing(DAY, None)).await?;
    assert_eq!(sent(&gateway, &jid, &bob).await?, Some(WEEK), "no member sets it by a message");
    gateway = gateway.restart(&sim).await?;
    gateway.expect_connected().await;
    assert_eq!(sent(&gateway, &jid, &bob).await?, Some(WEEK), "after a restart");
    changed(&gateway, 0).await?;
    assert_eq!(sent(&gateway, &jid, &bob).await?, None);
    sim.assert_no_violations();
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_passed_on_leaves_the_timer_behind() -> Result<()> {
    let story = Story::begin(11).await?;
    let carl = story.sim.phone("628111000336", "Carl").await;
    let host = story.bob.send_image(&story.ann, b"\x89PNG\r\n\x1a\n a picture", None).await?;
    story.gateway.expect_event(EventType::MessageReceived, |data| data["id"] == host).await;
    let mut picture = story
        .ann
        .inbox()
        .into_iter()
        .find_map(|item| item.message().filter(|m| m.id == host).map(|m| m.message.clone()))
        .expect("the picture");
    let context = wa::ContextInfo { expiration: Some(DAY), ..Default::default() };
    let image = picture.image_message.as_option_mut().expect("a picture");
    image.context_info = MessageField::some(context);
    let id = heard(&story.gateway, &story.bob, story.ann.number(), picture).await?;
    let message = MessageId::parse(&id).expect("an id");
    for (chat, expected) in [(&carl, None), (&story.bob, Some(DAY))] {
        let request = SendRequest::plain(
            Recipient::parse(chat.number(), None)?,
            Content::Forward { message: message.clone() },
        );
        let row = story.gateway.send(request).await?;
        let mine = |m: &moonwa_simulator::InboxMessage| m.id == row.id.as_str();
        let got = chat.wait_inbox(0, |item| item.message().is_some_and(mine)).await?;
        assert_eq!(timer(&got.message().expect("a message").message), expected);
    }
    story.end().await;
    Ok(())
}
