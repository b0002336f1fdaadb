//! Every kind of message in: what a contact's phone sent, as the event tells it.

use super::support::Gateway;
use anyhow::Result;
use moonwa::facade::model::EventType;
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{File, Phone, Simulator};
use serde_json::{Value, json};
use wa_rs::buffa::MessageField;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message as part;

struct Story {
    sim: Simulator,
    ann: Phone,
    bob: Phone,
    gateway: Gateway,
}

impl Story {
    async fn begin(number: u32) -> Result<Self> {
        let sim = Simulator::start().await?;
        let ann = sim.phone(&format!("6281112{number:05}1"), "Ann").await;
        let bob = sim.phone(&format!("6281112{number:05}2"), "Bob").await;
        let gateway = Gateway::start(&sim).await?;
        gateway.link(&ann).await?;
        Ok(Self { sim, ann, bob, gateway })
    }

    /// What Bob sends to Ann, as the gateway's event tells it.
    async fn told(&self, message: wa::Message, kind: EventType) -> Result<Value> {
        let id = self.bob.send(&self.ann, message).await?;
        Ok(self.event(kind, &id).await)
    }

    async fn received(&self, message: wa::Message) -> Result<Value> {
        self.told(message, EventType::MessageReceived).await
    }

    async fn event(&self, kind: EventType, id: &str) -> Value {
        let event = self.gateway.expect_event(kind, |data| data["id"] == id).await;
        let data = event["data"].clone();
        assert_eq!(data["from"]["phone"], self.bob.number(), "the number, in every event");
        assert_eq!(format!("{}@lid", data["from"]["lid"].as_str().unwrap()), self.bob.lid());
        assert_eq!(data["chat"], self.bob.jid());
        data
    }

    async fn end(self) {
        self.sim.assert_no_violations();
        self.gateway.stop().await;
    }
}

fn wrapped(message: wa::Message) -> MessageField<part::FutureProofMessage> {
    MessageField::some(part::FutureProofMessage { message: MessageField::some(message) })
}

fn text(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn texts_with_mentions_and_replies() -> Result<()> {
    let story = Story::begin(1).await?;
    let data = story.received(text("halo")).await?;
    assert_eq!((&data["kind"], &data["text"]), (&json!("text"), &json!("halo")));
    assert_eq!((&data["mentions"], &data["reply_to"]), (&json!([]), &Value::Null));

    let context = wa::ContextInfo {
        mentioned_jid: vec![story.ann.jid()],
        stanza_id: Some("3EB0ASKED".into()),
        participant: Some(story.ann.jid()),
        quoted_message: MessageField::some(text("jam berapa?")),
        is_forwarded: Some(true),
        ..Default::default()
    };
    let extended = part::ExtendedTextMessage {
        text: Some("jam 8 @Ann".into()),
        context_info: MessageField::some(context),
        ..Default::default()
    };
    let message =
        wa::Message { extended_text_message: MessageField::some(extended), ..Default::default() };
    let data = story.received(message.clone()).await?;
    assert_eq!((&data["kind"], &data["text"]), (&json!("text"), &json!("jam 8 @Ann")));
    assert_eq!(data["mentions"], json!([story.ann.jid()]));
    let reply = json!({ "id": "3EB0ASKED", "from": story.ann.jid(), "text": "jam berapa?", "kind": "text" });
    assert_eq!(data["reply_to"], reply);
    assert_eq!(data["details"], json!({ "forwarded": true }));

    let fading = wa::Message { ephemeral_message: wrapped(message), ..Default::default() };
    let data = story.received(fading).await?;
    assert_eq!((&data["kind"], &data["text"]), (&json!("text"), &json!("jam 8 @Ann")));
    assert_eq!(data["reply_to"], reply, "also in a message that disappears");
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn in_a_group_of_lids_an_answer_to_a_file_says_which_and_who_is_mentioned() -> Result<()> {
    let story = Story::begin(9).await?;
    let (ann, bob) = (&story.ann, &story.bob);
    let group = story.sim.group("Warga", &[bob, ann]).await?;
    // Of a stranger nobody knows the number.
    let stranger = "199900000000001@lid";
    let document = part::DocumentMessage {
        file_name: Some("nota.pdf".into()),
        caption: Some("nota bulan Mei".into()),
        ..Default::default()
    };
    let quoted =
        wa::Message { document_message: MessageField::some(document), ..Default::default() };
    let context = wa::ContextInfo {
        mentioned_jid: vec![bob.lid(), stranger.to_owned()],
        stanza_id: Some("3EB0NOTA".into()),
        participant: Some(ann.lid()),
        quoted_message: wrapped_quote(quoted),
        expiration: Some(604_800),
        ..Default::default()
    };
    let extended = part::ExtendedTextMessage {
        text: Some("sudah dibayar".into()),
        context_info: MessageField::some(context),
        ..Default::default()
    };
    let message =
        wa::Message { extended_text_message: MessageField::some(extended), ..Default::default() };
    let id = bob.send(&group, message).await?;
    let event =
        story.gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
    let data = &event["data"];
    assert_eq!((&data["chat"], &data["group"]), (&json!(group.jid()), &json!(group.jid())));
    assert_eq!(data["from"]["phone"], bob.number());
    let lid = bob.lid().trim_end_matches("@lid").to_owned();
    let mentioned = json!([
        { "jid": bob.lid(), "phone": bob.number(), "lid": lid, "name": null },
        { "jid": stranger, "phone": null, "lid": "199900000000001", "name": null },
    ]);
    assert_eq!(data["mentioned"], mentioned);
    let reply = json!({
        "id": "3EB0NOTA", "from": ann.lid(), "text": "nota bulan Mei", "kind": "document",
        "filename": "nota.pdf",
    });
    assert_eq!(data["reply_to"], reply);
    assert_eq!(data["disappears_after"], 604_800);
    story.end().await;
    Ok(())
}

/// A file with a caption is quoted in a wrapper of its own.
fn wrapped_quote(file: wa::Message) -> MessageField<wa::Message> {
    MessageField::some(wa::Message {
        document_with_caption_message: wrapped(file),
        ..Default::default()
    })
}

#[tokio::test]
async fn every_kind_of_file() -> Result<()> {
    let story = Story::begin(2).await?;
    let bytes: Vec<u8> = (0..20_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let files = [
        (File::Image(Some("lihat".into())), "image/jpeg", "image", Some("lihat"), None),
        (File::Video(Some("film".into())), "video/mp4", "video", Some("film"), None),
        (File::Audio(false), "audio/mpeg", "audio", None, None),
        (File::Audio(true), "audio/ogg; codecs=opus", "voice", None, None),
        (File::Document("nota.pdf".into()), "application/pdf", "document", None, Some("nota.pdf")),
        (File::Sticker, "image/webp", "sticker", None, None),
    ];
    for (file, mime, kind, caption, name) in files {
        let id = story.bob.send_file(&story.ann, &bytes, mime, file).await?;
        let data = story.event(EventType::MessageReceived, &id).await;
        assert_eq!((&data["kind"], &data["text"]), (&json!(kind), &json!(caption)), "{data}");
        let media = &data["media"];
        assert_eq!(media["mime"], mime);
        assert_eq!((&media["size"], &media["filename"]), (&json!(bytes.len()), &json!(name)));
        assert_eq!(media["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(media["url"], format!("/v1/devices/toko/media/{id}"));
        assert_eq!(story.gateway.media(&id).await?, bytes, "{kind}, byte for byte");
    }
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn places_cards_and_polls() -> Result<()> {
    let story = Story::begin(3).await?;
    let place = part::LocationMessage {
        degrees_latitude: Some(-6.2),
        degrees_longitude: Some(106.8),
        name: Some("Toko".into()),
        address: Some("Jl. Mawar 1".into()),
        ..Default::default()
    };
    let place = wa::Message { location_message: MessageField::some(place), ..Default::default() };
    let data = story.received(place).await?;
    assert_eq!(data["kind"], "location");
    let details =
        json!({ "latitude": -6.2, "longitude": 106.8, "name": "Toko", "address": "Jl. Mawar 1" });
    assert_eq!(data["details"], details);

    let moving = part::LiveLocationMessage {
        degrees_latitude: Some(-6.25),
        degrees_longitude: Some(106.85),
        accuracy_in_meters: Some(12),
        caption: Some("di jalan".into()),
        ..Default::default()
    };
    let moving =
        wa::Message { live_location_message: MessageField::some(moving), ..Default::default() };
    let data = story.received(moving).await?;
    assert_eq!((&data["kind"], &data["text"]), (&json!("live_location"), &json!("di jalan")));
    assert_eq!(data["details"], json!({ "latitude": -6.25, "longitude": 106.85, "accuracy": 12 }));

    let card = |name: &str| part::ContactMessage {
        display_name: Some(name.into()),
        vcard: Some(format!("BEGIN:VCARD\nFN:{name}\nEND:VCARD")),
        ..Default::default()
    };
    let one =
        wa::Message { contact_message: MessageField::some(card("Siti")), ..Default::default() };
    let data = story.received(one).await?;
    let siti = json!({ "name": "Siti", "vcard": "BEGIN:VCARD\nFN:Siti\nEND:VCARD" });
    assert_eq!(
        (&data["kind"], &data["details"]),
        (&json!("contact"), &json!({ "contacts": [siti] }))
    );
    let two = part::ContactsArrayMessage {
        contacts: vec![card("Siti"), card("Budi")],
        ..Default::default()
    };
    let two = wa::Message { contacts_array_message: MessageField::some(two), ..Default::default() };
    let data = story.received(two).await?;
    assert_eq!(data["kind"], "contact");
    assert_eq!(data["details"]["contacts"][0], siti);
    assert_eq!(data["details"]["contacts"][1]["name"], "Budi");

    let id = story.bob.send_poll(&story.ann, "Kapan?", &["Senin", "Selasa"]).await?;
    let data = story.event(EventType::MessageReceived, &id).await;
    assert_eq!((&data["kind"], &data["text"]), (&json!("poll"), &json!("Kapan?")));
    assert_eq!(data["details"], json!({ "options": ["Senin", "Selasa"], "selectable": 1 }));
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn reactions_edits_and_revokes() -> Result<()> {
    let story = Story::begin(4).await?;
    let (ann, bob) = (&story.ann, &story.bob);
    let id = bob.send_text(ann, "slaah").await?;
    story.event(EventType::MessageReceived, &id).await;
    let reacted = bob.react(ann, &id, "👍").await?;
    let data = story.event(EventType::MessageReaction, &reacted).await;
    assert_eq!((&data["kind"], &data["text"]), (&json!("reaction"), &json!("👍")));
    assert_eq!(data["details"], json!({ "message": id, "emoji": "👍" }));
    let taken = bob.react(ann, &id, "").await?;
    let data = story.event(EventType::MessageReaction, &taken).await;
    assert_eq!(data["details"], json!({ "message": id, "emoji": "" }), "a reaction taken back");
    let edited = bob.edit(ann, &id, "salah").await?;
    let data = story.event(EventType::MessageEdited, &edited).await;
    assert_eq!((&data["kind"], &data["text"]), (&json!("text"), &json!("salah")));
    assert_eq!(data["details"]["message"], id);
    let revoked = bob.revoke(ann, &id).await?;
    let data = story.event(EventType::MessageRevoked, &revoked).await;
    assert_eq!((&data["kind"], &data["details"]["message"]), (&json!("revoked"), &json!(id)));
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn votes_tell_what_was_chosen() -> Result<()> {
    let story = Story::begin(5).await?;
    let (ann, bob) = (&story.ann, &story.bob);
    let poll = bob.send_poll(ann, "Kapan?", &["Senin", "Selasa"]).await?;
    story.event(EventType::MessageReceived, &poll).await;
    let vote = bob.vote(ann, &poll, &["Selasa"]).await?;
    let data = story.event(EventType::PollVote, &vote).await;
    assert_eq!(data["kind"], "poll_vote");
    assert_eq!(data["details"], json!({ "message": poll, "options": ["Selasa"] }));
    let taken = bob.vote(ann, &poll, &[]).await?;
    let data = story.event(EventType::PollVote, &taken).await;
    assert_eq!(data["details"], json!({ "message": poll, "options": [] }), "a vote taken back");

    // The poll went out from here, and the gateway was started anew since.
    let asked = story.gateway.send_poll(bob.number(), "Di mana?", &["Toko", "Rumah"]).await?;
    bob.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == asked)).await?;
    let Story { sim, ann, bob, gateway } = story;
    let gateway = gateway.restart(&sim).await?;
    gateway.expect_connected().await;
    let vote = bob.vote(&ann, &asked, &["Rumah", "Toko"]).await?;
    let data = gateway.expect_event(EventType::PollVote, |data| data["id"] == vote).await;
    assert_eq!(data["data"]["details"]["options"], json!(["Rumah", "Toko"]));

    // Among many, in a group, where everybody goes by a LID.
    let group = sim.group("Panitia", &[&bob, &ann]).await?;
    let poll = bob.send_poll(&group, "Siapa?", &["Ani", "Budi"]).await?;
    gateway.expect_event(EventType::MessageReceived, |data| data["id"] == poll).await;
    let vote = bob.vote(&group, &poll, &["Ani"]).await?;
    let data = gateway.expect_event(EventType::PollVote, |data| data["id"] == vote).await;
    assert_eq!(data["data"]["details"]["options"], json!(["Ani"]));
    assert_eq!(data["data"]["group"], group.jid());

    // A poll nobody here has seen: the vote is told, what it chose is not made up.
    let unknown = bob.send_poll(&bob, "Rahasia?", &["ya", "tidak"]).await?;
    let vote = bob.vote(&ann, &unknown, &["ya"]).await?;
    let data = gateway.expect_event(EventType::PollVote, |data| data["id"] == vote).await;
    assert_eq!(data["data"]["details"], json!({ "message": unknown }));
    sim.assert_no_violations();
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_seen_once_and_what_is_not_understood_is_named() -> Result<()> {
    let story = Story::begin(6).await?;
    let id = story.bob.send_for_phones_only(&story.ann).await?;
    let data = story.event(EventType::MessageReceived, &id).await;
    assert_eq!(data["kind"], "unavailable", "companions never get these");
    assert_eq!(data["details"], json!({ "type": "view_once" }));

    let inner = part::ImageMessage { caption: Some("sekali".into()), ..Default::default() };
    let inner = wa::Message { image_message: MessageField::some(inner), ..Default::default() };
    let once = wa::Message { view_once_message_v2: wrapped(inner), ..Default::default() };
    let data = story.received(once).await?;
    assert_eq!((&data["kind"], &data["text"]), (&json!("image"), &json!("sekali")));
    assert_eq!(data["details"]["view_once"], true);

    let album = part::AlbumMessage { expected_image_count: Some(2), ..Default::default() };
    let album = wa::Message { album_message: MessageField::some(album), ..Default::default() };
    let data = story.received(album).await?;
    assert_eq!((&data["kind"], &data["details"]), (&json!("album"), &json!({ "images": 2 })));
    let child =
        wa::Message { associated_child_message: wrapped(text("di album")), ..Default::default() };
    let data = story.received(child).await?;
    assert_eq!((&data["kind"], &data["text"]), (&json!("text"), &json!("di album")));
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn calls_and_changes_of_groups() -> Result<()> {
    let story = Story::begin(7).await?;
    let (ann, bob) = (&story.ann, &story.bob);
    for video in [false, true] {
        let id = bob.call(ann, video).await?;
        let event = story.gateway.expect_event(EventType::CallOffer, |data| data["id"] == id).await;
        let data = &event["data"];
        assert_eq!((&data["video"], &data["missed"]), (&json!(video), &json!(false)));
        assert_eq!(data["phone"], bob.number());
    }
    let cid = story.sim.phone("628111200073", "Cid").await;
    let group = story.sim.group("Warga", &[bob, ann]).await?;
    group.add(bob, &[&cid]).await?;
    let change = async |word: &str| {
        let event = story.gateway.expect_change(&group.jid(), word).await;
        assert_eq!(event["data"]["by_phone"], bob.number(), "{event}");
        event["data"].to_string()
    };
    let added = change("add").await;
    assert!(added.contains(cid.number()), "by their number, too: {added}");
    group.promote(bob, &[&cid]).await?;
    change("promote").await;
    group.remove(bob, &[&cid]).await?;
    change("remove").await;
    group.rename(bob, "Warga RT 5").await?;
    assert!(change("subject").await.contains("Warga RT 5"));
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn a_person_known_under_both_addresses_is_told_once() -> Result<()> {
    let story = Story::begin(8).await?;
    let lid = story.bob.lid().trim_end_matches("@lid").to_owned();
    let id = story.bob.send_text(&story.ann, "halo").await?;
    story.event(EventType::MessageReceived, &id).await;
    let resolved = story
        .gateway
        .expect_event(EventType::IdentityResolved, |data| data["lid"] == lid.as_str())
        .await;
    let expected = json!({ "jid": story.bob.jid(), "phone": story.bob.number(), "lid": lid });
    assert_eq!(resolved["data"], expected);
    let id = story.bob.send_text(&story.ann, "lagi").await?;
    story.event(EventType::MessageReceived, &id).await;
    let all = eventually("the log", || story.gateway.events(), |events| !events.is_empty()).await;
    let times = all.iter().filter(|e| e["type"] == "identity.resolved" && e["data"]["lid"] == lid);
    assert_eq!(times.count(), 1);
    story.end().await;
    Ok(())
}
