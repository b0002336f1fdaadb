//! What WhatsApp tells of people, whom the account keeps out, and what it shows of itself: each with what was on the wire.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, Reply, Rest, eventually};
use moonwa_simulator::{Fault, Phone, Simulator};
use serde_json::{Value, json};

const PICTURE: &[u8] = include_bytes!("page_browser/shirt.png");

async fn gateway(sim: &Simulator, phone: &Phone) -> Result<Moonwa> {
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", phone).await?;
    phone.expect_settled().await?;
    // The account's name comes after the connection is there.
    moonwa.wait_device("toko", "its name", |device| device["push_name"].is_string()).await;
    Ok(moonwa)
}

async fn ask(rest: &Rest, method: Method, path: &str, kind: &str, body: &[u8]) -> Result<Reply> {
    let path = format!("/v1/devices/toko/{path}");
    let request = rest.request(method, &path).header("content-type", kind);
    rest.send(request.body(Full::new(Bytes::copy_from_slice(body)))?).await
}

async fn patch(rest: &Rest, path: &str, body: &Value) -> Result<Reply> {
    ask(rest, Method::PATCH, path, "application/json", body.to_string().as_bytes()).await
}

/// What a client asked since then, of the stanzas that say this.
fn asked(sim: &Simulator, after: u64, words: &str) -> Vec<String> {
    let journal = sim.journal().into_iter();
    let asked = journal.filter(|e| e.seq > after && e.is_in("iq") && e.text.contains(words));
    asked.map(|entry| entry.text).collect()
}

#[tokio::test]
async fn a_contacts_profile_is_what_it_shows_to_this_account() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, eve) = (
        sim.phone("628111002101", "Ann").await,
        sim.phone("628111002102", "Bob").await,
        sim.phone("628111002103", "Eve").await,
    );
    bob.write_about("Sibuk, kirim pesan saja");
    bob.open_business("Toko kelontong");
    let picture = bob.show_picture(b"\xff\xd8 a picture");
    let moonwa = gateway(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let of = |who: &str, what: &str| format!("/v1/devices/toko/contacts/{who}/{what}");

    bob.send_text(&ann, "halo").await?;
    let profile = async || key.get(&of(bob.number(), "profile")).await.map(|reply| reply.json());
    let named = |told: &Result<Value>| told.as_ref().is_ok_and(|told| told["name"] == "Bob");
    let told = eventually("the name in the message", profile, named).await?;
    let lid = bob.lid().trim_end_matches("@lid").to_owned();
    let business = json!({
        "description": "Toko kelontong", "address": "Jl. Merdeka 1, Bandung", "email": null,
        "websites": ["https://toko.example"], "categories": ["Toko kelontong"], "timezone": "Asia/Jakarta",
        "hours": [{ "day": "mon", "mode": "specific_hours", "from": "08:00", "to": "17:30" }],
    });
    let expected = json!({
        "jid": bob.jid(), "phone": bob.number(), "lid": lid, "name": "Bob", "verified_name": null,
        "about": "Sibuk, kirim pesan saja", "picture_id": picture.to_string(), "business": business,
    });
    assert_eq!(told, expected);
    let before = sim.cursor();
    let by_lid = key.get(&of(&bob.lid(), "profile")).await?.expect(200).json();
    assert_eq!((&by_lid["phone"], &by_lid["about"]), (&expected["phone"], &expected["about"]));
    assert_eq!(by_lid["business"], business);
    let (users, shops) = (asked(&sim, before, "<status"), asked(&sim, before, "<business_profile"));
    assert_eq!((users.len(), shops.len()), (1, 1), "one question each");
    let shown = key.get(&of(bob.number(), "picture")).await?.expect(200).json();
    let url = format!("https://pps.whatsapp.net/v/{picture}.jpg");
    assert_eq!(shown, json!({ "id": picture.to_string(), "url": url }));

    // Whoever hides everything, or is no business, is asked once.
    let before = sim.cursor();
    let quiet = key.get(&of(eve.number(), "profile")).await?.expect(200).json();
    let nothing = ["about", "picture_id", "business", "name", "verified_name"];
    assert!(nothing.iter().all(|field| quiet[field].is_null()), "{quiet}");
    assert!(asked(&sim, before, "<business_profile").is_empty());
    let none = key.get(&of(eve.number(), "picture")).await?.expect(404).json();
    assert_eq!(none["detail"], "there is no picture, or this account may not see it");
    let nobody = key.get(&of("628999002199", "profile")).await?.expect(404).json();
    assert_eq!(
        (&nobody["code"], &nobody["detail"]),
        (&json!("not_found"), &json!("this number is not on WhatsApp"))
    );
    for wrong in ["0812", "120363000000000001@g.us", "status@broadcast", "me@lid"] {
        key.get(&of(wrong, "profile")).await?.expect(400);
    }

    // WhatsApp has enough of questions: none is asked until it may answer again.
    sim.fault(&ann, Fault::IqError("w:profile:picture".to_owned(), 429));
    let enough = key.get(&of(bob.number(), "picture")).await?.expect(429);
    assert!(enough.headers.contains_key("retry-after"));
    let before = sim.cursor();
    key.get(&of(bob.number(), "picture")).await?.expect(429);
    key.get(&of(eve.number(), "profile")).await?.expect(429);
    assert!(asked(&sim, before, "picture").is_empty());
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_contact_is_kept_out_and_let_in_again() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002104", "Ann").await, sim.phone("628111002105", "Bob").await);
    let moonwa = gateway(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let path = format!("contacts/{}/block", bob.number());
    let list = async || key.get("/v1/devices/toko/blocks").await.map(|reply| reply.json());
    assert_eq!(list().await?, json!({ "blocks": [] }));

    let before = sim.cursor();
    ask(&key, Method::PUT, &path, "application/json", b"").await?.expect(204);
    assert_eq!(ann.blocked(), [bob.number()]);
    let told = asked(&sim, before, "action=\"block\"");
    let wire = told.first().map(String::as_str).unwrap_or_default();
    assert!(wire.contains(&bob.lid()) && wire.contains("pn_jid="), "{told:?}");
    let lid = bob.lid().trim_end_matches("@lid").to_owned();
    let row = json!({ "jid": bob.lid(), "phone": bob.number(), "lid": lid, "since": "2026-11-23T08:00:00Z" });
    assert_eq!(list().await?, json!({ "blocks": [row] }));

    // What WhatsApp refuses is said, and nothing has changed.
    sim.fault(&ann, Fault::IqError("blocklist".to_owned(), 403));
    let by_lid = format!("contacts/{}/block", bob.lid());
    let refused =
        ask(&key, Method::DELETE, &by_lid, "application/json", b"").await?.expect(422).json();
    assert_eq!(refused["code"], "whatsapp_refused");
    assert_eq!(refused["detail"], "WhatsApp does not let this account do that (403 simulated)");
    assert_eq!(ann.blocked(), [bob.number()]);
    ask(&key, Method::DELETE, &by_lid, "application/json", b"").await?.expect(204);
    assert!(ann.blocked().is_empty());
    // Let in already.
    ask(&key, Method::DELETE, &path, "application/json", b"").await?.expect(204);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

/// The name among the account's settings, as its phone reads it.
fn name_of(phone: &Phone) -> Result<String> {
    let settings = phone.settings()?.into_iter().rev();
    let mut names = settings.filter(|(index, _)| index == &["setting_pushName"]);
    let name = names.next().and_then(|(_, value)| value.push_name_setting.name.clone());
    Ok(name.unwrap_or_default())
}

#[tokio::test]
async fn the_accounts_name_and_about_are_changed_when_the_answer_says_so() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111002106", "Ann").await;
    let moonwa = gateway(&sim, &ann).await?;
    let admin = moonwa.admin();
    let own = async || admin.get("/v1/devices/toko/profile").await.map(|reply| reply.json());
    let lid = ann.lid().trim_end_matches("@lid").to_owned();
    let first =
        json!({ "jid": ann.jid(), "lid": lid, "name": "Ann", "about": null, "picture_id": null });
    assert_eq!(own().await?, first);

    let before = sim.cursor();
    let both = json!({ "name": "Toko Ann", "about": "Buka 08.00–17.00" });
    patch(admin, "profile", &both).await?.expect(204);
    assert_eq!((name_of(&ann)?.as_str(), ann.about().as_str()), ("Toko Ann", "Buka 08.00–17.00"));
    let told = own().await?;
    assert_eq!((&told["name"], &told["about"]), (&both["name"], &both["about"]));
    // Contacts learn the name from the presence, which still says that nobody is there.
    let carried = |entry: &moonwa_simulator::Entry| {
        entry.is_in("presence") && entry.attr("name").as_deref() == Some("Toko Ann")
    };
    let carried = sim.wait_journal(before, carried).await?;
    assert_eq!(carried.attr("type").as_deref(), Some("unavailable"));

    // WhatsApp does not keep it: the answer says so, and the old name stays.
    sim.fault(&ann, Fault::IqError("w:sync:app:state".to_owned(), 503));
    let refused = patch(admin, "profile", &json!({ "name": "Lain" })).await?.expect(422).json();
    let words = "WhatsApp has a trouble of its own; try again later (503 simulated)";
    assert_eq!((&refused["code"], &refused["detail"]), (&json!("whatsapp_refused"), &json!(words)));
    assert_eq!((name_of(&ann)?.as_str(), &own().await?["name"]), ("Toko Ann", &json!("Toko Ann")));
    patch(admin, "profile", &json!({ "about": "" })).await?.expect(204);
    assert_eq!(ann.about(), "");

    for wrong in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": " " }),
        json!({ "name": null }),
        json!({ "name": "x".repeat(26) }),
        json!({ "about": "x".repeat(140) }),
        json!({ "nama": "Ann" }),
    ] {
        patch(admin, "profile", &wrong).await?.expect(400);
    }
    patch(&moonwa.key_of("toko"), "profile", &both).await?.expect(403);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_accounts_picture_is_a_square_jpeg() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111002107", "Ann").await;
    let moonwa = gateway(&sim, &ann).await?;
    let admin = moonwa.admin();
    let set =
        ask(admin, Method::PUT, "profile/picture", "image/png", PICTURE).await?.expect(200).json();
    let shown = ann.picture().expect("a picture");
    let size = image::load_from_memory(&shown)?;
    assert!(shown.starts_with(b"\xff\xd8") && size.width() == size.height(), "a square JPEG");
    let own = admin.get("/v1/devices/toko/profile").await?.expect(200).json();
    assert_eq!((&own["picture_id"], own["picture_id"].is_string()), (&set["id"], true));

    let text = ask(admin, Method::PUT, "profile/picture", "image/png", b"no picture").await?;
    assert_eq!(text.expect(422).json()["code"], "media_unavailable");
    ask(admin, Method::PUT, "profile/picture", "text/plain", b"no picture").await?.expect(415);
    sim.fault(&ann, Fault::IqError("w:profile:picture".to_owned(), 406));
    let refused = ask(admin, Method::PUT, "profile/picture", "image/png", PICTURE).await?;
    assert_eq!(refused.expect(422).json()["code"], "whatsapp_refused");
    assert_eq!(ann.picture().as_ref(), Some(&shown), "the old one stays");

    admin.delete("/v1/devices/toko/profile/picture").await?.expect(204);
    assert_eq!(ann.picture(), None);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn many_numbers_are_checked_in_one_question() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111002110", "Ann").await;
    let mut people = Vec::new();
    for n in 10..40 {
        people.push(sim.phone(&format!("6281110022{n}"), "Bob").await);
    }
    let moonwa = gateway(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let path = "/v1/devices/toko/contacts/check";
    let numbers = |entry: &str| entry.matches("<user>").count();

    let known = people.iter().map(Phone::number);
    let all: Vec<&str> = known.chain(["628999002299", "0812", people[0].number()]).collect();
    let before = sim.cursor();
    let told = key.post(path, &json!({ "phones": all })).await?.expect(200).json();
    let questions = asked(&sim, before, "<contact>");
    assert_eq!((questions.len(), numbers(&questions[0])), (1, 31), "{questions:?}");
    let rows = told["contacts"].as_array().expect("rows");
    assert_eq!(
        rows.iter().map(|row| row["asked"].as_str()).collect::<Option<Vec<_>>>(),
        Some(all.clone())
    );
    for (row, bob) in rows.iter().zip(&people) {
        let lid = bob.lid().trim_end_matches("@lid").to_owned();
        let row = (&row["on_whatsapp"], &row["phone"], &row["jid"], &row["lid"]);
        assert_eq!(row, (&json!(true), &json!(bob.number()), &json!(bob.jid()), &json!(lid)));
    }
    assert_eq!((&rows[30]["on_whatsapp"], &rows[30]["problem"]), (&json!(false), &Value::Null));
    assert_eq!((&rows[31]["on_whatsapp"], &rows[31]["phone"]), (&Value::Null, &Value::Null));
    assert!(rows[31]["problem"].is_string(), "{}", rows[31]);
    assert_eq!(rows[32]["jid"], rows[0]["jid"]);

    // Who is known is not asked for; while WhatsApp refuses, they are answered and the rest says so.
    sim.fault(&ann, Fault::Directory(429, Some(45)));
    let before = sim.cursor();
    let mixed = json!({ "phones": [people[3].number(), "628999002298"] });
    let told = key.post(path, &mixed).await?.expect(200).json();
    let rows = &told["contacts"];
    assert_eq!((&rows[0]["on_whatsapp"], &rows[1]["on_whatsapp"]), (&json!(true), &Value::Null));
    assert_eq!(rows[1]["problem"], "too many attempts; try again later");
    let questions = asked(&sim, before, "<contact>");
    assert_eq!((questions.len(), numbers(&questions[0])), (1, 1), "{questions:?}");
    let alone = key.post(path, &json!({ "phones": ["628999002298"] })).await?.expect(429);
    assert!(alone.headers.contains_key("retry-after"));
    assert_eq!(asked(&sim, before, "<contact>").len(), 1, "it is left alone");

    let many: Vec<String> = (0..51).map(|n| format!("6281110023{n:02}")).collect();
    for wrong in [
        json!({ "phones": [] }),
        json!({ "phones": many }),
        json!({}),
        json!({ "phones": [1] }),
        json!({ "phones": [""] }),
    ] {
        key.post(path, &wrong).await?.expect(400);
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn whom_the_device_knows_is_listed_and_found() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111002501", "Ann").await;
    let bob = sim.phone("628111002502", "Bob").await;
    ann.know(&[
        ("628111002590", "Citra Ayu"),
        ("628111002502", "Budi Toko"),
        ("628111002591", "Dewi"),
    ])?;
    let mut moonwa = gateway(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let list = async |query: &str| {
        let reply = key.get(&format!("/v1/devices/toko/contacts{query}")).await;
        reply.map(|reply| reply.expect(200).json())
    };
    let whole = |told: &Result<Value>| {
        told.as_ref()
            .is_ok_and(|told| told["contacts"].as_array().is_some_and(|rows| rows.len() == 3))
    };
    eventually("the address book", async || list("").await, whole).await?;

    // Who was looked up is known with the LID as well, also without a name.
    let check = json!({ "phones": [bob.number(), ann.number()] });
    key.post("/v1/devices/toko/contacts/check", &check).await?.expect(200);
    let told = list("").await?;
    let names = |told: &Value| {
        let rows = told["contacts"].as_array().cloned().unwrap_or_default();
        let brief = rows.iter().map(|row| (row["phone"].clone(), row["name"].clone()));
        brief.collect::<Vec<_>>()
    };
    let row = |phone: &str, name: Value| (json!(phone), name);
    let all = [
        row("628111002501", Value::Null),
        row("628111002502", json!("Budi Toko")),
        row("628111002590", json!("Citra Ayu")),
        row("628111002591", json!("Dewi")),
    ];
    assert_eq!(names(&told), all);
    assert_eq!(told["next"], Value::Null);
    let lid = bob.lid().trim_end_matches("@lid").to_owned();
    assert_eq!(
        (&told["contacts"][1]["lid"], &told["contacts"][1]["jid"]),
        (&json!(lid), &json!(bob.jid()))
    );

    let page = list("?limit=3").await?;
    assert_eq!((names(&page), &page["next"]), (all[..3].to_vec(), &json!("628111002590")));
    let page = list("?limit=3&after=628111002590").await?;
    assert_eq!((names(&page), &page["next"]), (all[3..].to_vec(), &Value::Null));
    for (words, at) in [("ayu", 2), ("BUDI", 1), ("2591", 3)] {
        assert_eq!(names(&list(&format!("?q={words}")).await?), [all[at].clone()], "{words}");
    }
    assert!(names(&list("?q=nobody").await?).is_empty());
    for wrong in
        ["limit=0", "limit=201", "limit=many", "after=x", &format!("q={}", "x".repeat(101))]
    {
        key.get(&format!("/v1/devices/toko/contacts?{wrong}")).await?.expect(400);
    }
    // It is on the disk, and needs no connection.
    moonwa.restart().await?;
    let told = moonwa.key_of("toko").get("/v1/devices/toko/contacts").await?.expect(200).json();
    assert_eq!(names(&told), all);
    moonwa.wait_state("toko", "connected").await;
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn whoever_writes_is_a_contact_under_the_name_that_they_chose() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002190", "Ann").await, sim.phone("628111002191", "Bob Toko").await);
    let mut moonwa = gateway(&sim, &ann).await?;
    bob.send_text(&ann, "halo").await?;
    let path = "/v1/devices/toko/contacts?q=bob";
    let key = moonwa.key_of("toko");
    let list = async || key.get(path).await.map(|reply| reply.json());
    let named = |list: &Result<Value>| {
        list.as_ref().is_ok_and(|list| list["contacts"][0]["push_name"] == "Bob Toko")
    };
    let list = eventually("the name in the message", list, named).await?;
    let row = &list["contacts"][0];
    assert_eq!((&row["phone"], &row["name"]), (&json!(bob.number()), &Value::Null));
    moonwa.restart().await?;
    let again = moonwa.key_of("toko").get(path).await?.expect(200).json();
    assert_eq!(again["contacts"][0]["push_name"], "Bob Toko");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
