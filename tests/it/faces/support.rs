//! A gateway that speaks other products' API, and somebody who talks to it as their programs do.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, Reply, Rest, WebhookReceiver, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::Value;

/// The key of the device `toko` that may link it.
pub(crate) const BOSS: &str = "boss-of-toko-0123456789abcdef";
/// What signs the events of `toko`.
pub(super) const SECRET: &str = "a-secret-of-some-length-0123456789";
/// A sound.
pub(super) const SOUND: &[u8] = include_bytes!("../fleet/sounds/tone.mp3");
const BOUNDARY: &str = "0c8b2f4e5a6d47c1b3a99fd2e7f61c58";

/// A gateway with one device, its account and somebody else.
pub(crate) struct Story {
    pub(crate) sim: Simulator,
    pub(crate) ann: Phone,
    pub(crate) bob: Phone,
    pub(crate) hook: WebhookReceiver,
    pub(crate) moonwa: Moonwa,
}

impl Story {
    /// With that face, told of everything in its form. `numbers` ends the numbers of Ann and Bob.
    pub(crate) async fn start(face: &str, numbers: [&str; 2]) -> Result<Self> {
        let sim = Simulator::start().await?;
        let [ann, bob] = numbers.map(|number| format!("628777{number}"));
        let (ann, bob) = (sim.phone(&ann, "Ann").await, sim.phone(&bob, "Bob").await);
        let hook = WebhookReceiver::start().await?;
        let moonwa = gateway(face, &hook).whatsapp(&sim).start().await?;
        speak(&moonwa, &[face]).await?;
        moonwa.link("toko", &ann).await?;
        // Her name comes after the connection is there.
        moonwa.wait_device("toko", "her name", |device| device["push_name"] == "Ann").await;
        Ok(Self { sim, ann, bob, hook, moonwa })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.moonwa.stop().await?;
        self.sim.assert_no_violations();
        Ok(())
    }

    /// What Bob's phone got under that id: the content's only field, by its name.
    pub(crate) async fn got(&self, id: &str) -> Result<(String, Value)> {
        let found = |item: &moonwa_simulator::InboxItem| {
            item.message().is_some_and(|message| message.id == id)
        };
        let item = self.bob.wait_inbox(0, found).await?;
        let message = serde_json::to_value(&item.message().context("a message")?.message)?;
        let fields = message.as_object().context("fields")?;
        let said = |(name, value): (&String, &Value)| {
            let counts = !value.is_null()
                && name.as_str() != "message_context_info"
                && *name != "messageContextInfo";
            counts.then(|| (name.clone(), value.clone()))
        };
        fields.iter().find_map(said).context("nothing in it")
    }
}

fn gateway(face: &str, hook: &WebhookReceiver) -> MoonwaBuilder {
    let table = format!(
        "\n[device.toko]\nlabel = \"Toko Ann\"\ncountry_code = \"62\"\napi_key = \"key-of-toko-0123456789abcdef\"\n\
         keys = [{{ id = \"boss\", hash = \"{BOSS}\", scopes = [\"send\", \"read\", \"admin\"] }}]\n\
         [[device.toko.webhooks]]\nurl = \"{}\"\nevents = [\"*\"]\nformat = \"{face}\"\nqr = true\nsecret = \"{SECRET}\"\n",
        hook.url()
    );
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).config(&table)
}

/// Lets a running gateway speak those faces, and no others.
pub(super) async fn speak(moonwa: &Moonwa, faces: &[&str]) -> Result<()> {
    let line = format!("faces = {faces:?}");
    moonwa.edit_config(|text| {
        let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("faces = ")).collect();
        rest.join("\n").replacen("[store]", &format!("{line}\n[store]"), 1) + "\n"
    })?;
    let spoken = async || {
        let reply = moonwa.admin().get("/v1/faces").await;
        reply.map_or(Value::Null, |reply| reply.json()["faces"].clone())
    };
    eventually("the faces", spoken, |spoken| *spoken == serde_json::json!(faces)).await;
    Ok(())
}

/// A program of one product: it sends its own headers.
pub(super) struct Program {
    rest: Rest,
    headers: Vec<(&'static str, String)>,
}

impl Program {
    pub(super) fn new(moonwa: &Moonwa, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { rest: moonwa.anyone(), headers }
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Reply> {
        let mut request = self.rest.request(method, path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        self.rest.send(request.body(Full::from(body))?).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply> {
        self.ask(Method::GET, path, "", Vec::new()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Reply> {
        self.ask(Method::DELETE, path, "", Vec::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.ask(Method::POST, path, "application/json", body.to_string().into()).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        self.ask(Method::PUT, path, "application/json", body.to_string().into()).await
    }

    pub(super) async fn form(&self, path: &str, body: &str) -> Result<Reply> {
        let kind = "application/x-www-form-urlencoded";
        self.ask(Method::POST, path, kind, body.to_owned().into()).await
    }

    /// A form in parts, with a file.
    pub(super) async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        (part, name, bytes): (&str, &str, &[u8]),
    ) -> Result<Reply> {
        let head = |rest: String| {
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {rest}\r\n\r\n")
        };
        let mut body = Vec::new();
        for (field, value) in fields {
            body.extend(head(format!("name=\"{field}\"")).bytes());
            body.extend(format!("{value}\r\n").bytes());
        }
        body.extend(head(format!("name=\"{part}\"; filename=\"{name}\"")).bytes());
        body.extend(bytes);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.ask(Method::POST, path, &kind, body).await
    }
}

/// The header of Basic authentication with that password.
pub(super) fn basic(key: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("user:{key}")))
}

/// A small picture.
pub(super) fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(64, 48, image::Rgb([200, 30, 30]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("a picture");
    bytes.into_inner()
}
