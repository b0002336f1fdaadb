//! The bridge to Chatwoot: what people write is in its inbox once and in order, and what its agents write goes out once,
//! whatever is killed, down or lost meanwhile.

mod fake;

use std::time::Duration;

use anyhow::Result;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, eventually};
use moonwa_simulator::{File, InboxItem, Phone, Simulator, wa};
use rustix::process::Signal;
use serde_json::{Value, json};

use self::fake::{Chatwoot, INBOX, SECRET};

const TABLE: &str =
    "\n[device.toko]\nlabel = \"Toko\"\napi_key = \"key-of-toko-0123456789abcdef\"\n";

fn gateway(sim: &Simulator, chatwoot: &Chatwoot) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(sim)
        .env("MOONWA_RETRY_SCALE", "0.01")
        .config(&format!("{TABLE}webhooks = [{}]\n", chatwoot.webhook()))
}

/// The gateway, linked, between two people and a Chatwoot.
async fn scene(numbers: [&str; 2]) -> Result<(Simulator, Phone, Phone, Chatwoot, Moonwa)> {
    let sim = Simulator::start().await?;
    let (ann, bob) = (sim.phone(numbers[0], "Ann").await, sim.phone(numbers[1], "Bob").await);
    let chatwoot = Chatwoot::start().await?;
    let moonwa = gateway(&sim, &chatwoot).start().await?;
    moonwa.link("toko", &ann).await?;
    Ok((sim, ann, bob, chatwoot, moonwa))
}

/// The report of the only webhook, as soon as `good` holds for it.
async fn report(moonwa: &Moonwa, what: &str, good: impl Fn(&Value) -> bool) -> Value {
    let look = || async {
        let reply = moonwa.key_of("toko").get("/v1/devices/toko/webhooks").await;
        reply.map_or(Value::Null, |reply| reply.json()["webhooks"][0].clone())
    };
    eventually(what, look, good).await
}

#[tokio::test]
async fn what_people_write_is_there_once_and_in_order() -> Result<()> {
    let (sim, ann, bob, chatwoot, moonwa) = scene(["628444000101", "628444000102"]).await?;
    let first = bob.send_text(&ann, "halo").await?;
    let asked = bob.send_text(&ann, "ada kaos?").await?;
    bob.send_file(&ann, b"%PDF-1.4 nota", "application/pdf", File::Document("nota.pdf".into()))
        .await?;
    bob.reply(&ann, &first, "yang merah").await?;
    bob.react(&ann, &first, "👍").await?;
    bob.edit(&ann, &asked, "ada kaos merah?").await?;
    let edited = chatwoot.expect("✏️ ada kaos merah?").await;

    let said = chatwoot.messages();
    let texts: Vec<&str> = said.iter().map(|m| m["content"].as_str().unwrap_or_default()).collect();
    assert_eq!(texts, ["halo", "ada kaos?", "", "yang merah", "👍", "✏️ ada kaos merah?"]);
    assert!(said.iter().all(|message| message["message_type"] == 0), "{said:#?}");
    assert_eq!(said[0]["source_id"], format!("WAID:{first}"));
    assert_eq!(
        said[2]["attachments"],
        json!([{"name": "nota.pdf", "mime": "application/pdf", "size": 13}])
    );
    for answer in [&said[3], &said[4]] {
        assert_eq!(answer["content_attributes"]["in_reply_to"], said[0]["id"], "{answer}");
    }
    assert_eq!(edited["content_attributes"]["in_reply_to"], said[1]["id"]);

    bob.revoke(&ann, &asked).await?;
    let gone = chatwoot.expect("This message was deleted").await;
    assert_eq!(gone["id"], said[1]["id"]);

    let group = sim.group("Tim Toko", &[&bob, &ann]).await?;
    bob.send_text(&group, "rapat").await?;
    let in_group = chatwoot.expect(&format!("**Bob (+{})**\n\nrapat", bob.number())).await;
    {
        let book = chatwoot.book();
        assert_eq!(book.contacts.len(), 2);
        assert_eq!(book.contacts[0]["name"], "Bob");
        assert_eq!(book.contacts[0]["phone_number"], format!("+{}", bob.number()));
        assert_eq!(book.contacts[1]["name"], "Tim Toko");
        assert_eq!(book.contacts[1]["phone_number"], Value::Null);
        assert_eq!(book.conversations.len(), 2);
        assert_eq!(in_group["conversation_id"], book.conversations[1]["id"]);
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_agents_write_goes_once_and_nothing_comes_back_as_new() -> Result<()> {
    let (_sim, ann, bob, chatwoot, moonwa) = scene(["628444000111", "628444000112"]).await?;
    let asked = bob.send_text(&ann, "halo").await?;
    let incoming = chatwoot.expect("halo").await;
    let conversation = incoming["conversation_id"].as_u64().unwrap();

    // Posted twice, it goes once; the note to colleagues and what is wrongly signed do not go at all.
    let attributes =
        json!({"in_reply_to": incoming["id"], "in_reply_to_external_id": incoming["source_id"]});
    let posted = chatwoot.agent_writes(
        conversation,
        &json!({"content": "**Selamat** datang", "content_attributes": attributes}),
    );
    let sent = chatwoot.post(&moonwa, &posted).await?.expect(200).json();
    assert_eq!(chatwoot.post(&moonwa, &posted).await?.expect(200).json(), sent);
    let note = chatwoot.agent_writes(conversation, &json!({"content": "catatan", "private": true}));
    assert!(chatwoot.post(&moonwa, &note).await?.expect(200).json()["ignored"].is_string());
    let path = format!("/v1/devices/toko/chatwoot/{INBOX}");
    let forged = chatwoot.agent_writes(conversation, &json!({"content": "palsu"}));
    for path in [&path, &format!("{path}?key=not-the-secret"), &path.replace("toko", "gudang")] {
        moonwa.anyone().post(path, &forged).await?.expect(401);
    }
    let keyed = chatwoot.agent_writes(conversation, &json!({"content": "dengan kunci"}));
    moonwa.anyone().post(&format!("{path}?key={SECRET}"), &keyed).await?.expect(200);
    let got = bob.expect_text("*Selamat* datang").await?;
    assert!(format!("{:?}", got.message).contains(&asked), "it answers the message");
    bob.expect_text("dengan kunci").await?;
    bob.wait_inbox(0, |item| item.is_receipt("read", &asked)).await?;

    // How far it got is told, and the program's and the phone's own messages are shown once.
    let number = posted["id"].clone();
    bob.read(&got.id).await?;
    chatwoot.until("read", |message| message["id"] == number && message["status"] == "read").await;
    let rest = moonwa.send_text("toko", bob.number(), "dari program").await?;
    ann.send_text(&bob, "dari ponsel").await?;
    let by_phone = chatwoot.expect("dari ponsel").await;
    let by_program = chatwoot.expect("dari program").await;
    for own in [&by_phone, &by_program] {
        assert_eq!(
            (&own["message_type"], &own["conversation_id"]),
            (&json!(1), &json!(conversation))
        );
        let told = chatwoot.posted("message_created", own["id"].as_u64().unwrap());
        assert!(chatwoot.post(&moonwa, &told).await?.expect(200).json()["ignored"].is_string());
    }
    moonwa.wait_status("toko", &rest, "delivered").await;
    chatwoot
        .until("delivered", |message| {
            message["id"] == by_program["id"] && message["status"] == "delivered"
        })
        .await;

    // What an agent deletes is taken back, once.
    let deleted = {
        let mut book = chatwoot.book();
        let message = book.messages.iter_mut().find(|message| message["id"] == number).unwrap();
        message["content_attributes"] = json!({"deleted": true});
        drop(book);
        chatwoot.posted("message_updated", number.as_u64().unwrap())
    };
    for _ in 0..2 {
        chatwoot.post(&moonwa, &deleted).await?.expect(200);
    }
    let taken_back = |message: &wa::Message| {
        let kind = message.protocol_message.as_option().and_then(|p| p.r#type);
        kind == Some(wa::message::protocol_message::Type::REVOKE)
    };
    let revokes = || {
        let inbox = bob.inbox();
        let messages = inbox.iter().filter_map(InboxItem::message);
        messages.filter(|message| taken_back(&message.message)).count()
    };
    eventually("it is taken back", || async { revokes() }, |count| *count > 0).await;
    bob.send_text(&ann, "terakhir").await?;
    chatwoot.expect("terakhir").await;
    assert_eq!(revokes(), 1);
    let words = ["*Selamat* datang", "dengan kunci", "dari program", "dari ponsel"];
    for text in words {
        assert_eq!(bob.inbox().iter().filter(|item| item.is_text(text)).count(), 1, "{text}");
    }
    assert!(!bob.inbox().iter().any(|item| item.is_text("catatan") || item.is_text("palsu")));
    let texts = chatwoot.texts();
    for text in ["halo", "dari program", "dari ponsel", "terakhir"] {
        assert_eq!(texts.iter().filter(|said| *said == text).count(), 1, "{text}: {texts:?}");
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_lost_at_any_step_doubles_nothing() -> Result<()> {
    let (_sim, ann, bob, chatwoot, moonwa) = scene(["628444000121", "628444000122"]).await?;
    chatwoot.book().lose.extend(["/contacts", "/conversations", "/messages"]);
    for n in 0..3 {
        bob.send_text(&ann, &format!("pesan {n}")).await?;
    }
    chatwoot.expect("pesan 2").await;
    assert_eq!(chatwoot.texts(), ["pesan 0", "pesan 1", "pesan 2"]);
    {
        let book = chatwoot.book();
        assert_eq!((book.contacts.len(), book.conversations.len()), (1, 1));
        assert!(book.lose.is_empty());
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn killed_at_every_step_it_says_each_message_once() -> Result<()> {
    let (_sim, ann, bob, chatwoot, mut moonwa) = scene(["628444000131", "628444000132"]).await?;
    let mut wanted = Vec::new();
    for (n, place) in ["chatwoot.begun", "chatwoot.made", "chatwoot.done", "post.delivered"]
        .into_iter()
        .enumerate()
    {
        // It has saved how far it got, and dies with a new message.
        report(&moonwa, "all is said", |report| report["backlog"] == 0).await;
        moonwa.signal(Signal::TERM)?;
        moonwa.wait_exit().await?;
        moonwa.set_env("MOONWA_FAILPOINT", Some(place));
        moonwa.relaunch().await?;
        for part in 0..3 {
            let text = format!("pesan {n}.{part}");
            bob.send_text(&ann, &text).await?;
            wanted.push(text);
        }
        moonwa.wait_exit().await?;
        moonwa.set_env("MOONWA_FAILPOINT", None);
        moonwa.relaunch().await?;
        chatwoot.expect(wanted.last().unwrap()).await;
        assert_eq!(chatwoot.texts(), wanted, "{place}");
    }
    assert_eq!(chatwoot.book().contacts.len(), 1);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_chatwoot_that_is_down_or_forgets_a_conversation_loses_nothing() -> Result<()> {
    let (_sim, ann, bob, chatwoot, moonwa) = scene(["628444000141", "628444000142"]).await?;
    bob.send_text(&ann, "sebelum").await?;
    chatwoot.expect("sebelum").await;
    chatwoot.book().down = Some(503);
    for n in 0..5 {
        bob.send_text(&ann, &format!("selama {n}")).await?;
    }
    report(&moonwa, "it fails", |report| report["last_status"] == 503).await;
    chatwoot.book().down = None;
    chatwoot.expect("selama 4").await;
    assert_eq!(
        chatwoot.texts(),
        ["sebelum", "selama 0", "selama 1", "selama 2", "selama 3", "selama 4"]
    );

    // Somebody deletes the conversation in Chatwoot, and the contact writes again.
    chatwoot.book().conversations.clear();
    bob.send_text(&ann, "sesudah").await?;
    let anew = chatwoot.expect("sesudah").await;
    {
        let book = chatwoot.book();
        assert_eq!((book.contacts.len(), book.conversations.len()), (1, 1));
        assert_eq!(anew["conversation_id"], book.conversations[0]["id"]);
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn guessing_an_inboxs_secret_is_slow_and_chatwoot_is_never_kept_waiting() -> Result<()> {
    let (_sim, ann, bob, chatwoot, moonwa) = scene(["628444000121", "628444000122"]).await?;
    bob.send_text(&ann, "halo").await?;
    let conversation = chatwoot.expect("halo").await["conversation_id"].as_u64().unwrap();
    let path = format!("/v1/devices/toko/chatwoot/{INBOX}");
    let posted = chatwoot.agent_writes(conversation, &json!({"content": "masih di sini"}));
    for n in 0..10 {
        moonwa.anyone().post(&format!("{path}?key=guess-{n}"), &posted).await?.expect(401);
    }
    let refused = moonwa.anyone().post(&format!("{path}?key=guess"), &posted).await?.expect(429);
    assert_eq!(refused.json()["code"], "too_many_attempts");
    assert!(refused.headers.contains_key("retry-after"));
    chatwoot.post(&moonwa, &posted).await?.expect(200);
    bob.expect_text("masih di sini").await?;
    moonwa.anyone().post(&format!("{path}?key={SECRET}"), &posted).await?.expect(200);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_token_is_said_and_nothing_is_lost_by_it() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628444000151", "Ann").await, sim.phone("628444000152", "Bob").await);
    let chatwoot = Chatwoot::start().await?;
    let wrong = chatwoot.webhook().replace(fake::TOKEN, "a-token-that-nobody-has");
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .env("MOONWA_RETRY_SCALE", "0.01")
        .config(&format!("{TABLE}webhooks = [{wrong}]\n"))
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "halo").await?;
    let failing = report(&moonwa, "it fails", |report| report["last_status"] == 401).await;
    let why = failing["last_error"].as_str().unwrap();
    assert!(why.contains("Chatwoot does not know the token"), "{why}");
    let test = moonwa.admin().post("/v1/devices/toko/webhooks/1/test", &Value::Null).await?;
    assert_eq!(test.expect(200).json()["status"], 401);

    let shown = moonwa.admin().get("/v1/config").await?.expect(200).text();
    assert!(!shown.contains("a-token-that-nobody-has") && shown.contains("\"inbox\":5"), "{shown}");
    moonwa.edit_config(|file| file.replace("a-token-that-nobody-has", fake::TOKEN))?;
    let reload = moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200).json();
    assert_ne!(reload["outcome"], "rejected", "{reload}");
    chatwoot.expect("halo").await;
    let test = moonwa.admin().post("/v1/devices/toko/webhooks/1/test", &Value::Null).await?;
    assert_eq!(test.expect(200).json()["class"], "delivered");
    assert_eq!(chatwoot.book().contacts.len(), 1, "a test makes nothing");
    moonwa.stop().await?;
    Ok(())
}

/// What an agent sends as a file is fetched from Chatwoot, under the rules of every URL.
#[tokio::test]
async fn files_of_agents_are_fetched_and_their_conversations_may_be_new() -> Result<()> {
    let (_sim, ann, bob, chatwoot, moonwa) = scene(["628444000161", "628444000162"]).await?;
    bob.send_text(&ann, "halo").await?;
    let conversation = chatwoot.expect("halo").await["conversation_id"].as_u64().unwrap();
    let attachments = json!([{"file_type": "file", "data_url": "http://169.254.169.254/x.pdf"}]);
    let posted = chatwoot
        .agent_writes(conversation, &json!({"content": "nota", "attachments": attachments}));
    chatwoot.post(&moonwa, &posted).await?.expect(200);
    let failed =
        chatwoot.until("failed", |m| m["id"] == posted["id"] && m["status"] == "failed").await;
    assert!(failed["content_attributes"]["external_error"].is_string(), "{failed}");

    // A conversation that an agent begins is where the contact's answers go.
    let begun = {
        let mut book = chatwoot.book();
        let mut begun = book.conversations[0].clone();
        begun["id"] = json!(900);
        book.conversations.push(begun);
        drop(book);
        chatwoot.agent_writes(900, &json!({"content": "ada promo"}))
    };
    chatwoot.post(&moonwa, &begun).await?.expect(200);
    bob.expect_text("ada promo").await?;
    bob.send_text(&ann, "mau").await?;
    assert_eq!(chatwoot.expect("mau").await["conversation_id"], 900);
    let typing = json!({"event": "conversation_typing_on", "conversation": {"id": 900, "inbox_id": INBOX}, "is_private": false});
    assert_eq!(chatwoot.post(&moonwa, &typing).await?.expect(200).json(), json!({"typing": true}));
    let nothing = moonwa
        .anyone()
        .request(Method::POST, "/v1/devices/toko/chatwoot/5")
        .body(Full::default())?;
    moonwa.anyone().send(nothing).await?.expect(401);
    tokio::time::timeout(Duration::from_secs(60), moonwa.stop()).await??;
    Ok(())
}
