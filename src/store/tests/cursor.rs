use super::*;
use crate::model::EventId;

fn cursor(acked: u64) -> Cursor {
    Cursor {
        device: device("a"),
        acked: Seq(acked),
        tries: 1,
        failures: 2,
        failing_since: Some(UnixMillis::from_secs(1)),
        next_try: None,
        state: EndpointState::Active,
        last_status: Some(500),
        last_code: Some("connect".to_owned()),
        last_error: Some("no".to_owned()),
        delivered: 3,
        parked: 4,
        dropped: 5,
        removed_at: None,
    }
}

fn letter(seq: u64, at: u64, size: usize) -> DeadLetter {
    DeadLetter {
        seq: Seq(seq),
        id: EventId::derive(&[&seq.to_string()]),
        parked_at: UnixMillis::from_millis(at),
        tries: 3,
        status: Some(400),
        code: Some("message".to_owned()),
        reason: "it said no".to_owned(),
        answer: "no".to_owned(),
        body: vec![b'x'; size].into(),
    }
}

fn endpoint(url: &str) -> EndpointId {
    EndpointId::of(&device("a"), url)
}

#[test]
fn an_endpoint_is_its_device_and_url() {
    assert_eq!(endpoint("http://x"), endpoint("http://x"));
    assert_ne!(endpoint("http://x"), endpoint("http://y"));
    assert_ne!(endpoint("http://x"), EndpointId::of(&device("b"), "http://x"));
}

#[tokio::test]
async fn a_cursor_survives_and_can_be_forgotten() {
    let opened = open().await;
    let (one, two) = (endpoint("1"), endpoint("2"));
    opened.store.cursors().save(&one, &cursor(1)).await.unwrap();
    opened.store.cursors().save(&one, &cursor(7)).await.unwrap();
    opened.store.cursors().save(&two, &cursor(2)).await.unwrap();
    let opened = opened.reopen().await;
    let cursors = opened.store.cursors();
    assert_eq!(cursors.load(&one).await.unwrap(), Some(cursor(7)));
    assert_eq!(cursors.load(&endpoint("3")).await.unwrap(), None);
    let mut all = vec![(one.clone(), cursor(7)), (two.clone(), cursor(2))];
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(cursors.all().await.unwrap(), all);
    cursors.forget(&one).await.unwrap();
    assert_eq!(cursors.all().await.unwrap(), [(two, cursor(2))]);
}

#[tokio::test]
async fn a_dead_letter_keeps_its_body_and_moves_the_cursor() {
    let opened = open().await;
    let one = endpoint("1");
    for seq in [5, 6, 9] {
        let cursors = opened.store.cursors();
        cursors.park(&one, letter(seq, seq, 10), &cursor(seq)).await.unwrap();
    }
    let opened = opened.reopen().await;
    let cursors = opened.store.cursors();
    assert_eq!(cursors.load(&one).await.unwrap(), Some(cursor(9)));
    let letters = cursors.dead_letters(&one, Seq(0), 10).await.unwrap();
    assert_eq!(letters, [letter(5, 5, 10), letter(6, 6, 10), letter(9, 9, 10)]);
    assert_eq!(cursors.dead_letters(&one, Seq(5), 1).await.unwrap(), [letter(6, 6, 10)]);
    cursors.bury(&one, Seq(6)).await.unwrap();
    cursors.bury(&one, Seq(6)).await.unwrap();
    let left = cursors.dead_letters(&one, Seq(0), 10).await.unwrap();
    assert_eq!(left, [letter(5, 5, 10), letter(9, 9, 10)]);
    assert_eq!(cursors.dead_letters(&endpoint("2"), Seq(0), 10).await.unwrap(), []);
    cursors.forget(&one).await.unwrap();
    assert_eq!(cursors.dead_letters(&one, Seq(0), 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_oldest_letters_go_beyond_a_thousand() {
    let opened = open().await;
    let (cursors, one) = (opened.store.cursors(), endpoint("1"));
    let parks = (1..=1003).map(|seq| {
        let one = one.clone();
        async move { cursors.park(&one, letter(seq, seq, 1), &cursor(seq)).await }
    });
    assert!(futures_util::future::join_all(parks).await.iter().all(Result::is_ok));
    let kept = cursors.dead_letters(&one, Seq(0), 2000).await.unwrap();
    assert_eq!((kept.len(), kept[0].seq, kept[999].seq), (1000, Seq(4), Seq(1003)));
}

#[tokio::test]
async fn the_oldest_letters_of_anybody_go_beyond_the_bytes() {
    let opened = open().await;
    let (cursors, one, two) = (opened.store.cursors(), endpoint("1"), endpoint("2"));
    let meg = 1024 * 1024;
    // The second endpoint's letters are younger, so the first one pays.
    for n in 1..=10 {
        cursors.park(&one, letter(n, n, meg), &cursor(n)).await.unwrap();
    }
    for n in 1..=10 {
        cursors.park(&two, letter(n, 100 + n, meg), &cursor(n)).await.unwrap();
    }
    let kept = cursors.dead_letters(&one, Seq(0), 100).await.unwrap();
    assert_eq!(kept.iter().map(|letter| letter.seq.0).collect::<Vec<_>>(), [6, 7, 8, 9, 10]);
    assert_eq!(cursors.dead_letters(&two, Seq(0), 100).await.unwrap().len(), 10);
}
