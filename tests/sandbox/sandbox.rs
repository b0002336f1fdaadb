//! The sandbox: a simulated WhatsApp, a real gateway linked to it, a webhook receiver, and a page on which a virtual
//! phone scans the QR code and chats. No phone, no network, no risk to an account.
//!
//! `cargo run --example sandbox` and open what it prints. It ends with Ctrl-C and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "what a test does not expect shall end it loudly"
)]

#[path = "page.rs"]
mod page;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver, api_key};
use moonwa_simulator::{Phone, Simulator};
use serde_json::Value;
use tokio::net::TcpListener;

/// The device in the sandbox's moonwa.toml.
const DEVICE: &str = "toko";
/// The number of the shop whose WhatsApp is linked.
const SHOP: &str = "628123456789";
/// The number of a customer.
const CUSTOMER: &str = "628987654321";

/// Everything the page shows and does.
struct Sandbox {
    shop: Phone,
    customer: Phone,
    hook: WebhookReceiver,
    moonwa: Moonwa,
    page: std::net::SocketAddr,
    written: Mutex<Vec<Written>>,
}

/// What the customer wrote: a phone's inbox holds only what came.
#[derive(Clone)]
struct Written {
    id: String,
    text: String,
    /// The last inbox item before it.
    after: u64,
}

impl Sandbox {
    /// `start` of `[sandbox --port N]`: a fixed port for the page keeps a bookmark alive.
    async fn start(listener: &TcpListener) -> Result<Self> {
        let sim = Simulator::start().await?;
        let shop = sim.phone(SHOP, "Toko Maju").await;
        let customer = sim.phone(CUSTOMER, "Budi").await;
        let hook = WebhookReceiver::start().await?;
        let moonwa = Moonwa::builder(std::env::current_exe()?)
            .whatsapp(&sim)
            .config(&format!(
                "\n[device.{DEVICE}]\nlabel = \"Toko Maju\"\napi_key = {:?}\nwebhooks = [{:?}]\n",
                api_key(DEVICE),
                hook.url()
            ))
            .start()
            .await?;
        let written = Mutex::default();
        Ok(Self { shop, customer, hook, moonwa, page: listener.local_addr()?, written })
    }

    /// The customer writes to the shop.
    async fn write(&self, text: &str) -> Result<()> {
        let after = self.customer.inbox().last().map_or(0, |item| item.seq);
        let id = self.customer.send_text(&self.shop, text).await?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.push(Written { id, text: text.to_owned(), after });
        Ok(())
    }

    /// Everything the customer wrote.
    fn written(&self) -> Vec<Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A link that logs in to the admin page once.
    async fn login_link(&self) -> Result<String> {
        let reply = self.moonwa.admin().post("/v1/login-links", &Value::Null).await?;
        let path = reply.json()["path"].as_str().context("no login link")?.to_owned();
        Ok(format!("http://{}{path}", self.moonwa.address()))
    }

    /// The call a program would make to answer the customer.
    fn curl(&self) -> String {
        format!(
            "curl -s http://{}/api/send-message -H 'content-type: application/json' \\\n  -d '{{\"api_key\": \"{}\", \"receiver\": \"{CUSTOMER}\", \"data\": {{\"message\": \"Halo dari moonwa\"}}}}'",
            self.moonwa.address(),
            api_key(DEVICE),
        )
    }

    /// START SESSION unless a code is live already, then the phone scans it.
    async fn scan(&self) -> Result<()> {
        let state = self.moonwa.device(DEVICE).await?;
        if state["state"] != "linking" {
            self.moonwa.admin().post(&format!("/v1/devices/{DEVICE}/start"), &Value::Null).await?;
        }
        self.shop.scan(&self.moonwa.qr(DEVICE).await).await
    }

    /// Whether a QR code is on the admin page right now.
    async fn has_qr(&self) -> bool {
        let request = self.moonwa.admin().request(Method::GET, &format!("/v1/devices/{DEVICE}/qr"));
        let request =
            request.header("accept", "application/json").body(http_body_util::Full::default());
        match request {
            Ok(request) => {
                self.moonwa.admin().send(request).await.is_ok_and(|reply| reply.status.is_success())
            }
            Err(_) => false,
        }
    }
}

fn main() -> Result<ExitCode> {
    // The sandbox starts itself again as the gateway, so that one command builds everything.
    if std::env::args().nth(1).as_deref() == Some("run") {
        return Ok(moonwa::main());
    }
    let port = std::env::args()
        .skip_while(|argument| argument != "--port")
        .nth(1)
        .map_or(Ok(0), |port| port.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let sandbox = Arc::new(Sandbox::start(&listener).await?);
        println!("\n  The sandbox runs: a simulated WhatsApp, moonwa, and a webhook receiver.\n");
        println!("  1. Open the virtual phones    http://{}/", sandbox.page);
        println!(
            "  2. Open moonwa's admin page   {}   (logs in once)",
            sandbox.login_link().await?
        );
        println!("     press START SESSION on the admin page, then Scan on the phone,");
        println!("  3. and send a message as a program would:\n\n{}\n", sandbox.curl());
        println!("  Ctrl-C ends it.\n");
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            served = page::serve(listener, sandbox.clone()) => served?,
            stopped = tokio::signal::ctrl_c() => stopped?,
            // Without this the gateway would outlive it.
            _ = ended.recv() => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}
