//! A client in another language as a child process: calls go in and what it tells comes out, a JSON object a line.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Delivery, Moonwa, PATIENCE, WebhookReceiver, api_key};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Any file will do for a picture: nobody looks at it.
pub(crate) const PICTURE: &[u8] = include_bytes!("../page_browser/shirt.png");

/// A companion of somebody's account. Dropping it ends the process.
pub(crate) struct Foreign {
    child: Child,
    calls: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it told and nobody has waited for yet.
    told: Vec<Value>,
    directory: TempDir,
}

impl Foreign {
    /// Starts it; `command` makes its command line from a directory of its own.
    pub(crate) fn start(command: impl FnOnce(&TempDir) -> Command) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut child = command(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the client is not installed: see .ci/run")?;
        let calls = child.stdin.take().context("no standard input")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { child, calls, lines, told: Vec::new(), directory })
    }

    /// Ends the process; what it has kept stays.
    pub(crate) async fn stop(mut self) -> Result<TempDir> {
        drop(self.calls);
        timeout(PATIENCE, self.child.wait()).await.context("the client did not end")??;
        Ok(self.directory)
    }

    async fn next(&mut self) -> Result<Value> {
        let line = self.lines.next_line().await?.context("the client has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Waits for the first thing told for which `good` holds, and forgets it.
    pub(crate) async fn expect(
        &mut self,
        what: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        if let Some(at) = self.told.iter().position(&good) {
            return Ok(self.told.remove(at));
        }
        let wait = async {
            loop {
                let told = self.next().await?;
                if good(&told) {
                    return anyhow::Ok(told);
                }
                self.told.push(told);
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(told) => told,
            Err(_) => bail!("{what}: not told, but {:#?}", self.told),
        }
    }

    /// Calls one of its functions and waits for what comes back.
    pub(crate) async fn call(&mut self, call: &str, values: Value) -> Result<Value> {
        let line = format!("{}\n", json!({ "call": call, "values": values }));
        self.calls.write_all(line.as_bytes()).await?;
        let is_back = |told: &Value| told.get("answer").or(told.get("refused")).is_some();
        let back = self.expect(call, is_back).await?;
        match back.get("refused") {
            Some(why) => bail!("{call}: {}", why.as_str().unwrap_or_default()),
            None => Ok(back["answer"].clone()),
        }
    }
}

/// Ann, Bob and Cid, and the numbers of nobody else's story.
pub(crate) async fn people(sim: &Simulator) -> [Phone; 3] {
    [
        sim.phone("628333000101", "Ann").await,
        sim.phone("628333000102", "Bob").await,
        sim.phone("628333000103", "Cid").await,
    ]
}

/// What the webhook was told in an event of that kind, with that text.
pub(crate) async fn data_of(hook: &WebhookReceiver, kind: &str, text: &str) -> Value {
    let is_it = |post: &Delivery| post.kind() == kind && (text.is_empty() || post.text() == text);
    hook.expect(text, is_it).await.json()["data"].clone()
}

/// A gateway whose device `toko` Ann has linked, and the webhook that is told everything.
pub(crate) async fn gateway(sim: &Simulator, ann: &Phone) -> Result<(Moonwa, WebhookReceiver)> {
    let hook = WebhookReceiver::start().await?;
    let device = format!(
        "\n[device.toko]\napi_key = {:?}\nwebhooks = [{{ url = {:?}, events = [\"*\"] }}]\n",
        api_key("toko"),
        hook.url()
    );
    let binary = env!("CARGO_BIN_EXE_moonwa");
    let moonwa = Moonwa::builder(binary).whatsapp(sim).config(&device).start().await?;
    moonwa.link("toko", ann).await?;
    Ok((moonwa, hook))
}

/// The gateway gives a message another text, and then takes it back.
pub(crate) async fn edit_and_revoke(moonwa: &Moonwa, id: &str, text: &str) -> Result<()> {
    let key = moonwa.key_of("toko");
    for (method, body) in [(Method::PATCH, json!({ "text": text })), (Method::DELETE, json!({}))] {
        let request = key.request(method, &format!("/v1/devices/toko/messages/{id}"));
        let request = request.header("content-type", "application/json");
        key.send(request.body(Full::new(body.to_string().into()))?).await?.expect(202);
    }
    Ok(())
}
