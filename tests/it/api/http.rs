//! The HTTP server against clients that are wrong, slow, greedy or not who they say they are.

use std::time::Duration;

use super::support::{Gateway, KEY, OTHER, PATIENCE};
use anyhow::Result;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::Simulator;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const MESSAGES: &str = "/v1/devices/toko/messages";

fn header(reply: &moonwa_simulator::harness::Reply, name: &str) -> String {
    reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_answer_has_its_headers() -> Result<()> {
    let gateway = Gateway::start().await?;
    let anyone = gateway.anyone();
    let health = anyone.get("/healthz").await?.expect(200);
    assert_eq!(health.json(), json!({ "status": "ok" }));
    assert_eq!(header(&health, "cache-control"), "no-store");
    assert_eq!(header(&health, "x-content-type-options"), "nosniff");
    assert_eq!(header(&health, "x-request-id").len(), 16);
    anyone.get("/readyz").await?.expect(200);

    let request = anyone.request(Method::HEAD, "/healthz").header("x-request-id", "mine-1");
    let head = anyone.send(request.body(Full::default())?).await?.expect(200);
    assert_eq!((head.body.len(), header(&head, "x-request-id").as_str()), (0, "mine-1"));

    let options = anyone.request(Method::OPTIONS, MESSAGES).body(Full::default())?;
    let options = anyone.send(options).await?.expect(204);
    assert_eq!(header(&options, "allow"), "POST, GET, HEAD, OPTIONS");
    let wrong = anyone.delete("/api/send-message").await?.expect(405);
    assert_eq!(header(&wrong, "allow"), "POST, OPTIONS");
    let problem = anyone.get("/v1/devices").await?.expect(401);
    assert_eq!(header(&problem, "www-authenticate"), "Bearer");
    assert_eq!(problem.json()["instance"], header(&problem, "x-request-id"));

    let page = anyone.get("/").await?.expect(200);
    assert!(header(&page, "content-security-policy").contains("default-src 'none'"));
    let again = anyone.request(Method::GET, "/").header("if-none-match", header(&page, "etag"));
    anyone.send(again.body(Full::default())?).await?.expect(304);
    anyone.get("/openapi.json").await?.expect(200);
    anyone.get("/../moonwa.toml").await?.expect(404);
    gateway.stop().await;
    Ok(())
}

/// Programs write head and body one after the other, and the second may take its time on the way.
#[tokio::test]
async fn a_connection_goes_on_although_nobody_asked_for_the_body() -> Result<()> {
    let gateway = Gateway::start().await?;
    let mut stream = BufReader::new(TcpStream::connect(gateway.address).await?);
    stream.get_ref().set_nodelay(true)?;
    let asked = [
        ("POST /v1/devices/toko/stop", "403"),
        ("GET /healthz", "200"),
        ("POST /nowhere", "404"),
        ("DELETE /api/send-message", "405"),
        ("OPTIONS /api/send-message", "204"),
    ];
    for (what, expected) in asked.iter().cycle().take(20) {
        let head = format!(
            "{what} HTTP/1.1\r\nHost: {}\r\nX-Api-Key: {KEY}\r\nContent-Length: 2\r\n\r\n",
            gateway.address
        );
        stream.write_all(head.as_bytes()).await?;
        sleep(Duration::from_millis(5)).await;
        stream.write_all(b"{}").await?;
        let answer = timeout(PATIENCE, next_answer(&mut stream)).await??;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{what}: {answer}");
    }
    gateway.stop().await;
    Ok(())
}

/// The head of the next answer on a connection; its body is read as well.
async fn next_answer(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        anyhow::ensure!(stream.read_line(&mut head).await? > 0, "the connection ended: {head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(Ok(0), str::parse)?];
    stream.read_exact(&mut body).await?;
    Ok(head)
}

#[tokio::test]
async fn a_key_reaches_its_device_only() -> Result<()> {
    let gateway = Gateway::start().await?;
    let key = gateway.key();
    let devices = key.get("/v1/devices").await?.expect(200).json();
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1));
    assert_eq!(devices["devices"][0]["name"], "toko");
    let refused = async |path| -> Result<Value> {
        let mut problem = key.get(path).await?.expect(403).json();
        // The request's id is the only difference there may be.
        problem["instance"].take();
        Ok(problem)
    };
    let other = refused("/v1/devices/gudang").await?;
    assert_eq!(refused("/v1/devices/nothing").await?, other, "a key learns of no other device");
    key.get("/v1/config").await?.expect(403);
    key.post("/v1/devices/toko/start", &Value::Null).await?.expect(403);
    let all = gateway.admin().get("/v1/devices").await?.expect(200).json();
    assert_eq!(all["devices"].as_array().map(Vec::len), Some(2));
    let by_header = gateway.anyone().request(Method::GET, "/v1/devices/gudang");
    let by_header = by_header.header("x-api-key", OTHER).body(Full::default())?;
    gateway.anyone().send(by_header).await?.expect(200);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn no_route_that_needs_a_key_answers_without_one() -> Result<()> {
    let gateway = Gateway::start().await?;
    let anyone = gateway.anyone();
    let document = anyone.get("/openapi.json").await?.expect(200).json();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if operation.get("security").is_some() {
                continue;
            }
            let path = path.replace("{device}", "toko").replace("{n}", "1").replace(['{', '}'], "");
            let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
            for cookie in ["", "moonwa_session=guess"] {
                let request = anyone.request(method.clone(), &path).header("cookie", cookie);
                let refused = anyone.send(request.body(Full::default())?).await?.expect(401);
                assert_eq!(refused.json()["code"], "unauthorized", "{method} {path}");
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "only {asked} requests");
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn guessing_is_slow_and_right_keys_are_never_kept_waiting() -> Result<()> {
    let gateway = Gateway::start().await?;
    let guess = gateway.anyone().with_token("guess");
    for _ in 0..10 {
        guess.get("/v1/devices").await?.expect(401);
    }
    let refused = guess.get("/v1/devices").await?.expect(429);
    assert_eq!(refused.json()["code"], "too_many_attempts");
    assert!(
        header(&refused, "retry-after").parse::<u64>().is_ok_and(|secs| (1..=60).contains(&secs))
    );
    gateway.admin().get("/v1/devices").await?.expect(429);
    // Programs with wrong keys keep nobody from logging in, and whoever did is not locked out.
    let json = json!({ "token": super::support::ADMIN });
    gateway.anyone().post("/login", &json).await?.expect(200);
    gateway.admin().get("/v1/devices").await?.expect(200);
    gateway.key().get("/v1/devices").await?.expect(200);
    let face =
        json!({ "api_key": "guess", "receiver": "628123456789", "data": { "message": "x" } });
    let face = gateway.anyone().post("/api/send-message", &face).await?.expect(400);
    assert_eq!(face.json()["error"], "invalid_api_key");
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_login_link_opens_one_session_that_other_sites_cannot_use() -> Result<()> {
    let gateway = Gateway::start().await?;
    let anyone = gateway.anyone();
    let nobody = anyone.get("/v1/session").await?.expect(200).json();
    assert_eq!((&nobody["role"], &nobody["token_login"]), (&json!("none"), &json!(true)));

    let wrong = anyone.get("/login?t=wrong").await?.expect(303);
    assert_eq!(header(&wrong, "location"), "./?login=expired");
    let path = format!("/login?t={}", gateway.link.secret());
    let preview = anyone.request(Method::HEAD, &path).body(Full::default())?;
    anyone.send(preview).await?.expect(303);
    let opened = anyone.get(&path).await?.expect(303);
    assert_eq!(header(&opened, "location"), "./");
    let cookie = header(&opened, "set-cookie");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    assert_eq!(header(&anyone.get(&path).await?, "location"), "./?login=expired");

    let with = |method: Method, path: &str, name: &'static str, value: &str| {
        let request = anyone.request(method, path).header("cookie", &cookie).header(name, value);
        anyone.send(request.body(Full::default()).unwrap_or_default())
    };
    let me = with(Method::GET, "/v1/session", "accept", "*/*").await?.expect(200).json();
    assert_eq!(me["role"], "admin");
    with(Method::GET, "/v1/config", "accept", "*/*").await?.expect(200);
    let reload = "/v1/config/reload";
    let cross = with(Method::POST, reload, "sec-fetch-site", "cross-site").await?.expect(403);
    assert_eq!(cross.json()["code"], "cross_site");
    with(Method::POST, reload, "origin", "http://evil.example").await?.expect(403);
    with(Method::POST, reload, "sec-fetch-site", "same-origin").await?.expect(200);
    with(Method::POST, "/logout", "sec-fetch-site", "cross-site").await?.expect(403);
    let out = with(Method::POST, "/logout", "sec-fetch-site", "same-origin").await?.expect(204);
    assert!(header(&out, "set-cookie").contains("Max-Age=0"));
    with(Method::GET, "/v1/config", "accept", "*/*").await?.expect(401);

    let rebound = gateway.raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(rebound.await?.starts_with("HTTP/1.1 421 "));
    let program = format!(
        "GET /v1/devices HTTP/1.1\r\nHost: moonwa.internal\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
    );
    assert!(
        gateway.raw(program.as_bytes()).await?.starts_with("HTTP/1.1 200 "),
        "programs may use any name"
    );
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_admin_token_logs_in_as_json_or_form() -> Result<()> {
    let gateway = Gateway::with("base_path = \"/wa/\"", None).await?;
    let anyone = gateway.anyone();
    anyone.post("/wa/login", &json!({ "token": "wrong" })).await?.expect(401);
    let json = json!({ "token": super::support::ADMIN });
    let opened = anyone.post("/wa/login", &json).await?.expect(200);
    assert_eq!(opened.json()["role"], "admin");
    assert!(header(&opened, "set-cookie").ends_with("; Path=/wa/"));
    let form = format!("token={}", super::support::ADMIN).into_bytes();
    anyone.post_bytes("/wa/login", "application/x-www-form-urlencoded", form).await?.expect(200);
    gateway.admin().get("/wa/v1/devices").await?.expect(200);
    gateway.admin().get("/v1/devices").await?.expect(200);
    anyone.get("/wa/").await?.expect(200);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_key_logs_in_to_its_device_and_may_no_more_than_elsewhere() -> Result<()> {
    let gateway = Gateway::start().await?;
    let anyone = gateway.anyone();
    let session = anyone.get("/v1/session").await?.json();
    assert_eq!((&session["key_login"], &session["name"]), (&json!(true), &json!(null)));
    let opened = anyone.post("/login", &json!({ "token": KEY })).await?.expect(200);
    let cookie = header(&opened, "set-cookie").split(';').next().unwrap_or_default().to_owned();
    let with = |method: Method, path: &str, site: &'static str| {
        let request = anyone.request(method, path).header("cookie", &cookie);
        let request = request.header("sec-fetch-site", site);
        anyone.send(request.body(Full::default()).unwrap_or_default())
    };
    let me = with(Method::GET, "/v1/session", "same-origin").await?.expect(200).json();
    assert_eq!((&me["role"], &me["device"]), (&json!("key"), &json!("toko")));
    assert_eq!(me["name"], opened.json()["name"]);
    with(Method::GET, "/v1/devices/toko/messages", "same-origin").await?.expect(200);
    with(Method::POST, "/v1/devices/toko/messages", "cross-site").await?.expect(403);
    for (method, path) in [
        (Method::GET, "/v1/config"),
        (Method::GET, "/v1/backup"),
        (Method::POST, "/v1/login-links"),
        (Method::DELETE, "/v1/logins"),
        (Method::POST, "/v1/devices/toko/key"),
        (Method::GET, "/v1/devices/gudang/messages"),
    ] {
        with(method, path, "same-origin").await?.expect(403);
    }
    with(Method::POST, "/logout", "same-origin").await?.expect(204);
    with(Method::GET, "/v1/devices/toko/messages", "same-origin").await?.expect(401);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn wrong_bodies_are_explained() -> Result<()> {
    let gateway = Gateway::start().await?;
    let key = gateway.key();
    // Pending devices refuse before the body is read: typing reads first.
    let typing = "/v1/devices/toko/typing";
    let detail = async |body: &[u8], kind: &str, status: u16| {
        let reply = key.post_bytes(typing, kind, body.to_vec()).await;
        reply.map(|reply| {
            reply.expect(status).json()["detail"].as_str().unwrap_or_default().to_owned()
        })
    };
    let json = "application/json; charset=utf-8";
    assert!(detail(b"{\"to\":\n x}", json, 400).await?.ends_with("at byte 9 of the JSON body"));
    assert!(detail(b"{\"to\":\"1\",\"foo\":1}", json, 400).await?.contains("unknown field `foo`"));
    assert!(detail(b"{\"to\":\"08x\"}", json, 400).await?.contains("digits only"));
    assert!(detail(b"\xff", json, 400).await?.contains("at byte"));
    assert!(detail("[".repeat(60_000).as_bytes(), json, 400).await?.contains("at byte"));
    detail(b"{}", "text/plain", 415).await?;
    // The answer reaches a client that is still sending.
    assert!(detail(&vec![b' '; 10 << 20], json, 413).await?.contains("65536"));
    let refused =
        key.post(MESSAGES, &json!({ "to": "628123456789", "text": "x" })).await?.expect(409);
    assert_eq!(refused.json()["code"], "device_not_connected");
    key.get(&format!("{MESSAGES}/3EB0FF")).await?.expect(404);
    key.get(&format!("{MESSAGES}/a%20b")).await?.expect(404);
    key.get("/v1/devices/toko/qr").await?.expect(403);
    assert_eq!(
        gateway.admin().get("/v1/devices/toko/qr").await?.expect(404).json()["code"],
        "no_qr"
    );
    assert_eq!(key.get(MESSAGES).await?.expect(200).json(), json!({ "messages": [] }));
    let events = key.get("/v1/devices/toko/events").await?.expect(200).json();
    assert_eq!((&events["dropped"], &events["next"]), (&json!(0), &Value::Null));
    key.get("/v1/devices/toko/events?after=x").await?.expect(400);
    assert_eq!(
        key.get("/v1/devices/toko/webhooks").await?.expect(200).json(),
        json!({ "webhooks": [] })
    );
    let admin = gateway.admin();
    admin.post("/v1/devices/toko/webhooks/1/test", &Value::Null).await?.expect(404);
    admin.post("/v1/devices/toko/webhooks/1/replay", &json!({ "from": "soon" })).await?.expect(400);
    gateway.stop().await;
    Ok(())
}

/// The next event of a stream, as name and data.
async fn next_event(stream: &mut TcpStream, read: &mut String) -> Result<(String, Value)> {
    // Comments keep coming: the patience is for all of it.
    timeout(PATIENCE, wait_event(stream, read)).await?
}

async fn wait_event(stream: &mut TcpStream, read: &mut String) -> Result<(String, Value)> {
    let mut piece = [0; 4096];
    loop {
        if let Some((event, rest)) = read.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            *read = rest;
            let field = |name: &str| {
                event.lines().find_map(|line| line.split_once(name).map(|(_, v)| v.to_owned()))
            };
            if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                return Ok((name, serde_json::from_str(&data)?));
            }
            continue;
        }
        let count = stream.read(&mut piece).await?;
        anyhow::ensure!(count > 0, "the stream ended");
        read.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
}

async fn open_events(gateway: &Gateway, token: &str) -> Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect(gateway.address).await?;
    let request = format!(
        "GET /v1/events HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut read = String::new();
    let mut byte = [0; 1];
    while !read.ends_with("\r\n\r\n") {
        timeout(PATIENCE, stream.read_exact(&mut byte)).await??;
        read.push(char::from(byte[0]));
    }
    assert!(read.starts_with("HTTP/1.0 200 ") || read.starts_with("HTTP/1.1 200 "), "{read}");
    assert!(read.contains("text/event-stream"), "{read}");
    Ok((stream, String::new()))
}

#[tokio::test]
async fn a_page_is_told_everything_and_let_go_at_the_end() -> Result<()> {
    let sim = Simulator::start().await?;
    let gateway = Gateway::with("", Some(sim.clone())).await?;
    let (mut stream, mut read) = open_events(&gateway, super::support::ADMIN).await?;
    let (name, snapshot) = next_event(&mut stream, &mut read).await?;
    assert_eq!(name, "snapshot");
    assert_eq!(snapshot["devices"].as_array().map(Vec::len), Some(2));
    assert_eq!(snapshot["config"]["outcome"], "applied");

    gateway.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    let (name, device) = next_event(&mut stream, &mut read).await?;
    assert_eq!((name.as_str(), &device["name"]), ("device", &json!("toko")));
    assert_eq!(device["state"], "linking");
    while next_event(&mut stream, &mut read).await?.1["linking"]["has_qr"] != true {}

    let good = std::fs::read_to_string(&gateway.file)?;
    std::fs::write(&gateway.file, "[device.toko\n")?;
    let rejected =
        gateway.admin().post("/v1/config/reload", &Value::Null).await?.expect(200).json();
    assert_eq!(rejected["outcome"], "rejected");
    let report = loop {
        let (name, report) = next_event(&mut stream, &mut read).await?;
        if name == "config" {
            break report;
        }
    };
    assert_eq!(report["outcome"], "rejected");
    assert!(report["problems"][0]["line"].is_number(), "{report}");
    std::fs::write(&gateway.file, good)?;

    let (mut key, mut key_read) = open_events(&gateway, KEY).await?;
    let (_, snapshot) = next_event(&mut key, &mut key_read).await?;
    assert_eq!(snapshot["devices"].as_array().map(Vec::len), Some(1), "a key sees its device");
    assert_eq!(snapshot["config"], Value::Null);

    // A page that was not let go would be a task that does not end.
    gateway.stop().await;
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await??;
    Ok(())
}
