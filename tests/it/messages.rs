//! Messages in to the webhook and out to the phone, across restarts and broken connections: the real binary against the
//! simulated WhatsApp.

use anyhow::Result;
use moonwa_simulator::harness::{Answer, Moonwa, MoonwaBuilder, WebhookReceiver, eventually};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

/// A JPEG's first bytes with the dimensions 3 × 2, and a tail that makes it long enough to be split.
fn jpeg(length: usize) -> Vec<u8> {
    let mut bytes = vec![
        0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0,
        0, //
        0xff, 0xc0, 0, 11, 8, 0, 2, 0, 3, 1, 1, 0x11, 0,
    ];
    bytes.extend((0..length).map(|n| u8::try_from(n % 251).unwrap_or_default()));
    bytes.extend([0xff, 0xd9]);
    bytes
}

#[tokio::test]
async fn text_in_reaches_the_webhook() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000111", "Ann").await, sim.phone("628222000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;

    let id = bob.send_text(&ann, "halo, apa kabar?").await?;
    let post = hook.expect_text("halo, apa kabar?").await;
    let body = post.json();
    assert_eq!(body["type"], "message.received");
    assert_eq!(body["device"], "toko");
    assert_eq!(body["id"], post.id());
    assert!(post.id().starts_with("evt_"), "{}", post.id());
    let data = &body["data"];
    assert_eq!(
        (&data["id"], &data["kind"], &data["from_me"]),
        (&json!(id), &json!("text"), &json!(false))
    );
    assert_eq!(
        data["from"]["phone"],
        bob.number(),
        "the number is there, however the chat is addressed"
    );
    assert_eq!(data["from"]["lid"], bob.lid().trim_end_matches("@lid"));
    assert_eq!(data["from"]["name"], "Bob");
    assert_eq!(data["group"], Value::Null);
    assert!(!moonwa.log().contains("apa kabar"), "message text never reaches the log");
    assert!(!moonwa.log().contains(bob.number()), "numbers are masked");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn text_out_is_decrypted_by_the_contact_and_its_status_goes_to_read() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000113", "Ann").await, sim.phone("628222000114", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;

    let id = moonwa.send_text("toko", bob.number(), "siap, kak").await?;
    let got = bob.expect_text("siap, kak").await?;
    assert_eq!(got.id, id, "the id was chosen before the 202");
    moonwa.wait_status("toko", &id, "delivered").await;
    bob.read(&id).await?;
    let read = moonwa.wait_status("toko", &id, "read").await;
    assert_eq!(read["to"], bob.jid());

    let face = json!({"api_key": "key-of-toko-0123456789abcdef", "receiver": bob.number(), "data": {"message": "lewat api"}});
    let answer = moonwa.anyone().post("/api/send-message", &face).await?.expect(200).json();
    assert_eq!((&answer["status"], &answer["message"]), (&json!(true), &json!("Message sent.")));
    assert_eq!(bob.expect_text("lewat api").await?.id, answer["data"]["id"]);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn refused_by_the_server_a_message_says_why() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000115", "Ann").await, sim.phone("628222000116", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;

    // It asks whether the account is locked, and the refusal is answer enough when none comes.
    sim.fault(&ann, Fault::IqError("w:mex".to_owned(), 503));
    sim.fault(&ann, Fault::Nack(463));
    let id = moonwa.send_text("toko", bob.number(), "first contact").await?;
    let failed = moonwa.wait_status("toko", &id, "failed").await;
    assert_eq!(failed["code"], "463");
    let locked = moonwa.wait_state("toko", "degraded").await;
    assert_eq!((&locked["reason"], &locked["until"]), (&json!("sending_locked"), &Value::Null));

    let path = "/v1/devices/toko/messages";
    let body = json!({"to": bob.number(), "text": "again"});
    let refused = moonwa.key_of("toko").post(path, &body).await?.expect(409);
    assert_eq!(refused.json()["code"], "sending_locked");
    assert!(refused.headers.contains_key("retry-after"));
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_group_is_heard_and_answered() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob, cid) = (
        sim.phone("628222000117", "Ann").await,
        sim.phone("628222000118", "Bob").await,
        sim.phone("628222000119", "Cid").await,
    );
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    let group = sim.group("Tim Toko", &[&bob, &ann, &cid]).await?;

    bob.send_text(&group, "rapat jam tiga").await?;
    let data = hook.expect_text("rapat jam tiga").await.json()["data"].clone();
    assert_eq!(data["group"], group.jid());
    assert_eq!(data["chat"], group.jid());
    assert_eq!(data["from"]["phone"], bob.number());

    let id = moonwa.send_text("toko", &group.jid(), "baik").await?;
    assert_eq!(bob.expect_text("baik").await?.id, id);
    assert_eq!(cid.expect_text("baik").await?.id, id);
    bob.send_text(&group, "terima kasih").await?;
    hook.expect_text("terima kasih").await;
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn pictures_go_both_ways_through_the_media_host() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000120", "Ann").await, sim.phone("628222000121", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let files = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim)
        .config("\n[media]\nallow_nets = [\"127.0.0.0/8\"]\n")
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;

    let picture = jpeg(40_000);
    bob.send_image(&ann, &picture, Some("katalog")).await?;
    let data = hook.expect_text("katalog").await.json()["data"].clone();
    assert_eq!((&data["kind"], &data["media"]["mime"]), (&json!("image"), &json!("image/jpeg")));
    assert_eq!(data["media"]["size"], picture.len());
    let url = data["media"]["url"].as_str().unwrap_or_default().to_owned();
    moonwa.anyone().get(&url).await?.expect(401);
    assert_eq!(moonwa.key_of("toko").get(&url).await?.expect(200).body, picture);

    // The receiver doubles as a file host: its answer is text, which a document may be.
    let text = "nota pembelian nomor tujuh belas";
    files.otherwise(Some(Answer::body(text)));
    let body = json!({"to": bob.number(), "document": {"url": format!("http://{}/nota.txt", files.address()), "caption": "nota"}});
    let sent =
        moonwa.key_of("toko").post("/v1/devices/toko/messages", &body).await?.expect(202).json();
    let id = sent["id"].as_str().unwrap_or_default();
    moonwa.wait_status("toko", id, "delivered").await;
    let got =
        bob.wait_inbox(0, |item| item.message().is_some_and(|message| message.id == id)).await?;
    let got = got.message().cloned().unwrap_or_else(|| unreachable!("the condition says so"));
    assert_eq!(bob.media(&got.message)?, text.as_bytes());
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_restart_keeps_the_link_and_delivers_what_arrived_meanwhile() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000122", "Ann").await, sim.phone("628222000123", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "before").await?;
    hook.expect_text("before").await;

    moonwa.signal(rustix::process::Signal::TERM)?;
    assert!(moonwa.wait_exit().await?.success());
    let texts: Vec<String> = (1..=20).map(|n| format!("meanwhile {n}")).collect();
    for text in &texts {
        bob.send_text(&ann, text).await?;
    }
    let before = sim.cursor();
    moonwa.relaunch().await?;
    hook.expect_text("meanwhile 20").await;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "after").await?;
    hook.expect_text("after").await;

    let mut expected = vec!["before".to_owned()];
    expected.extend(texts);
    expected.push("after".to_owned());
    assert_eq!(hook.taken_texts(), expected, "once each, in order");
    let qr = sim
        .journal()
        .into_iter()
        .filter(|entry| entry.seq > before)
        .any(|entry| entry.text.contains("pair-device"));
    assert!(!qr, "a linked device never asks for a QR");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn bursts_of_five_hundred_arrive_in_order() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000132", "Ann").await, sim.phone("628222000133", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    let texts = |when: &str| (1..=500).map(|n| format!("{when} {n}")).collect::<Vec<_>>();
    let (live, offline) = (texts("live"), texts("offline"));
    for text in &live {
        bob.send_text(&ann, text).await?;
    }
    hook.expect_count(500).await;
    moonwa.signal(rustix::process::Signal::TERM)?;
    assert!(moonwa.wait_exit().await?.success());
    for text in &offline {
        bob.send_text(&ann, text).await?;
    }
    moonwa.relaunch().await?;
    hook.expect_count(1000).await;
    assert_eq!(hook.taken_texts(), [live, offline].concat(), "once each, in order");
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn while_whatsapp_is_unreachable_a_linked_device_reconnects_and_asks_for_no_qr() -> Result<()>
{
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000124", "Ann").await, sim.phone("628222000125", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let mut moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    moonwa.signal(rustix::process::Signal::TERM)?;
    moonwa.wait_exit().await?;

    sim.refuse_connections(true);
    moonwa.relaunch().await?;
    let down = moonwa
        .wait_device("toko", "a failed try", |device| {
            device["state"] == "reconnecting"
                && device["attempt"].as_u64().is_some_and(|attempt| attempt >= 1)
        })
        .await;
    assert_eq!(down["status"], "DISCONNECTED");
    assert!(down["retry_at"].is_string(), "the next try's time is told: {down}");
    assert_eq!(down["phone"], ann.number(), "it knows whose it is");
    moonwa.admin().get("/v1/devices/toko/qr").await?.expect(404);

    let id = moonwa.send_text("toko", bob.number(), "queued meanwhile").await?;
    sim.refuse_connections(false);
    moonwa.wait_state("toko", "connected").await;
    assert_eq!(bob.expect_text("queued meanwhile").await?.id, id);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_cut_socket_heals_by_itself() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000126", "Ann").await, sim.phone("628222000127", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;

    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    moonwa.wait_state("toko", "reconnecting").await;
    bob.send_text(&ann, "while it was down").await?;
    sim.refuse_connections(false);
    moonwa.wait_state("toko", "connected").await;
    hook.expect_text("while it was down").await;
    assert_eq!(hook.taken_texts(), ["while it was down"]);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_in_flight_twice_is_delivered_once() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000128", "Ann").await, sim.phone("628222000129", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    sim.fault(&ann, Fault::Duplicate);
    bob.send_text(&ann, "twice").await?;
    hook.expect_text("twice").await;
    bob.send_text(&ann, "and then").await?;
    hook.expect_text("and then").await;
    assert_eq!(hook.taken_texts(), ["twice", "and then"]);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_failing_receiver_is_tried_again_in_order() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000130", "Ann").await, sim.phone("628222000131", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim)
        .env("MOONWA_RETRY_SCALE", "0.01")
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    hook.otherwise(Some(Answer::status(503)));
    for text in ["one", "two", "three"] {
        bob.send_text(&ann, text).await?;
    }
    let look = || async { moonwa.command(&["status"]).await.unwrap_or_default().1 };
    // With the news that Bob's number and LID are one person it is four, if that came after the first message.
    // All three may wait before the receiver has answered the first.
    let all = |text: &String| {
        ["backlog 3", "backlog 4"].iter().any(|n| text.contains(n))
            && text.contains(", failing since 20")
    };
    let status = eventually("a backlog of all three, failing", look, all).await;
    assert!(status.contains(": the receiver answered 503"), "{status}");
    let told = moonwa.device("toko").await?["webhooks"][0].clone();
    assert_eq!((&told["last_code"], &told["last_status"]), (&json!("endpoint"), &json!(503)));
    hook.expect_count(3).await;
    hook.otherwise(None);
    hook.expect_text("three").await;
    assert_eq!(hook.taken_texts(), ["one", "two", "three"]);
    let ids: Vec<String> =
        hook.deliveries().iter().take(3).map(moonwa_simulator::harness::Delivery::id).collect();
    assert_eq!(
        ids,
        [ids[0].clone(), ids[0].clone(), ids[0].clone()],
        "the same webhook-id on every attempt"
    );
    let look = || async {
        moonwa.device("toko").await.map(|device| device["webhooks"][0].clone()).unwrap_or_default()
    };
    eventually("an empty backlog", look, |hook| {
        hook["backlog"] == 0 && hook["failing_since"].is_null() && hook["last_code"].is_null()
    })
    .await;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_moved_is_not_followed_and_its_new_place_is_said() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000141", "Ann").await, sim.phone("628222000142", "Bob").await);
    let (old, new) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let moved = format!("{}?key=secret", new.url());
    let moonwa = gateway(&sim)
        .env("MOONWA_RETRY_SCALE", "0.01")
        .device("toko", &[old.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let answer = |status| old.otherwise(Some(Answer::status(status).header("location", &moved)));
    answer(301);
    bob.send_text(&ann, "where are you?").await?;
    for status in [301, 307, 308] {
        answer(status);
        let answered = format!("answered {status}: it has moved to");
        let device = moonwa
            .wait_device("toko", "the new place", |device| {
                device["webhooks"][0]["last_error"]
                    .as_str()
                    .is_some_and(|error| error.contains(&answered))
            })
            .await;
        let error = device["webhooks"][0]["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(&new.url()) && !error.contains("secret"), "{error}");
        assert!(error.contains("write that URL into moonwa.toml"), "{error}");
    }
    assert_eq!(new.count(), 0, "nobody gets events whom the file does not name");
    moonwa.stop().await?;
    Ok(())
}
