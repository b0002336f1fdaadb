//! What a send costs, by counts: they are the same on every machine.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use moonwa_simulator::harness::Moonwa;
use moonwa_simulator::{Phone, Simulator};
use serde_json::json;

/// How many are sent to measure one.
const SENDS: u64 = 40;

/// What the store has done since the start.
struct Work {
    syncs: u64,
    /// Bytes given to files and sockets.
    given: u64,
    /// Bytes that the disk is to write, in whole pages.
    written: u64,
}

impl Work {
    async fn of(moonwa: &Moonwa) -> Result<Self> {
        let told = moonwa.admin().get("/metrics").await?.expect(200).text();
        let syncs = told.lines().filter(|line| line.starts_with("moonwa_store_syncs_total{"));
        let syncs = syncs.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        let io = std::fs::read_to_string(format!("/proc/{}/io", moonwa.pid()))?;
        let figure = |name: &str| {
            let line = io.lines().find_map(|line| line.strip_prefix(name));
            anyhow::Ok(line.with_context(|| format!("no {name}"))?.trim().parse()?)
        };
        Ok(Self { syncs, given: figure("wchar:")?, written: figure("write_bytes:")? })
    }

    /// What one send took since `before`.
    fn since(&self, before: &Self, what: &str) -> (u64, u64) {
        let each = |now: u64, then: u64| (now - then).div_ceil(SENDS);
        let (syncs, given) = (each(self.syncs, before.syncs), each(self.given, before.given));
        let written = each(self.written, before.written);
        println!(
            "{what}: at most {syncs} syncs, {given} bytes given, {written} written for a send"
        );
        (syncs, given)
    }
}

async fn linked(sim: &Simulator, ann: &Phone) -> Result<Moonwa> {
    let builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim);
    let moonwa = builder.device("toko", &[]).start().await?;
    moonwa.link("toko", ann).await?;
    Ok(moonwa)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_waits_for_the_disk_as_often_as_its_promises_need() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628777000511", "Ann").await;
    let bob = sim.phone("628777000512", "Bob").await;
    let moonwa = linked(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let delivered = async |id: &str| {
        // Asked again and again, the gateway would be measured answering that.
        ann.expect_confirmed().await?;
        moonwa.wait_status("toko", id, "delivered").await;
        anyhow::Ok(())
    };
    let v1 = async |n: u64| {
        let body = json!({"to": bob.number(), "text": format!("pesan {n}")});
        let reply = key.post("/v1/devices/toko/messages?wait=30s", &body).await?.expect(200);
        let id = reply.json()["id"].as_str().context("an id")?.to_owned();
        delivered(&id).await
    };
    let api = async |n: u64| {
        let body = json!({
            "api_key": moonwa_simulator::harness::api_key("toko"),
            "receiver": bob.number(),
            "data": {"message": format!("pesan {n}")},
        });
        let reply = moonwa.anyone().post("/api/send-message", &body).await?.expect(200);
        let id = reply.json()["data"]["id"].as_str().context("an id")?.to_owned();
        delivered(&id).await
    };
    // The first message makes a session and asks who has that number; the ones after it do not.
    v1(0).await?;

    let (start, cursor) = (Work::of(&moonwa).await?, sim.cursor());
    for n in 0..SENDS {
        v1(n).await?;
    }
    let waited = Work::of(&moonwa).await?;
    // What its receivers may ask for, that WhatsApp has it, and that they have it; now and then a longer lease of their keys.
    let (syncs, given) = waited.since(&start, "/v1 with ?wait");
    assert!(syncs <= 4 && given < 10_000, "{syncs} syncs, {given} bytes");

    for n in 0..SENDS {
        api(n).await?;
    }
    let (syncs, given) = Work::of(&moonwa).await?.since(&waited, "/api/send-message");
    assert!(syncs <= 4 && given < 10_000, "{syncs} syncs, {given} bytes");
    let journal = sim.journal();
    let mut since = journal.iter().filter(|entry| entry.seq > cursor);
    assert!(!since.any(|entry| bob.is_asked_about(entry)), "the number is known");

    let before = Work::of(&moonwa).await?;
    try_join_all((0..8).map(async |caller| {
        for n in (caller..SENDS).step_by(8) {
            v1(n).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    let (syncs, given) = Work::of(&moonwa).await?.since(&before, "eight callers");
    assert!(syncs <= 4 && given < 10_000, "{syncs} syncs, {given} bytes");
    moonwa.stop().await?;
    Ok(())
}
