//! Groups by the API: made, changed, filled, shown, left; and what a webhook is told of it.

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use moonwa_simulator::harness::{Moonwa, Reply, Rest, WebhookReceiver, eventually};
use moonwa_simulator::{Fault, Group, Phone, Simulator};
use serde_json::{Value, json};

const GROUPS: &str = "/v1/devices/toko/groups";

struct Story {
    sim: Simulator,
    moonwa: Moonwa,
    hook: WebhookReceiver,
    ann: Phone,
    bob: Phone,
    cici: Phone,
}

impl Story {
    async fn begin(number: u32) -> Result<Self> {
        let sim = Simulator::start().await?;
        let phone =
            async |n: u32, name: &str| sim.phone(&format!("62811200{number:02}{n:02}"), name).await;
        let (ann, bob, cici) =
            (phone(1, "Ann").await, phone(2, "Bob").await, phone(3, "Cici").await);
        let hook = WebhookReceiver::start().await?;
        let lines = format!(
            "\n[device.toko]\ncountry_code = \"62\"\nwebhooks = [{{ url = {:?}, events = [\"group.updated\"] }}]\n",
            hook.url()
        );
        let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
            .whatsapp(&sim)
            .config(&lines)
            .start()
            .await?;
        moonwa.link("toko", &ann).await?;
        Ok(Self { sim, moonwa, hook, ann, bob, cici })
    }

    fn api(&self) -> &Rest {
        self.moonwa.admin()
    }

    async fn patch(&self, path: &str, body: &Value) -> Result<Reply> {
        let request = self.api().request(Method::PATCH, path);
        let request = request.header(CONTENT_TYPE, "application/json");
        self.api().send(request.body(Full::from(body.to_string()))?).await
    }

    /// Makes a group by the API, and gives it as the simulator has it.
    async fn made(&self, members: &[&str]) -> Result<Group> {
        let body = json!({ "name": "Tim", "members": members });
        let made = self.api().post(GROUPS, &body).await?.expect(201).json();
        let id = made["group"]["id"].as_str().context("an id")?;
        self.group(id)
    }

    fn group(&self, id: &str) -> Result<Group> {
        self.sim.find_group(id.trim_end_matches("@g.us")).context("the group")
    }

    /// Waits for the webhook to be told that.
    async fn told(&self, what: &str) -> Value {
        let wanted = |data: &Value| data["what"] == what;
        self.hook.expect(what, |post| wanted(&post.json()["data"])).await.json()["data"].take()
    }

    async fn end(self) -> Result<()> {
        self.sim.assert_no_violations();
        self.moonwa.stop().await?;
        Ok(())
    }
}

/// What was said of each member: as they were named, the result, WhatsApp's code.
fn results(answer: &Value) -> Value {
    let brief = |one: &Value| json!([one["member"], one["result"], one["code"]]);
    answer["results"].as_array().into_iter().flatten().map(brief).collect()
}

#[tokio::test]
async fn a_group_is_made_and_says_who_is_in_it() -> Result<()> {
    let story = Story::begin(1).await?;
    let dodi = story.sim.phone("628112000104", "Dodi").await;
    dodi.refuses_groups();
    let local = format!("0{}", story.bob.number().trim_start_matches("62"));
    let body = json!({
        "name": "Tim Toko", "description": "Jadwal dan stok",
        "members": [local, story.cici.lid(), dodi.number(), "628999000199"],
    });
    let reply = story.api().post(GROUPS, &body).await?.expect(201);
    let made = reply.json();
    let expected = json!([
        [local, "done", null],
        [story.cici.lid(), "done", null],
        [dodi.number(), "invite_needed", "403"],
        ["628999000199", "refused", "not_on_whatsapp"],
    ]);
    assert_eq!(results(&made), expected, "{made}");
    assert!(made["results"][2]["invite"]["code"].is_string(), "what an invitation needs: {made}");
    assert_eq!(made["results"][1]["phone"], story.cici.number());

    let id = made["group"]["id"].as_str().context("an id")?.to_owned();
    assert_eq!(reply.headers["location"], format!("{GROUPS}/{id}"));
    let shown = story.api().get(&format!("{GROUPS}/{id}")).await?.expect(200).json();
    assert_eq!(shown, made["group"], "the same as when it was made");
    assert_eq!(
        (&shown["name"], &shown["description"]),
        (&json!("Tim Toko"), &json!("Jadwal dan stok"))
    );
    assert_eq!(shown["owner"]["phone"], story.ann.number());
    assert!(shown["created"].as_str().is_some_and(|time| time.ends_with('Z')), "{shown}");
    let settings = json!({
        "announce": false, "locked": false, "members_add": "all", "approval": false, "disappearing": 0,
    });
    assert_eq!(shown["settings"], settings);
    let brief = |one: &Value| json!([one["phone"], one["role"], one["admin"]]);
    let members: Vec<Value> =
        shown["members"].as_array().context("members")?.iter().map(brief).collect();
    let expected = json!([
        [story.ann.number(), "owner", true],
        [story.bob.number(), "member", false],
        [story.cici.number(), "member", false],
    ]);
    assert_eq!(json!(members), expected);
    assert!(shown["members"].as_array().into_iter().flatten().all(|one| one["lid"].is_string()));

    // A group of nobody is not made.
    let alone = json!({ "name": "Sepi", "members": ["628999000199"] });
    let refused = story.api().post(GROUPS, &alone).await?.expect(422).json();
    assert_eq!(refused["detail"], "none of the members is on WhatsApp");
    for bad in [
        json!({ "name": "", "members": [story.bob.number()] }),
        json!({ "name": "x", "members": [] }),
        json!({ "name": "x", "members": ["12345@g.us"] }),
        json!({ "name": "x".repeat(101), "members": [story.bob.number()] }),
        json!({ "name": "x", "members": [story.bob.number()], "description": null }),
    ] {
        story.api().post(GROUPS, &bad).await?.expect(400);
    }
    story.end().await
}

#[tokio::test]
async fn a_group_is_changed_and_left() -> Result<()> {
    let story = Story::begin(2).await?;
    let group = story.made(&[story.bob.number()]).await?;
    let path = format!("{GROUPS}/{}", group.jid());
    let change = json!({
        "name": "Tim Baru", "description": "Hanya pengumuman", "announce": true, "locked": true,
        "members_add": "admins", "approval": true, "disappearing": 86400,
    });
    let shown = story.patch(&path, &change).await?.expect(200).json();
    assert_eq!((&shown["name"], &shown["description"]), (&change["name"], &change["description"]));
    for setting in ["announce", "locked", "members_add", "approval", "disappearing"] {
        assert_eq!(shown["settings"][setting], change[setting], "{setting}");
    }
    let facts = group.facts();
    assert_eq!((&facts["announce"], &facts["all_add"]), (&json!(true), &json!(false)), "{facts}");
    assert_eq!((&facts["approval"], &facts["ephemeral"]), (&json!(true), &json!(86400)));

    // The webhook hears of each, in words of its own.
    let named = story.told("name").await;
    assert_eq!((&named["name"], &named["change"]["type"]), (&json!("Tim Baru"), &json!("subject")));
    assert_eq!(named["author"]["phone"], story.ann.number());
    assert_eq!(story.told("description").await["description"], "Hanya pengumuman");
    let setting = async |name: &str| {
        let wanted = |data: &Value| data["setting"]["name"] == name;
        let told = story.hook.expect(name, |post| wanted(&post.json()["data"])).await.json();
        told["data"]["setting"]["value"].clone()
    };
    for name in ["announce", "locked", "members_add", "approval", "disappearing"] {
        assert_eq!(setting(name).await, change[name], "{name}");
    }

    // An empty description takes it away, also where there is none.
    for _ in 0..2 {
        let shown = story.patch(&path, &json!({ "description": "" })).await?.expect(200).json();
        assert_eq!(shown["description"], Value::Null);
    }
    let timers = story.patch(&path, &json!({ "disappearing": 60 })).await?.expect(400).json();
    assert_eq!(timers["errors"][0]["path"], "disappearing");
    story.patch(&path, &json!({})).await?.expect(400);
    story.patch(&path, &json!({ "name": null })).await?.expect(400);

    // Who is no admin is told what they are not, and what was done before.
    let theirs = story.sim.group("Arisan", &[&story.bob, &story.ann]).await?;
    let path = format!("{GROUPS}/{}", theirs.jid());
    let both = json!({ "name": "Arisan Mei", "announce": true });
    let refused = story.patch(&path, &both).await?.expect(422).json();
    assert_eq!(
        (&refused["code"], &refused["changed"]),
        (&json!("whatsapp_refused"), &json!(["name"]))
    );
    assert!(refused["detail"].as_str().is_some_and(|why| why.starts_with("403: only an admin")));
    assert_eq!(theirs.facts()["subject"], "Arisan Mei");

    story.api().post(&format!("{path}/leave"), &Value::Null).await?.expect(204);
    assert!(theirs.facts()["members"].get(story.ann.number()).is_none());
    assert_eq!(story.told("left").await["members"][0]["phone"], story.ann.number());
    story.api().get(&path).await?.expect(404);
    story.patch(&format!("{GROUPS}/12345@g.us"), &both).await?.expect(404);
    story.end().await
}

#[tokio::test]
async fn members_come_go_and_get_another_role() -> Result<()> {
    let story = Story::begin(3).await?;
    let shy = story.sim.phone("628112000304", "Dodi").await;
    shy.refuses_groups();
    let group = story.made(&[story.bob.number()]).await?;
    let path = format!("{GROUPS}/{}/members", group.jid());
    let act = async |action: &str, members: &[&str]| -> Result<Value> {
        let body = json!({ "action": action, "members": members });
        Ok(results(&story.api().post(&path, &body).await?.expect(200).json()))
    };
    let (bob, cici, dodi) = (story.bob.number(), story.cici.number(), shy.number());
    let added = act("add", &[cici, bob, dodi, "628999000199"]).await?;
    let expected = json!([
        [cici, "done", null],
        [bob, "refused", "409"],
        [dodi, "invite_needed", "403"],
        ["628999000199", "refused", "not_on_whatsapp"],
    ]);
    assert_eq!(added, expected);
    let told = story.told("added").await;
    assert_eq!(
        (&told["members"][0]["phone"], told["members"][0]["lid"].is_string()),
        (&json!(cici), true)
    );

    assert_eq!(
        act("promote", &[&story.cici.lid()]).await?,
        json!([[story.cici.lid(), "done", null]])
    );
    assert_eq!(group.facts()["members"][cici], true);
    story.told("promoted").await;
    assert_eq!(act("demote", &[cici]).await?, json!([[cici, "done", null]]));
    assert_eq!(group.facts()["members"][cici], false);
    story.told("demoted").await;
    let removed = act("remove", &[cici, dodi]).await?;
    assert_eq!(removed, json!([[cici, "done", null], [dodi, "refused", "not_a_member"]]));
    assert_eq!(story.told("removed").await["members"][0]["phone"], cici);
    assert!(group.facts()["members"].get(cici).is_none());

    // In a group of somebody else's only what its settings allow.
    let theirs = story.sim.group("Arisan", &[&story.bob, &story.ann]).await?;
    let other = format!("{GROUPS}/{}/members", theirs.jid());
    let remove = json!({ "action": "remove", "members": [bob] });
    let refused = story.api().post(&other, &remove).await?.expect(422).json();
    assert!(refused["detail"].as_str().is_some_and(|why| why.starts_with("403: only an admin")));
    for bad in [
        json!({ "action": "ban", "members": [bob] }),
        json!({ "action": "add", "members": [] }),
        json!({ "action": "add" }),
    ] {
        story.api().post(&path, &bad).await?.expect(400);
    }
    story.end().await
}

#[tokio::test]
async fn a_link_is_shown_reset_and_followed() -> Result<()> {
    let story = Story::begin(4).await?;
    let group = story.made(&[story.bob.number()]).await?;
    let path = format!("{GROUPS}/{}/invite", group.jid());
    let first = story.api().get(&path).await?.expect(200).json();
    assert_eq!(first["link"], format!("https://chat.whatsapp.com/{}", group.invite_code()));
    let request = story.api().request(Method::GET, &path).header("accept", "image/svg+xml");
    let drawn = story.api().send(request.body(Full::default())?).await?.expect(200);
    assert_eq!(drawn.headers[CONTENT_TYPE], "image/svg+xml");
    assert!(drawn.text().contains("<svg"));
    let second = story.api().post(&path, &Value::Null).await?.expect(200).json();
    assert_ne!(second["code"], first["code"]);
    assert_eq!(second["code"], group.invite_code());
    story.told("invite_reset").await;

    // Somebody else's link: looked at, followed, and followed again.
    let theirs = story.sim.group("Arisan", &[&story.bob, &story.cici]).await?;
    let code = theirs.invite_code();
    let preview = format!("{GROUPS}/preview?code=https://chat.whatsapp.com/{code}");
    let seen = story.api().get(&preview).await?.expect(200).json();
    assert_eq!(
        (&seen["name"], &seen["size"], &seen["approval"]),
        (&json!("Arisan"), &json!(2), &json!(false))
    );
    let join = format!("{GROUPS}/join");
    let joined = story.api().post(&join, &json!({ "code": code })).await?.expect(200).json();
    assert_eq!(joined, json!({ "group": theirs.jid(), "result": "joined" }));
    assert_eq!(story.told("joined").await["members"][0]["phone"], story.ann.number());
    let again = story.api().post(&join, &json!({ "code": code })).await?.expect(422).json();
    assert_eq!(again["detail"], "304: the account is a member already");
    let nowhere = json!({ "code": "AbCdEfGhIjKlMnOpQrStUv" });
    story.api().post(&join, &nowhere).await?.expect(422);
    story.api().post(&join, &json!({ "code": "https://example.com/x" })).await?.expect(400);
    story.api().get(&format!("{GROUPS}/preview")).await?.expect(400);

    // A link is for admins.
    let other = format!("{GROUPS}/{}/invite", theirs.jid());
    let refused = story.api().get(&other).await?.expect(422).json();
    assert!(refused["detail"].as_str().is_some_and(|why| why.starts_with("401: only an admin")));
    story.end().await
}

#[tokio::test]
async fn those_who_wait_are_let_in_or_not() -> Result<()> {
    let story = Story::begin(5).await?;
    let dodi = story.sim.phone("628112000504", "Dodi").await;
    let group = story.made(&[story.bob.number()]).await?;
    let path = format!("{GROUPS}/{}", group.jid());
    story.patch(&path, &json!({ "approval": true })).await?.expect(200);
    group.follow_link(&story.cici).await?;
    group.follow_link(&dodi).await?;
    let told = story.told("requested").await;
    assert!(told["members"][0]["phone"].is_string(), "{told}");

    let path = format!("{path}/requests");
    let waiting = story.api().get(&path).await?.expect(200).json();
    let who: Vec<&Value> =
        waiting["requests"].as_array().into_iter().flatten().map(|one| &one["jid"]).collect();
    assert_eq!(who, [&story.cici.lid(), &dodi.lid()], "{waiting}");
    assert!(waiting["requests"][0]["since"].is_string());
    let answer = async |action: &str, member: &str| -> Result<Value> {
        let body = json!({ "action": action, "members": [member] });
        Ok(results(&story.api().post(&path, &body).await?.expect(200).json()))
    };
    let (cici, dodi) = (story.cici.number(), dodi.number());
    assert_eq!(answer("approve", cici).await?, json!([[cici, "done", null]]));
    assert_eq!(answer("reject", dodi).await?, json!([[dodi, "done", null]]));
    assert_eq!(answer("approve", dodi).await?, json!([[dodi, "refused", "not_waiting"]]));
    let facts = group.facts();
    assert_eq!((&facts["members"][cici], &facts["waiting"]), (&json!(false), &json!([])));
    assert!(facts["members"].get(dodi).is_none());
    story.told("request_ended").await;
    let waiting = story.api().get(&path).await?.expect(200).json();
    assert_eq!(waiting, json!({ "requests": [] }));

    // Where an admin of somebody else's decides, one has asked.
    let theirs = story.sim.group("Arisan", &[&story.bob]).await?;
    theirs.approve_newcomers(&story.bob, true).await?;
    let join = json!({ "code": theirs.invite_code() });
    let asked = story.api().post(&format!("{GROUPS}/join"), &join).await?.expect(200).json();
    assert_eq!(asked["result"], "requested");
    assert_eq!(theirs.facts()["waiting"], json!([story.ann.number()]));
    story.end().await
}

#[tokio::test]
async fn a_picture_is_cut_shown_and_taken_away() -> Result<()> {
    let story = Story::begin(6).await?;
    let group = story.made(&[story.bob.number()]).await?;
    let path = format!("{GROUPS}/{}/picture", group.jid());
    story.api().get(&path).await?.expect(404);
    let put = async |kind: &str, bytes: Vec<u8>| -> Result<Reply> {
        let request = story.api().request(Method::PUT, &path).header(CONTENT_TYPE, kind);
        story.api().send(request.body(Full::from(bytes))?).await
    };
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(900, 700).write_to(&mut png, image::ImageFormat::Png)?;
    let id = put("image/png", png.into_inner()).await?.expect(200).json()["id"].clone();
    let picture = image::load_from_memory(&group.picture().context("a picture")?)?;
    assert_eq!((picture.width(), picture.height()), (640, 640));
    let shown = story.api().get(&path).await?.expect(200).json();
    assert_eq!(shown["id"], id);
    assert!(shown["url"].as_str().is_some_and(|url| url.starts_with("https://")), "{shown}");
    let told = story.told("picture").await;
    assert_eq!(
        (&told["change"]["removed"], &told["author"]["lid"]),
        (&json!(false), &json!(story.ann.lid().trim_end_matches("@lid")))
    );

    let broken = put("image/jpeg", b"no picture".to_vec()).await?.expect(422).json();
    assert_eq!(broken["code"], "media_unavailable");
    put("text/plain", b"no picture".to_vec()).await?.expect(415);
    story.api().delete(&path).await?.expect(204);
    assert_eq!(group.picture(), None);
    let removed = |data: &Value| data["what"] == "picture" && data["change"]["removed"] == true;
    story.hook.expect("that it is gone", |post| removed(&post.json()["data"])).await;
    story.end().await
}

#[tokio::test]
async fn a_webhook_is_told_what_others_do_in_a_group() -> Result<()> {
    let story = Story::begin(7).await?;
    let group = story.sim.group("Tim", &[&story.bob, &story.ann]).await?;
    let told = story.told("created").await;
    assert_eq!((&told["name"], &told["group"]), (&json!("Tim"), &json!(group.jid())));
    let members = told["members"].as_array().map(Vec::len);
    assert_eq!((members, &told["author"]["phone"]), (Some(2), &json!(story.bob.number())));
    group.follow_link(&story.cici).await?;
    assert_eq!(story.told("joined").await["members"][0]["phone"], story.cici.number());
    group.leave(&story.cici).await?;
    assert_eq!(story.told("left").await["members"][0]["phone"], story.cici.number());
    group.switch(&story.bob, "announcement").await?;
    let told = story.told("setting").await;
    assert_eq!(told["setting"], json!({ "name": "announce", "value": true }));
    assert_eq!(
        (&told["by_phone"], &told["change"]["type"]),
        (&json!(story.bob.number()), &json!("announcement"))
    );
    group.demote(&story.bob, &[&story.ann]).await?;
    story.told("demoted").await;
    group.set_picture(&story.bob, b"a picture").await?;
    story.told("picture").await;
    story.end().await
}

#[tokio::test]
async fn a_key_changes_groups_by_its_scope() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628112000801", "Ann").await, sim.phone("628112000802", "Bob").await);
    let keys = ["plain", "groups"].map(|id| format!("key-of-{id}-0123456789abcdef"));
    let hash = |key: &str| moonwa::facade::model::KeyHash::of(key).to_string();
    let lines = format!(
        "\n[device.toko]\nkeys = [{{ id = \"plain\", hash = {:?}, scopes = [\"send\", \"read\"] }}, \
         {{ id = \"groups\", hash = {:?}, scopes = [\"read\", \"groups\"] }}]\n",
        hash(&keys[0]),
        hash(&keys[1]),
    );
    let moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    let [plain, groups] = keys.map(|key| moonwa.anyone().with_token(key));
    let body = json!({ "name": "Tim", "members": [bob.number()] });
    let refused = plain.post(GROUPS, &body).await?.expect(403).json();
    assert_eq!(refused["detail"], "the key lacks the scope \"groups\"");
    let made = groups.post(GROUPS, &body).await?.expect(201).json();
    let id = made["group"]["id"].as_str().context("an id")?;
    let shown = plain.get(&format!("{GROUPS}/{id}")).await?.expect(200).json();
    assert_eq!(shown["name"], "Tim", "reading stays with `read`");
    plain.get(&format!("{GROUPS}/{id}/invite")).await?.expect(403);
    groups.get(&format!("{GROUPS}/{id}/invite")).await?.expect(200);
    groups.post("/v1/devices/toko/messages", &json!({ "to": id, "text": "x" })).await?.expect(403);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_locked_account_adds_nobody_whom_it_does_not_know() -> Result<()> {
    let story = Story::begin(9).await?;
    let group = story.made(&[story.bob.number()]).await?;
    story.sim.lock_sending(story.ann.number(), 3600);
    let body = json!({ "to": story.cici.number(), "text": "salam kenal" });
    story.api().post("/v1/devices/toko/messages?wait=20s", &body).await?.expect(200);
    let look = async || story.moonwa.device("toko").await.unwrap_or_default();
    eventually("the lock", look, |device| device["state"] == "degraded").await;
    let path = format!("{GROUPS}/{}/members", group.jid());
    let add = json!({ "action": "add", "members": [story.sim.phone("628112000904", "Dodi").await.number()] });
    let refused = story.api().post(&path, &add).await?.expect(409).json();
    assert_eq!(refused["code"], "sending_locked");
    let new = json!({ "name": "Baru", "members": ["628112000904"] });
    story.api().post(GROUPS, &new).await?.expect(409);
    story.end().await
}

#[tokio::test]
async fn a_group_is_made_once_however_often_it_is_asked_for_under_a_key() -> Result<()> {
    let story = Story::begin(10).await?;
    let ask = async |key: &str, name: &str| {
        let body = json!({ "name": name, "members": [story.bob.number()] });
        let request = story.api().request(Method::POST, GROUPS).header("idempotency-key", key);
        let request = request.header(CONTENT_TYPE, "application/json");
        story.api().send(request.body(Full::from(body.to_string()))?).await
    };
    let first = ask("tim-1", "Tim Gudang").await?.expect(201);
    let again = ask("tim-1", "Tim Gudang").await?.expect(201);
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert_eq!(first.json(), again.json());
    assert_eq!(ask("tim-1", "Tim Toko").await?.expect(409).json()["code"], "idempotency_conflict");
    let made = ask("tim-2", "Tim Gudang").await?.expect(201).json();
    assert_ne!(made["group"]["id"], first.json()["group"]["id"]);

    // WhatsApp made it, and its answer was lost.
    let before = story.sim.cursor();
    story.sim.fault(&story.ann, Fault::IqLost("w:g2".to_owned()));
    let lost = ask("tim-3", "Tim Malam").await?;
    assert!([409, 504].contains(&lost.status.as_u16()), "{}", lost.text());
    // The connection may have gone with the answer.
    let repeated = async || ask("tim-3", "Tim Malam").await;
    let made = |reply: &Result<Reply>| reply.as_ref().is_ok_and(|reply| reply.status == 201);
    let group = eventually("the group", repeated, made).await?.json()["group"]["id"].clone();
    assert_eq!(ask("tim-3", "Tim Malam").await?.expect(201).json()["group"]["id"], group);
    let created = story.sim.journal();
    let asked = |e: &&moonwa_simulator::Entry| e.seq > before && e.is_in("iq");
    let created = created.iter().filter(asked).filter(|e| e.text.contains("<create "));
    assert_eq!(created.count(), 1);
    story.end().await
}
