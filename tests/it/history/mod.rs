//! The history: what it keeps of chats, for how long, who may read it, and that it is deleted when it is switched off.

mod crash;
mod kept;
mod limits;
mod older;
mod phone;

use anyhow::Result;
use moonwa_simulator::harness::{
    Moonwa, MoonwaBuilder, Rest, WebhookReceiver, api_key, eventually,
};
use moonwa_simulator::{Phone, Simulator};
use serde_json::Value;

const READER: &str = "reader-of-history-0123456789abcdef";

/// A gateway that keeps a history, with one key that may read it.
struct Shop {
    sim: Simulator,
    ann: Phone,
    bob: Phone,
    hook: WebhookReceiver,
    moonwa: Moonwa,
}

impl Shop {
    async fn open(numbers: [&str; 2], history: &str) -> Result<Self> {
        Self::with(numbers, history, |builder| builder).await
    }

    async fn with(
        numbers: [&str; 2],
        history: &str,
        more: impl FnOnce(MoonwaBuilder) -> MoonwaBuilder,
    ) -> Result<Self> {
        let sim = Simulator::start().await?;
        let (ann, bob) = (sim.phone(numbers[0], "Ann").await, sim.phone(numbers[1], "Bob").await);
        Self::of(sim, ann, bob, history, more).await
    }

    async fn of(
        sim: Simulator,
        ann: Phone,
        bob: Phone,
        history: &str,
        more: impl FnOnce(MoonwaBuilder) -> MoonwaBuilder,
    ) -> Result<Self> {
        let hook = WebhookReceiver::start().await?;
        let keys =
            format!("keys = [{{ id = \"reader\", hash = {READER:?}, scopes = [\"history\"] }}]\n");
        let builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
            .whatsapp(&sim)
            .config(&format!("\n{history}\n"))
            .device("toko", &[hook.url()])
            .config(&keys);
        let moonwa = more(builder).start().await?;
        moonwa.link("toko", &ann).await?;
        Ok(Self { sim, ann, bob, hook, moonwa })
    }

    fn reader(&self) -> Rest {
        self.moonwa.anyone().with_token(READER)
    }

    /// Bob writes, and the webhook has it: so the log has it, too.
    async fn bob_writes(&self, text: &str) -> Result<String> {
        let id = self.bob.send_text(&self.ann, text).await?;
        self.hook.expect_text(text).await;
        Ok(id)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.reader().get(&format!("/v1/devices/toko/{path}")).await?.expect(200).json())
    }

    async fn messages(&self, chat: &str, query: &str) -> Result<Value> {
        self.get(&format!("chats/{chat}/messages{query}")).await
    }

    /// Waits until the messages of a chat are so.
    async fn wait_messages(&self, chat: &str, good: impl Fn(&Value) -> bool) -> Value {
        let look = || async { self.messages(chat, "").await.unwrap_or_default() };
        eventually("the messages of a chat", look, good).await
    }

    async fn close(self) -> Result<()> {
        self.moonwa.stop().await?;
        self.sim.assert_no_violations();
        Ok(())
    }
}

fn texts(list: &Value) -> Vec<String> {
    let messages = list["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| message["text"].as_str().unwrap_or("-").to_owned()).collect()
}

const MONTH: &str = "[history]\nkeep = \"30d\"";

#[tokio::test]
async fn only_a_key_for_it_reads_the_history_and_off_it_says_how_to_switch_it_on() -> Result<()> {
    let mut shop = Shop::open(["628111000701", "628111000702"], MONTH).await?;
    shop.bob_writes("halo").await?;
    let program = shop.moonwa.anyone().with_token(api_key("toko"));
    let routes = ["chats", "chats/628111000702/messages", "search?q=halo"];
    for route in routes {
        let path = format!("/v1/devices/toko/{route}");
        let refused = program.get(&path).await?.expect(403).json();
        assert_eq!(refused["code"], "forbidden", "{route}");
        shop.reader().get(&path).await?.expect(200);
        shop.moonwa.admin().get(&path).await?.expect(200);
    }
    shop.reader().get("/v1/devices/toko").await?.expect(403);
    for (wrong, status) in [
        ("chats?limit=0", 400),
        ("chats?before=x", 400),
        ("chats?unread=maybe", 400),
        ("search", 400),
        ("search?q=%20", 400),
        ("search?q=halo&chat=x", 400),
        ("chats/x/messages", 400),
    ] {
        shop.reader().get(&format!("/v1/devices/toko/{wrong}")).await?.expect(status);
    }

    // Switched off, it is deleted.
    shop.moonwa.edit_config(|text| text.replace(MONTH, ""))?;
    let reader = shop.reader();
    let off = || async {
        let reply = reader.get("/v1/devices/toko/chats").await;
        reply.map(|reply| reply.json()).unwrap_or_default()
    };
    let problem = eventually("it is off", off, |reply| reply["code"] == "history_off").await;
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("[history]")), "{problem}");
    shop.reader().get("/v1/devices/toko/search?q=halo").await?.expect(409);
    let folder = shop.moonwa.dir().join("data/outbox/keyspaces");
    let parts = || {
        let entries = std::fs::read_dir(&folder);
        entries.map(Iterator::count).unwrap_or_default()
    };
    let rest = parts();
    shop.moonwa.restart().await?;
    shop.moonwa.wait_state("toko", "connected").await;
    assert!(parts() <= rest, "nothing of it is left");
    shop.moonwa
        .edit_config(|text| text.replace("[device.toko]", &format!("{MONTH}\n[device.toko]")))?;
    let reader = shop.reader();
    let on = || async {
        let reply = reader.get("/v1/devices/toko/chats/628111000702/messages").await;
        texts(&reply.map(|reply| reply.json()).unwrap_or_default())
    };
    eventually("it begins with what the log has", on, |texts| *texts == ["halo"]).await;
    shop.bob_writes("halo lagi").await?;
    assert_eq!(on().await, ["halo", "halo lagi"]);
    shop.close().await
}
