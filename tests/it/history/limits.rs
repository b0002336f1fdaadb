//! How long messages are kept, and how many.

use super::*;
use crate::clock::JumpingClock;
use moonwa_simulator::harness::noise;

const DAY: i64 = 24 * 3600;

#[tokio::test]
async fn what_is_older_than_kept_is_neither_listed_nor_found() -> Result<()> {
    let clock = JumpingClock::make()?;
    let numbers = ["628111000731", "628111000732"];
    let history = "[history]\nkeep = \"10d\"";
    let mut shop = Shop::with(numbers, history, |builder| clock.wound_into(builder)).await?;
    shop.bob_writes("yang lama").await?;
    clock.jump(9 * DAY)?;
    assert_eq!(texts(&shop.messages(shop.bob.number(), "").await?), ["yang lama"]);
    let sent = shop.moonwa.send_text("toko", shop.bob.number(), "yang baru").await?;
    shop.moonwa.wait_status("toko", &sent, "delivered").await;
    assert_eq!(texts(&shop.messages(shop.bob.number(), "").await?), ["yang lama", "yang baru"]);
    clock.jump(11 * DAY)?;
    assert_eq!(texts(&shop.messages(shop.bob.number(), "").await?), ["yang baru"]);
    assert_eq!(texts(&shop.get("search?q=lama").await?), Vec::<String>::new());
    // A restart looks for what is too old.
    clock.jump(30 * DAY)?;
    shop.moonwa.restart().await?;
    shop.moonwa.wait_state("toko", "connected").await;
    assert_eq!(shop.get("chats").await?["chats"], serde_json::json!([]));
    shop.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_oldest_messages_go_when_there_are_too_many_bytes() -> Result<()> {
    let numbers = ["628111000733", "628111000734"];
    let history = "[history]\nmax_size = \"1 MiB\"";
    let shop = Shop::open(numbers, history).await?;
    for n in 0..60 {
        shop.bob.send_text(&shop.ann, &format!("nomor{n} {}", noise(n, 30_000))).await?;
    }
    shop.hook.expect("the last", |post| post.text().starts_with("nomor59 ")).await;
    let list = shop.messages(shop.bob.number(), "?limit=200").await?;
    let numbers: Vec<String> = texts(&list)
        .iter()
        .map(|text| text.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert!(numbers.len() < 40 && numbers.len() > 20, "{numbers:?}");
    let newest: Vec<String> = (60 - numbers.len()..60).map(|n| format!("nomor{n}")).collect();
    assert_eq!(numbers, newest, "the newest are there, without a gap");
    assert_eq!(texts(&shop.get("search?q=nomor0%20").await?), Vec::<String>::new());
    shop.close().await
}
