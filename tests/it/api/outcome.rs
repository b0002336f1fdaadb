//! What becomes of a message, told to the caller: accepted, played, refused, and by whom.

use std::io::{Cursor, Read, Write};
use std::net::TcpListener;

use super::send::linked;
use super::support::{Gateway, KEY};
use anyhow::{Context as _, Result};
use image::{ImageFormat, Rgb, RgbImage};
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/devices/toko/messages";

async fn status(gateway: &Gateway, id: &str, wanted: &str) -> Value {
    let path = format!("{MESSAGES}/{id}");
    let look = || async { gateway.key().get(&path).await.map_or(Value::Null, |r| r.json()) };
    eventually(wanted, look, |message: &Value| message["status"] == wanted).await
}

/// Sends a text and returns its id.
async fn send(gateway: &Gateway, to: &str, text: &str) -> Result<String> {
    let body = json!({ "to": to, "text": text });
    let sent = gateway.key().post(MESSAGES, &body).await?.expect(202).json();
    Ok(sent["id"].as_str().context("an id")?.to_owned())
}

#[tokio::test]
async fn accepted_is_what_the_server_accepted() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000211", "Ann").await, sim.phone("628555000212", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    bob.auto_delivered(false);
    sim.fault(&ann, Fault::AckHold);
    let body = json!({ "to": bob.number(), "text": "pelan" });
    let waited = gateway.key().post(&format!("{MESSAGES}?wait=300ms"), &body).await?.expect(202);
    let id = waited.json()["id"].as_str().context("an id")?.to_owned();
    bob.expect_text("pelan").await?;
    let now = status(&gateway, &id, "sent").await;
    assert_eq!(now["code"], Value::Null, "on its way, and nobody says more: {now}");
    assert_eq!(sim.release_acks(ann.number()), 1);
    status(&gateway, &id, "accepted").await;
    for (receipt, wanted) in [("", "delivered"), ("read", "read"), ("played", "played")] {
        match receipt {
            "read" => bob.read(&id).await?,
            "played" => bob.played(&id).await?,
            _ => bob.delivered(&id).await?,
        }
        status(&gateway, &id, wanted).await;
    }
    bob.read(&id).await?;
    status(&gateway, &id, "played").await;
    sim.assert_no_violations();
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_locked_account_writes_to_nobody_but_its_groups() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000213", "Ann").await, sim.phone("628555000214", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    sim.lock_sending(ann.number(), 3600);
    let body = json!({ "to": bob.number(), "text": "salam kenal" });
    let failed =
        gateway.key().post(&format!("{MESSAGES}?wait=20s"), &body).await?.expect(200).json();
    assert_eq!((&failed["status"], &failed["code"]), (&json!("failed"), &json!("463")));
    let look = || async {
        gateway.key().get("/v1/devices/toko").await.map_or(Value::Null, |reply| reply.json())
    };
    let device = eventually("the lock", look, |device| device["state"] == "degraded").await;
    assert_eq!(device["reason"], "sending_locked");
    assert!(device["until"].is_string(), "WhatsApp said until when: {device}");

    let asked = || sim.journal().iter().filter(|entry| entry.tag == "locked").count();
    let before = asked();
    let refused = gateway.key().post(MESSAGES, &body).await?.expect(409);
    assert_eq!(refused.json()["code"], "sending_locked");
    let wait: u64 = refused.headers["retry-after"].to_str()?.parse()?;
    assert!((3000..=3600).contains(&wait), "{wait}");
    let face = json!({ "api_key": KEY, "receiver": bob.number(), "data": { "message": "x" } });
    let refused = gateway.anyone().post("/api/send-message", &face).await?.expect(400);
    assert_eq!(
        refused.text(),
        r#"{"status":false,"message":"Failed to send message.","error":"sending_locked"}"#
    );
    assert_eq!(asked(), before, "WhatsApp is not asked again");
    let id = send(&gateway, &group.jid(), "di grup boleh").await?;
    assert_eq!(bob.expect_text("di grup boleh").await?.id, id);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_refusal_for_one_receiver_does_not_lock_the_account() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000215", "Ann").await, sim.phone("628555000216", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    // A lock of the past: WhatsApp says that there is none.
    sim.lock_sending(ann.number(), 0);
    sim.fault(&ann, Fault::Nack(463));
    let id = send(&gateway, bob.number(), "satu").await?;
    assert_eq!(status(&gateway, &id, "failed").await["code"], "463");
    let id = send(&gateway, bob.number(), "dua").await?;
    assert_eq!(bob.expect_text("dua").await?.id, id);
    // `/api` says "sent" of what the server took, not of what was written to a socket.
    sim.fault(&ann, Fault::Nack(479));
    let face = json!({ "api_key": KEY, "receiver": bob.number(), "data": { "message": "tiga" } });
    let refused = gateway.anyone().post("/api/send-message", &face).await?.expect(400);
    assert_eq!(
        refused.text(),
        r#"{"status":false,"message":"Failed to send message.","error":"479"}"#
    );
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_cannot_arrive_is_told() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000217", "Ann").await, sim.phone("628555000218", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let id = send(&gateway, "628999999999", "siapa?").await?;
    assert_eq!(status(&gateway, &id, "failed").await["code"], "not_on_whatsapp");

    let group = sim.group("Bekas", &[&bob, &ann]).await?;
    let id = send(&gateway, &group.jid(), "masih ada").await?;
    assert_eq!(bob.expect_text("masih ada").await?.id, id);
    group.remove(&bob, &[&ann]).await?;
    let id = send(&gateway, &group.jid(), "sudah keluar").await?;
    assert_eq!(status(&gateway, &id, "failed").await["code"], "403");
    gateway.key().get(&format!("/v1/devices/toko/groups/{}", group.jid())).await?.expect(404);

    let unknown = json!({ "to": bob.number(), "forward": { "message": "3EB0NOBODY" } });
    let unknown = gateway.key().post(MESSAGES, &unknown).await?.expect(404);
    assert_eq!(unknown.json()["code"], "message_not_found");
    let asked = bob.send_text(&ann, "promo!").await?;
    let forward = json!({ "to": bob.number(), "forward": { "message": asked } });
    let known = async || gateway.key().post(MESSAGES, &forward).await.ok();
    let sent = eventually("it came in", known, |reply| {
        reply.as_ref().is_some_and(|reply| reply.status == 202)
    });
    let id = sent.await.context("an answer")?.json()["id"].as_str().context("an id")?.to_owned();
    let item = bob.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
    assert_eq!(item.message().and_then(|m| m.text.as_deref()), Some("promo!"));
    let contact = format!("/v1/devices/toko/contacts/{}", bob.number());
    let contact = gateway.key().get(&contact).await?.expect(200).json();
    assert_eq!(
        (&contact["name"], &contact["lid"]),
        (&json!("Bob"), &json!(bob.lid().trim_end_matches("@lid")))
    );

    let look = || async {
        gateway.key().get("/v1/devices/toko").await.map_or(Value::Null, |reply| reply.json())
    };
    // The account's name comes in its own time, and only while it is connected.
    eventually("its name", look, |device| device["push_name"] == "Ann").await;
    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    eventually("reconnecting", look, |device| device["state"] == "reconnecting").await;
    let id = send(&gateway, bob.number(), "nanti").await?;
    status(&gateway, &id, "queued").await;
    let own = gateway.key().get("/v1/devices/toko").await?.json();
    assert_eq!((&own["phone"], &own["push_name"]), (&json!(ann.number()), &json!("Ann")));
    assert_eq!(format!("{}@lid", own["lid"].as_str().context("a LID")?), ann.lid());
    sim.refuse_connections(false);
    assert_eq!(bob.expect_text("nanti").await?.id, id);

    ann.unlink(1).await?;
    eventually("logged out", look, |device| device["state"] == "logged_out").await;
    let body = json!({ "to": bob.number(), "text": "x" });
    let refused = gateway.key().post(MESSAGES, &body).await?.expect(409);
    assert_eq!(refused.json()["code"], "device_not_connected");
    gateway.stop().await;
    Ok(())
}

/// Answers every request with `answer`; returns the host's URL.
fn host(answer: impl Into<Vec<u8>>) -> Result<String> {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/x.png", listener.local_addr()?);
    std::thread::Builder::new().spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                asked.extend(byte);
            }
            // The gateway may hang up as soon as it has seen enough.
            stream.write_all(&answer).ok();
        }
    })?;
    Ok(url)
}

#[tokio::test]
async fn what_a_url_does_not_give_is_told() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000219", "Ann").await, sim.phone("628555000220", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let large = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 2147483648\r\nConnection: close\r\n\r\n\x7fPNG";
    let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (answer, code) in
        [(redirect, "media_url_denied"), (large, "media_too_large"), (gone, "media_fetch_failed")]
    {
        let body = json!({ "to": bob.number(), "image": { "url": host(answer)? } });
        let path = format!("{MESSAGES}?wait=20s");
        let failed = gateway.key().post(&path, &body).await?.expect(200).json();
        assert_eq!((&failed["status"], &failed["code"]), (&json!("failed"), &json!(code)));
        assert!(failed["detail"].is_string(), "{failed}");
    }
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_link_is_shown_with_its_title_when_asked() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000221", "Ann").await, sim.phone("628555000222", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<title>Toko &amp; Kopi</title><meta name=\"description\" content=\"Buka jam 8\">";
    let url = host(page)?;
    let send = async |text: String, link_preview: bool| {
        let body = json!({ "to": bob.number(), "text": text, "link_preview": link_preview });
        let sent = gateway.key().post(MESSAGES, &body).await?.expect(202).json();
        let id = sent["id"].as_str().context("an id")?.to_owned();
        let item = bob.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
        anyhow::Ok(item.message().context("a message")?.message.clone())
    };
    let text = format!("lihat {url} ya");
    let plain = send(text.clone(), false).await?;
    assert_eq!(plain.conversation.as_deref(), Some(text.as_str()), "nothing is fetched unasked");
    let shown = send(text.clone(), true).await?;
    let shown = shown.extended_text_message.as_option().context("a text with a link")?;
    assert_eq!(shown.text.as_deref(), Some(text.as_str()));
    assert_eq!(shown.matched_text.as_deref(), Some(url.as_str()));
    assert_eq!(shown.title.as_deref(), Some("Toko & Kopi"));
    assert_eq!(shown.description.as_deref(), Some("Buka jam 8"));
    assert_eq!(shown.jpeg_thumbnail, None, "the page has none");

    let mut picture = Cursor::new(Vec::new());
    RgbImage::from_pixel(160, 80, Rgb([250, 0, 0])).write_to(&mut picture, ImageFormat::Png)?;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n";
    let picture = [head.as_slice(), &picture.into_inner()].concat();
    let page = |picture: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<title>Kopi</title><meta property=\"og:image\" content=\"{picture}\">"
        )
    };
    // Accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("http://{}/x.png", silent.local_addr()?);
    for (picture, has_one) in [
        (host(picture)?, true),
        (host("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?, false),
        (host("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>")?, false),
        ("http://169.254.169.254/x.png".to_owned(), false),
        (silent, false),
    ] {
        let shown = send(host(page(&picture))?, true).await?;
        let shown = shown.extended_text_message.as_option().context("a text with a link")?;
        assert_eq!(shown.title.as_deref(), Some("Kopi"), "{picture}");
        assert_eq!(shown.jpeg_thumbnail.is_some(), has_one, "{picture}");
        if let Some(small) = &shown.jpeg_thumbnail {
            let small = image::load_from_memory(small)?.to_rgb8();
            assert_eq!(small.dimensions(), (100, 50));
            assert!(small.get_pixel(50, 25).0[0] > 240);
        }
    }

    let closed = "rahasia http://169.254.169.254/latest".to_owned();
    let closed_text = send(closed.clone(), true).await?;
    assert_eq!(closed_text.conversation, Some(closed), "sent, and shown as it is");
    gateway.stop().await;
    Ok(())
}
