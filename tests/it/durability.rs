//! Nothing is acknowledged to WhatsApp before it is on disk, and what was not acknowledged comes again under the same
//! id: the real binary, held and killed at the worst moments.

use std::fs;

use anyhow::Result;
use futures_util::FutureExt as _;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually};
use moonwa_simulator::{Direction, Simulator};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// Whether the gateway confirmed that message to WhatsApp, by an ack or a receipt, after `cursor`.
fn confirmed(sim: &Simulator, cursor: u64, id: &str) -> bool {
    sim.journal().iter().any(|entry| {
        entry.seq > cursor
            && entry.direction == Direction::In
            && matches!(entry.tag.as_str(), "ack" | "receipt")
            && entry.ids().iter().any(|confirmed| confirmed == id)
    })
}

#[tokio::test]
async fn no_ack_before_the_event_is_on_disk() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628333000111", "Ann").await, sim.phone("628333000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let dir = tempfile::tempdir()?;
    let hold = dir.path().join("hold");
    let moonwa = gateway(&sim)
        .env("MOONWA_HOLD_COMMIT", hold.to_string_lossy())
        .device("toko", &[hook.url()])
        .device("other", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    // Nothing is written to WhatsApp while anything it told is not on disk; so Bob must be known for who he is before.
    bob.send_text(&ann, "warm up").await?;
    hook.expect_text("warm up").await;
    let events = async || {
        let page = moonwa.admin().get("/v1/devices/toko/events").await.expect("an answer");
        page.expect(200).text()
    };
    eventually("Bob's two addresses", events, |page| page.contains("identity.resolved")).await;
    hook.forget();

    fs::write(&hold, "")?;
    let cursor = sim.cursor();
    let id = bob.send_text(&ann, "held").await?;
    sim.wait_journal(cursor, |entry| {
        entry.is_out("message") && entry.attr("id").as_deref() == Some(id.as_str())
    })
    .await?;
    // It is about to be written. Until that is done WhatsApp hears nothing at all, whatever else there is to say.
    let is_held = async || hold.with_extension("held").exists();
    eventually("the write is held", is_held, |held| *held).await;
    let (asking, question) =
        (moonwa.admin(), format!("/v1/devices/toko/contacts/{}", bob.number()));
    let mut asked = Box::pin(asking.get(&question));
    assert!(asked.as_mut().now_or_never().is_none());
    assert!(!confirmed(&sim, cursor, &id), "acknowledged before it was stored");
    assert!(hook.deliveries().is_empty(), "delivered before it was stored");

    fs::remove_file(&hold)?;
    hook.expect_text("held").await;
    sim.wait_journal(cursor, |entry| {
        (entry.is_in("ack") || entry.is_in("receipt")) && entry.ids().contains(&id)
    })
    .await?;
    assert_eq!(asked.await?.expect(200).json()["on_whatsapp"], true);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn killed_between_commit_and_ack_the_message_comes_again_under_the_same_id() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628333000113", "Ann").await, sim.phone("628333000114", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "warm up").await?;
    hook.expect_text("warm up").await;

    // The next message aborts the process right after its fsync, before the ack can leave.
    moonwa.kill().await?;
    moonwa.set_env("MOONWA_FAILPOINT", Some("append.synced"));
    let cursor = sim.cursor();
    let id = bob.send_text(&ann, "stored, not acked").await?;
    // It may die before it has told that it is ready.
    match moonwa.relaunch().await {
        Ok(()) => drop(moonwa.wait_exit().await?),
        Err(ended) => assert!(format!("{ended:#}").contains("SIGABRT"), "{ended:#}"),
    }
    assert!(!confirmed(&sim, cursor, &id), "the failpoint is before the ack");

    moonwa.set_env("MOONWA_FAILPOINT", None);
    moonwa.relaunch().await?;
    let post = hook.expect_text("stored, not acked").await;
    sim.wait_journal(cursor, |entry| {
        (entry.is_in("ack") || entry.is_in("receipt")) && entry.ids().contains(&id)
    })
    .await?;
    bob.send_text(&ann, "and on").await?;
    hook.expect_text("and on").await;
    let ids: Vec<String> = hook
        .deliveries()
        .iter()
        .filter(|post| post.text() == "stored, not acked")
        .map(moonwa_simulator::harness::Delivery::id)
        .collect();
    assert!(ids.iter().all(|known| *known == post.id()), "the same webhook-id: {ids:?}");
    assert_eq!(hook.taken_texts().iter().filter(|text| *text == "stored, not acked").count(), 1);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_promised_send_survives_kill_nine() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628333000115", "Ann").await, sim.phone("628333000116", "Bob").await);
    let mut moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    moonwa.wait_state("toko", "reconnecting").await;
    let id = moonwa.send_text("toko", bob.number(), "promised").await?;
    moonwa.kill().await?;
    sim.refuse_connections(false);
    moonwa.relaunch().await?;
    assert_eq!(
        bob.expect_text("promised").await?.id,
        id,
        "sent after the crash, under the id that was promised"
    );
    moonwa.wait_status("toko", &id, "delivered").await;
    moonwa.stop().await?;
    Ok(())
}
