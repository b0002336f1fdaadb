//! Calls that are rejected, as moonwa.toml wants it: on the wire, in the webhook, and what the caller reads.

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver, eventually};
use moonwa_simulator::{Entry, Phone, Simulator};
use serde_json::{Value, json};

const TEXT: &str = "Maaf, nomor ini hanya untuk pesan.";

async fn rejected(sim: &Simulator, call: &str) -> Result<Entry> {
    let named = |entry: &Entry| entry.is_in("call") && entry.text.contains(call);
    sim.wait_journal(0, named).await
}

fn told(phone: &Phone) -> usize {
    phone.inbox().iter().filter(|item| item.is_text(TEXT)).count()
}

#[tokio::test]
async fn a_call_is_rejected_once_and_the_caller_is_told_once_in_an_hour() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, eve) = (
        sim.phone("628111002401", "Ann").await,
        sim.phone("628111002402", "Bob").await,
        sim.phone("628111002403", "Eve").await,
    );
    let hook = WebhookReceiver::start().await?;
    let lines = format!(
        "\n[device.toko]\napi_key = \"key-of-toko-0123456789abcdef\"\ncalls = \"ring\"\n\
         webhooks = [{{ url = {:?}, events = [\"call.*\", \"message.received\"] }}]\n",
        hook.url(),
    );
    let mut moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    let offer = async |call: &str| {
        hook.expect("the call", |post| post.json()["data"]["id"] == call).await.json()
    };

    // Calls ring until the file says otherwise; the change is live.
    let rings = bob.call(ann.number(), false).await?;
    assert!(offer(&rings).await["data"].get("rejected").is_none());
    moonwa.edit_config(|text| {
        text.replace("calls = \"ring\"", &format!("calls = {{ text = {TEXT:?} }}"))
    })?;
    // What the file says is shown a moment before it is in force; the report comes after that.
    let report = async || moonwa.admin().get("/v1/config").await.map(|reply| reply.json());
    let live = |report: &Result<Value>| {
        let seen = |report: &Value| report["trigger"] == "file" && report["outcome"] == "applied";
        report.as_ref().is_ok_and(seen)
    };
    eventually("the new file", report, live).await?;

    let first = bob.call(ann.number(), true).await?;
    let stanza = rejected(&sim, &first).await?;
    assert!(stanza.text.contains("<reject") && stanza.text.contains("call-creator="), "{stanza:?}");
    let event = offer(&first).await;
    assert_eq!(
        (&event["data"]["rejected"], &event["data"]["phone"]),
        (&json!(true), &json!(bob.number()))
    );
    bob.expect_text(TEXT).await?;

    // Again, and after a restart: rejected, but told only once. Somebody else is told, too.
    let ended = async |call: &str| {
        let of = |post: &moonwa_simulator::harness::Delivery| {
            let json = post.json();
            json["type"] == "call.ended" && json["data"]["id"] == call
        };
        hook.expect("the end of the call", of).await.json()["data"]["outcome"].clone()
    };
    bob.hang_up(ann.number(), &rings, Some("accepted_elsewhere")).await?;
    assert_eq!(ended(&rings).await, "answered");
    bob.hang_up(ann.number(), &first, None).await?;
    assert_eq!(ended(&first).await, "rejected");
    let missed = "8F0ABC";
    eve.hang_up(ann.number(), missed, Some("timeout")).await?;
    assert_eq!(ended(missed).await, "missed");
    let second = bob.call(ann.number(), false).await?;
    rejected(&sim, &second).await?;
    moonwa.restart().await?;
    moonwa.wait_state("toko", "connected").await;
    let third = bob.call(ann.number(), false).await?;
    rejected(&sim, &third).await?;
    let other = eve.call(ann.number(), false).await?;
    rejected(&sim, &other).await?;
    eve.expect_text(TEXT).await?;
    assert_eq!((told(&bob), told(&eve)), (1, 1));
    for call in [&first, &second, &third, &other] {
        let entries = sim.journal();
        let count = entries
            .iter()
            .filter(|entry| entry.is_in("call") && entry.text.contains(call.as_str()));
        assert_eq!(count.count(), 1, "{call}");
    }
    let journal = sim.journal();
    assert!(!journal.iter().any(|entry| entry.is_in("call") && entry.text.contains(&rings)));
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
