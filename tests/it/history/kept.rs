//! What is kept of a chat: messages both ways, and what becomes of them.

use serde_json::json;

use super::*;

#[tokio::test]
async fn messages_both_ways_stand_in_their_chat_with_what_became_of_them() -> Result<()> {
    let shop = Shop::open(["628111000711", "628111000712"], MONTH).await?;
    let bob = shop.bob.number().to_owned();
    let asked = shop.bob_writes("Berapa harga kopi Gayo?").await?;
    let body = json!({ "to": bob, "text": "Rp85.000 sekilo", "reply_to": asked });
    let sent = shop.moonwa.key_of("toko").post("/v1/devices/toko/messages", &body).await?;
    let sent = sent.expect(202).json()["id"].as_str().unwrap_or_default().to_owned();
    shop.moonwa.wait_status("toko", &sent, "delivered").await;
    shop.ann.send_text(&shop.bob, "ditulis di ponsel").await?;
    let three = |list: &Value| list["messages"].as_array().map(Vec::len) == Some(3);
    let list = shop.wait_messages(&bob, three).await;
    assert_eq!(texts(&list), ["Berapa harga kopi Gayo?", "Rp85.000 sekilo", "ditulis di ponsel"]);
    let [first, second, third] = [0, 1, 2].map(|n| list["messages"][n].clone());
    assert_eq!((&first["from_me"], &first["source"]), (&json!(false), &json!("phone")));
    assert_eq!(first["from"]["phone"], json!(bob));
    assert_eq!(first["from"]["name"], json!("Bob"));
    assert_eq!((&second["from_me"], &second["source"]), (&json!(true), &json!("moonwa")));
    assert_eq!((&second["id"], &second["status"]), (&json!(sent), &json!("delivered")));
    assert_eq!(second["reply_to"]["text"], "Berapa harga kopi Gayo?");
    assert!(second.get("from").is_none(), "{second}");
    assert_eq!((&third["from_me"], &third["source"]), (&json!(true), &json!("phone")));

    // A status, a reaction of each, an edit and a deletion.
    shop.bob.react(&shop.ann, &sent, "👍").await?;
    let body = json!({ "to": bob, "reaction": { "message": asked, "emoji": "🙏" } });
    shop.moonwa.key_of("toko").post("/v1/devices/toko/messages", &body).await?.expect(202);
    shop.bob.edit(&shop.ann, &asked, "Berapa harga kopi Toraja?").await?;
    let done = |list: &Value| {
        let (first, second) = (&list["messages"][0], &list["messages"][1]);
        first["edited"] == true
            && first["reactions"][0]["emoji"] == "🙏"
            && second["reactions"][0]["emoji"] == "👍"
    };
    let list = shop.wait_messages(&bob, done).await;
    assert_eq!(list["messages"][0]["text"], "Berapa harga kopi Toraja?");
    assert_eq!(list["messages"][0]["reactions"][0]["from_me"], true);
    assert_eq!(list["messages"][1]["reactions"][0]["from"]["phone"], json!(bob));
    let path = format!("/v1/devices/toko/messages/{sent}");
    shop.moonwa.key_of("toko").delete(&path).await?;
    let gone = |list: &Value| list["messages"][1]["deleted"] == true;
    let list = shop.wait_messages(&bob, gone).await;
    assert!(list["messages"][1].get("text").is_none(), "{list}");

    // One page after the other.
    let page = shop.messages(&bob, "?limit=2").await?;
    assert_eq!(texts(&page), ["-", "ditulis di ponsel"]);
    let next = page["next"].as_str().unwrap_or_default();
    let page = shop.messages(&bob, &format!("?limit=2&before={next}")).await?;
    assert_eq!(texts(&page), ["Berapa harga kopi Toraja?"]);
    assert_eq!(page["next"], Value::Null);
    shop.close().await
}

#[tokio::test]
async fn chats_are_listed_by_their_newest_message_and_a_person_is_one_chat() -> Result<()> {
    let shop = Shop::open(["628111000713", "628111000714"], MONTH).await?;
    let eve = shop.sim.phone("628111000715", "Eve").await;
    shop.bob_writes("dari Bob").await?;
    eve.send_text(&shop.ann, "dari Eve").await?;
    shop.hook.expect_text("dari Eve").await;
    let group = shop.sim.group("Pelanggan", &[&shop.ann, &shop.bob]).await?;
    shop.bob.send_text(&group, "di grup").await?;
    shop.hook.expect_text("di grup").await;
    shop.bob_writes("dari Bob lagi").await?;

    let list = shop.get("chats").await?;
    let chats = list["chats"].as_array().cloned().unwrap_or_default();
    assert_eq!(chats.len(), 3, "{list}");
    let of = |address: &str| {
        let found = chats.iter().find(|chat| chat["chat"] == address);
        found.cloned().unwrap_or_default()
    };
    let bob = of(&format!("{}@s.whatsapp.net", shop.bob.number()));
    assert_eq!((&bob["kind"], &bob["name"]), (&json!("person"), &json!("Bob")), "{list}");
    assert_eq!((&bob["unread"], &bob["newest"]["text"]), (&json!(2), &json!("dari Bob lagi")));
    assert_eq!(bob["phone"], shop.bob.number());
    let lid = bob["lid"].as_str().unwrap_or_default().to_owned();
    assert!(!lid.is_empty(), "{bob}");
    assert!(
        chats.iter().any(|chat| chat["kind"] == "group" && chat["newest"]["text"] == "di grup")
    );
    let by_lid = shop.messages(&format!("{lid}@lid"), "").await?;
    assert_eq!(texts(&by_lid), ["dari Bob", "dari Bob lagi"]);
    assert_eq!(by_lid, shop.messages(shop.bob.number(), "").await?);

    // Page by page.
    let page = shop.get("chats?limit=2").await?;
    assert_eq!(page["chats"].as_array().map(Vec::len), Some(2));
    let next = page["next"].as_str().unwrap_or_default();
    let page = shop.get(&format!("chats?limit=2&before={next}")).await?;
    assert_eq!(page["chats"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!(page["next"], Value::Null);
    shop.close().await
}

#[tokio::test]
async fn what_was_read_here_or_on_the_phone_is_not_unread() -> Result<()> {
    let shop = Shop::open(["628111000716", "628111000717"], MONTH).await?;
    let unread = || async {
        let list = shop.get("chats").await.unwrap_or_default();
        list["chats"][0]["unread"].as_u64()
    };
    shop.bob_writes("satu").await?;
    let second = shop.bob_writes("dua").await?;
    assert_eq!(unread().await, Some(2));
    assert_eq!(shop.get("chats?unread=true").await?["chats"].as_array().map(Vec::len), Some(1));
    let path = format!("/v1/devices/toko/messages/{second}/read");
    shop.moonwa.key_of("toko").post(&path, &Value::Null).await?.expect(204);
    eventually("read by moonwa", unread, |count| *count == Some(0)).await;
    assert_eq!(shop.get("chats?unread=true").await?["chats"], json!([]));
    shop.bob_writes("tiga").await?;
    assert_eq!(unread().await, Some(1));
    shop.ann.send_text(&shop.bob, "jawaban di ponsel").await?;
    eventually("read on the phone", unread, |count| *count == Some(0)).await;
    shop.close().await
}

#[tokio::test]
async fn words_are_found_without_case_and_accents_and_by_their_beginning() -> Result<()> {
    let shop = Shop::open(["628111000718", "628111000719"], MONTH).await?;
    let eve = shop.sim.phone("628111000720", "Eve").await;
    shop.bob_writes("Berapa harga Café Gayo?").await?;
    shop.bob_writes("harga teh saja").await?;
    eve.send_text(&shop.ann, "kopi gayo, harganya?").await?;
    shop.hook.expect_text("kopi gayo, harganya?").await;
    let edited = shop.bob_writes("salah ketik").await?;
    shop.bob.edit(&shop.ann, &edited, "benar ketik").await?;
    let found = async |query: &str| {
        let list = shop.get(&format!("search?q={query}")).await;
        texts(&list.unwrap_or_default())
    };
    let look = || found("benar");
    eventually("the edit", look, |found| found.len() == 1).await;
    assert_eq!(found("salah").await, Vec::<String>::new());
    assert_eq!(found("cafe%20GAYO").await, ["Berapa harga Café Gayo?"]);
    assert_eq!(found("gayo").await, ["kopi gayo, harganya?", "Berapa harga Café Gayo?"]);
    assert_eq!(found("harga").await.len(), 3, "the last word may be a beginning");
    assert_eq!(found("harga%20").await.len(), 2);
    assert_eq!(found("gula").await, Vec::<String>::new());
    let query = format!("gayo&chat={}", shop.bob.number());
    assert_eq!(found(&query).await, ["Berapa harga Café Gayo?"]);
    let page = shop.get("search?q=harga&limit=2").await?;
    assert_eq!(texts(&page).len(), 2);
    let next = page["next"].as_str().unwrap_or_default();
    let page = shop.get(&format!("search?q=harga&limit=2&before={next}")).await?;
    assert_eq!(texts(&page), ["Berapa harga Café Gayo?"]);
    shop.close().await
}

#[tokio::test]
async fn a_file_is_fetched_from_the_history_and_language_models_read_it() -> Result<()> {
    let shop = Shop::open(["628111000721", "628111000722"], MONTH).await?;
    let picture = b"\xff\xd8\xff picture".to_vec();
    shop.bob.send_image(&shop.ann, &picture, Some("foto kopi")).await?;
    shop.hook.expect_text("foto kopi").await;
    let list = shop.messages(shop.bob.number(), "").await?;
    let media = &list["messages"][0]["media"];
    assert_eq!(media["size"], json!(picture.len()), "{list}");
    let url = media["signed_url"].as_str().unwrap_or_default();
    let file = shop.moonwa.anyone().get(url).await?.expect(200);
    assert_eq!(file.body, picture);

    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "search", "arguments": { "query": "foto" } },
    });
    let request = shop
        .moonwa
        .key_of("toko")
        .request(hyper::Method::POST, "/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    let request = request.body(http_body_util::Full::new(call.to_string().into()))?;
    let answer = shop.moonwa.key_of("toko").send(request).await?.expect(200).json();
    let found = &answer["result"]["structuredContent"];
    assert_eq!(found["messages"][0]["source"], "phone", "only the history says that: {answer}");
    shop.close().await
}

#[tokio::test]
async fn another_number_has_other_chats() -> Result<()> {
    let shop = Shop::open(["628111000723", "628111000724"], MONTH).await?;
    shop.bob_writes("untuk nomor pertama").await?;
    shop.moonwa.admin().post("/v1/devices/toko/logout", &Value::Null).await?;
    shop.moonwa.wait_device("toko", "logged out", |device| device["state"] != "connected").await;
    let carol = shop.sim.phone("628111000725", "Carol").await;
    shop.moonwa.link("toko", &carol).await?;
    shop.bob.send_text(&carol, "untuk nomor kedua").await?;
    shop.hook.expect_text("untuk nomor kedua").await;
    assert_eq!(texts(&shop.messages(shop.bob.number(), "").await?), ["untuk nomor kedua"]);
    assert_eq!(texts(&shop.get("search?q=nomor").await?), ["untuk nomor kedua"]);
    shop.close().await
}
