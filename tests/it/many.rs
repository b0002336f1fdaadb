//! WhatsApp's own great numbers: as many messages as it keeps for a device that is away, and as many members as a group can have.

use std::time::Duration;

use anyhow::{Context as _, Result};
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually_within};
use moonwa_simulator::{Entry, Phone, Simulator};

/// Much at once takes its time beside other tests.
const LONG: Duration = Duration::from_mins(5);

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_that_waited_are_delivered_in_their_order() -> Result<()> {
    const WAITING: usize = 10_000;
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000941", "Ann").await, sim.phone("628111000942", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    sim.record(false);
    moonwa.kill().await?;
    // The phone is away too: only the device's queue counts here.
    ann.offline().await;
    let texts: Vec<String> = (0..WAITING).map(|n| format!("pesanan {n}")).collect();
    for text in &texts {
        bob.send_text(&ann, text).await?;
    }

    moonwa.relaunch().await?;
    let count = || async { hook.count() };
    eventually_within(LONG, "all of them", count, |count| *count >= WAITING).await;
    hook.expect_text(&format!("pesanan {}", WAITING - 1)).await;
    assert!(hook.taken_texts() == texts, "lost, repeated or out of order");
    let waiting = || async { ann.devices().first().map(|device| device.unconfirmed) };
    eventually_within(LONG, "all confirmed", waiting, |waiting| *waiting == Some(0)).await;
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_1024_gets_a_message() -> Result<()> {
    const MEMBERS: usize = 1024;
    let sim = Simulator::start().await?;
    let mut phones = Vec::new();
    for n in 0..MEMBERS {
        phones.push(sim.phone(&format!("6281120{n:05}"), &format!("Anggota {n}")).await);
    }
    let ann = phones.first().context("nobody")?.clone();
    let group = sim.group("Warga", &phones.iter().collect::<Vec<_>>()).await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;

    for text in ["halo, semua", "sampai besok"] {
        let id = moonwa.send_text("toko", &group.jid(), text).await?;
        let everywhere = || async { phones.iter().filter(|phone| has(phone, &id)).count() };
        eventually_within(LONG, "all have it", everywhere, |count| *count == MEMBERS).await;
        moonwa.wait_status("toko", &id, "delivered").await;
    }
    // The keys went out with the first, to every phone; with the second only to the account's own, which always gets them.
    let journal = sim.journal();
    let sent = |entry: &&Entry| entry.is_in("message") && entry.attr("to") == Some(group.jid());
    let keys = journal.iter().filter(sent).map(|entry| entry.text.matches("<to ").count());
    assert_eq!(keys.collect::<Vec<_>>(), [MEMBERS, 1]);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

fn has(phone: &Phone, id: &str) -> bool {
    phone.inbox().iter().any(|item| item.message().is_some_and(|message| message.id == id))
}
