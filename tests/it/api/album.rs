//! Several pictures and films as one message.

use super::send::linked;
use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{Fault, Phone, Simulator, wa};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/devices/toko/messages";
const PNG: &str = "iVBORw0KGgpwaWN0dXJl";
const MP4: &str = "AAAAGGZ0eXBpc29tAAACAGlzb21tcDQx";

fn ids(answer: &Value) -> Result<Vec<String>> {
    let files = answer["files"].as_array().context("files")?;
    let ids = std::iter::once(&answer["id"]).chain(files);
    ids.map(|id| Ok(id.as_str().context("an id")?.to_owned())).collect()
}

async fn received(phone: &Phone, id: &str) -> Result<wa::Message> {
    let item = phone.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
    Ok(item.message().context("a message")?.message.clone())
}

/// The file in a message of an album, and the id of what announced it.
fn file(message: &wa::Message) -> Option<(&wa::Message, &wa::MessageKey)> {
    let around = message.message_context_info.as_option()?.message_association.as_option()?;
    assert_eq!(format!("{:?}", around.association_type), "Some(MEDIA_ALBUM)");
    let inner = message.associated_child_message.as_option()?.message.as_option()?;
    Some((inner, around.parent_message_key.as_option()?))
}

#[tokio::test]
async fn an_album_is_announced_and_its_files_follow() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000231", "Ann").await, sim.phone("628555000232", "Bob").await);
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    group.disappear(&ann, 86_400).await?;
    let gateway = linked(&sim, &ann).await?;
    let album = json!([
        { "image": { "base64": PNG, "caption": format!("depan @{}", bob.number()) } },
        { "video": { "base64": MP4 } },
        { "image": { "base64": PNG } },
    ]);
    for (to, timer) in [(bob.number().to_owned(), None), (group.jid(), Some(86_400))] {
        let body = json!({ "to": to, "album": album, "mentions": [bob.number()] });
        let answer = gateway.key().post(MESSAGES, &body).await?.expect(202).json();
        let ids = ids(&answer)?;
        assert_eq!(ids.len(), 4);
        let header = received(&bob, &ids[0]).await?;
        let header = header.album_message.as_option().context("an announcement")?;
        assert_eq!((header.expected_image_count, header.expected_video_count), (Some(2), Some(1)));
        let context = header.context_info.as_option();
        assert_eq!(context.and_then(|context| context.expiration), timer);
        for (n, id) in ids[1..].iter().enumerate() {
            let message = received(&bob, id).await?;
            let (inner, parent) = file(&message).context("a file of an album")?;
            assert_eq!((parent.id.as_ref(), parent.from_me), (Some(&ids[0]), Some(true)));
            let own = (to == group.jid()).then(|| ann.lid());
            assert_eq!(parent.participant, own);
            assert_eq!(inner.video_message.is_set(), n == 1, "in order");
            let context = match inner.image_message.as_option() {
                Some(image) => image.context_info.as_option(),
                None => inner.video_message.as_option().context("a film")?.context_info.as_option(),
            };
            let context = context.context("a context")?;
            assert_eq!(context.expiration, timer);
            assert_eq!(context.mentioned_jid.len(), 1);
            assert!(bob.media(inner)?.len() > 10);
            let shown = async || {
                let reply = gateway.key().get(&format!("{MESSAGES}/{id}")).await;
                reply.map_or(Value::Null, |reply| reply.json())
            };
            let shown =
                eventually("delivered", shown, |shown| shown["status"] == "delivered").await;
            assert_eq!(
                (&shown["album"], &shown["kind"]),
                (&json!(ids[0]), &json!(if n == 1 { "video" } else { "image" }))
            );
        }
        let shown = gateway.key().get(&format!("{MESSAGES}/{}", ids[0])).await?.expect(200).json();
        assert_eq!((&shown["kind"], &shown["files"]), (&json!("album"), &json!(ids[1..])));
    }
    sim.assert_no_violations();
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_had_fails_alone_and_a_failed_album_takes_all_along() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000233", "Ann").await, sim.phone("628555000234", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let send = async |to: &str| -> Result<Vec<String>> {
        let denied = json!({ "image": { "url": "http://169.254.169.254/x.png" } });
        let album = json!([{ "image": { "base64": PNG } }, denied, { "image": { "base64": PNG } }]);
        let body = json!({ "to": to, "album": album });
        ids(&gateway.key().post(MESSAGES, &body).await?.expect(202).json())
    };
    let outcome = async |id: &str| {
        let look = async || {
            let reply = gateway.key().get(&format!("{MESSAGES}/{id}")).await;
            reply.map_or(Value::Null, |reply| reply.json())
        };
        let settled = |shown: &Value| shown["status"] == "delivered" || shown["status"] == "failed";
        let shown = eventually("an outcome", look, settled).await;
        shown["code"].as_str().unwrap_or("delivered").to_owned()
    };
    let mut outcomes = Vec::new();
    for id in send(bob.number()).await? {
        outcomes.push(outcome(&id).await);
    }
    assert_eq!(outcomes, ["delivered", "delivered", "media_url_denied", "delivered"]);
    let mut outcomes = Vec::new();
    for id in send("628999999998").await? {
        outcomes.push(outcome(&id).await);
    }
    assert_eq!(outcomes, ["not_on_whatsapp", "album_failed", "album_failed", "album_failed"]);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_album_that_is_asked_for_again_is_the_same() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000235", "Ann").await, sim.phone("628555000236", "Bob").await);
    let gateway = linked(&sim, &ann).await?;
    let key = gateway.key();
    let post = async |captions: [&str; 3]| -> Result<_> {
        let picture = |caption| json!({ "image": { "base64": PNG, "caption": caption } });
        let body = json!({ "to": bob.number(), "album": captions.map(picture) }).to_string();
        let request = key
            .request(Method::POST, MESSAGES)
            .header("content-type", "application/json")
            .header("idempotency-key", "katalog");
        key.send(request.body(Full::from(body))?).await
    };
    // The files wait until WhatsApp has what announces them.
    bob.auto_delivered(false);
    sim.fault(&ann, Fault::AckHold);
    let first = ids(&post(["a", "b", "c"]).await?.expect(202).json())?;
    received(&bob, &first[0]).await?;
    assert_eq!(ids(&post(["a", "b", "c"]).await?.expect(202).json())?, first);
    let other = post(["a", "b", "x"]).await?.expect(409).json();
    assert_eq!(other["code"], "idempotency_conflict");
    assert_eq!(sim.release_acks(ann.number()), 1);
    for id in &first[1..] {
        let message = received(&bob, id).await?;
        let (inner, _) = file(&message).context("a file of an album")?;
        assert!(bob.media(inner)?.starts_with(b"\x89PNG"), "its file was not taken away");
    }
    gateway.stop().await;
    Ok(())
}
