//! People, groups, statuses, channels and broadcast lists: what a webhook is told of each, and who is answered.

use anyhow::Result;
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually};
use moonwa_simulator::{Simulator, wa};
use serde_json::{Value, json};

const PONG: &str =
    r#"{"status":"success","data":{"message_type":"text","message":{"message":"pong"}}}"#;
const CHANNEL: &str = "120363298765432100@newsletter";

fn says(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn statuses_channels_and_lists_are_what_they_are() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000111", "Ann").await, sim.phone("628111000112", "Bob").await);
    let [plain, all, bot] = [
        WebhookReceiver::start().await?,
        WebhookReceiver::start().await?,
        WebhookReceiver::start().await?,
    ];
    bot.otherwise(Some(Answer::body(PONG)));
    let lines = format!(
        "\n[device.toko]\napi_key = \"key-of-toko-0123456789abcdef\"\nwebhooks = [{:?}, \
         {{ url = {:?}, events = [\"*\"] }}, {{ url = {:?}, events = [\"*\"], format = \"moonwa\" }}]\n",
        plain.url(),
        all.url(),
        bot.url(),
    );
    let moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;

    let status = bob.show_status(&[ann.number()], &says("on holiday"))?;
    let mine = ann.show_status(&[ann.number()], &says("open today"))?;
    let post = sim.post_in_channel(CHANNEL, ann.number(), &says("a new model"))?;
    let own_post = sim.post_in_own_channel(CHANNEL, ann.number(), &says("written on our phone"))?;
    let listed = bob.send_to_list("1700000000@broadcast", &[ann.number()], &says("to my list"))?;
    // Nothing says in which order messages of several chats come.
    plain.expect_text("to my list").await;
    bob.send_text(&ann, "to you").await?;

    let told = async |id: &str| {
        let what = format!("the message {id}");
        all.expect(&what, |post| post.json()["data"]["id"] == id).await.json()
    };
    let brief = |event: &Value| {
        let data = &event["data"];
        json!([event["type"], data["chat_kind"], data["chat"], data["group"], data["from_me"]])
    };
    let statuses = json!(["status.received", "status", "status@broadcast", null, false]);
    assert_eq!(brief(&told(&status).await), statuses);
    let own = json!(["status.received", "status", "status@broadcast", null, true]);
    assert_eq!(brief(&told(&mine).await), own);
    let posted = json!(["channel.received", "channel", CHANNEL, null, false]);
    assert_eq!(brief(&told(&post).await), posted);
    let ours = json!(["channel.received", "channel", CHANNEL, null, true]);
    assert_eq!(brief(&told(&own_post).await), ours);
    let list = told(&listed).await;
    let by_list = json!(["message.received", "broadcast", bob.jid(), null, false]);
    assert_eq!(brief(&list), by_list);
    assert_eq!(list["data"]["from"]["phone"], bob.number());

    // A plain webhook and a bot hear people and groups only, whatever else is asked for.
    plain.expect_text("to you").await;
    assert_eq!(plain.taken_texts(), ["to my list", "to you"]);
    bot.expect("the last one", |post| post.json()["message"] == "to you").await;
    let heard: Vec<Value> =
        bot.deliveries().iter().map(|post| post.json()["message"].clone()).collect();
    assert_eq!(heard, ["to my list", "to you"]);
    // The bot answers Bob, once for each of the two messages; nothing goes to the channel or to a status.
    let pongs = async || bob.inbox().iter().filter(|item| item.is_text("pong")).count();
    eventually("two answers", pongs, |count| *count == 2).await;
    let queued = moonwa.key_of("toko").get("/v1/devices/toko/messages").await?.json();
    let receivers: Vec<&Value> =
        queued["messages"].as_array().into_iter().flatten().map(|row| &row["to"]).collect();
    assert_eq!(receivers, vec![&json!(bob.jid()); 2], "{queued}");

    // Nobody reads what is written to a status or a list, and the caller is told.
    for to in ["status@broadcast", "1700000000@broadcast"] {
        let body = json!({"to": to, "text": "hello?"});
        let refused = moonwa.key_of("toko").post("/v1/devices/toko/messages", &body).await?;
        assert!(refused.expect(400).text().contains("write to the person"));
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_webhook_is_told_of_the_chats_it_wants() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000113", "Ann").await, sim.phone("628111000114", "Bob").await);
    let eve = sim.phone("628999000115", "Eve").await;
    let group = sim.group("Team", &[&ann, &bob]).await?;
    let (people, groups) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let own = WebhookReceiver::start().await?;
    let lines = format!(
        "\n[device.toko]\nwebhooks = [\n\
         {{ url = {:?}, chats = [\"people\"], ignore = [\"628999*\"] }},\n\
         {{ url = {:?}, only = [\"*@g.us\"] }},\n\
         {{ url = {:?}, events = [\"message.received\", \"message.sent\"], from_me = false }},\n]\n",
        people.url(),
        groups.url(),
        own.url(),
    );
    let moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;

    // Nothing says in which order messages of several chats come.
    eve.send_text(&ann, "from Eve").await?;
    own.expect_text("from Eve").await;
    bob.send_text(&group, "in the team").await?;
    own.expect_text("in the team").await;
    ann.send_text(&bob, "written on the phone").await?;
    bob.send_text(&ann, "from Bob").await?;
    people.expect_text("from Bob").await;
    groups.expect_text("in the team").await;
    own.expect_text("from Bob").await;
    assert_eq!(people.taken_texts(), ["from Bob"]);
    assert_eq!(own.taken_texts(), ["from Eve", "in the team", "from Bob"]);
    let lines = [(1, 2), (3, 1)].map(|(n, count)| {
        format!(
            "moonwa_webhook_filtered_total{{device=\"toko\",n=\"{n}\",host=\"127.0.0.1\"}} {count}"
        )
    });
    let metrics = async || moonwa.admin().get("/metrics").await.map(|reply| reply.text());
    let counted = eventually("what was passed over is counted", metrics, |text| {
        text.as_ref().is_ok_and(|text| lines.iter().all(|line| text.contains(line)))
    })
    .await;
    counted?;

    // The filter is live, like everything else of a webhook.
    moonwa.edit_config(|text| text.replace("\"628999*\"", "\"628111*\""))?;
    // What the file says is shown a moment before it is in force; the report comes after that.
    let report = async || moonwa.admin().get("/v1/config").await.map(|reply| reply.json());
    let live = |report: &Result<Value>| {
        let seen = |report: &Value| report["trigger"] == "file" && report["outcome"] == "applied";
        report.as_ref().is_ok_and(seen)
    };
    eventually("the new filter", report, live).await?;
    bob.send_text(&ann, "not for webhook 1").await?;
    eve.send_text(&ann, "from Eve again").await?;
    people.expect_text("from Eve again").await;
    assert_eq!(people.taken_texts(), ["from Bob", "from Eve again"]);
    groups.more_than(0).await;
    assert_eq!(groups.taken_texts(), ["in the team"]);
    moonwa.stop().await?;
    Ok(())
}
