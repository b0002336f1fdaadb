//! What the rules of a device do, as somebody watches it on a phone.

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::WebhookReceiver;
use serde_json::{Value, json};

use super::browser::Browser;
use super::gallery::{axe, violations};
use super::gateway;

/// As long as a name may be.
const LONG: &str = "jangan-jawab-pesan-dari-pemasok-dan-kurir-yang-sudah-dikenal-toko";

#[tokio::test]
#[ignore = "needs Chromium, ChromeDriver and axe-core; .ci/run installs them and runs this"]
async fn the_hits_of_rules_change_while_somebody_looks() -> Result<()> {
    watch("en").await
}

#[tokio::test]
#[ignore = "needs Chromium, ChromeDriver and axe-core; .ci/run installs them and runs this"]
async fn the_hits_of_rules_change_in_indonesian() -> Result<()> {
    watch("id").await
}

async fn watch(language: &str) -> Result<()> {
    let name = &LONG[..64];
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000271", "Ann").await, sim.phone("628111000272", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let rules = format!(
        "\n[device.toko]\nlabel = \"Device toko\"\nwebhooks = [{{ url = {:?}, events = [\"rules\"] }}]\n\
         [[device.toko.rules]]\nname = \"harga\"\nwhen = {{ text = \"(?i)harga\" }}\nreply = \"Mulai 50 ribu.\"\ncool_down = \"1h\"\n\
         [[device.toko.rules]]\nname = \"keluhan\"\nwhen = {{ text = \"rusak\" }}\nwebhook = 1\n\
         [[device.toko.rules]]\nname = \"{name}\"\nwhen = {{ text = \"paket\" }}\nstop = true\n",
        hook.url()
    );
    let moonwa = gateway(&sim).config(&rules).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::reading(language).await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.sees("Rules").await;
    for rule in ["harga", "keluhan", name] {
        browser.sees(rule).await;
    }
    browser.sees("acted 0 times").await;
    browser.fits().await;
    browser.run("window.same = true", Vec::new()).await;

    bob.send_text(&ann, "Harga kaos?").await?;
    bob.expect_text("Mulai 50 ribu.").await?;
    browser.sees("acted once").await;
    bob.send_text(&ann, "harga topi?").await?;
    browser.sees("held back once").await;
    // Nothing goes out because of these.
    for n in 0..2 {
        bob.send_text(&ann, &format!("rusak {n}")).await?;
    }
    hook.expect_text("rusak 1").await;
    browser.sees("acted 2 times").await;
    for n in 0..3 {
        bob.send_text(&ann, &format!("paket {n}")).await?;
    }
    browser.sees("acted 3 times").await;
    browser.misses("acted 0 times").await;
    browser.fits().await;

    let axe = axe()?;
    let mut found = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await?;
        found.extend(violations(&browser, &axe, &format!("rules, {scheme}")).await?);
        if let Ok(album) = std::env::var("MOONWA_PICTURES") {
            let picture = browser.picture(360, 740).await?;
            std::fs::write(format!("{album}/rules-{language}-{scheme}.png"), picture)?;
        }
    }
    assert!(found.is_empty(), "axe-core found {}:\n{}", found.len(), found.join("\n"));

    // Another set of rules is in force as soon as the file says so.
    let one = format!(
        "[[device.toko.rules]]\nname = \"{name}\"\nwhen = {{ text = \"paket\" }}\nstop = true\n"
    );
    moonwa.edit_config(|text| text.replace(&one, ""))?;
    moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200);
    browser.misses(name).await;
    browser.sees("acted 2 times").await;
    assert_eq!(browser.run("return window.same === true", Vec::new()).await, json!(true));
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}
