//! Messages that are to go later.

use super::message::{key, message, waiting};
use super::*;
use crate::model::{Content, MessageId, MessageStatus, SentMessage};
use crate::store::Change;

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
