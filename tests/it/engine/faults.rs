//! What happens when something goes wrong: faults of the simulator and how the engine takes them.

use moonwa_simulator::{Fault, ItemKind, PhoneOptions, Simulator, Target};
use wa_rs::wacore::types::events::Event;

use super::client::TestClient;
use super::{ANN, linked, to};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_told() {
    let p = linked().await;
    p.sim.fault(&p.ann, Fault::Nack(463));
    let id = p.client.client.send_text(to(&p.bob), "no").await.unwrap().message_id;
    assert_eq!(p.client.acked(&id).await.as_deref(), Some("463"));
    assert!(p.bob.inbox().iter().all(|item| item.message().is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn held_acks_come_when_released() {
    let p = linked().await;
    p.sim.fault(&p.ann, Fault::AckHold);
    let id = p.client.client.send_text(to(&p.bob), "wait").await.unwrap().message_id;
    p.bob.expect_text("wait").await.unwrap();
    p.client.receipt(&id, "Delivered").await;
    assert_eq!(p.sim.release_acks(ANN), 1);
    assert_eq!(p.client.acked(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecryptable_message_comes_again() {
    let p = linked().await;
    p.sim.fault(&p.ann, Fault::Undecryptable);
    let id = p.bob.send_text(&p.ann, "garbled").await.unwrap();
    let retry = p.bob.expect_receipt("retry", &id).await.unwrap();
    assert!(matches!(retry.kind, ItemKind::Receipt { device: 1, .. }), "{retry:?}");
    assert_eq!(p.client.text("garbled").await.0, id);
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_asks_again_for_what_it_cannot_read() {
    let p = linked().await;
    p.sim.fault(&p.bob, Fault::Undecryptable);
    p.client.client.send_text(to(&p.bob), "once more").await.unwrap();
    p.bob.expect_text("once more").await.unwrap();
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_shown_once() {
    let p = linked().await;
    let journal = p.sim.cursor();
    p.sim.fault(&p.ann, Fault::Duplicate);
    let id = p.bob.send_text(&p.ann, "twice").await.unwrap();
    p.client.text("twice").await;
    // The second copy is confirmed too, and only then it is known that it was not shown.
    let first = confirmation(&p.sim, journal, &id).await;
    confirmation(&p.sim, first, &id).await;
    assert_eq!(p.client.times("twice"), 1);
}

async fn confirmation(sim: &Simulator, after: u64, id: &str) -> u64 {
    let fits = |e: &moonwa_simulator::Entry| {
        (e.is_in("receipt") || e.is_in("ack")) && e.attr("id").as_deref() == Some(id)
    };
    sim.wait_journal(after, fits).await.unwrap().seq
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_errors_end_or_renew_the_connection() {
    let p = linked().await;
    for fault in [Fault::StreamError(515), Fault::StreamError(503), Fault::StreamEnd] {
        let events = p.client.cursor();
        p.sim.fault(&p.ann, fault);
        p.client.connected(events).await;
    }
    p.sim.fault(&p.ann, Fault::Replaced);
    let replaced = |e: &Event| matches!(e, Event::StreamReplaced(_)).then_some(());
    p.client.wait(0, "StreamReplaced", replaced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_told() {
    let p = linked().await;
    p.sim.fault(&p.ann, Fault::LoginFailure(405));
    p.sim.drop_connections(ANN);
    let outdated = |e: &Event| matches!(e, Event::ClientOutdated(_)).then_some(());
    p.client.wait(0, "ClientOutdated", outdated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_ik_falls_back() {
    let p = linked().await;
    let (events, journal) = (p.client.cursor(), p.sim.cursor());
    p.sim.fault(Target::Any, Fault::IkReject);
    p.sim.drop_connections(ANN);
    let fallback = p.sim.wait_journal(journal, |e| e.tag == "handshake").await.unwrap();
    assert_eq!(fallback.text, "XXfallback");
    p.client.connected(events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_pairing_is_refused() {
    let sim = Simulator::start().await.unwrap();
    let ann = sim.phone(ANN, "Ann").await;
    for (fault, why) in [(Fault::BadHmac, "hmac"), (Fault::BadSignature, "signature")] {
        sim.fault(&ann, fault);
        let client = TestClient::start(&sim).await;
        let error = ann.scan(&client.qr().await).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error:#}");
        assert!(ann.devices().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmigrated_account_is_addressed_by_number() {
    let sim = Simulator::start().await.unwrap();
    let old = PhoneOptions { migrated: false, ..Default::default() };
    let ann = sim.phone_with(ANN, "Ann", old);
    let bob = sim.phone_with(super::BOB, "Bob", old);
    let client = TestClient::start(&sim).await;
    ann.scan(&client.qr().await).await.unwrap();
    client.connected(0).await;
    client.client.send_text(to(&bob), "by number").await.unwrap();
    bob.expect_text("by number").await.unwrap();
    bob.send_text(&ann, "back").await.unwrap();
    client.text("back").await;
    sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_run_out_and_are_renewed() {
    let sim = Simulator::start().await.unwrap();
    let ann = sim.phone(ANN, "Ann").await;
    let client = TestClient::start(&sim).await;
    let stale = client.qr().await;
    let events = client.cursor();
    sim.refresh_pairing();
    let fresh = client
        .wait(events, "another QR code", |e| match e {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await;
    assert_ne!(stale, fresh);
    sim.expire_qr();
    let exhausted = |e: &Event| matches!(e, Event::PairingQrCodesExhausted(_)).then_some(());
    client.wait(events, "PairingQrCodesExhausted", exhausted).await;
    let error = ann.scan(&fresh).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_phone_of_a_contact_is_noticed() {
    let p = linked().await;
    p.client.client.send_text(to(&p.bob), "before").await.unwrap();
    p.bob.expect_text("before").await.unwrap();
    p.bob.reinstall().await.unwrap();
    p.ann.expect_confirmed().await.unwrap();
    p.client.client.send_text(to(&p.bob), "after").await.unwrap();
    p.bob.expect_text("after").await.unwrap();
    p.bob.send_text(&p.ann, "it is me").await.unwrap();
    p.client.text("it is me").await;
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_fail_in_all_ways() {
    let p = linked().await;
    let picture = vec![7; 5_000];
    p.bob.send_image(&p.ann, &picture, Some("x")).await.unwrap();
    let image = p
        .client
        .wait(0, "image", |e| {
            e.messages().find_map(|m| m.message.image_message.as_option().cloned())
        })
        .await;
    // The engine tries other hosts and a fresh token, so a fault has to outlast that.
    for fault in [
        Fault::DownloadStatus(410),
        Fault::DownloadStatus(500),
        Fault::DownloadTruncated,
        Fault::DownloadCorrupt,
    ] {
        p.sim.fault_times(Target::Any, fault.clone(), 20);
        let result = p.client.client.download(&image).await;
        assert!(result.is_err(), "{fault:?}");
        p.sim.clear_faults();
    }
    assert_eq!(p.client.client.download(&image).await.unwrap(), picture);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_media_token_is_renewed() {
    let p = linked().await;
    p.sim.fault(Target::Any, Fault::UploadStatus(401));
    let options = wa_rs::upload::UploadOptions::default();
    let kind = wa_rs::download::MediaType::Document;
    p.client.client.upload(vec![1; 100], kind, options).await.unwrap();
}
