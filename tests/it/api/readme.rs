//! The examples of README.md, run as they stand there: only host, key and numbers are replaced.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, Rest, api_key, eventually};
use tokio::process::{Child, Command};

const DEVICE: &str = "admin-toko";
const SECRET: &str = "bW9vbndhLXJlYWRtZS1leGFtcGxlLXNlY3JldA==";

/// The code block of that language that contains those words.
fn block(language: &str, words: &str) -> String {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("\n```").skip(1).step_by(2);
    let mut found = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    let code = found.find(|code| code.contains(words));
    code.unwrap_or_else(|| panic!("README.md has no {language} example with {words:?}")).to_owned()
}

/// An example for this gateway and that receiver.
fn filled(code: &str, moonwa: &Moonwa, to: &str) -> String {
    for word in ["127.0.0.1:8080", "YOUR-KEY", "628123456789"] {
        assert!(code.contains(word), "{word} is not in:\n{code}");
    }
    code.replace("127.0.0.1:8080", &moonwa.address().to_string())
        .replace("YOUR-KEY", &api_key(DEVICE))
        .replace("628123456789", to)
}

/// Runs a program and returns what it printed.
pub(crate) async fn run(program: &str, arguments: &[&str], directory: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("{program} is not installed"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{program}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed.trim().to_owned())
}

fn begin(program: &str, arguments: &[&str], directory: &Path, output: &Path) -> Result<Child> {
    let output = std::fs::File::create(output)?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(output.try_clone()?).stderr(output);
    command.spawn().with_context(|| format!("{program} is not installed"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl, php, python3 and node; .ci/run installs them"]
async fn the_examples_that_send_do() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555500111", "Ann").await, sim.phone("628555500112", "Bob").await);
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device(DEVICE, &[])
        .start()
        .await?;
    moonwa.link(DEVICE, &ann).await?;
    let directory = tempfile::tempdir()?;
    let dir = directory.path();
    let write = |name: &str, code: String| {
        std::fs::write(dir.join(name), filled(&code, &moonwa, bob.number()))
    };

    write("face.sh", block("sh", "/api/send-message"))?;
    let printed = run("sh", &["face.sh"], dir).await?;
    let id = bob.expect_text("Halo dari moonwa").await?.id;
    assert!(printed.starts_with("{\"status\":true") && printed.contains(&id), "{printed}");

    write("v1.sh", block("sh", "/v1/devices/"))?;
    let printed = run("sh", &["v1.sh"], dir).await?;
    let id = bob.expect_text("Pesanan dikirim").await?.id;
    assert_eq!(printed, format!(r#"{{"id":"{id}","status":"queued"}}"#));

    write("send.php", block("php", "/api/send-message"))?;
    assert_eq!(run("php", &["send.php"], dir).await?, "Message sent.");
    bob.expect_text("Halo dari PHP").await?;

    write("send.py", block("python", "urlopen"))?;
    let printed = run("python3", &["send.py"], dir).await?;
    assert!(["accepted", "delivered"].contains(&printed.as_str()), "{printed}");
    bob.expect_text("Halo dari Python").await?;

    write("send.mjs", block("javascript", "fetch("))?;
    let printed = run("node", &["send.mjs"], dir).await?;
    assert_eq!(printed, bob.expect_text("Halo dari JavaScript").await?.id);
    moonwa.stop().await?;
    Ok(())
}

/// A port that was free a moment ago: neither PHP nor the example tells which one it took.
fn port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs php and python3; .ci/run installs them"]
async fn the_examples_that_receive_verify_what_they_get() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555500113", "Ann").await, sim.phone("628555500114", "Bob").await);
    let directory = tempfile::tempdir()?;
    let dir = directory.path();
    let (php, python) = (port()?, port()?);
    let signed = |code: &str| {
        assert!(code.contains("REPLACE-THIS"), "{code}");
        code.replace("REPLACE-THIS", SECRET)
    };
    std::fs::write(dir.join("index.php"), signed(&block("php", "hash_hmac")))?;
    let receiver = signed(&block("python", "hmac.digest")).replace("9000", &python.to_string());
    std::fs::write(dir.join("receive.py"), receiver)?;
    let _php = begin("php", &["-S", &format!("127.0.0.1:{php}")], dir, &dir.join("php.log"))?;
    let _python = begin("python3", &["receive.py"], dir, &dir.join("python.log"))?;
    let hook = |port: u16| {
        format!("{{ url = \"http://127.0.0.1:{port}/\", secret = \"whsec_{SECRET}\" }}")
    };
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .env("MOONWA_RETRY_SCALE", "0.01")
        .config(&format!("\n[device.{DEVICE}]\nwebhooks = [{}, {}]\n", hook(php), hook(python)))
        .start()
        .await?;
    moonwa.link(DEVICE, &ann).await?;
    bob.send_text(&ann, "ada stok?").await?;
    for (file, line) in [
        ("messages.txt", format!("{}: ada stok?", bob.number())),
        ("python.log", format!("{} ada stok?", bob.number())),
    ] {
        let read = || async { std::fs::read_to_string(dir.join(file)).unwrap_or_default() };
        eventually(file, read, |text: &String| text.contains(&line)).await;
    }
    for port in [php, python] {
        let forger = Rest::new(format!("127.0.0.1:{port}"));
        let body = serde_json::json!({"data": {"from": {"phone": "1"}, "text": "forged"}});
        forger.post("/", &body).await?.expect(401);
    }
    let got = std::fs::read_to_string(dir.join("messages.txt"))?;
    assert!(!got.contains("forged"), "{got}");
    moonwa.stop().await?;
    Ok(())
}
