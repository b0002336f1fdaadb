//! Every kind of message out and in, files both ways, groups, lookups and WhatsApp's bad moods, against the simulated
//! WhatsApp in one process.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::support::{Gateway, text_to, to};
use anyhow::Result;
use moonwa::facade::model::{
    ContactCard, Content, Degradation, DeviceState, EventType, Jid, MediaKind, MediaSource,
    MessageId, MessageStatus, PhoneNumber, Recipient, SendRequest, Stop,
};
use moonwa::facade::whatsapp::WhatsAppError;
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{Fault, Simulator};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0\0\xf0\x08\x06\0\0\0";

/// `a,b` and `1,2`, compressed.
const PACKED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\xd4\x49\xe2\x32\xd4\x31\xe2\x02\x00\x7b\x07\x97\x0a\x08\x00\x00\x00";

/// Serves one file for ever and returns its URL.
fn file_host(body: &'static [u8], mime: &'static str) -> Result<String> {
    host(body, format!("Content-Type: {mime}\r\n"))
}

/// The same with these headers.
fn host(body: &'static [u8], headers: String) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/Harga%20Baru.png", listener.local_addr()?);
    std::thread::Builder::new().spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                asked.extend(byte);
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), body].concat()).ok();
        }
    })?;
    Ok(url)
}

fn media(kind: MediaKind, url: &str, caption: Option<&str>) -> Content {
    Content::Media {
        media: kind,
        source: MediaSource::Url(url.to_owned()),
        mime: None,
        filename: None,
        caption: caption.map(str::to_owned),
        thumbnail: None,
        as_document: false,
    }
}

#[tokio::test]
async fn a_picture_goes_out_with_its_size_and_comes_in_as_it_was() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000301", "Ann").await, sim.phone("628111000302", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;

    let url = file_host(PNG, "image/png")?;
    let before = bob.cursor();
    let row = gateway.send(to(bob.number(), media(MediaKind::Image, &url, Some("harga")))).await?;
    let got = bob
        .wait_inbox(before, |item| item.message().is_some_and(|m| m.id == row.id.as_str()))
        .await?;
    let got = got.message().expect("a message").clone();
    let image = got.message.image_message.as_option().expect("a picture").clone();
    assert_eq!((image.width, image.height), (Some(320), Some(240)));
    assert_eq!(image.mimetype.as_deref(), Some("image/png"));
    assert_eq!(image.caption.as_deref(), Some("harga"));
    assert_eq!(bob.media(&got.message)?, PNG);

    let pasted = url.replace("http://", " HTTP://").replace("%20", " ");
    let edit = Content::Edit { message: row.id.clone(), text: "harga baru".into() };
    let edit = gateway.send(to(bob.number(), edit)).await?;
    let got = bob
        .wait_inbox(before, |item| item.message().is_some_and(|m| m.id == edit.id.as_str()))
        .await?;
    let edited = got.message().and_then(|m| m.message.protocol_message.as_option().cloned());
    let edited = edited.and_then(|m| m.edited_message.as_option().cloned()).expect("an edit");
    let edited = edited.image_message.as_option().expect("still a picture");
    assert_eq!(edited.caption.as_deref(), Some("harga baru"));
    assert_eq!((&edited.media_key, &edited.direct_path), (&image.media_key, &image.direct_path));
    let info = edited.context_info.as_option();
    assert!(info.is_none_or(|info| info.is_forwarded.is_none()), "{info:?}");

    let file = gateway.send(to(bob.number(), media(MediaKind::Document, &pasted, None))).await?;
    let got = bob
        .wait_inbox(before, |item| item.message().is_some_and(|m| m.id == file.id.as_str()))
        .await?;
    let document = got.message().and_then(|m| m.message.document_message.as_option().cloned());
    assert_eq!(document.and_then(|d| d.file_name).as_deref(), Some("Harga Baru.png"));

    let id = bob.send_image(&ann, PNG, Some("lihat")).await?;
    let event = gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
    assert_eq!(event["data"]["kind"], "image");
    assert_eq!(event["data"]["text"], "lihat");
    assert_eq!(event["data"]["media"]["url"], format!("/v1/devices/toko/media/{id}"));
    let id = MessageId::parse(&id).expect("an id");
    let mut stream = gateway.device().media(&id).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.chunks.recv().await {
        bytes.extend(chunk?);
    }
    assert_eq!(bytes, PNG);

    let mut reply = text_to(bob.number(), "ini?");
    reply.reply_to = Some(id.clone());
    let reply = gateway.send(reply).await?;
    let got = bob
        .wait_inbox(before, |item| item.message().is_some_and(|m| m.id == reply.id.as_str()))
        .await?;
    let text = got.message().and_then(|m| m.message.extended_text_message.as_option().cloned());
    let context = text.and_then(|text| text.context_info.as_option().cloned()).expect("a context");
    let quoted = context.quoted_message.as_option().expect("a quoted message");
    let quoted = quoted.image_message.as_option().expect("a quoted picture");
    assert_eq!(quoted.caption.as_deref(), Some("lihat"));
    assert!(quoted.context_info.as_option().is_none_or(|info| info.is_forwarded.is_none()));

    let unknown = MessageId::parse("3EB0UNKNOWN").expect("an id");
    assert!(matches!(gateway.device().media(&unknown).await, Err(WhatsAppError::NotFound)));
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_document_is_what_its_content_its_name_and_its_server_say() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000321", "Ann").await, sim.phone("628111000322", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let odt = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0mimetypeapplication/vnd.oasis.opendocument.text";
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let zip: &[u8] = b"PK\x03\x04\x14\0\0\0";
    for (body, headers, end, name, mime) in [
        (
            &odt[..],
            "Content-Type: application/zip",
            "/",
            "file.odt",
            "application/vnd.oasis.opendocument.text",
        ),
        (
            zip,
            "Content-Disposition: attachment; filename=\"a.docx\"; filename*=UTF-8''Surat%20Jalan.docx",
            "/x.zip",
            "Surat Jalan.docx",
            docx,
        ),
        (
            zip,
            "Content-Type: application/octet-stream",
            "/Toko%201.2.apk?v=3",
            "Toko 1.2.apk",
            "application/vnd.android.package-archive",
        ),
        (b"a,b\n1,2\n", "Content-Type: text/html", "/harga.csv", "harga.csv", "text/csv"),
        (PACKED, "Content-Encoding: gzip\r\nContent-Type: text/csv", "/", "file.csv", "text/csv"),
        (b"BEGIN:VCARD\nEND:VCARD", "X: y", "/ann.vcf", "ann.vcf", "text/vcard"),
    ] {
        let url = host(body, format!("{headers}\r\n"))?.replace("/Harga%20Baru.png", end);
        let row = gateway.send(to(bob.number(), media(MediaKind::Document, &url, None))).await?;
        let got = bob
            .wait_inbox(0, |item| item.message().is_some_and(|m| m.id == row.id.as_str()))
            .await?;
        let got = got.message().expect("a message").message.clone();
        let document = got.document_message.as_option().expect("a document");
        assert_eq!(
            (document.file_name.as_deref(), document.mimetype.as_deref()),
            (Some(name), Some(mime)),
            "{url} {headers}"
        );
        let plain = if body == PACKED { b"a,b\n1,2\n" } else { body };
        assert_eq!(bob.media(&got)?, plain, "{url}");
    }
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_page_is_no_picture_and_a_closed_network_stays_closed() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000303", "Ann").await, sim.phone("628111000304", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let page = file_host(b"<html>not found</html>", "text/html")?;
    for (url, expected) in [
        (page.as_str(), "media_type_mismatch"),
        ("http://169.254.169.254/x.png", "media_url_denied"),
    ] {
        let row = gateway.send(to(bob.number(), media(MediaKind::Image, url, None))).await?;
        let settled = gateway.expect_settled(&row.id).await;
        assert!(
            matches!(&settled, MessageStatus::Failed { code, .. } if code == expected),
            "{settled:?}"
        );
    }
    for (kind, body, headers, code) in [
        (
            MediaKind::Image,
            &b"{\"error\":\"gone\"}"[..],
            "Content-Type: image/jpeg",
            "media_type_mismatch",
        ),
        (
            MediaKind::Image,
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "Content-Type: image/jpeg",
            "media_type_mismatch",
        ),
        (
            MediaKind::Video,
            b"RIFF\x10\0\0\0AVI LIST",
            "Content-Type: video/mp4",
            "media_type_mismatch",
        ),
        (MediaKind::Document, b"", "Content-Type: application/pdf", "media_type_mismatch"),
        (MediaKind::Document, b"x", "Content-Encoding: br", "media_fetch_failed"),
        (MediaKind::Document, b"no gzip", "Content-Encoding: gzip", "media_fetch_failed"),
    ] {
        let url = host(body, format!("{headers}\r\n"))?;
        let row = gateway.send(to(bob.number(), media(kind, &url, None))).await?;
        let settled = gateway.expect_settled(&row.id).await;
        assert!(
            matches!(&settled, MessageStatus::Failed { code: found, .. } if found == code),
            "{headers}: {settled:?}"
        );
    }
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn every_other_kind_goes_out() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000305", "Ann").await, sim.phone("628111000306", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let asked = bob.send_text(&ann, "jam berapa buka?").await?;
    gateway.expect_event(EventType::MessageReceived, |data| data["id"] == asked).await;
    let asked = MessageId::parse(&asked).expect("an id");

    let before = bob.cursor();
    let send = async |request: SendRequest| -> Result<moonwa_simulator::InboxMessage> {
        let row = gateway.send(request).await?;
        let item = bob
            .wait_inbox(before, |item| item.message().is_some_and(|m| m.id == row.id.as_str()))
            .await?;
        Ok(item.message().expect("a message").clone())
    };
    let mut reply = text_to(bob.number(), "jam 8 @628111000306");
    reply.reply_to = Some(asked.clone());
    reply.mentions = vec![Recipient::parse(bob.number(), None)?];
    let got = send(reply).await?;
    let text = got.message.extended_text_message.as_option().expect("text with context");
    let context = text.context_info.as_option().expect("a context");
    assert_eq!(context.stanza_id.as_deref(), Some(asked.as_str()));
    let quoted = context.quoted_message.as_option().and_then(|m| m.conversation.clone());
    assert_eq!(quoted.as_deref(), Some("jam berapa buka?"));
    assert_eq!(context.mentioned_jid, [bob.jid()]);

    let place = Content::Location {
        latitude: "-6.2".into(),
        longitude: "106.8".into(),
        name: Some("Toko".into()),
        address: None,
    };
    let got = send(to(bob.number(), place)).await?;
    let place = got.message.location_message.as_option().expect("a place");
    assert_eq!((place.degrees_latitude, place.degrees_longitude), (Some(-6.2), Some(106.8)));

    let card = Content::Contact { name: "Siti".into(), vcard: "BEGIN:VCARD\nEND:VCARD".into() };
    let got = send(to(bob.number(), card)).await?;
    assert!(got.message.contact_message.is_set());

    let card =
        |name: &str| ContactCard { name: name.into(), vcard: "BEGIN:VCARD\nEND:VCARD".into() };
    let cards = Content::Contacts { contacts: vec![card("Siti"), card("Tini")] };
    let got = send(to(bob.number(), cards)).await?;
    let cards = got.message.contacts_array_message.as_option().expect("contacts");
    let names: Vec<_> = cards.contacts.iter().map(|card| card.display_name.as_deref()).collect();
    assert_eq!(names, [Some("Siti"), Some("Tini")]);

    let poll = Content::Poll {
        question: "Kapan?".into(),
        options: vec!["Senin".into(), "Selasa".into()],
        selectable: 1,
        correct: None,
    };
    let got = send(to(bob.number(), poll)).await?;
    let poll = got.message.poll_creation_message_v3.as_option().expect("a poll");
    assert_eq!(poll.options.len(), 2);

    let reaction = Content::Reaction { message: asked.clone(), author: None, emoji: "👍".into() };
    let got = send(to(bob.number(), reaction)).await?;
    let reaction = got.message.reaction_message.as_option().expect("a reaction");
    let key = reaction.key.as_option().expect("a key");
    assert_eq!((key.id.as_deref(), key.from_me), (Some(asked.as_str()), Some(false)));

    let first = gateway.send(text_to(bob.number(), "salah")).await?;
    bob.expect_text("salah").await?;
    let edit = Content::Edit { message: first.id.clone(), text: "benar".into() };
    let got = send(to(bob.number(), edit)).await?;
    let protocol = got.message.protocol_message.as_option().expect("an edit");
    assert_eq!(protocol.key.as_option().and_then(|k| k.id.as_deref()), Some(first.id.as_str()));
    let revoke = Content::Revoke { message: first.id.clone(), author: None };
    let got = send(to(bob.number(), revoke)).await?;
    assert!(got.message.protocol_message.is_set());

    let place = Content::Location {
        latitude: "north".into(),
        longitude: "0".into(),
        name: None,
        address: None,
    };
    let row = gateway.send(to(bob.number(), place)).await?;
    let settled = gateway.expect_settled(&row.id).await;
    assert!(matches!(settled, MessageStatus::Failed { code, .. } if code == "invalid_request"));
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn groups_are_listed_written_to_and_heard() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, carl) = (
        sim.phone("628111000307", "Ann").await,
        sim.phone("628111000308", "Bob").await,
        sim.phone("628111000309", "Carl").await,
    );
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let group = sim.group("Keluarga", &[&ann, &bob]).await?;

    let toko = gateway.device();
    let listed = toko.groups().await?;
    assert_eq!(listed.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["Keluarga"]);
    let id = listed[0].id.clone();
    let full = toko.group(&id).await?;
    let mut phones: Vec<String> =
        full.members.iter().filter_map(|m| m.phone.clone()).map(String::from).collect();
    phones.sort();
    assert_eq!(phones, [ann.number(), bob.number()]);
    assert!(full.members.iter().any(|m| m.admin) && full.members.iter().all(|m| m.lid.is_some()));
    assert!(toko.group(&Jid::parse("999@g.us")?).await.is_err());

    let asked = bob.send_text(&group, "hai semua").await?;
    let event = gateway.expect_event(EventType::MessageReceived, |data| data["id"] == asked).await;
    assert_eq!(event["data"]["group"], id.as_str());
    assert_eq!(event["data"]["chat"], id.as_str());
    assert_eq!(event["data"]["from"]["phone"], bob.number());

    let row = gateway.send(text_to(id.as_str(), "halo grup")).await?;
    bob.expect_text("halo grup").await?;
    gateway.expect_status(&row.id, MessageStatus::Delivered).await;
    toko.mark_read(&MessageId::parse(&asked).expect("an id")).await?;
    bob.expect_receipt("read", &asked).await?;
    toko.typing(&id, true).await?;

    group.add(&ann, &[&carl]).await?;
    gateway.expect_change(id.as_str(), "add").await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn numbers_are_looked_up() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000310", "Ann").await, sim.phone("628111000311", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    let bobs = PhoneNumber::parse(bob.number(), None)?;
    assert!(matches!(gateway.device().lookup(&bobs).await, Err(WhatsAppError::NotConnected)));
    gateway.link(&ann).await?;
    let found = gateway.device().lookup(&bobs).await?.expect("on WhatsApp");
    assert_eq!(found.jid.as_str(), bob.jid());
    assert_eq!(found.lid.map(|lid| format!("{lid}@lid")), Some(bob.lid()));
    let nobody = PhoneNumber::parse("628999999998", None)?;
    assert_eq!(gateway.device().lookup(&nobody).await?, None);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_refused_message_fails_with_whatsapps_code() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000312", "Ann").await, sim.phone("628111000313", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    sim.lock_sending(ann.number(), 3600);
    let row = gateway.send(text_to(bob.number(), "belum kenal")).await?;
    let settled = gateway.expect_settled(&row.id).await;
    assert!(matches!(&settled, MessageStatus::Failed { code, .. } if code == "463"), "{settled:?}");
    gateway
        .expect_state(|s| matches!(s, DeviceState::Degraded(Degradation::SendingLocked(_))))
        .await;
    gateway
        .expect_event(EventType::MessageStatus, |data| {
            data["status"] == "failed" && data["code"] == "463"
        })
        .await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn whatsapps_own_endings_are_told_apart() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000314", "Ann").await;
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;

    sim.fault(&ann, Fault::Replaced);
    gateway.expect_state(|s| *s == DeviceState::Stopped(Stop::Replaced)).await;
    sim.fault(&ann, Fault::LoginFailure(402));
    gateway.device().start().await?;
    gateway.expect_state(|s| matches!(s, DeviceState::Stopped(Stop::Banned(_)))).await;
    // The version is fetched anew once.
    sim.fault_times(&ann, Fault::LoginFailure(405), 2);
    gateway.device().start().await?;
    gateway.expect_state(|s| *s == DeviceState::Stopped(Stop::Outdated)).await;
    sim.fault(&ann, Fault::LoginFailure(503));
    gateway.device().start().await?;
    let waiting =
        gateway.expect_state(|s| matches!(s, DeviceState::Reconnecting { attempt: 1.., .. })).await;
    assert!(
        matches!(
            waiting,
            DeviceState::Reconnecting { why: moonwa::facade::model::Disconnect::Server(503), .. }
        ),
        "{waiting:?}"
    );
    gateway.expect_state(|s| matches!(s, DeviceState::Connected)).await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_the_phone_writes_and_what_is_done_to_messages_is_told() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000315", "Ann").await, sim.phone("628111000316", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let first = bob.send_text(&ann, "dari Bob").await?;
    gateway.expect_event(EventType::MessageReceived, |data| data["id"] == first).await;
    let own = ann.send_text(&bob, "dari HP").await?;
    let event = gateway.expect_event(EventType::MessageSent, |data| data["id"] == own).await;
    assert_eq!(event["data"]["from_me"], true);
    assert_eq!(event["data"]["chat"], bob.jid());
    assert_eq!(event["data"]["from"]["phone"], ann.number());
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn messages_wait_for_the_connection_in_order() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000317", "Ann").await, sim.phone("628111000318", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    gateway.device().stop().await?;
    let texts: Vec<String> = (0..8).map(|n| format!("nomor {n}")).collect();
    for text in &texts {
        gateway.send(text_to(bob.number(), text)).await?;
    }
    let before = bob.cursor();
    gateway.device().start().await?;
    bob.expect_text("nomor 7").await?;
    let seen = eventually(
        "all of them",
        || async {
            let inbox = bob.inbox();
            let texts = inbox.iter().filter_map(|item| item.message().and_then(|m| m.text.clone()));
            texts.collect::<Vec<_>>()
        },
        |seen| seen.len() >= texts.len(),
    )
    .await;
    assert_eq!(seen, texts, "in order, each once; cursor {before}");
    gateway.stop().await;
    Ok(())
}
