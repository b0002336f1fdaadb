//! Every kind of message that WhatsApp's users and businesses send, through the real protocol: what a webhook is told of
//! it, as a snapshot. `UPDATE_SNAPSHOTS=1 cargo test --test it kinds::` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use moonwa_simulator::wa::message::{FutureProofMessage, ImageMessage};
use moonwa_simulator::{MessageField, Simulator, wa};
use serde_json::{Map, Value, json};

mod business;
mod people;
mod rest;

const SNAPSHOT: &str = "tests/it/kinds/kinds.snap";

/// What it is, in words, and the message.
type Sample = (&'static str, wa::Message);

fn some<T: Default>(value: T) -> MessageField<T> {
    MessageField::some(value)
}

#[expect(clippy::unnecessary_wraps, reason = "every field of the protocol is optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn says(words: &str) -> wa::Message {
    wa::Message { conversation: text(words), ..Default::default() }
}

fn key(id: &str) -> MessageField<wa::MessageKey> {
    some(wa::MessageKey { id: text(id), ..Default::default() })
}

fn wrapped(message: wa::Message) -> MessageField<FutureProofMessage> {
    some(FutureProofMessage { message: some(message) })
}

macro_rules! message {
    ($field:ident: $value:expr) => {
        wa::Message { $field: some($value), ..Default::default() }
    };
}
use message;

fn image(caption: &str) -> ImageMessage {
    ImageMessage {
        direct_path: text("/v/t62/picture"),
        mimetype: text("image/jpeg"),
        media_key: Some(vec![7; 32]),
        file_sha256: Some(vec![8; 32]),
        caption: text(caption),
        ..Default::default()
    }
}

/// What is told of a message, without what differs each time.
fn told(event: &Value) -> Value {
    let data = &event["data"];
    let mut kept = Map::new();
    if event["type"] != "message.received" {
        kept.insert("type".to_owned(), event["type"].clone());
    }
    for name in ["kind", "text", "mentions", "mentioned", "reply_to", "disappears_after", "details"]
    {
        let value = &data[name];
        if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    if data["media"].is_object() {
        kept.insert("media".to_owned(), data["media"]["mime"].clone());
    }
    Value::Object(kept)
}

/// The kinds that openapi.json describes.
fn documented() -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(include_str!("../../../web/openapi.json"))
        .expect("openapi.json is JSON");
    let kinds =
        schema["components"]["schemas"]["EventMessage"]["oneOf"].as_array().expect("a list");
    let word = |kind: &Value| kind["properties"]["kind"]["const"].as_str().map(str::to_owned);
    kinds.iter().filter_map(word).collect()
}

#[tokio::test]
async fn every_kind_is_told_in_full() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000111", "Ann").await, sim.phone("628555000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .config(&format!(
            "[device.toko]\napi_key = \"key-of-toko-0123456789abcdef\"\nwebhooks = [{{ url = {:?}, events = [\"*\"] }}]\n",
            hook.url()
        ))
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let mut found = String::new();
    let mut kinds = BTreeSet::new();
    let mut tell = async |name: &str, id: &str| -> Result<()> {
        let post = hook.expect(name, |post| post.json()["data"]["id"] == json!(id)).await;
        kinds.insert(post.json()["data"]["kind"].as_str().unwrap_or_default().to_owned());
        let shown = serde_json::to_string_pretty(&told(&post.json()))?;
        // A LID differs each time.
        let shown = shown.replace(bob.lid().trim_end_matches("@lid"), "BOB");
        writeln!(found, "{name}: {shown}")?;
        Ok(())
    };
    for (name, message) in [business::all(), people::all(), rest::all()].concat() {
        let id = bob.send(&ann, message).await?;
        tell(name, &id).await?;
    }
    let id = bob.send_for_phones_only(&ann).await?;
    tell("for phones only", &id).await?;
    assert_eq!(kinds, documented(), "each kind of openapi.json is here");
    sim.assert_no_violations();
    moonwa.stop().await?;
    let snapshot = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&snapshot, &found)?;
    }
    assert_eq!(std::fs::read_to_string(&snapshot).unwrap_or_default(), found);
    Ok(())
}
