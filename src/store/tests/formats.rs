//! Stores as earlier versions wrote them, opened by this one. Each directory `format-N` was written by the first
//! version of that format; `write_the_fixture` makes the next.

use super::*;
use crate::model::{
    Content, EventId, EventType, IdempotencyKey, MessageId, MessageStatus, Recipient, SendRequest,
    SentMessage,
};
use crate::store::database::{format, tables};
use crate::store::repair::inspect;
use crate::store::tally::Counted;

fn event(n: u64) -> NewEvent {
    NewEvent {
        device: device("a"),
        id: EventId::derive(&["a", &n.to_string()]),
        kind: EventType::MessageReceived,
        at: UnixMillis::from_secs(n),
        body: format!("{{\"n\":{n}}}").into(),
        counts: Counted::Nothing,
    }
}

fn message(n: u64) -> SentMessage {
    SentMessage {
        id: MessageId::parse(&format!("M{n}")).unwrap(),
        device: device("a"),
        request: SendRequest {
            to: Recipient::parse("628123456789", None).unwrap(),
            content: Content::Text { text: format!("text {n}") },
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
        created: UnixMillis::from_secs(1_790_000_000),
        updated: UnixMillis::from_secs(1_790_000_000),
        due: None,
        expires: None,
        list: None,
        by: None,
    }
}

fn key(n: u64) -> IdempotencyKey {
    IdempotencyKey::parse(&format!("key-{n}")).unwrap()
}

fn endpoint() -> EndpointId {
    EndpointId::of(&device("a"), "http://x")
}

fn cursor() -> Cursor {
    Cursor {
        device: device("a"),
        acked: Seq(2),
        tries: 0,
        failures: 0,
        failing_since: None,
        next_try: None,
        state: EndpointState::Active,
        last_status: None,
        last_code: None,
        last_error: None,
        delivered: 1,
        parked: 1,
        dropped: 0,
        removed_at: None,
    }
}

fn later_message() -> SentMessage {
    message(4).at(UnixMillis::from_secs(4_102_444_800))
}

async fn has_everything(store: &Store, format: u64) {
    let rows = store.space(&device("a")).scan("row/").await.unwrap();
    let row = |n: u8| (format!("row/{n}").into_bytes(), bytes::Bytes::from(vec![n; 10]));
    assert_eq!(rows, [row(0), row(1), row(2)]);
    assert_eq!(store.own_space().get("own").await.unwrap(), Some("gateway".into()));
    let pending = store.queue().pending(&device("a"), 0, 9).await.unwrap();
    let ids: Vec<&str> = pending.iter().map(|(_, message)| message.id.as_str()).collect();
    assert_eq!(ids, ["M2", "M3"]);
    let later = store.queue().scheduled(&device("a"), 9).await.unwrap();
    assert_eq!(later, if format > 2 { vec![later_message()] } else { vec![] });
    for n in 1..=3 {
        let known = store.queue().known(&device("a"), &message(n).request, &key(n)).await.unwrap();
        assert!(matches!(known, Some(Enqueued::Known(known)) if known.id == message(n).id));
    }
    let first = store.queue().get(&device("a"), &message(1).id).await.unwrap().unwrap();
    assert_eq!(first.status, MessageStatus::Delivered);
    let page = store.log().read_after(&device("a"), Seq(0), 99).await.unwrap();
    for n in 1..=5 {
        let found = page.events.iter().find(|found| found.id == event(n).id).unwrap();
        assert_eq!(found.body, event(n).body);
    }
    assert_eq!(page.dropped, 0);
    assert_eq!(store.cursors().load(&endpoint()).await.unwrap(), Some(cursor()));
    let letters = store.cursors().dead_letters(&endpoint(), Seq(0), 9).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.seq).collect::<Vec<_>>(), [Seq(1)]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests")
}

#[tokio::test]
async fn a_store_of_every_earlier_format_opens_with_all_it_had() {
    for format in 1..=format::FORMAT {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixtures().join(format!("format-{format}")), dir.path());
        for _start in 0..2 {
            let store = Store::open(options(dir.path())).await.unwrap();
            has_everything(&store, format).await;
            store.close().await.unwrap();
            for database in ["state", "outbox"] {
                let text = std::fs::read_to_string(dir.path().join(database).join("format"));
                let line = format!("moonwa store format {} ", format::FORMAT);
                assert!(text.unwrap().starts_with(&line));
            }
        }
    }
}

#[tokio::test]
#[ignore = "writes the fixture of this format"]
async fn write_the_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path())).await.unwrap();
    for n in 0..3_u8 {
        let mut batch = Batch::new();
        batch.put(format!("row/{n}"), vec![n; 10]);
        store.space(&device("a")).write(batch).await.unwrap();
    }
    let mut batch = Batch::new();
    batch.put("own", "gateway");
    store.own_space().write(batch).await.unwrap();
    for n in 1..=5 {
        store.log().append(vec![event(n)]).await.unwrap();
    }
    for n in 1..=3 {
        store.queue().enqueue(message(n), Some(key(n)), 9).await.unwrap();
    }
    store.queue().enqueue(later_message(), None, 9).await.unwrap();
    store.queue().advance(&device("a"), &message(1).id, MessageStatus::Delivered).await.unwrap();
    let letter = DeadLetter {
        seq: Seq(1),
        id: event(1).id,
        parked_at: UnixMillis::from_secs(1),
        tries: 1,
        status: Some(400),
        code: None,
        reason: "no".to_owned(),
        answer: "no".to_owned(),
        body: "{}".into(),
    };
    store.cursors().park(&endpoint(), letter, &cursor()).await.unwrap();
    store.close().await.unwrap();
    let limits = Limits { keep: Duration::from_hours(72), max_size: 1 << 28 };
    let outbox = Outbox::open(&dir.path().join("outbox"), limits).unwrap();
    tables::empty(&outbox.db, &outbox.queue);
    drop(outbox);
    let to = fixtures().join(format!("format-{}", format::FORMAT));
    copy(dir.path(), &to);
    for file in ["ballast", "state/lock", "outbox/lock"] {
        std::fs::remove_file(to.join(file)).ok();
    }
    for database in ["state", "outbox"] {
        for journal in inspect::journals(&to.join(database)).unwrap() {
            let bytes = std::fs::read(&journal).unwrap();
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            std::fs::write(&journal, &bytes[..end]).unwrap();
        }
    }
}
