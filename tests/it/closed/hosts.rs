//! A slow host behind media URLs holds up the downloads of the device that named it, and nothing else.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use data_encoding::BASE64;
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};

/// A host that takes every request and never answers.
struct SilentHost {
    url: String,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl SilentHost {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, peak) = (Arc::clone(&open), Arc::clone(&most));
        std::thread::Builder::new().name("silent host".to_owned()).spawn(move || {
            let mut held: Vec<std::net::TcpStream> = Vec::new();
            for stream in listener.incoming().flatten() {
                if stream.set_nonblocking(true).is_err() {
                    continue;
                }
                // Whoever gave up had closed before the next one came.
                held.retain_mut(is_open);
                held.push(stream);
                count.store(held.len(), Ordering::SeqCst);
                peak.fetch_max(held.len(), Ordering::SeqCst);
            }
        })?;
        Ok(Self { url, open, most })
    }
}

/// Whether the other side has not given up.
fn is_open(stream: &mut std::net::TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

async fn send(moonwa: &Moonwa, device: &str, body: &Value) -> Result<String> {
    let path = format!("/v1/devices/{device}/messages");
    let sent = moonwa.key_of(device).post(&path, body).await?.expect(202).json();
    Ok(sent["id"].as_str().context("an id")?.to_owned())
}

async fn arrives(phone: &Phone, id: &str) -> Result<()> {
    phone.wait_inbox(0, |item| item.message().is_some_and(|message| message.id == id)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_urls_of_a_silent_host_stop_nobodys_other_media() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, eve) =
        (sim.phone("628555900101", "Ann").await, sim.phone("628555900102", "Eve").await);
    let bob = sim.phone("628555900103", "Bob").await;
    let silent = SilentHost::start()?;
    let files = WebhookReceiver::start().await?;
    files.otherwise(Some(Answer::body("nota")));
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .config("\n[media]\nallow_nets = [\"127.0.0.0/8\"]\n")
        .device("toko", &[])
        .device("gudang", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    moonwa.link("gudang", &eve).await?;
    for n in 0..40 {
        let to = sim.phone(&format!("6285559002{n:02}"), "Customer").await;
        let url = format!("{}/{n}.jpg", silent.url);
        send(&moonwa, "toko", &json!({ "to": to.number(), "image": { "url": url } })).await?;
    }
    let open = async || silent.open.load(Ordering::SeqCst);
    eventually("downloads under way", open, |open| *open == 2).await;

    let url = format!("http://{}/nota.txt", files.address());
    let fetched = json!({ "to": bob.number(), "document": { "url": url } });
    arrives(&bob, &send(&moonwa, "gudang", &fetched).await?).await?;
    let document = json!({ "base64": BASE64.encode(b"nota"), "filename": "nota.txt" });
    let inline = json!({ "to": bob.number(), "document": document });
    arrives(&bob, &send(&moonwa, "gudang", &inline).await?).await?;
    // Nor does what the busy device has here already wait for what it has not.
    arrives(&bob, &send(&moonwa, "toko", &inline).await?).await?;
    let text = json!({ "to": bob.number(), "text": "halo" });
    arrives(&bob, &send(&moonwa, "toko", &text).await?).await?;
    assert_eq!(silent.most.load(Ordering::SeqCst), 2, "at most two downloads a device");
    moonwa.stop().await?;
    Ok(())
}
