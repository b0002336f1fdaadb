//! More of what the engine does: pairing by code, groups, files, two accounts, logging out.

use moonwa_simulator::Simulator;
use wa_rs::download::MediaType;
use wa_rs::media::{ImageOptions, image_message};
use wa_rs::upload::UploadOptions;
use wa_rs::wacore::types::events::Event;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::protocol_message::Type;
use wa_rs::{GroupCreateOptions, GroupParticipantOptions, GroupSubject, Jid};

use super::client::TestClient;
use super::{ANN, BOB, linked, to};

#[tokio::test(flavor = "multi_thread")]
async fn a_code_pairs_too() {
    let sim = Simulator::start().await.unwrap();
    let ann = sim.phone(ANN, "Ann").await;
    let client = TestClient::start_with_code(&sim, ANN).await;
    let code = |e: &Event| match e {
        Event::PairingCode(code) => Some(code.code.clone()),
        _ => None,
    };
    let code = client.wait(0, "PairingCode", code).await;
    ann.enter_code(&code).await.unwrap();
    client.connected(0).await;
    sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_talk_both_ways() {
    let p = linked().await;
    let carl = p.sim.phone("4915550000003", "Carl").await;
    let group = p.sim.group("Garden", &[&p.bob, &p.ann, &carl]).await.unwrap();
    let jid: Jid = group.jid().parse().unwrap();
    p.bob.send_text(&group, "hello all").await.unwrap();
    p.client.text("hello all").await;
    p.bob.send_text(&group, "again").await.unwrap();
    p.client.text("again").await;
    for text in ["from Ann", "and more"] {
        let id = p.client.client.send_text(jid.clone(), text).await.unwrap().message_id;
        assert_eq!(p.client.acked(&id).await, None);
        for phone in [&p.bob, &carl, &p.ann] {
            let got = phone.expect_text(text).await.unwrap();
            assert_eq!((got.from.as_str(), &got.chat), (ANN, &group.id));
        }
    }
    let groups = p.client.client.groups().get_participating().await.unwrap();
    assert_eq!(groups.values().map(|g| g.subject.as_str()).collect::<Vec<_>>(), ["Garden"]);
    let dora = p.sim.phone("4915550000004", "Dora").await;
    let events = p.client.cursor();
    group.add(&p.bob, &[&dora]).await.unwrap();
    p.client
        .wait(events, "GroupUpdate", |e| matches!(e, Event::GroupUpdate(_)).then_some(()))
        .await;
    p.client.client.send_text(jid, "welcome").await.unwrap();
    dora.expect_text("welcome").await.unwrap();
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_go_both_ways() {
    let p = linked().await;
    let picture: Vec<u8> = (0..70_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let client = &p.client.client;
    let upload =
        client.upload(picture.clone(), MediaType::Image, UploadOptions::default()).await.unwrap();
    let options = ImageOptions { caption: Some("look".to_owned()), ..Default::default() };
    client.send_message(to(&p.bob), image_message(upload, options)).await.unwrap();
    let got = p.bob.expect_text("look").await.unwrap();
    assert_eq!(p.bob.media(&got.message).unwrap(), picture);

    p.bob.send_image(&p.ann, &picture, Some("see")).await.unwrap();
    let image = p
        .client
        .wait(0, "image", |e| {
            e.messages().find_map(|m| m.message.image_message.as_option().cloned())
        })
        .await;
    assert_eq!(image.caption.as_deref(), Some("see"));
    assert_eq!(client.download(&image).await.unwrap(), picture);
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_replies_edits_and_revokes_arrive() {
    let p = linked().await;
    let id = p.client.client.send_text(to(&p.bob), "what?").await.unwrap().message_id;
    p.bob.expect_text("what?").await.unwrap();
    p.bob.react(&p.ann, &id, "👍").await.unwrap();
    let reaction =
        |e: &Event| e.messages().find_map(|m| m.message.reaction_message.as_option().cloned());
    let reaction = p.client.wait(0, "reaction", reaction).await;
    assert_eq!(reaction.key.id.as_deref(), Some(id.as_str()));
    p.bob.reply(&p.ann, &id, "that!").await.unwrap();
    p.client.text("that!").await;
    let sent = p.bob.send_text(&p.ann, "tpyo").await.unwrap();
    p.client.text("tpyo").await;
    p.bob.edit(&p.ann, &sent, "typo").await.unwrap();
    let edited = |e: &Event| {
        let edit = |m: &wa::Message| m.edited_message.is_set() || protocol(m, Type::MESSAGE_EDIT);
        e.messages().any(|m| edit(&m.message)).then_some(())
    };
    p.client.wait(0, "edit", edited).await;
    p.bob.revoke(&p.ann, &sent).await.unwrap();
    let revoked =
        |e: &Event| e.messages().any(|m| protocol(&m.message, Type::REVOKE)).then_some(());
    p.client.wait(0, "revoke", revoked).await;
    p.bob.send_poll(&p.ann, "Tea?", &["yes", "no"]).await.unwrap();
    let poll =
        |e: &Event| e.messages().any(|m| m.message.poll_creation_message_v3.is_set()).then_some(());
    p.client.wait(0, "poll", poll).await;
    p.sim.assert_no_violations();
}

fn protocol(message: &wa::Message, kind: Type) -> bool {
    message.protocol_message.as_option().and_then(|p| p.r#type) == Some(kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_with_companions_talk() {
    let p = linked().await;
    let other = TestClient::start(&p.sim).await;
    p.bob.scan(&other.qr().await).await.unwrap();
    other.connected(0).await;
    p.client.client.send_text(to(&p.bob), "to both").await.unwrap();
    other.text("to both").await;
    p.bob.expect_text("to both").await.unwrap();
    other.client.send_text(to(&p.ann), "answer").await.unwrap();
    p.client.text("answer").await;
    assert!(p.bob.expect_text("answer").await.unwrap().from_me);
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_with_two_companions() {
    let p = linked().await;
    // What it asks about its own devices after it connects must not be answered with those of before the second one.
    p.sim.wait_journal(0, |e| p.ann.is_asked_about(e)).await.unwrap();
    let second = TestClient::start(&p.sim).await;
    let before = p.client.cursor();
    p.ann.scan(&second.qr().await).await.unwrap();
    second.connected(0).await;
    let is_told = |e: &Event| matches!(e, Event::DeviceListUpdate(_)).then_some(());
    p.client.wait(before, "news of the second companion", is_told).await;
    p.bob.send_text(&p.ann, "to all of you").await.unwrap();
    p.client.text("to all of you").await;
    second.text("to all of you").await;
    p.client.client.send_text(to(&p.bob), "mine").await.unwrap();
    assert!(second.text("mine").await.1);
    assert_eq!(p.ann.devices().iter().map(|d| d.id).collect::<Vec<_>>(), [1, 2]);
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_unlinks() {
    let p = linked().await;
    p.client.client.logout().await;
    p.sim.wait_journal(0, |e| e.tag == "unlinked").await.unwrap();
    assert!(p.ann.devices().is_empty());
    p.sim.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn scanning_refuses_what_is_wrong() {
    let sim = Simulator::start().await.unwrap();
    let ann = sim.phone(ANN, "Ann").await;
    let (one, two) = (TestClient::start(&sim).await, TestClient::start(&sim).await);
    let (qr, other) = (one.qr().await, two.qr().await);
    let fields: Vec<&str> = qr.split(',').collect();
    let foreign: Vec<&str> = other.split(',').collect();
    let cases = [
        ("nonsense".to_owned(), "not a QR code"),
        (fields[..4].join(","), "four fields"),
        (format!("2@old,{}", fields[1..].join(",")), "expired"),
        (format!("{},{}", fields[0], foreign[1..].join(",")), "another connection"),
    ];
    for (qr, reason) in cases {
        let error = ann.scan(&qr).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    ann.scan(&qr).await.unwrap();
    assert!(ann.scan(&qr).await.is_err(), "a reference works once");
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_found() {
    let p = linked().await;
    let asked = [to(&p.bob), "4915559999999@s.whatsapp.net".parse().unwrap()];
    let found = p.client.client.contacts().is_on_whatsapp(&asked).await.unwrap();
    let found: Vec<_> = found.iter().map(|r| (r.jid.user.to_string(), r.is_registered)).collect();
    assert!(found.contains(&(BOB.to_owned(), true)), "{found:?}");
    assert!(found.contains(&("4915559999999".to_owned(), false)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_as_history() {
    let p = linked().await;
    p.client.stop().await;
    p.bob.send_text(&p.ann, "long ago").await.unwrap();
    p.ann.expect_text("long ago").await.unwrap();
    let second = TestClient::start(&p.sim).await;
    p.ann.scan(&second.qr().await).await.unwrap();
    second.connected(0).await;
    p.ann.share_history(2).await.unwrap();
    let history = |e: &Event| match e {
        Event::HistorySync(history) => Some(history.get().is_some_and(|h| {
            h.conversations.iter().any(|c| c.messages.len() == 1) && h.pushnames.len() == 2
        })),
        _ => None,
    };
    assert!(second.wait(0, "HistorySync", history).await);
    assert_eq!(second.times("long ago"), 0, "history is no live message");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_make_and_change_groups() {
    let p = linked().await;
    let carl = p.sim.phone("4915550000003", "Carl").await;
    let groups = p.client.client.groups();
    let options: GroupCreateOptions = GroupCreateOptions::builder()
        .subject("Made here")
        .participants(vec![GroupParticipantOptions::new(to(&p.bob))])
        .build();
    let group = groups.create_group(options).await.unwrap().metadata.id;
    let members = |sim: &Simulator| {
        sim.state()["groups"][0]["members"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(members(&p.sim), [ANN, BOB]);
    groups.add_participants(group.clone(), &[to(&carl)]).await.unwrap();
    assert_eq!(members(&p.sim), [ANN, BOB, carl.number()]);
    p.client.client.send_text(group.clone(), "hello three").await.unwrap();
    carl.expect_text("hello three").await.unwrap();
    groups.remove_participants(group.clone(), &[to(&carl)]).await.unwrap();
    groups.set_subject(group.clone(), GroupSubject::new("Renamed").unwrap()).await.unwrap();
    assert_eq!(p.sim.state()["groups"][0]["subject"], "Renamed");
    groups.leave(group).await.unwrap();
    assert_eq!(members(&p.sim), [BOB]);
    p.sim.assert_no_violations();
}
