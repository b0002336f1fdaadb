//! What each kind of failure does to the queue.

use std::time::Duration;

use moonwa::config::EndpointConfig;
use moonwa::model::UnixMillis;
use moonwa::store::{EndpointState, Seq};
use moonwa::task::Tasks;

use super::fixture::{FAST, Gate, REAL, device, endpoint, refs, texts};
use super::receiver::{Answer, Hit, OK, Receiver};

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let gate = Gate::open(FAST).await;
    let elsewhere = Receiver::start(&gate.tasks, |_| OK).await;
    let location = elsewhere.url.clone();
    let receiver =
        Receiver::start(&gate.tasks, move |_| Answer::Header(307, "location", location.clone()))
            .await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&["a"]).await;
    receiver.until(|hits| hits.len() >= 3).await;
    receiver.script(|_| OK);
    gate.report(|report| report.delivered == 1).await;
    assert!(elsewhere.hits().is_empty());
    assert!(receiver.hits().iter().all(|hit| hit.id() == ids[0].as_str()));
    let attempts = gate.hooks.attempts(&device(), 1).unwrap();
    assert_eq!((attempts[1].class, attempts[1].status), ("endpoint", Some(307)));
}

#[tokio::test]
async fn gone_waits_for_a_person_or_an_edit() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| Answer::Status(410)).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&["a"]).await;
    let report = gate.report(|report| report.state == EndpointState::Gone).await;
    assert_eq!((report.last_status, report.cursor, report.next_try), (Some(410), 0, None));
    gate.hooks.resume(&device(), 1).await.unwrap();
    receiver.until(|hits| hits.len() == 2).await;
    gate.report(|report| report.state == EndpointState::Gone).await;

    receiver.script(|_| OK);
    // The same file again is no edit.
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.report(|report| report.state == EndpointState::Gone).await;
    let mut edited = endpoint(&receiver.url);
    edited.headers.insert("x-team".into(), "cs".into());
    gate.configure(&[edited]).await;
    gate.report(|report| report.delivered == 1 && report.state == EndpointState::Active).await;
    let hits = receiver.hits();
    assert_eq!(hits.len(), 3);
    assert_eq!(hits[2].headers["x-team"], "cs");
}

fn poison(hit: &Hit) -> bool {
    hit.json()["data"]["text"] == "poison"
}

#[tokio::test]
async fn a_poison_message_is_parked_and_can_be_retried() {
    let gate = Gate::open(FAST).await;
    let refuse = |hit: &Hit| if poison(hit) { Answer::Status(422) } else { OK };
    let receiver = Receiver::start(&gate.tasks, refuse).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&["a", "poison", "b", "c"]).await;
    let report = gate.report(|report| report.delivered == 3).await;
    assert_eq!((report.parked, report.backlog, report.failing_since), (1, 0, None));
    let order: Vec<String> = receiver.hits().iter().map(|hit| hit.id().to_owned()).collect();
    let [a, bad, b, c] = [0, 1, 2, 3].map(|n| ids[n].as_str());
    assert_eq!(order, [a, bad, bad, bad, b, c]);

    let letters = gate.hooks.dead_letters(&device(), 1, Seq(0), 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].tries, letters[0].status), (3, Some(422)));
    assert_eq!(letters[0].id, ids[1]);
    assert_eq!(letters[0].body, receiver.hits()[1].body);

    let refused = gate.hooks.retry(&device(), 1, &ids[1]).await.unwrap();
    assert_eq!((refused.class, refused.status), ("message", Some(422)));
    assert_eq!(gate.hooks.dead_letters(&device(), 1, Seq(0), 10).await.unwrap().len(), 1);
    receiver.script(|_| OK);
    let taken = gate.hooks.retry(&device(), 1, &ids[1]).await.unwrap();
    assert_eq!((taken.class, &taken.event), ("delivered", &ids[1]));
    assert!(gate.hooks.dead_letters(&device(), 1, Seq(0), 10).await.unwrap().is_empty());
    assert!(gate.hooks.retry(&device(), 1, &ids[1]).await.is_err());
}

#[tokio::test]
async fn one_message_that_crashes_the_receiver_is_parked() {
    let gate = Gate::open(FAST).await;
    let crash = |hit: &Hit| if poison(hit) { Answer::Status(500) } else { OK };
    let receiver = Receiver::start(&gate.tasks, crash).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&["poison", "a"]).await;
    let report = gate.report(|report| report.delivered == 1).await;
    assert_eq!(report.parked, 1);
    assert_eq!(receiver.hits().iter().filter(|hit| poison(hit)).count(), 5);
}

#[tokio::test]
async fn three_parked_in_a_row_are_taken_back() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| Answer::Status(500)).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&["a", "b", "c", "d"]).await;
    // Five tries each for a, b and c; then a again.
    let hits = receiver.until(|hits| hits.len() >= 18).await;
    assert_eq!(hits[14].id(), ids[2].as_str());
    assert!(hits[15..].iter().all(|hit| hit.id() == ids[0].as_str()));
    let report = gate.report(|report| report.cursor == 0 && report.parked == 0).await;
    assert!(report.failing_since.is_some());
    receiver.script(|_| OK);
    gate.report(|report| report.delivered == 4 && report.failing_since.is_none()).await;
    let hits = receiver.hits();
    let last: Vec<&str> = hits[hits.len() - 4..].iter().map(Hit::id).collect();
    assert_eq!(last, ids.iter().map(moonwa::model::EventId::as_str).collect::<Vec<_>>());
    assert!(gate.hooks.dead_letters(&device(), 1, Seq(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn poison_at_the_head_of_an_outage_does_not_block_for_ever() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| Answer::Status(500)).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&["poison", "b", "c", "d"]).await;
    receiver.until(|hits| hits.len() >= 16).await;
    receiver.script(|hit| if poison(hit) { Answer::Status(500) } else { OK });
    let report = gate.report(|report| report.delivered == 3).await;
    assert_eq!((report.parked, report.cursor), (1, 4));
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let gate = Gate::open(REAL).await;
    let busy = |_: &Hit| Answer::Header(503, "retry-after", "1800".into());
    let receiver = Receiver::start(&gate.tasks, busy).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let before = UnixMillis::now();
    gate.say(&["a"]).await;
    let report = gate.report(|report| report.next_try.is_some()).await;
    let wait = report.next_try.unwrap().since(before);
    assert!(wait >= Duration::from_secs(1800) && wait < Duration::from_secs(1830), "{wait:?}");
    receiver.script(|_| OK);
    gate.hooks.resume(&device(), 1).await.unwrap();
    gate.report(|report| report.delivered == 1 && report.next_try.is_none()).await;
}

#[tokio::test]
async fn a_back_off_survives_a_restart() {
    let gate = Gate::open(REAL).await;
    let busy = |_: &Hit| Answer::Header(429, "retry-after", "600".into());
    let receiver = Receiver::start(&gate.tasks, busy).await;
    let hooks = [endpoint(&receiver.url)];
    gate.configure(&hooks).await;
    gate.say(&["a"]).await;
    let before = gate.report(|report| report.next_try.is_some()).await;
    let dir = gate.close().await;
    let gate = Gate::open_in(dir, REAL, 64 * 1024 * 1024).await;
    gate.configure(&hooks).await;
    let after = gate.report(|_| true).await;
    assert_eq!(after, before);
    assert!(gate.hooks.attempts(&device(), 1).unwrap().is_empty());
}

#[tokio::test]
async fn a_hanging_endpoint_delays_nobody_else() {
    let gate = Gate::open(REAL).await;
    let mut hanging = Vec::new();
    for _ in 0..3 {
        hanging.push(Receiver::start(&gate.tasks, |_| Answer::Hang).await);
    }
    let healthy = Receiver::start(&gate.tasks, |_| OK).await;
    let mut hooks: Vec<_> = hanging.iter().map(|receiver| endpoint(&receiver.url)).collect();
    hooks[0].timeout = Duration::from_millis(200);
    hooks.push(endpoint(&healthy.url));
    gate.configure(&hooks).await;
    gate.say(&refs(&texts(50))).await;
    healthy.until(|hits| hits.len() == 50).await;
    // The first has given up meanwhile or soon does: a timeout asks for a minute's patience.
    let report = gate.report(|report| report.next_try.is_some()).await;
    let wait = report.next_try.unwrap().since(report.failing_since.unwrap());
    assert!(wait >= Duration::from_mins(1), "{wait:?}");
    assert_eq!(report.last_error.as_deref(), Some("no answer within 200ms"));
    // The other two still hang; stopping does not wait for them.
    let stopping = std::time::Instant::now();
    gate.close().await;
    assert!(stopping.elapsed() < Duration::from_secs(4), "{:?}", stopping.elapsed());
}

#[tokio::test]
async fn an_unreachable_receiver_is_an_endpoint_failure() {
    let gate = Gate::open(FAST).await;
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = endpoint(&format!("http://user:secret@127.0.0.1:{port}/x?token=secret"));
    let metadata = endpoint("http://169.254.169.254/latest/meta-data");
    let header = EndpointConfig {
        headers: [("x-bad".to_owned(), "line\nbreak".to_owned())].into(),
        ..endpoint(&format!("http://127.0.0.1:{port}/y"))
    };
    gate.configure(&[refused, metadata, header]).await;
    gate.say(&["a"]).await;
    let report = gate.report_of(1, |report| report.last_error.is_some()).await;
    assert_eq!(report.url, format!("http://127.0.0.1:{port}/x"));
    assert!(report.last_error.unwrap().contains("refused"));
    let report = gate.report_of(2, |report| report.last_error.is_some()).await;
    assert!(report.last_error.unwrap().contains("may not go to"));
    let report = gate.report_of(3, |report| report.last_error.is_some()).await;
    assert!(report.last_error.unwrap().contains("header"));
    for n in 1..=3 {
        let attempts = gate.hooks.attempts(&device(), n).unwrap();
        assert!(attempts.iter().all(|attempt| attempt.class == "endpoint"), "{attempts:?}");
    }
}

#[tokio::test]
async fn an_answer_under_way_at_the_stop_is_still_counted() {
    let gate = Gate::open(REAL).await;
    // Not one of the gateway's tasks: it outlives them, and answers once they are told to stop.
    let outside = Tasks::new();
    let stop = gate.tasks.stop().clone();
    let receiver = Receiver::start(&outside, move |_| Answer::When(stop.clone())).await;
    let hooks = [endpoint(&receiver.url)];
    gate.configure(&hooks).await;
    gate.say(&["a"]).await;
    receiver.until(|hits| hits.len() == 1).await;
    let dir = gate.close().await;
    let gate = Gate::open_in(dir, REAL, 64 * 1024 * 1024).await;
    gate.configure(&hooks).await;
    gate.report(|report| report.delivered == 1 && report.cursor == 1).await;
    assert_eq!(receiver.hits().len(), 1);
}
