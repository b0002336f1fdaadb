//! What is shown to people for a day: who gets it, in which form, and how far it got.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, Reply, Rest, eventually};
use moonwa_simulator::{Entry, Phone, Simulator, wa};
use serde_json::{Value, json};

const PICTURE: &[u8] = include_bytes!("page_browser/shirt.png");

async fn post(rest: &Rest, key: Option<&str>, body: &Value) -> Result<Reply> {
    let request = rest.request(Method::POST, "/v1/devices/toko/status");
    let request = request.header("content-type", "application/json");
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    rest.send(request.body(Full::new(Bytes::from(body.to_string())))?).await
}

/// Larger than what a body of JSON may have.
fn film() -> Vec<u8> {
    let mut film = b"\0\0\0\x18ftypisom\0\0\x02\0isommp41".to_vec();
    film.extend((0..5_u32 << 20).map(|n| u8::try_from(n % 251).unwrap_or_default()));
    film
}

fn shown(phone: &Phone) -> Vec<wa::Message> {
    let inbox = phone.inbox();
    let messages = inbox.iter().filter_map(|item| item.message());
    messages.filter(|message| message.chat == "status").map(|m| m.message.clone()).collect()
}

async fn sees(phone: &Phone, id: &str) -> Result<wa::Message> {
    let item = phone.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
    Ok(item.message().expect("a message").message.clone())
}

#[tokio::test]
async fn a_status_goes_to_the_contacts_that_the_phone_lets_see_it() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, eve, dodi) = (
        sim.phone("628111002901", "Ann").await,
        sim.phone("628111002902", "Bob").await,
        sim.phone("628111002903", "Eve").await,
        sim.phone("628111002904", "Dodi").await,
    );
    ann.know(&[(bob.number(), "Bob"), (eve.number(), "Eve"), ("628999002999", "Not there")])?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let key = moonwa.key_of("toko");
    let book = async || key.get("/v1/devices/toko/contacts").await.map(|reply| reply.json());
    let known = |book: &Result<Value>| {
        book.as_ref()
            .is_ok_and(|book| book["contacts"].as_array().is_some_and(|all| all.len() == 3))
    };
    eventually("the address book", book, known).await?;

    let body =
        json!({ "text": "Diskon 20% hari ini", "background": "#7b1fa2", "font": "calistoga" });
    let before = sim.cursor();
    let queued = post(&key, Some("promo-1"), &body).await?.expect(202);
    let location = queued.headers["location"].to_str()?.to_owned();
    let id = queued.json()["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(post(&key, Some("promo-1"), &body).await?.expect(202).json()["id"], id);
    assert!(location.ends_with(&format!("/v1/devices/toko/messages/{id}")), "{location}");
    let text = sees(&bob, &id).await?.extended_text_message;
    assert_eq!(text.text.as_deref(), Some("Diskon 20% hari ini"));
    assert_eq!(text.background_argb, Some(0xff7b_1fa2));
    assert_eq!(text.font, Some(wa::message::extended_text_message::FontType::CALISTOGA_REGULAR));
    sees(&eve, &id).await?;
    assert!(shown(&dodi).is_empty(), "no contact");
    let is = |entry: &Entry| entry.is_in("message") && entry.attr("id").as_deref() == Some(&id);
    let stanza = sim.wait_journal(before, is).await?;
    assert_eq!(stanza.attr("to").as_deref(), Some("status@broadcast"));
    assert!(stanza.text.contains("<meta status_setting=\"contacts\""), "{}", stanza.text);
    moonwa.wait_status("toko", &id, "delivered").await;
    bob.read(&id).await?;
    moonwa.wait_status("toko", &id, "read").await;
    let row = key.get(&format!("/v1/devices/toko/messages/{id}")).await?.json();
    assert_eq!((&row["to"], &row["kind"]), (&json!("status@broadcast"), &json!("text")));

    // The phone's setting counts, and whoever is named instead of it.
    ann.shows_to("blacklist", &[&eve]);
    let second = post(&key, None, &json!({ "text": "Tanpa Eve" })).await?.expect(202).json();
    sees(&bob, second["id"].as_str().unwrap_or_default()).await?;
    moonwa.wait_status("toko", second["id"].as_str().unwrap_or_default(), "delivered").await;
    assert_eq!((shown(&bob).len(), shown(&eve).len()), (2, 1));
    let named = json!({
        "image": { "base64": data_encoding::BASE64.encode(PICTURE), "caption": "Baru datang" },
        "audience": [dodi.number()],
    });
    let third = post(&key, None, &named).await?.expect(202).json();
    let third = third["id"].as_str().unwrap_or_default();
    let picture = sees(&dodi, third).await?;
    assert_eq!(picture.image_message.caption.as_deref(), Some("Baru datang"));
    assert_eq!(dodi.media(&picture)?, PICTURE);
    assert_eq!((shown(&bob).len(), shown(&eve).len(), shown(&dodi).len()), (2, 1, 1));

    // Deleted for those who have it.
    moonwa.wait_status("toko", third, "delivered").await;
    key.delete(&format!("/v1/devices/toko/messages/{third}")).await?.expect(202);
    let gone = |message: &wa::Message| message.protocol_message.key.id.as_deref() == Some(third);
    let revoked = |item: &moonwa_simulator::InboxItem| {
        item.message().is_some_and(|message| gone(&message.message))
    };
    dodi.wait_inbox(0, revoked).await?;
    assert!(!shown(&bob).iter().any(gone));

    let nobody = json!({ "text": "Halo", "audience": ["628999002999"] });
    let fourth = post(&key, None, &nobody).await?.expect(202).json();
    let fourth = fourth["id"].as_str().unwrap_or_default().to_owned();
    moonwa.wait_status("toko", &fourth, "failed").await;
    let row = key.get(&format!("/v1/devices/toko/messages/{fourth}")).await?.json();
    assert_eq!(row["code"], "no_receivers");
    for wrong in [json!({}), json!({ "text": "a", "font": "comic" }), json!({ "to": "all" })] {
        post(&key, None, &wrong).await?.expect(400);
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_film_comes_in_a_form_for_those_who_are_named() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, eve, dodi) = (
        sim.phone("628111002911", "Ann").await,
        sim.phone("628111002912", "Bob").await,
        sim.phone("628111002913", "Eve").await,
        sim.phone("628111002914", "Dodi").await,
    );
    ann.know(&[(bob.number(), "Bob")])?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let (key, film, path) = (moonwa.key_of("toko"), film(), "/v1/devices/toko/status");
    let [eves, dodis] = [("audience", eve.number()), ("audience", dodi.number())];
    let fields = [("kind", "video"), ("caption", "Besok"), eves, dodis];
    let before = sim.cursor();
    let sent = key.upload(path, &fields, "besok.mp4", &film).await?.expect(202).json();
    let sent = sent["id"].as_str().unwrap_or_default();
    for who in [&dodi, &eve] {
        let seen = sees(who, sent).await?;
        assert_eq!(seen.video_message.caption.as_deref(), Some("Besok"));
        assert!(who.media(&seen)? == film, "byte for byte");
    }
    let is = |entry: &Entry| entry.is_in("message") && entry.attr("id").as_deref() == Some(sent);
    let stanza = sim.wait_journal(before, is).await?;
    assert_eq!(stanza.attr("to").as_deref(), Some("status@broadcast"));
    assert!(shown(&bob).is_empty(), "he is not named");
    for wrong in [[("kind", "voice"), dodis], [("kind", "image"), ("to", "x")]] {
        key.upload(path, &wrong, "a.ogg", b"OggS").await?.expect(400);
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
