//! WAHA's programs.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use hyper::Method;
use moonwa_simulator::File;
use moonwa_simulator::harness::{Delivery, Moonwa, Reply, api_key, eventually};
use serde_json::{Value, json};
use sha2::Sha512;

use super::support::{BOSS, Program, SECRET, Story, picture};
use crate::fleet::files::film;

fn program(moonwa: &Moonwa, key: &str) -> Program {
    Program::new(moonwa, &[("x-api-key", key)])
}

/// WAHA's id of a message without what it puts around it.
fn bare(id: &Value) -> Result<String> {
    Ok(id.as_str().context("no id")?.split('_').nth(2).context("no id in it")?.to_owned())
}

fn address(phone: &moonwa_simulator::Phone) -> String {
    format!("{}@c.us", phone.number())
}

/// The id of what was sent, of an answer that is complete.
fn sent(answer: Reply, status: u16) -> Result<String> {
    let message = answer.expect(status).json();
    for field in
        ["id", "timestamp", "from", "fromMe", "source", "to", "body", "hasMedia", "ack", "ackName"]
    {
        assert!(!message[field].is_null(), "{field} is missing: {message}");
    }
    bare(&message["id"])
}

#[tokio::test]
async fn what_wahas_programs_send_arrives() -> Result<()> {
    let story = Story::start("waha", ["310111", "310112"]).await?;
    let waha = program(&story.moonwa, &api_key("toko"));
    let chat = address(&story.bob);
    let film = BASE64_STANDARD.encode(film());
    let (picture, sound) = (
        BASE64_STANDARD.encode(picture()),
        BASE64_STANDARD.encode(include_bytes!("../fleet/sounds/tone.ogg")),
    );
    let card = "BEGIN:VCARD\nVERSION:3.0\nFN:Cid\nTEL;waid=628111222333:+628111222333\nEND:VCARD";
    // The operation, its body beside session and chat, what the phone gets, and something in that.
    let table = [
        ("sendText", json!({"text": "halo"}), "conversation", "halo"),
        (
            "sendImage",
            json!({"file": {"mimetype": "image/png", "filename": "a.png", "data": picture}, "caption": "ini"}),
            "image",
            "ini",
        ),
        (
            "sendFile",
            json!({"file": {"mimetype": "text/plain", "filename": "nota.txt", "data": "bm90YQ=="}}),
            "document",
            "nota.txt",
        ),
        (
            "sendVoice",
            json!({"file": {"mimetype": "audio/ogg; codecs=opus", "data": sound}, "convert": false}),
            "audio",
            "",
        ),
        (
            "sendVideo",
            json!({"file": {"mimetype": "video/mp4", "filename": "film.mp4", "data": film}, "caption": "lihat", "convert": false}),
            "video",
            "lihat",
        ),
        ("sendSticker", json!({"file": {"mimetype": "image/png", "data": picture}}), "sticker", ""),
        (
            "sendLocation",
            json!({"latitude": -6.2, "longitude": 106.8, "title": "Toko"}),
            "location",
            "Toko",
        ),
        (
            "sendContactVcard",
            json!({"contacts": [{"vcard": card}]}),
            "contact",
            "waid=628111222333",
        ),
        (
            "sendContactVcard",
            json!({"contacts": [{"fullName": "Cid", "phoneNumber": "+62 811 1222 333", "whatsappId": "628111222333"}]}),
            "contact",
            "waid=628111222333:+62 811 1222 333",
        ),
        (
            "sendContactVcard",
            json!({"contacts": [{"vcard": card}, {"fullName": "Dina", "phoneNumber": "628111222444"}]}),
            "contacts",
            "waid=628111222444:628111222444",
        ),
        (
            "sendPoll",
            json!({"poll": {"name": "Kapan?", "options": ["kini", "nanti"], "multipleAnswers": false}}),
            "poll",
            "nanti",
        ),
        ("sendLinkPreview", json!({"url": "https://toko.invalid/", "title": "lihat"}), "", "lihat"),
    ];
    for (operation, mut body, kind, part) in table {
        body["session"] = json!("default");
        body["chatId"] = json!(chat);
        let id = sent(waha.post(&format!("/api/{operation}"), &body).await?, 201)?;
        let (name, content) = story.got(&id).await?;
        assert!(name.contains(kind), "{operation}: {name}");
        assert!(content.to_string().contains(part), "{operation}: {content}");
    }
    let nobody = json!({"session": "toko", "chatId": chat, "contacts": []});
    let refused = waha.post("/api/sendContactVcard", &nobody).await?.expect(400).json();
    assert_eq!((&refused["statusCode"], &refused["error"]), (&json!(400), &json!("Bad Request")));

    story.stop().await
}

#[tokio::test]
async fn wahas_programs_quote_and_pass_on() -> Result<()> {
    let story = Story::start("waha", ["310151", "310152"]).await?;
    let waha = program(&story.moonwa, &api_key("toko"));
    let chat = address(&story.bob);
    let theirs = story.bob.send_text(&story.ann, "berapa?").await?;
    story
        .hook
        .expect("the question", |post| {
            bare(&post.json()["payload"]["id"]).is_ok_and(|id| id == theirs)
        })
        .await;
    let reply = json!({"session": "toko", "chatId": chat, "text": "sepuluh", "reply_to": format!("false_{chat}_{theirs}")});
    let id = sent(waha.post("/api/reply", &reply).await?, 201)?;
    assert!(story.got(&id).await?.1.to_string().contains(&theirs), "it quotes");
    let forward =
        json!({"session": "toko", "chatId": chat, "messageId": format!("false_{chat}_{theirs}")});
    let id = sent(waha.post("/api/forwardMessage", &forward).await?, 201)?;
    assert!(story.got(&id).await?.1.to_string().contains("berapa?"));
    let nobody = json!({"session": "toko", "chatId": "628999000997@c.us", "text": "?"});
    let refused = waha.post("/api/sendText", &nobody).await?.expect(422).json();
    assert_eq!(refused["error"], "Unprocessable Entity", "{refused}");
    story.stop().await
}

#[tokio::test]
async fn wahas_programs_do_with_messages_what_they_did() -> Result<()> {
    let story = Story::start("waha", ["310121", "310122"]).await?;
    let waha = program(&story.moonwa, &api_key("toko"));
    let (ann, bob) = (&story.ann, &story.bob);
    let chat = address(bob);
    let about = |more: Value| {
        let mut body = json!({"session": "default", "chatId": chat});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let own = sent(waha.post("/api/sendText", &about(json!({"text": "harga 10"}))).await?, 201)?;
    let theirs = bob.send_text(ann, "berapa?").await?;
    let came = |post: &Delivery| bare(&post.json()["payload"]["id"]).is_ok_and(|id| id == theirs);
    story.hook.expect("the question", came).await;

    for id in [format!("true_{chat}_{own}"), format!("false_{chat}_{theirs}")] {
        let body = json!({"session": "default", "messageId": id, "reaction": "👍"});
        let id = sent(waha.put("/api/reaction", &body).await?, 200)?;
        let (_, reaction) = story.got(&id).await?;
        assert!(reaction.to_string().contains("👍"), "{reaction}");
    }
    for on in ["startTyping", "stopTyping"] {
        waha.post(&format!("/api/{on}"), &about(json!({}))).await?.expect(201);
    }
    // Without an id it is the newest message that is seen.
    waha.post("/api/sendSeen", &about(json!({}))).await?.expect(201);
    bob.expect_receipt("read", &theirs).await?;
    let place = format!("/api/toko/chats/{chat}/messages/true_{chat}_{own}");
    let id = sent(waha.put(&place, &json!({"text": "harga 12"})).await?, 200)?;
    assert!(story.got(&id).await?.1.to_string().contains("harga 12"));
    waha.ask(Method::DELETE, &place, "", Vec::new()).await?.expect(200);
    let taken_back = |item: &moonwa_simulator::InboxItem| {
        let message =
            item.message().and_then(|message| serde_json::to_string(&message.message).ok());
        message.is_some_and(|text| {
            text.contains("protocol") && text.contains(&own) && !text.contains("harga")
        })
    };
    bob.wait_inbox(0, taken_back).await?;

    let check = format!("/api/contacts/check-exists?session=default&phone={}", bob.number());
    let found = waha.get(&check).await?.expect(200).json();
    assert_eq!((&found["numberExists"], &found["pn"]), (&json!(true), &json!(chat)));
    let older = check.replace("contacts/check-exists", "checkNumberStatus");
    assert_eq!(waha.get(&older).await?.expect(200).json(), found);
    let found = waha.get("/api/contacts/check-exists?phone=628999000996").await?.expect(200).json();
    assert_eq!(found, json!({"numberExists": false}));
    let group = story.sim.group("Pelanggan", &[ann, bob]).await?;
    let groups = waha.get("/api/toko/groups").await?.expect(200).json();
    assert_eq!(groups, json!([{"id": group.jid(), "subject": "Pelanggan"}]));
    let shown = waha.get(&format!("/api/toko/groups/{}", group.jid())).await?.expect(200).json();
    assert_eq!(shown["participants"].as_array().map(Vec::len), Some(2), "{shown}");
    story.stop().await
}

#[tokio::test]
async fn wahas_programs_link_a_session_and_let_it_go() -> Result<()> {
    let story = Story::start("waha", ["310131", "310132"]).await?;
    let waha = program(&story.moonwa, BOSS);
    let anyone = Program::new(&story.moonwa, &[]);
    assert_eq!(anyone.get("/ping").await?.expect(200).json(), json!({"message": "pong"}));
    let refused = anyone.get("/api/sessions").await?.expect(401).json();
    assert_eq!((&refused["statusCode"], &refused["error"]), (&json!(401), &json!("Unauthorized")));
    let state = async |wanted: &'static str| {
        let look =
            async || waha.get("/api/sessions/toko").await.map_or(Value::Null, |reply| reply.json());
        eventually(wanted, look, |session| session["status"] == wanted).await
    };
    let session = state("WORKING").await;
    assert_eq!(
        (&session["name"], &session["me"]["id"]),
        (&json!("toko"), &json!(address(&story.ann)))
    );
    assert_eq!(session["me"]["pushName"], "Ann");
    let list = waha.get("/api/sessions?all=true").await?.expect(200).json();
    assert_eq!(list[0]["name"], "toko");
    assert_eq!(waha.get("/api/sessions/toko/me").await?.expect(200).json()["pushName"], "Ann");
    assert!(waha.get("/api/server/version").await?.expect(200).json()["version"].is_string());
    waha.get("/api/sessions/gudang").await?.expect(403);
    waha.get("/api/toko/auth/qr").await?.expect(422);

    waha.post("/api/sessions/toko/stop", &json!({})).await?.expect(201);
    state("STOPPED").await;
    let unsent = json!({"session": "toko", "chatId": address(&story.bob), "text": "?"});
    waha.post("/api/sendText", &unsent).await?.expect(422);
    waha.post("/api/sessions/toko/start", &json!({})).await?.expect(201);
    state("WORKING").await;
    waha.post("/api/sessions/toko/restart", &json!({})).await?.expect(201);
    state("WORKING").await;
    waha.post("/api/sessions/toko/logout", &json!({})).await?.expect(201);
    story.moonwa.wait_state("toko", "logged_out").await;

    let raw = waha.get("/api/toko/auth/qr?format=raw").await?.expect(200).json();
    let text = raw["value"].as_str().context("the text")?.to_owned();
    state("SCAN_QR_CODE").await;
    let picture = waha.get("/api/toko/auth/qr").await?.expect(200);
    assert_eq!(picture.headers["content-type"], "image/png");
    let json = Program::new(&story.moonwa, &[("x-api-key", BOSS), ("accept", "application/json")]);
    let file = json.get("/api/toko/auth/qr").await?.expect(200).json();
    assert_eq!(file["mimetype"], "image/png");
    assert!(
        image::load_from_memory(&BASE64_STANDARD.decode(file["data"].as_str().context("data")?)?)
            .is_ok()
    );
    assert!(text.contains(','), "a code: {text}");
    program(&story.moonwa, &api_key("toko")).get("/api/toko/auth/qr").await?.expect(403);

    let phone = json!({"phoneNumber": story.ann.number()});
    let code = waha.post("/api/toko/auth/request-code", &phone).await?.expect(201).json();
    let code = code["code"].as_str().context("a code")?.replace('-', "");
    story.ann.enter_code(&code).await?;
    state("WORKING").await;
    story.stop().await
}

#[tokio::test]
async fn wahas_receivers_are_told_in_its_form() -> Result<()> {
    let story = Story::start("waha", ["310141", "310142"]).await?;
    let (ann, bob, hook) = (&story.ann, &story.bob, &story.hook);
    let told = async |event: &str, good: &dyn Fn(&Value) -> bool| -> Delivery {
        let it = |post: &Delivery| post.json()["event"] == event && good(&post.json()["payload"]);
        hook.expect(event, it).await
    };
    told("session.status", &|payload| payload["status"] == "WORKING").await;
    let chat = address(bob);
    let first = bob.send_text(ann, "halo").await?;
    let whole = format!("false_{chat}_{first}");
    let post = told("message.any", &|payload| payload["id"] == json!(whole)).await;
    let body = post.json();
    for (field, value) in [("session", json!("toko")), ("engine", json!("GOWS"))] {
        assert_eq!(body[field], value, "{body}");
    }
    assert_eq!((&body["me"]["id"], &body["me"]["pushName"]), (&json!(address(ann)), &json!("Ann")));
    assert!(
        body["timestamp"].is_u64() && body["id"].as_str().is_some_and(|id| id.starts_with("evt_"))
    );
    let payload = &body["payload"];
    assert_eq!((&payload["from"], &payload["to"]), (&json!(chat), &json!(address(ann))));
    assert_eq!(
        (&payload["body"], &payload["fromMe"], &payload["hasMedia"]),
        (&json!("halo"), &json!(false), &json!(false))
    );
    let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes())?;
    mac.update(&post.body);
    assert_eq!(post.header("x-webhook-hmac"), HEXLOWER.encode(&mac.finalize().into_bytes()));
    assert_eq!(post.header("x-webhook-hmac-algorithm"), "sha512");
    assert!(
        !post.header("x-webhook-request-id").is_empty()
            && !post.header("x-webhook-timestamp").is_empty()
    );

    bob.reply(ann, &first, "jadi?").await?;
    told("message.any", &|payload| payload["replyTo"]["id"] == json!(first)).await;
    bob.react(ann, &first, "👍").await?;
    let reaction = told("message.reaction", &|payload| payload["reaction"]["text"] == "👍").await;
    assert!(
        reaction.json()["payload"]["reaction"]["messageId"]
            .as_str()
            .is_some_and(|id| id.ends_with(&first))
    );
    let id = bob.send_file(ann, b"nota", "text/plain", File::Document("nota.txt".into())).await?;
    let it = |payload: &Value| bare(&payload["id"]).is_ok_and(|bare| bare == id);
    let file = told("message.any", &it).await.json()["payload"]["media"].clone();
    assert_eq!((&file["filename"], &file["mimetype"]), (&json!("nota.txt"), &json!("text/plain")));
    let url = file["url"].as_str().context("a URL")?;
    assert_eq!(story.moonwa.anyone().get(url).await?.expect(200).body.as_ref(), b"nota");
    let sent = story.moonwa.send_text("toko", bob.number(), "sudah").await?;
    bob.expect_text("sudah").await?;
    bob.read(&sent).await?;
    let read = format!("true_{chat}_{sent}");
    let receipt =
        told("message.ack", &|payload| payload["id"] == json!(read) && payload["ack"] == 3).await;
    assert_eq!(receipt.json()["payload"]["ackName"], "READ");
    bob.edit(ann, &first, "halo lagi").await?;
    let edited = |payload: &Value| payload["editedMessageId"] == json!(first);
    assert_eq!(told("message.edited", &edited).await.json()["payload"]["body"], "halo lagi");
    bob.revoke(ann, &first).await?;
    told("message.revoked", &|payload| payload["revokedMessageId"] == json!(first)).await;

    story.stop().await
}
