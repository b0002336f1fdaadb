//! Evolution API's programs.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moonwa_simulator::File;
use moonwa_simulator::harness::{Delivery, Moonwa, Reply, api_key, eventually};
use serde_json::{Value, json};

use super::support::{BOSS, Program, SOUND, Story, picture, speak};

fn program(moonwa: &Moonwa, key: &str) -> Program {
    Program::new(moonwa, &[("apikey", key)])
}

/// The id in what is said of a message that was taken.
fn id_in(answer: &Reply) -> Result<String> {
    let answer = answer.clone().expect(201).json();
    assert_eq!((&answer["key"]["fromMe"], &answer["status"]), (&json!(true), &json!("PENDING")));
    let kind = answer["messageType"].as_str().context("no type")?;
    assert!(!answer["message"][kind].is_null() && answer["messageTimestamp"].is_u64(), "{answer}");
    Ok(answer["key"]["id"].as_str().context("no id")?.to_owned())
}

#[tokio::test]
async fn evolutions_programs_are_refused_in_its_form() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_moonwa");
    let moonwa = Moonwa::builder(binary).device("toko", &[]).device("gudang", &[]).start().await?;
    speak(&moonwa, &["evolution"]).await?;
    let text = json!({"number": "628123456789", "text": "halo"});
    let nobody = Program::new(&moonwa, &[]);
    let refused = nobody.post("/message/sendText/toko", &text).await?.expect(401).json();
    let wanted = json!({
        "status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"},
    });
    assert_eq!(refused, wanted);
    let toko = program(&moonwa, &api_key("toko"));
    toko.post("/message/sendText/gudang", &text).await?.expect(403);
    let missing = toko.post("/message/sendText/toko", &json!({"number": "1"})).await?.expect(400);
    assert_eq!(missing.json()["response"]["message"], json!(["text: required"]));
    let unlinked = toko.post("/message/sendText/toko", &text).await?.expect(400).json();
    assert_eq!(unlinked["response"]["message"], json!(["Error: Connection Closed"]));
    let lacking = toko.post("/webhook/set/toko", &json!({})).await?.expect(501).json();
    assert_eq!(
        (&lacking["status"], &lacking["error"]),
        (&json!(501), &json!("Not Implemented")),
        "{lacking}"
    );
    toko.delete("/instance/logout/toko").await?.expect(403);
    let admin = program(&moonwa, "wrong-key-0123456789abcdef");
    admin.get("/instance/fetchInstances").await?.expect(401);

    // Who has a device's key sees that device, under its name and its label.
    let list = toko.get("/instance/fetchInstances").await?.expect(200).json();
    let names: Vec<&Value> =
        list.as_array().context("a list")?.iter().map(|i| &i["name"]).collect();
    assert_eq!(names, [&json!("toko")]);
    toko.get("/instance/fetchInstances?instanceName=gudang").await?.expect(404);
    let state = toko.get("/instance/connectionState/Device%20toko").await?.expect(200).json();
    assert_eq!(state, json!({"instance": {"instanceName": "toko", "state": "close"}}));
    moonwa.stop().await?;
    Ok(())
}

/// The operation, its fields, its file, and what the phone gets.
type Upload<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], &'a str);

#[tokio::test]
async fn what_evolutions_programs_send_arrives() -> Result<()> {
    let story = Story::start("evolution", ["301111", "301112"]).await?;
    let evolution = program(&story.moonwa, &api_key("toko"));
    let bob = story.bob.number();
    let (image, sound) = (BASE64_STANDARD.encode(picture()), BASE64_STANDARD.encode(SOUND));
    let data = format!("data:image/png;base64,{image}");

    // The operation, its body, what the phone gets, and something in that.
    let table = [
        ("sendText", json!({"text": "halo", "delay": 10}), "conversation", "halo"),
        (
            "sendMedia",
            json!({"mediatype": "image", "mimetype": "image/png", "media": image, "caption": "foto", "fileName": "a.png"}),
            "image",
            "foto",
        ),
        (
            "sendMedia",
            json!({"mediatype": "document", "mimetype": "text/plain", "media": "bm90YQ==", "fileName": "nota.txt"}),
            "document",
            "nota.txt",
        ),
        ("sendMedia", json!({"mediatype": "audio", "media": sound}), "audio", "audio"),
        ("sendWhatsAppAudio", json!({"audio": sound, "encoding": true}), "audio", "opus"),
        ("sendSticker", json!({"sticker": data}), "sticker", "webp"),
        (
            "sendLocation",
            json!({"name": "Toko", "address": "Jl. Satu", "latitude": -6.2, "longitude": 106.8}),
            "location",
            "Toko",
        ),
        (
            "sendContact",
            json!({"contact": [{"fullName": "Cid", "wuid": "628111222333", "phoneNumber": "+62 811 1222 333"}]}),
            "contact",
            "waid=628111222333:+62 811 1222 333",
        ),
        (
            "sendPoll",
            json!({"name": "Kapan?", "selectableCount": 1, "values": ["kini", "nanti"]}),
            "poll",
            "nanti",
        ),
    ];
    for (operation, mut body, kind, part) in table {
        body["number"] = json!(bob);
        let answer = evolution.post(&format!("/message/{operation}/toko"), &body).await?;
        let (name, content) = story.got(&id_in(&answer)?).await?;
        assert!(name.contains(kind), "{operation}: {name}");
        assert!(content.to_string().contains(part), "{operation}: {content}");
    }

    // Files in parts, as the Python client sends them.
    let picture = picture();
    let files: [Upload<'_>; 3] = [
        ("sendMedia", &[("mediatype", "image"), ("caption", "ini")], &picture, "image"),
        ("sendWhatsAppAudio", &[("delay", "0")], SOUND, "audio"),
        ("sendSticker", &[], &picture, "sticker"),
    ];
    for (operation, fields, bytes, kind) in files {
        let fields = [&[("number", bob)], fields].concat();
        let path = format!("/message/{operation}/toko");
        let answer = evolution.upload(&path, &fields, ("file", "file", bytes)).await?;
        let (name, _) = story.got(&id_in(&answer)?).await?;
        assert!(name.contains(kind), "{operation}: {name}");
    }

    let nobody = json!({"number": "628999000999", "text": "?"});
    let refused = evolution.post("/message/sendText/toko", &nobody).await?.expect(400).json();
    let absent = json!([{
        "jid": "628999000999@s.whatsapp.net", "exists": false, "number": "628999000999",
    }]);
    assert_eq!(refused["response"]["message"], absent);
    for (operation, body) in [
        ("sendMedia", json!({"number": bob, "mediatype": "image"})),
        ("sendMedia", json!({"number": bob, "mediatype": "hologram", "media": "aGFsbw=="})),
        ("sendMedia", json!({"number": bob, "mediatype": "image", "media": "*"})),
        ("sendText", json!({"number": "bukan nomor", "text": "x"})),
        ("sendContact", json!({"number": bob, "contact": []})),
        ("sendReaction", json!({"reaction": "👍"})),
    ] {
        evolution.post(&format!("/message/{operation}/toko"), &body).await?.expect(400);
    }
    story.stop().await
}

#[tokio::test]
async fn evolutions_programs_send_several_contacts() -> Result<()> {
    let story = Story::start("evolution", ["301161", "301162"]).await?;
    let evolution = program(&story.moonwa, &api_key("toko"));
    let cards = json!([
        {"fullName": "Cid", "phoneNumber": "628111222333"},
        {"fullName": "Dina", "phoneNumber": "628111222444"},
    ]);
    let body = json!({"number": story.bob.number(), "contact": cards});
    let answer = evolution.post("/message/sendContact/toko", &body).await?;
    let (name, content) = story.got(&id_in(&answer)?).await?;
    assert!(name.contains("contacts"), "{name}");
    assert!(content.to_string().contains("waid=628111222444"), "{content}");
    story.stop().await
}

#[tokio::test]
async fn evolutions_programs_do_with_chats_what_they_did() -> Result<()> {
    let story = Story::start("evolution", ["301121", "301122"]).await?;
    let evolution = program(&story.moonwa, &api_key("toko"));
    let (ann, bob) = (&story.ann, &story.bob);
    let text = json!({"number": bob.number(), "text": "harga 10"});
    let own = id_in(&evolution.post("/message/sendText/toko", &text).await?)?;
    let theirs = bob.send_text(ann, "berapa?").await?;
    story.hook.expect("the question", |post| post.json()["data"]["key"]["id"] == theirs).await;

    for (id, mine) in [(&own, true), (&theirs, false)] {
        let key = json!({"remoteJid": bob.jid(), "fromMe": mine, "id": id});
        let react = json!({"key": key, "reaction": "👍"});
        let answer = evolution.post("/message/sendReaction/toko", &react).await?;
        let (_, reaction) = story.got(&id_in(&answer)?).await?;
        assert!(reaction.to_string().contains(id.as_str()), "{reaction}");
    }
    let quoted = json!({
        "number": bob.number(), "text": "dua belas", "quoted": {"key": {"id": theirs}},
    });
    let answer = evolution.post("/message/sendText/toko", &quoted).await?;
    let (_, reply) = story.got(&id_in(&answer)?).await?;
    assert!(reply.to_string().contains(&theirs), "{reply}");

    let read = json!({"readMessages": [
        {"remoteJid": bob.jid(), "fromMe": true, "id": own},
        {"remoteJid": bob.jid(), "fromMe": false, "id": theirs},
    ]});
    let done = evolution.post("/chat/markMessageAsRead/toko", &read).await?.expect(201).json();
    assert_eq!(done, json!({"message": "Read messages", "read": "success"}));
    bob.expect_receipt("read", &theirs).await?;
    let typing = json!({"number": bob.number(), "presence": "composing", "delay": 1});
    let done = evolution.post("/chat/sendPresence/toko", &typing).await?.expect(201).json();
    assert_eq!(done, json!({"presence": "composing"}));

    let group = story.sim.group("Pelanggan", &[ann, bob]).await?;
    let numbers = json!({"numbers": [bob.number(), "628999000998", group.jid()]});
    let found = evolution.post("/chat/whatsappNumbers/toko", &numbers).await?.expect(200).json();
    let exists: Vec<_> = (0..3).map(|n| (&found[n]["jid"], &found[n]["exists"])).collect();
    let (nobody, yes, no) = (json!("628999000998@s.whatsapp.net"), json!(true), json!(false));
    assert_eq!(
        exists,
        [(&json!(bob.jid()), &yes), (&nobody, &no), (&json!(group.jid()), &yes)],
        "{found}"
    );

    let groups = evolution.get("/group/fetchAllGroups/toko?getParticipants=false").await?;
    let groups = groups.expect(200).json();
    assert_eq!(
        (&groups[0]["id"], &groups[0]["subject"], &groups[0]["participants"]),
        (&json!(group.jid()), &json!("Pelanggan"), &Value::Null)
    );
    let groups = evolution.get("/group/fetchAllGroups/toko?getParticipants=true").await?;
    assert_eq!(groups.expect(200).json()[0]["size"], 2);
    let query = format!("groupJid={}", group.jid());
    let members = evolution.get(&format!("/group/participants/toko?{query}")).await?;
    let members = members.expect(200).json()["participants"].clone();
    let phones: Vec<_> =
        members.as_array().context("members")?.iter().map(|one| one["id"].as_str()).collect();
    assert!(phones.contains(&Some(bob.jid().as_str())) && phones.len() == 2, "{members}");
    let info = evolution.get(&format!("/group/findGroupInfos/toko?{query}")).await?;
    assert_eq!(info.expect(200).json()["subject"], "Pelanggan");
    story.stop().await
}

#[tokio::test]
async fn evolutions_programs_link_a_device_and_let_it_go() -> Result<()> {
    let story = Story::start("evolution", ["301131", "301132"]).await?;
    let evolution = program(&story.moonwa, BOSS);
    let open = json!({"instance": {"instanceName": "toko", "state": "open"}});
    for path in ["/instance/connectionState/toko", "/instance/connect/toko"] {
        assert_eq!(evolution.get(path).await?.expect(200).json(), open, "{path}");
    }
    let list = evolution.get("/instance/fetchInstances?instanceName=toko").await?;
    let toko = list.expect(200).json()[0].clone();
    assert_eq!(
        (&toko["name"], &toko["connectionStatus"], &toko["ownerJid"], &toko["profileName"]),
        (&json!("toko"), &json!("open"), &json!(story.ann.jid()), &json!("Ann"))
    );
    evolution.post("/instance/restart/toko", &json!({})).await?.expect(200);
    story.moonwa.wait_state("toko", "connected").await;

    let out = evolution.delete("/instance/logout/toko").await?.expect(200).json();
    let said = json!({"message": "Instance logged out"});
    assert_eq!(out, json!({"status": "SUCCESS", "error": false, "response": said}));
    story.moonwa.wait_state("toko", "logged_out").await;
    evolution.delete("/instance/logout/toko").await?.expect(400);
    let path = format!("/instance/connect/toko?number={}", story.ann.number());
    let codes = evolution.get(&path).await?.expect(200).json();
    let picture =
        codes["base64"].as_str().and_then(|url| url.strip_prefix("data:image/png;base64,"));
    let picture = BASE64_STANDARD.decode(picture.context("a picture")?)?;
    assert!(image::load_from_memory(&picture)?.width() > 200);
    // The code comes by itself where it is asked for, and is nowhere in the log.
    let shown = |post: &Delivery| post.json()["data"]["qrcode"]["code"] == codes["code"];
    let told = story.hook.expect("the code", shown).await.json();
    assert_eq!(told["event"], "qrcode.updated", "{told}");
    assert_eq!(told["data"]["qrcode"]["base64"], codes["base64"]);
    let log = evolution_log(&story.moonwa).await?;
    let text = codes["code"].as_str().context("a code")?;
    assert!(log.contains("device.state") && !log.contains(text) && !log.contains("qrcode"));
    let is_it = |post: &Delivery| post.json()["data"]["state"] == "connecting";
    story.hook.expect("the linking", is_it).await;
    let code = codes["pairingCode"].as_str().context("a pair code")?;
    story.ann.enter_code(code).await?;
    story.moonwa.wait_state("toko", "connected").await;

    story.moonwa.edit_config(|text| text.replace("qr = true", "qr = false"))?;
    let config = async || {
        let config = story.moonwa.admin().get("/v1/config").await;
        config.map(|reply| reply.text()).unwrap_or_default()
    };
    eventually("the change", config, |config| !config.contains("\"qr\":true")).await;
    evolution.delete("/instance/logout/toko").await?.expect(200);
    story.moonwa.wait_state("toko", "logged_out").await;
    let codes = evolution.get("/instance/connect/toko").await?.expect(200).json();
    story.ann.scan(codes["code"].as_str().context("a code")?).await?;
    story.moonwa.wait_state("toko", "connected").await;
    assert!(!story.hook.deliveries().iter().any(shown_in(&codes)), "nobody asked for it");
    story.stop().await
}

fn shown_in(codes: &Value) -> impl Fn(&Delivery) -> bool {
    move |post| post.json()["data"]["qrcode"]["code"] == codes["code"]
}

/// All that the log has of the device.
async fn evolution_log(moonwa: &Moonwa) -> Result<String> {
    let events = moonwa.admin().get("/v1/devices/toko/events?limit=1000").await?;
    Ok(events.expect(200).text())
}

#[tokio::test]
async fn evolutions_receivers_are_told_in_its_form() -> Result<()> {
    let story = Story::start("evolution", ["301141", "301142"]).await?;
    let (ann, bob, hook) = (&story.ann, &story.bob, &story.hook);
    let told = async |event: &str, good: &dyn Fn(&Value) -> bool| -> Value {
        let it = |post: &Delivery| post.json()["event"] == event && good(&post.json()["data"]);
        hook.expect(event, it).await.json()
    };
    let of = |id: &str| {
        let id = json!(id);
        move |data: &Value| data["key"]["id"] == id
    };

    let open = told("connection.update", &|data| data["state"] == "open").await;
    assert_eq!(open["data"]["wuid"], ann.jid(), "{open}");
    let first = bob.send_text(ann, "halo").await?;
    let post = told("messages.upsert", &of(&first)).await;
    let data = &post["data"];
    assert_eq!((&post["instance"], &post["sender"]), (&json!("toko"), &json!(ann.jid())));
    assert!(post["date_time"].is_string() && post["destination"].is_string(), "{post}");
    let key = &data["key"];
    assert_eq!((&key["remoteJid"], &key["fromMe"]), (&json!(bob.jid()), &json!(false)));
    assert!(key["remoteJidAlt"].as_str().is_some_and(|lid| lid.ends_with("@lid")), "{key}");
    assert_eq!((&data["pushName"], &data["messageType"]), (&json!("Bob"), &json!("conversation")));
    assert_eq!(data["message"], json!({"conversation": "halo"}));
    assert!(data["messageTimestamp"].is_u64(), "{data}");

    let asked = story.moonwa.send_text("toko", bob.number(), "jadi?").await?;
    bob.expect_text("jadi?").await?;
    bob.reply(ann, &asked, "jadi").await?;
    let asked = json!(asked);
    told("messages.upsert", &|data| data["contextInfo"]["stanzaId"] == asked).await;
    let answers = json!(first);
    bob.react(ann, &first, "👍").await?;
    let reaction = |data: &Value| data["message"]["reactionMessage"]["key"]["id"] == answers;
    let post = told("messages.upsert", &reaction).await;
    assert_eq!(post["data"]["message"]["reactionMessage"]["text"], "👍", "{post}");
    bob.edit(ann, &first, "halo lagi").await?;
    let post = told("messages.edited", &of(&first)).await;
    assert_eq!(post["data"]["editedMessage"]["conversation"], "halo lagi", "{post}");
    bob.revoke(ann, &first).await?;
    told("messages.delete", &|data| data["id"] == answers && data["status"] == "DELETED").await;

    let file = File::Document("nota.txt".into());
    let id = bob.send_file(ann, b"nota", "text/plain", file).await?;
    let said = told("messages.upsert", &of(&id)).await["data"]["message"].clone();
    let document = &said["documentMessage"];
    assert_eq!(
        (&document["fileName"], &document["mimetype"]),
        (&json!("nota.txt"), &json!("text/plain"))
    );
    let url = said["mediaUrl"].as_str().context("a URL")?;
    assert_eq!(story.moonwa.anyone().get(url).await?.expect(200).body.as_ref(), b"nota");
    bob.send_location(ann, -6.2, 106.8, "Toko").await?;
    let place = |data: &Value| data["messageType"] == "locationMessage";
    let post = told("messages.upsert", &place).await;
    assert_eq!(post["data"]["message"]["locationMessage"]["name"], "Toko", "{post}");

    let sent = story.moonwa.send_text("toko", bob.number(), "sudah").await?;
    // One that was read is not delivered afterwards.
    for (status, read) in [("DELIVERY_ACK", false), ("READ", true)] {
        if read {
            bob.read(&sent).await?;
        }
        let update = |data: &Value| data["keyId"] == sent && data["status"] == status;
        let post = told("messages.update", &update).await;
        assert_eq!(post["data"]["fromMe"], true, "{post}");
    }
    let group = story.sim.group("Pelanggan", &[ann, bob]).await?;
    let id = bob.send_text(&group, "semua").await?;
    let key = told("messages.upsert", &of(&id)).await["data"]["key"].clone();
    assert_eq!((&key["remoteJid"], &key["participant"]), (&json!(group.jid()), &json!(bob.jid())));
    group.remove(ann, &[bob]).await?;
    let left = told("group-participants.update", &|data| data["action"] == "remove").await;
    assert_eq!(left["data"]["id"], group.jid(), "{left}");
    assert!(hook.deliveries().iter().all(|post| post.json()["event"].is_string()), "one form");
    story.stop().await
}
