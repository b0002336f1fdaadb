//! What Prometheus is told of devices, webhooks and the store.

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_moonwa");

async fn metrics(moonwa: &Moonwa) -> String {
    moonwa.admin().get("/metrics").await.map(|reply| reply.text()).unwrap_or_default()
}

/// The value of a metric, by its name and labels.
fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_told_how_devices_webhooks_and_the_store_are() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000151", "Ann").await, sim.phone("628111000152", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(BINARY)
        .whatsapp(&sim)
        .device("toko", &[hook.url()])
        .device("gudang", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "halo").await?;
    hook.expect_text("halo").await;
    let webhook = "{device=\"toko\",n=\"1\",host=\"127.0.0.1\"";
    let delivered = format!("moonwa_webhook_deliveries_total{webhook},class=\"delivered\"}}");
    let backlog = format!("moonwa_webhook_backlog{webhook}}}");
    // What a webhook reports comes a moment after its delivery.
    let told = eventually(
        "a delivery",
        || metrics(&moonwa),
        |told| (value(told, &delivered), value(told, &backlog)) == (Some(1.0), Some(0.0)),
    )
    .await;
    for (name, wanted) in [
        ("moonwa_device_state{device=\"toko\",state=\"connected\"}", 1.0),
        ("moonwa_device_state{device=\"gudang\",state=\"pending\"}", 1.0),
        ("moonwa_device_connected{device=\"toko\"}", 1.0),
        ("moonwa_device_connected{device=\"gudang\"}", 0.0),
        ("moonwa_send_queue{device=\"toko\"}", 0.0),
        (format!("moonwa_webhook_failing{webhook}}}").as_str(), 0.0),
        (format!("moonwa_webhook_attempt_seconds_bucket{webhook},le=\"+Inf\"}}").as_str(), 1.0),
    ] {
        assert_eq!(value(&told, name), Some(wanted), "{name} in:\n{told}");
    }
    let age = value(&told, "moonwa_device_proof_age_seconds{device=\"toko\"}");
    assert!(age.is_some_and(|age| (0.0..60.0).contains(&age)), "{age:?}");
    assert_eq!(value(&told, "moonwa_device_proof_age_seconds{device=\"gudang\"}"), None);
    for bytes in ["moonwa_store_bytes", "moonwa_disk_free_bytes"] {
        assert!(value(&told, bytes) > Some(100_000.0), "{bytes} in:\n{told}");
    }
    let summary =
        told.lines().find(|line| line.contains("quantile=") && line.starts_with("moonwa_"));
    assert_eq!(summary, None);

    // What waits is what the webhook will get: no other event of the log is.
    hook.otherwise(Some(Answer::status(503)));
    bob.send_text(&ann, "satu").await?;
    bob.send_text(&ann, "dua").await?;
    moonwa.send_text("toko", bob.number(), "tiga").await?;
    bob.expect_text("tiga").await?;
    let failing = format!("moonwa_webhook_failing{webhook}}}");
    eventually(
        "two that wait",
        || metrics(&moonwa),
        |told| (value(told, &backlog), value(told, &failing)) == (Some(2.0), Some(1.0)),
    )
    .await;

    // Nothing stays of what is gone.
    moonwa.edit_config(|text| text.replace(&hook.url(), "http://127.0.0.2:9/other"))?;
    eventually(
        "no old host",
        || metrics(&moonwa),
        |told| value(told, &backlog).is_none() && told.contains("n=\"1\",host=\"127.0.0.2\"}"),
    )
    .await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_keeps_up_gets_events_from_memory_and_one_that_is_behind_from_the_log()
-> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000153", "Ann").await, sim.phone("628111000154", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(BINARY)
        .whatsapp(&sim)
        .env("MOONWA_RETRY_SCALE", "0.001")
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let reads = || async { value(&metrics(&moonwa).await, "moonwa_event_log_reads_total") };
    for n in 0..20 {
        bob.send_text(&ann, &format!("prompt {n}")).await?;
        hook.expect_text(&format!("prompt {n}")).await;
    }
    assert_eq!(reads().await, None, "an event was read back from the log");

    let webhook = "/v1/devices/toko/webhooks/1";
    moonwa.admin().post(&format!("{webhook}/pause"), &Value::Null).await?.expect(200);
    for n in 0..100 {
        bob.send_text(&ann, &format!("late {n}")).await?;
    }
    ann.expect_confirmed().await?;
    moonwa.admin().post(&format!("{webhook}/resume"), &Value::Null).await?.expect(200);
    hook.expect_text("late 99").await;
    assert!(reads().await > Some(0.0), "more was in memory than is said");
    let texts = hook.taken_texts();
    let sent = (0..20).map(|n| format!("prompt {n}"));
    let sent: Vec<String> = sent.chain((0..100).map(|n| format!("late {n}"))).collect();
    assert_eq!(texts, sent);
    moonwa.stop().await?;
    Ok(())
}
