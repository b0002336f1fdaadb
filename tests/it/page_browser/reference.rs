//! The reference of the API on the page.

use anyhow::Result;
use moonwa_simulator::Simulator;
use serde_json::{Value, json};

use super::browser::Browser;
use super::gateway;

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn every_kind_of_message_is_in_the_reference() -> Result<()> {
    let document: Value = serde_json::from_str(include_str!("../../../web/openapi.json"))?;
    let forms = document["components"]["schemas"]["EventMessage"]["oneOf"].as_array().unwrap();
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).start().await?;
    let browser = Browser::start().await?;
    browser.log_in(&moonwa).await?;
    browser.run("location.hash = '#/api'", Vec::new()).await;
    let operation = "document.querySelector('[data-key=\"get /v1/devices/{device}/events\"]')";
    browser.until("the reference", &format!("return {operation} !== null")).await;
    browser.run(&format!("{operation}.open = true"), Vec::new()).await;
    let examples = format!("[...{operation}.querySelectorAll('li > pre')]");
    let count = format!("return {examples}.length >= {}", forms.len());
    browser.until("an example of each kind", &count).await;
    let texts = format!("return {examples}.map((example) => example.textContent)");
    let shown = browser.run(&texts, Vec::new()).await;
    let shown = shown.as_array().unwrap().iter();
    let shown: Vec<Value> =
        shown.map(|text| serde_json::from_str(text.as_str().unwrap())).collect::<Result<_, _>>()?;
    for form in forms {
        assert!(shown.contains(&form["examples"][0]), "{}", json!(form));
    }
    // What each request is for is said, and found, in the reader's language.
    browser.sees("Write to people who have written before").await;
    browser.click("ID \u{2013} ganti ke Bahasa Indonesia").await;
    browser.sees("Kirim ke orang yang pernah menulis").await;
    browser.misses("Write to people who have written before").await;
    browser.write("Cari di API", "bintangi").await?;
    browser.misses("Kirim ke orang yang pernah menulis").await;
    browser.sees("Bintangi pesan").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}
