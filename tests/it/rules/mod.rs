//! Rules: what a device answers by itself, once for each message and never to those who did not ask.

mod kills;
mod webhook;

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually};
use moonwa_simulator::{Phone, Simulator, wa};
use serde_json::{Value, json};

const CHANNEL: &str = "120363298765432100@newsletter";

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

fn says(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

/// How many messages with this text a phone got.
fn count(phone: &Phone, text: &str) -> usize {
    phone.inbox().iter().filter(|item| item.is_text(text)).count()
}

/// The rules of a device, as soon as `good` holds for them.
async fn rules(moonwa: &Moonwa, what: &str, good: impl Fn(&Value) -> bool) -> Value {
    let look = || async {
        let reply = moonwa.key_of("toko").get("/v1/devices/toko/rules").await;
        reply.map_or(Value::Null, |reply| reply.json()["rules"].clone())
    };
    eventually(what, look, good).await
}

/// Changes the file and waits until that is in force.
async fn edit(moonwa: &Moonwa, change: impl FnOnce(String) -> String) -> Result<()> {
    moonwa.edit_config(change)?;
    let report = moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200).json();
    assert_ne!(report["outcome"], "rejected", "{report}");
    Ok(())
}

#[tokio::test]
async fn a_rule_answers_people_and_nobody_who_did_not_ask() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, carl) = (
        sim.phone("628333000111", "Ann").await,
        sim.phone("628333000112", "Bob").await,
        sim.phone("628333000113", "Carl").await,
    );
    let hook = WebhookReceiver::start().await?;
    let rules_of = format!(
        "webhooks = [{{ url = {:?}, events = [\"*\"] }}]\n[[device.toko.rules]]\nname = \"harga\"\nwhen = {{ text = \"(?i)^harga\" }}\n\
         reply = {{ text = \"Halo {{name}} {{phone}}: {{text}}\", typing = \"500ms\", quote = true }}\nreact = \"👍\"\nforward_to = \"{}\"\n",
        hook.url(),
        carl.number()
    );
    let table = "\n[device.toko]\nlabel = \"Toko\"\napi_key = \"key-of-toko-0123456789abcdef\"\n";
    let moonwa = gateway(&sim).config(&format!("{table}{rules_of}")).start().await?;
    moonwa.link("toko", &ann).await?;
    let group = sim.group("Tim Toko", &[&bob, &ann]).await?;

    let unasked = [
        bob.show_status(&[ann.number()], &says("harga status"))?,
        ann.show_status(&[ann.number()], &says("harga status sendiri"))?,
        sim.post_in_channel(CHANNEL, ann.number(), &says("harga saluran"))?,
        bob.send_to_list("1700000000@broadcast", &[ann.number()], &says("harga daftar"))?,
        bob.send_text(&group, "harga grup").await?,
        ann.send_text(&bob, "harga sendiri").await?,
        bob.send_text(&ann, "halo").await?,
    ];
    for id in &unasked {
        hook.expect(id, |post| post.json()["data"]["id"] == *id).await;
    }
    let asked = bob.send_text(&ann, "Harga kaos?").await?;

    let answer = bob.expect_text(&format!("Halo Bob {}: Harga kaos?", bob.number())).await?;
    assert!(format!("{:?}", answer.message).contains(&asked), "it quotes the message");
    bob.wait_inbox(0, |item| {
        item.message().is_some_and(|message| format!("{:?}", message.message).contains("👍"))
    })
    .await?;
    carl.expect_text("Harga kaos?").await?;
    let typing = sim.journal().iter().any(|entry| entry.text.contains("composing"));
    assert!(typing, "\"typing…\" was shown");

    let report = rules(&moonwa, "one hit", |rules| rules[0]["hits"] == 1).await;
    assert_eq!(
        (&report[0]["n"], &report[0]["name"], &report[0]["skipped"]),
        (&json!(1), &json!("harga"), &json!(0))
    );
    assert!(report[0]["last_hit"].is_string(), "{report}");
    let queued = moonwa.key_of("toko").get("/v1/devices/toko/messages").await?.expect(200).json();
    assert_eq!(queued["messages"].as_array().map(Vec::len), Some(3), "{queued}");
    let metrics = moonwa.admin().get("/metrics").await?.expect(200).text();
    assert!(
        metrics.contains("moonwa_rule_hits_total{device=\"toko\",rule=\"harga\"} 1"),
        "{metrics}"
    );
    assert!(!moonwa.log().contains("kaos"), "message text never reaches the log");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn two_moonwas_do_not_answer_each_other() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, carl) = (
        sim.phone("628333000121", "Ann").await,
        sim.phone("628333000122", "Bob").await,
        sim.phone("628333000123", "Carl").await,
    );
    let rule = |name: &str| {
        format!(
            "[[device.{name}.rules]]\nreply = \"kami {name}, balas otomatis\"\nmost_per_hour = 1000\n"
        )
    };
    let hook = WebhookReceiver::start().await?;
    let toko = gateway(&sim).device("toko", &[hook.url()]).config(&rule("toko")).start().await?;
    let gudang = gateway(&sim).device("gudang", &[]).config(&rule("gudang")).start().await?;
    toko.link("toko", &ann).await?;
    gudang.link("gudang", &bob).await?;

    // A person at Ann's phone writes to Bob, whose moonwa answers; Ann's knows that answer for one.
    ann.send_text(&bob, "halo gudang").await?;
    ann.expect_text("kami gudang, balas otomatis").await?;
    hook.expect_text("kami gudang, balas otomatis").await;
    // Those who ask are answered all the same, so the rule was asked about what came before.
    carl.send_text(&ann, "halo toko").await?;
    carl.expect_text("kami toko, balas otomatis").await?;
    assert_eq!(count(&bob, "kami toko, balas otomatis"), 0);
    assert_eq!(count(&ann, "kami gudang, balas otomatis"), 1);
    toko.stop().await?;
    gudang.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_rule_rests_and_is_changed_without_a_second_answer() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628333000131", "Ann").await, sim.phone("628333000132", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let first = "[[device.toko.rules]]\nname = \"salam\"\nreply = \"satu\"\ncool_down = \"1h\"\n";
    let second = "[[device.toko.rules]]\nname = \"lain\"\nreply = \"dua\"\n";
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).config(first).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "a").await?;
    bob.expect_text("satu").await?;
    bob.send_text(&ann, "b").await?;
    rules(&moonwa, "it rests", |rules| rules[0]["hits"] == 1 && rules[0]["skipped"] == 1).await;
    moonwa.restart().await?;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "c").await?;
    rules(&moonwa, "it still rests", |rules| rules[0]["skipped"] == 2).await;

    let (status, plan) = {
        moonwa.edit_config(|text| text.replace(first, second))?;
        moonwa.command(&["plan"]).await?
    };
    // The edit may be in force before it is asked for.
    assert!(
        status == 0 || (plan.contains("+ rule toko lain") && plan.contains("- rule toko salam")),
        "{plan}"
    );
    edit(&moonwa, |text| text).await?;
    rules(&moonwa, "the other rule", |rules| rules[0]["name"] == "lain").await;
    bob.send_text(&ann, "d").await?;
    bob.expect_text("dua").await?;

    edit(&moonwa, |text| text.replace(second, "")).await?;
    rules(&moonwa, "no rules", |rules| *rules == json!([])).await;
    bob.send_text(&ann, "nobody answers this").await?;
    hook.expect_text("nobody answers this").await;
    edit(&moonwa, |text| text + second).await?;
    rules(&moonwa, "a rule again", |rules| rules[0]["name"] == "lain").await;
    bob.send_text(&ann, "e").await?;
    let answers = || async { count(&bob, "dua") };
    eventually("the last answer", answers, |count| *count == 2).await;
    let report = rules(&moonwa, "two hits", |rules| rules[0]["hits"] == 2).await;
    assert_eq!(count(&bob, "satu"), 1, "{report}");

    // What was remembered goes with the device.
    let table = std::fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    let table =
        table.split_once("\n[device.toko]").map(|(_, table)| format!("\n[device.toko]{table}"));
    let table = table.unwrap_or_default();
    edit(&moonwa, |text| text.replace(&table, "")).await?;
    moonwa.admin().post("/v1/forgotten/toko", &Value::Null).await?.expect(204);
    edit(&moonwa, |text| text + table.as_str()).await?;
    let report = rules(&moonwa, "the device again", |rules| rules[0]["name"] == "lain").await;
    assert_eq!((&report[0]["hits"], &report[0]["last_hit"]), (&json!(0), &Value::Null));
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_trial_says_what_each_rule_would_do_and_why() -> Result<()> {
    let rules = "\n[device.toko]\nlabel = \"Toko\"\ncountry_code = \"62\"\n\
        [[device.toko.rules]]\nname = \"tutup\"\nwhen = { hours = \"17:00-08:00\", time_zone = \"Asia/Jakarta\" }\nreply = \"Tutup, {name}\"\nstop = true\n\
        [[device.toko.rules]]\nwhen = { text = \"(?i)^harga\" }\nreact = \"👍\"\nforward_to = \"0812-999-000\"\n\
        [[device.toko.rules]]\nwhen = { chats = [\"groups\"] }\nreply = \"grup\"\n";
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).config(rules).start().await?;
    let trial = async |more: &[&str]| {
        let all = [&["rules", "test", "Harga?", "--from", "0812-3456-789"], more].concat();
        moonwa.command(&all).await
    };
    let (status, said) = trial(&["--name", "Budi", "--at", "2026-11-30T20:12:00+07:00"]).await?;
    let lines = "toko rule 1 (tutup): yes; replies \"Tutup, Budi\"; stops the others\n\
        toko rule 2: no; rule tutup acts and stops the others\n\
        toko rule 3: no; rule tutup acts and stops the others\n";
    assert_eq!((status, said.as_str()), (0, lines));
    let (_, said) = trial(&["--at", "2026-11-30T09:00:00+07:00", "--device", "toko"]).await?;
    let lines = "toko rule 1 (tutup): no; hours: it is Mon 09:00\n\
        toko rule 2: yes; reacts 👍; forwards to 62812999000\n\
        toko rule 3: no; chats: not of this kind\n";
    assert_eq!(said, lines);
    let (_, said) = trial(&["--group", "--at", "2026-11-30T09:00:00+07:00"]).await?;
    assert!(said.contains("toko rule 3: yes; replies \"grup\""), "{said}");
    let (status, said) = trial(&["--device", "lain"]).await?;
    assert!(status == 1 && said.contains("there is no device lain"), "{said}");
    moonwa.stop().await?;
    Ok(())
}
