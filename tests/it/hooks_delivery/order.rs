//! What arrives, in which order, and how often.

use std::collections::BTreeSet;

use moonwa::facade::config::{EndpointConfig, EventFilter, Format, Start};
use moonwa::facade::hooks::EndpointReport;
use moonwa::facade::model::{EventId, EventType};
use moonwa::facade::store::Seq;

use super::fixture::{FAST, Gate, REAL, device, endpoint, message, refs, state_event, texts};
use super::receiver::{Answer, Hit, OK, Receiver, at_first};

#[tokio::test]
async fn the_logs_bytes_arrive_in_order() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let texts = texts(100);
    let ids = gate.say(&refs(&texts)).await;
    let hits = receiver.until(|hits| hits.len() == 100).await;
    for (hit, id) in hits.iter().zip(&ids) {
        assert_eq!(hit.id(), id.as_str());
        assert_eq!(hit.headers["content-type"], "application/json");
        assert_eq!(hit.headers["content-length"], hit.body.len().to_string());
        assert_eq!(hit.headers["user-agent"], concat!("moonwa/", env!("CARGO_PKG_VERSION")));
        assert_eq!(hit.path, "/hook");
    }
    let stored = gate.store.log().read_after(&device(), Seq(0), 1).await.unwrap();
    assert_eq!(hits[0].body, stored.events[0].body);
    let report = gate.report(|report| report.delivered == 100).await;
    assert_eq!((report.backlog, report.cursor, report.failing_since), (0, 100, None));
}

#[tokio::test]
async fn order_is_kept_while_every_event_fails_first() {
    let gate = Gate::open(FAST).await;
    let mut seen = BTreeSet::new();
    let receiver = Receiver::start(&gate.tasks, move |hit| {
        if seen.insert(hit.id().to_owned()) { Answer::Status(503) } else { OK }
    })
    .await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&refs(&texts(20))).await;
    let hits = receiver.until(|hits| hits.len() == 40).await;
    let twice: Vec<&str> = ids.iter().flat_map(|id| [id.as_str(), id.as_str()]).collect();
    assert_eq!(hits.iter().map(Hit::id).collect::<Vec<_>>(), twice);
    gate.report(|report| report.delivered == 20 && report.failing_since.is_none()).await;
}

#[tokio::test]
async fn a_receiver_that_crashes_for_a_while_loses_nothing_and_needs_nobody() {
    // As many as the first event is tried before others are tried instead.
    const FAILURES: usize = 7;
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, at_first(FAILURES, || Answer::Status(500))).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    // A stream that goes on meanwhile: a message for every try.
    let mut ids = Vec::new();
    for n in 1..=FAILURES {
        ids.extend(gate.say(&[&format!("during {n}")]).await);
        receiver.until(|hits| hits.len() >= n).await;
    }
    ids.extend(gate.say(&refs(&texts(30))).await);
    let report = gate.report(|report| report.delivered == 37).await;
    assert_eq!((report.backlog, report.parked, report.dropped), (0, 0, 0));
    assert_eq!(report.failing_since, None);
    assert!(gate.hooks.dead_letters(&device(), 1, Seq(0), 10).await.unwrap().is_empty());
    let hits = receiver.hits();
    let taken: Vec<&str> = hits[FAILURES..].iter().map(Hit::id).collect();
    assert_eq!(taken, ids.iter().map(EventId::as_str).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_cursor_survives_a_restart() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    // A port that lives longer than the gateway.
    let hooks = [endpoint(&receiver.url)];
    gate.configure(&hooks).await;
    gate.say(&["a", "b", "c"]).await;
    receiver.until(|hits| hits.len() == 3).await;
    gate.report(|report| report.delivered == 3).await;
    let dir = gate.close().await;

    let gate = Gate::open_in(dir, FAST, 64 * 1024 * 1024).await;
    gate.say(&["d"]).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[EndpointConfig { start: Start::Earliest, ..endpoint(&receiver.url) }]).await;
    // Another URL is another endpoint, and starts as the file says.
    let hits = receiver.until(|hits| hits.len() == 4).await;
    assert_eq!(hits[3].json()["data"]["text"], "d");
    // The old one goes on after `c`.
    gate.configure(&hooks).await;
    let report = gate.report(|report| report.failing_since.is_some()).await;
    assert_eq!((report.cursor, report.delivered, report.backlog), (3, 3, 1));
    gate.close().await;
}

#[tokio::test]
async fn unwanted_events_are_passed_without_a_post() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let mut events: Vec<_> = (0..200).map(|n| state_event(&n.to_string())).collect();
    events.push(message("at last"));
    gate.store.log().append(events).await.unwrap();
    let hits = receiver.until(|hits| !hits.is_empty()).await;
    assert_eq!(hits[0].json()["data"]["text"], "at last");
    gate.report(|report| report.cursor == 201 && report.delivered == 1).await;

    let all = EventFilter(BTreeSet::from([EventType::DeviceState, EventType::MessageReceived]));
    gate.configure(&[EndpointConfig { events: all, ..endpoint(&receiver.url) }]).await;
    gate.store.log().append(vec![state_event("wanted now")]).await.unwrap();
    let hits = receiver.until(|hits| hits.len() == 2).await;
    assert_eq!(hits[1].json()["type"], "device.state");
}

#[tokio::test]
async fn passed_events_are_not_passed_again_after_a_restart() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    let hooks = [endpoint(&receiver.url)];
    gate.configure(&hooks).await;
    gate.store.log().append(vec![state_event("1"), state_event("2")]).await.unwrap();
    gate.report(|report| report.cursor == 2).await;
    let dir = gate.close().await;
    let gate = Gate::open_in(dir, FAST, 64 * 1024 * 1024).await;
    let id = moonwa::facade::store::EndpointId::of(&device(), &hooks[0].url);
    let cursor = gate.store.cursors().load(&id).await.unwrap().unwrap();
    assert_eq!(cursor.acked, Seq(2));
}

#[tokio::test]
async fn what_retention_drops_is_counted_exactly() {
    let gate = Gate::open_in(tempfile::TempDir::new().unwrap(), FAST, 64 * 1024).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    let paused = EndpointConfig { paused: true, ..endpoint(&receiver.url) };
    gate.configure(std::slice::from_ref(&paused)).await;
    for some in texts(600).chunks(50) {
        gate.say(&refs(some)).await;
    }
    gate.configure(&[EndpointConfig { paused: false, ..paused }]).await;
    let report = gate.report(|report| report.cursor == 600).await;
    assert!(report.dropped > 0, "{report:?}");
    assert_eq!(report.dropped + report.delivered, 600);
    let hits = receiver.hits();
    assert_eq!(hits.len() as u64, report.delivered);
    assert_eq!(hits[0].json()["data"]["text"], format!("m{}", report.dropped + 1));
}

#[tokio::test]
async fn what_retention_drops_is_announced_and_told_at_once() {
    let gate = Gate::open_in(tempfile::TempDir::new().unwrap(), REAL, 256 * 1024).await;
    let away = Receiver::start(&gate.tasks, |_| OK).await;
    let down = Receiver::start(&gate.tasks, |_| Answer::Status(503)).await;
    let healthy = Receiver::start(&gate.tasks, |_| OK).await;
    let paused = EndpointConfig { paused: true, ..endpoint(&away.url) };
    let others = [endpoint(&down.url), endpoint(&healthy.url)];
    gate.configure(&[vec![paused.clone()], others.to_vec()].concat()).await;
    // Says more until both that take nothing are as wanted. Neither looks at the log meanwhile.
    let mut said = 0;
    let mut until = async |wanted: fn(&EndpointReport) -> bool| {
        loop {
            let texts: Vec<String> = (said + 1..=said + 20).map(|n| format!("m{n}")).collect();
            gate.say(&refs(&texts)).await;
            said += 20;
            gate.report_of(3, |report| report.delivered == said).await;
            let mut behind = Vec::new();
            for n in 1..=2 {
                let all = |report: &EndpointReport| report.backlog + report.dropped == said;
                behind.push(gate.report_of(n, all).await);
            }
            if behind.iter().all(wanted) {
                return behind;
            }
        }
    };
    for report in until(|report| report.at_risk).await {
        assert_eq!((report.dropped, report.cursor), (0, 0), "{report:?}");
    }
    for report in until(|report| report.dropped > 0).await {
        assert_eq!(report.cursor, report.dropped, "{report:?}");
    }
    let report = gate.report_of(3, |_| true).await;
    assert_eq!((report.dropped, report.at_risk), (0, false));
    let dropped = gate.report_of(1, |_| true).await.dropped;
    // Who comes back gets the rest.
    let back = EndpointConfig { paused: false, ..paused };
    gate.configure(&[vec![back], others.to_vec()].concat()).await;
    let report = gate.report(|report| report.backlog == 0 && !report.at_risk).await;
    assert_eq!(report.dropped, dropped);
    assert_eq!(away.hits()[0].json()["data"]["text"], format!("m{}", dropped + 1));
}

#[tokio::test]
async fn a_receiver_for_another_body_gets_texts_only() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    let events = EventFilter(EventType::ALL.into());
    let format = Format::Moonwa;
    gate.configure(&[EndpointConfig { events, format, ..endpoint(&receiver.url) }]).await;
    gate.store.log().append(vec![state_event("1"), message("halo")]).await.unwrap();
    let hits = receiver.until(|hits| !hits.is_empty()).await;
    let start = br#"{"message":"halo","from":"628123456789","isGroup":false,"isMe":false,"#;
    assert!(hits[0].body.starts_with(start), "{:?}", hits[0].body);
    gate.report(|report| report.cursor == 2 && report.delivered == 1).await;
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_no_attempt() {
    let gate = Gate::open(FAST).await;
    let mut requests = 0;
    let receiver = Receiver::start(&gate.tasks, move |_| {
        requests += 1;
        if requests == 2 { Answer::HangUp } else { OK }
    })
    .await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&["a", "b"]).await;
    let hits = receiver.until(|hits| hits.len() == 3).await;
    assert_eq!(hits[1].id(), hits[2].id());
    gate.report(|report| report.delivered == 2).await;
    let attempts = gate.hooks.attempts(&device(), 1).unwrap();
    let classes: Vec<_> = attempts.iter().map(|attempt| attempt.class).collect();
    assert_eq!(classes, ["delivered", "delivered"]);
}
