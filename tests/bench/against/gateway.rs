//! The two that are compared, behind one face: moonwa, and sessions of Baileys with a webhook and an endpoint that sends.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moonwa_simulator::harness::{Moonwa, Rest, api_key};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Moonwa,
    Baileys,
}

/// Where Baileys is, and a node that runs it.
pub(crate) struct Installed {
    node: PathBuf,
    library: PathBuf,
}

impl Installed {
    /// Installs both below `target/`, from npm, unless they are there.
    pub(crate) fn get() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut install = std::process::Command::new(root.join(".ci/baileys"));
        let done = install.stderr(Stdio::inherit()).output().context(".ci/baileys needs bash")?;
        ensure!(
            done.status.success(),
            ".ci/baileys failed; it needs npm, and node to ask for the processor's kind"
        );
        let folder = String::from_utf8(done.stdout)?;
        let node = Path::new(folder.trim()).join("node");
        let library = "target/baileys/node_modules/@whiskeysockets/baileys/lib/index.js";
        Ok(Self { node, library: root.join(library) })
    }
}

/// A way to send that a program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// moonwa's `/v1`, and the only one that Baileys' program has.
    V1,
    /// moonwa's `/api/send-message`.
    Api,
}

pub(crate) struct Baileys {
    command: Box<dyn Fn() -> Command + Send + Sync>,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it told and nobody has waited for yet.
    told: Vec<Value>,
    port: u64,
    dir: TempDir,
}

pub(crate) enum Gateway {
    Moonwa(Box<Moonwa>),
    Baileys(Box<Baileys>),
}

impl Baileys {
    async fn start(sim: &Simulator, at: &Installed, devices: usize, hook: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("baileys-").tempdir()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/against/baileys.mjs");
        let arguments = [
            script.into_os_string(),
            at.library.clone().into_os_string(),
            sim.ws_url().into(),
            BASE64_STANDARD.encode(sim.root_public_key()).into(),
            dir.path().as_os_str().to_owned(),
            hook.into(),
            devices.to_string().into(),
        ];
        let node = at.node.clone();
        let command = Box::new(move || {
            let mut command = Command::new(&node);
            command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
            command
        });
        let (child, lines) = Self::launch(&mut command())?;
        let mut this = Self { command, child, lines, told: Vec::new(), port: 0, dir };
        this.ready().await?;
        Ok(this)
    }

    fn launch(command: &mut Command) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut child = command.spawn().context("starting node")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok((child, lines))
    }

    async fn ready(&mut self) -> Result<()> {
        let ready = self.expect("ready", |told| told["is"] == "ready").await?;
        self.port = ready["port"].as_u64().context("no port")?;
        Ok(())
    }

    async fn relaunch(&mut self) -> Result<()> {
        (self.child, self.lines) = Self::launch(&mut (self.command)())?;
        self.told.clear();
        self.ready().await
    }

    /// Waits for something told for which `good` holds: the newest if there are several.
    async fn expect(&mut self, what: &str, good: impl Fn(&Value) -> bool) -> Result<Value> {
        if let Some(at) = self.told.iter().rposition(&good) {
            return Ok(self.told.remove(at));
        }
        let wait = async {
            loop {
                let line = self.lines.next_line().await?.context("Baileys has ended")?;
                let told = serde_json::from_str(&line)?;
                if good(&told) {
                    return anyhow::Ok(told);
                }
                self.told.push(told);
            }
        };
        timeout(PATIENCE, wait).await.with_context(|| format!("Baileys is not {what}"))?
    }

    async fn expect_device(&mut self, device: usize, is: &str) -> Result<Value> {
        self.expect(is, |told| told["device"] == device && told["is"] == is).await
    }

    async fn link(&mut self, device: usize, phone: &Phone) -> Result<()> {
        let asking = self.expect_device(device, "asking").await?;
        phone.scan(asking["qr"].as_str().unwrap_or_default()).await?;
        self.expect_device(device, "connected").await?;
        // It holds everything back until the phone has told it of the time before.
        phone.share_history(phone.devices().last().context("no companion")?.id).await?;
        self.expect_device(device, "told").await?;
        Ok(())
    }
}

fn name(device: usize) -> String {
    format!("d{device}")
}

impl Gateway {
    /// Starts one that nobody has linked yet; also answers how long it took until it was ready.
    pub(crate) async fn start(
        kind: Kind,
        sim: &Simulator,
        at: &Installed,
        devices: usize,
        hook: &str,
    ) -> Result<(Self, Duration)> {
        if kind == Kind::Baileys {
            let began = Instant::now();
            let baileys = Baileys::start(sim, at, devices, hook).await?;
            return Ok((Self::Baileys(Box::new(baileys)), began.elapsed()));
        }
        let binary = std::env::var("MOONWA_BENCH_BINARY");
        let binary = binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_moonwa").to_owned());
        let mut builder = Moonwa::builder(binary).whatsapp(sim);
        for device in 0..devices {
            builder = builder.device(&name(device), &[hook.to_owned()]);
        }
        let began = Instant::now();
        let moonwa = builder.start().await?;
        Ok((Self::Moonwa(Box::new(moonwa)), began.elapsed()))
    }

    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Moonwa(moonwa) => moonwa.pid(),
            Self::Baileys(baileys) => baileys.child.id().unwrap_or_default(),
        }
    }

    /// Where it keeps what it keeps.
    pub(crate) fn folder(&self) -> PathBuf {
        match self {
            Self::Moonwa(moonwa) => moonwa.dir().join("data"),
            Self::Baileys(baileys) => baileys.dir.path().to_owned(),
        }
    }

    pub(crate) async fn link(&mut self, device: usize, phone: &Phone) -> Result<()> {
        match self {
            Self::Moonwa(moonwa) => moonwa.link(&name(device), phone).await,
            Self::Baileys(baileys) => baileys.link(device, phone).await,
        }
    }

    /// Sends a text as its first device, and comes back when WhatsApp has it.
    pub(crate) async fn send(&self, face: Face, to: &Phone, text: &str) -> Result<()> {
        let v1 = json!({ "to": to.number(), "text": text });
        let reply = match (self, face) {
            (Self::Moonwa(moonwa), Face::V1) => {
                moonwa.key_of("d0").post("/v1/devices/d0/messages?wait=10s", &v1).await
            }
            (Self::Moonwa(moonwa), Face::Api) => {
                let (key, data) = (api_key("d0"), json!({ "message": text }));
                let body = json!({ "api_key": key, "receiver": to.number(), "data": data });
                moonwa.anyone().post("/api/send-message", &body).await
            }
            (Self::Baileys(baileys), _) => {
                Rest::new(format!("127.0.0.1:{}", baileys.port)).post("/0", &v1).await
            }
        }?;
        ensure!(reply.status == 200, "a send was answered with {}: {}", reply.status, reply.text());
        Ok(())
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        match self {
            Self::Moonwa(moonwa) => moonwa.kill().await,
            Self::Baileys(baileys) => Ok(baileys.child.kill().await?),
        }
    }

    /// Starts it again with what it has kept; answers how long it took until it was ready.
    pub(crate) async fn relaunch(&mut self) -> Result<Duration> {
        let began = Instant::now();
        match self {
            Self::Moonwa(moonwa) => moonwa.relaunch().await?,
            Self::Baileys(baileys) => baileys.relaunch().await?,
        }
        Ok(began.elapsed())
    }
}
