//! What cannot be sent, and the documented answer to each, soon: the real binary against the simulated WhatsApp and
//! file servers of all sorts.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, Rest, api_key};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const MESSAGES: &str = "/v1/devices/toko/messages";

/// What a file server does after it was asked.
#[derive(Clone, Copy)]
enum Then {
    Close,
    /// Sends without end, as fast as it is taken.
    Flood,
    /// Says nothing more and keeps the connection.
    Silence,
}

/// A file server that answers every request with these bytes.
async fn server(tasks: &mut JoinSet<()>, head: &'static str, then: Then) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            open.spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    asked.push(byte);
                }
                stream.write_all(head.as_bytes()).await.ok();
                match then {
                    Then::Close => {}
                    Then::Flood => while stream.write_all(&[b'x'; 8192]).await.is_ok() {},
                    Then::Silence => std::future::pending::<()>().await,
                }
            });
        }
    });
    Ok(address)
}

/// What becomes of a document with that URL, on either face.
async fn document(moonwa: &Moonwa, to: &str, url: &str) -> Result<Value> {
    let face = json!({"api_key": api_key("toko"), "receiver": to, "data": {"url": url, "media_type": "file"}});
    let face = moonwa.anyone().post("/api/send-media", &face).await?.expect(400).json();
    assert_eq!(face["message"], "Failed to send media.", "{url}");
    let body = json!({"to": to, "document": {"url": url}});
    let path = format!("{MESSAGES}?wait=60s");
    let sent = moonwa.key_of("toko").post(&path, &body).await?.expect(200).json();
    assert_eq!((&sent["status"], &sent["code"]), (&json!("failed"), &face["error"]), "{url}");
    Ok(face["error"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_had_is_explained() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555300111", "Ann").await, sim.phone("628555300112", "Bob").await);
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        // A minute's patience becomes five seconds: two rows wait it out, the others must not.
        .env("MOONWA_RETRY_SCALE", "0.083")
        .config("\n[media]\nmax_size = \"1 MiB\"\nallow_nets = [\"127.0.0.0/8\"]\n")
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let mut tasks = JoinSet::new();
    let metadata = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n";
    let rows = [
        (metadata, Then::Close, "media_url_denied"),
        (
            "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
            Then::Close,
            "media_fetch_failed",
        ),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Then::Close, "media_fetch_failed"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n", Then::Flood, "media_too_large"),
        ("HTTP/1.1 200 OK\r\n\r\n", Then::Flood, "media_too_large"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", Then::Silence, "media_fetch_failed"),
        ("", Then::Silence, "media_fetch_failed"),
    ];
    for (head, then, code) in rows {
        let address = server(&mut tasks, head, then).await?;
        let url = format!("http://{address}/nota.pdf");
        assert_eq!(document(&moonwa, bob.number(), &url).await?, code, "{head}");
    }
    for url in [
        "http://169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://10.0.0.1/",
    ] {
        assert_eq!(document(&moonwa, bob.number(), url).await?, "media_url_denied", "{url}");
    }
    // And after all that, what can be sent is.
    moonwa.send_text("toko", bob.number(), "masih di sini").await?;
    bob.expect_text("masih di sini").await?;
    moonwa.stop().await?;
    Ok(())
}

/// The answer of `/api` to a text, as it is on the wire.
async fn face(rest: &Rest, to: &str) -> Result<String> {
    let body = json!({"api_key": api_key("toko"), "receiver": to, "data": {"message": "halo"}});
    Ok(rest.post("/api/send-message", &body).await?.expect(400).text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_cannot_be_reached_is_explained() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, cid) = (
        sim.phone("628555300113", "Ann").await,
        sim.phone("628555300114", "Bob").await,
        sim.phone("628555300115", "Cid").await,
    );
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let (anyone, key) = (moonwa.anyone(), moonwa.key_of("toko"));
    let wait = format!("{MESSAGES}?wait=30s");
    let text = |to: &str| json!({"to": to, "text": "halo"});

    let nobody = key.post(&wait, &text("628999999999")).await?.expect(200).json();
    assert_eq!((&nobody["status"], &nobody["code"]), (&json!("failed"), &json!("not_on_whatsapp")));
    let refused =
        r#"{"status":false,"message":"Invalid WhatsApp number.","error":"not_on_whatsapp"}"#;
    assert_eq!(face(&anyone, "628999999999").await?, refused);

    let group = sim.group("Tim", &[&bob, &ann]).await?;
    group.remove(&bob, &[&ann]).await?;
    let left = key.post(&wait, &text(&group.jid())).await?.expect(200).json();
    assert_eq!((&left["status"], &left["code"]), (&json!("failed"), &json!("refused")), "{left}");
    let refused = r#"{"status":false,"message":"Failed to send message.","error":"refused"}"#;
    assert_eq!(face(&anyone, &group.jid()).await?, refused);

    // Locked for new contacts: who wrote first is still answered.
    bob.send_text(&ann, "halo, toko").await?;
    let tail = || async {
        key.get("/v1/devices/toko/events?after=0")
            .await
            .map(|reply| reply.text())
            .unwrap_or_default()
    };
    moonwa_simulator::harness::eventually("the message", tail, |text: &String| {
        text.contains("halo, toko")
    })
    .await;
    sim.lock_sending(ann.number(), 3600);
    let nacked = key.post(&wait, &text(cid.number())).await?.expect(200).json();
    assert_eq!((&nacked["status"], &nacked["code"]), (&json!("failed"), &json!("463")));
    moonwa
        .wait_device("toko", "locked", |device| {
            device["reason"] == "sending_locked" && device["until"].is_string()
        })
        .await;
    let locked = key.post(&wait, &text(cid.number())).await?.expect(409);
    assert_eq!(locked.json()["code"], "sending_locked");
    let after: u64 = locked.headers["retry-after"].to_str()?.parse()?;
    assert!((1..=3600).contains(&after), "{after}");
    let refused =
        r#"{"status":false,"message":"Failed to send message.","error":"sending_locked"}"#;
    assert_eq!(face(&anyone, cid.number()).await?, refused);
    let answered = key.post(&wait, &text(bob.number())).await?.expect(200).json();
    assert_ne!(answered["status"], "failed", "{answered}");

    // While it comes back by itself a message waits; `/api` promises nothing.
    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    moonwa.wait_state("toko", "reconnecting").await;
    let queued = key.post(MESSAGES, &text(bob.number())).await?.expect(202).json();
    let stopped =
        r#"{"status":false,"message":"Device is stopped.","error":"device_not_connected"}"#;
    assert_eq!(face(&anyone, bob.number()).await?, stopped);
    sim.refuse_connections(false);
    moonwa.wait_state("toko", "degraded").await;
    moonwa.wait_status("toko", queued["id"].as_str().context("an id")?, "delivered").await;

    moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "logged_out").await;
    let out = key.post(MESSAGES, &text(bob.number())).await?.expect(409).json();
    assert_eq!(
        (&out["code"], &out["detail"]),
        (&json!("device_not_connected"), &json!("the device is logged out"))
    );
    assert_eq!(face(&anyone, bob.number()).await?, stopped);
    moonwa.stop().await?;
    Ok(())
}
