//! What each kind of failure does to the queue.

use std::time::Duration;

use moonwa::facade::config::EndpointConfig;
use moonwa::facade::model::UnixMillis;
use moonwa::facade::store::{EndpointState, Seq};
use moonwa::facade::task::Tasks;

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

fn broken(_: &Hit) -> Answer {
    Answer::Status(500)
}

/// Cannot cope with some events, and takes the others.
fn picky(hit: &Hit) -> Answer {
    if poison(hit) { Answer::Status(500) } else { OK }
}

fn ids_of(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(Hit::id).collect()
}

#[tokio::test]
async fn one_message_that_crashes_the_receiver_is_parked() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, picky).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&["poison", "a", "b"]).await;
    let report = gate.report(|report| report.delivered == 2 && report.cursor == 3).await;
    assert_eq!((report.parked, report.failing_since, report.next_try), (1, None, None));
    let [poison, a, b] = [0, 1, 2].map(|n| ids[n].as_str());
    // After eight tries another one is taken, so it is not the receiver; once more, and it is parked.
    let hits = receiver.hits();
    assert_eq!(ids_of(&hits)[..8], [poison; 8]);
    assert_eq!(ids_of(&hits)[8..], [a, poison, b]);
}

#[tokio::test]
async fn without_another_event_nothing_is_parked() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, picky).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&["poison"]).await;
    receiver.until(|hits| hits.len() >= 20).await;
    let report = gate.report(|report| report.failing_since.is_some()).await;
    assert_eq!((report.parked, report.cursor, report.backlog), (0, 0, 1));
    gate.say(&["a"]).await;
    let report = gate.report(|report| report.cursor == 2).await;
    assert_eq!((report.parked, report.delivered, report.backlog), (1, 1, 0));
}

#[tokio::test]
async fn poison_in_a_row_is_parked_although_the_next_ones_are_poison_too() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |hit| {
        let text = hit.json()["data"]["text"].as_str().unwrap().to_owned();
        if text.starts_with("bad") { Answer::Status(500) } else { OK }
    })
    .await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let bad: Vec<String> = (1..=5).map(|n| format!("bad {n}")).collect();
    gate.say(&refs(&bad)).await;
    let good = gate.say(&refs(&texts(6))).await;
    let report = gate.report(|report| report.cursor == 11).await;
    assert_eq!((report.parked, report.delivered), (5, 6));
    let hits = receiver.hits();
    let taken: Vec<&str> = ids_of(&hits)
        .into_iter()
        .filter(|id| good.iter().any(|good| good.as_str() == *id))
        .collect();
    assert_eq!(taken, ids_of_events(&good), "each once");
}

fn ids_of_events(ids: &[moonwa::facade::model::EventId]) -> Vec<&str> {
    ids.iter().map(moonwa::facade::model::EventId::as_str).collect()
}

/// The ladder is climbed far beyond the point where events are doubted.
const OUTAGE: usize = 60;

#[tokio::test]
async fn a_receiver_that_is_down_for_minutes_gets_everything_in_order() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, broken).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let mut ids = gate.say(&refs(&texts(20))).await;
    receiver.until(|hits| hits.len() >= OUTAGE).await;
    let report = gate.report(|report| report.last_status == Some(500)).await;
    assert_eq!((report.parked, report.cursor, report.delivered), (0, 0, 0));
    assert!(gate.hooks.dead_letters(&device(), 1, Seq(0), 10).await.unwrap().is_empty());
    // It comes back with the first event of the queue; what is tried instead of that one comes too late.
    let first = ids[0].as_str().to_owned();
    let mut back = false;
    receiver.script(move |hit| {
        back |= hit.id() == first;
        if back { OK } else { Answer::Status(500) }
    });
    ids.extend(gate.say(&["later"]).await);
    let report = gate.report(|report| report.delivered == 21).await;
    assert_eq!((report.parked, report.backlog, report.failing_since), (0, 0, None));
    let hits = receiver.hits();
    assert_eq!(ids_of(&hits)[hits.len() - 21..], ids_of_events(&ids));
}

#[tokio::test]
async fn a_receiver_that_comes_back_while_another_event_is_tried_loses_nothing() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, broken).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&["a", "b", "c"]).await;
    receiver.until(|hits| hits.len() >= 8).await;
    // The worst moment: the next request that it takes is not the first of the queue.
    let first = ids[0].as_str().to_owned();
    let mut back = false;
    receiver.script(move |hit| {
        back |= hit.id() != first;
        if back { OK } else { Answer::Status(500) }
    });
    let report = gate.report(|report| report.cursor == 3).await;
    assert_eq!((report.delivered, report.parked), (3, 0));
    let hits = receiver.hits();
    let mut taken = ids_of(&hits[hits.len() - 3..]);
    taken.sort_unstable();
    let mut all = ids_of_events(&ids);
    all.sort_unstable();
    assert_eq!(taken, all, "each once");
}

/// A receiver that is busy and asks for so many seconds, and how long it gets.
async fn asks_for(seconds: &str) -> (Gate, Receiver, Duration) {
    let gate = Gate::open(REAL).await;
    let seconds = seconds.to_owned();
    let busy = move |_: &Hit| Answer::Header(503, "retry-after", seconds.clone());
    let receiver = Receiver::start(&gate.tasks, busy).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let before = UnixMillis::now();
    gate.say(&["a"]).await;
    let report = gate.report(|report| report.next_try.is_some()).await;
    (gate, receiver, report.next_try.unwrap().since(before))
}

#[tokio::test]
async fn the_wait_that_a_receiver_asks_for_has_an_end() {
    let (_gate, _receiver, wait) = asks_for("86400").await;
    assert!(wait >= Duration::from_mins(15) && wait < Duration::from_mins(16), "{wait:?}");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let (gate, receiver, wait) = asks_for("600").await;
    assert!(wait >= Duration::from_secs(600) && wait < Duration::from_secs(630), "{wait:?}");
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
    for hook in &mut hooks {
        hook.timeout = Duration::from_mins(1);
    }
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
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
}

#[tokio::test]
async fn an_unreachable_receiver_is_an_endpoint_failure() {
    let gate = Gate::open(FAST).await;
    // A port where nobody listens, and that nobody else gets.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = nobody.local_addr().unwrap().port();
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
