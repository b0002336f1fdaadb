//! Whether people are there, for whoever asked: the subscription on the wire, and what follows from what WhatsApp tells.

use anyhow::Result;
use hyper::Method;
use moonwa_simulator::harness::{Delivery, Moonwa, WebhookReceiver, eventually};
use moonwa_simulator::{Entry, Fault, Simulator};
use serde_json::{Value, json};

fn config(hook: &WebhookReceiver, all: &WebhookReceiver, presence: &str) -> String {
    format!(
        "\n[device.toko]\napi_key = \"key-of-toko-0123456789abcdef\"\npresence = {presence:?}\n\
         webhooks = [{{ url = {:?}, events = [\"presence.updated\"] }}, {{ url = {:?}, events = [\"*\"] }}]\n",
        hook.url(),
        all.url(),
    )
}

#[tokio::test]
async fn who_is_asked_about_is_told_of_and_nobody_else() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, eve) = (
        sim.phone("628111002701", "Ann").await,
        sim.phone("628111002702", "Bob").await,
        sim.phone("628111002703", "Eve").await,
    );
    let (hook, all) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let lines = config(&hook, &all, "available");
    let moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    ann.expect_presence(0, "available").await?;
    let key = moonwa.key_of("toko");
    let ask = async |method, path: &str| key.ask("toko", method, path, &Value::Null).await;
    let of = |path: &str| format!("contacts/{path}/presence");
    let told = async |doing: &str| {
        let is = |post: &Delivery| post.json()["data"]["presence"] == doing;
        hook.expect(doing, is).await.json()
    };
    assert_eq!(ask(Method::GET, "presence").await?.json(), json!({ "contacts": [] }));

    let before = sim.cursor();
    ask(Method::PUT, &of(bob.number())).await?.expect(204);
    let wanted = |entry: &Entry| {
        entry.is_in("presence") && entry.attr("type").as_deref() == Some("subscribe")
    };
    let stanza = sim.wait_journal(before, wanted).await?;
    assert_eq!(stanza.attr("to"), Some(bob.lid()));
    let lid = bob.lid().trim_end_matches("@lid").to_owned();
    let person = json!({ "jid": bob.lid(), "phone": bob.number(), "lid": lid, "name": null });
    let away = told("unavailable").await;
    assert_eq!(away["type"], "presence.updated");
    let expected = json!({
        "chat": bob.jid(), "from": person, "presence": "unavailable", "last_seen": "2026-11-23T08:00:00Z",
    });
    assert_eq!(away["data"], expected);

    bob.is_there(true);
    assert_eq!(told("available").await["data"]["last_seen"], Value::Null);
    bob.typing(&ann, true).await;
    assert_eq!(told("composing").await["data"]["from"], person);
    eve.typing(&ann, true).await;
    bob.records(&ann);
    told("recording").await;
    let list = ask(Method::GET, "presence").await?.json();
    let row = &list["contacts"][0];
    assert_eq!((&row["phone"], &row["presence"]), (&json!(bob.number()), &json!("recording")));

    // It is asked again on another connection.
    let before = sim.cursor();
    sim.fault(&ann, Fault::Drop);
    sim.wait_journal(before, wanted).await?;
    let heard = async || ask(Method::GET, "presence").await.map(|reply| reply.json());
    let there = |list: &Result<Value>| {
        list.as_ref().is_ok_and(|list| list["contacts"][0]["presence"] == "available")
    };
    eventually("the first word on the new connection", heard, there).await?;
    bob.is_there(false);
    let gone =
        |post: &Delivery| post.json()["data"]["presence"] == "unavailable" && post.json() != away;
    hook.expect("away again", gone).await;

    let before = sim.cursor();
    ask(Method::DELETE, &of(&bob.lid())).await?.expect(204);
    let ended = |entry: &Entry| {
        entry.is_in("presence") && entry.attr("type").as_deref() == Some("unsubscribe")
    };
    sim.wait_journal(before, ended).await?;
    assert_eq!(ask(Method::GET, "presence").await?.json(), json!({ "contacts": [] }));
    bob.is_there(true);
    bob.typing(&ann, true).await;
    let events = key.get("/v1/devices/toko/events?after=0").await?.expect(200).json();
    let events = events["events"].as_array().expect("events");
    let presences = events.iter().filter(|event| event["type"] == "presence.updated").count();
    // What follows within two seconds is one event.
    assert!((4..=6).contains(&presences), "{presences}");
    // The webhook that wants everything did not name it.
    bob.send_text(&ann, "halo").await?;
    all.expect_text("halo").await;
    assert!(all.deliveries().iter().all(|post| post.kind() != "presence.updated"));
    for wrong in ["0812", "120363000000000001@g.us", "status@broadcast"] {
        ask(Method::PUT, &of(wrong)).await?.expect(400);
    }
    ask(Method::PUT, &of("628999002799")).await?.expect(404);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_device_that_is_not_there_itself_is_told_why_it_hears_nothing() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002704", "Ann").await, sim.phone("628111002705", "Bob").await);
    let (hook, all) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let lines = config(&hook, &all, "unavailable");
    let moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    let key = moonwa.key_of("toko");
    let path = format!("contacts/{}/presence", bob.number());
    let refused = key.ask("toko", Method::PUT, &path, &Value::Null).await?.expect(409).json();
    assert_eq!(refused["code"], "conflict");
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains("presence = \"available\"")));
    moonwa.edit_config(|text| text.replace("\"unavailable\"", "\"available\""))?;
    let asked =
        async || key.ask("toko", Method::PUT, &path, &Value::Null).await.map(|reply| reply.status);
    eventually("the new file", asked, |status| status.as_ref().is_ok_and(|s| *s == 204)).await?;
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn typing_is_shown_in_the_chats_that_other_routes_know() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002706", "Ann").await, sim.phone("628111002707", "Bob").await);
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let key = moonwa.key_of("toko");
    let typing =
        async |to: &str| key.ask("toko", Method::POST, "typing", &json!({ "to": to })).await;
    for to in [bob.number().to_owned(), bob.lid()] {
        let before = sim.cursor();
        typing(&to).await?.expect(204);
        let composing =
            |entry: &Entry| entry.is_in("chatstate") && entry.text.contains("<composing");
        sim.wait_journal(before, composing).await?;
    }
    let before = sim.cursor();
    let odd = ["abc@lid", "12@lid", "a-b@g.us", "120363298765432100@newsletter", "0812", "x@y.z"];
    for to in odd {
        let refused = typing(to).await?.expect(400).json();
        let path = format!("chats/{to}");
        let pinned = key.ask("toko", Method::PATCH, &path, &json!({ "pinned": true })).await?;
        let sibling = pinned.expect(400).json();
        assert_eq!(refused["errors"][0]["path"], "to");
        assert_eq!(refused["errors"][0]["msg"], sibling["errors"][0]["msg"], "{to}");
    }
    let written = sim.journal().into_iter().filter(|entry| entry.seq > before);
    assert!(!written.into_iter().any(|entry| entry.is_in("chatstate")));
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
