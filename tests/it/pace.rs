//! The pace of a device: how far apart messages leave, what a first contact is, when nothing leaves at all, and what
//! those who wait for it are told.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use moonwa::facade::model::UnixMillis;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, api_key, eventually};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/devices/toko/messages";

/// A gateway with a device of that pace.
fn paced(sim: &Simulator, pace: &str) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(sim)
        .env("TZ", "UTC")
        .config(&format!("\n[device.toko]\napi_key = {:?}\npace = {pace}\n", api_key("toko")))
}

fn set_pace(moonwa: &Moonwa, pace: &str) -> Result<()> {
    moonwa.edit_config(|text| {
        let (before, rest) = text.split_once("pace = ").unwrap_or_default();
        let (_, after) = rest.split_once('\n').unwrap_or_default();
        format!("{before}pace = {pace}\n{after}")
    })
}

/// The message, once it waits for that.
async fn held(moonwa: &Moonwa, id: &str, waits_for: &str) -> Value {
    let path = format!("{MESSAGES}/{id}");
    let look = || async {
        let reply = moonwa.admin().get(&path).await;
        reply.map_or(Value::Null, |reply| reply.json())
    };
    let message = eventually(waits_for, look, |message| message["waits_for"] == waits_for).await;
    assert_eq!(message["status"], "queued", "{message}");
    message
}

/// How long from now a message waits at least.
fn wait_of(message: &Value) -> Duration {
    let not_before = message["not_before"].as_str().and_then(UnixMillis::parse);
    not_before.unwrap_or_default().since(UnixMillis::now())
}

/// When each message came to WhatsApp, with its id.
fn written(sim: &Simulator) -> Vec<(String, Instant)> {
    let all = sim.journal();
    let messages = all.iter().filter(|entry| entry.is_in("message"));
    messages.filter_map(|entry| Some((entry.attr("id")?, entry.at))).collect()
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn messages_leave_apart_and_each_knows_when() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000401", "Ann").await;
    let bob = sim.phone("628111000402", "Bob").await;
    let cid = sim.phone("628111000403", "Cid").await;
    // At least a second apart where they arrive, though the simulator may read one late.
    let moonwa = paced(&sim, "{ gap = \"1500ms..2s\" }").start().await?;
    moonwa.link("toko", &ann).await?;
    let mut ids = Vec::new();
    for (n, phone) in [&bob, &cid, &bob, &cid].into_iter().enumerate() {
        ids.push(moonwa.send_text("toko", phone.number(), &format!("pelan {n}")).await?);
    }
    let last = held(&moonwa, &ids[3], "pace").await;
    assert!(wait_of(&last) < Duration::from_secs(8), "{last}");
    for id in &ids {
        moonwa.wait_status("toko", id, "delivered").await;
    }
    let wire = written(&sim);
    let order: Vec<&String> = wire.iter().map(|(id, _)| id).collect();
    assert_eq!(order, ids.iter().collect::<Vec<_>>(), "in the order in which they were queued");
    for pair in wire.windows(2) {
        assert!(pair[1].1 - pair[0].1 >= Duration::from_secs(1), "{wire:?}");
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn no_restart_and_no_crash_gives_a_fresh_allowance_and_a_new_pace_counts_at_once()
-> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000404", "Ann").await;
    let bob = sim.phone("628111000405", "Bob").await;
    let mut moonwa = paced(&sim, "\"2/h\"").start().await?;
    moonwa.link("toko", &ann).await?;
    let first = moonwa.send_text("toko", bob.number(), "satu").await?;
    moonwa.wait_status("toko", &first, "delivered").await;
    let second = moonwa.send_text("toko", bob.number(), "dua").await?;
    let half = Duration::from_mins(30);
    for kill in [false, true] {
        let wait = wait_of(&held(&moonwa, &second, "pace").await);
        assert!(wait > half / 2 && wait <= half + half / 5, "{wait:?}");
        if kill {
            moonwa.kill().await?;
            moonwa.relaunch().await?;
        } else {
            moonwa.restart().await?;
        }
        moonwa.wait_state("toko", "connected").await;
    }
    held(&moonwa, &second, "pace").await;
    assert_eq!(written(&sim).len(), 1);

    // The day has one, and then two.
    set_pace(&moonwa, "{ per_day = 1 }")?;
    let look = || async { wait_of(&held(&moonwa, &second, "pace").await) };
    let wait = eventually("the other pace", look, |wait| *wait > HOUR).await;
    assert!(wait + HOUR > DAY && wait <= DAY + Duration::from_mins(15), "{wait:?}");
    set_pace(&moonwa, "{ per_day = 2 }")?;
    let message = moonwa.wait_status("toko", &second, "delivered").await;
    assert!(message["waits_for"].is_null(), "{message}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn first_contacts_count_apart_and_whoever_writes_is_none() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000406", "Ann").await;
    let bob = sim.phone("628111000407", "Bob").await;
    let cid = sim.phone("628111000408", "Cid").await;
    let dia = sim.phone("628111000409", "Dia").await;
    let mut moonwa = paced(&sim, "{ new_chats_per_day = 1 }").start().await?;
    moonwa.link("toko", &ann).await?;
    dia.send_text(&ann, "halo, toko").await?;
    eventually(
        "the message",
        || async { moonwa.device("toko").await.unwrap_or_default() },
        |device| device["last_in"].is_string(),
    )
    .await;
    // Two to the same stranger are one first contact.
    let mut both = Vec::new();
    for text in ["salam kenal", "ini toko"] {
        both.push(moonwa.send_text("toko", bob.number(), text).await?);
    }
    for id in &both {
        moonwa.wait_status("toko", id, "delivered").await;
    }
    let stranger = moonwa.send_text("toko", cid.number(), "salam kenal, Cid").await?;
    let wait = wait_of(&held(&moonwa, &stranger, "pace").await);
    assert!(wait + HOUR > DAY && wait <= DAY + Duration::from_mins(15), "{wait:?}");
    // Who wrote to us is answered, and nobody waits behind the stranger.
    let answer = moonwa.send_text("toko", dia.number(), "ya, Dia?").await?;
    moonwa.wait_status("toko", &answer, "delivered").await;
    moonwa.restart().await?;
    moonwa.wait_state("toko", "connected").await;
    held(&moonwa, &stranger, "pace").await;
    cid.send_text(&ann, "siapa ini?").await?;
    moonwa.wait_status("toko", &stranger, "delivered").await;
    assert_eq!(written(&sim).len(), 4);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

/// Hours of the day around now, as a pace writes them.
fn hours(before: u64, after: u64) -> String {
    let now = UnixMillis::now().secs() / 60;
    let time = |minutes: u64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    format!("{{ quiet = \"{}-{}\" }}", time(now - before), time(now + after))
}

#[tokio::test]
async fn nothing_leaves_in_the_quiet_hours_and_everybody_is_told() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000410", "Ann").await;
    let bob = sim.phone("628111000411", "Bob").await;
    let moonwa = paced(&sim, &hours(60, 120)).start().await?;
    moonwa.link("toko", &ann).await?;
    let id = moonwa.send_text("toko", bob.number(), "malam").await?;
    let message = held(&moonwa, &id, "quiet").await;
    let wait = wait_of(&message);
    assert!(wait > HOUR && wait <= 2 * HOUR, "{wait:?}");
    let waiting = json!({ "to": bob.number(), "text": "malam juga" });
    let answer =
        moonwa.admin().post(&format!("{MESSAGES}?wait=1s"), &waiting).await?.expect(202).json();
    assert_eq!((&answer["status"], &answer["waits_for"]), (&json!("queued"), &json!("quiet")));
    assert!(answer["not_before"].is_string(), "{answer}");

    // `/api` says at once that it does not go, and it does not.
    let body = json!({ "api_key": api_key("toko"), "receiver": bob.number(), "data": { "message": "tidur?" } });
    let refusal = moonwa.anyone().post("/api/send-message", &body).await?.expect(400).json();
    assert_eq!(refusal["error"], "quiet", "{refusal}");
    assert!(written(&sim).is_empty());

    set_pace(&moonwa, &hours(120, 0).replace("quiet = ", "gap = \"1ms\", quiet = "))?;
    moonwa.wait_status("toko", &id, "delivered").await;
    let texts = || async {
        bob.inbox().iter().filter_map(|item| item.message()?.text.clone()).collect::<Vec<_>>()
    };
    let texts = eventually("both", texts, |texts| texts.len() == 2).await;
    assert_eq!(texts, ["malam", "malam juga"]);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn typing_is_shown_before_a_text_and_nobody_becomes_available() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000412", "Ann").await;
    let bob = sim.phone("628111000413", "Bob").await;
    let moonwa = paced(&sim, "{ typing = true }").start().await?;
    moonwa.link("toko", &ann).await?;
    let text = "Pesanan sudah dikirim.";
    let id = moonwa.send_text("toko", bob.number(), text).await?;
    moonwa.wait_status("toko", &id, "delivered").await;
    let all = sim.journal();
    let typed = all.iter().find(|entry| entry.is_in("chatstate")).context("no typing")?;
    let sent = all.iter().find(|entry| entry.is_in("message")).context("no message")?;
    assert!(typed.text.contains("composing"), "{}", typed.text);
    // A second and 50 ms for each letter; the simulator may have read the first of the two late.
    let (shown, late) = (sent.at - typed.at, Duration::from_millis(500));
    assert!(shown + late >= Duration::from_millis(1000 + 50 * text.len() as u64), "{shown:?}");
    assert_eq!(ann.presences().last().map(String::as_str), Some("unavailable"));
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn too_many_strangers_are_advised_against() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000414", "Ann").await;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let mut strangers = Vec::new();
    for n in 0..51 {
        let number = format!("6281110005{n:02}");
        strangers.push(sim.phone(&number, "Stranger").await);
        if n == 50 {
            assert!(moonwa.device("toko").await?["advice"].is_null());
        }
        let id = moonwa.send_text("toko", &number, "promo!").await?;
        moonwa.wait_status("toko", &id, "delivered").await;
    }
    let device = moonwa.device("toko").await?;
    let advice = device["advice"].as_str().unwrap_or_default();
    assert!(advice.contains("51 people") && advice.contains("new_chats_per_day = 50"), "{device}");
    let (code, said) = moonwa.command(&["doctor"]).await?;
    assert!(code != 0 && said.contains("LOOK toko: 51 people"), "{said}");
    moonwa.stop().await?;
    Ok(())
}

/// The English name of a day.
fn weekday(secs: u64) -> &'static str {
    // 1970 began on a Thursday.
    let names = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    names[usize::try_from(secs / 86_400 % 7).unwrap_or_default()]
}

#[tokio::test]
async fn a_standing_is_counted_as_it_happens_and_survives() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000415", "Ann").await;
    let bob = sim.phone("628111000416", "Bob").await;
    let cid = sim.phone("628111000417", "Cid").await;
    let dia = sim.phone("628111000418", "Dia").await;
    let board = "a key that only sends";
    let keys = format!("keys = [{{ id = \"board\", hash = {board:?}, scopes = [\"send\"] }}]\n");
    let pace = format!("{{ per_day = 10, new_chats_per_day = 5 }}\n{keys}");
    let mut moonwa = paced(&sim, &pace).start().await?;
    let path = "/v1/devices/toko/standing";
    let key = moonwa.key_of("toko");
    let fresh = key.get(path).await?.expect(200).json();
    assert_eq!((&fresh["day"]["sent"], &fresh["day"]["answered_share"]), (&json!(0), &Value::Null));
    moonwa.anyone().with_token(board).get(path).await?.expect(403);
    moonwa.link("toko", &ann).await?;

    // Dia wrote first. Bob and Cid are strangers, and Bob answers, twice.
    dia.send_text(&ann, "halo, toko").await?;
    moonwa.wait_device("toko", "the message", |device| device["last_in"].is_string()).await;
    for phone in [&dia, &bob, &cid] {
        let id = moonwa.send_text("toko", phone.number(), "halo").await?;
        moonwa.wait_status("toko", &id, "delivered").await;
    }
    for text in ["halo juga", "apa kabar?"] {
        bob.send_text(&ann, text).await?;
    }
    sim.fault(&ann, Fault::Nack(479));
    let refused = moonwa.send_text("toko", cid.number(), "promo!").await?;
    moonwa.wait_status("toko", &refused, "failed").await;
    let until = UnixMillis::now().secs() + 3 * 86_400;
    sim.tell_quota(ann.number(), 13, 50, until);
    let expected = json!({
        "sent": 4, "first_contacts": 2, "answered": 1, "answered_share": 0.5, "refused": 1, "locks": 0,
    });
    let look = |moonwa: &Moonwa| {
        let key = moonwa.key_of("toko");
        async move { key.get(path).await.map_or(Value::Null, |reply| reply.json()) }
    };
    let counted = |now: &Value| now["day"] == expected && now["new_chats"]["used"] == 13;
    let standing = eventually("the figures", || look(&moonwa), counted).await;
    assert_eq!(standing["week"], expected);
    let sentence = format!(
        "37 more new chats until {}, as far as WhatsApp said; 3 more new chats and 6 more messages within these 24 hours, \
         as the pace allows.",
        weekday(until)
    );
    assert_eq!(standing["forecast"], sentence);
    let left = &standing["pace"];
    assert_eq!((&left["messages"], &left["first_contacts"]), (&json!(6), &json!(3)), "{left}");
    let (_, status) = moonwa.command(&["status"]).await?;
    assert!(status.contains("37 more new chats until "), "{status}");

    // A lock counts once, however often WhatsApp tells it.
    sim.lock_sending(ann.number(), 3600);
    sim.tell_lock(ann.number());
    let locked = |now: &Value| now["day"]["locks"] == 1 && now["lock"]["until"].is_string();
    eventually("the lock", || look(&moonwa), locked).await;
    moonwa.restart().await?;
    moonwa.wait_device("toko", "the lock", |device| device["reason"] == "sending_locked").await;
    let standing = eventually("the lock", || look(&moonwa), locked).await;
    let mut after = expected.clone();
    after["locks"] = json!(1);
    assert_eq!((&standing["day"], &standing["week"]), (&after, &after));
    assert_eq!(standing["new_chats"]["total"], 50, "kept");
    let forecast = standing["forecast"].as_str().unwrap_or_default();
    assert!(forecast.starts_with("No new chats until "), "{forecast}");
    moonwa.stop().await?;
    Ok(())
}
