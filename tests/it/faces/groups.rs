//! What receivers of other products are told of groups and calls.

use anyhow::Result;
use moonwa_simulator::harness::Delivery;
use moonwa_simulator::{Group, Phone};
use serde_json::{Value, json};

use super::support::Story;

/// What every story is about: Bob makes a group with Ann in it, adds Cid, makes him an admin, renames the group, removes
/// Cid and then Ann, and calls her.
struct Life {
    story: Story,
    group: Group,
    cid: Phone,
    call: String,
}

async fn live(face: &str, numbers: [&str; 3]) -> Result<Life> {
    let [ann, bob, cid] = numbers;
    let story = Story::start(face, [ann, bob]).await?;
    let cid = story.sim.phone(&format!("628777{cid}"), "Cid").await;
    let (ann, bob) = (&story.ann, &story.bob);
    let group = story.sim.group("Pelanggan", &[bob, ann]).await?;
    group.add(bob, &[&cid]).await?;
    group.promote(bob, &[&cid]).await?;
    group.rename(bob, "Pelanggan Tetap").await?;
    group.remove(bob, &[&cid]).await?;
    group.remove(bob, &[ann]).await?;
    let call = bob.call(ann, true).await?;
    Ok(Life { story, group, cid, call })
}

impl Life {
    /// Waits for what the receiver was told, as JSON.
    async fn told(&self, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        let it = |post: &Delivery| good(&said(post));
        said(&self.story.hook.expect(what, it).await)
    }

    async fn end(self) -> Result<()> {
        self.story.stop().await
    }
}

/// What a POST says. wuzapi puts it into a form.
fn said(post: &Delivery) -> Value {
    if post.header("content-type") == "application/json" {
        return post.json();
    }
    let text = str::from_utf8(&post.body).unwrap_or_default();
    let data = text.split('&').find_map(|pair| pair.strip_prefix("jsonData=")).unwrap_or_default();
    let data = data.replace('+', " ");
    let data = percent_encoding::percent_decode_str(&data).decode_utf8_lossy();
    serde_json::from_str(&data).unwrap_or_default()
}

#[tokio::test]
async fn wahas_receivers_are_told_of_groups_and_calls() -> Result<()> {
    let life = live("waha", ["310161", "310162", "310163"]).await?;
    let id = life.group.jid();
    let cus = |phone: &Phone| format!("{}@c.us", phone.number());
    let event = async |name: &str, field: &str, value: Value| -> Value {
        let good =
            |post: &Value| post["event"] == name && post["payload"].pointer(field) == Some(&value);
        life.told(name, good).await["payload"].clone()
    };
    let joined = event("group.v2.join", "/group/id", json!(id)).await;
    assert_eq!(joined["group"], json!({"id": id, "subject": "Pelanggan"}));
    assert!(joined["timestamp"].as_u64().is_some_and(|at| at > 1_000_000_000_000), "{joined}");
    for (kind, role) in [("join", "participant"), ("promote", "admin"), ("leave", "left")] {
        let told = event("group.v2.participants", "/type", json!(kind)).await;
        let cid = json!({"id": cus(&life.cid), "pn": cus(&life.cid), "role": role});
        assert_eq!((&told["group"], &told["participants"]), (&json!({"id": id}), &json!([cid])));
    }
    let named = event("group.v2.update", "/group/id", json!(id)).await;
    assert_eq!(named["group"], json!({"id": id, "subject": "Pelanggan Tetap"}));
    event("group.v2.leave", "/group/id", json!(id)).await;
    let call = event("call.received", "/id", json!(life.call)).await;
    assert_eq!(
        (&call["from"], &call["isVideo"], &call["isGroup"]),
        (&json!(cus(&life.story.bob)), &json!(true), &json!(false))
    );
    life.end().await
}

#[tokio::test]
async fn gowas_receivers_are_told_of_groups_and_calls() -> Result<()> {
    let life = live("gowa", ["300151", "300152", "300153"]).await?;
    let id = life.group.jid();
    let ann = life.story.ann.jid();
    let joined = life.told("group.joined", |post| post["event"] == "group.joined").await;
    assert_eq!(
        joined["payload"],
        json!({"chat_id": id, "type": "join", "jids": [ann], "reason": "", "group_name": "Pelanggan"})
    );
    let cid = life.cid.jid();
    for (kind, who) in [("join", &cid), ("promote", &cid), ("leave", &cid), ("leave", &ann)] {
        let wanted = json!({"chat_id": id, "type": kind, "jids": [who]});
        let it = |post: &Value| post["event"] == "group.participants" && post["payload"] == wanted;
        let told = life.told(kind, it).await;
        assert!(told["timestamp"].is_string() && told["device_id"] == ann, "{told}");
    }
    let call = life.told("call.offer", |post| post["payload"]["call_id"] == life.call).await;
    assert_eq!(call["payload"]["from"], life.story.bob.jid(), "{call}");
    assert_eq!(call["payload"]["auto_rejected"], false, "{call}");
    life.end().await
}

#[tokio::test]
async fn evolutions_receivers_are_told_of_groups_and_calls() -> Result<()> {
    let life = live("evolution", ["301151", "301152", "301153"]).await?;
    let (id, bob) = (life.group.jid(), life.story.bob.jid());
    let made = life.told("the group", |post| post["event"] == "groups.upsert").await;
    let group = &made["data"][0];
    assert_eq!(
        (&group["id"], &group["subject"], &group["owner"]),
        (&json!(id), &json!("Pelanggan"), &json!(bob))
    );
    let (cid, ann) = (life.cid.jid(), life.story.ann.jid());
    for (action, who) in [("add", &cid), ("promote", &cid), ("remove", &cid), ("remove", &ann)] {
        let wanted = json!({"id": id, "author": bob, "participants": [who], "action": action});
        let it =
            |post: &Value| post["event"] == "group-participants.update" && post["data"] == wanted;
        life.told(action, it).await;
    }
    let named = life.told("the name", |post| post["event"] == "groups.update").await;
    assert_eq!(named["data"], json!([{"id": id, "author": bob, "subject": "Pelanggan Tetap"}]));
    let call = life.told("the call", |post| post["data"]["id"] == life.call).await;
    assert_eq!(
        (&call["event"], &call["data"]["from"], &call["data"]["isVideo"], &call["data"]["status"]),
        (&json!("call"), &json!(bob), &json!(true), &json!("offer"))
    );
    life.end().await
}

#[tokio::test]
async fn wuzapis_receivers_are_told_of_groups_and_calls() -> Result<()> {
    let life = live("wuzapi", ["302151", "302152", "302153"]).await?;
    let (id, bob) = (life.group.jid(), life.story.bob.jid());
    let made = life.told("the group", |post| post["type"] == "JoinedGroup").await;
    assert_eq!(
        (&made["event"]["JID"], &made["event"]["Name"], &made["event"]["Sender"]),
        (&json!(id), &json!("Pelanggan"), &json!(bob))
    );
    let (cid, ann) = (life.cid.jid(), life.story.ann.jid());
    let changes = [("Join", &cid), ("Promote", &cid), ("Leave", &cid), ("Leave", &ann)];
    for (what, who) in changes {
        let wanted = json!([who]);
        let it = |post: &Value| post["type"] == "GroupInfo" && post["event"][what] == wanted;
        let told = life.told(what, it).await;
        assert_eq!((&told["event"]["JID"], &told["event"]["Sender"]), (&json!(id), &json!(bob)));
    }
    let named = |post: &Value| post["event"]["Name"]["Name"] == "Pelanggan Tetap";
    assert_eq!(life.told("the name", named).await["type"], "GroupInfo");
    let call = life.told("the call", |post| post["event"]["CallID"] == life.call).await;
    assert_eq!((&call["type"], &call["event"]["From"]), (&json!("CallOffer"), &json!(bob)));
    life.end().await
}
