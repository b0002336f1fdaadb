//! The documented `/api`, byte for byte, as programs written for docs.moonwa.id use it: every way to write a body,
//! every answer of the contract's table.

use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Answer, Reply, WebhookReceiver};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};
use tokio::time::interval;

use super::send::linked;
use super::support::{Gateway, KEY, OTHER};

const FORM: &str = "application/x-www-form-urlencoded";

async fn ask(
    gateway: &Gateway,
    path: &str,
    kind: &str,
    header: Option<(&str, String)>,
    body: &str,
) -> Result<Reply> {
    let anyone = gateway.anyone();
    let mut request = anyone.request(Method::POST, path).header("content-type", kind);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    anyone.send(request.body(Full::from(body.to_owned()))?).await
}

/// The types of multipart bodies, with the boundaries that each sender makes.
const PHP: &str = "multipart/form-data; boundary=------------------------d74496d66958873e";
const GUZZLE: &str = "multipart/form-data; boundary=6f1ed002ab5595859014ebf0951522d9f1e3c2d4";
const REQUESTS: &str = "multipart/form-data; boundary=0c8b2f4e5a6d47c1b3a99fd2e7f61c58";
const N8N: &str =
    "multipart/form-data; boundary=--------------------------515890814546601021194782";

/// A multipart body of that type: of each part the name, what else its head has, and the text.
fn parts(kind: &str, parts: &[(&str, &str, &str)]) -> String {
    let (_, boundary) = kind.split_once("boundary=").unwrap_or_default();
    let part = |(name, head, text): &(&str, &str, &str)| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n{text}\r\n"
        )
    };
    let parts: String = parts.iter().map(part).collect();
    format!("{parts}--{boundary}--\r\n")
}

#[tokio::test]
async fn a_form_in_parts_that_cannot_be_read_says_what_to_do() -> Result<()> {
    let gateway = Gateway::start().await?;
    let file = [("api_key", "", KEY), ("file", "; filename=\"nota.pdf\"", "%PDF")];
    for (kind, body, path, words) in [
        (PHP, parts(PHP, &file), "file", "/v1/devices/{device}/messages"),
        ("multipart/form-data", parts(PHP, &file), "", "leave that header to your HTTP library"),
        (PHP, "--x".to_owned(), "", "it ends too early"),
    ] {
        let refused = ask(&gateway, "/api/send-media", kind, None, &body).await?.expect(400).json();
        assert_eq!(
            (&refused["error"], &refused["errors"][0]["path"]),
            (&json!("invalid_request"), &json!(path))
        );
        let told = refused["errors"][0]["msg"].as_str().unwrap_or_default();
        assert!(told.contains(words), "{told}");
    }
    gateway.stop().await;
    Ok(())
}

/// A body's type, a header beside it, and the body.
type Row<'a> = (&'a str, Option<(&'a str, String)>, String);

#[tokio::test]
async fn what_may_still_go_out_is_not_called_failed() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555400121", "Ann").await, sim.phone("628555400122", "Bob").await);
    let eve = sim.phone("628555400123", "Eve").await;
    let gateway = linked(&sim, &ann).await?;
    let send = async |to: &str, text: &str| {
        let body = json!({"api_key": KEY, "receiver": to, "data": {"message": text}});
        gateway.anyone().post("/api/send-message", &body).await
    };
    send(eve.number(), "settled").await?.expect(200);
    // WhatsApp does not answer the engine, which has the message by then, for longer than any caller waits.
    sim.fault_times(&ann, Fault::IqTimeout("encrypt".to_owned()), 9);
    // What comes in keeps the connection alive: the engine drops one that is silent for 20 s, and the message with it.
    let told = {
        let mut sending = pin!(send(bob.number(), "on its way"));
        let mut tick = interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                told = &mut sending => break told?.expect(400).json(),
                _ = tick.tick() => drop(eve.send_text(&ann, "still here").await?),
            }
        }
    };
    assert_eq!((&told["status"], &told["error"]), (&json!(false), &json!("unconfirmed")), "{told}");
    sim.clear_faults();
    sim.drop_connections(ann.number());
    bob.expect_text("on its way").await?;
    gateway.stop().await;
    Ok(())
}

/// A text in parts, as each sender writes it.
fn in_parts(to: &str) -> Vec<Row<'static>> {
    vec![
        (
            PHP,
            None,
            parts(PHP, &[("api_key", "", KEY), ("receiver", "", to), ("data[message]", "", "N")]),
        ),
        (
            PHP,
            None,
            parts(
                PHP,
                &[("api_key", "", KEY), ("receiver", "", to), ("data", "", r#"{"message":"N"}"#)],
            ),
        ),
        (
            GUZZLE,
            None,
            parts(
                GUZZLE,
                &[
                    ("api_key", "\r\nContent-Length: 28", KEY),
                    ("receiver", "\r\nContent-Length: 12", to),
                    ("data[message]", "\r\nContent-Length: 7", "N"),
                ],
            ),
        ),
        (
            REQUESTS,
            None,
            parts(
                REQUESTS,
                &[
                    ("api_key", "; filename=\"api_key\"", KEY),
                    ("receiver", "", to),
                    ("data[message]", "; filename=\"data[message]\"", "N"),
                ],
            ),
        ),
        (N8N, None, parts(N8N, &[("api_key", "", KEY), ("to", "", to), ("data.message", "", "N")])),
        (PHP, None, format!(r#"{{"api_key":"{KEY}","to":"{to}","message":"N"}}"#)),
    ]
}

#[tokio::test]
async fn a_text_may_be_written_in_every_documented_way() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555400111", "Ann").await, sim.phone("628555400112", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let to = bob.number();
    let (json, bearer) = ("application/json", format!("Bearer {KEY}"));
    let local = format!("0{}", &to[2..]);
    let spaced = format!("+{} {}-({})", &to[..2], &to[2..6], &to[6..]);
    let rows: Vec<Row<'_>> = vec![
        (
            json,
            None,
            format!(r#"{{"api_key":"{KEY}","receiver":"{to}","data":{{"message":"N"}}}}"#),
        ),
        (
            "text/plain",
            None,
            format!(r#"{{"api_key":"{KEY}","receiver":{to},"data":{{"message":"N"}}}}"#),
        ),
        (
            json,
            None,
            format!(r#"{{"api_key":"{KEY}","receiver":"{spaced}","data":{{"message":"N"}}}}"#),
        ),
        (
            json,
            None,
            format!(r#"{{"api_key":"{KEY}","receiver":"{local}","data":{{"message":"N"}}}}"#),
        ),
        (json, Some(("authorization", bearer)), format!(r#"{{"to":"{to}","message":"N"}}"#)),
        (json, Some(("x-api-key", KEY.to_owned())), format!(r#"{{"phone":"{to}","text":"N"}}"#)),
        (json, None, format!(r#"{{"api_key":"{KEY}","number":"{to}","data":{{"message":"N"}}}}"#)),
        (FORM, None, format!("api_key={KEY}&receiver={to}&data[message]=N")),
        (FORM, None, format!("api_key={KEY}&receiver=%2B{to}&data%5Bmessage%5D=N")),
        (FORM, None, format!("api_key={KEY}&number={to}&message=N")),
    ];
    for (n, (kind, header, body)) in rows.into_iter().chain(in_parts(to)).enumerate() {
        let text = format!("cara {n}");
        let body = body
            .replace("\"N\"", &format!("\"{text}\""))
            .replace("\r\nN\r\n", &format!("\r\n{text}\r\n"))
            .replace("=N", &format!("={}", text.replace(' ', "+")));
        let sent = ask(&gateway, "/api/send-message", kind, header, &body).await?.expect(200);
        let got = bob.expect_text(&text).await?;
        let at = sent.json()["data"]["timestamp"].as_str().unwrap_or_default().to_owned();
        let expected = format!(
            r#"{{"status":true,"message":"Message sent.","data":{{"id":"{}","to":"{}","timestamp":"{at}"}}}}"#,
            got.id,
            bob.jid()
        );
        assert_eq!(sent.text(), expected, "{body}");
        assert_eq!(sent.headers["content-type"], "application/json");
    }
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn groups_are_written_to_and_listed() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555400117", "Ann").await, sim.phone("628555400118", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    let body = json!({"api_key": KEY, "receiver": group.jid(), "data": {"message": "rapat"}});
    let sent = gateway.anyone().post("/api/send-message", &body).await?.expect(200).json();
    assert_eq!(
        (&sent["data"]["to"], bob.expect_text("rapat").await?.id),
        (&json!(group.jid()), sent["data"]["id"].as_str().unwrap_or_default().to_owned())
    );
    let form = format!("api_key={KEY}&id={}", group.jid());
    let members = ask(&gateway, "/api/fetch-group-members", FORM, None, &form).await?.expect(200);
    let member = |phone: &moonwa_simulator::Phone, admin: bool| {
        let row = members.json()["data"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| row["phone"] == phone.number())
            .cloned();
        let row = row.unwrap_or_default();
        assert_eq!(
            (&row["lid"], &row["admin"]),
            (&json!(phone.lid().trim_end_matches("@lid")), &json!(admin)),
            "{row}"
        );
        row.to_string()
    };
    let expected =
        format!(r#"{{"status":true,"data":[{},{}]}}"#, member(&ann, true), member(&bob, false));
    assert_eq!(members.text(), expected);
    let list =
        ask(&gateway, "/api/fetch-group", FORM, None, &format!("api_key={KEY}")).await?.expect(200);
    assert_eq!(
        list.text(),
        format!(r#"{{"status":true,"data":[{{"name":"Tim","id":"{}"}}]}}"#, group.jid())
    );
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_file_is_sent_as_documented() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555400113", "Ann").await, sim.phone("628555400114", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let files = WebhookReceiver::start().await?;
    let host = format!("http://{}", files.address());
    let send = async |body: Value| {
        let sent = gateway.anyone().post("/api/send-media", &body).await?.expect(200);
        let json = sent.json();
        assert!(
            sent.text().starts_with(r#"{"status":true,"message":"Media sent.","data":{"id":""#),
            "{json}"
        );
        anyhow::Ok(json["data"]["id"].as_str().unwrap_or_default().to_owned())
    };
    let got = async |id: String| {
        let item = bob
            .wait_inbox(0, |item| item.message().is_some_and(|message| message.id == id))
            .await?;
        anyhow::Ok(item.message().cloned().expect("the condition says so"))
    };
    files.otherwise(Some(Answer::body("%PDF-1.7 nota").header("content-type", "application/pdf")));
    let url = format!("{host}/arsip/Nota%20Mei.pdf?versi=2#a");
    let id = send(json!({"api_key": KEY, "receiver": bob.number(), "data": {"url": url, "media_type": "file", "caption": "Nota"}})).await?;
    let nota = got(id).await?;
    assert_eq!(nota.text.as_deref(), Some("Nota"));
    assert_eq!(bob.media(&nota.message)?, b"%PDF-1.7 nota");
    assert!(
        format!("{:?}", nota.message).contains("Nota Mei.pdf"),
        "named by the URL's last segment"
    );

    files.otherwise(Some(Answer::body("ID3 lagu").header("content-type", "audio/mpeg")));
    let id = send(json!({"api_key": KEY, "to": bob.number(), "media_url": format!("{host}/lagu.mp3"), "media_type": "audio", "caption": "Lagu baru"})).await?;
    let song = got(id).await?;
    assert_eq!((song.text.as_deref(), bob.media(&song.message)?), (None, b"ID3 lagu".to_vec()));
    assert_ne!(bob.expect_text("Lagu baru").await?.id, song.id, "the caption follows by itself");

    files.otherwise(Some(Answer::body("GIF89a not quite").header("content-type", "image/gif")));
    let form = format!(
        "api_key={KEY}&receiver={}&data[url]={host}/a.gif&data[media_type]=image&data[caption]=Gambar",
        bob.number()
    );
    let sent = ask(&gateway, "/api/send-media", FORM, None, &form).await?.expect(200).json();
    let picture = got(sent["data"]["id"].as_str().unwrap_or_default().to_owned()).await?;
    assert_eq!(picture.text.as_deref(), Some("Gambar"));
    gateway.stop().await;
    Ok(())
}

fn text(key: &str, to: &str) -> Value {
    json!({"api_key": key, "receiver": to, "data": {"message": "x"}})
}

/// Path, body and answer.
fn refusals(bob: &str) -> Vec<(&'static str, Value, String)> {
    let invalid = |errors: &str| {
        format!(
            r#"{{"status":false,"message":"Invalid request.","error":"invalid_request","errors":{errors}}}"#
        )
    };
    let zero = "write the number with its country code and without the leading 0: 628123456789 (or set country_code for the device)";
    let zeros = "write the number with its country code, without 00 before it and without a 0 after it: 628123456789 was probably meant";
    let media = "/api/send-media";
    vec![
        ("/api/send-message", json!({}), invalid(r#"[{"path":"api_key","msg":"required"}]"#)),
        (
            "/api/send-message",
            json!({"api_key": KEY}),
            invalid(
                r#"[{"path":"data.message","msg":"required"},{"path":"receiver","msg":"required"}]"#,
            ),
        ),
        (
            media,
            json!({"api_key": KEY}),
            invalid(
                r#"[{"path":"data.url","msg":"required"},{"path":"data.media_type","msg":"required"},{"path":"receiver","msg":"required"}]"#,
            ),
        ),
        (
            media,
            json!({"api_key": KEY, "receiver": bob, "data": {"url": "file:///etc/passwd", "media_type": "gif"}}),
            invalid(
                r#"[{"path":"data.url","msg":"must begin with http:// or https://"},{"path":"data.media_type","msg":"must be image, video, audio or file"}]"#,
            ),
        ),
        // `gudang` has no country code.
        (
            "/api/send-message",
            text(OTHER, "08123456789"),
            invalid(&format!(r#"[{{"path":"receiver","msg":"{zero}"}}]"#)),
        ),
        (
            "/api/send-message",
            text(OTHER, "0062 8123456789"),
            invalid(&format!(r#"[{{"path":"receiver","msg":"{zeros}"}}]"#)),
        ),
        (
            "/api/fetch-group-members",
            json!({"api_key": KEY, "id": "1@lid"}),
            invalid(r#"[{"path":"id","msg":"a group id ends in @g.us"}]"#),
        ),
        (
            "/api/send-message",
            text("wrong", bob),
            r#"{"status":false,"message":"Invalid API Key.","error":"invalid_api_key"}"#.to_owned(),
        ),
        (
            "/api/send-message",
            text(OTHER, bob),
            r#"{"status":false,"message":"Device is stopped.","error":"device_not_connected"}"#
                .to_owned(),
        ),
        (
            "/api/fetch-group",
            json!({"api_key": OTHER}),
            r#"{"status":false,"message":"Device is stopped.","error":"device_not_connected"}"#
                .to_owned(),
        ),
        (
            "/api/send-message",
            text(KEY, "628999999999"),
            r#"{"status":false,"message":"Invalid WhatsApp number.","error":"not_on_whatsapp"}"#
                .to_owned(),
        ),
    ]
}

#[tokio::test]
async fn every_refusal_is_the_documented_one() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555400115", "Ann").await, sim.phone("628555400116", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let anyone = gateway.anyone();
    for (path, body, expected) in refusals(bob.number()) {
        let refused = anyone.post(path, &body).await?.expect(400);
        assert_eq!(refused.text(), expected, "{body}");
        assert_eq!(refused.headers["content-type"], "application/json");
    }
    sim.fault(&ann, Fault::Nack(479));
    let failed = anyone.post("/api/send-message", &text(KEY, bob.number())).await?.expect(400);
    assert_eq!(
        failed.text(),
        r#"{"status":false,"message":"Failed to send message.","error":"479"}"#
    );

    // The largest body that is taken, and a byte more.
    let sized = async |size: usize| {
        let mut body = text(KEY, bob.number()).to_string().into_bytes();
        body.resize(size, b' ');
        anyone.post_bytes("/api/send-message", "application/json", body).await
    };
    sized(256 << 10).await?.expect(200);
    let large = sized((256 << 10) + 1).await?.expect(413);
    assert_eq!(
        large.text(),
        r#"{"status":false,"message":"The request is too large.","error":"too_large"}"#
    );
    let mut fast = None;
    // A new minute may have begun meanwhile; ten are too many in any.
    for _ in 0..20 {
        let told = anyone.post("/api/fetch-group", &json!({"api_key": "guess"})).await?;
        if told.status == 429 {
            fast = Some(told);
            break;
        }
        told.expect(400);
    }
    let fast = fast.expect("guessing is refused");
    assert_eq!(
        fast.text(),
        r#"{"status":false,"message":"Too many attempts.","error":"too_many_attempts"}"#
    );
    assert!(
        fast.headers["retry-after"]
            .to_str()?
            .parse::<u64>()
            .is_ok_and(|secs| (1..=60).contains(&secs))
    );
    assert_eq!(anyone.get("/api").await?.expect(200).text(), r#"{"message":"Server Running!"}"#);
    assert_eq!(anyone.get("/api/").await?.expect(200).text(), r#"{"message":"Server Running!"}"#);
    gateway.stop().await;
    Ok(())
}
