//! What the phone tells of the time before: when it is linked, and when it is asked.

use moonwa_simulator::wa;
use serde_json::json;

use super::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn says(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn the_phone_tells_of_before_and_of_older_messages_when_it_is_asked() -> Result<()> {
    let shop = Shop::open(["628111000741", "628111000742"], MONTH).await?;
    let bob = shop.bob.number().to_owned();
    let past = |from_me: bool, text: &str, ago: u64, told: bool| {
        shop.ann.has_had(&shop.bob, from_me, says(text), ago, told)
    };
    past(false, "terlalu tua", 40 * DAY, true)?;
    past(false, "pertama", 3 * DAY, false)?;
    past(true, "kedua", 3 * DAY - HOUR, false)?;
    past(false, "ketiga", 2 * DAY, true)?;
    past(true, "keempat", DAY, true)?;
    let live = shop.bob_writes("kelima").await?;
    let device = shop.ann.devices().first().map_or(1, |device| device.id);
    shop.ann.share_history(device).await?;
    let three = |list: &Value| list["messages"].as_array().map(Vec::len) == Some(3);
    let list = shop.wait_messages(&bob, three).await;
    assert_eq!(texts(&list), ["ketiga", "keempat", "kelima"]);
    assert_eq!(list["messages"][0]["source"], "history");
    assert_eq!(list["messages"][2]["id"], json!(live));
    // Told once more, nothing is there twice.
    shop.ann.share_history(device).await?;

    let older = format!("/v1/devices/toko/chats/{bob}/older");
    shop.reader().post(&older, &Value::Null).await?.expect(202);
    let five = |list: &Value| list["messages"].as_array().map(Vec::len) == Some(5);
    let list = shop.wait_messages(&bob, five).await;
    assert_eq!(texts(&list), ["pertama", "kedua", "ketiga", "keempat", "kelima"]);
    assert_eq!(list["messages"][1]["from_me"], true);
    assert_eq!(texts(&shop.get("search?q=pertama").await?), ["pertama"]);
    let unknown = "/v1/devices/toko/chats/628111000799/older";
    shop.reader().post(unknown, &Value::Null).await?.expect(404);

    // No webhook ever hears of it, and an old message can be answered.
    let first = list["messages"][0]["id"].clone();
    let body = json!({ "to": bob, "text": "jawaban", "reply_to": first });
    shop.moonwa.key_of("toko").post("/v1/devices/toko/messages", &body).await?.expect(202);
    let answer = shop.bob.expect_text("jawaban").await?;
    let context = answer.message.extended_text_message.context_info.as_option();
    let quoted = context.and_then(|context| context.quoted_message.as_option());
    assert_eq!(quoted.and_then(|quoted| quoted.conversation.as_deref()), Some("pertama"));
    shop.bob_writes("keenam").await?;
    assert_eq!(shop.hook.taken_texts(), ["kelima", "keenam"]);
    shop.close().await
}
