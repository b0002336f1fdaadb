//! Programs' libraries that were written for WAHA, GOWA and Evolution API, against moonwa in their place.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use moonwa_simulator::harness::{Delivery, api_key};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::faces::support::{BOSS, Story};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn picture() -> String {
    root().join("tests/it/page_browser/shirt.png").display().to_string()
}

/// Runs one of the scripts to its end; answers what it printed.
async fn run(script: &str, arguments: &[&str], input: &[u8]) -> Result<Value> {
    let python = root().join("target/faces/python/bin/python");
    run_by(python, script, arguments, input).await
}

async fn run_by(
    program: impl AsRef<std::ffi::OsStr>,
    script: &str,
    arguments: &[&str],
    input: &[u8],
) -> Result<Value> {
    let mut child = Command::new(program)
        .arg(root().join("tests/it/clients").join(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the client is not installed: see .ci/run")?;
    child.stdin.take().context("no standard input")?.write_all(input).await?;
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Waits until Bob's phone has each of those messages.
async fn all_arrive(story: &Story, sent: &Value) -> Result<()> {
    let sent = sent.as_object().context("what was sent")?;
    ensure!(sent.len() > 1, "nothing was sent");
    for id in sent.values() {
        let id = id.as_str().context("an id")?;
        // WAHA's id has the chat before it.
        story.got(id.split('_').nth(2).unwrap_or(id)).await?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a client from PyPI; .ci/run installs it"]
async fn gowas_python_library_sends_asks_and_is_told() -> Result<()> {
    let story = Story::start("gowa", ["320111", "320112"]).await?;
    let url = format!("http://{}", story.moonwa.address());
    story.sim.group("Customers", &[&story.ann, &story.bob]).await?;
    let said =
        run("talk_gowa.py", &["talk", &url, &api_key("toko"), story.bob.number(), &picture()], b"")
            .await?;
    assert_eq!((&said["connected"], &said["on_whatsapp"]), (&json!(true), &json!(true)), "{said}");
    assert_eq!(said["groups"], json!(["Customers"]));
    all_arrive(&story, &said["sent"]).await?;
    let id = story.bob.send_text(&story.ann, "an answer").await?;
    let it = |post: &Delivery| post.json()["payload"]["id"] == json!(id);
    let post = story.hook.expect("the answer", it).await;
    let read = run("talk_gowa.py", &["read"], &post.body).await?;
    let expected = json!({"event": "message", "device": story.ann.jid(), "from": story.bob.jid(), "text": "an answer"});
    assert_eq!(read, expected);
    story.stop().await
}

#[tokio::test]
#[ignore = "needs clients from PyPI; .ci/run installs them"]
async fn wahas_python_libraries_send_ask_and_are_told() -> Result<()> {
    let story = Story::start("waha", ["320121", "320122"]).await?;
    let url = format!("http://{}", story.moonwa.address());
    story.sim.group("Customers", &[&story.ann, &story.bob]).await?;
    let chat = format!("{}@c.us", story.bob.number());
    let said =
        run("talk_waha.py", &["talk", &url, &api_key("toko"), &chat, &picture()], b"").await?;
    assert_eq!((&said["session"], &said["me"]), (&json!("WORKING"), &json!("Ann")), "{said}");
    assert_eq!(
        (&said["sessions"], &said["on_whatsapp"]),
        (&json!(["toko"]), &json!(true)),
        "{said}"
    );
    all_arrive(&story, &said["sent"]).await?;
    let folder: PathBuf = root().join("target/faces/waha-py");
    let folder = folder.display().to_string();
    let said = run(
        "talk_waha.py",
        &["generated", &folder, &url, &api_key("toko"), &chat, &picture()],
        b"",
    )
    .await?;
    assert_eq!((&said["session"], &said["groups"]), (&json!("WORKING"), &json!(["Customers"])));
    all_arrive(&story, &said["sent"]).await?;
    let id = story
        .bob
        .send_file(
            &story.ann,
            b"nota",
            "text/plain",
            moonwa_simulator::File::Document("nota.txt".into()),
        )
        .await?;
    let it = |post: &Delivery| {
        post.json()["payload"]["id"].as_str().is_some_and(|whole| whole.ends_with(&id))
    };
    let post = story.hook.expect("the file", it).await;
    let heard = run("talk_waha.py", &["hear"], &post.body).await?;
    assert_eq!(
        heard,
        json!({"id": post.json()["payload"]["id"], "body": null, "mine": false, "file": true})
    );
    let read = run("talk_waha.py", &["read", &folder], &post.body).await?;
    assert_eq!((&read["event"], &read["from"]), (&json!("message.any"), &json!(chat)), "{read}");
    assert_eq!((&read["engine"], &read["media"]), (&json!("GOWS"), &json!("text/plain")), "{read}");
    story.stop().await
}

#[tokio::test]
#[ignore = "needs a client from PyPI; .ci/run installs it"]
async fn evolutions_python_library_sends_asks_and_is_told() -> Result<()> {
    let story = Story::start("evolution", ["320131", "320132"]).await?;
    let url = format!("http://{}", story.moonwa.address());
    let talk = ["talk", &url, &api_key("toko"), story.bob.number(), &picture()];
    let said = run("talk_evolution.py", &talk, b"").await?;
    assert_eq!((&said["state"], &said["instances"]), (&json!("open"), &json!(["toko"])), "{said}");
    assert_eq!(said["typing"], json!({"presence": "composing"}));
    all_arrive(&story, &said["sent"]).await?;
    let id = story.bob.send_text(&story.ann, "an answer").await?;
    let it = |post: &Delivery| post.json()["data"]["key"]["id"] == json!(id);
    let post = story.hook.expect("the answer", it).await;
    let read = run("talk_evolution.py", &["read"], &post.body).await?;
    let expected = json!({
        "event": "messages.upsert", "from": story.bob.jid(), "name": "Bob", "text": "an answer",
    });
    assert_eq!(read, expected);
    story.stop().await
}

#[tokio::test]
#[ignore = "needs node and a package of npm; .ci/run installs them"]
async fn evolutions_node_for_n8n_sends_and_asks() -> Result<()> {
    let story = Story::start("evolution", ["320141", "320142"]).await?;
    let url = format!("http://{}", story.moonwa.address());
    let group = story.sim.group("Customers", &[&story.ann, &story.bob]).await?;
    let folder = root().join("target/faces/n8n/package").display().to_string();
    let arguments = [&folder, &url, BOSS, story.bob.number(), &group.jid()];
    let said = run_by("node", "talk_evolution.mjs", &arguments, b"").await?;
    assert_eq!((&said["state"], &said["connect"]), (&json!("open"), &json!("open")), "{said}");
    assert_eq!((&said["groups"], &said["members"]), (&json!(["Customers"]), &json!(2)), "{said}");
    assert_eq!(said["presence"], "composing");
    all_arrive(&story, &said["sent"]).await?;
    story.stop().await
}
