//! The labels of a business account: what its phone finds among the account's settings, and what the phone changes.

use anyhow::Result;
use hyper::Method;
use moonwa_simulator::harness::{Delivery, Moonwa, WebhookReceiver, eventually};
use moonwa_simulator::{Fault, Simulator};
use serde_json::{Value, json};

#[expect(clippy::too_many_lines, reason = "one account's labels from first to last")]
#[tokio::test]
async fn labels_are_those_of_all_the_accounts_devices() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002801", "Ann").await, sim.phone("628111002802", "Bob").await);
    // Of before the device was linked.
    ann.label("1", "Pelanggan baru", 0)?;
    let hook = WebhookReceiver::start().await?;
    let lines = format!(
        "\n[device.toko]\napi_key = \"key-of-toko-0123456789abcdef\"\n\
         webhooks = [{{ url = {:?}, events = [\"label.*\"] }}]\n",
        hook.url(),
    );
    let mut moonwa =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).config(&lines).start().await?;
    moonwa.link("toko", &ann).await?;
    ann.expect_settled().await?;
    let key = moonwa.key_of("toko");
    let list =
        async || key.ask("toko", Method::GET, "labels", &Value::Null).await.map(|r| r.json());
    let first = json!({ "id": "1", "name": "Pelanggan baru", "color": 0 });
    let known = |told: &Result<Value>| {
        told.as_ref().is_ok_and(|told| *told == json!({ "labels": [first] }))
    };
    eventually("the phone's label", list, known).await?;

    let new = json!({ "name": "Lunas", "color": 3 });
    let made = key.ask("toko", Method::POST, "labels", &new).await?.expect(201).json();
    assert_eq!(made, json!({ "id": "2", "name": "Lunas", "color": 3 }));
    let edit = ann.setting(&["label_edit", "2"])?.label_edit_action;
    assert_eq!(
        (edit.name.as_deref(), edit.color, edit.deleted),
        (Some("Lunas"), Some(3), Some(false))
    );
    let renamed = json!({ "name": "Lunas semua" });
    key.ask("toko", Method::PATCH, "labels/2", &renamed).await?.expect(200);
    let edit = ann.setting(&["label_edit", "2"])?.label_edit_action;
    assert_eq!((edit.name.as_deref(), edit.color), (Some("Lunas semua"), Some(3)));

    let on_chat = format!("chats/{}/labels", bob.number());
    let lid = bob.lid();
    key.ask("toko", Method::PUT, &format!("{on_chat}/2"), &Value::Null).await?.expect(204);
    let put = ann.setting(&["label_jid", "2", &lid])?.label_association_action;
    assert_eq!(put.labeled, Some(true));
    let chat =
        async || key.ask("toko", Method::GET, &on_chat, &Value::Null).await.map(|r| r.json());
    let second = json!({ "id": "2", "name": "Lunas semua", "color": 3 });
    assert_eq!(chat().await?, json!({ "labels": [second] }));

    // What WhatsApp does not keep is not said to be done.
    sim.fault(&ann, Fault::IqError("w:sync:app:state".to_owned(), 500));
    key.ask("toko", Method::PUT, &format!("{on_chat}/1"), &Value::Null).await?.expect(422);
    assert_eq!(chat().await?, json!({ "labels": [second] }));

    // Of what was done here the webhook hears as well. The phone puts one on and takes one off, and makes another.
    let told = async |what: &str, id: &str| {
        let is = |post: &Delivery| {
            let data = &post.json()["data"];
            data["what"] == what && data["label"]["id"] == id
        };
        hook.expect(what, is).await.json()
    };
    ann.label_chat("1", &lid, true)?;
    let event = told("added", "1").await;
    assert_eq!(event["type"], "label.updated");
    assert_eq!(event["data"], json!({ "what": "added", "chat": bob.jid(), "label": first }));
    let both = |told: &Result<Value>| {
        told.as_ref().is_ok_and(|told| *told == json!({ "labels": [first, second] }))
    };
    eventually("both labels", chat, both).await?;
    ann.label_chat("2", &lid, false)?;
    told("removed", "2").await;
    ann.label("3", "Grosir", 5)?;
    let third = json!({ "id": "3", "name": "Grosir", "color": 5 });
    assert_eq!(
        told("saved", "3").await["data"],
        json!({ "what": "saved", "chat": null, "label": third })
    );

    // They are kept.
    moonwa.restart().await?;
    moonwa.wait_state("toko", "connected").await;
    let key = moonwa.key_of("toko");
    let list =
        async || key.ask("toko", Method::GET, "labels", &Value::Null).await.map(|r| r.json());
    assert_eq!(list().await?, json!({ "labels": [first, second, third] }));
    let on = key.ask("toko", Method::GET, &on_chat, &Value::Null).await?.json();
    assert_eq!(on, json!({ "labels": [first] }));

    let theirs = bob.send_text(&ann, "sudah transfer").await?;
    let known = async || key.get("/v1/devices/toko/events").await.map(|reply| reply.text());
    eventually("the message", known, |text| text.as_ref().is_ok_and(|text| text.contains(&theirs)))
        .await?;
    let on_message = format!("messages/{theirs}/labels/2");
    key.ask("toko", Method::PUT, &on_message, &Value::Null).await?.expect(204);
    let index = ["label_message", "2", &lid, &theirs, "0", "0"];
    assert_eq!(ann.setting(&index)?.label_association_action.labeled, Some(true));
    key.ask("toko", Method::DELETE, &on_message, &Value::Null).await?.expect(204);
    assert_eq!(ann.setting(&index)?.label_association_action.labeled, Some(false));

    key.ask("toko", Method::DELETE, "labels/2", &Value::Null).await?.expect(403);
    moonwa.admin().ask("toko", Method::DELETE, "labels/2", &Value::Null).await?.expect(204);
    assert_eq!(ann.setting(&["label_edit", "2"])?.label_edit_action.deleted, Some(true));
    assert_eq!(list().await?, json!({ "labels": [first, third] }));
    let gone =
        key.ask("toko", Method::PUT, &format!("{on_chat}/2"), &Value::Null).await?.expect(404);
    assert_eq!(gone.json()["detail"], "there is no such label");
    for wrong in [json!({}), json!({ "name": "" }), json!({ "name": "x", "color": 20 })] {
        key.ask("toko", Method::POST, "labels", &wrong).await?.expect(400);
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
