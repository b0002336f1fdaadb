//! What people and the file can do to an endpoint.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use moonwa::facade::config::{Compat, EndpointConfig, Start};
use moonwa::facade::hooks::{HookError, ReplayFrom};
use moonwa::facade::model::{EventId, Secret, UnixMillis};
use moonwa::facade::store::{EndpointId, EndpointState, Seq};
use sha2::Sha256;

use super::fixture::{FAST, Gate, REAL, device, endpoint, refs, texts};
use super::receiver::{Answer, OK, Receiver};

fn said(hits: &[super::receiver::Hit]) -> Vec<String> {
    let text = |hit: &super::receiver::Hit| hit.json()["data"]["text"].as_str().unwrap().to_owned();
    hits.iter().map(text).collect()
}

#[tokio::test]
async fn a_paused_endpoint_waits_for_resume() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    let witness = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&receiver.url), endpoint(&witness.url)]).await;
    gate.hooks.pause(&device(), 1).await.unwrap();
    gate.say(&["a", "b"]).await;
    witness.until(|hits| hits.len() == 2).await;
    let report = gate.report(|report| report.backlog == 2).await;
    assert_eq!(report.state, EndpointState::Paused);
    assert!(receiver.hits().is_empty());
    gate.hooks.resume(&device(), 1).await.unwrap();
    assert_eq!(said(&receiver.until(|hits| hits.len() == 2).await), ["a", "b"]);
    gate.report(|report| report.state == EndpointState::Active && report.backlog == 0).await;
    let nobody = gate.hooks.pause(&device(), 3).await;
    assert!(matches!(nobody, Err(HookError::NoEndpoint)), "{nobody:?}");
}

#[tokio::test]
async fn a_pause_is_obeyed_while_a_request_hangs() {
    let gate = Gate::open(REAL).await;
    let receiver = Receiver::start(&gate.tasks, |_| Answer::Hang).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&["a"]).await;
    receiver.until(|hits| hits.len() == 1).await;
    gate.hooks.pause(&device(), 1).await.unwrap();
    gate.report(|report| report.state == EndpointState::Paused).await;
    gate.close().await;
}

#[tokio::test]
async fn replay_delivers_again_from_an_event_or_a_time() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&["a", "b", "c"]).await;
    gate.report(|report| report.delivered == 3).await;
    let from = gate.hooks.replay(&device(), 1, ReplayFrom::Event(ids[1].clone())).await.unwrap();
    assert_eq!(from, Seq(1));
    let hits = receiver.until(|hits| hits.len() == 5).await;
    assert_eq!(said(&hits), ["a", "b", "c", "b", "c"]);
    assert_eq!(hits[1].headers["webhook-id"], hits[3].headers["webhook-id"]);
    gate.report(|report| report.backlog == 0 && report.delivered == 5).await;
    let beginning = UnixMillis::from_secs(0);
    gate.hooks.replay(&device(), 1, ReplayFrom::Time(beginning)).await.unwrap();
    assert_eq!(said(&receiver.until(|hits| hits.len() == 8).await)[5..], ["a", "b", "c"]);
    let unknown = ReplayFrom::Event(EventId::derive(&["nothing"]));
    let unknown = gate.hooks.replay(&device(), 1, unknown).await;
    assert!(matches!(unknown, Err(HookError::NoEvent)), "{unknown:?}");
}

#[tokio::test]
async fn a_replay_wins_over_the_request_under_way() {
    let gate = Gate::open(FAST).await;
    let then = tokio_util::sync::CancellationToken::new();
    let held = then.clone();
    let receiver = Receiver::start(&gate.tasks, move |hit| {
        if said(std::slice::from_ref(hit)) == ["c"] { Answer::When(held.clone()) } else { OK }
    })
    .await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&["a", "b", "c"]).await;
    receiver.until(|hits| hits.len() == 3).await;
    gate.hooks.replay(&device(), 1, ReplayFrom::Event(ids[0].clone())).await.unwrap();
    then.cancel();
    let hits = receiver.until(|hits| hits.len() == 6).await;
    assert_eq!(said(&hits), ["a", "b", "c", "a", "b", "c"]);
}

#[tokio::test]
async fn a_test_is_posted_beside_the_queue() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| Answer::Body("thanks".into())).await;
    gate.configure(&[EndpointConfig { paused: true, ..endpoint(&receiver.url) }]).await;
    let attempt = gate.hooks.test(&device(), 1).await.unwrap();
    assert_eq!(
        (attempt.class, attempt.status, &*attempt.answer),
        ("delivered", Some(200), "thanks")
    );
    let hits = receiver.hits();
    assert_eq!(hits[0].id(), attempt.event.as_str());
    assert_eq!(hits[0].json()["type"], "message.received");
    assert_eq!(gate.hooks.attempts(&device(), 1).unwrap(), [attempt]);
    assert_eq!(gate.report(|_| true).await.delivered, 0);
}

#[tokio::test]
async fn the_last_hundred_attempts_are_kept() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    let ids = gate.say(&refs(&texts(120))).await;
    gate.report(|report| report.delivered == 120).await;
    let attempts = gate.hooks.attempts(&device(), 1).unwrap();
    let newest_first: Vec<_> = ids.iter().rev().take(100).collect();
    assert_eq!(attempts.iter().map(|attempt| &attempt.event).collect::<Vec<_>>(), newest_first);
}

#[tokio::test]
async fn a_removed_endpoint_goes_on_when_it_is_restored() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    let hooks = [endpoint(&receiver.url)];
    gate.configure(&hooks).await;
    gate.say(&["a"]).await;
    gate.report(|report| report.delivered == 1).await;
    gate.configure(&[]).await;
    let id = EndpointId::of(&device(), &hooks[0].url);
    let cursor = gate.store.cursors().load(&id).await.unwrap().unwrap();
    assert!(cursor.removed_at.is_some());
    let gone = gate.hooks.attempts(&device(), 1);
    assert_eq!(gone, None);
    gate.say(&["b", "c"]).await;
    gate.configure(&hooks).await;
    assert_eq!(said(&receiver.until(|hits| hits.len() == 3).await), ["a", "b", "c"]);
    gate.report(|report| report.delivered == 3).await;
    let cursor = gate.store.cursors().load(&id).await.unwrap().unwrap();
    assert_eq!(cursor.removed_at, None);
}

#[tokio::test]
async fn an_endpoint_removed_long_ago_is_forgotten() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    let hooks = [endpoint(&receiver.url)];
    gate.configure(&hooks).await;
    gate.say(&["a"]).await;
    gate.report(|report| report.delivered == 1).await;
    gate.configure(&[]).await;
    let id = EndpointId::of(&device(), &hooks[0].url);
    let cursors = gate.store.cursors();
    let mut cursor = cursors.load(&id).await.unwrap().unwrap();
    let yesterday = UnixMillis::now().before(std::time::Duration::from_hours(25));
    cursor.removed_at = Some(yesterday);
    cursors.save(&id, &cursor).await.unwrap();
    gate.say(&["b"]).await;
    // Back after too long: a new endpoint, which starts at the tail.
    gate.configure(&hooks).await;
    gate.say(&["c"]).await;
    assert_eq!(said(&receiver.until(|hits| hits.len() == 2).await), ["a", "c"]);
    gate.configure(&[]).await;
    cursor.removed_at = Some(yesterday);
    cursors.save(&id, &cursor).await.unwrap();
    gate.configure(&[]).await;
    assert_eq!(cursors.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_new_endpoint_starts_as_the_file_says() {
    let gate = Gate::open(FAST).await;
    let tail = Receiver::start(&gate.tasks, |_| OK).await;
    let earliest = Receiver::start(&gate.tasks, |_| OK).await;
    gate.say(&["a", "b"]).await;
    let all = EndpointConfig { start: Start::Earliest, ..endpoint(&earliest.url) };
    gate.configure(&[endpoint(&tail.url), all]).await;
    gate.say(&["c"]).await;
    assert_eq!(said(&earliest.until(|hits| hits.len() == 3).await), ["a", "b", "c"]);
    assert_eq!(said(&tail.until(|hits| !hits.is_empty()).await), ["c"]);
}

#[tokio::test]
async fn an_edit_keeps_the_cursor_and_the_order_of_the_list_is_only_a_number() {
    let gate = Gate::open(FAST).await;
    let one = Receiver::start(&gate.tasks, |_| OK).await;
    let two = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&one.url), endpoint(&two.url)]).await;
    gate.say(&refs(&texts(3))).await;
    gate.report_of(1, |report| report.delivered == 3).await;
    gate.report_of(2, |report| report.delivered == 3).await;
    let mut edited = endpoint(&one.url);
    edited.headers.insert("x-team".into(), "cs".into());
    gate.configure(&[endpoint(&two.url), edited]).await;
    gate.say(&["d"]).await;
    let hits = one.until(|hits| hits.len() == 4).await;
    assert_eq!(hits[3].headers["x-team"], "cs");
    assert!(!hits[2].headers.contains_key("x-team"));
    two.until(|hits| hits.len() == 4).await;
    let report = gate.report_of(2, |report| report.delivered == 4).await;
    assert_eq!(report.url, one.url);
}

#[tokio::test]
async fn a_receiver_can_verify_who_wrote() {
    let gate = Gate::open(FAST).await;
    let mut requests = 0;
    let receiver = Receiver::start(&gate.tasks, move |_| {
        requests += 1;
        if requests == 1 { Answer::Status(503) } else { OK }
    })
    .await;
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let old = "a plain secret of at least 24 bytes";
    let signed = EndpointConfig {
        secrets: vec![Secret::new(new), Secret::new(old)],
        compat: BTreeSet::from([Compat::Waha, Compat::Gowa]),
        ..endpoint(&receiver.url)
    };
    gate.configure(&[signed]).await;
    gate.say(&["a"]).await;
    let hits = receiver.until(|hits| hits.len() == 2).await;
    let keys = [STANDARD.decode(&new[6..]).unwrap(), old.as_bytes().to_vec()];
    for hit in &hits {
        let text = |name: &str| hit.headers[name].to_str().unwrap();
        let signatures = text("webhook-signature").split(' ').zip(&keys);
        assert_eq!(signatures.clone().count(), 2);
        for (signature, key) in signatures {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(format!("{}.{}.", hit.id(), text("webhook-timestamp")).as_bytes());
            mac.update(&hit.body);
            let wanted = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            mac.verify_slice(&wanted).unwrap();
        }
        let now = UnixMillis::now().secs();
        assert!(now - text("webhook-timestamp").parse::<u64>().unwrap() < 60);
        assert_eq!(text("x-webhook-hmac-algorithm"), "sha512");
        assert!(text("x-hub-signature-256").starts_with("sha256="));
    }
    assert_eq!(hits[0].id(), hits[1].id());
}
