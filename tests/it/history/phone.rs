//! What the account's owner does on the phone is seen in the history, and what is said of a message before it is told.

use moonwa_simulator::{ChatSetting, wa};
use serde_json::json;

use super::*;

const DAY: u64 = 24 * 3600;

impl Shop {
    async fn chat(&self) -> Value {
        self.get("chats").await.unwrap_or_default()["chats"][0].clone()
    }

    /// Waits until the only chat is so.
    async fn wait_chat(&self, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.chat(), good).await
    }
}

#[tokio::test]
async fn what_the_owner_does_with_a_chat_on_the_phone_is_seen_in_the_list() -> Result<()> {
    let shop = Shop::open(["628111000761", "628111000762"], MONTH).await?;
    shop.bob_writes("satu").await?;
    let lid = shop.bob.lid();
    let chat = shop.chat().await;
    for field in ["archived", "pinned", "muted_until"] {
        assert!(chat.get(field).is_none(), "{chat}");
    }
    for (on, number) in [(true, lid.clone()), (false, shop.bob.jid())] {
        // Phones name a chat by either address, and change several things at once.
        let set = |setting| shop.ann.set_chat(&number, setting);
        set(ChatSetting::Archived(on))?;
        set(ChatSetting::Pinned(on))?;
        set(ChatSetting::Muted(on.then_some(-1)))?;
        let muted = on.then_some("always");
        let is_so = |chat: &Value| {
            chat["archived"] == on && chat["pinned"] == on && chat["muted_until"].as_str() == muted
        };
        shop.wait_chat("archived, pinned and muted", is_so).await;
    }
    shop.ann.set_chat(&lid, ChatSetting::Muted(Some(4_099_809_600_000)))?;
    shop.wait_chat("muted for a while", |chat| chat["muted_until"] == "2099-12-01T12:00:00Z").await;
    shop.ann.set_chat(&lid, ChatSetting::Read(true))?;
    shop.wait_chat("marked as read", |chat| chat["unread"] == 0).await;
    shop.ann.set_chat(&lid, ChatSetting::Read(false))?;
    shop.wait_chat("marked as one to be read", |chat| chat["unread"] == 1).await;

    shop.ann.set_chat(&lid, ChatSetting::Deleted)?;
    shop.wait_chat("deleted", Value::is_null).await;
    assert_eq!(texts(&shop.messages(shop.bob.number(), "").await?), Vec::<String>::new());
    assert_eq!(texts(&shop.get("search?q=satu").await?), Vec::<String>::new());
    // Whoever writes again begins a new one.
    shop.bob_writes("dua").await?;
    let chat = shop.chat().await;
    assert_eq!((&chat["unread"], &chat["newest"]["text"]), (&json!(1), &json!("dua")));
    assert_eq!(texts(&shop.messages(shop.bob.number(), "").await?), ["dua"]);
    shop.close().await
}

#[tokio::test]
async fn what_is_read_on_the_phone_is_read_with_receipts_and_without() -> Result<()> {
    let shop = Shop::open(["628111000763", "628111000764"], MONTH).await?;
    for receipts in [true, false] {
        let text = |text: &str| format!("{text}, {receipts}");
        shop.bob_writes(&text("satu")).await?;
        let second = shop.bob_writes(&text("dua")).await?;
        shop.bob_writes(&text("tiga")).await?;
        assert_eq!(shop.chat().await["unread"], 3);
        shop.ann.look_at(&second, receipts).await?;
        shop.wait_chat("two are read", |chat| chat["unread"] == 1).await;
        let last = shop.bob_writes(&text("empat")).await?;
        shop.ann.look_at(&last, receipts).await?;
        shop.wait_chat("all are read", |chat| chat["unread"] == 0).await;
    }
    // In a group, too.
    let group = shop.sim.group("Pelanggan", &[&shop.ann, &shop.bob]).await?;
    let said = shop.bob.send_text(&group, "di grup").await?;
    shop.hook.expect_text("di grup").await;
    let group = || async {
        let list = shop.get("chats").await.unwrap_or_default();
        let chats = list["chats"].as_array().cloned().unwrap_or_default();
        let group = chats.into_iter().find(|chat| chat["kind"] == "group");
        group.map_or(Value::Null, |group| group["unread"].clone())
    };
    assert_eq!(group().await, 1);
    shop.ann.look_at(&said, true).await?;
    eventually("the group is read", group, |unread| *unread == 0).await;
    shop.close().await
}

#[tokio::test]
async fn a_message_that_the_owner_deleted_for_themselves_is_seen_nowhere() -> Result<()> {
    let shop = Shop::open(["628111000765", "628111000766"], MONTH).await?;
    let first = shop.bob_writes("rahasia pertama").await?;
    let own = shop.moonwa.send_text("toko", shop.bob.number(), "rahasia kedua").await?;
    shop.moonwa.wait_status("toko", &own, "delivered").await;
    shop.bob_writes("terbuka").await?;
    let lid = shop.bob.lid();
    for (id, from_me, left) in [(&first, false, 2), (&own, true, 1)] {
        shop.ann.set_chat(&lid, ChatSetting::MessageDeleted(id, from_me))?;
        let fewer = |list: &Value| list["messages"].as_array().map(Vec::len) == Some(left);
        shop.wait_messages(shop.bob.number(), fewer).await;
    }
    assert_eq!(texts(&shop.messages(shop.bob.number(), "").await?), ["terbuka"]);
    assert_eq!(texts(&shop.get("search?q=rahasia").await?), Vec::<String>::new());
    // The other side keeps its own.
    shop.bob.expect_text("rahasia kedua").await?;
    shop.close().await
}

#[tokio::test]
async fn what_is_said_of_a_message_before_the_phone_tells_of_it_is_seen_at_it() -> Result<()> {
    let shop = Shop::open(["628111000767", "628111000768"], MONTH).await?;
    let bob = shop.bob.number().to_owned();
    let says =
        |text: &str| wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
    let past = |text: &str, ago: u64| shop.ann.has_had(&shop.bob, false, says(text), ago, false);
    let (edited, gone) = (past("salah", 3 * DAY)?, past("dihapus", 2 * DAY)?);
    let hidden = past("bukan untuk saya", DAY)?;
    // Nothing is known of the chat, and then only its newest message.
    shop.bob.edit(&shop.ann, &edited, "benar").await?;
    shop.bob.react(&shop.ann, &edited, "👍").await?;
    shop.ann.react(&shop.bob, &edited, "🙏").await?;
    shop.bob.revoke(&shop.ann, &gone).await?;
    shop.ann.set_chat(&shop.bob.lid(), ChatSetting::MessageDeleted(&hidden, false))?;
    shop.bob_writes("sekarang").await?;
    assert_eq!(texts(&shop.messages(&bob, "").await?), ["sekarang"]);
    let older = format!("/v1/devices/toko/chats/{bob}/older");
    shop.reader().post(&older, &Value::Null).await?.expect(202);
    let done = |list: &Value| {
        let messages = list["messages"].as_array().map_or(&[][..], Vec::as_slice);
        // What is deleted for oneself may be told of after the message, too.
        messages.len() == 3 && messages[0]["reactions"].as_array().map(Vec::len) == Some(2)
    };
    let list = shop.wait_messages(&bob, done).await;
    assert_eq!(texts(&list), ["benar", "-", "sekarang"]);
    assert_eq!(
        (&list["messages"][0]["edited"], &list["messages"][1]["deleted"]),
        (&json!(true), &json!(true))
    );
    let mut emoji: Vec<&str> = list["messages"][0]["reactions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|reaction| reaction["emoji"].as_str())
        .collect();
    emoji.sort_unstable();
    assert_eq!(emoji, ["👍", "🙏"]);
    assert_eq!(texts(&shop.get("search?q=benar").await?), ["benar"]);
    // One that is taken back is seen no more.
    shop.bob.react(&shop.ann, &edited, "").await?;
    let one = |list: &Value| list["messages"][0]["reactions"].as_array().map(Vec::len) == Some(1);
    shop.wait_messages(&bob, one).await;
    shop.close().await
}
