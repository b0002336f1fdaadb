//! GOWA's programs.

use anyhow::{Context as _, Result};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use moonwa_simulator::File;
use moonwa_simulator::harness::{Delivery, Moonwa, api_key};
use serde_json::{Value, json};
use sha2::Sha256;

use super::support::{BOSS, Program, SECRET, Story, basic, picture, speak};
use crate::fleet::files::film;

fn program(moonwa: &Moonwa, key: &str) -> Program {
    Program::new(moonwa, &[("authorization", &basic(key))])
}

/// What a good answer says.
fn results(answer: &moonwa_simulator::harness::Reply) -> Value {
    let answer = answer.clone().expect(200).json();
    assert_eq!(answer["code"], "SUCCESS", "{answer}");
    assert!(answer["message"].is_string(), "{answer}");
    answer["results"].clone()
}

fn id_in(results: &Value) -> Result<String> {
    assert!(results["status"].is_string(), "{results}");
    Ok(results["message_id"].as_str().context("no id")?.to_owned())
}

#[tokio::test]
async fn a_face_is_spoken_while_it_is_on_and_says_what_it_lacks() -> Result<()> {
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .device("toko", &[])
        .device("gudang", &[])
        .start()
        .await?;
    let toko = program(&moonwa, &api_key("toko"));
    let text = json!({"phone": "628123456789", "message": "halo"});
    let off = toko.post("/send/message", &text).await?.expect(404).json();
    assert_eq!(off["code"], "not_found", "moonwa's own form: {off}");

    speak(&moonwa, &["gowa"]).await?;
    let nobody = Program::new(&moonwa, &[]);
    let refused = nobody.post("/send/message", &text).await?.expect(401).json();
    assert_eq!(
        (&refused["code"], &refused["results"]),
        (&json!("AUTHENTICATION_ERROR"), &Value::Null)
    );
    let guess = program(&moonwa, "mw_crm00001_nobody-has-this-one");
    guess.post("/send/message", &text).await?.expect(401);
    let unlinked = toko.post("/send/message", &text).await?.expect(401).json();
    assert_eq!(unlinked["code"], "AUTHENTICATION_ERROR", "not linked: {unlinked}");
    let missing = toko.post("/send/message", &json!({"phone": "628123456789"})).await?.expect(400);
    assert_eq!(
        missing.json(),
        json!({"code": "VALIDATION_ERROR", "message": "message: required", "results": null})
    );
    toko.get("/app/logout").await?.expect(403);

    // A device's key needs no name and reaches no other device; the admin says which.
    let other = Program::new(
        &moonwa,
        &[("authorization", &basic(&api_key("toko"))), ("x-device-id", "gudang")],
    );
    other.get("/app/status").await?.expect(403);
    let admin = moonwa.admin();
    let status = results(&toko.get("/app/status").await?);
    assert_eq!(status, json!({"device_id": "toko", "is_connected": false, "is_logged_in": false}));
    admin.get("/app/status").await?.expect(404);
    let named = admin.get("/app/status?device_id=Device%20gudang").await?;
    assert_eq!(results(&named)["device_id"], "gudang", "by its label");

    // What is not offered is remembered without the people in it, and only for those with a key.
    for _ in 0..2 {
        let lacking = toko.get("/user/avatar?phone=628123456789").await?.expect(501).json();
        assert_eq!(lacking["code"], "NOT_IMPLEMENTED", "{lacking}");
    }
    toko.post("/message/3EB0ABCDEF/star", &json!({})).await?.expect(501);
    nobody.get("/user/my/privacy").await?.expect(401);
    let list = admin.get("/v1/faces").await?.expect(200).json()["not_offered"].clone();
    let asked: Vec<_> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|want| (want["operation"].clone(), want["times"].clone()))
        .collect();
    assert_eq!(
        asked,
        [(json!("GET /user/avatar"), json!(2)), (json!("POST /message/…/star"), json!(1))]
    );
    let (_, told) = moonwa.command(&["doctor"]).await?;
    assert!(
        told.contains("gowa: GET /user/avatar is not offered, and was asked for 2 times"),
        "{told}"
    );

    speak(&moonwa, &[]).await?;
    toko.get("/app/status").await?.expect(404);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_gowas_programs_send_arrives() -> Result<()> {
    let story = Story::start("gowa", ["300111", "300112"]).await?;
    let gowa = program(&story.moonwa, &api_key("toko"));
    let bob = story.bob.number();
    let chat = format!("{bob}@s.whatsapp.net");

    // By JSON: the operation, its body, what the phone gets, and something in that.
    let table = [
        ("message", json!({"phone": chat, "message": "halo"}), "conversation", "halo"),
        (
            "link",
            json!({"phone": bob, "link": "https://toko.invalid/", "caption": "lihat"}),
            "",
            "lihat",
        ),
        (
            "contact",
            json!({"phone": bob, "contact_name": "Cid", "contact_phone": "628111222333"}),
            "contact",
            "waid=628111222333:+628111222333",
        ),
        (
            "location",
            json!({"phone": bob, "latitude": "-6.2", "longitude": "106.8"}),
            "location",
            "-6.2",
        ),
        (
            "poll",
            json!({"phone": bob, "question": "Kapan?", "options": ["kini", "nanti"], "max_answer": 1}),
            "poll",
            "nanti",
        ),
    ];
    for (operation, body, kind, part) in table {
        let id = id_in(&results(&gowa.post(&format!("/send/{operation}"), &body).await?))?;
        let (name, content) = story.got(&id).await?;
        assert!(name.contains(kind), "{operation}: {name}");
        assert!(content.to_string().contains(part), "{operation}: {content}");
    }
    let form = gowa.form("/send/message", &format!("phone={bob}&message=dari+formulir")).await?;
    id_in(&results(&form))?;
    story.bob.expect_text("dari formulir").await?;

    // Files, each in the part that is named as its operation.
    let sound = include_bytes!("../fleet/sounds/tone.mp3");
    let picture = picture();
    let film = film();
    let files: [(&str, &str, &[u8], &str); 5] = [
        ("image", "foto.png", &picture, "image"),
        ("video", "film.mp4", &film, "video"),
        ("file", "nota.txt", b"nota", "document"),
        ("audio", "lagu.mp3", sound, "audio"),
        ("sticker", "tempel.png", &picture, "sticker"),
    ];
    for (operation, name, bytes, kind) in files {
        let fields = [("phone", chat.as_str()), ("caption", "ini"), ("view_once", "false")];
        let answer =
            gowa.upload(&format!("/send/{operation}"), &fields, (operation, name, bytes)).await?;
        let id = id_in(&results(&answer))?;
        let (field, content) = story.got(&id).await?;
        assert!(field.contains(kind), "{operation}: {field}");
        let captioned = matches!(operation, "image" | "video" | "file");
        assert_eq!(content["caption"] == "ini", captioned, "{operation}: {content}");
    }

    // Typing, and a number that nobody has.
    let typing = json!({"phone": bob, "action": "start"});
    results(&gowa.post("/send/chat-presence", &typing).await?);
    let nobody = json!({"phone": "628999000999", "message": "?"});
    let refused = gowa.post("/send/message", &nobody).await?.expect(400).json();
    assert_eq!(refused["code"], "INVALID_JID", "{refused}");
    for (path, body) in [
        ("/send/image", json!({"phone": bob})),
        ("/send/message", json!({"phone": "bukan nomor", "message": "x"})),
        ("/send/location", json!({"phone": bob, "latitude": "utara", "longitude": "1"})),
        ("/send/chat-presence", json!({"phone": bob, "action": "dance"})),
    ] {
        let refused = gowa.post(path, &body).await?.expect(400).json();
        assert_eq!(refused["code"], "VALIDATION_ERROR", "{path}: {refused}");
    }
    story.stop().await
}

#[tokio::test]
async fn gowas_programs_do_with_messages_what_they_did() -> Result<()> {
    let story = Story::start("gowa", ["300121", "300122"]).await?;
    let gowa = program(&story.moonwa, &api_key("toko"));
    let (ann, bob) = (&story.ann, &story.bob);
    let phone = json!({"phone": bob.jid()});
    let sent = json!({"phone": bob.jid(), "message": "harga 10"});
    let own = id_in(&results(&gowa.post("/send/message", &sent).await?))?;
    let theirs = bob.send_text(ann, "berapa?").await?;
    story.hook.expect("the question", |post| post.json()["payload"]["id"] == json!(theirs)).await;

    for id in [&own, &theirs] {
        let react = json!({"phone": bob.jid(), "emoji": "👍"});
        let done = results(&gowa.post(&format!("/message/{id}/reaction"), &react).await?);
        let (_, reaction) = story.got(&id_in(&done)?).await?;
        assert!(reaction.to_string().contains(id.as_str()), "{reaction}");
        let mine = reaction["key"]["from_me"].as_bool().or(reaction["key"]["fromMe"].as_bool());
        assert_eq!(mine.unwrap_or_default(), *id == own, "{reaction}");
    }
    results(&gowa.post(&format!("/message/{theirs}/read"), &phone).await?);
    bob.expect_receipt("read", &theirs).await?;
    let update = json!({"phone": bob.jid(), "message": "harga 12"});
    let done = results(&gowa.post(&format!("/message/{own}/update"), &update).await?);
    let (_, edit) = story.got(&id_in(&done)?).await?;
    assert!(edit.to_string().contains("harga 12"), "{edit}");
    let done = results(&gowa.post(&format!("/message/{theirs}/forward"), &phone).await?);
    let (_, forward) = story.got(&id_in(&done)?).await?;
    assert!(forward.to_string().contains("berapa?"), "{forward}");
    let done = results(&gowa.post(&format!("/message/{own}/revoke"), &phone).await?);
    let (_, revoke) = story.got(&id_in(&done)?).await?;
    assert!(revoke.to_string().contains(&own), "{revoke}");

    let check = gowa.get(&format!("/user/check?phone={}", bob.number())).await?;
    assert_eq!(results(&check), json!({"is_on_whatsapp": true}));
    let check = gowa.get("/user/check?phone=628999000998").await?;
    assert_eq!(results(&check), json!({"is_on_whatsapp": false}));
    let info = results(&gowa.get(&format!("/user/info?phone={}", bob.jid())).await?);
    assert_eq!(info["verified_name"], "Bob", "{info}");
    let group = story.sim.group("Pelanggan", &[ann, bob]).await?;
    let groups = results(&gowa.get("/user/my/groups").await?);
    assert_eq!(groups, json!({"data": [{"JID": group.jid(), "Name": "Pelanggan"}]}));
    let info = results(&gowa.get(&format!("/group/info?group_id={}", group.jid())).await?);
    assert_eq!(info["Participants"].as_array().map(Vec::len), Some(2), "{info}");
    story.stop().await
}

#[tokio::test]
async fn gowas_programs_link_a_device_and_let_it_go() -> Result<()> {
    let story = Story::start("gowa", ["300131", "300132"]).await?;
    let gowa = program(&story.moonwa, BOSS);
    let devices = results(&gowa.get("/app/devices").await?);
    assert_eq!(devices, json!([{"name": "Ann", "device": story.ann.jid()}]));
    let list = results(&gowa.get("/devices").await?);
    assert_eq!(
        (&list[0]["id"], &list[0]["state"], &list[0]["jid"]),
        (&json!("toko"), &json!("logged_in"), &json!(story.ann.jid()))
    );
    let by_number = gowa.get(&format!("/devices/{}/status", story.ann.number())).await?;
    assert_eq!(
        results(&by_number),
        json!({"device_id": "toko", "is_connected": true, "is_logged_in": true})
    );
    let linked = gowa.get("/app/login").await?.expect(400).json();
    assert_eq!(linked["code"], "ALREADY_LOGGED_IN", "{linked}");
    assert_eq!(results(&gowa.get("/devices/toko").await?), list[0]);
    results(&gowa.get("/app/reconnect").await?);
    story.moonwa.wait_state("toko", "connected").await;
    results(&gowa.post("/devices/toko/reconnect", &Value::Null).await?);
    story.moonwa.wait_state("toko", "connected").await;

    results(&gowa.get("/app/logout").await?);
    story.moonwa.wait_state("toko", "logged_out").await;
    let login = results(&gowa.get("/app/login").await?);
    assert!(login["qr_duration"].as_u64().is_some_and(|seconds| seconds <= 60), "{login}");
    let address = format!("http://{}", story.moonwa.address());
    let link = login["qr_link"].as_str().context("a link")?;
    let path = link.strip_prefix(&address).context("an address")?;
    assert_eq!(path, "/statics/images/qrcode/toko");
    Program::new(&story.moonwa, &[]).get(path).await?.expect(401);
    program(&story.moonwa, &api_key("toko")).get(path).await?.expect(403);
    let qr = gowa.get(path).await?.expect(200);
    assert_eq!(qr.headers["content-type"], "image/png");
    assert!(image::load_from_memory(&qr.body)?.width() > 200);

    let same = results(&gowa.get("/devices/toko/login").await?);
    assert_eq!(same["qr_link"], login["qr_link"], "{same}");

    let code = gowa.get(&format!("/app/login-with-code?phone={}", story.ann.number())).await?;
    let code = results(&code)["pair_code"].as_str().context("a code")?.to_owned();
    assert!(code.len() == 9 && code.contains('-'), "{code}");
    story.ann.enter_code(&code.replace('-', "")).await?;
    story.moonwa.wait_state("toko", "connected").await;
    results(&gowa.post("/devices/toko/logout", &Value::Null).await?);
    story.moonwa.wait_state("toko", "logged_out").await;
    let phone = json!({"phone": story.ann.number()});
    let code = results(&gowa.post("/devices/toko/login/code", &phone).await?);
    let code = code["pair_code"].as_str().context("a code")?;
    story.ann.enter_code(&code.replace('-', "")).await?;
    story.moonwa.wait_state("toko", "connected").await;
    story.stop().await
}

#[tokio::test]
async fn gowas_receivers_are_told_in_its_form() -> Result<()> {
    let story = Story::start("gowa", ["300141", "300142"]).await?;
    let (ann, bob, hook) = (&story.ann, &story.bob, &story.hook);
    let told = async |event: &str, good: &dyn Fn(&Value) -> bool| -> Delivery {
        let it = |post: &Delivery| post.json()["event"] == event && good(&post.json()["payload"]);
        hook.expect(event, it).await
    };
    let of =
        |name: &'static str, value: String| move |payload: &Value| payload[name] == json!(value);

    let first = bob.send_text(ann, "halo").await?;
    let post = told("message", &of("id", first.clone())).await;
    let (body, payload) = (post.json(), post.json()["payload"].clone());
    assert_eq!(body["device_id"], ann.jid());
    assert_eq!((&payload["chat_id"], &payload["from"]), (&json!(bob.jid()), &json!(bob.jid())));
    assert_eq!(
        (&payload["body"], &payload["from_name"], &payload["is_from_me"]),
        (&json!("halo"), &json!("Bob"), &json!(false))
    );
    assert!(payload["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{payload}");
    assert!(payload["from_lid"].as_str().is_some_and(|lid| lid.ends_with("@lid")), "{payload}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(&post.body);
    let expected = format!("sha256={}", HEXLOWER.encode(&mac.finalize().into_bytes()));
    assert_eq!(post.header("x-hub-signature-256"), expected);

    bob.reply(ann, &first, "jadi?").await?;
    told("message", &of("replied_to_id", first.clone())).await;
    bob.react(ann, &first, "👍").await?;
    let reaction = told("message.reaction", &of("reacted_message_id", first.clone())).await;
    assert_eq!(reaction.json()["payload"]["reaction"], "👍");
    bob.edit(ann, &first, "halo lagi").await?;
    let edited = told("message.edited", &of("original_message_id", first.clone())).await;
    assert_eq!(edited.json()["payload"]["body"], "halo lagi");
    bob.revoke(ann, &first).await?;
    told("message.revoked", &of("revoked_message_id", first)).await;

    let id = bob.send_file(ann, b"nota", "text/plain", File::Document("nota.txt".into())).await?;
    let file = told("message", &of("id", id.clone())).await.json()["payload"]["document"].clone();
    assert_eq!(file["filename"], "nota.txt", "{file}");
    let url = file["url"].as_str().context("a URL")?;
    let anyone = story.moonwa.anyone();
    assert_eq!(anyone.get(url).await?.expect(200).body.as_ref(), b"nota");
    let path = format!("/message/{id}/download?phone={}", bob.jid());
    let file = results(&program(&story.moonwa, &api_key("toko")).get(&path).await?);
    assert_eq!(
        (&file["message_id"], &file["media_type"], &file["filename"], &file["file_size"]),
        (&json!(id), &json!("document"), &json!("nota.txt"), &json!(4))
    );
    let path = file["file_path"].as_str().context("a path")?;
    assert_eq!(anyone.get(&format!("/{path}")).await?.expect(200).body.as_ref(), b"nota");
    let address = format!("http://{}/{path}", story.moonwa.address());
    assert_eq!(file["file_url"], address, "{file}");
    bob.send_location(ann, -6.2, 106.8, "Toko").await?;
    let place = told("message", &|payload| payload["location"].is_object()).await;
    assert_eq!(place.json()["payload"]["location"]["name"], "Toko");

    let sent = story.moonwa.send_text("toko", bob.number(), "sudah").await?;
    bob.expect_text("sudah").await?;
    bob.read(&sent).await?;
    let read =
        |payload: &Value| payload["ids"] == json!([sent]) && payload["receipt_type"] == "read";
    let receipt = told("message.ack", &read).await.json();
    assert!(receipt["timestamp"].is_string(), "{receipt}");
    assert!(
        hook.deliveries().iter().all(|post| post.json()["event"].is_string()),
        "one form for all"
    );
    story.stop().await
}
