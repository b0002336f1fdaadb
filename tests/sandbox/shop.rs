//! The shop: its phone, and the gateway that is linked to it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, Rest, api_key};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Ends, FOLDER};

/// The device in the sandbox's moonwa.toml.
pub(super) const DEVICE: &str = "toko";
/// The number of the shop whose WhatsApp is linked.
pub(super) const NUMBER: &str = "628123456789";
/// How long the gateway may take for what it does at once when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulated WhatsApp, the shop's phone in it, and a real gateway.
pub(super) struct Shop {
    pub(super) sim: Simulator,
    pub(super) phone: Phone,
    pub(super) moonwa: Moonwa,
}

impl Shop {
    /// Starts them. `device` is what moonwa.toml says about the device, beside its label and its key.
    pub(super) async fn open(listen: SocketAddr, device: toml::Table) -> Result<Self> {
        let sim = Simulator::start().await?;
        let phone = sim.phone(NUMBER, "Toko Maju").await;
        let builder = Moonwa::builder(std::env::current_exe()?).listen(listen).without_shell();
        let folder = builder.dir().to_string_lossy().into_owned();
        let moonwa = builder
            .env(FOLDER, folder)
            .whatsapp(&sim)
            .config(&format!("\n{}", configuration(device)?))
            .start()
            .await?;
        Ok(Self { sim, phone, moonwa })
    }

    /// The gateway as its operator.
    pub(super) fn admin(&self) -> &Rest {
        self.moonwa.admin()
    }

    /// START SESSION unless a code is live already, then the phone scans it.
    pub(super) async fn scan(&self) -> Result<()> {
        if self.qr().await.is_none() {
            let path = format!("/v1/devices/{DEVICE}/start");
            accepted(&self.admin().post(&path, &Value::Null).await?)?;
        }
        let mut look = every_moment();
        let qr = timeout(PATIENCE, async {
            loop {
                look.tick().await;
                if let Some(qr) = self.qr().await {
                    return Ok(qr);
                }
                if self.moonwa.device(DEVICE).await?["state"] == "connected" {
                    bail!("the device is linked already");
                }
            }
        });
        self.phone.scan(&qr.await.context("no QR code came")??).await
    }

    /// The QR code that the admin page shows right now.
    pub(super) async fn qr(&self) -> Option<String> {
        let request = self.admin().request(Method::GET, &format!("/v1/devices/{DEVICE}/qr"));
        let request = request.header("accept", "application/json");
        let reply = self.admin().send(request.body(http_body_util::Full::default()).ok()?).await;
        reply.ok()?.json()["qr"].as_str().map(str::to_owned)
    }

    /// Waits until the gateway is connected.
    pub(super) async fn connected(&self) -> Result<()> {
        let mut look = every_moment();
        let connected = timeout(PATIENCE, async {
            while self.moonwa.device(DEVICE).await?["state"] != "connected" {
                look.tick().await;
            }
            Ok(())
        });
        connected.await.context("the gateway did not connect")?
    }

    /// Sends a text to that number, as a program would.
    pub(super) async fn send_text(&self, to: &str, text: &str) -> Result<()> {
        let path = format!("/v1/devices/{DEVICE}/messages");
        let body = json!({"to": to, "text": text});
        accepted(&self.moonwa.key_of(DEVICE).post(&path, &body).await?).map(drop)
    }

    /// A link that logs in to the admin page once.
    pub(super) async fn login_link(&self) -> Result<String> {
        let answer = accepted(&self.admin().post("/v1/login-links", &Value::Null).await?)?;
        let path = answer["path"].as_str().context("no login link")?;
        Ok(format!("http://{}{path}", self.moonwa.address()))
    }

    /// Stops the gateway and removes its folder; at once when it is told to end a second time.
    pub(super) async fn close(self, ends: &mut Ends) -> Result<()> {
        tokio::select! {
            stopped = self.moonwa.stop() => stopped.map(drop),
            () = ends.told() => Ok(()),
        }
    }
}

/// What moonwa.toml says about the device.
pub(super) fn configuration(mut device: toml::Table) -> Result<String> {
    device.insert("label".into(), "Toko Maju".into());
    device.insert("api_key".into(), api_key(DEVICE).into());
    let devices = toml::Table::from_iter([(DEVICE.to_owned(), device.into())]);
    Ok(toml::to_string(&toml::Table::from_iter([("device".to_owned(), devices.into())]))?)
}

/// What the gateway answered, or why it refused.
fn accepted(reply: &moonwa_simulator::harness::Reply) -> Result<Value> {
    if reply.status.is_success() {
        return Ok(reply.json());
    }
    let problem = reply.json();
    bail!("{}", problem["detail"].as_str().unwrap_or(&reply.text()));
}

fn every_moment() -> tokio::time::Interval {
    let mut look = interval(Duration::from_millis(50));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}
