//! No receiver waits for another, however many there are and whatever they do.

use std::time::{Duration, Instant};

use moonwa::facade::config::EndpointConfig;
use moonwa::facade::model::EventId;
use tokio_util::sync::CancellationToken;

use super::fixture::{Gate, REAL, endpoint, refs, texts};
use super::receiver::{Answer, Hit, OK, Receiver};

fn arrived(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(Hit::id).collect()
}

fn sent(ids: &[EventId]) -> Vec<&str> {
    ids.iter().map(EventId::as_str).collect()
}

#[tokio::test]
async fn receivers_that_take_their_time_delay_nobody() {
    let gate = Gate::open(REAL).await;
    let then = CancellationToken::new();
    let mut slow = Vec::new();
    for _ in 0..9 {
        let held = then.clone();
        slow.push(Receiver::start(&gate.tasks, move |_| Answer::When(held.clone())).await);
    }
    let healthy = Receiver::start(&gate.tasks, |_| OK).await;
    let mut hooks: Vec<_> = slow.iter().map(|receiver| endpoint(&receiver.url)).collect();
    hooks.push(endpoint(&healthy.url));
    gate.configure(&hooks).await;
    let ids = gate.say(&refs(&texts(50))).await;
    // All fifty, while the nine still think about the first.
    assert_eq!(arrived(&healthy.until(|hits| hits.len() == 50).await), sent(&ids));
    for receiver in &slow {
        assert_eq!(arrived(&receiver.until(|hits| !hits.is_empty()).await), sent(&ids[..1]));
    }
    then.cancel();
    for receiver in &slow {
        assert_eq!(arrived(&receiver.until(|hits| hits.len() == 50).await), sent(&ids));
    }
    gate.close().await;
}

#[tokio::test]
async fn four_hundred_endpoints_of_which_one_is_healthy() {
    let gate = Gate::open(REAL).await;
    let hanging = Receiver::start(&gate.tasks, |_| Answer::Hang).await;
    let healthy = Receiver::start(&gate.tasks, |_| OK).await;
    // Each URL is an endpoint of its own.
    let patient = |n| EndpointConfig {
        timeout: Duration::from_mins(1),
        ..endpoint(&format!("{}/{n}", hanging.url))
    };
    let mut hooks: Vec<_> = (1..400).map(patient).collect();
    hooks.push(endpoint(&healthy.url));
    gate.configure(&hooks).await;
    let ids = gate.say(&refs(&texts(20))).await;
    hanging.until(|hits| hits.len() == 399).await;
    let later = gate.say(&refs(&texts(50)[20..])).await;
    let hits = healthy.until(|hits| hits.len() == 50).await;
    assert_eq!(arrived(&hits), [sent(&ids), sent(&later)].concat());
    assert_eq!(hanging.hits().len(), 399);
    // Nor does the stop wait for them.
    let stopping = Instant::now();
    gate.close().await;
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
}
