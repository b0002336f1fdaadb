//! Message ids are their senders' choice, and moonwa looks back only so far: what is found under an id, and what is
//! said of one that is not.

use anyhow::{Context, Result};
use moonwa::facade::model::{EventId, EventType, MessageId, UnixMillis};
use moonwa::facade::store::{Counted, NewEvent};
use moonwa::facade::whatsapp::WhatsAppError;
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{Fault, Simulator, wa};

use super::support::{Gateway, name, text_to};

#[tokio::test]
async fn a_copied_id_changes_nothing_about_the_message_that_had_it_first() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000401", "Ann").await;
    let (bob, eve) =
        (sim.phone("628111000402", "Bob").await, sim.phone("628111000403", "Eve").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let from = async |phone: &moonwa_simulator::Phone, id: &str| {
        let number = phone.number().to_owned();
        let theirs = |data: &serde_json::Value| data["id"] == id && data["from"]["phone"] == number;
        gateway.expect_event(EventType::MessageReceived, theirs).await
    };

    // A file: the one that was announced is the one that is fetched.
    let id = bob.send_image(&ann, b"\xff\xd8\xff\xe0 the invoice", None).await?;
    from(&bob, &id).await;
    let other = eve.send_image(&bob, b"\xff\xd8\xff\xe0 another invoice", None).await?;
    let its = |item: &moonwa_simulator::InboxItem| item.message().is_some_and(|m| m.id == other);
    let forged = bob.wait_inbox(0, its).await?.message().context("a message")?.message.clone();
    eve.send_as(&ann, forged, Some(id.clone())).await?;
    from(&eve, &id).await;
    assert_eq!(gateway.media(&id).await?, b"\xff\xd8\xff\xe0 the invoice");

    // A poll: its votes are read with the secret of the one that was there first.
    let poll = bob.send_poll(&ann, "When?", &["now", "later"]).await?;
    from(&bob, &poll).await;
    let other = eve.send_poll(&bob, "When?", &["never"]).await?;
    let its = |item: &moonwa_simulator::InboxItem| item.message().is_some_and(|m| m.id == other);
    let forged = bob.wait_inbox(0, its).await?.message().context("a message")?.message.clone();
    eve.send_as(&ann, forged, Some(poll.clone())).await?;
    from(&eve, &poll).await;
    let vote = bob.vote(&ann, &poll, &["later"]).await?;
    let vote = gateway.expect_event(EventType::PollVote, |data| data["id"] == vote).await;
    assert_eq!(vote["data"]["details"]["options"], serde_json::json!(["later"]));

    // A reply: in Bob's chat it quotes Bob, whatever somebody else has written since.
    let id = bob.send_text(&ann, "the price, please").await?;
    from(&bob, &id).await;
    let forged = wa::Message { conversation: Some("pay me".to_owned()), ..Default::default() };
    eve.send_as(&ann, forged, Some(id.clone())).await?;
    from(&eve, &id).await;
    let mut reply = text_to(bob.number(), "ten");
    reply.reply_to = MessageId::parse(&id);
    let sent = gateway.send(reply).await?;
    let ours = |item: &moonwa_simulator::InboxItem| {
        item.message().is_some_and(|message| message.id == sent.id.as_str())
    };
    let got = bob.wait_inbox(0, ours).await?.message().context("a message")?.message.clone();
    let text = got.extended_text_message.as_option().context("a text that quotes")?;
    let context = text.context_info.as_option().context("what it quotes")?;
    let quoted = context.quoted_message.as_option().and_then(|quoted| quoted.conversation.clone());
    assert_eq!(quoted.as_deref(), Some("the price, please"));
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_lies_too_far_back_is_not_called_unknown() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000404", "Ann").await, sim.phone("628111000405", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let id = bob.send_text(&ann, "long ago").await?;
    gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
    let (old, never) = (MessageId::parse(&id).context("an id")?, MessageId::random());
    gateway.device().can_forward(&old).await?;
    let answer = gateway.device().mark_read(&never).await;
    assert!(matches!(answer, Err(WhatsAppError::NotFound)), "{answer:?}");

    let later = |n: usize| NewEvent {
        device: name(),
        id: EventId::derive(&["later", &n.to_string()]),
        kind: EventType::CallOffer,
        at: UnixMillis::now(),
        body: "{}".into(),
        counts: Counted::Nothing,
    };
    gateway.store.log().append((0..5_200).map(later).collect()).await?;
    for answer in [gateway.device().mark_read(&old).await, gateway.device().can_forward(&old).await]
    {
        assert!(matches!(answer, Err(WhatsAppError::OutOfSight)), "{answer:?}");
    }
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_the_engine_has_is_not_taken_back() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000406", "Ann").await, sim.phone("628111000407", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let eve = sim.phone("628111000408", "Eve").await;
    gateway.send(text_to(eve.number(), "settled")).await?;
    eve.expect_text("settled").await?;
    // The first message to a person needs keys; the question for them is not answered, nor what the engine may still
    // ask about its own.
    sim.fault_times(&ann, Fault::IqTimeout("encrypt".to_owned()), 9);
    let row = gateway.send(text_to(bob.number(), "on its way")).await?;
    asked(&sim, &format!("<key><user jid=\"{}\"", bob.lid())).await;
    assert!(gateway.device().withdraw(&row.id).is_none(), "it may still go out");
    let free = gateway.device().withdraw(&MessageId::random());
    assert!(free.is_some(), "what nobody has can be taken back");
    // And it does go out, as soon as WhatsApp answers again.
    sim.clear_faults();
    gateway.device().reconnect().await?;
    bob.expect_text("on its way").await?;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_a_lost_connection_had_goes_out_with_the_next() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000409", "Ann").await, sim.phone("628111000410", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    sim.fault_times(&ann, Fault::IqTimeout("usync".to_owned()), 9);
    // To a LID, because a number is asked for before the engine has the message.
    let row = gateway.send(text_to(&bob.lid(), "on its way")).await?;
    asked(&sim, &bob.lid()).await;
    sim.clear_faults();
    gateway.device().reconnect().await?;
    assert_eq!(bob.expect_text("on its way").await?.id, row.id.to_string());
    gateway.stop().await;
    Ok(())
}

/// Waits until the engine asked something that WhatsApp was told not to answer.
async fn asked(sim: &Simulator, about: &str) {
    let asked =
        async || sim.journal().iter().any(|entry| entry.tag == "iq" && entry.text.contains(about));
    eventually("the engine asks", asked, |asked| *asked).await;
}
