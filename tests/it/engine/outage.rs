//! Connections that break at bad moments, lost and late answers, phones that are off.

use std::time::Instant;

use moonwa_simulator::{Fault, File};
use wa_rs::wacore::types::events::Event;

use super::client::TestClient;
use super::{ANN, linked, to};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_confirmed_comes_again() {
    let p = linked().await;
    // The client's confirmation is its next stanza; the connection ends instead of reading it.
    p.sim.fault(&p.ann, Fault::CloseAfter(0));
    let events = p.client.cursor();
    p.bob.send_text(&p.ann, "unconfirmed").await.unwrap();
    p.client.text("unconfirmed").await;
    p.client.connected(events).await;
    p.ann.expect_confirmed().await.unwrap();
    assert_eq!(p.client.times("unconfirmed"), 1, "the engine knows it already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_after_the_ack_loses_nothing() {
    let p = linked().await;
    let events = p.client.cursor();
    p.sim.fault(&p.ann, Fault::DropAfterAck);
    let id = p.client.client.send_text(to(&p.bob), "just made it").await.unwrap().message_id;
    assert_eq!(p.client.acked(&id).await, None);
    p.client.connected(events).await;
    p.client.receipt(&id, "Delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_before_the_ack_leaves_the_message_unsent() {
    let p = linked().await;
    let (events, journal) = (p.client.cursor(), p.sim.cursor());
    p.sim.fault(&p.ann, Fault::DropBeforeAck);
    let sent = p.client.client.send_text(to(&p.bob), "never").await.unwrap();
    p.sim.wait_journal(journal, |e| e.tag == "closed").await.unwrap();
    p.client.connected(events).await;
    p.client.client.send_text(to(&p.bob), "later").await.unwrap();
    p.bob.expect_text("later").await.unwrap();
    assert!(!p.bob.inbox().iter().any(|i| i.is_text("never")), "{}", sent.message_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_may_be_late() {
    let p = linked().await;
    p.sim.fault(&p.ann, Fault::AckDelay(300));
    let start = Instant::now();
    let id = p.client.client.send_text(to(&p.bob), "slow").await.unwrap().message_id;
    assert_eq!(p.client.acked(&id).await, None);
    assert!(start.elapsed().as_millis() >= 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_receipt_does_not_come() {
    let p = linked().await;
    p.sim.fault(&p.ann, Fault::ReceiptDrop);
    let id = p.client.client.send_text(to(&p.bob), "one").await.unwrap().message_id;
    p.bob.expect_text("one").await.unwrap();
    p.bob.read(&id).await.unwrap();
    p.client.receipt(&id, "Read").await;
    let delivered = p.sim.journal().iter().any(|e| {
        e.is_out("receipt") && e.attr("type").is_none() && e.attr("id").as_ref() == Some(&id)
    });
    assert!(!delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_frame_renews_the_connection() {
    let p = linked().await;
    let events = p.client.cursor();
    p.sim.fault(&p.ann, Fault::HalfFrame);
    p.client.connected(events).await;
    p.client.client.send_text(to(&p.bob), "still here").await.unwrap();
    p.bob.expect_text("still here").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unlinked_while_away() {
    let p = linked().await;
    let super::Pair { sim, ann, client, .. } = p;
    let backend = client.stop().await;
    ann.unlink(1).await.unwrap();
    let client = TestClient::start_on(&sim, backend, None).await;
    client.wait(0, "LoggedOut", |e| matches!(e, Event::LoggedOut(_)).then_some(())).await;
    sim.wait_journal(0, |e| e.tag == "login refused" && e.text == "401").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_off_reads_later() {
    let p = linked().await;
    p.bob.offline().await;
    let id = p.client.client.send_text(to(&p.bob), "are you there").await.unwrap().message_id;
    assert_eq!(p.client.acked(&id).await, None);
    assert!(p.bob.send_text(&p.ann, "no").await.is_err());
    assert!(p.bob.inbox().iter().all(|item| item.message().is_none()));
    p.bob.online().await;
    p.bob.expect_text("are you there").await.unwrap();
    p.client.receipt(&id, "Delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_missing() {
    let p = linked().await;
    p.sim.fault(&p.bob, Fault::NoPrekeys);
    p.client.client.send_text(to(&p.bob), "without one-time key").await.unwrap();
    p.bob.expect_text("without one-time key").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_told() {
    let p = linked().await;
    p.sim.fault(&p.ann, Fault::IqError("w:g2".to_owned(), 429));
    assert!(p.client.client.groups().get_participating().await.is_err());
    assert!(p.client.client.groups().get_participating().await.unwrap().is_empty());
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occupied_server_refuses_logins_for_a_while() {
    let p = linked().await;
    let events = p.client.cursor();
    p.sim.fault(ANN, Fault::LoginFailure(503));
    p.sim.drop_connections(ANN);
    p.client.connected(events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_file_arrives() {
    let p = linked().await;
    let files = [
        (File::Video(Some("film".to_owned())), "video/mp4"),
        (File::Audio(true), "audio/ogg; codecs=opus"),
        (File::Document("notes.txt".to_owned()), "text/plain"),
        (File::Sticker, "image/webp"),
    ];
    for (n, (file, mime)) in files.into_iter().enumerate() {
        let bytes = vec![u8::try_from(n).unwrap(); 1000 + n];
        let id = p.bob.send_file(&p.ann, &bytes, mime, file).await.unwrap();
        let message = p
            .client
            .wait(0, mime, |e| e.messages().find(|m| m.info.id == id).map(|m| m.message.clone()))
            .await;
        let client = &p.client.client;
        let m = message.as_ref();
        let got = if let Some(video) = m.video_message.as_option() {
            client.download(video).await
        } else if let Some(audio) = m.audio_message.as_option() {
            client.download(audio).await
        } else if let Some(document) = m.document_message.as_option() {
            client.download(document).await
        } else {
            client.download(m.sticker_message.as_option().unwrap()).await
        };
        assert_eq!(got.unwrap(), bytes, "{mime}");
    }
    p.bob.send_location(&p.ann, 52.5, 13.4, "Berlin").await.unwrap();
    p.bob.send_contact(&p.ann, "Carl", "BEGIN:VCARD\nEND:VCARD").await.unwrap();
    let kind = |e: &Event| e.messages().any(|m| m.message.contact_message.is_set()).then_some(());
    p.client.wait(0, "contact", kind).await;
    p.sim.assert_no_violations();
}
