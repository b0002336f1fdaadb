//! Messages that are made to hurt: what nobody writes by hand is cut off where it comes in, and said to be.

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use moonwa_simulator::{Simulator, wa};
use serde_json::Value;

const LONGEST: usize = 65_536;

fn characters(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_cut_off_and_pages_end_by_bytes() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555800101", "Ann").await, sim.phone("628555800102", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "short").await?;
    let short = hook.expect_text("short").await.json();
    assert!(short["data"].get("truncated").is_none(), "{short}");
    // The end of what is kept must not fall into a character.
    let long = format!("a{}", "é".repeat(1 << 19));
    for _ in 0..20 {
        bob.send_text(&ann, &long).await?;
    }
    let cards = wa::message::ContactsArrayMessage {
        contacts: (0..40)
            .map(|_| wa::message::ContactMessage {
                vcard: Some(format!("BEGIN:VCARD{}", "x".repeat(20_000))),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let cards = wa::Message { contacts_array_message: Some(cards).into(), ..Default::default() };
    bob.send(&ann, cards).await?;
    let cut = |kind: &'static str| {
        move |delivery: &moonwa_simulator::harness::Delivery| {
            let body = delivery.json();
            body["data"]["kind"] == kind && body["data"]["truncated"] == true
        }
    };
    let text = hook.expect("a long text", cut("text")).await.json();
    assert_eq!(characters(&text["data"]["text"]), LONGEST);
    let cards = hook.expect("many cards", cut("contact")).await.json();
    let cards = cards["data"]["details"]["contacts"].as_array().context("cards")?;
    let all: usize = cards.iter().map(|card| characters(&card["vcard"])).sum();
    assert!((3 * LONGEST..=4 * LONGEST).contains(&all), "{all}");

    let (mut after, mut pages, mut seen) = (0, 0, 0);
    loop {
        let path = format!("/v1/devices/toko/events?after={after}");
        let reply = moonwa.admin().get(&path).await?.expect(200);
        assert!(reply.body.len() < 3 << 19, "{} bytes in a page", reply.body.len());
        let page = reply.json();
        let events = page["events"].as_array().context("events")?;
        pages += 1;
        seen += events.iter().filter(|event| event["type"] == "message.received").count();
        let Some(next) = page["next"].as_u64() else { break };
        after = next;
    }
    assert_eq!(seen, 22, "every one of them, once");
    assert!(pages > 2, "{pages} pages");
    moonwa.stop().await?;
    Ok(())
}
