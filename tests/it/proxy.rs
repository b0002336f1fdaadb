//! The reverse proxies of README.md before a real gateway, as their blocks stand there: only names, ports and
//! certificates are replaced. They serve TLS and a path below the root.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, api_key, eventually};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const DEVICE: &str = "admin-toko";
const NAME: &str = "wa.example.com";
/// As much as README.md says that goes through.
const UPLOAD: usize = 60 * 1024 * 1024;

fn block(language: &str) -> String {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("\n```").skip(1).step_by(2);
    let mut found = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    found.next().unwrap_or_else(|| panic!("README.md has no {language} block")).to_owned()
}

fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in:\n{text}");
        text.replace(from, to)
    })
}

/// A free port below those that the kernel hands out: nobody takes it meanwhile.
fn free_port() -> Result<u16> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (20_000..32_000).find(free).context("no free port")
}

async fn certificate(dir: &Path) -> Result<(String, String)> {
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let subject = format!("/CN={NAME}");
    let wanted = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject];
    let made = Command::new("openssl")
        .arg("req")
        .args(wanted)
        .args(["-out", &certificate, "-keyout", &key])
        .output()
        .await
        .context("openssl is not installed")?;
    anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok((certificate, key))
}

/// Debian's nginx with README's block.
async fn nginx(dir: &Path, port: u16, gateway: &str) -> Result<Child> {
    let (certificate, key) = certificate(dir).await?;
    let server = replaced(
        &block("nginx"),
        &[
            ("listen 443 ssl;", &format!("listen 127.0.0.1:{port} ssl;")),
            ("/etc/letsencrypt/live/wa.example.com/fullchain.pem", &certificate),
            ("/etc/letsencrypt/live/wa.example.com/privkey.pem", &key),
            ("127.0.0.1:8080", gateway),
        ],
    );
    let at = dir.display();
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("{of}_temp_path {at}/{of};"))
        .concat();
    let file = dir.join("nginx.conf");
    std::fs::write(
        &file,
        format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{}}\nhttp {{ access_log off; {places}\n{server}\n}}\n"
        ),
    )?;
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-e", &format!("{at}/error.log"), "-c", &file.display().to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().context("nginx is not installed")
}

/// Debian's Caddy with README's block.
fn caddy(dir: &Path, port: u16, gateway: &str) -> Result<Child> {
    let site = format!("https://{NAME}:{port} {{\n    tls internal\n");
    let site =
        replaced(&block("caddy"), &[("wa.example.com {\n", &site), ("127.0.0.1:8080", gateway)]);
    let file = dir.join("Caddyfile");
    std::fs::write(
        &file,
        format!(
            "{{\n  admin off\n  auto_https disable_redirects\n  skip_install_trust\n}}\n{site}"
        ),
    )?;
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config", &file.display().to_string()]);
    command.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().context("caddy is not installed")
}

/// A client outside, before the proxy.
struct Outside {
    port: u16,
}

impl Outside {
    fn command(&self, path: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--insecure", "--include", "--max-time", "60"]);
        command.args(["--resolve", &format!("{NAME}:{}:127.0.0.1", self.port)]);
        command.args(arguments).arg(format!("https://{NAME}:{}/wa{path}", self.port));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Status, headers and body.
    async fn ask(&self, path: &str, arguments: &[&str]) -> Result<String> {
        let output =
            self.command(path, arguments).output().await.context("curl is not installed")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(said)
    }
}

async fn stands_before(moonwa: &Moonwa, port: u16, token: &str, to: &str) -> Result<()> {
    let outside = Outside { port };
    let look = async || outside.ask("/healthz", &[]).await.unwrap_or_default();
    eventually("an answer through the proxy", look, |said| said.contains(" 200")).await;

    let page = outside.ask("/", &[]).await?;
    assert!(page.contains(" 200") && page.contains("<html"), "{page}");

    // The proxy says that the client came by TLS: the login's cookie is for TLS only, and for that path only.
    let form = format!("token={token}");
    let login = outside.ask("/login", &["--data", &form]).await?;
    let cookie = login.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"));
    let cookie = cookie.with_context(|| format!("no cookie: {login}"))?;
    assert!(cookie.contains("Secure") && cookie.contains("/wa/"), "{cookie}");

    // Events come when they happen, not when a buffer is full.
    let bearer = format!("authorization: Bearer {}", api_key(DEVICE));
    let path = format!("/v1/devices/{DEVICE}/events");
    let asked = ["--no-buffer", "-H", &bearer, "-H", "accept: text/event-stream"];
    let mut stream = outside.command(&path, &asked).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(stream.stdout.take().context("no output")?).lines();
    let mut begun = false;
    while !begun {
        let line = lines.next_line().await?.context("the stream ended before it began")?;
        begun = line.to_ascii_lowercase().contains("text/event-stream");
    }
    let id = moonwa.send_text(DEVICE, to, "halo lewat proxy").await?;
    loop {
        let line = lines.next_line().await?.context("the stream ended")?;
        if line.starts_with("data:") && line.contains(&id) {
            break;
        }
    }
    drop(stream);

    let dir = tempfile::tempdir()?;
    let file = dir.path().join("besar.bin");
    std::fs::write(&file, vec![7; UPLOAD])?;
    let path = format!("/v1/devices/{DEVICE}/messages");
    let (to, file) = (format!("to={to}"), format!("file=@{}", file.display()));
    let fields = ["-H", &bearer, "-F", &to, "-F", "kind=document", "-F", &file];
    let sent = outside.ask(&path, &fields).await?;
    assert!(sent.contains(" 202"), "{sent}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx, caddy, curl and openssl; .ci/run installs them"]
async fn the_proxies_of_the_readme_stand_before_moonwa() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555500121", "Ann").await, sim.phone("628555500122", "Bob").await);
    let mut moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device(DEVICE, &[])
        .start()
        .await?;
    moonwa.link(DEVICE, &ann).await?;
    let token = "a-token-of-the-admin-0123456789";
    let hash = moonwa::facade::model::KeyHash::of(token);
    let admin = format!("\n[admin]\ntoken = \"{hash}\"\n");
    let behind = "[server]\nbase_path = \"/wa/\"\nhosts = [\"wa.example.com\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    moonwa.edit_config(|text| format!("{}{admin}", text.replace("[server]\n", behind)))?;
    moonwa.restart().await?;
    moonwa.wait_state(DEVICE, "connected").await;
    let gateway = moonwa.address().to_string();

    let dir = tempfile::tempdir()?;
    let port = free_port()?;
    let proxy = nginx(dir.path(), port, &gateway).await?;
    stands_before(&moonwa, port, token, bob.number()).await.context("nginx")?;
    drop(proxy);

    let dir = tempfile::tempdir()?;
    let port = free_port()?;
    let proxy = caddy(dir.path(), port, &gateway)?;
    stands_before(&moonwa, port, token, bob.number()).await.context("caddy")?;
    drop(proxy);
    moonwa.stop().await?;
    Ok(())
}
