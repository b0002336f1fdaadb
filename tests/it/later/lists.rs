//! Paced lists: to people who have written before, each with their own words, once, and no faster than was asked for.

use anyhow::{Context, Result, ensure};
use hyper::Method;
use moonwa_simulator::Phone;
use moonwa_simulator::harness::{Reply, eventually};
use serde_json::{Value, json};

use super::{HOUR, Shop};

const LISTS: &str = "/v1/devices/toko/lists";

impl Shop {
    async fn list(&self, key: &str, body: &Value) -> Result<Reply> {
        let rest = self.moonwa.key_of("toko");
        let request = rest.request(Method::POST, LISTS).header("idempotency-key", key);
        let request = request.header("content-type", "application/json");
        rest.send(request.body(body.to_string().into())?).await
    }

    async fn report(&self, id: &Value) -> Value {
        let path = format!("{LISTS}/{}", id.as_str().unwrap_or_default());
        let reply = self.moonwa.key_of("toko").get(&path).await;
        reply.map(|reply| reply.json()).unwrap_or_default()
    }

    /// Has somebody write, so that they can be on a list.
    async fn hears(&self, phone: &Phone) -> Result<()> {
        phone.send_text(&self.ann, "halo").await?;
        self.ann.expect_confirmed().await
    }
}

fn texts(phone: &Phone) -> Vec<String> {
    let messages = phone.inbox().into_iter().filter_map(|item| item.message().cloned());
    messages.filter_map(|message| message.message.conversation).collect()
}

#[tokio::test]
async fn a_list_writes_to_who_has_written_and_says_why_not_to_the_others() -> Result<()> {
    let shop = Shop::open(["628111000941", "628111000942"], |builder| builder).await?;
    let cid = shop.sim.phone("628111000943", "=Cid").await;
    let dan = shop.sim.phone("628111000944", "Dan").await;
    // Written to is not written.
    let sent = shop.moonwa.send_text("toko", dan.number(), "new here?").await?;
    shop.moonwa.wait_status("toko", &sent, "delivered").await;
    shop.hears(&shop.bob).await?;
    shop.hears(&cid).await?;
    let order = |order: &str| json!({"order": order});
    let body = json!({
        "text": "Halo {name}, pesanan {order} siap {:}",
        "per_hour": 600,
        "receivers": [
            {"to": shop.bob.number(), "name": "Pak Bob", "values": order("17")},
            {"to": dan.number(), "values": order("18")},
            {"to": cid.number(), "values": order("19")},
            {"to": format!("+{}", shop.bob.number()), "values": order("20")},
            {"to": cid.number()},
            {"to": "nobody"},
            {"to": "120363000000000001@g.us", "values": order("21")},
        ],
    });
    let list = shop.list("friday", &body).await?.expect(202).json();
    let codes = |list: &Value| -> Vec<Value> {
        let all = list["receivers"].as_array().cloned().unwrap_or_default();
        all.into_iter().map(|one| one["code"].clone()).collect()
    };
    let none = Value::Null;
    let why = ["never_wrote", "twice", "twice", "bad_number", "no_person"].map(|code| json!(code));
    let [never, twice, again, bad, group] = why;
    assert_eq!(codes(&list), [none.clone(), never, none, twice, again, bad, group]);
    assert_eq!((&list["total"], &list["refused"]), (&json!(7), &json!(5)));

    shop.bob.expect_text("Halo Pak Bob, pesanan 17 siap {:}").await?;
    cid.expect_text("Halo =Cid, pesanan 19 siap {:}").await?;
    let done = || shop.report(&list["id"]);
    let report = eventually("the list is done", done, |list| list["waiting"] == 0).await;
    for n in [0, 2] {
        let id = report["receivers"][n]["message"].as_str().context("an id")?;
        shop.moonwa.wait_status("toko", id, "delivered").await;
    }
    let key = shop.moonwa.key_of("toko");
    let path = format!("{LISTS}/{}/report", list["id"].as_str().unwrap_or_default());
    let table = key.get(&path).await?.expect(200);
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    let table = table.text();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[0], "receiver,name,message,status,code,detail,updated");
    ensure!(rows[1].contains("\"Pak Bob\"") && rows[1].contains("\"delivered\""), "{table}");
    ensure!(rows[2].contains("\"refused\",\"never_wrote\""), "{table}");
    ensure!(rows[3].contains("\"'=Cid\""), "a spreadsheet takes a name for a formula: {table}");
    let all = key.get(LISTS).await?.expect(200).json();
    assert_eq!(all["lists"][0]["id"], list["id"]);
    assert_eq!(shop.list("friday", &body).await?.expect(202).json()["id"], list["id"]);
    let other = json!({"text": "other", "receivers": [{"to": shop.bob.number()}]});
    shop.list("friday", &other).await?.expect(409);
    key.get(&format!("{LISTS}/lst_nothing")).await?.expect(404);
    assert!(texts(&dan).iter().all(|text| text == "new here?"));
    assert_eq!(texts(&shop.bob).len(), 1);
    assert_eq!(texts(&cid).len(), 1);
    shop.sim.assert_no_violations();
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn lists_are_shown_with_the_account_that_they_write_from() -> Result<()> {
    let shop = Shop::open(["628111000951", "628111000952"], |builder| builder).await?;
    let cid = shop.sim.phone("628111000953", "Cid").await;
    let key = shop.moonwa.key_of("toko");
    let lists = async || -> Result<Vec<Value>> {
        let all = key.get(LISTS).await?.expect(200).json();
        Ok(all["lists"].as_array().into_iter().flatten().map(|list| list["text"].clone()).collect())
    };
    let to_bob = |text: &str| json!({"text": text, "receivers": [{"to": shop.bob.number()}]});
    shop.hears(&shop.bob).await?;
    let anns = shop.list("ann", &to_bob("from Ann")).await?.expect(202).json();
    shop.bob.expect_text("from Ann").await?;
    let log_out = async || -> Result<()> {
        shop.moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?.expect(202);
        shop.moonwa.wait_state("toko", "logged_out").await;
        Ok(())
    };
    log_out().await?;
    assert_eq!(lists().await?, ["from Ann"], "until another is linked");
    shop.moonwa.link("toko", &cid).await?;
    assert!(lists().await?.is_empty(), "it is not Cid's");
    assert_eq!(shop.report(&anns["id"]).await["id"], anns["id"], "for whoever has its id");
    shop.bob.send_text(&cid, "halo").await?;
    cid.expect_confirmed().await?;
    shop.list("cid", &to_bob("from Cid")).await?.expect(202);
    shop.bob.expect_text("from Cid").await?;
    assert_eq!(lists().await?, ["from Cid"]);
    log_out().await?;
    shop.moonwa.link("toko", &shop.ann).await?;
    assert_eq!(lists().await?, ["from Ann"], "Ann has hers again");
    shop.sim.assert_no_violations();
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_could_not_go_in_its_hour_goes_later_and_not_faster_until_it_is_stopped() -> Result<()>
{
    let (shop, clock) = Shop::with_clock(["628111000945", "628111000946"]).await?;
    let cid = shop.sim.phone("628111000947", "Cid").await;
    let dan = shop.sim.phone("628111000948", "Dan").await;
    for phone in [&shop.bob, &cid, &dan] {
        shop.hears(phone).await?;
    }
    let receivers = [&shop.bob, &cid, &dan].map(|phone| json!({"to": phone.number()}));
    let body = json!({"text": "promo", "per_hour": 60, "receivers": receivers, "send_at": "+1h"});
    let list = shop.list("promo", &body).await?.expect(202).json();
    let times = |list: &Value| {
        let all = list["receivers"].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|one| one["send_at"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let planned = times(&list);
    assert!(planned[0] < planned[1] && planned[1] < planned[2], "{planned:?}");
    // When all are over their time, one goes, and the others wait for their turn.
    clock.jump(5 * HOUR)?;
    shop.bob.expect_text("promo").await?;
    let moved = || shop.report(&list["id"]);
    eventually("the others wait, and the first is known to have gone", moved, |list| {
        let now = times(list);
        now[1] > planned[2] && now[2] > now[1] && list["waiting"] == 2
    })
    .await;
    let stop = format!("{LISTS}/{}/stop", list["id"].as_str().unwrap_or_default());
    let key = shop.moonwa.key_of("toko");
    let stopped = key.post(&stop, &Value::Null).await?.expect(200).json();
    ensure!(stopped["stopped"].is_string() && stopped["waiting"] == 0, "{stopped}");
    let codes: Vec<&Value> = (0..3).map(|n| &stopped["receivers"][n]["code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("cancelled"), &json!("cancelled")]);
    key.post(&stop, &Value::Null).await?.expect(200);
    clock.jump(20 * HOUR)?;
    let last = shop.moonwa.send_text("toko", dan.number(), "the last word").await?;
    shop.moonwa.wait_status("toko", &last, "delivered").await;
    assert_eq!((texts(&cid), texts(&dan)), (vec![], vec!["the last word".to_owned()]));
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_list_survives_a_crash_and_writes_to_each_once() -> Result<()> {
    let mut shop = Shop::open(["628111000949", "628111000950"], |builder| builder).await?;
    let cid = shop.sim.phone("628111000951", "Cid").await;
    shop.hears(&shop.bob).await?;
    shop.hears(&cid).await?;
    let receivers = [&shop.bob, &cid].map(|phone| json!({"to": phone.number()}));
    let body = json!({"text": "Halo {name}", "per_hour": 600, "receivers": receivers});
    let list = shop.list("monday", &body).await?.expect(202).json();
    shop.moonwa.kill().await?;
    shop.moonwa.relaunch().await?;
    shop.moonwa.wait_state("toko", "connected").await;
    assert_eq!(shop.list("monday", &body).await?.expect(202).json()["id"], list["id"]);
    shop.bob.expect_text("Halo Bob").await?;
    shop.moonwa.kill().await?;
    shop.moonwa.relaunch().await?;
    shop.moonwa.wait_state("toko", "connected").await;
    cid.expect_text("Halo Cid").await?;
    let done = || shop.report(&list["id"]);
    eventually("the list is done", done, |list| list["waiting"] == 0).await;
    assert_eq!(
        (texts(&shop.bob), texts(&cid)),
        (vec!["Halo Bob".to_owned()], vec!["Halo Cid".to_owned()])
    );
    shop.moonwa.stop().await?;
    Ok(())
}
