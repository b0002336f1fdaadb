//! Sending over HTTP, with the simulated WhatsApp at the other end.

use super::support::{Gateway, KEY};
use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Answer, WebhookReceiver, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/devices/toko/messages";

pub(crate) async fn linked(sim: &Simulator, phone: &Phone) -> Result<Gateway> {
    let gateway = Gateway::with("", Some(sim.clone())).await?;
    let admin = gateway.admin();
    admin.post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
    let code = async || {
        let request = admin.request(Method::GET, "/v1/devices/toko/qr");
        let request = request.header("accept", "application/json").body(Full::default()).ok()?;
        admin.send(request).await.ok()?.json()["qr"].as_str().map(ToOwned::to_owned)
    };
    let qr = eventually("a QR code", code, Option::is_some).await.context("a QR code")?;
    let picture = admin.get("/v1/devices/toko/qr").await?.expect(200);
    assert_eq!(picture.headers["content-type"], "image/svg+xml");
    assert_eq!(picture.headers["cache-control"], "no-store");
    let device = admin.get("/v1/devices/toko").await?.json();
    assert_eq!((&device["state"], &device["linking"]["has_qr"]), (&json!("linking"), &json!(true)));
    let seen_by_key = gateway.key().get("/v1/devices/toko/qr").await?;
    assert_eq!(seen_by_key.status, 403);
    phone.scan(&qr).await?;
    gateway.wait_connected("toko").await;
    Ok(gateway)
}

#[tokio::test]
async fn texts_go_out_once_per_idempotency_key() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000111", "Ann").await, sim.phone("628555000112", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let key = gateway.key();
    let send = async |idempotency: &str, text: &str| {
        let request = key
            .request(Method::POST, &format!("{MESSAGES}?wait=20s"))
            .header("content-type", "application/json")
            .header("idempotency-key", idempotency);
        let body = json!({ "to": bob.number(), "text": text }).to_string();
        key.send(request.body(Full::from(body))?).await
    };
    let first = send("k1", "satu").await?.expect(200).json();
    assert!(
        ["accepted", "delivered"].contains(&first["status"].as_str().unwrap_or_default()),
        "{first}"
    );
    assert_eq!(send("k1", "satu").await?.expect(200).json()["id"], first["id"]);
    assert_eq!(send("k1", "dua").await?.expect(409).json()["code"], "idempotency_conflict");
    send("a b", "tiga").await?.expect(400);
    assert_eq!(bob.expect_text("satu").await?.id, first["id"]);

    let queued =
        key.post(MESSAGES, &json!({ "to": bob.number(), "text": "empat" })).await?.expect(202);
    let place = queued.headers["location"].to_str()?.to_owned();
    assert_eq!(queued.json()["status"], "queued");
    assert_eq!(key.get(&place).await?.expect(200).json()["id"], queued.json()["id"]);
    let list = key.get(MESSAGES).await?.expect(200).json();
    assert_eq!(list["messages"][0]["id"], queued.json()["id"], "newest first");
    bob.expect_text("empat").await?;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_documented_api_sends_and_knows_who_is_there() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000113", "Ann").await, sim.phone("628555000114", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let anyone = gateway.anyone();
    let body = json!({ "api_key": KEY, "receiver": format!("0{}", &bob.number()[2..]), "data": { "message": "lima" } });
    let sent = anyone.post("/api/send-message", &body).await?.expect(200);
    let id = bob.expect_text("lima").await?.id;
    let to = bob.jid();
    let json = sent.json();
    let at = json["data"]["timestamp"].as_str().unwrap_or_default();
    assert_eq!(
        sent.text(),
        format!(
            r#"{{"status":true,"message":"Message sent.","data":{{"id":"{id}","to":"{to}","timestamp":"{at}"}}}}"#
        )
    );
    let nobody = json!({ "api_key": KEY, "receiver": "628999999999", "data": { "message": "x" } });
    let nobody = anyone.post("/api/send-message", &nobody).await?.expect(400);
    assert_eq!(
        nobody.text(),
        r#"{"status":false,"message":"Invalid WhatsApp number.","error":"not_on_whatsapp"}"#
    );
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    let groups = anyone.post("/api/fetch-group", &json!({ "api_key": KEY })).await?.expect(200);
    assert_eq!(
        groups.text(),
        format!(r#"{{"status":true,"data":[{{"name":"Tim","id":"{}"}}]}}"#, group.jid())
    );
    let members = json!({ "api_key": KEY, "id": group.jid() });
    let members = anyone.post("/api/fetch-group-members", &members).await?.expect(200).json();
    assert_eq!(members["data"].as_array().map(Vec::len), Some(2), "{members}");
    let contact = gateway
        .key()
        .get(&format!("/v1/devices/toko/contacts/{}", bob.number()))
        .await?
        .expect(200)
        .json();
    assert_eq!((&contact["on_whatsapp"], &contact["jid"]), (&json!(true), &json!(to)));
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_upload_is_sent_and_its_copy_removed() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000115", "Ann").await, sim.phone("628555000116", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let key = gateway.key();
    let content: Vec<u8> =
        (0..300_000_u32).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
    let fields = [("to", bob.number()), ("kind", "document"), ("caption", "nota")];
    let path = format!("{MESSAGES}?wait=20s");
    let sent = key.upload(&path, &fields, "nota.bin", &content).await?.expect(200).json();
    assert_eq!(sent["kind"], "document", "{sent}");
    let id = sent["id"].as_str().unwrap_or_default().to_owned();
    let got =
        bob.wait_inbox(0, |item| item.message().is_some_and(|message| message.id == id)).await?;
    let got = got.message().cloned().context("a message")?;
    assert_eq!(bob.media(&got.message)?, content);
    let left = async || gateway.spooled();
    eventually("an empty spool", left, |left| *left == 0).await;

    let mut wrong =
        b"--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r\n--XX\r\n".to_vec();
    wrong.extend(b"Content-Disposition: form-data; name=\"colour\"\r\n\r\nred\r\n--XX--\r\n");
    key.post_bytes(MESSAGES, "multipart/form-data; boundary=XX", wrong).await?.expect(400);
    eventually("an empty spool", left, |left| *left == 0).await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_phones_do_not_show_is_a_document_when_asked() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000127", "Ann").await, sim.phone("628555000128", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let (key, files) = (gateway.key(), WebhookReceiver::start().await?);
    let messages = format!("{MESSAGES}?wait=20s");
    let document = async |sent: &Value, name: &str, mime: &str, file: &[u8]| {
        let id = sent["id"].as_str().unwrap_or_default();
        let got = bob.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
        let got = got.message().cloned().context("a message")?.message;
        let document = got.document_message.as_option().context("a document")?;
        let (found, found_mime) = (document.file_name.as_deref(), document.mimetype.as_deref());
        assert_eq!((found, found_mime), (Some(name), Some(mime)), "{sent}");
        assert_eq!(bob.media(&got)?, file, "{name}");
        anyhow::Ok(())
    };
    for (kind, name, mime, file) in [
        ("image", "foto.heic", "image/heic", "\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("image", "logo.svg", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("image", "peta.bmp", "image/bmp", "BM\x36\0\0\0\0\0\0\0\x36\0\0\0"),
        ("video", "film.avi", "video/x-msvideo", "RIFF\x10\0\0\0AVI LIST"),
        ("audio", "suara.txt", "text/plain", "bukan suara"),
        ("voice", "suara.amr", "audio/amr", "#!AMR\n\x3c"),
        ("sticker", "foto.heic", "image/heic", "\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    ] {
        let base64 = data_encoding::BASE64.encode(file.as_bytes());
        let body = |media: Value| json!({"to": bob.number(), kind: media});
        let refused = body(json!({"base64": base64}));
        let refused = key.post(&messages, &refused).await?.expect(200).json();
        assert_eq!(
            (&refused["status"], &refused["code"]),
            (&json!("failed"), &json!("media_type_mismatch"))
        );
        assert!(refused.to_string().contains("as_document: true"), "{refused}");
        let asked = json!({"base64": base64, "filename": name, "as_document": true});
        let sent = key.post(&messages, &body(asked)).await?.expect(200).json();
        document(&sent, name, mime, file.as_bytes()).await?;
        let fields = [("to", bob.number()), ("kind", kind), ("as_document", "true")];
        let sent = key.upload(&messages, &fields, name, file.as_bytes()).await?;
        let sent = sent.expect(200).json();
        document(&sent, name, mime, file.as_bytes()).await?;
        if matches!(kind, "image" | "video" | "audio") {
            files.otherwise(Some(Answer::body(file)));
            let url = format!("http://{}/arsip/{name}", files.address());
            let data = json!({"url": url, "media_type": kind, "as_document": true});
            let body = json!({"api_key": KEY, "receiver": bob.number(), "data": data});
            let sent = gateway.anyone().post("/api/send-media", &body).await?.expect(200).json();
            document(&sent["data"], name, mime, file.as_bytes()).await?;
        }
    }
    // What can be shown is, and what is empty is nothing.
    let picture = data_encoding::BASE64.encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let body = json!({"to": bob.number(), "image": {"base64": picture, "as_document": true}});
    let sent = key.post(&messages, &body).await?.expect(200).json();
    let id = sent["id"].as_str().unwrap_or_default();
    let got = bob.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
    assert!(got.message().is_some_and(|got| got.message.image_message.is_set()), "{sent}");
    files.otherwise(Some(Answer::body("")));
    let url = format!("http://{}/kosong.heic", files.address());
    let body = json!({"to": bob.number(), "image": {"url": url, "as_document": true}});
    let empty = key.post(&messages, &body).await?.expect(200).json();
    assert_eq!(empty["code"], "media_type_mismatch", "{empty}");
    gateway.stop().await;
    Ok(())
}
