//! The sandbox as bot authors have it: the real program, a scenario, and a bot behind a webhook.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use moonwa_simulator::harness::{Answer, PATIENCE, Rest, WebhookReceiver, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// `cargo test` builds the examples beside the tests.
pub(crate) fn binary() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let profile = here.ancestors().nth(2).context("no target directory")?;
    let path = profile.join("examples/sandbox");
    ensure!(path.exists(), "{} is missing: cargo build --example sandbox", path.display());
    Ok(path)
}

/// Starts it with a directory of its own for temporary files; what it prints comes by a pipe.
fn spawn(directory: &Path, arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(binary()?);
    command.args(arguments).env("TMPDIR", directory).kill_on_drop(true);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Runs it to its end: the exit code and what it printed.
async fn run(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let directory = tempfile::tempdir()?;
    let output = timeout(2 * PATIENCE, spawn(directory.path(), arguments)?.wait_with_output());
    let output = output.await.context("it did not end")??;
    ensure!(left(directory.path())?.is_empty(), "it left something behind");
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(printed)?))
}

/// Plays a scenario.
async fn play(scenario: &str) -> Result<(Option<i32>, String)> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("s.toml");
    std::fs::write(&file, scenario)?;
    let (code, printed) = run(&["play", &file.to_string_lossy()]).await?;
    Ok((code, printed.replace(&*file.to_string_lossy(), "s.toml")))
}

/// A bot that answers in the answer to the webhook.
async fn bot(answer: &str) -> Result<WebhookReceiver> {
    let bot = WebhookReceiver::start().await?;
    let message = json!({"message_type": "text", "message": {"message": answer}});
    bot.otherwise(Some(Answer::body(json!({"status": "success", "data": message}).to_string())));
    Ok(bot)
}

/// A scenario's beginning, for a bot that is there.
fn beginning(url: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n[webhook]\nurl = \"{url}\"\nformat = \"moonwa\"\n[people]\nbudi = \"628987654321\"\nsiti = \"628111222333\"\n"
    )
}

fn left(directory: &Path) -> Result<Vec<PathBuf>> {
    std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
}

#[tokio::test]
async fn a_scenario_whose_expectations_are_met_ends_with_0() -> Result<()> {
    let bot = bot("Selamat datang di Toko Maju").await?;
    let steps = r#"
[[step]]
from = "budi"
text = "halo"
[[step]]
to = "budi"
text = "Selamat datang di Toko Maju"
[[step]]
fault = "drop"
[[step]]
from = "siti"
text = "ada stok?"
[[step]]
to = "siti"
contains = "Toko"
within = "20s"
[[step]]
after = "1ms"
to = "budi"
nothing = "1ms"
"#;
    let (code, printed) = play(&(beginning(&bot.url()) + steps)).await?;
    assert_eq!(code, Some(0), "{printed}");
    let said: Vec<String> =
        bot.deliveries().iter().map(|post| post.json()["message"].to_string()).collect();
    assert_eq!(said, ["\"halo\"", "\"ada stok?\""]);
    for line in [
        "ok   s.toml:12 budi gets \"Selamat",
        "ok   s.toml:15 fault Drop",
        "6 steps, all as expected",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    Ok(())
}

#[tokio::test]
async fn one_that_is_not_met_ends_with_1_and_says_what_came_instead() -> Result<()> {
    let bot = bot("Tutup").await?;
    let steps = r#"
[[step]]
from = "budi"
text = "halo"
[[step]]
to = "budi"
text = "Tutup"
[[step]]
from = "budi"
text = "kapan buka?"
[[step]]
to = "budi"
contains = "jam"
within = "15s"
[[step]]
from = "budi"
text = "never written"
"#;
    let (code, printed) = play(&(beginning(&bot.url()) + steps)).await?;
    assert_eq!(code, Some(1), "{printed}");
    let failed = "FAIL s.toml:18 budi did not get a text with \"jam\" within 15s, but \"Tutup\"";
    assert!(printed.contains(failed), "{printed}");
    assert!(printed.contains("the webhook is") && printed.contains("2 delivered"), "{printed}");
    assert!(!printed.contains("never written"), "{printed}");

    let silent =
        "\n[[step]]\nfrom = \"budi\"\ntext = \"halo\"\n[[step]]\nto = \"budi\"\nnothing = \"1m\"\n";
    let (code, printed) = play(&(beginning(&bot.url()) + silent)).await?;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("FAIL s.toml:12 budi got \"Tutup\""), "{printed}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_scenario_ends_with_2_and_says_where() -> Result<()> {
    let begin = beginning("http://127.0.0.1:9/");
    for (steps, said) in [
        ("[[step]]\nfrom = \"budi\"\ntext = ", "s.toml:10:8:"),
        ("[[step]]\nfrom = \"budy\"\ntext = \"halo\"", "s.toml:9:8: \"budy\" is not in [people]"),
        ("[[step]]\nfrom = \"budi\"\ntexts = \"halo\"", "s.toml:10:1: unknown field `texts`"),
        ("[[step]]\nfrom = \"budi\"", "s.toml:8:1: a step is one of: `from` and `text`"),
        ("[[step]]\nto = \"budi\"\nnothing = \"2\"", "s.toml:10:11: a time is \"500ms\""),
        ("[[step]]\nfault = \"dorp\"", "s.toml:9:9: unknown variant `dorp`, expected one of"),
        (
            "tono = \"0812\"\n[[step]]\nfault = \"drop\"",
            "s.toml:8:8: a number is the country's code",
        ),
        ("", "s.toml:1:1: missing field `step`"),
    ] {
        let (code, printed) = play(&format!("{begin}{steps}\n")).await?;
        assert_eq!(code, Some(2), "{steps}: {printed}");
        assert!(printed.starts_with(said), "{steps}: {printed}");
    }
    let webhook = "[webhook]\nurl = \"ftp://bot\"\n[[step]]\nfault = \"drop\"\n";
    let (code, printed) = play(webhook).await?;
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.starts_with("s.toml:1:1: webhook.url:"), "{printed}");
    let (code, printed) = run(&["play", "/nowhere.toml"]).await?;
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.starts_with("/nowhere.toml: No such file"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn its_command_line_explains_itself() -> Result<()> {
    let (code, printed) = run(&["--help"]).await?;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("virtual phones") && printed.contains("--port"), "{printed}");
    let (code, printed) = run(&["play", "--help"]).await?;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("Exit codes: 0 every expectation was met"), "{printed}");
    for wrong in [["--prot", "1"], ["--port", "many"]] {
        let (code, printed) = run(&wrong).await?;
        assert_eq!(code, Some(64), "{printed}");
        assert!(printed.contains("--port"), "{printed}");
    }
    Ok(())
}

/// The sandbox with its page.
struct Sandbox {
    child: Child,
    page: String,
    gateway: String,
    directory: TempDir,
}

impl Sandbox {
    async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut child = spawn(directory.path(), &[])?;
        let mut output = child.stdout.take().context("no output")?;
        let mut printed = Vec::new();
        timeout(PATIENCE, async {
            while !String::from_utf8_lossy(&printed).contains("Ctrl-C ends it.") {
                ensure!(output.read_buf(&mut printed).await? > 0, "the sandbox has ended");
            }
            Ok(())
        })
        .await??;
        let printed = String::from_utf8(printed)?;
        let mut addresses = printed
            .split("http://")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('/')?.0.to_owned()));
        let page = addresses.next().context("no page")?;
        let gateway = addresses.next().context("no gateway")?;
        Ok(Self { child, page, gateway, directory })
    }
}

#[tokio::test]
async fn every_signal_ends_its_gateway_and_removes_its_folder() -> Result<()> {
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::KILL]
    {
        let Sandbox { mut child, gateway, directory, .. } = Sandbox::start().await?;
        assert_eq!(left(directory.path())?.len(), 1, "its folder");
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(pid.context("it has ended")?, signal)?;
        let status = timeout(PATIENCE, child.wait()).await.context("it did not end")??;
        let ordered = ![Signal::USR1, Signal::KILL].contains(&signal);
        assert_eq!(status.code(), ordered.then_some(0), "{signal:?}: {status}");
        assert_eq!(status.signal().is_none(), ordered, "{signal:?}: {status}");
        let look = || async { left(directory.path()).unwrap_or_default() };
        eventually("its folder is gone", look, Vec::is_empty).await;
        assert!(TcpStream::connect(&gateway).await.is_err(), "{signal:?}: the gateway goes on");
    }
    Ok(())
}

#[tokio::test]
async fn its_page_survives_whatever_is_posted() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let page = Rest::new(&sandbox.page);
    let large = json!({"text": "x".repeat(60_000)}).to_string();
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{\"text\":7,\"id\":7}",
        b"{\"text\":\" \",\"id\":\"\"}",
        b"{\"text\":\"halo\\u0000\",\"id\":\"nobody's\"}",
        b"\xff\xfe",
        large.as_bytes(),
    ];
    for path in
        ["/", "/write", "/reply", "/read", "/unlink", "/login", "/scan", "/state", "/nothing", "//"]
    {
        for body in bodies {
            let reply = page.post_bytes(path, "text/plain", body.to_vec()).await?;
            // What the sandbox did not think of would be a 500.
            assert!(reply.status.as_u16() < 500, "{path} {body:?}: {}", reply.text());
            assert!(reply.json().is_object(), "{path} {body:?}: {}", reply.text());
        }
    }
    let huge = page.post_bytes("/write", "text/plain", vec![b' '; 1 << 20]).await;
    assert!(huge.is_err() || huge.is_ok_and(|reply| reply.status == 400));
    let form =
        page.request(hyper::Method::POST, "/unlink").header("origin", "https://evil.example");
    let reply = page.send(form.body(http_body_util::Full::default())?).await?;
    assert_eq!(reply.status, 403, "{}", reply.text());

    // Connections that say nothing, or half of something, keep nobody out.
    let mut silent = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&sandbox.page).await?;
        stream.write_all(b"POST /write HTTP/1.1\r\ncontent-").await?;
        silent.push(stream);
    }
    let state = timeout(2 * PATIENCE, page.get("/state")).await.context("kept out")??;
    assert_eq!(state.status, 200, "{}", state.text());
    Ok(())
}
