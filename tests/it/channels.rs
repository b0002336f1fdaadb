//! Channels: what is asked of WhatsApp about them, and what the account posts in its own.

use anyhow::Result;
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use moonwa_simulator::{Entry, Simulator, wa};
use serde_json::{Value, json};

#[tokio::test]
async fn channels_are_found_followed_and_made_and_posts_are_reacted_to() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111002601", "Ann").await;
    let (news, link) = sim.channel("Kabar Kota");
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let (key, admin) = (moonwa.key_of("toko"), moonwa.admin());
    let get = async |path: &str| key.ask("toko", Method::GET, path, &Value::Null).await;
    assert_eq!(get("channels").await?.expect(200).json(), json!({ "channels": [] }));

    let found = get(&format!("channels/preview?code={link}")).await?.expect(200).json();
    let expected = json!({
        "id": news, "name": "Kabar Kota", "description": null, "link": link, "followers": 0,
        "verified": false, "state": "active", "role": null, "created": "2026-11-23T08:00:00Z",
    });
    assert_eq!(found, expected);
    let follow = format!("channels/{news}/follow");
    key.ask("toko", Method::PUT, &follow, &Value::Null).await?.expect(204);
    let list = get("channels").await?.expect(200).json();
    assert_eq!(
        (&list["channels"][0]["id"], &list["channels"][0]["role"]),
        (&json!(news), &json!("follower"))
    );
    key.ask("toko", Method::DELETE, &follow, &Value::Null).await?.expect(204);
    assert_eq!(get("channels").await?.json(), json!({ "channels": [] }));

    let new = json!({ "name": "Toko Ann", "description": "Promo tiap hari" });
    key.ask("toko", Method::POST, "channels", &new).await?.expect(403);
    let own = admin.ask("toko", Method::POST, "channels", &new).await?.expect(201).json();
    assert_eq!((&own["role"], &own["description"]), (&json!("owner"), &json!("Promo tiap hari")));
    let own = own["id"].as_str().unwrap_or_default();
    let before = sim.cursor();
    let post = json!({ "to": own, "text": "Diskon 20%" });
    let sent = key.ask("toko", Method::POST, "messages?wait=20s", &post).await?.expect(200).json();
    assert_eq!(sent["status"], "accepted");
    let id = sent["id"].as_str().unwrap_or_default();
    let is = |entry: &Entry| entry.is_in("message") && entry.attr("id").as_deref() == Some(id);
    let stanza = sim.wait_journal(before, is).await?;
    assert!(stanza.text.contains("<plaintext"), "{}", stanza.text);
    let posts = format!("channels/{own}/posts");
    let listed = get(&posts).await?.expect(200).json();
    let first = &listed["posts"][0];
    assert_eq!((&first["text"], &first["from_me"]), (&json!("Diskon 20%"), &json!(true)));
    assert_eq!((&first["message"], &first["reactions"]), (&json!(id), &json!([])));
    let number = first["post"].as_u64().unwrap_or_default();

    let reaction = format!("{posts}/{number}/reaction");
    key.ask("toko", Method::PUT, &reaction, &json!({ "emoji": "👍" })).await?.expect(204);
    let reacted = |entry: &Entry| {
        entry.is_in("message") && entry.attr("server_id") == Some(number.to_string())
    };
    let stanza = sim.wait_journal(before, reacted).await?;
    assert!(stanza.text.contains("<reaction code="), "{}", stanza.text);
    let reactions = get(&posts).await?.json()["posts"][0]["reactions"].clone();
    assert_eq!(reactions, json!([{ "emoji": "👍", "count": 1 }]));
    key.ask("toko", Method::DELETE, &reaction, &Value::Null).await?.expect(204);

    // A change of a post, and its end.
    let message = format!("messages/{id}");
    key.ask("toko", Method::PATCH, &message, &json!({ "text": "Diskon 30%" })).await?.expect(202);
    let changed = async || sim.posts(own).unwrap_or_default();
    let is = |texts: &Vec<String>| *texts == ["Diskon 30%"];
    moonwa_simulator::harness::eventually("the new words", changed, is).await;
    let taken = key.ask("toko", Method::DELETE, &message, &Value::Null).await?.expect(202).json();
    moonwa_simulator::harness::eventually("no post", changed, Vec::is_empty).await;
    moonwa.wait_status("toko", taken["id"].as_str().unwrap_or_default(), "accepted").await;

    // A file would be encrypted, and nobody could open it.
    let file = json!({ "to": own, "image": { "base64": "/9j/" } });
    let failed =
        key.ask("toko", Method::POST, "messages?wait=20s", &file).await?.expect(200).json();
    assert_eq!((&failed["status"], &failed["code"]), (&json!("failed"), &json!("not_in_channels")));
    get("channels/120363999999999999@newsletter").await?.expect(404);
    get("channels/preview?code=0029VaNobodyHasThisCode").await?.expect(404);
    for wrong in ["channels/628123456789", "channels/preview", "channels/preview?code=a"] {
        get(wrong).await?.expect(400);
    }
    admin.ask("toko", Method::POST, "channels", &json!({ "name": "" })).await?.expect(400);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_post_that_comes_has_the_number_by_which_it_is_reacted_to() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111002611", "Ann").await;
    let (news, _) = sim.channel("Kabar Kota");
    let hook = WebhookReceiver::start().await?;
    let lines = format!(
        "\n[device.toko]\napi_key = \"key-of-toko-0123456789abcdef\"\n\
         webhooks = [{{ url = {:?}, events = [\"channel.received\"] }}]\n",
        hook.url(),
    );
    let moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    let key = moonwa.key_of("toko");
    key.ask("toko", Method::PUT, &format!("channels/{news}/follow"), &Value::Null)
        .await?
        .expect(204);

    let post =
        |text: &str| wa::Message { conversation: Some(text.to_owned()), ..wa::Message::default() };
    sim.publish(&news, &post("Jalan Mawar ditutup"))?;
    sim.publish(&news, &post("Banjir surut"))?;
    let told =
        hook.expect("the second", |told| told.json()["data"]["text"] == "Banjir surut").await;
    let number = told.json()["data"]["details"]["post"].clone();
    let posts = format!("channels/{news}/posts");
    let listed = key.ask("toko", Method::GET, &posts, &Value::Null).await?.expect(200).json();
    assert_eq!(listed["posts"][1]["text"], "Banjir surut");
    assert_eq!(listed["posts"][1]["post"], number);

    let before = sim.cursor();
    let reaction = format!("{posts}/{number}/reaction");
    key.ask("toko", Method::PUT, &reaction, &json!({ "emoji": "🙏" })).await?.expect(204);
    let reacted = |entry: &Entry| {
        entry.is_in("message") && entry.attr("server_id") == Some(number.to_string())
    };
    sim.wait_journal(before, reacted).await?;
    let listed = key.ask("toko", Method::GET, &posts, &Value::Null).await?.expect(200).json();
    let reactions = |n: usize| listed["posts"][n]["reactions"].clone();
    assert_eq!((reactions(0), reactions(1)), (json!([]), json!([{ "emoji": "🙏", "count": 1 }])));
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
