//! The URLs of webhooks: what in them is a secret is shown nowhere, and a receiver that hangs holds no stop up.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::Moonwa;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

const DEVICE: &str = "toko";
const URL: &str = "http://ann:kata-sandi@127.0.0.1:9/hook café?token=rahasia-token";
const SHOWN: &str = "http://***@127.0.0.1:9/hook%20caf%C3%A9?***";
const PATIENCE: Duration = Duration::from_secs(60);
/// As many as a gateway of a dozen devices may have.
const DEVICES: usize = 12;
const RECEIVERS: usize = 48;

#[tokio::test(flavor = "multi_thread")]
async fn user_password_and_query_are_never_shown_and_survive_an_edit() -> Result<()> {
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .env("RUST_LOG", "trace")
        .device(DEVICE, &[URL.to_owned()])
        .start()
        .await?;
    let admin = moonwa.admin();
    let file = moonwa.dir().join("moonwa.toml");
    let device = format!("/v1/devices/{DEVICE}");
    let edit = async |url: &str, label: &str| {
        let body = json!({ "label": label, "webhooks": [{ "n": 1, "url": url, "timeout": "5s" }] });
        admin.put(&device, None, &body).await
    };

    for path in ["/v1/config", "/v1/devices", &device, &format!("{device}/webhooks"), "/metrics"] {
        let shown = admin.get(path).await?.expect(200).text();
        assert!(
            !shown.contains("kata-sandi") && !shown.contains("rahasia-token"),
            "{path}: {shown}"
        );
    }
    let config = admin.get("/v1/config").await?.expect(200).json();
    assert_eq!(config["config"]["devices"][DEVICE]["webhooks"][0]["url"], SHOWN);

    let answer = edit(SHOWN, "Toko Baru").await?.expect(200).text();
    assert!(!answer.contains("kata-sandi") && !answer.contains("rahasia-token"), "{answer}");
    let text = fs::read_to_string(&file)?;
    assert!(text.contains(URL) && text.contains("Toko Baru"), "{text}");
    // What is hidden stays with its host and path.
    let refused = edit("http://***@evil.example/hook?***", "Toko Jahat").await?;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("instead of ***"), "{}", refused.text());
    assert!(!fs::read_to_string(&file)?.contains("Toko Jahat"));

    edit("http://169.254.169.254/latest", "Toko").await?.expect(200);
    let warnings = admin.get("/v1/config").await?.expect(200).json()["warnings"].to_string();
    assert!(warnings.contains("nothing is ever posted to 169.254.169.254"), "{warnings}");
    let log = moonwa.log();
    assert!(!log.contains("kata-sandi") && !log.contains("rahasia-token"), "{log}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_hold_no_stop_up() -> Result<()> {
    let sim = Simulator::start().await?;
    let receiver = TcpListener::bind("127.0.0.1:0").await?;
    let address = receiver.local_addr()?;
    let mut builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
    for n in 0..DEVICES {
        builder = builder.config(&format!("\n[device.d{n}]\n"));
        for hook in 0..RECEIVERS / DEVICES {
            builder = builder.config(&format!(
                "[[device.d{n}.webhooks]]\nurl = \"http://{address}/{hook}\"\nevents = [\"*\"]\n"
            ));
        }
    }
    let moonwa = builder.start().await?;
    for n in 0..DEVICES {
        let phone = sim.phone(&format!("6285556007{n:02}"), "Ann").await;
        moonwa.link(&format!("d{n}"), &phone).await?;
    }
    let mut hanging = Vec::new();
    while hanging.len() < RECEIVERS {
        let accepted = timeout(PATIENCE, receiver.accept()).await;
        hanging.push(accepted.with_context(|| format!("{} hang", hanging.len()))??);
    }
    let began = Instant::now();
    moonwa.stop().await?;
    let took = began.elapsed();
    println!("A stop beside {RECEIVERS} receivers that hang took {took:?}.");
    assert!(took < Duration::from_secs(12), "{took:?}");
    Ok(())
}
