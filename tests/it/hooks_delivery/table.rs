//! The failure table, row by row: what each answer, and each way not to answer, does to the queue.

use std::time::Duration;

use moonwa::facade::config::EndpointConfig;
use moonwa::facade::store::Seq;

use super::fixture::{FAST, Gate, device, endpoint};
use super::receiver::{Answer, Hit, OK, Receiver, at_first};

/// More than the tries of an event that may be at fault: what outlasts them blames the endpoint.
const LONG: usize = 6;

fn says(hit: &Hit, text: &str) -> bool {
    hit.json()["data"]["text"] == text
}

/// A gateway with an endpoint per receiver; `script` gives each receiver's.
async fn gate<S>(rows: &[u16], script: impl Fn(u16) -> S) -> (Gate, Vec<Receiver>)
where
    S: FnMut(&Hit) -> Answer + Send + 'static,
{
    let gate = Gate::open(FAST).await;
    let mut receivers = Vec::new();
    for row in rows {
        receivers.push(Receiver::start(&gate.tasks, script(*row)).await);
    }
    let endpoints: Vec<_> = receivers.iter().map(|receiver| endpoint(&receiver.url)).collect();
    gate.configure(&endpoints).await;
    (gate, receivers)
}

/// What an endpoint that failed for a while must have got: the first event again and again, then the second.
fn assert_order_kept(what: &str, hits: &[Hit], ids: &[moonwa::facade::model::EventId]) {
    let got: Vec<&str> = hits.iter().map(Hit::id).collect();
    let mut wanted = vec![ids[0].as_str(); LONG + 1];
    wanted.push(ids[1].as_str());
    assert_eq!(got, wanted, "{what}");
}

#[tokio::test]
async fn an_answer_that_blames_the_endpoint_keeps_the_cursor() {
    let rows =
        [300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 408, 425, 429, 502, 503, 504];
    let (gate, receivers) =
        gate(&rows, |status| at_first(LONG, move || Answer::Status(status))).await;
    let ids = gate.say(&["a", "b"]).await;
    for ((status, receiver), n) in rows.iter().zip(&receivers).zip(1..) {
        let report = gate.report_of(n, |report| report.delivered == 2).await;
        assert_eq!((report.parked, report.dropped, report.failing_since), (0, 0, None), "{status}");
        assert_order_kept(&status.to_string(), &receiver.hits(), &ids);
        let attempts = gate.hooks.attempts(&device(), n).unwrap();
        let failed = &attempts[2..];
        assert!(
            failed.iter().all(|try_| try_.class == "endpoint" && try_.status == Some(*status)),
            "{failed:?}"
        );
        assert!(failed.iter().all(|try_| try_.code == Some("endpoint")), "{failed:?}");
    }
}

#[tokio::test]
async fn no_answer_blames_the_endpoint_too() {
    let gate = Gate::open(FAST).await;
    let late = Receiver::start(&gate.tasks, at_first(LONG, || Answer::Hang)).await;
    let rude = Receiver::start(&gate.tasks, at_first(LONG, || Answer::HangUp)).await;
    let plain = Receiver::start(&gate.tasks, |_| OK).await;
    // A port that was free a moment ago.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = nobody.local_addr().unwrap().port();
    let rows = [
        ("timeout", EndpointConfig { timeout: Duration::from_millis(100), ..endpoint(&late.url) }),
        ("hung_up", endpoint(&rude.url)),
        ("tls", endpoint(&plain.url.replace("http:", "https:"))),
        ("connect", endpoint(&format!("http://127.0.0.1:{port}/"))),
        ("dns", endpoint("http://nowhere.invalid/")),
    ];
    gate.configure(&rows.clone().map(|(_, endpoint)| endpoint)).await;
    let ids = gate.say(&["a", "b"]).await;
    for ((code, _), n) in rows.iter().zip(1..) {
        let tried = || gate.hooks.attempts(&device(), n).unwrap();
        // A name that is not found is asked for again after a while only: that takes fewer tries to tell.
        let report = gate.report_of(n, |_| tried().len() > 1).await;
        assert_eq!(report.parked, 0, "{code}");
        let failed: Vec<_> = tried().into_iter().filter(|try_| try_.class != "delivered").collect();
        for attempt in &failed {
            assert_eq!((attempt.class, attempt.status), ("endpoint", None), "{attempt:?}");
            assert_eq!(attempt.code, Some(*code), "{attempt:?}");
        }
    }
    for n in 1..=2 {
        gate.report_of(n, |report| report.delivered == 2 && report.parked == 0).await;
    }
    assert_order_kept(rows[1].0, &rude.hits(), &ids);
    // What is answered after its timeout is posted again: more often on a busy machine, and in no other order.
    let hits = late.hits();
    let mut got: Vec<&str> = hits.iter().map(Hit::id).collect();
    assert!(got.len() >= LONG + 2, "{}: {got:?}", rows[0].0);
    got.dedup();
    assert_eq!(got, [ids[0].as_str(), ids[1].as_str()], "{}", rows[0].0);
    // These fail for longer than any event would be tried.
    for n in 3..=4 {
        let tried = || gate.hooks.attempts(&device(), n).unwrap();
        let report = gate.report_of(n, |_| tried().len() > LONG).await;
        assert_eq!((report.cursor, report.parked, report.backlog), (0, 0, 2));
        assert!(tried().iter().all(|attempt| attempt.event == ids[0]));
    }
}

/// Endpoints that answer one event with that status and take all others. It must be tried as often as the first event
/// of `order` stands there, and then be parked with its body; the second event must arrive once.
async fn parks(rows: &[u16], class: &str, order: &[usize]) {
    let (gate, receivers) = gate(rows, |status| {
        move |hit: &Hit| if says(hit, "poison") { Answer::Status(status) } else { OK }
    })
    .await;
    let ids = gate.say(&["poison", "a"]).await;
    let wanted: Vec<&str> = order.iter().map(|n| ids[*n].as_str()).collect();
    let tries = order.iter().filter(|n| **n == 0).count();
    for ((status, receiver), n) in rows.iter().zip(&receivers).zip(1..) {
        let report = gate.report_of(n, |report| report.cursor == 2).await;
        assert_eq!((report.delivered, report.parked, report.failing_since), (1, 1, None));
        let hits = receiver.hits();
        assert_eq!(hits.iter().map(Hit::id).collect::<Vec<_>>(), wanted, "{status}");
        let attempts = gate.hooks.attempts(&device(), n).unwrap();
        let mut refused = attempts.iter().filter(|attempt| attempt.event == ids[0]);
        assert!(refused.all(|attempt| attempt.class == class), "{attempts:?}");
        let letters = gate.hooks.dead_letters(&device(), n, Seq(0), 10).await.unwrap();
        let [letter] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!((&letter.id, letter.tries as usize), (&ids[0], tries), "{status}");
        assert_eq!((letter.code.as_deref(), letter.status), (Some(class), Some(*status)));
        assert_eq!(letter.body, hits[0].body);
    }
}

#[tokio::test]
async fn an_answer_that_blames_the_message_parks_it_after_three_tries() {
    parks(&[400, 413, 415, 422], "message", &[0, 0, 0, 1]).await;
}

#[tokio::test]
async fn an_answer_that_may_blame_either_parks_it_once_another_event_is_taken() {
    let rows = [500, 501, 505, 507, 599, 402, 409, 418, 451];
    parks(&rows, "ambiguous", &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0]).await;
}
