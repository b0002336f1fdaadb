//! WAHA's programs make sessions themselves; here each is a device in `moonwa.toml`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use moonwa_simulator::harness::{Delivery, Moonwa};
use serde_json::json;

use super::support::{BOSS, Program, SECRET, Story, speak};

#[tokio::test]
async fn wahas_programs_make_change_and_delete_a_session() -> Result<()> {
    let story = Story::start("waha", ["310171", "310172"]).await?;
    let admin = story.moonwa.admin();
    let file = || fs::read_to_string(story.moonwa.dir().join("moonwa.toml"));
    let hook = json!({
        "url": story.hook.url(),
        "events": ["message", "session.status"],
        "hmac": {"key": SECRET},
        "retries": {"attempts": 3},
        "customHeaders": [{"name": "x-team", "value": "cs"}],
    });
    let wish = json!({"name": "gudang", "config": {"webhooks": [hook]}});
    let boss = Program::new(&story.moonwa, &[("x-api-key", BOSS)]);
    boss.post("/api/sessions", &wish).await?.expect(403);
    let made = admin.post("/api/sessions", &wish).await?.expect(201).json();
    assert_eq!(made["name"], "gudang", "{made}");
    let again = admin.post("/api/sessions", &wish).await?.expect(422).json();
    assert!(again["message"].as_str().is_some_and(|words| words.contains("PUT")), "{again}");

    // It begins to be linked by itself, and its webhook is told in WAHA's form.
    let code = admin.get("/api/gudang/auth/qr?format=raw").await?.expect(200).json();
    story.bob.scan(code["value"].as_str().context("a code")?).await?;
    let works = |post: &Delivery| {
        let post = post.json();
        post["session"] == "gudang" && post["payload"]["status"] == "WORKING"
    };
    let told = story.hook.expect("the link", works).await;
    assert_eq!(told.header("x-team"), "cs");
    assert!(!told.header("x-webhook-hmac").is_empty());
    // Who is not told of the account's own messages hears of the others under another name.
    let id = story.ann.send_text(&story.bob, "halo").await?;
    let heard = |post: &Delivery| {
        let post = post.json();
        post["event"] == "message"
            && post["session"] == "gudang"
            && post["payload"]["id"].as_str().is_some_and(|whole| whole.ends_with(&id))
    };
    story.hook.expect("the message", heard).await;

    let other = json!({"config": {"webhooks": [{"url": "http://127.0.0.1:9/x", "events": ["*"]}]}});
    admin.put("/api/sessions/gudang", None, &other).await?.expect(200);
    let text = file()?;
    assert!(text.contains("http://127.0.0.1:9/x") && text.contains("[device.gudang"), "{text}");
    for (wrong, part) in [
        (json!({"name": "Über", "config": {}}), "name"),
        (json!({"name": "lain", "config": {"webhooks": [{"events": ["*"]}]}}), "url"),
        (
            json!({"name": "lain", "config": {"webhooks": [{"url": "http://a/", "events": ["label.upsert"]}]}}),
            "label.upsert",
        ),
        (
            json!({"name": "lain", "config": {"webhooks": [{"url": "ftp://a/", "events": ["*"]}]}}),
            "http",
        ),
    ] {
        let refused = admin.post("/api/sessions", &wrong).await?;
        assert!(matches!(refused.status.as_u16(), 400 | 422), "{wrong}");
        let words = refused.json()["message"].as_str().context("words")?.to_owned();
        assert!(words.contains(part), "{words}");
    }
    admin.delete("/api/sessions/gudang").await?.expect(200);
    assert!(!file()?.contains("gudang"));
    admin.get("/api/sessions/gudang").await?.expect(404);
    story.stop().await
}

#[tokio::test]
async fn what_to_write_is_said_where_moonwa_may_not() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_moonwa");
    let moonwa = Moonwa::builder(binary).device("toko", &[]).start().await?;
    speak(&moonwa, &["waha"]).await?;
    let file = moonwa.dir().join("moonwa.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400))?;
    let hook = json!({"url": "http://127.0.0.1:9/x", "events": ["message"]});
    let wish = json!({"name": "gudang", "config": {"webhooks": [hook]}});
    let refused = moonwa.admin().post("/api/sessions", &wish).await?.expect(409).json();
    let words = refused["message"].as_str().context("words")?;
    assert!(words.contains("[device.gudang]") && words.contains("format = \"waha\""), "{words}");
    let refused = moonwa.admin().delete("/api/sessions/toko").await?.expect(409).json();
    assert!(refused["message"].as_str().is_some_and(|words| words.contains("[device.toko]")));
    moonwa.stop().await?;
    Ok(())
}
