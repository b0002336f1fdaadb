//! Many clients, most of them slow or hostile, and one that only wants its answer. The figures: `cargo test --release
//! --test it closed::crowd -- --nocapture`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::{join_all, try_join_all};
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, Rest, api_key, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const DEVICE: &str = "toko";
const PATIENCE: Duration = Duration::from_secs(60);
const HEADS: usize = 1000;
const BODIES: usize = 300;
const ADDRESSES: usize = 9;
const ASKED: usize = 200;

async fn gateway() -> Result<Moonwa> {
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).device(DEVICE, &[]).start().await?;
    moonwa.edit_config(|text| {
        text.replace("[store]", "trusted_proxies = [\"127.0.0.1\"]\n\n[store]")
    })?;
    moonwa.admin().post("/v1/config/reload", &serde_json::Value::Null).await?.expect(200);
    Ok(moonwa)
}

/// The slow clients, and what they were told in the end.
#[derive(Default)]
struct Crowd {
    clients: JoinSet<Result<String>>,
    /// How many bodies broke off with a whole answer.
    told: Arc<AtomicUsize>,
}

impl Crowd {
    /// Sends a part of a request and then nothing more.
    async fn join(&mut self, moonwa: &Moonwa, part: String) -> Result<()> {
        let mut stream = TcpStream::connect(moonwa.address()).await?;
        stream.write_all(part.as_bytes()).await?;
        let told = Arc::clone(&self.told);
        self.clients.spawn(async move {
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.ok();
            let said = String::from_utf8_lossy(&said).into_owned();
            told.fetch_add(
                said.contains("Too many connections are open.").into(),
                Ordering::Relaxed,
            );
            Ok(said)
        });
        Ok(())
    }

    async fn heads(&mut self, moonwa: &Moonwa) -> Result<()> {
        for n in 0..HEADS {
            let from = n % ADDRESSES;
            let part = format!(
                "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.{from}\r\n"
            );
            self.join(moonwa, part).await?;
        }
        Ok(())
    }

    async fn bodies(&mut self, moonwa: &Moonwa) -> Result<()> {
        for n in 0..BODIES {
            let from = n % ADDRESSES;
            let part = format!(
                "POST /api/send-message HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.{from}\r\n\
                 Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
            );
            self.join(moonwa, part).await?;
        }
        Ok(())
    }
}

/// What a client behind the same proxy waits for its answers, at the 99th percentile.
async fn ask(moonwa: &Moonwa) -> Result<Duration> {
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let began = Instant::now();
        let request = moonwa.anyone().request(Method::GET, "/healthz");
        let request = request.header("x-forwarded-for", "198.51.100.1").body(Full::default())?;
        let anyone = moonwa.anyone();
        timeout(PATIENCE, anyone.send(request)).await.context("no answer")??.expect(200);
        took.push(began.elapsed());
    }
    took.sort();
    Ok(took[ASKED * 99 / 100])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_client_is_answered_beside_a_thousand_slow_ones() -> Result<()> {
    let moonwa = gateway().await?;
    ask(&moonwa).await?;
    let before = moonwa.figure("VmRSS")?;
    let mut crowd = Crowd::default();
    crowd.heads(&moonwa).await?;
    let beside_heads = ask(&moonwa).await?;
    crowd.bodies(&moonwa).await?;
    let beside_bodies = ask(&moonwa).await?;
    let key = moonwa.key_of(DEVICE);
    // A body of its own comes through as well.
    let message = json!({ "to": "62855520019", "text": "halo" });
    key.post("/v1/devices/toko/messages", &message).await?.expect(409);
    let grown = i64::from(moonwa.figure("VmRSS")?) - i64::from(before);
    println!(
        "p99 beside slow heads {beside_heads:?}, beside slow bodies {beside_bodies:?}; RSS {grown:+} KiB"
    );

    // More came than there is room for, so some were told to come back: whole answers, no bare end.
    let more = async {
        while crowd.told.load(Ordering::Relaxed) == 0 {
            crowd.bodies(&moonwa).await?;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, more).await.context("no slow body was told")??;
    let mut told = 0;
    for client in crowd.clients.join_all().await {
        let said = client?;
        if said.contains("too_many_connections") || said.starts_with("HTTP/1.1 503") {
            assert!(said.contains("retry-after: "), "{said}");
            told += 1;
        }
    }
    assert!(told > 0);
    moonwa.stop().await?;
    Ok(())
}

async fn stream(moonwa: &Moonwa, key: &str) -> Result<(u16, TcpStream)> {
    let mut stream = TcpStream::connect(moonwa.address()).await?;
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut head)).await??;
    let status = std::str::from_utf8(&head)?.rsplit(' ').next().context("a status")?.parse()?;
    Ok((status, stream))
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_programs_on_this_machine_are_answered_beside_open_streams() -> Result<()> {
    let moonwa = gateway().await?;
    let mut open = Vec::new();
    for n in 0..9 {
        let (status, stream) = stream(&moonwa, &api_key(DEVICE)).await?;
        assert_eq!(status, if n < 8 { 200 } else { 503 }, "stream {n}");
        open.push(stream);
    }
    let clients: Vec<Rest> = (0..60).map(|_| moonwa.anyone()).collect();
    for answer in join_all(clients.iter().map(|client| client.get("/healthz"))).await {
        answer?.expect(200);
    }
    // Idle connections, as a pool keeps them, hold nobody up.
    let idle = try_join_all((0..300).map(|_| TcpStream::connect(moonwa.address()))).await?;
    let (exit, said) = moonwa.command(&["status"]).await?;
    assert_eq!(exit, 0, "{said}");
    drop(idle);
    drop(open);
    let again = async || stream(&moonwa, &api_key(DEVICE)).await.map(|(status, _)| status).ok();
    eventually("a stream after the others are closed", again, |status| *status == Some(200)).await;
    moonwa.stop().await?;
    Ok(())
}
