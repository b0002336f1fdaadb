//! Who is there, as WAHA's programs ask and are told. Of these products it alone lets a program ask for it.

use anyhow::Result;
use moonwa_simulator::harness::{Delivery, api_key, eventually};
use moonwa_simulator::{Entry, Phone};
use serde_json::{Value, json};

use super::support::{Program, Story};

fn address(phone: &Phone) -> String {
    format!("{}@c.us", phone.number())
}

/// What WAHA says of somebody.
fn presence(of: &str, doing: &str, last_seen: Option<u64>) -> Value {
    let one = json!({"participant": of, "lastKnownPresence": doing, "lastSeen": last_seen});
    json!({"id": of, "presences": [one]})
}

#[tokio::test]
async fn wahas_programs_see_who_is_there() -> Result<()> {
    let story = Story::start("waha", ["310191", "310192"]).await?;
    let waha = Program::new(&story.moonwa, &[("x-api-key", &api_key("toko"))]);
    let (sim, ann, bob) = (&story.sim, &story.ann, &story.bob);
    let eve = sim.phone("628777310193", "Eve").await;
    let [chat, other] = [bob, &eve].map(address);
    let subscribe = format!("/api/toko/presence/{chat}/subscribe");
    let refused = waha.post(&subscribe, &json!({})).await?.expect(422).text();
    assert!(refused.contains("presence = "), "{refused}");
    assert_eq!(waha.get("/api/toko/presence").await?.expect(200).json(), json!([]));
    story.moonwa.edit_config(|text| {
        text.replace("events = [\"*\"]", "events = [\"*\", \"presence.updated\"]")
            .replace("[device.toko]\n", "[device.toko]\npresence = \"available\"\n")
    })?;
    let before = sim.cursor();
    let subscribing = async || waha.post(&subscribe, &json!({})).await.map(|reply| reply.status);
    eventually("the new file", subscribing, |status| status.as_ref().is_ok_and(|s| *s == 201))
        .await?;

    let told = async |expected: &Value| {
        let is = |post: &Delivery| {
            post.json()["event"] == "presence.update" && post.json()["payload"] == *expected
        };
        story.hook.expect(&expected.to_string(), is).await;
    };
    let asked = async |after: u64, phone: &Phone| {
        let is = |entry: &Entry| {
            entry.is_in("presence") && entry.attr("type").as_deref() == Some("subscribe")
        };
        assert_eq!(sim.wait_journal(after, is).await?.attr("to"), Some(phone.lid()));
        anyhow::Ok(())
    };
    asked(before, bob).await?;
    told(&presence(&chat, "offline", Some(1_795_420_800))).await;
    bob.is_there(true);
    told(&presence(&chat, "online", None)).await;
    bob.typing(ann, true).await;
    let typing = presence(&chat, "typing", None);
    told(&typing).await;
    assert_eq!(waha.get("/api/toko/presence").await?.expect(200).json(), json!([typing]));
    let one = format!("/api/toko/presence/{chat}");
    assert_eq!(waha.get(&one).await?.expect(200).json(), typing);

    // To ask for somebody's presence is to subscribe to it.
    let before = sim.cursor();
    let new = waha.get(&format!("/api/toko/presence/{other}")).await?.expect(200).json();
    assert_eq!(new["id"], other);
    asked(before, &eve).await?;
    told(&presence(&other, "offline", Some(1_795_420_800))).await;
    let group = sim.group("Pelanggan", &[ann, bob]).await?;
    let of_group = format!("/api/toko/presence/{}", group.jid());
    waha.get(&of_group).await?.expect(400);

    let set = async |presence: &str| {
        waha.post("/api/toko/presence", &json!({"chatId": chat, "presence": presence})).await
    };
    for (word, state) in
        [("typing", "<composing"), ("recording", "<composing"), ("paused", "<paused")]
    {
        let before = sim.cursor();
        set(word).await?.expect(201);
        let shown = |entry: &Entry| entry.is_in("chatstate") && entry.text.contains(state);
        sim.wait_journal(before, shown).await?;
    }
    set("online").await?.expect(201);
    set("offline").await?.expect(422);
    set("dancing").await?.expect(400);
    story.stop().await
}
