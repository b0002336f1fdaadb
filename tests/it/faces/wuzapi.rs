//! wuzapi's programs.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use moonwa_simulator::File;
use moonwa_simulator::harness::{Delivery, Moonwa, Reply, api_key};
use serde_json::{Value, json};
use sha2::Sha256;

use super::support::{BOSS, Program, SECRET, SOUND, Story, picture, speak};
use crate::fleet::files::film;

fn program(moonwa: &Moonwa, key: &str) -> Program {
    Program::new(moonwa, &[("token", key)])
}

/// What a good answer says.
fn data(answer: &Reply) -> Value {
    let answer = answer.clone().expect(200).json();
    assert_eq!((&answer["code"], &answer["success"]), (&json!(200), &json!(true)), "{answer}");
    answer["data"].clone()
}

fn id_in(data: &Value) -> Result<String> {
    assert!(data["Details"].is_string() && data["Timestamp"].is_u64(), "{data}");
    Ok(data["Id"].as_str().context("no id")?.to_owned())
}

#[tokio::test]
async fn wuzapis_programs_are_refused_in_its_form() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_moonwa");
    let moonwa = Moonwa::builder(binary).device("toko", &[]).device("gudang", &[]).start().await?;
    speak(&moonwa, &["wuzapi"]).await?;
    let text = json!({"Phone": "628123456789", "Body": "halo"});
    let nobody = Program::new(&moonwa, &[]);
    let refused = nobody.post("/chat/send/text", &text).await?.expect(401).json();
    assert_eq!(refused, json!({"code": 401, "error": "unauthorized", "success": false}));

    // A token in its header, as the whole of another, or in the query.
    let key = api_key("toko");
    let by_header = program(&moonwa, &key);
    let bare = Program::new(&moonwa, &[("authorization", &key)]);
    for status in [
        by_header.get("/session/status").await?,
        bare.get("/session/status").await?,
        nobody.get(&format!("/session/status?token={key}")).await?,
    ] {
        let status = data(&status);
        assert_eq!(
            (&status["id"], &status["Connected"], &status["loggedIn"]),
            (&json!("toko"), &json!(false), &json!(false))
        );
    }
    let unlinked = by_header.post("/chat/send/text", &text).await?.expect(500).json();
    assert_eq!(unlinked["error"], "no session", "{unlinked}");
    by_header.post("/session/logout", &json!({})).await?.expect(403);
    for (path, body) in [
        ("/chat/send/text", json!({"Phone": "628123456789"})),
        ("/chat/send/image", json!({"Phone": "628123456789"})),
        (
            "/chat/send/document",
            json!({"Phone": "628123456789", "Document": "data:;base64,aGFsbw=="}),
        ),
        ("/chat/markread", json!({"Id": []})),
        ("/user/check", json!({})),
    ] {
        let refused = by_header.post(path, &body).await?.expect(400).json();
        assert_eq!(refused["success"], false, "{path}: {refused}");
    }
    let lacking = by_header.get("/user/contacts").await?.expect(501).json();
    assert_eq!((&lacking["code"], &lacking["success"]), (&json!(501), &json!(false)), "{lacking}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_wuzapis_programs_send_arrives() -> Result<()> {
    let story = Story::start("wuzapi", ["302111", "302112"]).await?;
    let wuzapi = program(&story.moonwa, &api_key("toko"));
    let bob = story.bob.number();
    let url =
        |kind: &str, bytes: &[u8]| format!("data:{kind};base64,{}", BASE64_STANDARD.encode(bytes));
    let (image, sound) = (url("image/png", &picture()), url("audio/mpeg", SOUND));

    // The operation, its body, what the phone gets, and something in that.
    let table = [
        ("text", json!({"Body": "halo"}), "conversation", "halo"),
        ("image", json!({"Image": image, "Caption": "foto"}), "image", "foto"),
        ("audio", json!({"Audio": sound}), "audio", "opus"),
        ("audio", json!({"Audio": sound, "PTT": false}), "audio", "audio"),
        (
            "document",
            json!({"FileName": "nota.txt", "Document": url("text/plain", b"nota")}),
            "document",
            "nota.txt",
        ),
        ("video", json!({"Video": url("video/mp4", &film()), "Caption": "film"}), "video", "film"),
        ("sticker", json!({"Sticker": image}), "sticker", "webp"),
        (
            "location",
            json!({"Latitude": -6.2, "Longitude": 106.8, "Name": "Toko"}),
            "location",
            "Toko",
        ),
        (
            "contact",
            json!({"Name": "Cid", "Vcard": "BEGIN:VCARD\nVERSION:3.0\nFN:Cid\nEND:VCARD"}),
            "contact",
            "FN:Cid",
        ),
    ];
    for (operation, mut body, kind, part) in table {
        body["Phone"] = json!(bob);
        let answer = wuzapi.post(&format!("/chat/send/{operation}"), &body).await?;
        let (name, content) = story.got(&id_in(&data(&answer))?).await?;
        assert!(name.contains(kind), "{operation}: {name}");
        assert!(content.to_string().contains(part), "{operation}: {content}");
    }
    let poll = json!({"group": story.bob.jid(), "header": "Kapan?", "options": ["kini", "nanti"]});
    let sent = data(&wuzapi.post("/chat/send/poll", &poll).await?);
    let (name, content) = story.got(&id_in(&sent)?).await?;
    assert!(name.contains("poll") && content.to_string().contains("nanti"), "{content}");

    // What is sent twice under an id of the caller's is sent once.
    let twice = json!({"phone": bob, "body": "sekali", "Id": "90B2F8B13FAC8A9CF6B06E99C7834DC5"});
    let first = id_in(&data(&wuzapi.post("/chat/send/text", &twice).await?))?;
    assert_eq!(id_in(&data(&wuzapi.post("/chat/send/text", &twice).await?))?, first);
    story.bob.expect_text("sekali").await?;

    let nobody = json!({"Phone": "628999000999", "Body": "?"});
    let refused = wuzapi.post("/chat/send/text", &nobody).await?.expect(500).json();
    assert_eq!(refused["error"], "error sending message: not on WhatsApp", "{refused}");
    story.stop().await
}

#[tokio::test]
async fn wuzapis_programs_do_with_messages_what_they_did() -> Result<()> {
    let story = Story::start("wuzapi", ["302121", "302122"]).await?;
    let wuzapi = program(&story.moonwa, &api_key("toko"));
    let (ann, bob) = (&story.ann, &story.bob);
    let text = json!({"Phone": bob.number(), "Body": "harga 10"});
    let own = id_in(&data(&wuzapi.post("/chat/send/text", &text).await?))?;
    let theirs = bob.send_text(ann, "berapa?").await?;
    story.hook.expect("the question", |post| event(post)["event"]["Info"]["ID"] == theirs).await;

    for id in [format!("me:{own}"), theirs.clone()] {
        let react = json!({"Phone": bob.number(), "Body": "❤️", "Id": id});
        let done = data(&wuzapi.post("/chat/react", &react).await?);
        let about = id_in(&done)?;
        assert!(id.ends_with(&about), "{done}");
        let is_it = |item: &moonwa_simulator::InboxItem| {
            let message = item.message().map(|message| serde_json::json!(message.message));
            message.is_some_and(|message| {
                let message = message.to_string();
                message.contains("❤️") && message.contains(&about)
            })
        };
        bob.wait_inbox(0, is_it).await?;
    }
    let reply = json!({
        "Phone": bob.number(), "Body": "dua belas",
        "ContextInfo": {"StanzaId": theirs, "Participant": bob.jid()},
    });
    let done = data(&wuzapi.post("/chat/send/text", &reply).await?);
    let (_, reply) = story.got(&id_in(&done)?).await?;
    assert!(reply.to_string().contains(&theirs), "{reply}");
    let read = json!({"Id": [theirs], "ChatPhone": bob.number(), "SenderPhone": bob.number()});
    assert_eq!(
        data(&wuzapi.post("/chat/markread", &read).await?),
        json!({"Details": "Message(s) marked as read"})
    );
    bob.expect_receipt("read", &theirs).await?;
    let typing = json!({"Phone": bob.number(), "State": "composing", "Media": ""});
    data(&wuzapi.post("/chat/presence", &typing).await?);
    let edit = json!({"Phone": bob.number(), "Body": "harga 12", "Id": own});
    assert_eq!(id_in(&data(&wuzapi.post("/chat/send/edit", &edit).await?))?, own);
    let delete = json!({"Phone": bob.number(), "Id": own});
    assert_eq!(data(&wuzapi.post("/chat/delete", &delete).await?)["Details"], "Deleted");

    let phones = json!({"Phone": [bob.number(), "628999000998"]});
    let users = data(&wuzapi.post("/user/check", &phones).await?)["Users"].clone();
    assert_eq!(
        (&users[0]["IsInWhatsapp"], &users[0]["JID"], &users[0]["VerifiedName"]),
        (&json!(true), &json!(bob.jid()), &json!("Bob"))
    );
    assert_eq!(
        (&users[1]["IsInWhatsapp"], &users[1]["Query"]),
        (&json!(false), &json!("628999000998"))
    );
    let users = data(&wuzapi.post("/user/info", &phones).await?)["Users"].clone();
    assert_eq!(users[bob.jid()]["VerifiedName"]["Details"]["verifiedName"], "Bob", "{users}");
    let group = story.sim.group("Pelanggan", &[ann, bob]).await?;
    let groups = data(&wuzapi.get("/group/list").await?)["Groups"].clone();
    assert_eq!(groups[0]["JID"], group.jid(), "{groups}");
    story.stop().await
}

#[tokio::test]
async fn wuzapis_programs_link_a_device_and_let_it_go() -> Result<()> {
    let story = Story::start("wuzapi", ["302131", "302132"]).await?;
    let wuzapi = program(&story.moonwa, BOSS);
    let status = data(&wuzapi.get("/session/status").await?);
    assert_eq!(
        (&status["connected"], &status["LoggedIn"], &status["jid"]),
        (&json!(true), &json!(true), &json!(story.ann.jid()))
    );
    let again = wuzapi.post("/session/connect", &json!({"Subscribe": ["Message"]})).await?;
    assert_eq!(again.expect(500).json()["error"], "already connected");
    assert_eq!(wuzapi.get("/session/qr").await?.expect(500).json()["error"], "already logged in");

    let out = data(&wuzapi.post("/session/logout", &Value::Null).await?);
    assert_eq!(out, json!({"Details": "Logged out"}));
    story.moonwa.wait_state("toko", "logged_out").await;
    let connect = json!({"Subscribe": ["Message"], "Immediate": true});
    let connected = data(&wuzapi.post("/session/connect", &connect).await?);
    assert_eq!(connected["details"], "Connected!", "{connected}");
    let qr = data(&wuzapi.get("/session/qr").await?);
    let picture = qr["QRCode"].as_str().and_then(|url| url.strip_prefix("data:image/png;base64,"));
    let picture = BASE64_STANDARD.decode(picture.context("a picture")?)?;
    assert!(image::load_from_memory(&picture)?.width() > 200);
    let shown = |post: &Delivery| event(post)["qrCodeBase64"] == qr["QRCode"];
    let told = event(&story.hook.expect("the code", shown).await);
    assert_eq!((&told["type"], &told["event"]), (&json!("QR"), &json!("code")));
    story.hook.expect("the end", |post| event(post)["type"] == "LoggedOut").await;
    let pair = json!({"Phone": story.ann.number()});
    let code = data(&wuzapi.post("/session/pairphone", &pair).await?);
    story.ann.enter_code(code["LinkingCode"].as_str().context("a code")?).await?;
    story.moonwa.wait_state("toko", "connected").await;
    data(&wuzapi.post("/session/disconnect", &Value::Null).await?);
    story.moonwa.wait_state("toko", "stopped").await;
    data(&wuzapi.post("/session/connect", &connect).await?);
    story.moonwa.wait_state("toko", "connected").await;
    story.stop().await
}

/// The fields of a form.
fn form(post: &Delivery) -> Vec<(String, String)> {
    let pairs = str::from_utf8(&post.body).unwrap_or_default().split('&');
    let plain = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    pairs.filter_map(|pair| pair.split_once('=')).map(|(n, v)| (plain(n), plain(v))).collect()
}

/// The event in a form.
fn event(post: &Delivery) -> Value {
    let fields = form(post);
    let data = fields.iter().find(|(name, _)| name == "jsonData").map(|(_, value)| value);
    data.and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default()
}

#[tokio::test]
async fn wuzapis_receivers_are_told_in_its_form() -> Result<()> {
    let story = Story::start("wuzapi", ["302141", "302142"]).await?;
    let (ann, bob, hook) = (&story.ann, &story.bob, &story.hook);
    let told = async |kind: &str, good: &dyn Fn(&Value) -> bool| -> Value {
        let it = |post: &Delivery| event(post)["type"] == kind && good(&event(post)["event"]);
        event(&hook.expect(kind, it).await)
    };
    told("Connected", &|_| true).await;
    let first = bob.send_text(ann, "halo & \"apa\" kabar+").await?;
    let said = told("Message", &|event| event["Info"]["ID"] == first).await;
    let info = &said["event"]["Info"];
    assert_eq!(
        (&info["Chat"], &info["Sender"], &info["PushName"]),
        (&json!(bob.jid()), &json!(bob.jid()), &json!("Bob"))
    );
    assert_eq!((&info["IsFromMe"], &info["IsGroup"]), (&json!(false), &json!(false)));
    assert!(info["SenderAlt"].as_str().is_some_and(|lid| lid.ends_with("@lid")), "{info}");
    assert_eq!(said["event"]["Message"], json!({"conversation": "halo & \"apa\" kabar+"}));

    let post = hook.expect("a form", |post| event(post)["event"]["Info"]["ID"] == first).await;
    assert_eq!(post.header("content-type"), "application/x-www-form-urlencoded");
    let fields = form(&post);
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["instanceName", "jsonData", "token", "userID"]);
    assert_eq!((fields[0].1.as_str(), fields[2].1.as_str()), ("toko", "toko"));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(&post.body);
    let expected = HEXLOWER.encode(&mac.finalize().into_bytes());
    assert_eq!(post.header("x-hmac-signature"), expected);

    bob.react(ann, &first, "👍").await?;
    let reaction = |event: &Value| event["Message"]["reactionMessage"]["text"] == "👍";
    told("Message", &reaction).await;
    bob.edit(ann, &first, "halo lagi").await?;
    let edited = |event: &Value| {
        let changed = &event["Message"]["protocolMessage"];
        changed["editedMessage"]["conversation"] == "halo lagi" && changed["key"]["ID"] == first
    };
    told("Message", &edited).await;
    bob.revoke(ann, &first).await?;
    told("Message", &|event| event["Message"]["protocolMessage"]["type"] == 0).await;
    let file = File::Document("nota.txt".into());
    let id = bob.send_file(ann, b"nota", "text/plain", file).await?;
    let said = told("Message", &|event| event["Info"]["ID"] == id).await;
    assert_eq!(said["event"]["Message"]["documentMessage"]["fileName"], "nota.txt", "{said}");
    assert_eq!((&said["fileName"], &said["mimeType"]), (&json!("nota.txt"), &json!("text/plain")));
    let url = said["s3"]["url"].as_str().context("a URL")?;
    assert_eq!(story.moonwa.anyone().get(url).await?.expect(200).body.as_ref(), b"nota");
    let sent = story.moonwa.send_text("toko", bob.number(), "sudah").await?;
    bob.expect_text("sudah").await?;
    bob.read(&sent).await?;
    let receipt = |event: &Value| event["MessageIDs"] == json!([sent]) && event["Type"] == "read";
    assert_eq!(told("ReadReceipt", &receipt).await["state"], "Read");
    let call = bob.call(ann, false).await?;
    told("CallOffer", &|event| event["CallID"] == call).await;
    story.stop().await
}
