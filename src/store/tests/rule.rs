//! What rules remember, and that an answer is one commit with it.

use std::collections::BTreeSet;

use super::*;
use crate::model::{
    Content, EventId, EventType, MessageId, Recipient, SendRequest, SentMessage, UnixMillis,
};

fn answer(event: &EventId, n: usize) -> SentMessage {
    let to = Recipient::parse("628123456789", None).unwrap();
    let request = SendRequest::plain(to, Content::Text { text: "ya".to_owned() });
    SentMessage {
        id: MessageId::answer(event.as_str(), n),
        ..SentMessage::new(device("a"), request)
    }
}

pub(super) fn step(event: &EventId, seq: u64, answers: usize) -> Step {
    let at = UnixMillis::from_secs(1_790_000_000);
    let mut state = RuleState { acked: Some(Seq(seq)), ..RuleState::default() };
    state.rules.entry("harga".to_owned()).or_default().hits = seq;
    let memory = ChatMemory {
        last_in: Some(at),
        rules: [("harga".to_owned(), Acted { last: at, since: at, count: 1 })].into(),
    };
    Step {
        event: event.clone(),
        seq: Seq(seq),
        state,
        memory: Some(("77@lid".to_owned(), memory)),
        answers: (0..answers).map(|n| answer(event, n)).collect(),
        handed: BTreeSet::new(),
    }
}

async fn waiting(store: &Store) -> usize {
    store.queue().pending(&device("a"), 0, 10_000).await.unwrap().len()
}

#[tokio::test]
async fn an_answer_is_given_once_and_what_is_remembered_survives() {
    let opened = open().await;
    let (a, event) = (device("a"), EventId::derive(&["one"]));
    let queue = opened.store.queue();
    assert_eq!(queue.rules(&a).await.unwrap(), RuleState::default());
    for _ in 0..2 {
        assert_eq!(queue.step(&a, step(&event, 7, 2)).await.unwrap(), Stepped::Done);
        assert_eq!(waiting(&opened.store).await, 2);
    }
    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    let expected = step(&event, 7, 0);
    assert_eq!(queue.rules(&a).await.unwrap(), expected.state);
    assert_eq!(queue.ruled().await.unwrap(), [(a.clone(), expected.state)]);
    let memory = expected.memory.unwrap().1;
    assert_eq!(queue.chat_memory(&a, "77@lid").await.unwrap(), memory);
    assert_eq!(queue.chat_memory(&device("b"), "77@lid").await.unwrap(), ChatMemory::default());
    queue.purge_memory(&a).await.unwrap();
    queue.forget_rules(&a).await.unwrap();
    assert_eq!(queue.rules(&a).await.unwrap(), RuleState::default());
    assert_eq!(queue.chat_memory(&a, "77@lid").await.unwrap(), ChatMemory::default());
    assert_eq!(waiting(&opened.store).await, 2, "what was promised is sent");
}

#[tokio::test]
async fn a_full_queue_and_another_account_leave_everything_as_it_was() {
    let opened = open().await;
    let (a, event) = (device("a"), EventId::derive(&["one"]));
    let queue = opened.store.queue();
    let Step { answers, .. } = step(&event, 1, QUEUE_LIMIT - 1);
    for answer in answers {
        queue.enqueue(answer, None, QUEUE_LIMIT).await.unwrap();
    }
    let other = EventId::derive(&["two"]);
    assert_eq!(queue.step(&a, step(&other, 2, 2)).await.unwrap(), Stepped::Full);
    assert_eq!(queue.rules(&a).await.unwrap(), RuleState::default());
    assert_eq!(waiting(&opened.store).await, QUEUE_LIMIT - 1);
    assert_eq!(queue.step(&a, step(&other, 2, 1)).await.unwrap(), Stepped::Done);

    let b = device("b");
    let event = NewEvent {
        device: b.clone(),
        id: EventId::derive(&["of the old account"]),
        kind: EventType::MessageReceived,
        at: UnixMillis::now(),
        body: bytes::Bytes::from_static(b"{}"),
        counts: Counted::Nothing,
    };
    queue.belong(&b, Some("628111".to_owned())).await.unwrap();
    opened.store.log().append(vec![event.clone()]).await.unwrap();
    queue.belong(&b, Some("628222".to_owned())).await.unwrap();
    let stepped = queue.step(&b, Step { answers: Vec::new(), ..step(&event.id, 1, 0) }).await;
    assert_eq!(stepped.unwrap(), Stepped::NotOurs);
    assert_eq!(queue.rules(&b).await.unwrap(), RuleState::default());
}

#[tokio::test]
async fn what_is_handed_to_a_webhook_is_kept_as_long_as_the_log_has_it() {
    let opened = open().await;
    let a = device("a");
    let (crm, other) = (EndpointId::of(&a, "https://crm"), EndpointId::of(&a, "https://other"));
    for seq in [1, 2, 256] {
        let event = EventId::derive(&[&seq.to_string()]);
        let handed = BTreeSet::from([crm.clone()]);
        let step = Step { handed, ..step(&event, seq, 0) };
        assert_eq!(opened.store.queue().step(&a, step).await.unwrap(), Stepped::Done);
    }
    let opened = opened.reopen().await;
    let queue = opened.store.queue();
    let kept = async || {
        let mut kept = Vec::new();
        for seq in [1, 2, 3, 256] {
            if queue.is_handed(&a, Seq(seq), &crm).await.unwrap() {
                kept.push(seq);
            }
            assert!(!queue.is_handed(&a, Seq(seq), &other).await.unwrap());
            assert!(!queue.is_handed(&device("b"), Seq(seq), &crm).await.unwrap());
        }
        kept
    };
    assert_eq!(kept().await, [1, 2, 256]);
    queue.purge_handed(&a, Seq(0)).await.unwrap();
    assert_eq!(kept().await, [1, 2, 256]);
    queue.purge_handed(&a, Seq(2)).await.unwrap();
    assert_eq!(kept().await, [256]);
    queue.forget_rules(&a).await.unwrap();
    assert_eq!(kept().await, [0_u64; 0]);
}
