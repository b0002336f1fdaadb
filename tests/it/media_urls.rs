//! The URLs of received files in events: absolute where the file says under which address moonwa is reached, and signed,
//! so that a program without a key fetches them as they stand.

use anyhow::Result;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, Rest, WebhookReceiver, eventually};
use moonwa_simulator::{File, Simulator};
use serde_json::{Value, json};

use crate::clock::JumpingClock;

const DAY: i64 = 24 * 3600;

/// What an event says of the file of that message.
fn media(event: &Value) -> (String, String) {
    let text = |name: &str| event["data"]["media"][name].as_str().unwrap_or_default().to_owned();
    (text("url"), text("signed_url"))
}

/// The same as the list of events tells it.
async fn listed(key: &Rest, message: &str) -> Result<(String, String)> {
    let page = key.get("/v1/devices/toko/events").await?.expect(200).json();
    let events = page["events"].as_array().unwrap();
    Ok(media(events.iter().find(|event| event["data"]["id"] == message).unwrap()))
}

#[tokio::test]
async fn a_signed_url_is_good_for_its_file_and_a_day_and_nothing_else() -> Result<()> {
    let clock = JumpingClock::make()?;
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000171", "Ann").await, sim.phone("628111000172", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[hook.url()])
        .device("gudang", &[])
        .env("RUST_LOG", "debug");
    let mut moonwa = clock.wound_into(builder).start().await?;
    moonwa.link("toko", &ann).await?;
    let bytes: Vec<u8> = (0..30_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let id =
        bob.send_file(&ann, &bytes, "application/pdf", File::Document("nota.pdf".into())).await?;
    let post = hook.expect("the file", |post| post.json()["data"]["id"] == json!(id)).await;

    let (url, signed) = media(&post.json());
    assert_eq!(url, format!("/v1/devices/toko/media/{id}"));
    let query = signed.strip_prefix(&url).unwrap();
    let anyone = moonwa.anyone();
    anyone.get(&url).await?.expect(401);
    let file = anyone.get(&signed).await?.expect(200);
    assert_eq!(file.body, bytes);
    assert_eq!(file.headers["content-type"], "application/pdf");
    let head = anyone.request(Method::HEAD, &signed).body(Full::default())?;
    let head = anyone.send(head).await?.expect(200);
    assert_eq!(head.headers["content-length"], bytes.len().to_string());
    assert!(head.body.is_empty());

    let (expires, signature) = query.split_once("&signature=").unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    for forged in [
        format!("/v1/devices/toko/media/3EB0OTHER{query}"),
        format!("/v1/devices/gudang/media/{id}{query}"),
        format!("/v1/devices/toko/messages/{id}{query}"),
        format!("/v1/devices/toko/events{query}"),
        format!("{url}{expires}0&signature={signature}"),
        format!("{url}{expires}&signature={other}{}", &signature[1..]),
        format!("{url}{expires}&signature="),
        format!("{url}?signature={signature}"),
    ] {
        anyone.get(&forged).await?.expect(401);
    }
    let delete = anyone.request(Method::DELETE, &signed).body(Full::default())?;
    anyone.send(delete).await?.expect(405);

    let public = format!("http://{}/wa", moonwa.address());
    let said = format!("base_path = \"/wa/\"\npublic_url = \"{public}/\"\n\n[store]");
    moonwa.edit_config(|text| text.replace("[store]", &said))?;
    let key = moonwa.key_of("toko");
    let absolute = format!("{public}{url}");
    let look = async || listed(&key, &id).await.unwrap();
    let (_, signed) = eventually("the URL is absolute", look, |(url, _)| *url == absolute).await;
    let place = signed.strip_prefix(&format!("http://{}", moonwa.address())).unwrap();
    assert_eq!(anyone.get(place).await?.expect(200).body, bytes, "as it stands");

    moonwa.restart().await?;
    moonwa.wait_state("toko", "connected").await;
    let (anyone, key) = (moonwa.anyone(), moonwa.key_of("toko"));
    assert_eq!(anyone.get(place).await?.expect(200).body, bytes, "after a restart too");
    clock.jump(DAY + 60)?;
    let expired = anyone.get(place).await?.expect(410).json();
    assert_eq!(expired["code"], "url_expired");
    assert!(expired["detail"].as_str().unwrap().contains("/events"), "{expired}");
    let (_, fresh) = listed(&key, &id).await?;
    let place = fresh.strip_prefix(&public).unwrap();
    assert_eq!(anyone.get(place).await?.expect(200).body, bytes);
    for secret in [signature, fresh.rsplit_once('=').unwrap().1] {
        assert!(!moonwa.log().contains(secret), "a signature reached the log");
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
