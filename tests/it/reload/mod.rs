//! An edit of `moonwa.toml` while the gateway runs: live within a second, all or nothing, and never at the cost of a
//! linked phone.

mod editing;
mod included;
mod many;
mod revert;
mod saves;
pub(crate) mod styles;

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually};
use moonwa_simulator::{Direction, Simulator};
use rustix::process::Signal;
use serde_json::{Value, json};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// Waits for a reload with that outcome after `revision`, and returns its report.
async fn reloaded(moonwa: &Moonwa, outcome: &str, good: impl Fn(&Value) -> bool) -> Value {
    let look = || async {
        moonwa.admin().get("/v1/config").await.map(|reply| reply.json()).unwrap_or_default()
    };
    eventually(&format!("a reload that is {outcome}"), look, |report| {
        report["outcome"] == outcome && good(report)
    })
    .await
}

async fn metrics(moonwa: &Moonwa) -> Result<String> {
    Ok(moonwa.admin().get("/metrics").await?.expect(200).text())
}

/// How many connections the simulated WhatsApp has seen log in.
fn logins(sim: &Simulator) -> usize {
    sim.journal()
        .iter()
        .filter(|entry| entry.direction == Direction::Note && entry.tag == "login")
        .count()
}

#[tokio::test]
async fn a_webhook_is_changed_without_closing_a_socket() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000111", "Ann").await, sim.phone("628777000112", "Bob").await);
    let (old, new) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let moonwa = gateway(&sim).device("toko", &[old.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "to the old one").await?;
    old.expect_text("to the old one").await;
    let before = logins(&sim);

    moonwa.edit_config(|text| text.replace(&old.url(), &new.url()))?;
    let report = reloaded(&moonwa, "applied", |report| report["trigger"] == "file").await;
    assert!(report["changed"].to_string().contains("toko"), "{report}");
    bob.send_text(&ann, "to the new one").await?;
    new.expect_text("to the new one").await;
    assert_eq!(old.taken_texts(), ["to the old one"]);
    assert_eq!(logins(&sim), before, "no WhatsApp connection was closed");
    assert_eq!(moonwa.device("toko").await?["state"], "connected");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_mistake_changes_nothing_and_is_explained() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628777000113", "Ann").await;
    let mut moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let revision = moonwa.admin().get("/v1/config").await?.json()["revision"].clone();
    let info = format!("\nmoonwa_config_info{{revision={revision}}} 1\n");
    let good = metrics(&moonwa).await?;
    assert!(good.contains(&info) && !good.contains("problem"), "{good}");
    assert!(good.contains("\nmoonwa_config_last_reload_successful 1\n"), "{good}");

    moonwa.edit_config(|text| text.replace("label", "lable"))?;
    let report = reloaded(&moonwa, "rejected", |_| true).await;
    assert_eq!(report["revision"], revision, "the old one stays in force");
    assert_eq!(report["problems"][0]["line"], 8, "{report}");
    assert!(
        report["problems"][0]["message"]
            .as_str()
            .unwrap_or_default()
            .contains("did you mean \"label\""),
        "{report}"
    );
    let bad = metrics(&moonwa).await?;
    assert!(bad.contains(&info), "{bad}");
    assert!(bad.contains("\nmoonwa_config_last_reload_successful 0\n"), "{bad}");
    assert!(bad.contains("\nmoonwa_config_rejected_info{revision=\""), "{bad}");
    let problem = "\nmoonwa_config_problem_info{file=\"moonwa.toml\",line=\"8\",column=\"1\",key=\"device.toko\"";
    assert!(bad.contains(problem), "{bad}");
    moonwa.notified("the problem", |text| text.contains("STATUS=configuration rejected")).await?;
    assert_eq!(moonwa.device("toko").await?["state"], "connected");
    let (code, said) = moonwa.command(&["plan"]).await?;
    assert_eq!(code, 78, "{said}");

    moonwa.edit_config(|text| text.replace("lable", "label"))?;
    reloaded(&moonwa, "unchanged", |_| true).await;
    let (code, said) = moonwa.command(&["plan"]).await?;
    assert_eq!(code, 0, "{said}");
    assert!(!metrics(&moonwa).await?.contains("problem"));

    moonwa.edit_config(|text| text.replace("Device toko", "Toko"))?;
    let report = reloaded(&moonwa, "applied", |_| true).await;
    let now = metrics(&moonwa).await?;
    let infos: Vec<&str> =
        now.lines().filter(|line| line.starts_with("moonwa_config_info")).collect();
    assert_eq!(infos, [format!("moonwa_config_info{{revision={}}} 1", report["revision"])]);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_name() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.edit_config(|text| text.replace("127.0.0.1:0", "127.0.0.1:1"))?;
    let report = reloaded(&moonwa, "rejected", |_| true).await;
    assert!(report["problems"].to_string().contains("server.listen"), "{report}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_removed_table_keeps_its_credentials_until_it_is_forgotten() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000114", "Ann").await, sim.phone("628777000115", "Bob").await);
    let moonwa = gateway(&sim).device("keep", &[]).device("toko", &[]).start().await?;
    moonwa.link("keep", &bob).await?;
    moonwa.link("toko", &ann).await?;
    let whole = std::fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    let without = whole.split("\n[device.toko]").next().unwrap_or_default().to_owned();

    let after = logins(&sim);
    moonwa.edit_config(|_| without.clone())?;
    reloaded(&moonwa, "applied", |report| report["trigger"] == "file").await;
    moonwa.admin().get("/v1/devices/toko").await?.expect(404);
    assert_eq!(moonwa.device("keep").await?["state"], "connected");
    assert_eq!(ann.devices().len(), 1, "the phone still shows it as linked");

    moonwa.edit_config(|_| whole.clone())?;
    moonwa.wait_state("toko", "connected").await;
    assert_eq!(logins(&sim), after + 1, "one login without a QR, and none of the other device");

    moonwa.admin().post("/v1/forgotten/toko", &Value::Null).await?.expect(409);
    moonwa.edit_config(|_| without)?;
    eventually(
        "toko is gone",
        || async { moonwa.device("toko").await.unwrap_or_default() },
        |device| device["code"] == "device_not_found",
    )
    .await;
    let (code, said) = moonwa.command(&["forget", "toko"]).await?;
    assert_eq!(code, 0, "{said}");
    moonwa.edit_config(|_| whole)?;
    moonwa.wait_state("toko", "pending").await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_key_and_a_device_arrive_with_a_signal() -> Result<()> {
    let sim = Simulator::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let plain = "a-key-that-a-person-wrote-0123456789";
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(200);
    moonwa.edit_config(|text| {
        let text = text.replace("key-of-toko-0123456789abcdef", plain);
        format!("{text}\n[device.second]\nlabel = \"Second\"\n")
    })?;
    moonwa.signal(Signal::HUP)?;
    moonwa
        .notified("the reload", |text| {
            text.contains("RELOADING=1") && text.contains("MONOTONIC_USEC=")
        })
        .await?;
    moonwa.notified("its end", |text| text.contains("READY=1")).await?;
    moonwa.wait_state("second", "pending").await;
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(401);
    moonwa.anyone().with_token(plain).get("/v1/devices/toko").await?.expect(200);
    let again = moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200).json();
    assert_eq!(again["outcome"], json!("unchanged"));
    moonwa.stop().await?;
    Ok(())
}
