//! Sessions in a PostgreSQL server.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use moonwa_simulator::harness::WebhookReceiver;
use serde_json::Value;
use tempfile::TempDir;

use super::Left;
use super::layout::{EVOLUTION, WHATSMEOW, bytea};
use crate::clients::adopt::{refused, stopped_gateway};

/// A PostgreSQL of Debian's in a folder of its own. Dropping it ends it.
struct Server {
    folder: TempDir,
    port: u16,
}

/// Debian keeps its programs out of the path.
fn program(name: &str) -> Result<PathBuf> {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let mut found: Vec<_> = versions
        .map(|version| Ok(version?.path().join("bin").join(name)))
        .collect::<Result<_>>()?;
    found.sort();
    found.pop().context("PostgreSQL is not installed")
}

/// PostgreSQL does not run as root.
fn run(folder: &Path, name: &str, arguments: &[&str]) -> Result<()> {
    let program = program(name)?;
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let done = command.stderr(Stdio::null()).status()?;
    ensure!(done.success(), "{name} {arguments:?}: {done}");
    Ok(())
}

impl Server {
    fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp")?;
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").arg("postgres").arg(folder.path()).status()?;
            ensure!(owned.success(), "chown postgres");
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let this = Self { folder, port };
        this.run("initdb", &["-D", "data", "-U", "wa", "-A", "trust", "--no-sync"])?;
        let options = format!("-p {port} -h 127.0.0.1 -k '' -F");
        this.run("pg_ctl", &["start", "-w", "-D", "data", "-l", "log", "-o", &options])?;
        Ok(this)
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Result<()> {
        run(self.folder.path(), name, arguments)
    }

    fn url(&self) -> String {
        format!("postgres://wa:s3cret@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    fn client(&self) -> Result<postgres::Client> {
        Ok(postgres::Client::connect(&self.url(), postgres::NoTls)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.run("pg_ctl", &["stop", "-m", "immediate", "-D", "data"]);
    }
}

/// Runs what blocks away from the runtime.
#[expect(
    clippy::disallowed_methods,
    reason = "this is a client of a server, as no part of moonwa is"
)]
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

async fn drop_apart(server: Server) -> Result<()> {
    apart(move || {
        drop(server);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs PostgreSQL; .ci/run installs it and runs this"]
async fn of_whatsmeow() -> Result<()> {
    let left = Left::behind().await?;
    let sql = [WHATSMEOW, &left.identity.as_whatsmeow(bytea)].concat();
    let (server, holder) = apart(move || {
        let server = Server::start()?;
        let mut client = server.client()?;
        client.batch_execute(&sql)?;
        Ok((server, client))
    })
    .await?;
    let url = server.url();
    let moonwa = stopped_gateway(&left.sim).await?;
    let (code, said) = moonwa.command(&["adopt", "--list", "--from", &url]).await?;
    let number = format!("+{} \"Ann\"", left.people[0].number());
    assert_eq!((code, said.contains(&number)), (0, true), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    refused(&moonwa, &["toko", "--from", &url], "is in use by 1 connections").await?;
    apart(move || Ok(holder.close()?)).await?;
    left.adopted(&["--from", &url]).await?;
    drop_apart(server).await
}

#[tokio::test]
#[ignore = "needs PostgreSQL; .ci/run installs it and runs this"]
async fn of_evolution() -> Result<()> {
    let left = Left::behind().await?;
    // JSON in JSON, as Evolution writes it.
    let creds = Value::String(left.identity.credentials().to_string()).to_string();
    let hook = WebhookReceiver::start().await?;
    let url = hook.url();
    let server = apart(move || {
        let server = Server::start()?;
        let mut client = server.client()?;
        client.batch_execute(EVOLUTION)?;
        client.execute("INSERT INTO \"Instance\" (id, name) VALUES ('c1', 'toko')", &[])?;
        client.execute("INSERT INTO \"Instance\" (id, name) VALUES ('c2', 'baru')", &[])?;
        let insert = "INSERT INTO \"Session\" (id, \"sessionId\", creds) VALUES ($1, $1, $2)";
        client.execute(insert, &[&"c1", &creds])?;
        client.execute(insert, &[&"c2", &"{}"])?;
        client.execute(
            "INSERT INTO \"Webhook\" (id, url, headers, events, \"webhookBase64\", \"instanceId\") \
             VALUES ('w', $1, '{\"x-team\": \"cs\"}', '[\"MESSAGES_UPSERT\", \"QRCODE_UPDATED\"]', true, 'c1')",
            &[&url],
        )?;
        Ok(server)
    })
    .await?;
    let url = server.url();
    let mut moonwa = stopped_gateway(&left.sim).await?;
    let (code, said) = moonwa.command(&["adopt", "--list", "--from", &url]).await?;
    assert_eq!((code, said.contains("2 sessions of Evolution")), (1, true), "{said}");
    assert!(said.contains("baru cannot be adopted: its creds lacks me.id"), "{said}");
    let (code, said) =
        moonwa.command(&["adopt", "toko", "--from", &url, "--session", "toko"]).await?;
    assert_eq!((code, said.contains("pre-keys are not in the database")), (0, true), "{said}");
    for words in ["x-team = \"cs\"", "QRCODE_UPDATED has no counterpart", "(webhookBase64)"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    // What a contact has written with a pre-key that stayed behind is asked for again, and read.
    let [ann, _, cid] = &left.people;
    let first = cid.send_text(ann, "kenalan").await?;
    cid.expect_receipt("retry", &first).await?;
    hook.expect_text("kenalan").await;
    left.sim.assert_no_violations();
    moonwa.stop().await?;
    drop_apart(server).await
}
