//! The simulator's control API: the same world over JSON.

use moonwa_simulator::Simulator;
use serde_json::{Value, json};
use wa_rs::http::{HttpClient as _, HttpRequest, UreqHttpClient};

use super::client::TestClient;
use super::{ANN, BOB};

async fn post(sim: &Simulator, path: &str, body: impl Into<Vec<u8>>) -> (u16, Value) {
    let request = HttpRequest::post(format!("{}{path}", sim.http_url())).with_body(body.into());
    let answer = UreqHttpClient::new().execute(request).await.unwrap();
    (answer.status_code, serde_json::from_slice(&answer.body).unwrap())
}

async fn get(sim: &Simulator, path: &str) -> Value {
    let request = HttpRequest::get(format!("{}{path}", sim.http_url()));
    let answer = UreqHttpClient::new().execute(request).await.unwrap();
    assert_eq!(answer.status_code, 200, "{path}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_over_http() {
    let sim = Simulator::start().await.unwrap();
    for (number, name) in [(ANN, "Ann"), (BOB, "Bob")] {
        let (status, phone) =
            post(&sim, "/phones", json!({"number": number, "name": name}).to_string()).await;
        assert_eq!((status, &phone["number"]), (200, &json!(number)));
    }
    let (status, error) = post(&sim, &format!("/phones/{ANN}/scan"), "nonsense").await;
    assert_eq!(status, 400);
    assert!(error["error"].as_str().unwrap().contains("not a QR code"), "{error}");

    let client = TestClient::start(&sim).await;
    let (status, answer) = post(&sim, &format!("/phones/{ANN}/scan"), client.qr().await).await;
    assert_eq!((status, answer), (200, json!({})));
    client.connected(0).await;
    let devices = get(&sim, &format!("/phones/{ANN}/devices")).await;
    assert_eq!(devices[0]["id"], 1);

    let hello = json!({"to": ANN, "text": "over http"}).to_string();
    let (_, sent) = post(&sim, &format!("/phones/{BOB}/send"), hello).await;
    let (id, _) = client.text("over http").await;
    assert_eq!(sent["id"], json!(id));
    let inbox = get(&sim, &format!("/phones/{BOB}/inbox?after=0&wait_ms=9000")).await;
    assert_eq!((&inbox[0]["kind"], &inbox[0]["ids"]), (&json!("receipt"), &json!([id])));

    let fault = json!({"target": {"number": ANN}, "fault": {"nack": 463}}).to_string();
    assert_eq!(post(&sim, "/faults", fault).await.0, 200);
    assert_eq!(get(&sim, "/state").await["faults"][0]["times"], 1);
    let members = json!({"subject": "Web", "members": [BOB, ANN]}).to_string();
    let (_, group) = post(&sim, "/groups", members).await;
    assert!(group["jid"].as_str().unwrap().ends_with("@g.us"), "{group}");
    // What the service knows of an account besides.
    let carl = "628111000199";
    let old = json!({"number": carl, "migrated": false}).to_string();
    assert_eq!(post(&sim, "/phones", old).await.0, 200);
    for call in ["wants-tokens", "migrate"] {
        assert_eq!(post(&sim, &format!("/phones/{carl}/{call}"), "").await, (200, json!({})));
    }
    let state = get(&sim, "/state").await["accounts"].clone();
    let migrated = |account: &Value| account["number"] == carl && account["migrated"] == true;
    assert!(state.as_array().unwrap().iter().any(migrated), "{state}");
    let other = json!({"number": ANN}).to_string();
    assert_eq!(post(&sim, &format!("/phones/{carl}/trust"), other).await, (200, json!({})));
    let journal = get(&sim, "/journal").await;
    let given = |note: &Value| note["tag"] == "token given" && note["device"]["pn"] == carl;
    assert!(journal.as_array().unwrap().iter().any(given), "{journal}");
    let prop = |name: &str| json!({"name": name, "value": "0"}).to_string();
    let known = "privacy_token_sending_on_all_1_on_1_messages";
    assert_eq!(post(&sim, "/ab-props", prop(known)).await, (200, json!({})));
    assert_eq!(post(&sim, "/ab-props", prop("unknown")).await.0, 400);
    assert_eq!(get(&sim, "/violations").await, json!([]));
    assert_eq!(get(&sim, "/ca").await["root"].as_str().unwrap().len(), 64);
    let logins = get(&sim, "/journal?filter=login").await;
    // After 515 the engine sometimes drops its first login and comes back at once.
    assert!(logins.as_array().unwrap().iter().all(|l| l["tag"] == "login"), "{logins}");
    assert_eq!(logins[0]["device"]["pn"], ANN, "{logins}");
    assert_eq!(post(&sim, "/reset", "").await.0, 200);
    assert_eq!(get(&sim, "/state").await["accounts"], json!([]));
}
