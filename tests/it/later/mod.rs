//! Messages that go later: at their time and never early, once, changed and taken back until then, whatever happens to the
//! gateway and to the clock.

mod kills;
mod lists;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, Reply, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};

use crate::clock::JumpingClock;

const MESSAGES: &str = "/v1/devices/toko/messages";
const HOUR: i64 = 3600;

struct Shop {
    sim: Simulator,
    ann: Phone,
    bob: Phone,
    moonwa: Moonwa,
}

impl Shop {
    async fn open(
        numbers: [&str; 2],
        set: impl Fn(MoonwaBuilder) -> MoonwaBuilder,
    ) -> Result<Self> {
        let sim = Simulator::start().await?;
        let (ann, bob) = (sim.phone(numbers[0], "Ann").await, sim.phone(numbers[1], "Bob").await);
        let builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
        let moonwa = set(builder).device("toko", &[]).start().await?;
        moonwa.link("toko", &ann).await?;
        Ok(Self { sim, ann, bob, moonwa })
    }

    /// One whose wall clock jumps.
    async fn with_clock(numbers: [&str; 2]) -> Result<(Self, JumpingClock)> {
        let clock = JumpingClock::make()?;
        let set = |builder| clock.wound_into(builder).env("MOONWA_CLOCK_LOOK", "20");
        Ok((Self::open(numbers, set).await?, clock))
    }

    async fn at(&self, when: &str, text: &str) -> Result<String> {
        let body = json!({"to": self.bob.number(), "text": text, "send_at": when});
        let taken = self.moonwa.key_of("toko").post(MESSAGES, &body).await?.expect(202).json();
        ensure!(taken["status"] == "scheduled" && taken["send_at"].is_string(), "{taken}");
        Ok(taken["id"].as_str().context("an id")?.to_owned())
    }

    async fn patch(&self, id: &str, body: &Value) -> Result<Reply> {
        let key = self.moonwa.key_of("toko");
        let request = key.request(Method::PATCH, &format!("{MESSAGES}/{id}"));
        key.send(request.header("content-type", "application/json").body(body.to_string().into())?)
            .await
    }

    async fn message(&self, id: &str) -> Result<Value> {
        let path = format!("{MESSAGES}/{id}");
        Ok(self.moonwa.key_of("toko").get(&path).await?.expect(200).json())
    }

    /// The texts of a list of messages, in its order.
    async fn listed(&self, query: &str) -> Result<Vec<String>> {
        let path = format!("{MESSAGES}{query}");
        let list = self.moonwa.key_of("toko").get(&path).await?.expect(200).json();
        let messages = list["messages"].as_array().context("messages")?;
        Ok(messages.iter().filter_map(|one| one["text"].as_str()).map(str::to_owned).collect())
    }

    /// What came to Bob, in order.
    fn texts(&self) -> Vec<String> {
        let texts = self.bob.inbox().into_iter().filter_map(|item| item.message().cloned());
        texts.filter_map(|message| message.message.conversation).collect()
    }
}

#[tokio::test]
async fn until_its_time_a_message_is_listed_changed_and_taken_back() -> Result<()> {
    let shop = Shop::open(["628111000911", "628111000912"], |builder| builder).await?;
    let key = shop.moonwa.key_of("toko");
    let late = shop.at("+3h", "later").await?;
    let soon = shop.at("+1h", "sooner").await?;
    assert_eq!(shop.listed("?status=scheduled").await?, ["sooner", "later"]);
    assert!(shop.listed("").await?.is_empty(), "they are no news yet");

    // Other words and another time.
    let changed = shop.patch(&soon, &json!({"text": "changed", "send_at": "+5h"})).await?;
    let changed = changed.expect(202).json();
    assert_eq!((&changed["id"], &changed["status"]), (&json!(soon), &json!("scheduled")));
    assert_eq!(shop.listed("?status=scheduled").await?, ["later", "changed"]);
    for body in [json!({}), json!({"text": " "}), json!({"send_at": "soon"}), json!({"text": null})]
    {
        shop.patch(&soon, &body).await?.expect(400);
    }
    let over = shop.patch(&soon, &json!({"send_at": "2020-01-01T00:00:00Z"})).await?.expect(422);
    assert_eq!(over.json()["code"], "time_refused");

    // Taken back, it never goes.
    let gone = key.delete(&format!("{MESSAGES}/{late}")).await?.expect(202).json();
    assert_eq!((&gone["id"], &gone["status"]), (&json!(late), &json!("failed")));
    assert_eq!(shop.message(&late).await?["code"], "cancelled");
    assert_eq!(shop.listed("").await?, ["later"], "what is over is listed");
    assert_eq!(shop.listed("?status=scheduled").await?, ["changed"]);
    key.get(&format!("{MESSAGES}?status=sent")).await?.expect(400);

    // Its time comes; then it is a message like any other.
    shop.patch(&soon, &json!({"send_at": "+0s"})).await?.expect(202);
    shop.bob.expect_text("changed").await?;
    let sent = shop.moonwa.wait_status("toko", &soon, "delivered").await;
    assert!(sent["send_at"].is_string(), "{sent}");
    let refused = shop.patch(&soon, &json!({"send_at": "+1h"})).await?.expect(409);
    assert_eq!(refused.json()["code"], "conflict");
    let edit = shop.patch(&soon, &json!({"text": "edited"})).await?.expect(202).json();
    assert_ne!(edit["id"], json!(soon), "an edit is a message of its own");
    shop.moonwa.wait_status("toko", edit["id"].as_str().unwrap_or_default(), "delivered").await;
    assert!(!shop.texts().iter().any(|text| text == "later"));
    shop.sim.assert_no_violations();
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_repeated_is_scheduled_once_and_a_bad_time_says_why() -> Result<()> {
    let mut shop = Shop::open(["628111000913", "628111000914"], |builder| builder).await?;
    let ask = async |shop: &Shop, when: &str| {
        let key = shop.moonwa.key_of("toko");
        let body = json!({"to": shop.bob.number(), "text": "once", "send_at": when});
        let request = key.request(Method::POST, MESSAGES).header("idempotency-key", "booking-7");
        let request = request.header("content-type", "application/json");
        key.send(request.body(body.to_string().into())?).await
    };
    let first = ask(&shop, "+2h").await?.expect(202).json();
    shop.moonwa.restart().await?;
    shop.moonwa.wait_state("toko", "connected").await;
    assert_eq!(
        ask(&shop, "+2h").await?.expect(202).json(),
        first,
        "the same words, the same message"
    );
    assert_eq!(ask(&shop, "+3h").await?.expect(409).json()["code"], "idempotency_conflict");
    assert_eq!(shop.listed("?status=scheduled").await?, ["once"]);

    for (when, status, word) in [
        ("2020-01-01T00:00:00Z", 422, "is over, it is 20"),
        ("+999d", 422, "more than a year away"),
        ("2026-12-01 08:00 Asia/Jakarte", 422, "no time zone Asia/Jakarte"),
        ("2026-02-30T08:00:00Z", 422, "send_at: "),
        ("tomorrow", 400, "send_at: write +2h"),
    ] {
        let body = json!({"to": shop.bob.number(), "text": "x", "send_at": when});
        let refused = shop.moonwa.key_of("toko").post(MESSAGES, &body).await?.expect(status).json();
        let detail = refused["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(word), "{when}: {detail}");
    }
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn never_early_also_when_the_clock_is_set_back_and_in_the_order_of_their_times() -> Result<()>
{
    let (shop, clock) = Shop::with_clock(["628111000915", "628111000916"]).await?;
    for (when, text) in [("+4h", "fourth"), ("+2h", "second"), ("+3h", "third"), ("+1h", "first")] {
        shop.at(when, text).await?;
    }
    clock.jump(HOUR + 60)?;
    shop.bob.expect_text("first").await?;
    // Set back: what is to go in an hour from then waits, and so does all that is later.
    clock.jump(-5 * HOUR)?;
    let behind = shop.at("+1h", "by the clock that went back").await?;
    clock.jump(-4 * HOUR + 60)?;
    shop.bob.expect_text("by the clock that went back").await?;
    shop.moonwa.wait_status("toko", &behind, "delivered").await;
    assert_eq!(shop.texts(), ["first", "by the clock that went back"]);
    // Set forth: all that is due goes, in its order.
    clock.jump(5 * HOUR)?;
    shop.bob.expect_text("fourth").await?;
    assert_eq!(shop.texts()[2..], ["second", "third", "fourth"]);
    shop.sim.assert_no_violations();
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_was_due_while_it_was_down_goes_at_the_start_unless_a_day_is_over() -> Result<()> {
    let (mut shop, clock) = Shop::with_clock(["628111000917", "628111000918"]).await?;
    let stale = shop.at("+1h", "good morning").await?;
    let good = shop.at("+3h", "still good").await?;
    shop.moonwa.kill().await?;
    clock.jump(26 * HOUR)?;
    shop.moonwa.relaunch().await?;
    let failed = shop.moonwa.wait_status("toko", &stale, "failed").await;
    assert_eq!(failed["code"], "expired", "{failed}");
    shop.moonwa.wait_status("toko", &good, "delivered").await;
    assert_eq!(shop.texts(), ["still good"]);
    assert_eq!(shop.listed("").await?, ["still good", "good morning"]);
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_file_waits_with_its_message_for_days() -> Result<()> {
    let mut shop = Shop::open(["628111000919", "628111000920"], |builder| builder).await?;
    let document = json!({"base64": "bm90YQ==", "filename": "nota.txt", "caption": "nota"});
    let body = json!({"to": shop.bob.number(), "document": document, "send_at": "+9d"});
    let taken = shop.moonwa.key_of("toko").post(MESSAGES, &body).await?.expect(202).json();
    let id = taken["id"].as_str().context("an id")?.to_owned();
    // Files of messages that go at once are removed by then.
    shop.moonwa.set_env("MOONWA_STORE_AGE", Some(&(3 * 24 * HOUR).to_string()));
    shop.moonwa.restart().await?;
    shop.moonwa.wait_state("toko", "connected").await;
    shop.patch(&id, &json!({"text": "the receipt", "send_at": "+0s"})).await?.expect(202);
    shop.moonwa.wait_status("toko", &id, "delivered").await;
    let got = shop.bob.wait_inbox(0, |item| item.message().is_some_and(|of| of.id == id)).await?;
    let got = got.message().cloned().context("a message")?;
    assert_eq!(shop.bob.media(&got.message)?, b"nota");
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn nothing_goes_out_under_another_number() -> Result<()> {
    let shop = Shop::open(["628111000921", "628111000922"], |builder| builder).await?;
    let cid = shop.sim.phone("628111000923", "Cid").await;
    let waiting = shop.at("+1h", "from Ann").await?;
    shop.moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
    shop.moonwa.wait_state("toko", "logged_out").await;
    assert_eq!(shop.listed("?status=scheduled").await?, ["from Ann"], "until another is linked");
    shop.moonwa.link("toko", &cid).await?;
    let failed = shop.moonwa.wait_status("toko", &waiting, "failed").await;
    assert_eq!(failed["code"], "account_changed");
    assert!(shop.listed("?status=scheduled").await?.is_empty());
    drop(shop.ann);
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_album_is_taken_back_as_a_whole() -> Result<()> {
    let shop = Shop::open(["628111000924", "628111000925"], |builder| builder).await?;
    let key = shop.moonwa.key_of("toko");
    let image = || json!({"image": {"url": "https://toko.example/a.jpg"}});
    let body = json!({"to": shop.bob.number(), "album": [image(), image()], "send_at": "+1h"});
    let album = key.post(MESSAGES, &body).await?.expect(202).json();
    let file = album["files"][1].as_str().context("a file")?;
    assert_eq!(shop.message(file).await?["send_at"], album["send_at"]);
    let all = || async {
        let list = key.get(&format!("{MESSAGES}?status=scheduled")).await;
        list.map(|list| list.json()["messages"].as_array().map_or(0, Vec::len)).unwrap_or_default()
    };
    eventually("the announcement and its files", all, |count| *count == 3).await;
    key.delete(&format!("{MESSAGES}/{file}")).await?.expect(202);
    assert_eq!(all().await, 0);
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_go_until_it_expires_is_not_sent_and_says_so() -> Result<()> {
    let (mut shop, clock) = Shop::with_clock(["628222000191", "628222000192"]).await?;
    let ask = async |body: Value| {
        let mut wanted = json!({"to": shop.bob.number(), "text": "obral"});
        for (key, value) in body.as_object().context("fields")? {
            wanted[key] = value.clone();
        }
        shop.moonwa.key_of("toko").post(MESSAGES, &wanted).await
    };
    let short = ask(json!({"send_at": "+1h", "expires": "2h"})).await?.expect(202).json();
    assert!(short["expires"].is_string(), "{short}");
    let long = json!({"send_at": "+1h", "expires": "3d", "text": "katalog"});
    let long = ask(long).await?.expect(202).json();
    for bad in [json!({"expires": "2h"}), json!({"send_at": "+1h", "expires": "soon"})] {
        ask(bad).await?.expect(400);
    }
    // Nothing of moonwa runs at that time.
    shop.moonwa.kill().await?;
    clock.jump(5 * HOUR)?;
    shop.moonwa.relaunch().await?;
    shop.bob.expect_text("katalog").await?;
    let id = |message: &Value| message["id"].as_str().unwrap_or_default().to_owned();
    let failed = shop.moonwa.wait_status("toko", &id(&short), "failed").await;
    assert_eq!(failed["code"], "expired", "{failed}");
    shop.moonwa.wait_status("toko", &id(&long), "delivered").await;
    assert_eq!(shop.texts(), ["katalog"]);
    shop.moonwa.stop().await?;
    Ok(())
}
