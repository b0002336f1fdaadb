//! The reply in an answer.

use moonwa::facade::config::{EndpointConfig, Format};
use moonwa::facade::hooks::ReplayFrom;
use moonwa::facade::model::{Content, MediaKind, MessageStatus, Recipient};

use super::fixture::{FAST, Gate, device, endpoint};
use super::receiver::{Answer, Receiver};

fn moonwa(url: &str) -> EndpointConfig {
    EndpointConfig { format: Format::Moonwa, ..endpoint(url) }
}

fn pong(text: &str) -> Answer {
    Answer::Body(format!(
        r#"{{"status":"success","data":{{"message_type":"text","message":{{"message":"{text}"}}}}}}"#
    ))
}

#[tokio::test]
async fn an_answer_is_queued_once_however_often_the_event_is_delivered() {
    let gate = Gate::open(FAST).await;
    let mut requests = 0;
    let receiver = Receiver::start(&gate.tasks, move |_| {
        requests += 1;
        pong(&format!("pong {requests}"))
    })
    .await;
    gate.configure(&[moonwa(&receiver.url)]).await;
    let ids = gate.say(&["ping"]).await;
    gate.report(|report| report.delivered == 1).await;
    gate.hooks.replay(&device(), 1, ReplayFrom::Event(ids[0].clone())).await.unwrap();
    gate.report(|report| report.delivered == 2).await;
    let queued = gate.queued().await;
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].status, MessageStatus::Queued);
    assert_eq!(queued[0].request.to, Recipient::parse("628123456789", None).unwrap());
    assert_eq!(queued[0].request.content, Content::Text { text: "pong 1".into() });
}

#[tokio::test]
async fn every_endpoint_may_answer() {
    let gate = Gate::open(FAST).await;
    let one = Receiver::start(&gate.tasks, |_| pong("one")).await;
    let two = Receiver::start(&gate.tasks, |_| pong("two")).await;
    gate.configure(&[moonwa(&one.url), moonwa(&two.url)]).await;
    gate.say(&["ping"]).await;
    gate.report_of(1, |report| report.delivered == 1).await;
    gate.report_of(2, |report| report.delivered == 1).await;
    assert_eq!(gate.queued().await.len(), 2);
}

#[tokio::test]
async fn media_and_long_texts_can_be_answers_and_nothing_is_none() {
    let gate = Gate::open(FAST).await;
    let long = "x".repeat(20_000);
    let answer = long.clone();
    let receiver = Receiver::start(&gate.tasks, move |hit| {
        match hit.json()["message"].as_str().unwrap() {
            "list" => Answer::Body(
                r#"{"status":"success","data":"{\"message_type\":\"media\",\"message\":{\"url\":\"https://a.example/list.pdf\",\"media_type\":\"file\"}}"}"#
                    .to_owned(),
            ),
            "long" => pong(&answer),
            _ => Answer::Body(r#"{"status":"success","data":false}"#.into()),
        }
    })
    .await;
    gate.configure(&[moonwa(&receiver.url)]).await;
    gate.say(&["hush", "list", "long"]).await;
    gate.report(|report| report.delivered == 3).await;
    let queued = gate.queued().await;
    assert_eq!(queued.len(), 2);
    let media = &queued[0].request.content;
    assert!(matches!(media, Content::Media { media: MediaKind::Document, .. }), "{media:?}");
    assert_eq!(queued[1].request.content, Content::Text { text: long });
}

#[tokio::test]
async fn the_standard_format_takes_no_replies() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| pong("pong")).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&["ping"]).await;
    gate.report(|report| report.delivered == 1).await;
    assert!(gate.queued().await.is_empty());
}
