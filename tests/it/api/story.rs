//! Promises of the API that must hold across crashes and restarts: the real binary against the simulated WhatsApp.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::Method;
use moonwa::facade::model::KeyHash;
use moonwa_simulator::harness::{Moonwa, Reply, Rest, WebhookReceiver, api_key, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::PATIENCE;

const MESSAGES: &str = "/v1/devices/toko/messages";

async fn send(rest: &Rest, path: &str, key: &str, body: &Value) -> Result<Reply> {
    let request = rest
        .request(Method::POST, path)
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    rest.send(request.body(Full::from(body.to_string()))?).await
}

/// The ids under which a phone got that text.
fn got(phone: &Phone, text: &str) -> Vec<String> {
    let inbox = phone.inbox();
    let texts = inbox.iter().filter(|item| item.is_text(text)).filter_map(|item| item.message());
    texts.map(|message| message.id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_is_one_message_however_often_it_is_sent() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, cid) = (
        sim.phone("628555200111", "Ann").await,
        sim.phone("628555200112", "Bob").await,
        sim.phone("628555200113", "Cid").await,
    );
    let mut moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .device("gudang", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    moonwa.link("gudang", &cid).await?;
    let body = json!({"to": bob.number(), "text": "pesanan 1017"});

    // Fifty at once, and the power goes before they are all answered.
    let key = moonwa.key_of("toko");
    let (answers, first) = tokio::join!(
        join_all((0..50).map(|_| send(&key, MESSAGES, "order-1017", &body))),
        send(&key, MESSAGES, "order-1017", &body),
    );
    moonwa.kill().await?;
    let first = first?.expect(202).json()["id"].clone();
    moonwa.relaunch().await?;
    let key = moonwa.key_of("toko");
    let again = join_all((0..50).map(|_| send(&key, MESSAGES, "order-1017", &body))).await;
    for answer in answers.into_iter().chain(again) {
        assert_eq!(answer?.expect(202).json()["id"], first);
    }
    moonwa.wait_state("toko", "connected").await;
    let id = first.as_str().context("an id")?;
    moonwa.wait_status("toko", id, "delivered").await;

    let other = json!({"to": bob.number(), "text": "pesanan 1018"});
    let conflict = send(&key, MESSAGES, "order-1017", &other).await?.expect(409);
    assert_eq!(conflict.json()["code"], "idempotency_conflict");
    // A key belongs to its device.
    moonwa.wait_state("gudang", "connected").await;
    let elsewhere = moonwa.key_of("gudang");
    let path = "/v1/devices/gudang/messages";
    let theirs = send(&elsewhere, path, "order-1017", &body).await?.expect(202).json();
    assert_ne!(theirs["id"], first);
    moonwa.wait_status("gudang", theirs["id"].as_str().unwrap_or_default(), "delivered").await;

    // Who asks again is told the same, also when nothing could be sent now.
    moonwa.admin().post("/v1/devices/toko/stop", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "stopped").await;
    let late = send(&key, MESSAGES, "order-1017", &body).await?.expect(202).json();
    assert_eq!((&late["id"], &late["status"]), (&first, &json!("delivered")));
    let fresh = send(&key, MESSAGES, "order-1019", &other).await?.expect(409).json();
    assert_eq!(fresh["code"], "device_not_connected");
    let face = json!({"api_key": api_key("toko"), "receiver": bob.number(), "data": {"message": "pesanan 1017"}});
    let face = send(&moonwa.anyone(), "/api/send-message", "order-1017", &face).await?;
    assert_eq!(face.expect(200).json()["data"]["id"], first, "both faces have one book");

    let ids = got(&bob, "pesanan 1017");
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), 2, "one of each device: {ids:?}");
    assert!(got(&bob, "pesanan 1018").is_empty());
    moonwa.stop().await?;
    Ok(())
}

/// A client of the event stream that remembers where it was.
struct Client {
    stream: BufReader<TcpStream>,
    last: String,
}

impl Client {
    async fn open(moonwa: &Moonwa, last: Option<&str>) -> Result<Self> {
        let mut stream = TcpStream::connect(moonwa.address()).await?;
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "GET /v1/devices/toko/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nX-Api-Key: {}\r\n{last}\r\n",
            api_key("toko")
        );
        stream.write_all(head.as_bytes()).await?;
        Ok(Self { stream: BufReader::new(stream), last: String::new() })
    }

    /// The next message that came in.
    async fn next(&mut self) -> Result<String> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = timeout(PATIENCE, self.stream.read_line(&mut line)).await?;
            anyhow::ensure!(read? > 0, "the stream ended");
            if let Some(id) = line.strip_prefix("id: ") {
                id.trim().clone_into(&mut self.last);
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data)?;
            if event["type"] == "message.received" {
                return Ok(event["data"]["text"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
}

#[tokio::test]
async fn an_event_stream_goes_on_where_it_was_across_a_restart() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555200114", "Ann").await, sim.phone("628555200115", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let mut client = Client::open(&moonwa, Some("0")).await?;
    let mut told = Vec::new();
    for n in 1..=10 {
        bob.send_text(&ann, &format!("pesan {n}")).await?;
    }
    while told.len() < 5 {
        told.push(client.next().await?);
    }
    moonwa.kill().await?;
    for n in 11..=20 {
        bob.send_text(&ann, &format!("pesan {n}")).await?;
    }
    moonwa.relaunch().await?;
    let mut client = Client::open(&moonwa, Some(&client.last)).await?;
    while told.len() < 20 {
        told.push(client.next().await?);
    }
    let expected: Vec<String> = (1..=20).map(|n| format!("pesan {n}")).collect();
    assert_eq!(told, expected, "in order, once each");

    // The same log, page by page, and the same events as the webhook's.
    hook.expect_text("pesan 20").await;
    let key = moonwa.key_of("toko");
    let page = key.get("/v1/devices/toko/events?after=0").await?.expect(200).json();
    let received = |event: &&Value| event["type"] == "message.received";
    let events = page["events"].as_array().cloned().unwrap_or_default();
    let listed: Vec<&Value> = events.iter().filter(received).collect();
    assert_eq!(listed.len(), 20);
    for event in &listed {
        let id = event["id"].as_str().unwrap_or_default();
        let posted = hook.expect(id, |delivery| delivery.id() == id).await;
        assert_eq!(posted.json(), **event);
    }
    // By the id of an event as well, which is what a webhook's receiver remembers.
    let after =
        format!("/v1/devices/toko/events?after={}", listed[17]["id"].as_str().unwrap_or_default());
    let rest = key.get(&after).await?.expect(200).json();
    let rest: Vec<&Value> =
        rest["events"].as_array().into_iter().flatten().filter(received).collect();
    assert_eq!(rest, listed[18..]);
    // Or the newest few, however many there are. That the device is connected may come into the log in between.
    for asked in [0, 3, 100_000] {
        let list = async |after: String| {
            let path = format!("/v1/devices/toko/events?after={after}");
            let page = key.get(&path).await.map(|reply| reply.json()).unwrap_or_default();
            page["events"].as_array().cloned()
        };
        let both = async || (list(format!("-{asked}")).await, list("0".to_owned()).await);
        eventually(&format!("the newest {asked}"), both, |(newest, all)| {
            let (Some(newest), Some(all)) = (newest, all) else { return false };
            newest.len() == all.len().min(asked) && all.ends_with(newest)
        })
        .await;
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_the_log_knows_it_by_its_id() -> Result<()> {
    let (crm, board) = ("mw_crm00001_not-a-secret-in-a-test", "mw_board001_not-a-secret-in-a-test");
    let prometheus = "mw_prom0001_not-a-secret-in-a-test";
    let table = format!(
        "\n[device.toko]\napi_key = \"{}\"\nkeys = [{{ id = \"crm\", hash = \"{}\", scopes = [\"send\"] }}, {{ id = \"board\", hash = \"{}\", scopes = [\"read\"] }}, {{ id = \"prometheus\", hash = \"{}\", scopes = [\"metrics\"] }}]\n\n[device.gudang]\n",
        KeyHash::of(&api_key("toko")),
        KeyHash::of(crm),
        KeyHash::of(board),
        KeyHash::of(prometheus),
    );
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .env("RUST_LOG", "trace")
        .config(&table)
        .start()
        .await?;
    let text = json!({"to": "628123456789", "text": "rahasia"});
    let typing = "/v1/devices/toko/typing";
    let (crm, board) = (moonwa.anyone().with_token(crm), moonwa.anyone().with_token(board));
    crm.post(MESSAGES, &text).await?.expect(409);
    crm.get(MESSAGES).await?.expect(403);
    crm.get("/v1/devices/toko").await?.expect(403);
    board.get(MESSAGES).await?.expect(200);
    board.post(MESSAGES, &text).await?.expect(403);
    board.post(typing, &json!({"to": "628123456789"})).await?.expect(403);
    for rest in [&crm, &board, &moonwa.key_of("toko")] {
        rest.post("/v1/devices/toko/stop", &Value::Null).await?.expect(403);
        rest.get("/v1/config").await?.expect(403);
    }
    // The numbers of all devices are for a key of their own, which opens nothing else; a device's key sees its device.
    let prometheus = moonwa.anyone().with_token(prometheus);
    prometheus.get("/metrics").await?.expect(200);
    for path in [MESSAGES, "/v1/devices", "/v1/devices/toko", "/v1/events", "/v1/config"] {
        prometheus.get(path).await?.expect(403);
    }
    moonwa.admin().get("/metrics").await?.expect(200);
    for rest in [&crm, &board, &moonwa.key_of("toko")] {
        rest.get("/metrics").await?.expect(403);
    }
    let seen = board.get("/v1/devices").await?.expect(200).text();
    assert!(seen.contains("toko") && !seen.contains("gudang"), "{seen}");
    board.get("/v1/devices/gudang").await?.expect(403);
    // `/api` knows scopes too, and a right key is no guess.
    let face = json!({"receiver": "628123456789", "data": {"message": "rahasia"}});
    for _ in 0..12 {
        let refused = board.post("/api/send-message", &face).await?.expect(400).json();
        assert_eq!(refused["error"], "invalid_api_key");
    }
    let stopped = crm.post("/api/send-message", &face).await?.expect(400).json();
    assert_eq!(stopped["error"], "device_not_connected");
    for _ in 0..11 {
        moonwa.anyone().with_token("mw_guess").get("/v1/devices").await?;
    }
    board.get(MESSAGES).await?.expect(200);

    let log = moonwa.log();
    for key in ["crm", "board"] {
        let named = log.lines().any(|line| line.contains("Answered.") && line.contains(key));
        assert!(named, "{key} is not in the log");
    }
    assert!(log.contains("Too many wrong keys"), "who guesses is named");
    for secret in ["not-a-secret-in-a-test", &api_key("toko"), "mw_guess", "rahasia"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    moonwa.stop().await?;
    Ok(())
}
