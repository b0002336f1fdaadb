//! What openapi.json promises, held against the real binary by schemathesis: no server error, and no answer with a
//! status, a type, a header or a shape that is not written there.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, api_key, eventually};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

const DEVICE: &str = "admin-toko";
/// A run takes a minute; this is for a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(9);
/// They would end what the others need: the session, the link, or the stream that never ends.
const ENDINGS: &str =
    "/(logout|logins|stop|start|reconnect|leave|pair-code|passkey|passkey/confirm)$";
/// Those, and `/mcp`, which has errors of a protocol of its own.
const ENDINGS_AND_STREAM: &str = "/(logout|logins|stop|start|reconnect|leave|pair-code|passkey|passkey/confirm)$|^/mcp$|^/v1/events$";

/// A linked device with everything that can be asked for: a group, messages both ways, a file, a dead letter.
struct World {
    moonwa: Moonwa,
    pins: Value,
    _sim: Simulator,
    _hook: WebhookReceiver,
    _files: WebhookReceiver,
}

async fn world() -> Result<World> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555100111", "Ann").await, sim.phone("628555100112", "Bob").await);
    let (hook, files) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    files.otherwise(Some(Answer::body("nota").header("content-type", "text/plain")));
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .env("MOONWA_RETRY_SCALE", "0.001")
        .config("\n[media]\nallow_nets = [\"127.0.0.0/8\"]\n")
        .device(DEVICE, &[hook.url()])
        .start()
        .await?;
    moonwa.link(DEVICE, &ann).await?;
    let group = sim.group("Tim", &[&ann, &bob]).await?;

    hook.answers([422, 422, 422].map(Answer::status));
    bob.send_text(&ann, "refused").await?;
    let parked = || async {
        let path = format!("/v1/devices/{DEVICE}/webhooks/1/dead-letters");
        let letters = moonwa.admin().get(&path).await.map(|reply| reply.json());
        letters.unwrap_or_default()["dead_letters"][0]["id"].clone()
    };
    let event = eventually("a dead letter", parked, Value::is_string).await;
    let text = bob.send_text(&ann, "halo").await?;
    bob.send_image(&ann, b"\xff\xd8\xff\xe0 not much of a picture", Some("katalog")).await?;
    let image = hook.expect_text("katalog").await.json()["data"]["id"].clone();
    let sent = moonwa.send_text(DEVICE, bob.number(), "halo juga").await?;
    moonwa.wait_status(DEVICE, &sent, "delivered").await;
    let pins = json!({
        "device": [DEVICE], "message": [sent], "received": [text], "image": [image],
        "phone": [bob.number()], "group": [group.jid()], "n": [1], "event": [event],
        "wait": ["0s", "100ms"], "receiver": [bob.number(), group.jid()],
        "contact": [bob.number(), bob.lid()], "chat": [bob.jid(), group.jid()],
        "url": [format!("http://{}/nota.txt", files.address())], "api_key": [api_key(DEVICE)],
    });
    Ok(World { moonwa, pins, _sim: sim, _hook: hook, _files: files })
}

/// Puts values that exist into the description, so that more comes of it than 404.
fn pin(document: &mut Value, pins: &Value) {
    let paths = document["paths"].as_object_mut().expect("paths");
    for (path, item) in paths {
        for operation in item.as_object_mut().expect("operations").values_mut() {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                let name = match name.as_str() {
                    "message" if path.contains("/media/") => "image",
                    "message" if path.ends_with("/read") => "received",
                    name => name,
                };
                if let Some(values) = pins.get(name) {
                    parameter["schema"] = json!({ "enum": values });
                    parameter["example"] = values[0].clone();
                }
            }
            if let Some(body) = operation.get_mut("requestBody") {
                pin_fields(body, pins);
            }
        }
    }
    let schemas = &mut document["components"]["schemas"];
    schemas["Receiver"] = json!({ "enum": pins["receiver"] });
    schemas["Member"] = json!({ "enum": pins["phone"] });
    // The examples of a form have every field, whatever the schema says of two together, and this one excludes view_once.
    schemas["Upload"]["properties"]["as_document"] = json!({ "enum": ["false"] });
    for kind in ["Send", "Upload", "Media", "Sound", "Document", "Text"] {
        pin_fields(&mut schemas[kind], pins);
    }
}

/// The same for fields, wherever a schema has them.
fn pin_fields(node: &mut Value, pins: &Value) {
    match node {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                for (name, schema) in properties.iter_mut() {
                    let pinned = match name.as_str() {
                        "receiver" => "receiver",
                        "url" | "data[url]" => "url",
                        "api_key" => "api_key",
                        _ => continue,
                    };
                    *schema = json!({ "enum": pins[pinned] });
                }
            }
            // Examples name what is not there.
            fields.remove("example");
            fields.remove("examples");
            fields.values_mut().for_each(|value| pin_fields(value, pins));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| pin_fields(value, pins)),
        _ => {}
    }
}

async fn schemathesis(world: &World, token: &str, filter: &[&str], examples: &str) -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::var_os("SCHEMATHESIS")
        .map_or_else(|| root.join("target/schemathesis/bin/schemathesis"), PathBuf::from);
    // The phase that covers every constraint of every field by itself takes four minutes.
    let phases = std::env::var("MOONWA_CONTRACT_PHASES");
    let phases = phases.unwrap_or_else(|_| "examples,fuzzing".to_owned());
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(root.join("tests/it/api/schemathesis.toml"))
        .arg("run")
        .arg(world.moonwa.dir().join("openapi.json"))
        .args(["--url", &format!("http://{}", world.moonwa.address())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--max-examples", examples])
        .args(["--phases", &phases])
        .args(filter)
        .current_dir(world.moonwa.dir())
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.context("it takes too long")?;
    let output = output.context("schemathesis does not start; .ci/schemathesis installs it")?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis; .ci/schemathesis installs it and runs this"]
async fn the_gateway_does_what_openapi_json_says() -> Result<()> {
    let examples = std::env::var("MOONWA_CONTRACT_EXAMPLES").unwrap_or_else(|_| "3".to_owned());
    let world = world().await?;
    let mut document = world.moonwa.anyone().get("/openapi.json").await?.expect(200).json();
    pin(&mut document, &world.pins);
    std::fs::write(world.moonwa.dir().join("openapi.json"), document.to_string())?;
    let control = std::fs::read(world.moonwa.dir().join("data/control.json"))?;
    let control: Value = serde_json::from_slice(&control)?;
    let admin = control["token"].as_str().context("no token")?;

    let calm = ["--exclude-path-regex", ENDINGS_AND_STREAM];
    schemathesis(&world, admin, &calm, &examples).await?;
    schemathesis(&world, admin, &["--include-path-regex", ENDINGS], &examples).await?;
    assert!(!world.moonwa.log().contains("panicked"), "{}", world.moonwa.log());
    world.moonwa.stop().await?;
    Ok(())
}
