//! Chats as the account's devices show them, and what is marked in them: what the phone finds among the account's
//! settings, and what contacts get.

use anyhow::Result;
use hyper::Method;
use moonwa_simulator::harness::Moonwa;
use moonwa_simulator::{Fault, Phone, PhoneOptions, Simulator, wa};
use serde_json::{Value, json};

async fn gateway(sim: &Simulator, phone: &Phone) -> Result<Moonwa> {
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", phone).await?;
    phone.expect_settled().await?;
    // A change of the settings needs their key, which the phone gives a moment after the login; the name comes with it.
    moonwa.wait_device("toko", "the settings", |device| device["push_name"].is_string()).await;
    Ok(moonwa)
}

#[tokio::test]
async fn a_chats_state_is_that_of_all_the_accounts_devices() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002301", "Ann").await, sim.phone("628111002302", "Bob").await);
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    let moonwa = gateway(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let chat = format!("chats/{}", bob.number());
    let patch = async |path: &str, body: Value| key.ask("toko", Method::PATCH, path, &body).await;
    let lid = bob.lid();

    let all = json!({ "archived": true, "pinned": true, "mute": "always", "unread": true });
    patch(&chat, all).await?.expect(204);
    assert_eq!(ann.setting(&["archive", &lid])?.archive_chat_action.archived, Some(true));
    assert_eq!(ann.setting(&["pin_v1", &lid])?.pin_action.pinned, Some(true));
    let mute = ann.setting(&["mute", &lid])?.mute_action;
    assert_eq!((mute.muted, mute.mute_end_timestamp), (Some(true), Some(-1)));
    let read = ann.setting(&["markChatAsRead", &lid])?.mark_chat_as_read_action;
    assert_eq!(read.read, Some(false));
    assert!(read.message_range.last_message_timestamp.is_some_and(|at| at > 1_700_000_000));

    let other = json!({ "archived": false, "pinned": false, "mute": "2099-12-01T19:00:00+07:00", "unread": false });
    patch(&chat, other).await?.expect(204);
    assert_eq!(ann.setting(&["archive", &lid])?.archive_chat_action.archived, Some(false));
    assert_eq!(ann.setting(&["pin_v1", &lid])?.pin_action.pinned, Some(false));
    let until = ann.setting(&["mute", &lid])?.mute_action.mute_end_timestamp;
    assert_eq!(until, Some(4_099_809_600_000));
    assert_eq!(ann.setting(&["markChatAsRead", &lid])?.mark_chat_as_read_action.read, Some(true));
    for off in ["2020-01-01T00:00:00Z", "off"] {
        patch(&chat, json!({ "mute": "always" })).await?.expect(204);
        patch(&chat, json!({ "mute": off })).await?.expect(204);
        assert_eq!(ann.setting(&["mute", &lid])?.mute_action.muted, Some(false), "{off}");
    }
    let team = format!("chats/{}", group.jid());
    patch(&team, json!({ "archived": true })).await?.expect(204);
    let archived = ann.setting(&["archive", &group.jid()])?.archive_chat_action;
    assert_eq!(archived.archived, Some(true));

    // What WhatsApp does not keep is not said to be done.
    sim.fault(&ann, Fault::IqError("w:sync:app:state".to_owned(), 500));
    let refused = patch(&chat, json!({ "archived": true })).await?.expect(422).json();
    assert_eq!(refused["code"], "whatsapp_refused");
    assert_eq!(ann.setting(&["archive", &lid])?.archive_chat_action.archived, Some(false));

    for wrong in [
        json!({}),
        json!({ "mute": "1h" }),
        json!({ "mute": null }),
        json!({ "archived": null }),
        json!({ "disappears_after": 5 }),
        json!({ "stars": true }),
    ] {
        patch(&chat, wrong).await?.expect(400);
    }
    patch("chats/status@broadcast", json!({ "archived": true })).await?.expect(400);
    patch("chats/628999002399", json!({ "archived": true })).await?.expect(404);

    key.ask("toko", Method::DELETE, &chat, &Value::Null).await?.expect(403);
    moonwa.admin().ask("toko", Method::DELETE, &chat, &Value::Null).await?.expect(204);
    let deleted = ann.setting(&["deleteChat", &lid, "1"])?.delete_chat_action;
    assert!(deleted.message_range.last_message_timestamp.is_some());
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_chat_that_is_known_by_number_is_changed_under_the_number() -> Result<()> {
    let sim = Simulator::start().await?;
    let old = PhoneOptions { migrated: false, ..PhoneOptions::default() };
    let ann = sim.phone_with("628111002303", "Ann", old);
    let bob = sim.phone_with("628111002304", "Bob", old);
    let moonwa = gateway(&sim, &ann).await?;
    let chat = format!("chats/{}", bob.number());
    let pinned = json!({ "pinned": true });
    moonwa.key_of("toko").ask("toko", Method::PATCH, &chat, &pinned).await?.expect(204);
    assert_eq!(ann.setting(&["pin_v1", &bob.jid()])?.pin_action.pinned, Some(true));
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_is_starred_for_the_account_and_pinned_for_everybody() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002305", "Ann").await, sim.phone("628111002306", "Bob").await);
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    let moonwa = gateway(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let told = async |id: &str| {
        let known = async || {
            let events = key.get("/v1/devices/toko/events").await.map(|reply| reply.text());
            events.is_ok_and(|text| text.contains(id))
        };
        moonwa_simulator::harness::eventually("the message", known, |known| *known).await;
    };
    let theirs = bob.send_text(&ann, "harga?").await?;
    told(&theirs).await;
    let in_group = bob.send_text(&group, "rapat jam 3").await?;
    told(&in_group).await;
    let ours = moonwa.send_text("toko", bob.number(), "Rp 5.000").await?;
    moonwa.wait_status("toko", &ours, "delivered").await;

    let star = async |method: Method, id: &str| {
        key.ask("toko", method, &format!("messages/{id}/star"), &Value::Null).await
    };
    let lid = bob.lid();
    let indexes = [
        (&theirs, vec!["star", &lid, &theirs, "0", "0"]),
        (&ours, vec!["star", &lid, &ours, "1", "0"]),
    ];
    for (id, index) in indexes {
        star(Method::PUT, id).await?.expect(204);
        assert_eq!(ann.setting(&index)?.star_action.starred, Some(true));
        star(Method::DELETE, id).await?.expect(204);
        assert_eq!(ann.setting(&index)?.star_action.starred, Some(false));
    }
    star(Method::PUT, &in_group).await?.expect(204);
    let index = ["star", &group.jid(), &in_group, "0", &lid];
    assert_eq!(ann.setting(&index)?.star_action.starred, Some(true));
    star(Method::PUT, "3EB0NOTHERE").await?.expect(404);

    let pin = async |method: Method, id: &str, body: Value| {
        key.ask("toko", method, &format!("messages/{id}/pin"), &body).await
    };
    let before = sim.cursor();
    let queued = pin(Method::PUT, &theirs, json!({ "days": 7 })).await?.expect(202).json();
    let id = queued["id"].as_str().unwrap_or_default();
    moonwa.wait_status("toko", id, "delivered").await;
    let pins = |item: &moonwa_simulator::InboxItem| {
        item.message().and_then(|item| item.message.pin_in_chat_message.as_option().cloned())
    };
    let got = bob.wait_inbox(0, |item| pins(item).is_some()).await?;
    let message = got.message().expect("a message").message.clone();
    let pinned = message.pin_in_chat_message;
    assert_eq!(pinned.r#type, Some(wa::message::pin_in_chat_message::Type::PIN_FOR_ALL));
    assert_eq!((pinned.key.id.as_ref(), pinned.key.from_me), (Some(&theirs), Some(false)));
    assert_eq!(message.message_context_info.message_add_on_duration_in_secs, Some(604_800));
    let edit = |entry: &moonwa_simulator::Entry| {
        entry.is_in("message") && entry.attr("id").as_deref() == Some(id)
    };
    assert_eq!(sim.wait_journal(before, edit).await?.attr("edit").as_deref(), Some("2"));

    let after = bob.cursor();
    pin(Method::DELETE, &ours, Value::Null).await?.expect(202);
    let got = bob.wait_inbox(after, |item| pins(item).is_some()).await?;
    let unpinned = pins(&got).expect("a pin");
    assert_eq!(unpinned.r#type, Some(wa::message::pin_in_chat_message::Type::UNPIN_FOR_ALL));
    assert_eq!((unpinned.key.id.as_ref(), unpinned.key.from_me), (Some(&ours), Some(true)));
    for wrong in [json!({}), json!({ "days": 2 }), json!({ "days": null })] {
        pin(Method::PUT, &theirs, wrong).await?.expect(400);
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_messages_of_a_chat_disappear_when_it_is_told_so() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111002307", "Ann").await, sim.phone("628111002308", "Bob").await);
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    let moonwa = gateway(&sim, &ann).await?;
    let key = moonwa.key_of("toko");
    let day = json!({ "disappears_after": 86_400 });
    key.ask("toko", Method::PATCH, &format!("chats/{}", bob.number()), &day).await?.expect(204);
    let told = |item: &moonwa_simulator::InboxItem| {
        let protocol = item.message().and_then(|item| item.message.protocol_message.as_option());
        protocol.is_some_and(|protocol| protocol.ephemeral_expiration == Some(86_400))
    };
    bob.wait_inbox(0, told).await?;
    // What follows disappears as told.
    moonwa.send_text("toko", bob.number(), "besok hilang").await?;
    let got = bob.expect_text("besok hilang").await?.message;
    assert_eq!(got.extended_text_message.context_info.expiration, Some(86_400));

    let before = sim.cursor();
    key.ask("toko", Method::PATCH, &format!("chats/{}", group.jid()), &day).await?.expect(204);
    let set = |entry: &moonwa_simulator::Entry| {
        entry.is_in("iq") && entry.text.contains("<ephemeral expiration=\"86400\"")
    };
    sim.wait_journal(before, set).await?;
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
