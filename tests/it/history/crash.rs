//! The history and the log agree, whatever ends the gateway.

use super::*;

#[tokio::test]
async fn killed_in_the_middle_it_has_each_message_once_and_misses_none() -> Result<()> {
    let mut shop = Shop::open(["628111000751", "628111000752"], MONTH).await?;
    let (mut came, mut went) = (Vec::new(), Vec::new());
    for round in 0..5 {
        for n in 0..12 {
            let text = format!("masuk {round}-{n}");
            shop.bob.send_text(&shop.ann, &text).await?;
            came.push(text);
            if n % 4 == 0 {
                let text = format!("keluar {round}-{n}");
                shop.moonwa.send_text("toko", shop.bob.number(), &text).await?;
                went.push(text);
            }
        }
        shop.moonwa.kill().await?;
        shop.moonwa.relaunch().await?;
        shop.moonwa.wait_state("toko", "connected").await;
    }
    for text in &came {
        shop.hook.expect_text(text).await;
    }
    for text in &went {
        shop.bob.expect_text(text).await?;
    }
    let path = format!("{}/messages", shop.bob.number());
    let look = || async { shop.get(&format!("chats/{path}?limit=200")).await.unwrap_or_default() };
    let settled = |list: &Value| {
        let messages = list["messages"].as_array().cloned().unwrap_or_default();
        let own = messages.iter().filter(|message| message["from_me"] == true);
        own.filter(|message| message["status"] == "delivered").count() >= went.len()
    };
    let list = eventually("all of its own are delivered", look, settled).await;
    let kept = |from_me: bool| {
        let messages = list["messages"].as_array().cloned().unwrap_or_default();
        let own = messages.into_iter().filter(|message| message["from_me"] == from_me);
        let mut texts: Vec<String> =
            own.map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect();
        texts.sort();
        texts
    };
    came.sort();
    went.sort();
    assert_eq!(kept(false), came);
    assert_eq!(kept(true), went);
    let found = shop.get("search?q=masuk%20&limit=200").await?;
    assert_eq!(texts(&found).len(), came.len());
    shop.close().await
}
