//! What the log never holds, at no level: each secret is a canary that is looked for in all that was written.

use anyhow::{Context, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use serde_json::Value;

const DEVICE: &str = "toko";
const NAME: &str = "Kenari Nama Pengirim";
const WORD_IN: &str = "kenari-pesan-masuk";
const WORD_OUT: &str = "kenari-pesan-keluar";
const TOKEN: &str = "kenari-token-webhook";

/// Links a device, lets a message in and one out, and returns the log with the QR code's reference.
async fn busy_day(rust_log: &str, unsafe_dependencies: bool) -> Result<(String, String)> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628555600121", "Kenari Nama Pemilik").await;
    let bob = sim.phone("628555600122", NAME).await;
    let hook = WebhookReceiver::start().await?;
    let log = format!("\n[log]\nunsafe_dependencies = {unsafe_dependencies}\n");
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .env("RUST_LOG", rust_log)
        .config(&log)
        .device(DEVICE, &[format!("{}?token={TOKEN}", hook.url())])
        .start()
        .await?;
    let start = format!("/v1/devices/{DEVICE}/start");
    moonwa.admin().post(&start, &Value::Null).await?.expect(202);
    let qr = moonwa.qr(DEVICE).await;
    let reference = qr.split(',').next().context("a reference")?.to_owned();
    ann.scan(&qr).await?;
    moonwa.wait_state(DEVICE, "connected").await;
    bob.send_text(&ann, WORD_IN).await?;
    hook.expect_text(WORD_IN).await;
    let id = moonwa.send_text(DEVICE, bob.number(), WORD_OUT).await?;
    moonwa.wait_status(DEVICE, &id, "delivered").await;
    let test = format!("/v1/devices/{DEVICE}/webhooks/1/test");
    moonwa.admin().post(&test, &Value::Null).await?.expect(200);
    let log = moonwa.log();
    moonwa.stop().await?;
    Ok((log, reference))
}

fn found(log: &str, reference: &str) -> Vec<String> {
    let canaries = [reference, "Kenari Nama", WORD_IN, WORD_OUT, TOKEN];
    canaries.into_iter().filter(|canary| log.contains(canary)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_level_lets_a_secret_into_the_log() -> Result<()> {
    for asked in ["error", "warn", "info", "debug", "trace", "info,hyper=trace,wa_rs=trace"] {
        let (log, reference) = busy_day(asked, false).await?;
        assert_eq!(found(&log, &reference), Vec::<String>::new(), "RUST_LOG={asked}");
    }
    Ok(())
}

/// Else the canaries above would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_libraries_would_log_secrets() -> Result<()> {
    let (log, reference) = busy_day("trace", true).await?;
    assert!(!found(&log, &reference).is_empty());
    assert!(log.contains("log.unsafe_dependencies"));
    Ok(())
}
