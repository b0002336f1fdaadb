//! Messages that are to go later.

use super::message::{key, message, waiting};
use super::*;
use crate::model::{Content, EventId, EventType, ListId, MessageId, MessageStatus, SentMessage};
use crate::store::{Change, Fate, Listed, PacedList, Receiver};

const NOON: UnixMillis = UnixMillis::from_secs(1_795_420_800);

fn minutes(minutes: u64) -> UnixMillis {
    NOON.after(Duration::from_secs(60 * minutes))
}

async fn put(queue: &SendQueue, id: &str, minute: u64) -> Enqueued {
    queue.enqueue(message(id, "hi").at(minutes(minute)), None, 1).await.unwrap()
}

async fn listed(queue: &SendQueue) -> Vec<String> {
    let list = queue.scheduled(&device("a"), 9).await.unwrap();
    list.into_iter().map(|message| message.id.to_string()).collect()
}

#[tokio::test]
async fn what_is_due_is_queued_in_the_order_of_its_time_and_survives() {
    let opened = open().await;
    let a = device("a");
    for (id, minute) in [("M3", 3), ("M1", 1), ("M2", 2), ("M9", 9), ("M2b", 2)] {
        let outcome = put(opened.store.queue(), id, minute).await;
        // Those that wait already do not count among those that are to go later.
        assert!(matches!(outcome, Enqueued::Queued(_)), "{outcome:?}");
    }
    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    assert_eq!(listed(queue).await, ["M1", "M2", "M2b", "M3", "M9"]);
    assert!(
        waiting(queue, &a, 9).await.is_empty() && queue.recent(&a, 9).await.unwrap().is_empty()
    );
    let nudge = queue.nudge(&a);
    assert_eq!(queue.release(&a, NOON).await.unwrap(), Some(minutes(1)));
    assert!(!nudge.has_changed().unwrap(), "nothing is due");
    assert_eq!(queue.release(&a, minutes(3)).await.unwrap(), Some(minutes(9)));
    assert!(nudge.has_changed().unwrap());
    assert_eq!(waiting(queue, &a, 9).await, ["M1", "M2", "M2b", "M3"]);
    assert_eq!(listed(queue).await, ["M9"]);

    // A place in the queue and one in the list, like any other.
    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    assert_eq!(waiting(queue, &a, 9).await, ["M1", "M2", "M2b", "M3"]);
    let first = MessageId::parse("M1").unwrap();
    queue.advance(&a, &first, MessageStatus::Accepted).await.unwrap().unwrap();
    assert_eq!(waiting(queue, &a, 9).await, ["M2", "M2b", "M3"]);
    assert_eq!(queue.waiting(vec![a.clone()]).await.unwrap(), [3]);
    assert_eq!(queue.recent(&a, 9).await.unwrap().len(), 4);
    assert!(queue.own(&a, &first).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_a_day_late_fails_and_is_told() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    put(queue, "M1", 0).await;
    put(queue, "M2", 60).await;
    assert_eq!(queue.release(&a, minutes(24 * 60 + 30)).await.unwrap(), None);
    assert_eq!(waiting(queue, &a, 9).await, ["M2"]);
    let late = queue.get(&a, &MessageId::parse("M1").unwrap()).await.unwrap().unwrap();
    assert!(matches!(late.status, MessageStatus::Failed { code, .. } if code == "expired"));
    let told = opened.store.log().read_after(&a, Seq(0), 9).await.unwrap();
    assert_eq!(told.events.len(), 1);
    assert_eq!(queue.tallies(&a).await.unwrap().quarters.len(), 0, "nothing was sent");
}

#[tokio::test]
async fn what_says_until_when_it_may_go_fails_after_that_and_moves_with_its_time() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    let until = |id: &str, minute: u64, end: u64| {
        let message = SentMessage { expires: Some(minutes(end)), ..message(id, "hi") };
        message.at(minutes(minute))
    };
    for (id, minute, end) in [("M1", 1, 3), ("M2", 1, 5), ("M3", 1, 3), ("M4", 1, 3 * 24 * 60)] {
        let outcome = queue.enqueue(until(id, minute, end), None, 9).await.unwrap();
        assert!(matches!(outcome, Enqueued::Queued(_)), "{outcome:?}");
    }
    let third = MessageId::parse("M3").unwrap();
    let change = Change { words: None, due: Some(minutes(3)) };
    let moved = queue.reschedule(&a, &third, change).await.unwrap().unwrap();
    assert_eq!(moved.expires, Some(minutes(5)));
    assert_eq!(queue.release(&a, minutes(4)).await.unwrap(), None);
    assert_eq!(waiting(queue, &a, 9).await, ["M2", "M4", "M3"]);
    let late = queue.get(&a, &MessageId::parse("M1").unwrap()).await.unwrap().unwrap();
    assert!(matches!(late.status, MessageStatus::Failed { code, .. } if code == "expired"));
}

#[tokio::test]
async fn only_what_is_scheduled_can_be_changed_and_taken_back() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    let first = message("M1", "hi").at(minutes(1));
    queue.enqueue(first.clone(), key("k"), 9).await.unwrap();
    put(queue, "M2", 2).await;
    let schedule = queue.schedule(&a);
    let change = Change { words: Some("ho".to_owned()), due: Some(minutes(5)) };
    let changed = queue.reschedule(&a, &first.id, change.clone()).await.unwrap().unwrap();
    assert!(schedule.has_changed().unwrap());
    assert_eq!(changed.request.content, Content::Text { text: "ho".to_owned() });
    assert_eq!((changed.due, &changed.status), (Some(minutes(5)), &MessageStatus::Scheduled));
    assert_eq!(listed(queue).await, ["M2", "M1"]);
    let known = queue.known(&a, &first.request, &key("k").unwrap()).await.unwrap();
    assert!(matches!(known, Some(Enqueued::Known(known)) if known == changed));

    let gone = queue.cancel(&a, &first.id).await.unwrap().unwrap();
    assert!(matches!(gone.status, MessageStatus::Failed { code, .. } if code == "cancelled"));
    assert!(queue.cancel(&a, &first.id).await.unwrap().is_none());
    assert_eq!(queue.release(&a, minutes(9)).await.unwrap(), None);
    assert_eq!(waiting(queue, &a, 9).await, ["M2"]);
    let second = MessageId::parse("M2").unwrap();
    assert!(queue.reschedule(&a, &second, change).await.unwrap().is_none(), "it is queued");
    assert!(queue.cancel(&a, &second).await.unwrap().is_none());
    let all: Vec<SentMessage> = queue.recent(&a, 9).await.unwrap();
    assert_eq!(all.len(), 2);
}

fn list(ids: &[&str]) -> (PacedList, Vec<SentMessage>) {
    let id = ListId::of(b"list");
    let due = |n: usize| minutes(u64::try_from(n).unwrap());
    let messages = ids
        .iter()
        .enumerate()
        .map(|(n, name)| SentMessage { list: Some(id.clone()), ..message(name, "hi").at(due(n)) });
    let messages: Vec<_> = messages.collect();
    let receiver = |message: &SentMessage| Receiver {
        to: "628123456789".to_owned(),
        name: None,
        fate: Fate::Message(message.id.clone()),
    };
    let list = PacedList {
        id: id.clone(),
        device: device("a"),
        text: "hi".to_owned(),
        per_hour: 60,
        receivers: messages.iter().map(receiver).collect(),
        created: UnixMillis::now(),
        stopped: None,
        request: "hash".to_owned(),
    };
    (list, messages)
}

#[tokio::test]
async fn a_list_is_made_once_and_goes_one_by_one_however_late_it_is() {
    let opened = open().await;
    let (list, messages) = list(&["L1", "L2", "L3"]);
    for known in [false, true] {
        let made = opened.store.queue().make_list(list.clone(), messages.clone()).await.unwrap();
        assert!(matches!(made, Listed::Known(_)) == known, "{made:?}");
    }
    let other = PacedList { request: "another".to_owned(), ..list.clone() };
    let made = opened.store.queue().make_list(other, Vec::new()).await.unwrap();
    assert!(matches!(made, Listed::Conflict));
    // Two days late, it does not expire, and does not hurry.
    let opened = opened.reopen().await;
    let (a, queue) = (device("a"), opened.store.queue());
    let then = minutes(2 * 24 * 60);
    let next = queue.release(&a, then).await.unwrap().unwrap();
    assert_eq!(waiting(queue, &a, 9).await, ["L1"]);
    let gap = next.since(then);
    assert!(gap > Duration::from_secs(50) && gap <= Duration::from_secs(60), "{gap:?}");
    // While the one before waits, the next one does, whatever its time.
    assert!(queue.release(&a, next).await.unwrap().unwrap() > next);
    assert_eq!(waiting(queue, &a, 9).await, ["L1"]);
    let (_, report) = queue.list(&a, &list.id).await.unwrap().unwrap();
    let states: Vec<_> = report.iter().flatten().map(|one| one.status.as_str()).collect();
    assert_eq!(states, ["queued", "scheduled", "scheduled"]);
    let stopped = queue.stop_list(&a, &list.id).await.unwrap().unwrap();
    assert!(stopped.stopped.is_some());
    assert_eq!(queue.release(&a, minutes(9 * 24 * 60)).await.unwrap(), None);
    assert_eq!(queue.lists(&a).await.unwrap(), [stopped]);
}

#[tokio::test]
async fn who_wrote_is_known_and_who_was_written_to_is_not() {
    let opened = open().await;
    let (a, queue) = (device("a"), opened.store.queue());
    queue.enqueue(message("M1", "hi"), None, 5).await.unwrap();
    queue.left(&a, &MessageId::parse("M1").unwrap(), Vec::new()).await.unwrap();
    let person = |user: &str| vec![user.to_owned()];
    let touch = |people, wrote| Counted::Touch { people, wrote };
    let both = vec!["1555".to_owned(), "62811".to_owned()];
    let told = [touch(both, true), touch(person("62822"), false)];
    let events = (0_u64..).zip(told).map(|(n, counts)| NewEvent {
        device: a.clone(),
        id: EventId::derive(&["told", &n.to_string()]),
        kind: EventType::MessageReceived,
        at: UnixMillis::now(),
        body: "{}".into(),
        counts,
    });
    opened.store.log().append(events.collect()).await.unwrap();
    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    let people = ["1555", "62811", "62822", "628123456789", "62833"].map(person).to_vec();
    assert_eq!(queue.wrote(&a, people).await.unwrap(), [true, true, false, false, false]);
    assert!(!queue.remembers_writers(&a).await.unwrap());
    queue.remember_writers(&a, [String::from("62833")].into()).await.unwrap();
    assert!(queue.remembers_writers(&a).await.unwrap());
    assert_eq!(queue.wrote(&a, vec![person("62833")]).await.unwrap(), [true]);
}
