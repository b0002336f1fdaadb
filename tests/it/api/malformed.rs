//! Requests that are broken: in their frame, in their body, on purpose or by accident. Never the server's fault,
//! never a second request that nobody sent.

use std::fmt::Write as _;

use anyhow::Result;
use bytes::Bytes;
use proptest::prelude::{Strategy, any, prop};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::{Gateway, KEY, PATIENCE};

#[tokio::test]
async fn a_smuggled_request_is_never_answered() -> Result<()> {
    let gateway = Gateway::start().await?;
    // To a proxy that believes Content-Length, the second request is part of the first one's body.
    for order in [
        "Content-Length: 90\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 90",
    ] {
        let text = format!(
            "POST /api/send-message HTTP/1.1\r\nHost: localhost\r\n{order}\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        let answer = gateway.raw(text.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    for bad in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Transfer-Encoding: gzip",
        "Content-Length: +1",
        "Content-Length: -1",
    ] {
        let text = format!(
            "POST /api/send-message HTTP/1.1\r\nHost: localhost\r\n{bad}\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
        );
        let answer = gateway.raw(text.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{bad}: {answer}");
    }
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn heads_are_bounded() -> Result<()> {
    let gateway = Gateway::start().await?;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(40_000));
    let answer = gateway.raw(long.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let mut many = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    for n in 0..100 {
        write!(many, "x-{n}: y\r\n")?;
    }
    let answer = gateway.raw(format!("{many}\r\n").as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    gateway.anyone().get("/healthz").await?.expect(200);
    gateway.stop().await;
    Ok(())
}

/// What a field may hold: of the wrong type, too large, too deep, not JSON at all.
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "99999999999999999999",
    "628123456789",
    "\"\"",
    "\"628123456789\"",
    "\"key-of-toko-0123456789abcdef\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[[[[[[]]]]]]",
    "{\"message\":[]}",
    "{\"url\":\"http://\\u0000\"}",
    "{\"latitude\":1e400,\"longitude\":0}",
    "{\"question\":\"q\",\"options\":[\"a\",\"a\"]}",
    "{\"base64\":\"*\"}",
    "\"",
    "\u{feff}1",
    "NaN",
    "01",
];

/// Bodies that are no JSON objects.
fn odd() -> Vec<Vec<u8>> {
    vec![
        "[".repeat(60_000).into_bytes(),
        "{\"a\":".repeat(9_000).into_bytes(),
        b"\xff\xfe{\x00}\x00".to_vec(),
        b"api_key=%&receiver=%zz&data[message".to_vec(),
        b"a=1&".repeat(20_000),
        b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n".to_vec(),
        b"--x\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n1\r\n--x--".to_vec(),
        b"--x\r\n\r\n\r\n--x\r\n".repeat(100),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec(),
        vec![b' '; 70_000],
        Vec::new(),
    ]
}

/// Requests with a head that fits, so that what is wrong with their body is found out by whoever reads it: JSON of the
/// wrong shape, type, size, depth and encoding, forms, uploads.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let path = prop::sample::select(vec![
        "/api/send-message",
        "/api/send-media",
        "/api/fetch-group",
        "/api/fetch-group-members",
        "/login",
        "/v1/devices/toko/messages",
        "/v1/devices/toko/messages?wait=1ms",
        "/v1/devices/toko/typing",
    ]);
    let kind = prop::sample::select(vec![
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "multipart/form-data; boundary=\"x\"; boundary=y",
        "text/xml",
        "",
    ]);
    let encoding = prop::sample::select(vec!["", "Content-Encoding: gzip\r\n", "Accept: */x\r\n"]);
    let field = prop::sample::select(vec![
        "api_key",
        "receiver",
        "data",
        "to",
        "text",
        "message",
        "url",
        "media_type",
        "image",
        "poll",
        "location",
        "reaction",
        "contact",
        "mentions",
        "reply_to",
        "view_once",
        "token",
        "on",
        "",
    ]);
    let value = prop::sample::select(VALUES);
    let json = prop::collection::vec((field, value), 0..6).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    });
    let odd = prop::sample::select(odd());
    let noise = prop::collection::vec(any::<u8>(), 0..64);
    let body = proptest::prop_oneof![6 => json, 2 => odd, 2 => noise];
    (path, kind, encoding, body).prop_map(|(path, kind, encoding, body)| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {KEY}\r\nContent-Type: {kind}\r\n{encoding}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    })
}

#[tokio::test]
async fn ten_thousand_malformed_requests_are_never_the_servers_fault() -> Result<()> {
    let gateway = Gateway::start().await?;
    let mut runner = TestRunner::deterministic();
    let piece = prop::sample::select(vec![
        "GET ",
        "POST ",
        "/",
        "/api/send-message",
        "/v1/devices/toko/messages",
        "/v1/devices/%ff",
        "?wait=1s&t=%",
        " HTTP/1.1\r\n",
        "Host: localhost\r\n",
        "Content-Length: 12\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Type: application/json\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\n",
        "Authorization: Bearer key-of-toko-0123456789abcdef\r\n",
        "Idempotency-Key: \r\n",
        "Cookie: moonwa_session=x\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "\r\n",
        "\r\n\r\n",
        "{\"api_key\":",
        "0\r\n\r\n",
        "--x\r\n",
        "\0",
    ]);
    let piece = piece.prop_map(|text| text.as_bytes().to_vec());
    let noise = prop::collection::vec(any::<u8>(), 0..16);
    let shapeless = prop::collection::vec(proptest::prop_oneof![9 => piece, 1 => noise], 1..14);
    let shapeless = shapeless.prop_map(|pieces| pieces.concat());
    let request = proptest::prop_oneof![shapeless, framed()];
    let mut answered = 0;
    for _ in 0..10_000 {
        let bytes = request.new_tree(&mut runner).expect("a request").current();
        let mut stream = TcpStream::connect(gateway.address).await?;
        // The server may close while this is written.
        stream.write_all(&bytes).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await?.ok();
        for line in String::from_utf8_lossy(&answer).split("HTTP/1.1 ").skip(1) {
            answered += 1;
            assert!(!line.starts_with('5'), "{}\n{line}", bytes.escape_ascii());
        }
    }
    assert!(
        answered > 6_000,
        "only {answered} answers: the requests are too broken to test anything"
    );
    gateway.anyone().get("/healthz").await?.expect(200);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn bodies_of_unknown_length_have_the_same_limits() -> Result<()> {
    let gateway = Gateway::start().await?;
    let mut text =
        "POST /api/send-message HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_owned();
    for _ in 0..80 {
        write!(text, "1000\r\n{}\r\n", " ".repeat(4096))?;
    }
    text.push_str("0\r\n\r\n");
    let answer = gateway.raw(text.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 413 ") || answer.is_empty(), "{answer}");
    let announced = b"POST /api/send-message HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n";
    let answer = gateway.raw(announced).await?;
    assert!(answer.starts_with("HTTP/1.1 413 "), "refused before anything is sent: {answer}");
    let form = Bytes::from_static(b"api_key=x&receiver=628123456789&message=x");
    let anyone = gateway.anyone();
    let face =
        anyone.post_bytes("/api/send-message", "application/x-www-form-urlencoded", form.to_vec());
    assert_eq!(face.await?.expect(400).json()["error"], "invalid_api_key");
    gateway.stop().await;
    Ok(())
}
