//! What WhatsApp, the phone's owner and the contacts notice of a gateway: the real binary, judged by what was on the wire.

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim.ws_url())
}

#[tokio::test]
async fn the_phone_goes_on_ringing() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000901", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;

    moonwa.link("toko", &ann).await?;
    ann.expect_presence(0, "unavailable").await?;

    let (before, since) = (ann.presences().len(), sim.cursor());
    moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
    ann.expect_login(since).await?;
    moonwa.wait_state("toko", "connected").await;
    ann.expect_presence(before + 1, "unavailable").await?;

    let before = ann.presences().len();
    ann.rename("Ann of the shop")?;
    ann.expect_presence(before + 1, "unavailable").await?;

    // Whoever wants it otherwise says so in the file, and is heard at once.
    let change = json!({ "presence": "available" });
    let before = ann.presences().len();
    moonwa.admin().put("/v1/devices/toko", None, &change).await?.expect(200);
    ann.expect_presence(before, "available").await?;
    let (before, since) = (ann.presences().len(), sim.cursor());
    moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
    ann.expect_login(since).await?;
    ann.expect_presence(before, "available").await?;
    let before = ann.presences().len();
    moonwa.edit_config(|text| {
        text.replace("presence = \"available\"", "presence = \"unavailable\"")
    })?;
    ann.expect_presence(before, "unavailable").await?;
    let read = |entry: &moonwa_simulator::Entry| {
        entry.is_in("receipt") && entry.attr("type").as_deref() == Some("read")
    };
    assert!(!sim.journal().iter().any(read), "nothing was read");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_device_says_of_itself_what_whatsapp_web_says() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000902", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let shown = |phone: &Phone| {
        let device = phone.devices().pop().expect("a linked device");
        (device.platform, device.version, device.full_sync)
    };
    assert_eq!(shown(&ann), ("Linux Some(CHROME)".to_owned(), "0.0.0".to_owned(), false));

    // Another name is taken from the next linking on, by a code too.
    let change = json!({ "shown_as": "Safari (Mac OS)" });
    moonwa.admin().put("/v1/devices/toko", None, &change).await?.expect(200);
    moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "logged_out").await;
    let body = json!({ "phone": ann.number() });
    moonwa.admin().post("/v1/devices/toko/pair-code", &body).await?.expect(202);
    let code = |device: &Value| device["linking"]["pair_code"].is_string();
    let linking = moonwa.wait_device("toko", "a pair code", code).await;
    let code = linking["linking"]["pair_code"].as_str().unwrap_or_default();
    let asked = sim.journal();
    let asked = asked.iter().rev().find(|entry| entry.text.contains("companion_platform_display"));
    assert!(asked.expect("the request for a code").text.contains("Safari (Mac OS)"), "{asked:?}");
    ann.enter_code(code).await?;
    moonwa.wait_state("toko", "connected").await;
    assert_eq!(shown(&ann), ("Mac OS Some(SAFARI)".to_owned(), "10.15.7".to_owned(), false));
    // The simulator also minds what is absent.
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
