//! Rules that hand messages to a webhook: it hears them whatever else it wants, in order, and whatever happens to it.

use anyhow::Result;
use moonwa_simulator::harness::{Answer, WebhookReceiver, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::json;

use super::{edit, gateway, rules};

const DEVICE: &str =
    "\n[device.toko]\nlabel = \"Toko\"\napi_key = \"key-of-toko-0123456789abcdef\"\n";

/// A rule that hands what begins with that word to a webhook.
fn handing(word: &str, webhook: usize) -> String {
    format!(
        "[[device.toko.rules]]\nname = \"{word}\"\nwhen = {{ text = \"^{word}\" }}\nwebhook = {webhook}\n"
    )
}

#[tokio::test]
async fn a_webhook_hears_what_a_rule_hands_it_beside_what_it_wants() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, carl) = (
        sim.phone("628333000151", "Ann").await,
        sim.phone("628333000152", "Bob").await,
        sim.phone("628333000153", "Carl").await,
    );
    let (all, by_rules, of_carl) = (
        WebhookReceiver::start().await?,
        WebhookReceiver::start().await?,
        WebhookReceiver::start().await?,
    );
    let webhooks = format!(
        "webhooks = [{:?}, {{ url = {:?}, events = [\"rules\"] }}, {{ url = {:?}, only = [\"{}\"] }}]\n",
        all.url(),
        by_rules.url(),
        of_carl.url(),
        carl.number()
    );
    let rested = "[[device.toko.rules]]\nname = \"sekali\"\nwhen = { text = \"^sekali\" }\nwebhook = 2\ncool_down = \"1h\"\n";
    let rules_of = [handing("harga", 2), handing("keluhan", 3), rested.to_owned()].concat();
    let mut moonwa = gateway(&sim).config(&format!("{DEVICE}{webhooks}{rules_of}")).start().await?;
    moonwa.link("toko", &ann).await?;
    let group = sim.group("Tim Toko", &[&bob, &ann]).await?;

    let said: [(&Phone, &str); 8] = [
        (&bob, "halo"),
        (&bob, "harga 1"),
        (&carl, "keluhan Carl"),
        (&bob, "keluhan Bob"),
        (&carl, "halo dari Carl"),
        (&bob, "sekali"),
        (&bob, "sekali lagi"),
        (&carl, "sekali juga"),
    ];
    bob.send_text(&group, "harga grup").await?;
    ann.send_text(&bob, "harga sendiri").await?;
    for (who, text) in said {
        who.send_text(&ann, text).await?;
        all.expect_text(text).await;
    }
    // More often than a rule may answer somebody in an hour.
    for n in 2..15 {
        bob.send_text(&ann, &format!("harga {n}")).await?;
    }
    by_rules.expect_text("harga 14").await;
    of_carl.expect_text("sekali juga").await;
    let mut handed = vec!["harga 1".to_owned(), "sekali".to_owned(), "sekali juga".to_owned()];
    handed.extend((2..15).map(|n| format!("harga {n}")));
    assert_eq!(by_rules.taken_texts(), handed, "in the order of the log");
    assert_eq!(
        of_carl.taken_texts(),
        ["keluhan Carl", "keluhan Bob", "halo dari Carl", "sekali juga"]
    );
    let of = |hook: &WebhookReceiver| {
        let all = hook.deliveries();
        all.into_iter().find(|one| one.text() == "harga 1").map(|one| one.body)
    };
    assert_eq!(of(&by_rules), of(&all), "it is the same event");
    let report = rules(&moonwa, "its hits", |rules| rules[0]["hits"] == 14).await;
    assert_eq!((&report[1]["hits"], &report[2]["skipped"]), (&json!(2), &json!(1)));

    // Decided once: neither a restart nor a replay asks the rules again.
    moonwa.restart().await?;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "sekali saja").await?;
    bob.send_text(&ann, "harga 15").await?;
    by_rules.expect_text("harga 15").await;
    handed.push("harga 15".to_owned());
    assert_eq!(by_rules.taken_texts(), handed);
    let replay = "/v1/devices/toko/webhooks/2/replay";
    let since = json!({ "from": "2020-01-01T00:00:00Z" });
    moonwa.admin().post(replay, &since).await?.expect(202);
    let again = || async { by_rules.taken_texts() };
    let twice = [handed.clone(), handed].concat();
    eventually("all of it again", again, |texts| *texts == twice).await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_was_handed_over_waits_for_its_receiver_over_kills_and_edits() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628333000161", "Ann").await, sim.phone("628333000162", "Bob").await);
    let (first, second) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let webhooks = format!(
        "webhooks = [{{ url = {:?}, only = [\"628000000000\"] }}, {{ url = {:?}, only = [\"628000000000\"] }}]\n",
        first.url(),
        second.url()
    );
    let rule = handing("harga", 1);
    let mut moonwa = gateway(&sim)
        .env("MOONWA_RETRY_SCALE", "0.001")
        .config(&format!("{DEVICE}{webhooks}{rule}"))
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    first.otherwise(Some(Answer::status(503)));
    for n in 1..=3 {
        bob.send_text(&ann, &format!("harga {n}")).await?;
    }
    rules(&moonwa, "they are handed over", |rules| rules[0]["hits"] == 3).await;
    first.expect("a try", |try_| try_.text() == "harga 1").await;
    moonwa.kill().await?;
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;

    // From now on it is the other's, and then nobody's: what was handed over before stays.
    edit(&moonwa, |text| text.replace("webhook = 1", "webhook = 2")).await?;
    bob.send_text(&ann, "harga 4").await?;
    second.expect_text("harga 4").await;
    edit(&moonwa, |text| text.replace(&handing("harga", 2), "")).await?;
    rules(&moonwa, "no rules", |rules| *rules == json!([])).await;
    moonwa.restart().await?;
    first.otherwise(None);
    first.expect_text("harga 3").await;
    assert_eq!(first.taken_texts(), ["harga 1", "harga 2", "harga 3"]);
    assert_eq!(second.taken_texts(), ["harga 4"]);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_webhook_for_rules_alone_needs_one() -> Result<()> {
    let sim = Simulator::start().await?;
    let hook = WebhookReceiver::start().await?;
    let webhooks = format!(
        "webhooks = [\"http://127.0.0.1:9/crm\", {{ url = {:?}, events = [\"rules\"] }}]\n",
        hook.url()
    );
    let rule = handing("harga", 2);
    let moonwa = gateway(&sim).config(&format!("{DEVICE}{webhooks}{rule}")).start().await?;
    let (status, said) = moonwa.command(&["rules", "test", "harga?", "--from", "62812345"]).await?;
    let hands = format!("toko rule 1 (harga): yes; hands it to webhook 2, {}\n", hook.url());
    assert_eq!((status, said), (0, hands));

    moonwa.edit_config(|text| text.replace("webhook = 2", "webhook = 3"))?;
    let (status, said) = moonwa.command(&["plan"]).await?;
    let wrong = "device.toko.rules[1].webhook: there is no webhook 3; write a number from 1 to 2, as they stand in the list";
    assert!(status != 0 && said.contains(wrong), "{said}");
    moonwa.edit_config(|text| text.replace("webhook = 3", "webhook = 1"))?;
    let (status, said) = moonwa.command(&["plan"]).await?;
    let wrong = "device.toko.webhooks[2]: no rule names this webhook: nothing would ever be delivered; write webhook = 2 in a rule";
    assert!(status != 0 && said.contains(wrong), "{said}");
    edit(&moonwa, |text| text.replace("webhook = 1", "webhook = 2\nstop = true")).await?;
    let shown = moonwa.admin().get("/v1/config").await?.expect(200).json();
    assert_eq!(shown["config"]["devices"]["toko"]["rules"][0]["webhook"], 2, "{shown}");
    assert_eq!(
        shown["config"]["devices"]["toko"]["webhooks"][1]["events"],
        json!(["rules"]),
        "{shown}"
    );
    moonwa.stop().await?;
    Ok(())
}
