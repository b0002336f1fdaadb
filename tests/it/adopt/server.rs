//! Sessions in a PostgreSQL server.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use moonwa_simulator::harness::{Delivery, WebhookReceiver, eventually};
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
        Self::start_with(|_folder| Ok(String::new()))
    }

    /// One that takes nothing but TLS from other machines, with a certificate for 127.0.0.1 of an authority of its own.
    fn with_tls() -> Result<Self> {
        Self::start_with(|folder| {
            for arguments in [
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ours -keyout ca.key -out ca.pem",
                "req -newkey rsa:2048 -nodes -subj /CN=db -addext subjectAltName=IP:127.0.0.1 -keyout db.key -out db.csr",
                "x509 -req -in db.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 2 -out db.pem",
            ] {
                let done = Command::new("openssl")
                    .args(arguments.split(' '))
                    .current_dir(folder)
                    .stderr(Stdio::null())
                    .status()?;
                ensure!(done.success(), "openssl {arguments}");
            }
            std::fs::set_permissions(folder.join("db.key"), Permissions::from_mode(0o600))?;
            let place = folder.display();
            Ok(format!("-c ssl=on -c ssl_cert_file={place}/db.pem -c ssl_key_file={place}/db.key"))
        })
    }

    fn start_with(more: impl FnOnce(&Path) -> Result<String>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp")?;
        let more = more(folder.path())?;
        if rustix::process::geteuid().is_root() {
            let owned =
                Command::new("chown").args(["-R", "postgres"]).arg(folder.path()).status()?;
            ensure!(owned.success(), "chown postgres");
        }
        let mut this = Self { folder, port: 0 };
        this.run("initdb", &["-D", "data", "-U", "wa", "-A", "trust", "--no-sync"])?;
        // As late as can be: until the server has it, anybody may take it.
        this.port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let options = format!("-p {} -h 127.0.0.1 -k '' -F {more}", this.port);
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
async fn over_tls() -> Result<()> {
    let left = Left::behind().await?;
    let sql = [WHATSMEOW, &left.identity.as_whatsmeow(bytea)].concat();
    let server = apart(move || {
        let server = Server::with_tls()?;
        let mut client = server.client()?;
        client.batch_execute(&sql)?;
        client.close()?;
        // From now on whoever does not encrypt is turned away.
        let rules = "hostssl all all 127.0.0.1/32 trust\n";
        std::fs::write(server.folder.path().join("data/pg_hba.conf"), rules)?;
        server.run("pg_ctl", &["reload", "-D", "data"])?;
        Ok(server)
    })
    .await?;
    let moonwa = stopped_gateway(&left.sim).await?;
    let place = server.url().replace("?sslmode=disable", "");
    let root = server.folder.path().join("ca.pem").display().to_string();
    let none = server.folder.path().join("db.csr").display().to_string();
    let list = async |query: &str| {
        let url = format!("{place}?{query}");
        moonwa.command(&["adopt", "--list", "--from", &url]).await
    };
    // The server reads its rules again in its own time.
    eventually(
        "a server that wants TLS",
        || list("sslmode=disable"),
        |done| done.as_ref().is_ok_and(|(code, _)| *code == 1),
    )
    .await?;
    let number = format!("+{} \"Ann\"", left.people[0].number());
    for query in [
        format!("sslmode=require&sslrootcert={root}"),
        format!("sslmode=verify-full&sslrootcert={root}"),
        format!("sslmode=prefer&sslrootcert={root}"),
        format!("sslrootcert={root}"),
    ] {
        let (code, said) = list(&query).await?;
        assert_eq!((code, said.contains(&number)), (0, true), "{query}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    for (query, words) in [
        ("sslmode=require".to_owned(), "its certificate must be good for its name"),
        ("sslmode=verify-full".to_owned(), "its certificate must be good for its name"),
        (format!("sslmode=require&sslrootcert={none}"), "has no certificate"),
        // Its certificate is unknown and it takes nothing else.
        ("sslmode=prefer".to_owned(), "does not let moonwa in"),
        ("sslmode=on".to_owned(), "write disable, prefer, require or verify-full"),
    ] {
        let (code, said) = list(&query).await?;
        assert_eq!((code, said.contains(words)), (1, true), "{query}: {said}");
    }
    left.adopted(&["--from", &format!("{place}?sslmode=verify-full&sslrootcert={root}")]).await?;
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
    for words in ["x-team = \"cs\"", "qr = true", "(webhookBase64)"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    moonwa.relaunch().await?;
    moonwa.wait_state("toko", "connected").await;
    // What a contact has written with a pre-key that stayed behind is asked for again, and read.
    let [ann, _, cid] = &left.people;
    let first = cid.send_text(ann, "kenalan").await?;
    cid.expect_receipt("retry", &first).await?;
    let body = |told: &Delivery| told.json()["data"]["message"]["conversation"] == "kenalan";
    hook.expect("the message as Evolution posts it", body).await;
    left.sim.assert_no_violations();
    moonwa.stop().await?;
    drop_apart(server).await
}
