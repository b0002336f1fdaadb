//! The real gateway binary as a child process in a directory of its own. Readiness comes over systemd's notify
//! protocol, so every story tests that too.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::rest::Rest;
use super::wait::{PATIENCE, eventually};
use crate::{Phone, Simulator};

/// A free port.
const ANYWHERE: &str = "127.0.0.1:0";

/// A gateway to be started.
pub struct MoonwaBuilder {
    binary: PathBuf,
    config: String,
    env: Vec<(String, String)>,
    shell: bool,
    dir: TempDir,
    sim: Option<Simulator>,
}

/// A running gateway. Dropping it kills the process and removes its directory.
pub struct Moonwa {
    binary: PathBuf,
    env: Vec<(String, String)>,
    shell: bool,
    dir: TempDir,
    child: Child,
    told: Told,
    address: SocketAddr,
    admin: Rest,
    sim: Option<Simulator>,
}

impl MoonwaBuilder {
    /// A device's table with the API key `key-of-<name>` and those webhooks.
    #[must_use]
    pub fn device(self, name: &str, webhooks: &[String]) -> Self {
        let list: Vec<String> = webhooks.iter().map(|url| format!("{url:?}")).collect();
        self.config(&format!(
            "\n[device.{name}]\nlabel = \"Device {name}\"\napi_key = \"key-of-{name}-0123456789abcdef\"\nwebhooks = [{}]\n",
            list.join(", ")
        ))
    }

    /// More lines for `moonwa.toml`.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self
    }

    /// Where its HTTP listens, instead of on a free port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config = self.config.replacen(ANYWHERE, &address.to_string(), 1);
        self
    }

    /// Starts it by itself: the most open umask, which a story sets, takes a shell, and not every machine has one.
    #[must_use]
    pub fn without_shell(mut self) -> Self {
        self.shell = false;
        self
    }

    /// Its directory, before anything is in it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// The simulated WhatsApp to connect to.
    #[must_use]
    pub fn whatsapp(mut self, sim: &Simulator) -> Self {
        self.sim = Some(sim.clone());
        self.env("MOONWA_WHATSAPP_URL", sim.ws_url())
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Result<Moonwa> {
        write_private(&self.dir.path().join("moonwa.toml"), &self.config)?;
        let (child, told, address, admin) =
            launch(&self.binary, self.dir.path(), &self.env, self.shell).await?;
        Ok(Moonwa {
            binary: self.binary,
            env: self.env,
            shell: self.shell,
            dir: self.dir,
            child,
            told,
            address,
            admin,
            sim: self.sim,
        })
    }

    /// Starts it and waits for its end: a gateway that must refuse. Returns its exit status and what it wrote.
    pub async fn start_refused(self) -> Result<(ExitStatus, String)> {
        write_private(&self.dir.path().join("moonwa.toml"), &self.config)?;
        let mut child = spawn(
            &self.binary,
            self.dir.path(),
            &self.env,
            &self.dir.path().join("unheard"),
            self.shell,
        )?;
        let status = timeout(PATIENCE, child.wait()).await.context("it did not refuse")??;
        Ok((status, std::fs::read_to_string(self.dir.path().join("log"))?))
    }
}

impl Moonwa {
    /// A gateway of that binary, with an empty configuration on a free port.
    ///
    /// # Panics
    /// When there is no temporary directory.
    pub fn builder(binary: impl Into<PathBuf>) -> MoonwaBuilder {
        let dir =
            tempfile::Builder::new().prefix("moonwa-").tempdir().expect("a temporary directory");
        let config = format!("[server]\nlisten = \"{ANYWHERE}\"\n\n[store]\npath = \"data\"\n");
        MoonwaBuilder {
            binary: binary.into(),
            config,
            env: Vec::new(),
            shell: true,
            dir,
            sim: None,
        }
    }

    /// Where its HTTP listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its directory: `moonwa.toml`, `data/` and `log`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// A figure of `/proc/PID/status`: `VmRSS` and its like in KiB, or `Threads`.
    pub fn figure(&self, name: &str) -> Result<u32> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let figure = line.with_context(|| format!("no {name}"))?.trim().trim_end_matches(" kB");
        Ok(figure.parse()?)
    }

    /// The files, sockets and so on that it has open.
    pub fn open_files(&self) -> Result<Vec<PathBuf>> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?;
        // One that is closed meanwhile is not open.
        Ok(open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).collect())
    }

    /// A REST client with the operator's rights.
    pub fn admin(&self) -> &Rest {
        &self.admin
    }

    /// A REST client without any key.
    pub fn anyone(&self) -> Rest {
        Rest::new(self.address.to_string())
    }

    /// A REST client with the key of a device made by `MoonwaBuilder::device`.
    pub fn key_of(&self, device: &str) -> Rest {
        self.anyone().with_token(api_key(device))
    }

    /// Everything it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// A device as `/v1` shows it to the operator.
    pub async fn device(&self, name: &str) -> Result<Value> {
        Ok(self.admin.get(&format!("/v1/devices/{name}")).await?.json())
    }

    /// Waits until a device is in that state.
    ///
    /// # Panics
    /// When it does not get there in time; the log's end is in the message.
    pub async fn wait_state(&self, name: &str, state: &str) -> Value {
        self.wait_device(name, state, |device| device["state"] == state).await
    }

    /// Waits until `good` holds for a device as `/v1` shows it.
    ///
    /// # Panics
    /// When it does not hold in time.
    pub async fn wait_device(
        &self,
        name: &str,
        what: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        let what = format!(
            "device {name}: {what}\n--- log ---\n{}",
            self.dir.path().join("log").display()
        );
        eventually(&what, || async { self.device(name).await.unwrap_or(Value::Null) }, good).await
    }

    /// Waits for a live QR code of a device and returns its text.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn qr(&self, name: &str) -> String {
        let path = format!("/v1/devices/{name}/qr");
        let request = || {
            let builder =
                self.admin.request(hyper::Method::GET, &path).header("accept", "application/json");
            builder.body(http_body_util::Full::default()).expect("a sane request")
        };
        let reply = eventually(
            "a QR code",
            || async {
                self.admin
                    .send(request())
                    .await
                    .map_or(Value::Null, |reply| reply.json()["qr"].clone())
            },
            Value::is_string,
        )
        .await;
        reply.as_str().unwrap_or_default().to_owned()
    }

    /// START SESSION, the scan, and the wait until the device is connected.
    pub async fn link(&self, name: &str, phone: &Phone) -> Result<()> {
        self.admin.post(&format!("/v1/devices/{name}/start"), &Value::Null).await?.expect(202);
        phone.scan(&self.qr(name).await).await?;
        self.wait_state(name, "connected").await;
        Ok(())
    }

    /// Runs a command of the binary beside the gateway; returns its exit code and what it printed.
    pub async fn command(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let mut command = self.beside(arguments);
        let output =
            timeout(PATIENCE, command.output()).await.context("the command did not end")??;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
    }

    /// Begins a command beside the gateway; what it prints goes to the file `command` in its directory.
    pub fn begin(&self, arguments: &[&str]) -> Result<Child> {
        let output = std::fs::File::create(self.dir.path().join("command"))?;
        Ok(self.beside(arguments).stdout(output.try_clone()?).stderr(output).spawn()?)
    }

    fn beside(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(self.dir.path());
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What the command of `begin` has printed so far.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("command")).unwrap_or_default()
    }

    /// Sends a text through `/v1` with the device's key and returns the message id.
    pub async fn send_text(&self, device: &str, to: &str, text: &str) -> Result<String> {
        let body = serde_json::json!({"to": to, "text": text});
        let reply =
            self.key_of(device).post(&format!("/v1/devices/{device}/messages"), &body).await?;
        let reply = reply.expect(202).json();
        Ok(reply["id"].as_str().context("no id")?.to_owned())
    }

    /// Waits until a sent message has that status.
    ///
    /// # Panics
    /// When it does not get there in time.
    pub async fn wait_status(&self, device: &str, id: &str, status: &str) -> Value {
        let path = format!("/v1/devices/{device}/messages/{id}");
        let look =
            || async { self.admin.get(&path).await.map_or(Value::Null, |reply| reply.json()) };
        eventually(&format!("message {id}: {status}"), look, |message: &Value| {
            message["status"] == status
        })
        .await
    }

    /// Replaces `moonwa.toml`, as an editor does that renames into place.
    pub fn edit_config(&self, edit: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.dir.path().join("moonwa.toml");
        let text = edit(std::fs::read_to_string(&path)?);
        let draft = self.dir.path().join(".moonwa.toml.draft");
        write_private(&draft, &text)?;
        std::fs::rename(draft, path)?;
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("it has ended")?;
        kill_process(pid, signal)?;
        Ok(())
    }

    /// Stops it as systemd does; it must exit with 0. So ends a story: whatever happened in it, the phones of its devices
    /// must go on ringing.
    pub async fn stop(mut self) -> Result<TempDir> {
        if let Some(sim) = &self.sim {
            for phone in self.phones(sim).await? {
                phone.expect_nobody_there().await.with_context(|| self.log())?;
            }
        }
        self.terminate().await?;
        Ok(self.dir)
    }

    /// Those of its devices which are not said to be available by `moonwa.toml`, however they were linked.
    async fn phones(&self, sim: &Simulator) -> Result<Vec<Phone>> {
        let config = self.admin.get("/v1/config").await?.expect(200).json();
        let devices = self.admin.get("/v1/devices").await?.expect(200).json();
        let devices = devices["devices"].as_array().context("no devices")?.iter();
        let quiet = devices.filter(|device| {
            let name = device["name"].as_str().unwrap_or_default();
            config["config"]["devices"][name]["presence"] != "available"
        });
        Ok(quiet.filter_map(|device| sim.find_phone(device["phone"].as_str()?)).collect())
    }

    /// Stops it gracefully and starts it again on the same directory.
    pub async fn restart(&mut self) -> Result<()> {
        self.terminate().await?;
        self.relaunch().await
    }

    /// Kills it with SIGKILL.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.start_kill()?;
        let status = self.child.wait().await?;
        if status.signal() != Some(9) {
            bail!("it had ended before it was killed: {status}\n{}", self.log());
        }
        Ok(())
    }

    /// The same, unless it has come to a fail-point just then; whether it had.
    pub async fn kill_or_aborted(&mut self) -> Result<bool> {
        match self.kill().await {
            Ok(()) => Ok(false),
            Err(ended) if format!("{ended:#}").contains("SIGABRT") => Ok(true),
            Err(ended) => Err(ended),
        }
    }

    /// Waits for its end, of its own accord.
    pub async fn wait_exit(&mut self) -> Result<ExitStatus> {
        Ok(timeout(PATIENCE, self.child.wait()).await.context("it did not end")??)
    }

    /// Changes an environment variable for the next start.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.env.retain(|(known, _)| known != name);
        if let Some(value) = value {
            self.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Starts it again on the same directory, after it has ended.
    pub async fn relaunch(&mut self) -> Result<()> {
        let (child, told, address, admin) =
            launch(&self.binary, self.dir.path(), &self.env, self.shell).await?;
        (self.child, self.told, self.address, self.admin) = (child, told, address, admin);
        Ok(())
    }

    /// The next message of systemd's notify protocol for which `good` holds.
    pub async fn notified(&mut self, what: &str, good: impl Fn(&str) -> bool) -> Result<String> {
        let wait = async {
            loop {
                let text = self.told.recv().await.context("the notify socket is closed")?;
                if good(&text) {
                    return anyhow::Ok(text);
                }
            }
        };
        timeout(PATIENCE, wait).await.with_context(|| format!("systemd was not told: {what}"))?
    }

    async fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else {
            bail!("it did not stop\n{}", self.log());
        };
        let status = status?;
        if !status.success() {
            bail!("it stopped with {status}\n{}", self.log());
        }
        Ok(())
    }
}

/// The API key `MoonwaBuilder::device` gives a device.
pub fn api_key(device: &str) -> String {
    format!("key-of-{device}-0123456789abcdef")
}

/// A file with keys in clear is for its owner only; moonwa refuses any other.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn spawn(
    binary: &Path,
    dir: &Path,
    env: &[(String, String)],
    notify: &Path,
    shell: bool,
) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
    let mut command = if shell {
        // Under the most open umask there is: what moonwa writes must be for its owner alone even so.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "umask 000; exec \"$0\" run"]).arg(binary);
        command
    } else {
        let mut command = Command::new(binary);
        command.arg("run");
        command
    };
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    // A scrubbed environment: nothing of the tester's machine decides.
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("NOTIFY_SOCKET", notify)
        .envs(env.iter().cloned());
    for name in ["LLVM_PROFILE_FILE", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.spawn().with_context(|| format!("starting {}", binary.display()))
}

async fn launch(
    binary: &Path,
    dir: &Path,
    env: &[(String, String)],
    shell: bool,
) -> Result<(Child, Told, SocketAddr, Rest)> {
    let socket = dir.join("notify");
    if socket.exists() {
        std::fs::remove_file(&socket)?;
    }
    let mut told = listen(&socket)?;
    let mut child = spawn(binary, dir, env, &socket, shell)?;
    let ready = async {
        loop {
            let text = told.recv().await.context("the notify socket is closed")?;
            let address = text.lines().find_map(|line| line.strip_prefix("STATUS=listening on "));
            if let Some(address) = address.filter(|_| text.contains("READY=1")) {
                let address = address.split([';', ' ']).next().unwrap_or_default();
                return anyhow::Ok(address.parse::<SocketAddr>()?);
            }
        }
    };
    let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    let address = tokio::select! {
        ready = timeout(PATIENCE, ready) => ready.with_context(|| format!("it was not ready in time\n{}", log()))??,
        status = child.wait() => bail!("it ended before it was ready: {}\n{}", status?, log()),
    };
    let control: Value = serde_json::from_slice(&std::fs::read(dir.join("data/control.json"))?)?;
    let token = control["token"].as_str().context("no token in control.json")?;
    let admin = Rest::new(address.to_string()).with_token(token);
    Ok((child, told, address, admin))
}

/// What systemd would hear, in order.
type Told = mpsc::UnboundedReceiver<String>;

/// Reads the socket all the time, as systemd does: a full one would block the gateway.
fn listen(path: &Path) -> Result<Told> {
    let socket = UnixDatagram::bind(path)?;
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok(size) = socket.recv(&mut buffer).await {
            let text = String::from_utf8_lossy(buffer.get(..size).unwrap_or_default()).into_owned();
            if tell.send(text).is_err() {
                return;
            }
        }
    });
    Ok(told)
}
