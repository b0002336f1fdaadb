//! An album under trouble: what announces it and every file arrive, in order, each under the id that its caller was told.

use anyhow::{Context, Result};
use hyper::Method;
use moonwa_simulator::Fault;
use moonwa_simulator::harness::{Moonwa, eventually_within};
use serde_json::{Value, json};

use super::trouble::hurry;
use super::{Cast, PATIENCE};

const FILES: usize = 4;
const PNG: &str = "iVBORw0KGgpwaWN0dXJl";

async fn post(moonwa: &Moonwa, to: &str, round: &str) -> Result<Vec<String>> {
    let picture = |n| json!({ "image": { "base64": PNG, "caption": format!("{round} {n}") } });
    let album: Vec<Value> = (0..FILES).map(picture).collect();
    let body = json!({ "to": to, "album": album }).to_string();
    let key = moonwa.key_of("toko");
    let request = key
        .request(Method::POST, "/v1/devices/toko/messages")
        .header("content-type", "application/json")
        .header("idempotency-key", round);
    let answer = key.send(request.body(body.into())?).await?.expect(202).json();
    let ids = std::iter::once(&answer["id"]).chain(answer["files"].as_array().context("files")?);
    ids.map(|id| Ok(id.as_str().context("an id")?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_album_arrives_whole_in_order_and_once() -> Result<()> {
    let cast = Cast::new().await?;
    let mut moonwa = cast.gateway().await?;
    let (ann, bob) = (&cast.ann, &cast.friends[0]);
    let troubles = [Some(Fault::DropBeforeAck), Some(Fault::DropAfterRelay), None];
    for (round, trouble) in troubles.into_iter().enumerate() {
        let (name, killed) = (format!("album-{round}"), trouble.is_none());
        let before = cast.sim.cursor();
        if let Some(fault) = trouble {
            cast.sim.fault_times(ann, fault, 2);
        }
        let ids = post(&moonwa, bob.number(), &name).await?;
        assert_eq!(ids.len(), FILES + 1);
        if killed {
            // Somewhere between the first and the last of them.
            let begun = |entry: &moonwa_simulator::Entry| entry.tag == "upload";
            cast.sim.wait_journal(before, begun).await?;
            moonwa.kill().await?;
            moonwa.relaunch().await?;
        }
        let arrived = async || {
            hurry(&moonwa).await;
            let inbox = bob.inbox();
            let messages = inbox.iter().filter_map(|item| item.message());
            messages.map(|m| m.id.clone()).filter(|id| ids.contains(id)).collect::<Vec<_>>()
        };
        let whole = |seen: &Vec<String>| seen.len() >= ids.len();
        let seen = eventually_within(PATIENCE, &name, arrived, whole).await;
        assert_eq!(seen, ids, "{name}: in order, each once");
        for id in &ids {
            moonwa.wait_status("toko", id, "delivered").await;
        }
        assert_eq!(post(&moonwa, bob.number(), &name).await?, ids, "asked for again");
        cast.sim.clear_faults();
        moonwa.wait_state("toko", "connected").await;
    }
    let sent = bob.inbox().iter().filter_map(|item| item.message()).count();
    assert_eq!(sent, 3 * (FILES + 1), "nothing came under another id");
    moonwa.stop().await?;
    cast.sim.assert_no_violations();
    Ok(())
}
