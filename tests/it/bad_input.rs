//! What people and programs get wrong: the documented answer each time, no panic, nothing lost.

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, Rest, WebhookReceiver, api_key};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn gateway() -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
}

/// Status, message and error code of one call of `/api`.
async fn face(rest: &Rest, body: &Value) -> Result<(u16, String, String)> {
    let reply = rest.post("/api/send-message", body).await?;
    let json = reply.json();
    assert_eq!(json["status"], false, "{json}");
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    Ok((reply.status.as_u16(), text("message"), text("error")))
}

fn said(status: u16, message: &str, error: &str) -> (u16, String, String) {
    (status, message.to_owned(), error.to_owned())
}

#[tokio::test]
async fn the_documented_api_answers_as_documented() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628444000111", "Ann").await;
    let moonwa = gateway().whatsapp(&sim).device("toko", &[]).start().await?;
    let (anyone, key) = (moonwa.anyone(), api_key("toko"));
    assert_eq!(anyone.get("/api").await?.expect(200).text(), r#"{"message":"Server Running!"}"#);

    let good = json!({"api_key": key, "receiver": "628123456789", "data": {"message": "x"}});
    assert_eq!(
        face(&anyone, &good).await?,
        said(400, "Device is stopped.", "device_not_connected")
    );
    let mut wrong = good.clone();
    wrong["api_key"] = json!("wrong");
    assert_eq!(face(&anyone, &wrong).await?, said(400, "Invalid API Key.", "invalid_api_key"));
    let bad_bodies = [
        json!({"api_key": key}),
        json!({"api_key": key, "receiver": true, "data": {"message": "x"}}),
        json!({"api_key": key, "receiver": "0812345678", "data": {"message": "x"}}),
        json!({"api_key": key, "receiver": "not a number", "data": {"message": "x"}}),
        json!({"api_key": key, "receiver": "628123456789", "data": {"message": ""}}),
        json!([1, 2, 3]),
        json!("text"),
    ];
    for body in bad_bodies {
        let (status, message, error) = face(&anyone, &body).await?;
        assert_eq!(
            (status, message.as_str(), error.as_str()),
            (400, "Invalid request.", "invalid_request"),
            "{body}"
        );
    }
    let broken = anyone
        .post_bytes("/api/send-message", "application/json", b"{\"api_key\": ".to_vec())
        .await?;
    assert_eq!(broken.expect(400).json()["error"], "invalid_request");
    let large = vec![b' '; 10 << 20];
    anyone.post_bytes("/api/send-message", "application/json", large).await?.expect(413);

    moonwa.link("toko", &ann).await?;
    let nobody = json!({"api_key": key, "receiver": "628999999999", "data": {"message": "x"}});
    assert_eq!(
        face(&anyone, &nobody).await?,
        said(400, "Invalid WhatsApp number.", "not_on_whatsapp")
    );
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn v1_answers_with_problems() -> Result<()> {
    let moonwa = gateway().device("toko", &[]).start().await?;
    let (admin, key, anyone) = (moonwa.admin(), moonwa.key_of("toko"), moonwa.anyone());
    let messages = "/v1/devices/toko/messages";

    for (reply, status, code) in [
        (anyone.get("/v1/devices").await?, 401, "unauthorized"),
        (anyone.with_token("wrong").get("/v1/devices").await?, 401, "unauthorized"),
        (key.post("/v1/devices/toko/start", &Value::Null).await?, 403, "forbidden"),
        (admin.get("/v1/devices/nobody").await?, 404, "device_not_found"),
        (admin.get("/v1/nothing").await?, 404, "not_found"),
        (admin.delete("/v1/devices").await?, 405, "method_not_allowed"),
        (
            key.post_bytes(messages, "application/json", b"{\"to\"".to_vec()).await?,
            400,
            "invalid_request",
        ),
        (
            key.post_bytes(messages, "application/json", vec![0xff, 0xfe]).await?,
            400,
            "invalid_request",
        ),
        (
            key.post_bytes(messages, "text/plain", b"hello".to_vec()).await?,
            415,
            "unsupported_media_type",
        ),
        (
            key.post(messages, &json!({"to": "628123456789", "txt": "x"})).await?,
            400,
            "invalid_request",
        ),
        (key.post(messages, &json!({"to": "0812", "text": "x"})).await?, 400, "invalid_request"),
        (
            key.post(messages, &json!({"to": "628123456789", "text": 7})).await?,
            400,
            "invalid_request",
        ),
        (
            key.post(messages, &json!({"to": "628123456789", "text": "x"})).await?,
            409,
            "device_not_connected",
        ),
        (key.get("/v1/devices/toko/messages/3EB0AAAA").await?, 404, "message_not_found"),
    ] {
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
        assert_eq!(reply.json()["code"], code, "{}", reply.text());
        assert_eq!(reply.headers["content-type"], "application/problem+json");
    }
    let deep = "[".repeat(60_000).into_bytes();
    key.post_bytes(messages, "application/json", deep).await?.expect(400);
    assert!(!moonwa.log().contains("panicked"), "{}", moonwa.log());
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_foreign_host_or_site_is_refused() -> Result<()> {
    let moonwa = gateway().device("toko", &[]).start().await?;
    let raw = async |text: String| {
        let mut stream = TcpStream::connect(moonwa.address()).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer.lines().next().unwrap_or_default().to_owned())
    };
    let rebound =
        raw("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned()).await?;
    assert!(rebound.contains(" 421 "), "{rebound}");
    let smuggled = raw(format!(
        "POST /api/send-message HTTP/1.1\r\nHost: {}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        moonwa.address()
    ))
    .await?;
    assert!(smuggled.contains(" 400 "), "{smuggled}");
    let garbage = raw("\u{1}\u{2}\r\n\r\n".to_owned()).await?;
    assert!(garbage.is_empty() || garbage.contains(" 400 "), "{garbage}");
    moonwa.admin().get("/v1/devices").await?.expect(200);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_broken_file_is_explained_and_nothing_starts() -> Result<()> {
    let (status, text) = gateway()
        .config("\n[device.toko]\nwebhook = [\"https://a.example\"]\n\n[device.Toko]\n\n[outbox]\nkeep = \"three days\"\n")
        .start_refused()
        .await?;
    assert_eq!(status.code(), Some(78), "{text}");
    for part in [
        "moonwa.toml:8:1",
        "device.toko: unknown key",
        "did you mean",
        "moonwa.toml:10:",
        "moonwa.toml:13:",
        "three days",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    Ok(())
}

#[tokio::test]
async fn commands_exit_as_documented() -> Result<()> {
    let moonwa = gateway().device("toko", &[]).start().await?;
    let (code, text) = moonwa.command(&["check"]).await?;
    assert_eq!(code, 0, "{text}");
    let (code, text) = moonwa.command(&["frobnicate"]).await?;
    assert_eq!(code, 64, "{text}");
    let (code, text) = moonwa.command(&["--version"]).await?;
    assert_eq!((code, text.trim()), (0, concat!("moonwa ", env!("CARGO_PKG_VERSION"))));
    let (code, text) = moonwa.command(&["init"]).await?;
    assert_eq!(code, 1, "an existing file is left alone: {text}");
    let (code, text) = moonwa.command(&["status"]).await?;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("toko") && text.contains("PENDING"), "{text}");
    let (code, text) = moonwa.command(&["link", "nobody"]).await?;
    assert_eq!(code, 1, "{text}");
    let (code, text) = moonwa.command(&["run"]).await?;
    assert_eq!(code, 1, "a second gateway on the same store: {text}");
    let holder = format!("in use by another moonwa (process {})", moonwa.pid());
    assert!(text.contains(&holder), "{text}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_command_that_cannot_be_done_says_what_to_do() -> Result<()> {
    let moonwa = gateway().device("toko", &[]).start().await?;
    let (code, text) = moonwa.command(&["bogus"]).await?;
    assert_eq!((code, text.contains("similar")), (64, false), "{text}");
    let (code, text) = moonwa.command(&["logot", "toko"]).await?;
    assert_eq!((code, text.contains("'logout'")), (64, false), "{text}");
    let (code, text) = moonwa.command(&["statsu"]).await?;
    assert_eq!((code, text.contains("'status'")), (64, true), "{text}");
    let (code, text) = moonwa.command(&["check", "moonwa.toml"]).await?;
    assert_eq!((code, text.contains("moonwa.toml: good. 1 devices")), (0, true), "{text}");
    std::fs::write(moonwa.dir().join("other.toml"), "[device.CS 1]\n")?;
    let (code, text) = moonwa.command(&["check", "other.toml"]).await?;
    let said = "other.toml:1:11: unclosed table, expected `]`; write [device.cs-1]";
    assert_eq!((code, text.contains(said)), (78, true), "{text}");
    for (device, why) in [
        ("nosuch", "nothing is stored under that name (404)"),
        ("toko", "log it out instead, or remove its table first (409)"),
    ] {
        let (code, text) = moonwa.command(&["forget", device]).await?;
        assert_eq!((code, text.contains(why)), (1, true), "{text}");
    }
    let (code, text) = moonwa.command(&["forget", "CS 1"]).await?;
    assert_eq!(
        (code, text.contains("'CS 1'"), text.contains("a device name has 1 to 64")),
        (64, true, true),
        "{text}"
    );
    // Not asked without a terminal; nothing is linked here.
    let (code, text) = moonwa.command(&["logout", "nosuch"]).await?;
    assert_eq!((code, text.contains("no such device")), (1, true), "{text}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_key_is_made_for_a_device_and_put_where_it_belongs() -> Result<()> {
    let moonwa = gateway()
        .config("\n[device.toko] # the shop\napi_key = \"key-of-toko-0123456789abcdef\"\n\n[device.gudang]\n")
        .start()
        .await?;
    let key = |text: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix("mw_")).map(|key| format!("mw_{key}"))
    };
    let before = std::fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    let (code, text) = moonwa.command(&["key", "new", "gudang"]).await?;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("For the table [device.gudang] in moonwa.toml (--write"), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(" = ")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("api_key = \"sha256:"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with('[')), "a table that is there: {text}");
    let (_, text) = moonwa.command(&["key", "new", "toko"]).await?;
    assert!(text.contains("in place of the api_key that is there"), "{text}");
    assert_eq!(std::fs::read_to_string(moonwa.dir().join("moonwa.toml"))?, before);
    let (code, text) = moonwa.command(&["key", "new", "tokoo", "--write"]).await?;
    let said = "there is no device \"tokoo\" in moonwa.toml; did you mean toko?";
    assert_eq!((code, text.contains(said), key(&text)), (1, true, None), "{text}");

    let (code, text) = moonwa.command(&["key", "new", "toko", "--write"]).await?;
    assert_eq!((code, text.contains("in the table [device.toko] now")), (0, true), "{text}");
    let after = std::fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    assert!(after.contains("[device.toko] # the shop\napi_key = \"sha256:"), "{after}");
    let program = moonwa.anyone().with_token(key(&text).expect("a key"));
    let status =
        || async { program.get("/v1/devices/toko").await.map_or(0, |reply| reply.status.as_u16()) };
    moonwa_simulator::harness::eventually("the key is good", status, |status| *status == 200).await;
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(401);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_hanging_receiver_does_not_delay_the_stop() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628444000112", "Ann").await, sim.phone("628444000113", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway().whatsapp(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    hook.hang(true);
    bob.send_text(&ann, "wait for me").await?;
    let look = || async {
        moonwa
            .device("toko")
            .await
            .map(|device| device["webhooks"][0]["backlog"].clone())
            .unwrap_or_default()
    };
    let some = |backlog: &Value| backlog.as_u64().is_some_and(|backlog| backlog > 0);
    moonwa_simulator::harness::eventually("a backlog", look, some).await;
    moonwa.restart().await?;
    hook.hang(false);
    hook.expect_text("wait for me").await;
    moonwa.stop().await?;
    Ok(())
}
