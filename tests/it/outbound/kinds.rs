//! Whatever kind of message it is: the server takes it and goes down, and it arrives all the same.

use anyhow::{Context, Result};
use hyper::Method;
use moonwa_simulator::Fault;
use moonwa_simulator::harness::eventually_within;
use serde_json::{Value, json};

use super::trouble::hurry;
use super::{Cast, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_goes_again_when_the_server_forgets_it() -> Result<()> {
    let cast = Cast::new().await?;
    let moonwa = cast.gateway().await?;
    let (ann, bob) = (&cast.ann, &cast.friends[0]);
    let first = moonwa.send_text("toko", bob.number(), "first").await?;
    moonwa.wait_status("toko", &first, "delivered").await;
    let heard = bob.send_text(ann, "heard").await?;
    ann.expect_confirmed().await?;

    let messages = "/v1/devices/toko/messages";
    let own = format!("{messages}/{first}");
    let to = bob.number();
    let key = moonwa.key_of("toko");
    let kinds = [
        (Method::POST, messages, json!({"to": to, "reaction": {"message": first, "emoji": "👍"}})),
        (
            Method::POST,
            messages,
            json!({"to": to, "poll": {"question": "When?", "options": ["now", "later"]}}),
        ),
        (
            Method::POST,
            messages,
            json!({"to": to, "location": {"latitude": -6.2, "longitude": 106.8}}),
        ),
        (
            Method::POST,
            messages,
            json!({"to": to, "document": {"base64": "bm90YQ==", "filename": "nota.txt"}}),
        ),
        (Method::PATCH, own.as_str(), json!({"text": "first, corrected"})),
        (Method::DELETE, own.as_str(), Value::Null),
    ];
    for (method, path, body) in kinds {
        cast.sim.fault(ann, Fault::DropBeforeAck);
        let cursor = cast.sim.cursor();
        let what = format!("{method} {body}");
        let request = key
            .request(method, path)
            .header("content-type", "application/json")
            .body(body.to_string().into())?;
        let id =
            key.send(request).await?.expect(202).json()["id"].as_str().context("an id")?.to_owned();
        let arrived = async || {
            hurry(&moonwa).await;
            bob.inbox().iter().any(|item| item.message().is_some_and(|message| message.id == id))
        };
        eventually_within(PATIENCE, &what, arrived, |arrived| *arrived).await;
        moonwa.wait_status("toko", &id, "delivered").await;
        let lost = |entry: &moonwa_simulator::Entry| {
            entry.seq > cursor && entry.is_in("message") && entry.attr("id").as_ref() == Some(&id)
        };
        let times = cast.sim.journal().iter().filter(|entry| lost(entry)).count();
        assert_eq!(times, 2, "{what}: lost once, then taken");
        moonwa.wait_state("toko", "connected").await;
    }

    // That something was read is a receipt, which the server forgets as well.
    cast.sim.fault(ann, Fault::CloseAfter(0));
    key.post(&format!("{messages}/{heard}/read"), &Value::Null).await?.expect(204);
    let read = async || {
        hurry(&moonwa).await;
        bob.inbox().iter().any(|item| item.is_receipt("read", &heard))
    };
    eventually_within(PATIENCE, "the read receipt", read, |read| *read).await;
    moonwa.stop().await?;
    cast.sim.assert_no_violations();
    Ok(())
}
