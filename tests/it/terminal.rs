//! moonwa on a terminal: util-linux' `script` gives it one.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, eventually};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

const BINARY: &str = env!("CARGO_BIN_EXE_moonwa");

/// A command on a terminal of its own. Dropping it closes the terminal.
pub(crate) struct Terminal {
    pub(crate) script: Child,
    output: std::path::PathBuf,
}

impl Terminal {
    pub(crate) fn open(dir: &Path, command: &str, env: &[(&str, &str)]) -> Result<Self> {
        let output = dir.join("terminal");
        let script = Command::new("script")
            .args(["--quiet", "--return", "--command", &format!("exec {BINARY} {command}")])
            .arg("/dev/null")
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&output)?)
            .kill_on_drop(true)
            .spawn()
            .context("starting script")?;
        Ok(Self { script, output })
    }

    pub(crate) async fn types(&mut self, keys: &str) -> Result<()> {
        let keyboard = self.script.stdin.as_mut().context("no keyboard")?;
        Ok(keyboard.write_all(keys.as_bytes()).await?)
    }

    pub(crate) fn shown(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    pub(crate) async fn shows(&self, words: &str) -> String {
        eventually(words, || async { self.shown() }, |shown| shown.contains(words)).await
    }
}

/// Whether a process is there and has not ended.
fn runs(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_its_own_words_first_and_ends_moonwa_when_it_closes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n\n[device.toko]\n";
    std::fs::write(dir.path().join("moonwa.toml"), config)?;
    let ssh = ("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.1 22");
    let terminal = Terminal::open(dir.path(), "", &[ssh])?;
    let shown = terminal.shows("Ctrl-C stops it.").await;
    let first = shown.lines().find(|line| !line.trim().is_empty()).context("a line")?;
    assert!(first.contains(" INFO ") || first.contains("Admin page"), "{shown}");
    assert!(shown.contains("Admin page (this link logs in once):"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours: {shown}");
    let address = shown.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let port = address.and_then(|address| address.rsplit(':').next()).context("a port")?;
    let forward = format!("ssh -L {port}:127.0.0.1:{port} you@this-host");
    assert!(shown.contains(&forward), "{shown}");

    let process = shown.split("Process ").nth(1).and_then(|rest| rest.split(';').next());
    let process = process.context("a process")?.to_owned();
    assert!(runs(&process));
    drop(terminal);
    eventually("its end", || async { runs(&process) }, |runs| !runs).await;

    let here = Terminal::open(dir.path(), "run", &[])?;
    let shown = here.shows("Ctrl-C stops it.").await;
    assert!(!shown.contains("ssh -L"), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_before_a_device_is_logged_out() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000141", "Ann").await;
    let moonwa = Moonwa::builder(BINARY).whatsapp(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    for answer in ["", "n", "no", "ya"] {
        let mut asked = Terminal::open(moonwa.dir(), "logout toko", &[])?;
        asked.shows(&format!("toko ({}) will need a new QR code", ann.number())).await;
        asked.types(&format!("{answer}\n")).await?;
        asked.shows("toko was left as it is.").await;
        assert_eq!(asked.script.wait().await?.code(), Some(1));
    }
    moonwa.wait_state("toko", "connected").await;
    let mut asked = Terminal::open(moonwa.dir(), "logout toko", &[])?;
    asked.shows("Log it out? [y/N]").await;
    asked.types("y\n").await?;
    assert!(asked.script.wait().await?.success(), "{}", asked.shown());
    moonwa.wait_state("toko", "logged_out").await;
    moonwa.link("toko", &ann).await?;
    let mut told = Terminal::open(moonwa.dir(), "logout --yes toko", &[])?;
    assert!(told.script.wait().await?.success(), "{}", told.shown());
    moonwa.wait_state("toko", "logged_out").await;
    moonwa.stop().await?;
    Ok(())
}
