//! The engine (the WhatsApp library the gateway is built on) against the simulator: what the
//! gateway relies on, without the gateway.

mod client;
mod control;
mod faults;
mod more;
mod outage;

use client::TestClient;
use moonwa as _;
use moonwa_simulator::{Phone, Simulator};
use wa_rs::Jid;
use wa_rs::wacore::types::events::Event;

const ANN: &str = "4915550000001";
const BOB: &str = "4915550000002";

struct Pair {
    sim: Simulator,
    ann: Phone,
    bob: Phone,
    client: TestClient,
}

/// Ann's companion, linked by QR, and Bob's phone.
async fn linked() -> Pair {
    let sim = Simulator::start().await.unwrap();
    let ann = sim.phone(ANN, "Ann").await;
    let bob = sim.phone(BOB, "Bob").await;
    let client = TestClient::start(&sim).await;
    ann.scan(&client.qr().await).await.unwrap();
    client.connected(0).await;
    Pair { sim, ann, bob, client }
}

fn to(phone: &Phone) -> Jid {
    phone.jid().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn qr_pairs_and_logs_in() {
    let p = linked().await;
    let devices = p.ann.devices();
    assert_eq!(devices.len(), 1, "{devices:?}");
    assert!(devices.iter().all(|d| d.connected && d.platform.contains("CHROME")), "{devices:?}");
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn text_goes_both_ways_with_receipts() {
    let p = linked().await;
    let id = p.client.client.send_text(to(&p.bob), "hello Bob").await.unwrap().message_id;
    assert_eq!(p.client.acked(&id).await, None);
    let got = p.bob.expect_text("hello Bob").await.unwrap();
    assert_eq!((got.from.as_str(), got.chat.as_str(), got.from_me), (ANN, ANN, false));
    p.client.receipt(&id, "Delivered").await;
    p.bob.read(&id).await.unwrap();
    p.client.receipt(&id, "Read").await;
    let copy = p.ann.expect_text("hello Bob").await.unwrap();
    assert_eq!((copy.chat.as_str(), copy.from_me), (BOB, true));

    let id = p.bob.send_text(&p.ann, "hello Ann").await.unwrap();
    assert_eq!(p.client.text("hello Ann").await, (id.clone(), false));
    p.bob.wait_inbox(0, |i| i.is_receipt("delivered", &id)).await.unwrap();

    p.ann.send_text(&p.bob, "from the phone").await.unwrap();
    assert!(p.client.text("from the phone").await.1, "the phone's own message is from me");
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_comes_back_with_ik_and_the_offline_queue() {
    let p = linked().await;
    let (events, journal) = (p.client.cursor(), p.sim.cursor());
    p.sim.refuse_connections(true);
    p.sim.drop_connections(ANN);
    p.sim.wait_journal(journal, |e| e.tag == "closed").await.unwrap();
    for n in 0..20 {
        p.bob.send_text(&p.ann, &format!("queued {n}")).await.unwrap();
    }
    p.sim.refuse_connections(false);
    p.sim.wait_journal(journal, |e| e.tag == "handshake" && e.text == "IK").await.unwrap();
    p.client.connected(events).await;
    for n in 0..20 {
        p.client.text(&format!("queued {n}")).await;
    }
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_the_store_needs_no_pairing() {
    let p = linked().await;
    let Pair { sim, bob, ann, client } = p;
    let backend = client.stop().await;
    bob.send_text(&ann, "while you slept").await.unwrap();
    let client = TestClient::start_on(&sim, backend, None).await;
    client.connected(0).await;
    client.text("while you slept").await;
    sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn unlinking_logs_the_companion_out() {
    let p = linked().await;
    p.ann.unlink(1).await.unwrap();
    p.client.wait(0, "LoggedOut", |e| matches!(e, Event::LoggedOut(_)).then_some(())).await;
    assert!(p.ann.devices().is_empty());
}
