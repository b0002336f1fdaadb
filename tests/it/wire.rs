//! What WhatsApp, the phone's owner and the contacts notice of a gateway: the real binary, judged by what was on the wire.

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver};
use moonwa_simulator::{Entry, Fault, Phone, Simulator};
use serde_json::{Value, json};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

#[tokio::test]
async fn the_phone_goes_on_ringing() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000901", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;

    moonwa.link("toko", &ann).await?;
    ann.expect_presence(0, "unavailable").await?;

    let (before, since) = (ann.presences().len(), sim.cursor());
    moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
    ann.expect_login(since).await?;
    moonwa.wait_state("toko", "connected").await;
    ann.expect_presence(before + 1, "unavailable").await?;

    let before = ann.presences().len();
    ann.rename("Ann of the shop")?;
    ann.expect_presence(before + 1, "unavailable").await?;

    // Whoever wants it otherwise says so in the file, and is heard at once.
    let change = json!({ "presence": "available" });
    let before = ann.presences().len();
    moonwa.admin().put("/v1/devices/toko", None, &change).await?.expect(200);
    ann.expect_presence(before, "available").await?;
    let (before, since) = (ann.presences().len(), sim.cursor());
    moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
    ann.expect_login(since).await?;
    ann.expect_presence(before, "available").await?;
    let before = ann.presences().len();
    moonwa.edit_config(|text| {
        text.replace("presence = \"available\"", "presence = \"unavailable\"")
    })?;
    ann.expect_presence(before, "unavailable").await?;
    let read =
        |entry: &Entry| entry.is_in("receipt") && entry.attr("type").as_deref() == Some("read");
    assert!(!sim.journal().iter().any(read), "nothing was read");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_device_says_of_itself_what_whatsapp_web_says() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000902", "Ann").await;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let shown = |phone: &Phone| {
        let device = phone.devices().pop().expect("a linked device");
        (device.platform, device.version, device.full_sync)
    };
    assert_eq!(shown(&ann), ("Linux Some(CHROME)".to_owned(), "0.0.0".to_owned(), false));

    // Another name is taken from the next linking on, by a code too.
    let change = json!({ "shown_as": "Safari (Mac OS)" });
    moonwa.admin().put("/v1/devices/toko", None, &change).await?.expect(200);
    moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    moonwa.wait_state("toko", "logged_out").await;
    let body = json!({ "phone": ann.number() });
    moonwa.admin().post("/v1/devices/toko/pair-code", &body).await?.expect(202);
    let code = |device: &Value| device["linking"]["pair_code"].is_string();
    let linking = moonwa.wait_device("toko", "a pair code", code).await;
    let code = linking["linking"]["pair_code"].as_str().unwrap_or_default();
    let asked = sim.journal();
    let asked = asked.iter().rev().find(|entry| entry.text.contains("companion_platform_display"));
    assert!(asked.expect("the request for a code").text.contains("Safari (Mac OS)"), "{asked:?}");
    ann.enter_code(code).await?;
    moonwa.wait_state("toko", "connected").await;
    assert_eq!(shown(&ann), ("Mac OS Some(SAFARI)".to_owned(), "10.15.7".to_owned(), false));
    // The simulator also minds what is absent.
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

/// How often the directory was asked who is on WhatsApp, and about how many numbers.
fn lookups(sim: &Simulator, after: u64) -> (usize, usize) {
    let journal = sim.journal();
    let asked =
        |entry: &&Entry| entry.seq > after && entry.is_in("iq") && entry.text.contains("<contact>");
    let numbers = journal.iter().filter(asked).map(|entry| entry.text.matches("<user>").count());
    (numbers.clone().count(), numbers.sum())
}

#[tokio::test]
async fn a_number_is_looked_up_once_and_many_go_in_one_question() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000903", "Ann").await;
    let mut people = Vec::new();
    for n in 0..8 {
        people.push(sim.phone(&format!("62811100092{n}"), "Bob").await);
    }
    let mut moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let before = sim.cursor();
    let (key, text) = (moonwa.key_of("toko"), json!({ "text": "halo" }));
    // Queued while nobody can be asked: how fast they are queued does not matter then.
    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    moonwa.wait_state("toko", "reconnecting").await;
    for bob in &people {
        let body = json!({ "to": bob.number(), "text": text["text"] });
        key.post("/v1/devices/toko/messages", &body).await?.expect(202);
    }
    sim.refuse_connections(false);
    for bob in &people {
        bob.expect_text("halo").await?;
    }
    let (questions, numbers) = lookups(&sim, before);
    assert_eq!(numbers, people.len(), "each number once\n{questions} questions");
    assert!(questions <= 4, "{questions} questions for {numbers} numbers");

    // Known ones are asked for no more, through /api, after a restart and by whoever looks a contact up.
    moonwa.restart().await?;
    moonwa.wait_state("toko", "connected").await;
    let before = sim.cursor();
    for (n, bob) in people.iter().cycle().take(20).enumerate() {
        let api_key = moonwa_simulator::harness::api_key("toko");
        let message = format!("again {n}");
        let body =
            json!({ "api_key": api_key, "receiver": bob.number(), "data": { "message": message } });
        let answer = moonwa.anyone().post("/api/send-message", &body).await?.expect(200).json();
        assert_eq!(answer["data"]["canonical"], Value::Null, "{answer}");
        bob.expect_text(&message).await?;
        moonwa
            .admin()
            .get(&format!("/v1/devices/toko/contacts/{}", bob.number()))
            .await?
            .expect(200);
    }
    assert_eq!(lookups(&sim, before), (0, 0));

    // What WhatsApp refused is looked up anew.
    sim.fault(&ann, Fault::Nack(404));
    let id = moonwa.send_text("toko", people[0].number(), "refused").await?;
    moonwa.wait_status("toko", &id, "failed").await;
    moonwa.send_text("toko", people[0].number(), "anew").await?;
    people[0].expect_text("anew").await?;
    assert_eq!(lookups(&sim, before), (1, 1));
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_number_that_whatsapp_knows_in_another_form_is_named_in_both() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000904", "Ann").await;
    let (bia, bob) =
        (sim.phone("551187654321", "Bia").await, sim.phone("628111000905", "Bob").await);
    bia.also_found_as("5511987654321");
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let mut ids = Vec::new();
    for to in ["5511987654321", bob.number()] {
        ids.push(moonwa.send_text("toko", to, "oi").await?);
    }
    bia.expect_text("oi").await?;
    bob.expect_text("oi").await?;
    let shown = moonwa.wait_status("toko", &ids[0], "delivered").await;
    assert_eq!(shown["to"], "5511987654321@s.whatsapp.net");
    assert_eq!(shown["canonical"], bia.jid());
    let body = json!({
        "api_key": moonwa_simulator::harness::api_key("toko"),
        "receiver": "5511987654321", "data": { "message": "de novo" },
    });
    let answer = moonwa.anyone().post("/api/send-message", &body).await?.expect(200).json();
    assert_eq!(answer["data"]["to"], "5511987654321@s.whatsapp.net");
    assert_eq!(answer["data"]["canonical"], bia.jid());
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_directory_that_refuses_is_left_alone_and_no_message_fails() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000906", "Ann").await, sim.phone("628111000907", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;

    // No row means nothing: the number is looked up again.
    sim.fault(&ann, Fault::DirectoryEmpty);
    moonwa.send_text("toko", bob.number(), "first").await?;
    bob.expect_text("first").await?;

    sim.fault_times(&ann, Fault::Directory(429, Some(45)), 9);
    let before = sim.cursor();
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(moonwa.send_text("toko", &format!("62811100093{n}"), "wait").await?);
    }
    let refused = |entry: &Entry| entry.is_out("iq") && entry.text.contains("rate-overlimit");
    sim.wait_journal(before, refused).await?;
    // A contact is told how long it will take; whoever is known is written to meanwhile.
    let asked = moonwa.admin().get("/v1/devices/toko/contacts/6281110009399").await?.expect(429);
    let wait: u64 = asked.headers["retry-after"].to_str()?.parse()?;
    assert!((31..=45).contains(&wait), "{wait} seconds");
    moonwa.send_text("toko", bob.number(), "second").await?;
    bob.expect_text("second").await?;
    for id in &ids {
        let message = moonwa.admin().get(&format!("/v1/devices/toko/messages/{id}")).await?;
        assert_eq!(message.expect(200).json()["status"], "queued");
    }
    let (questions, _) = lookups(&sim, before);
    assert!(questions <= 2, "{questions} questions");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_thousand_messages_to_known_numbers_ask_nothing_not_even_of_a_directory_that_refuses()
-> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000910", "Ann").await;
    let mut people = Vec::new();
    for n in 10..60 {
        people.push(sim.phone(&format!("6281110094{n}"), "Bob").await);
    }
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    for bob in &people {
        moonwa.send_text("toko", bob.number(), "first").await?;
    }
    for bob in &people {
        bob.expect_text("first").await?;
    }
    let before = sim.cursor();
    let mut ids = Vec::new();
    for round in 0..20 {
        if round == 10 {
            sim.fault_times(&ann, Fault::Directory(429, Some(45)), 9);
        }
        for bob in &people {
            ids.push(moonwa.send_text("toko", bob.number(), &format!("round {round}")).await?);
        }
    }
    for round in 0..20 {
        for bob in &people {
            bob.expect_text(&format!("round {round}")).await?;
        }
    }
    for id in &ids {
        moonwa.wait_status("toko", id, "delivered").await;
    }
    let (questions, _) = lookups(&sim, before);
    assert!(questions <= 1, "{questions} questions");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_told() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000908", "Ann").await, sim.phone("628111000909", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let events = format!(
        "[device.toko]\nwebhooks = [{{ url = {:?}, events = [\"message.*\"] }}]\n",
        hook.url()
    );
    let moonwa = gateway(&sim).config(&events).start().await?;
    moonwa.link("toko", &ann).await?;

    // Sent anew by the sender's phone it can be read, under the same id.
    sim.fault(&ann, Fault::Undecryptable);
    let id = bob.send_text(&ann, "garbled").await?;
    let told = |kind: &'static str, id: String| {
        hook.expect("an event", move |got| {
            let event = got.json();
            event["type"] == kind && event["data"]["id"] == id.as_str()
        })
    };
    let unread = told("message.undecryptable", id.clone()).await.json();
    assert_eq!(unread["data"]["why"], "decryption_failed", "{unread}");
    assert_eq!(unread["data"]["chat"], bob.jid(), "{unread}");
    assert_eq!(unread["data"]["from"]["phone"], bob.number(), "{unread}");
    let read = told("message.received", id).await.json();
    assert_eq!(read["data"]["text"], "garbled");
    assert_eq!(read["data"]["from"], unread["data"]["from"], "the same person");

    for (fault, why) in
        [(Fault::UnknownEncryption, "unknown_encryption"), (Fault::EmptyEncryption, "malformed")]
    {
        sim.fault(&ann, fault);
        let id = bob.send_text(&ann, "lost").await?;
        let unread = told("message.undecryptable", id).await.json();
        assert_eq!(unread["data"]["why"], why, "{unread}");
        assert_eq!(unread["data"]["from"], read["data"]["from"], "{unread}");
        assert_eq!(unread["data"]["chat"], bob.jid(), "{unread}");
        assert_eq!(unread["data"]["group"], Value::Null, "{unread}");
    }
    ann.expect_confirmed().await?;
    let metrics = moonwa.admin().get("/metrics").await?.expect(200).text();
    for why in ["decryption_failed", "unknown_encryption", "malformed"] {
        let line =
            format!("moonwa_messages_undecryptable_total{{device=\"toko\",why=\"{why}\"}} 1");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_version_is_tried_anew_once_and_refusals_are_respected() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000910", "Ann").await;
    let version = "whatsapp_version = \"2.3000.1055555555\"\n";
    let mut moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.edit_config(|text| format!("{version}{text}"))?;
    moonwa.restart().await?;
    moonwa.link("toko", &ann).await?;
    let claimed = |entry: &Entry| entry.tag == "version" && entry.text == "2.3000.1055555555";
    sim.wait_journal(0, claimed).await?;

    sim.fault(&ann, Fault::LoginFailure(405));
    let before = sim.cursor();
    sim.drop_connections(ann.number());
    ann.expect_login(before).await?;
    moonwa.wait_state("toko", "connected").await;

    // Who is told to stay away does not come back at once.
    for code in ["429", "400", "409", "413", "418", "501"] {
        sim.fault(&ann, Fault::LoginFailure(code.parse()?));
        moonwa.admin().post("/v1/devices/toko/reconnect", &Value::Null).await?.expect(202);
        let away = |device: &Value| {
            device["state"] == "reconnecting"
                && device["detail"] == code
                && device["retry_at"].is_string()
        };
        moonwa.wait_device("toko", code, away).await;
    }
    moonwa.stop().await?;
    Ok(())
}
