//! Events and quizzes, and who answers them.

use super::files::Story;
use super::support::{Gateway, to};
use anyhow::{Context as _, Result};
use moonwa::facade::model::{Content, EventPlace, EventType, UnixMillis};
use moonwa_simulator::Simulator;

fn meeting(link: Option<&str>) -> Content {
    Content::Event {
        name: "Rapat".to_owned(),
        description: Some("Anggaran".to_owned()),
        start: UnixMillis::from_secs(1_796_000_000),
        end: Some(UnixMillis::from_secs(1_796_003_600)),
        place: Some(EventPlace {
            name: Some("Aula".to_owned()),
            address: None,
            degrees: Some(("-6.2".to_owned(), "106.8".to_owned())),
        }),
        link: link.map(str::to_owned),
    }
}

#[tokio::test]
async fn an_event_is_on_the_phone_as_it_was_written() -> Result<()> {
    let story = Story::begin(16).await?;
    let got = story.sent(to(story.bob.number(), meeting(None))).await?.message;
    let event = got.event_message.as_option().context("an event")?;
    assert_eq!(
        (event.name.as_deref(), event.description.as_deref()),
        (Some("Rapat"), Some("Anggaran"))
    );
    assert_eq!((event.start_time, event.end_time), (Some(1_796_000_000), Some(1_796_003_600)));
    let place = event.location.as_option().context("a place")?;
    assert_eq!(
        (place.name.as_deref(), place.degrees_latitude, place.degrees_longitude),
        (Some("Aula"), Some(-6.2), Some(106.8))
    );
    assert_eq!((&event.join_link, event.is_schedule_call), (&None, None));
    let secret = got.message_context_info.as_option().and_then(|c| c.message_secret.as_ref());
    assert_eq!(secret.map(Vec::len), Some(32));

    for (link, call) in
        [("https://call.whatsapp.com/video/abc", true), ("https://meet.example/abc", false)]
    {
        let got = story.sent(to(story.bob.number(), meeting(Some(link)))).await?.message;
        let event = got.event_message.as_option().context("an event")?;
        assert_eq!((event.join_link.as_deref(), event.is_schedule_call), (Some(link), Some(call)));
    }
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn who_comes_is_read_also_after_a_restart() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000351", "Ann").await, sim.phone("628111000352", "Bob").await);
    let group = sim.group("Tim", &[&ann, &bob]).await?;
    let mut gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let mut sent = Vec::new();
    for chat in [bob.number().to_owned(), group.jid()] {
        let row = gateway.send(to(&chat, meeting(None))).await?;
        let mine = |m: &moonwa_simulator::InboxMessage| m.id == row.id.as_str();
        bob.wait_inbox(0, |item| item.message().is_some_and(mine)).await?;
        sent.push(row.id.to_string());
    }
    gateway = gateway.restart(&sim).await?;
    gateway.expect_connected().await;
    for (chat, id) in [ann.number(), &group.id].into_iter().zip(&sent) {
        for (going, guests, word) in [(true, 2, "going"), (false, 0, "not_going")] {
            let answer = bob.respond(chat, id, going, guests).await?;
            let event =
                gateway.expect_event(EventType::MessageReceived, |data| data["id"] == answer).await;
            assert_eq!(event["data"]["kind"], "event_response");
            let details = &event["data"]["details"];
            assert_eq!(details["message"], id.as_str());
            assert_eq!((&details["response"], &details["guests"]), (&word.into(), &guests.into()));
        }
    }
    // One that somebody else invited to.
    let theirs = bob.send_event(&group, "Arisan").await?;
    gateway.expect_event(EventType::MessageReceived, |data| data["id"] == theirs).await;
    let answer = ann.respond(&group, &theirs, true, 0).await?;
    let event = gateway.expect_event(EventType::MessageSent, |data| data["id"] == answer).await;
    assert_eq!(event["data"]["details"]["response"], "going", "{event}");
    sim.assert_no_violations();
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_quiz_names_its_right_answer_and_its_votes_are_read() -> Result<()> {
    let story = Story::begin(17).await?;
    let options = ["Bandung", "Jakarta", "Medan"].map(str::to_owned).to_vec();
    let quiz = Content::Poll {
        question: "Ibu kota?".to_owned(),
        options: options.clone(),
        selectable: 1,
        correct: Some("Jakarta".to_owned()),
    };
    let got = story.sent(to(story.bob.number(), quiz)).await?;
    let poll = got.message.poll_creation_message_v3.as_option().context("a poll")?;
    assert_eq!(format!("{:?}", poll.poll_type), "Some(QUIZ)");
    let correct = poll.correct_answer.as_option().and_then(|answer| answer.option_name.as_deref());
    assert_eq!(correct, Some("Jakarta"));

    let several =
        Content::Poll { question: "Ke mana?".to_owned(), options, selectable: 2, correct: None };
    let poll = story.sent(to(story.bob.number(), several)).await?;
    let creation = poll.message.poll_creation_message.as_option().context("a poll")?;
    assert_eq!(creation.selectable_options_count, Some(2));
    assert!(creation.poll_type.is_none() && !creation.correct_answer.is_set());
    for (id, chosen) in [(&got.id, vec!["Medan"]), (&poll.id, vec!["Bandung", "Medan"])] {
        let vote = story.bob.vote(&story.ann, id, &chosen).await?;
        let event =
            story.gateway.expect_event(EventType::PollVote, |data| data["id"] == vote).await;
        assert_eq!(event["data"]["details"]["options"], serde_json::json!(chosen));
    }
    story.end().await;
    Ok(())
}
