//! The SDK of the Model Context Protocol as the client, from npm.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use moonwa_simulator::harness::api_key;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::mcp::Shop;

async fn talk(way: &str, place: &str, to: &str) -> Result<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("node")
        .arg(root.join("tests/it/clients/mcp.mjs"))
        .arg(root.join("target/mcp/node_modules/@modelcontextprotocol/sdk"))
        .args([way, place, &api_key("toko"), to])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("the SDK is not installed: see .ci/run")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test]
#[ignore = "needs the SDK from npm; .ci/run installs it"]
async fn the_sdk_reads_and_sends_over_http_and_stdio() -> Result<()> {
    let shop = Shop::open(["560111", "560112"]).await?;
    shop.bob_writes("Ada kopi?").await?;
    let url = format!("http://{}/mcp?allow=send", shop.moonwa.address());
    let file = shop.moonwa.dir().join("moonwa.toml");
    let arguments = json!(["--config", file, "mcp", "--stdio", "--device", "toko", "--allow-send"]);
    let command = json!({ "command": env!("CARGO_BIN_EXE_moonwa"), "args": arguments }).to_string();
    let mut texts = vec!["Ada kopi?".to_owned()];
    for (way, place) in [("http", url), ("stdio", command)] {
        let told = talk(way, &place, shop.bob.number()).await?;
        let expected = json!({
            "server": "moonwa",
            "tools": ["device_status", "list_chats", "read_chat", "search", "group", "wait_for_message", "send_message", "send_file"],
            "connected": "connected", "chats": 1, "read": texts, "found": 1, "sent": told["sent"], "waited": 0,
        });
        assert_eq!(told, expected, "{way}");
        let id = told["sent"].as_str().context("an id")?.to_owned();
        shop.bob
            .wait_inbox(0, |item| item.message().is_some_and(|message| message.id == id))
            .await?;
        texts.push(format!("halo dari {way}"));
    }
    shop.close().await
}
