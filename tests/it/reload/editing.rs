//! The file edited through `/v1` while the gateway runs: the file keeps its comments, the edit is live when the answer
//! comes, and neither of two writers is overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use serde_json::{Value, json};

use super::{gateway, logins, reloaded};

const COMMENTED: &str =
    "\n# the shop, do not touch\n[device.toko] # since 2024\nlabel = \"Toko\"\n";

fn text(moonwa: &Moonwa) -> String {
    fs::read_to_string(moonwa.dir().join("moonwa.toml")).expect("the file is there")
}

async fn config(moonwa: &Moonwa) -> Result<Value> {
    Ok(moonwa.admin().get("/v1/config").await?.expect(200).json())
}

#[tokio::test]
async fn devices_and_webhooks_are_edited_and_no_socket_closes() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000121", "Ann").await, sim.phone("628777000122", "Bob").await);
    let receiver = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).config(COMMENTED).start().await?;
    moonwa.link("toko", &ann).await?;
    let (before, old) = (logins(&sim), text(&moonwa));

    let shown = config(&moonwa).await?;
    assert_eq!((&shown["file"], &shown["editable"]), (&json!("moonwa.toml"), &json!(true)));
    let edit = json!({
        "pace": "600/min", "webhooks": [{"url": receiver.url(), "secret": "a secret of enough bytes, surely"}],
    });
    let changed = moonwa.admin().put("/v1/devices/toko", Some(&shown["revision"]), &edit).await?;
    let changed = changed.expect(200).json();
    assert_eq!(changed["name"], "toko");
    let shown = config(&moonwa).await?;
    assert_eq!(changed["revision"], shown["revision"], "live when the answer comes");
    assert_eq!((&shown["trigger"], &shown["outcome"]), (&json!("api"), &json!("applied")));
    let toko = &shown["config"]["devices"]["toko"];
    assert_eq!(toko["webhooks"][0]["secret"], true);
    assert!(!shown.to_string().contains("enough bytes"), "{shown}");
    let added = text(&moonwa);
    let added = added.strip_prefix(&old).expect("every line stands where it stood");
    assert!(added.starts_with("pace = \"600/min\"\nwebhooks = ["), "{added}");
    bob.send_text(&ann, "to the new webhook").await?;
    receiver.expect_text("to the new webhook").await;

    let added = moonwa.admin().put("/v1/devices/gudang", None, &json!({"label": "Gudang"})).await?;
    assert_eq!(added.expect(201).json()["label"], "Gudang");
    moonwa.wait_state("gudang", "pending").await;
    assert_eq!(logins(&sim), before, "no WhatsApp connection was closed");
    assert_eq!(moonwa.device("toko").await?["state"], "connected");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn of_two_writers_none_is_overwritten_and_the_second_is_told() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).config(COMMENTED).start().await?;
    let seen = config(&moonwa).await?["revision"].clone();
    let admin = moonwa.admin();
    let (a, b) = (json!({"label": "A"}), json!({"country_code": "62"}));
    let (one, two) = tokio::try_join!(
        admin.put("/v1/devices/toko", Some(&seen), &a),
        admin.put("/v1/devices/toko", Some(&seen), &b)
    )?;
    let (won, told) = if one.status == 200 { (one, two) } else { (two, one) };
    let (won, told) = (won.expect(200).json(), told.expect(409).json());
    assert_eq!((&told["code"], &told["expected"]), (&json!("edit_conflict"), &seen));
    assert_eq!(told["found"], won["revision"]);
    // Those who name no revision edit one after the other.
    let puts: Vec<_> = (0..8)
        .map(|n| (format!("/v1/devices/more-{n}"), json!({"label": format!("More {n}")})))
        .collect();
    let puts = puts.iter().map(|(path, body)| admin.put(path, None, body));
    for reply in futures_util::future::join_all(puts).await {
        reply?.expect(201);
    }
    let devices = config(&moonwa).await?["config"]["devices"].clone();
    assert_eq!(devices.as_object().map(serde_json::Map::len), Some(9), "{devices}");
    // A person's save that moonwa has not read yet counts as well.
    let seen = config(&moonwa).await?["revision"].clone();
    moonwa.edit_config(|text| format!("{text}# mine\n"))?;
    let told = admin.put("/v1/devices/toko", Some(&seen), &a).await?.expect(409).json();
    assert_eq!(told["code"], "edit_conflict");
    assert!(text(&moonwa).ends_with("# mine\n"));
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_would_be_refused_is_explained_and_not_written() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).config(COMMENTED).start().await?;
    let old = text(&moonwa);
    let put = async |body: Value| moonwa.admin().put("/v1/devices/toko", None, &body).await;
    let told = put(json!({"pace": "often", "webhooks": [{"url": "nowhere"}]})).await?;
    let told = told.expect(422).json();
    assert_eq!(told["code"], "config_invalid");
    let problems = told["problems"].as_array().cloned().unwrap_or_default();
    let paths: Vec<_> = problems.iter().map(|problem| problem["path"].clone()).collect();
    assert_eq!(paths, ["device.toko.pace", "device.toko.webhooks[1]"], "{told}");
    assert!(problems.iter().all(|problem| problem["line"].is_u64()), "{told}");
    put(json!({"labl": "x"})).await?.expect(400);
    moonwa.admin().put("/v1/devices/Not%20a%20name", None, &json!({})).await?.expect(400);
    moonwa.anyone().put("/v1/devices/toko", None, &json!({})).await?.expect(401);
    assert_eq!(text(&moonwa), old);

    // A change that waits for a restart is not applied by the way.
    moonwa.edit_config(|text| text.replace("127.0.0.1:0", "127.0.0.1:1"))?;
    reloaded(&moonwa, "rejected", |_| true).await;
    let told = put(json!({"label": "New"})).await?.expect(422).json();
    assert_eq!(told["problems"][0]["path"], "server.listen", "{told}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_answered_with_what_to_paste() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    let old = text(&moonwa);
    let file = moonwa.dir().join("moonwa.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400))?;
    assert_eq!(config(&moonwa).await?["editable"], false);
    let told = moonwa.admin().put("/v1/devices/new", None, &json!({"label": "New"})).await?;
    let told = told.expect(409).json();
    assert_eq!(told["code"], "config_read_only");
    assert_eq!(told["toml"], "[device.new]\nlabel = \"New\"\n");
    let told = moonwa.admin().post("/v1/devices/toko/key", &json!({})).await?.expect(409).json();
    let toml = told["toml"].as_str().unwrap_or_default().to_owned();
    let head = "[device.toko] # here, in place of what has the same name\napi_key = \"sha256:";
    assert!(toml.starts_with(head), "{told}");
    let told = moonwa.admin().delete("/v1/devices/toko").await?.expect(409).json();
    assert_eq!(told["toml"], "# Remove the table [device.toko].\n");
    assert_eq!(text(&moonwa), old);
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(200);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_key_is_made_and_the_old_one_ends() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(200);
    let made = moonwa.admin().post("/v1/devices/toko/key", &json!({})).await?.expect(200).json();
    let key = made["key"].as_str().unwrap_or_default();
    assert!(key.starts_with("mw_"), "{made}");
    moonwa.anyone().with_token(key).get("/v1/devices/toko").await?.expect(200);
    moonwa.key_of("toko").get("/v1/devices/toko").await?.expect(401);
    assert!(!text(&moonwa).contains(key), "only its hash is kept");
    assert_eq!(made["revision"], config(&moonwa).await?["revision"]);
    assert!(!moonwa.log().contains(key));
    let refused = moonwa.anyone().with_token(key).post("/v1/devices/toko/key", &json!({})).await?;
    refused.expect(403);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_device_is_unlinked_and_its_table_and_credentials_are_gone() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000123", "Ann").await, sim.phone("628777000124", "Bob").await);
    let moonwa =
        gateway(&sim).config(COMMENTED).device("lost", &[]).device("new", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    moonwa.link("lost", &bob).await?;
    let gone = moonwa.admin().delete("/v1/devices/toko").await?.expect(200).json();
    assert_eq!((&gone["whatsapp"], &gone["name"]), (&json!("unlinked"), &json!("toko")), "{gone}");
    assert!(!text(&moonwa).contains("toko") && !text(&moonwa).contains("the shop"));
    moonwa.admin().get("/v1/devices/toko").await?.expect(404);
    assert_eq!(ann.devices().len(), 0, "the phone no longer lists it");
    moonwa.admin().post("/v1/forgotten/toko", &Value::Null).await?.expect(404);

    let gone = moonwa.admin().delete("/v1/devices/new").await?.expect(200).json();
    assert_eq!(gone["whatsapp"], "not_linked", "{gone}");
    // Stopped is as good as unreachable: nobody can tell WhatsApp.
    moonwa.admin().post("/v1/devices/lost/stop", &Value::Null).await?.expect(202);
    let gone = moonwa.admin().delete("/v1/devices/lost").await?.expect(200).json();
    assert_eq!(gone["whatsapp"], "not_told", "{gone}");
    assert!(gone["detail"].to_string().contains("until it is removed there"), "{gone}");
    assert_eq!(bob.devices().len(), 1);
    moonwa.admin().post("/v1/forgotten/lost", &Value::Null).await?.expect(404);
    moonwa.admin().delete("/v1/devices/lost").await?.expect(404);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_to_paste_shows_no_secret_of_the_file() -> Result<()> {
    let sim = Simulator::start().await?;
    let (secret, token) =
        ("whsec_dGhpcnR5IGJ5dGVzIG9mIGEgd2ViaG9vayBzZWNyZXQ=", "Bearer of the file");
    let toko = format!(
        "\n[admin]\neditable = false\n\n[device.toko]\napi_key = \"a key of the file, 24 bytes\"\nwebhooks = [\n\
         # was {secret}\n\
         {{ url = \"http://127.0.0.1:9/a\", secret = \"{secret}\", headers = {{ x-team = \"cs\", Authorization = \"{token}\" }} }},\n\
         ]\n"
    );
    let moonwa = gateway(&sim).config(&toko).start().await?;
    let put = async |body: Value| -> Result<String> {
        let told = moonwa.admin().put("/v1/devices/toko", None, &body).await?.expect(409).json();
        assert!(!told.to_string().contains("of the file") && !told.to_string().contains(secret));
        Ok(told["toml"].as_str().unwrap_or_default().to_owned())
    };
    let head = "[device.toko] # here, in place of what has the same name\n";
    // What does not change is not there at all.
    assert_eq!(
        put(json!({"label": "New", "pace": ""})).await?,
        format!("{head}label = \"New\"\n# Remove \"pace\" here.\n")
    );
    let given = "a secret that the caller has just given";
    let pasted = put(json!({"webhooks": [
        {"n": 1, "url": "http://127.0.0.1:9/new"},
        {"url": "http://127.0.0.1:9/b", "secret": given, "headers": {"x-key": "just given, too"}},
    ]}))
    .await?;
    let expected = "webhooks = [\n  \
        { url = \"http://127.0.0.1:9/new\", secret = \"(as before, not shown)\", \
        headers = { x-team = \"cs\", Authorization = \"(as before, not shown)\" } },\n  \
        { url = \"http://127.0.0.1:9/b\", secret = \"a secret that the caller has just given\", \
        headers = { x-key = \"just given, too\" } },\n]\n";
    assert_eq!(pasted, format!("{head}{expected}"));
    // Pasted as it is, it is refused where a secret is missing; with the secrets in their places it works.
    let list = pasted.strip_prefix(head).unwrap_or_default();
    moonwa.edit_config(|text| {
        format!("{}{list}", text.split("webhooks").next().unwrap_or_default())
    })?;
    let report = reloaded(&moonwa, "rejected", |_| true).await;
    let problems = report["problems"].as_array().cloned().unwrap_or_default();
    let paths: Vec<_> = problems.iter().map(|problem| problem["path"].clone()).collect();
    let at = "device.toko.webhooks[1]";
    assert_eq!(
        paths,
        [json!(format!("{at}.secret")), json!(format!("{at}.headers.Authorization"))]
    );
    assert!(problems.iter().all(|problem| problem["message"].to_string().contains("not shown")));
    moonwa.edit_config(|text| {
        text.replacen("(as before, not shown)", secret, 1).replacen(
            "(as before, not shown)",
            token,
            1,
        )
    })?;
    let report = reloaded(&moonwa, "applied", |_| true).await;
    assert!(report["changed"].to_string().contains("webhook"), "{report}");
    moonwa.stop().await?;
    Ok(())
}
