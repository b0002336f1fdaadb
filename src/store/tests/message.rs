use std::time::Duration;

use super::*;
use crate::model::{
    Content, EventId, EventType, IdempotencyKey, MessageId, MessageStatus, NewChats, Recipient,
    SendRequest, SentMessage,
};

pub(super) fn message(id: &str, text: &str) -> SentMessage {
    SentMessage {
        id: MessageId::parse(id).unwrap(),
        device: device("a"),
        request: SendRequest {
            to: Recipient::parse("628123456789", None).unwrap(),
            content: Content::Text { text: text.to_owned() },
            reply_to: None,
            mentions: vec![],
            mention_all: false,
            view_once: false,
            album: None,
            send_at: None,
            expires: None,
            audience: None,
            typing: None,
        },
        status: MessageStatus::Queued,
        created: UnixMillis::now(),
        updated: UnixMillis::now(),
        due: None,
        expires: None,
        list: None,
        by: None,
    }
}

pub(super) fn key(text: &str) -> Option<IdempotencyKey> {
    IdempotencyKey::parse(text)
}

fn ids(messages: &[SentMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

pub(super) async fn waiting(queue: &SendQueue, device: &DeviceName, limit: usize) -> Vec<String> {
    let rows = queue.pending(device, 0, limit).await.unwrap();
    rows.into_iter().map(|(_, row)| row.id.to_string()).collect()
}

#[tokio::test]
async fn messages_leave_in_the_order_they_came_and_survive() {
    let opened = open().await;
    let a = device("a");
    let nudge = opened.store.queue().nudge(&a);
    for n in 1..=5 {
        let put = opened.store.queue().enqueue(message(&format!("M{n}"), "hi"), None, 5).await;
        assert!(matches!(put.unwrap(), Enqueued::Queued(_)));
    }
    assert!(nudge.has_changed().unwrap());
    let full = opened.store.queue().enqueue(message("M6", "hi"), None, 5).await.unwrap();
    assert!(matches!(full, Enqueued::Full));

    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    assert_eq!(waiting(queue, &a, 3).await, ["M1", "M2", "M3"]);
    assert_eq!(ids(&queue.recent(&a, 2).await.unwrap()), ["M5", "M4"]);
    let first = MessageId::parse("M1").unwrap();
    let sent = queue.advance(&a, &first, MessageStatus::Sent).await.unwrap().unwrap();
    assert_eq!(sent.status, MessageStatus::Sent);
    assert_eq!(waiting(queue, &a, 9).await.len(), 5, "WhatsApp does not have it yet");
    let full = queue.enqueue(message("M6", "hi"), None, 5).await.unwrap();
    assert!(matches!(full, Enqueued::Full));
    assert_eq!(queue.get(&a, &first).await.unwrap(), Some(sent));
    queue.advance(&a, &first, MessageStatus::Accepted).await.unwrap().unwrap();
    assert_eq!(waiting(queue, &a, 9).await, ["M2", "M3", "M4", "M5"]);
    let places = queue.pending(&a, 0, 2).await.unwrap();
    let after: Vec<_> = queue.pending(&a, places[1].0, 9).await.unwrap();
    assert_eq!(after.iter().map(|(_, row)| row.id.as_str()).collect::<Vec<_>>(), ["M4", "M5"]);
    assert_eq!(queue.get(&device("b"), &first).await.unwrap(), None);
    let room = queue.enqueue(message("M6", "hi"), None, 5).await.unwrap();
    assert!(matches!(room, Enqueued::Queued(_)));
}

#[tokio::test]
async fn a_status_only_moves_forward_and_is_told() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    let mut changes = queue.changes();
    queue.enqueue(message("M1", "hi"), None, 9).await.unwrap();
    let id = MessageId::parse("M1").unwrap();
    assert!(queue.advance(&a, &id, MessageStatus::Read).await.unwrap().is_some());
    assert!(queue.advance(&a, &id, MessageStatus::Delivered).await.unwrap().is_none());
    let unknown = MessageId::parse("M2").unwrap();
    assert!(queue.advance(&a, &unknown, MessageStatus::Read).await.unwrap().is_none());
    assert_eq!(changes.recv().await.unwrap().status, MessageStatus::Read);
    assert!(changes.try_recv().is_err());
    assert_eq!(queue.get(&a, &id).await.unwrap().unwrap().status, MessageStatus::Read);
}

#[tokio::test]
async fn every_step_is_an_event_and_none_goes_back() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    queue.enqueue(message("M1", "hi"), None, 9).await.unwrap();
    let id = MessageId::parse("M1").unwrap();
    let steps = [
        MessageStatus::Delivered,
        MessageStatus::Sent,
        MessageStatus::Accepted,
        MessageStatus::Read,
        MessageStatus::Delivered,
    ];
    let all = queue.advance_all(&a, steps.map(|status| (id.clone(), status)).into()).await.unwrap();
    assert_eq!(all.len(), 2);
    // Written again after a crash that came before the answer: nothing new.
    assert!(queue.advance(&a, &id, MessageStatus::Read).await.unwrap().is_none());
    let page = opened.store.log().read_after(&a, Seq(0), 9).await.unwrap();
    let told = page.events.iter().map(|event| {
        let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        body["data"]["status"].as_str().unwrap().to_owned()
    });
    assert_eq!(told.collect::<Vec<_>>(), ["delivered", "read"]);
}

#[tokio::test]
async fn a_queue_of_the_first_format_moves_into_the_outbox() {
    let opened = open().await;
    opened.store.queue().enqueue(message("M1", "hi"), key("k"), 9).await.unwrap();
    opened.store.close().await.unwrap();
    // As the first format had it: the same rows, in the other database.
    let (state, outbox) = databases(&opened.dir);
    let old = database::keyspace(&state.db, "queue").unwrap();
    for guard in outbox.queue.iter() {
        let (key, value) = guard.into_inner().unwrap();
        old.insert(key.clone(), value).unwrap();
        outbox.queue.remove(key).unwrap();
    }
    drop((old, state, outbox));
    for _ in 0..2 {
        let store = Store::open(options(opened.dir.path())).await.unwrap();
        assert_eq!(waiting(store.queue(), &device("a"), 9).await, ["M1"]);
        let again = store.queue().enqueue(message("M2", "hi"), key("k"), 9).await.unwrap();
        assert!(matches!(again, Enqueued::Known(_)));
        store.close().await.unwrap();
    }
    let (state, _outbox) = databases(&opened.dir);
    assert!(database::keyspace(&state.db, "queue").unwrap().is_empty().unwrap());
}

fn databases(dir: &TempDir) -> (Arc<State>, Arc<Outbox>) {
    let limits = Limits { keep: Duration::from_hours(72), max_size: 1 << 28 };
    let state = State::open(&dir.path().join("state")).unwrap();
    let outbox = Outbox::open(&dir.path().join("outbox"), limits).unwrap();
    (Arc::new(state), Arc::new(outbox))
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let opened = open().await;
    let queue = opened.store.queue();
    let put = |id: &str, text: &str, k: &str| queue.enqueue(message(id, text), key(k), 9);
    assert!(matches!(put("M1", "hi", "k1").await.unwrap(), Enqueued::Queued(_)));
    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    let put = |id: &str, text: &str, k: &str| queue.enqueue(message(id, text), key(k), 1);
    // Also with a full queue: nothing is added.
    let again = put("M2", "hi", "k1").await.unwrap();
    assert!(matches!(again, Enqueued::Known(known) if known.id.as_str() == "M1"));
    assert!(matches!(put("M3", "ho", "k1").await.unwrap(), Enqueued::Conflict));
    assert!(matches!(put("M4", "hi", "k2").await.unwrap(), Enqueued::Full));
    assert!(matches!(put("M1", "hi", "k3").await.unwrap(), Enqueued::Known(_)));
    assert!(matches!(put("M1", "ho", "k3").await.unwrap(), Enqueued::Conflict));
    assert_eq!(queue.recent(&device("a"), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_key_at_the_same_time_queues_once() {
    let opened = open().await;
    let queue = opened.store.queue();
    let puts = (0..20).map(|n| queue.enqueue(message(&format!("M{n}"), "hi"), key("k"), 99));
    let outcomes = futures_util::future::join_all(puts).await;
    let queued = outcomes.iter().filter(|o| matches!(o, Ok(Enqueued::Queued(_)))).count();
    let known = outcomes.iter().filter(|o| matches!(o, Ok(Enqueued::Known(_)))).count();
    assert_eq!((queued, known), (1, 19));
}

/// Sweeps as of in so many days; the rows left.
fn sweep(outbox: &Arc<Outbox>, days: u64) -> usize {
    let mut group = database::txn::Group::default();
    let then = UnixMillis::now().after(Duration::from_secs(days * 24 * 3600));
    group.run(|txn| super::super::message::sweep(outbox, txn, then)).unwrap();
    group.commit(&outbox.db, fjall::PersistMode::Buffer).unwrap();
    outbox.queue.len().unwrap()
}

#[tokio::test]
async fn old_messages_that_stay_do_not_keep_those_behind_them() {
    let opened = open().await;
    let queue = opened.store.queue();
    let puts = (1..=600).map(|n| queue.enqueue(message(&format!("M{n:03}"), "hi"), None, 999));
    let outcomes = futures_util::future::join_all(puts).await;
    assert!(outcomes.iter().all(|o| matches!(o, Ok(Enqueued::Queued(_)))));
    let last = MessageId::parse("M600").unwrap();
    queue.advance(&device("a"), &last, MessageStatus::Accepted).await.unwrap();
    opened.store.close().await.unwrap();
    let (_state, outbox) = databases(&opened.dir);
    let before = outbox.queue.len().unwrap();
    // The message and its place.
    assert_eq!(sweep(&outbox, 8), before - 2);
    assert!(outbox.queue.get(Key::new(b'm').device(&device("a")).rest("M600")).unwrap().is_none());
}

#[tokio::test]
async fn a_week_after_its_last_change_a_message_goes_with_its_key() {
    let opened = open().await;
    let queue = opened.store.queue();
    let old = |id: &str| SentMessage { created: UnixMillis::from_secs(1), ..message(id, "hi") };
    queue.enqueue(old("M1"), key("k"), 9).await.unwrap();
    queue.enqueue(old("M2"), None, 9).await.unwrap();
    let id = MessageId::parse("M1").unwrap();
    queue.advance(&device("a"), &id, MessageStatus::Accepted).await.unwrap();
    opened.store.close().await.unwrap();

    let (state, outbox) = databases(&opened.dir);
    let sweep = |days: u64| sweep(&outbox, days);
    // Two messages, their two places, one pending, one key, one count, one person, one quarter of an hour.
    assert_eq!(sweep(6), 9);
    assert_eq!(sweep(8), 6);
    drop((state, outbox));
    let store = Store::open(options(opened.dir.path())).await.unwrap();
    assert_eq!(ids(&store.queue().recent(&device("a"), 9).await.unwrap()), ["M2"]);
    let reused = store.queue().enqueue(message("M3", "ho"), key("k"), 9).await.unwrap();
    assert!(matches!(reused, Enqueued::Queued(_)));
}

#[tokio::test]
async fn what_was_sent_is_counted_with_it_for_each_account_and_survives() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    queue.belong(&a, Some("62811".to_owned())).await.unwrap();
    let bob = || vec![vec!["628123456789".to_owned()]];
    assert_eq!(queue.strangers(&a, bob()).await.unwrap(), [true]);
    for n in 1..=3 {
        let row = message(&format!("M{n}"), "hi");
        queue.enqueue(row.clone(), None, 5).await.unwrap();
        queue.left(&a, &row.id, vec!["other".to_owned()]).await.unwrap();
        // Saying it again, and every later status, counts nothing.
        queue.left(&a, &row.id, Vec::new()).await.unwrap();
        queue.advance(&a, &row.id, MessageStatus::Delivered).await.unwrap();
    }
    let failed = message("M4", "hi");
    queue.enqueue(failed.clone(), None, 5).await.unwrap();
    let status = MessageStatus::Failed { code: "expired".to_owned(), detail: String::new() };
    queue.advance(&a, &failed.id, status).await.unwrap();
    let before = queue.tallies(&a).await.unwrap();

    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    let after = queue.tallies(&a).await.unwrap();
    assert_eq!(after.quarters, before.quarters);
    assert!(after.now >= before.quarters[0].1.last, "the clock does not go back");
    let sum =
        |of: fn(&Tally) -> u64| -> u64 { after.quarters.iter().map(|(_, tally)| of(tally)).sum() };
    assert_eq!((sum(|tally| tally.sent), sum(|tally| tally.first)), (3, 1));
    assert_eq!(queue.strangers(&a, bob()).await.unwrap(), [false]);
    assert_eq!(queue.strangers(&a, vec![vec!["other".to_owned()]]).await.unwrap(), [false]);

    // Another account starts anew, and the former one goes on where it was.
    queue.belong(&a, Some("62822".to_owned())).await.unwrap();
    assert!(queue.tallies(&a).await.unwrap().quarters.is_empty());
    assert_eq!(queue.strangers(&a, bob()).await.unwrap(), [true]);
    queue.belong(&a, Some("62811".to_owned())).await.unwrap();
    assert_eq!(queue.tallies(&a).await.unwrap().quarters, before.quarters);
}

#[tokio::test]
async fn an_answer_a_refusal_and_a_lock_are_counted_once() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    let row = message("M1", "hi");
    queue.enqueue(row.clone(), None, 5).await.unwrap();
    let addresses = ["628123456789", "1555"].map(str::to_owned).to_vec();
    queue.left(&a, &row.id, addresses.clone()).await.unwrap();
    let status = MessageStatus::Failed { code: "463".to_owned(), detail: String::new() };
    for _again in 0..2 {
        queue.advance(&a, &row.id, status.clone()).await.unwrap();
    }
    // Refused before it was noted that it was written.
    let early = message("M2", "hi");
    queue.enqueue(early.clone(), None, 5).await.unwrap();
    queue.advance(&a, &early.id, status).await.unwrap();
    let until = Some(UnixMillis::from_secs(1_800_000_000));
    let later = Some(UnixMillis::from_secs(1_900_000_000));
    let touch = |wrote| Counted::Touch { people: addresses.clone(), wrote };
    let told = [touch(false), touch(true), touch(true)]
        .into_iter()
        .chain([None, until, until, None, later].map(Counted::Lock));
    let events = (0_u64..).zip(told).map(|(n, counts)| NewEvent {
        device: a.clone(),
        id: EventId::derive(&["told", &n.to_string()]),
        kind: EventType::CallOffer,
        at: UnixMillis::now(),
        body: "{}".into(),
        counts,
    });
    opened.store.log().append(events.collect()).await.unwrap();
    let tallies = queue.tallies(&a).await.unwrap();
    let sum = |of: fn(&Tally) -> u64| -> u64 {
        tallies.quarters.iter().map(|(_, tally)| of(tally)).sum()
    };
    assert_eq!((sum(|t| t.sent), sum(|t| t.refused)), (2, 2));
    assert_eq!((sum(|t| t.first), sum(|t| t.answered), sum(|t| t.locks)), (1, 1, 2));
    let quota = NewChats { used: 1, total: 9, until: None };
    queue.allow(&a, quota).await.unwrap();
    assert_eq!(
        opened.reopen().await.store.queue().tallies(&a).await.unwrap().new_chats,
        Some(quota)
    );
}

#[tokio::test]
async fn a_message_is_synced_before_its_caller_hears_of_it() {
    let opened = open().await;
    let queue = opened.store.queue();
    let put = |id: &str, key, due| queue.enqueue_album(message(id, "hi"), vec![], key, 9, due);
    put("M1", None, Due::Now).await.unwrap();
    assert!(queue.is_settled(), "the answer is 202");
    put("M2", None, Due::Later).await.unwrap();
    put("M3", key("k"), Due::Later).await.unwrap();
    assert!(queue.is_settled(), "whoever repeats the key after a power cut must find it");
    put("M4", None, Due::Later).await.unwrap();
    queue.settle().await.unwrap();
    assert!(queue.is_settled(), "its caller waited in vain");
    put("M5", None, Due::Later).await.unwrap();
    let fate = MessageId::parse("M5").unwrap();
    queue.advance(&device("a"), &fate, MessageStatus::Accepted).await.unwrap();
    assert!(queue.is_settled(), "its caller hears what became of it");
}

/// The sender reads on from the place up to which it has read, so a long queue costs each message as much as a short one.
#[tokio::test]
async fn a_message_is_read_from_the_queue_once_however_many_wait() {
    let opened = open().await;
    let (queue, a) = (opened.store.queue(), device("a"));
    let (mut after, mut waiting) = (0, 0);
    for length in [1, 1_000, 10_000] {
        let puts =
            (waiting..length).map(|n| queue.enqueue(message(&format!("M{n}"), "hi"), None, 20_000));
        futures_util::future::try_join_all(puts).await.unwrap();
        let old = queue.pending(&a, after, usize::MAX).await.unwrap();
        assert_eq!(old.len(), length - waiting);
        after = old.last().unwrap().0;
        queue.enqueue(message(&format!("N{length}"), "hi"), None, 20_000).await.unwrap();
        let new = queue.pending(&a, after, usize::MAX).await.unwrap();
        assert_eq!(new.len(), 1, "rows read for one message behind {length}");
        (after, waiting) = (new[0].0, length);
    }
}
