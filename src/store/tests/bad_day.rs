//! Whatever the disk did to a store that was stopped: it opens with all it had, or says what is damaged; and
//! repairing it keeps what can be read, invents nothing, and says what was lost.

use std::collections::BTreeMap;
use std::fs::OpenOptions;

use super::*;
use crate::model::{
    Content, EventId, EventType, IdempotencyKey, MessageId, MessageStatus, Recipient, SendRequest,
    SentMessage,
};
use crate::store::database::tables;
use crate::store::tally::Counted;

const EVENTS: u64 = 240;
const MESSAGES: u64 = 12;
const ROWS: u64 = 60;

/// How many bits are flipped and, by half, how many tails are cut: `MOONWA_BAD_DAYS`.
fn asked_days() -> Option<usize> {
    std::env::var("MOONWA_BAD_DAYS").ok()?.parse().ok()
}

fn keeps(key: &[u8]) -> bool {
    !key.starts_with(b"session/")
}

fn a() -> DeviceName {
    device("a")
}

fn person(n: u64) -> Vec<String> {
    vec![format!("62811{n}")]
}

fn event(n: u64) -> NewEvent {
    NewEvent {
        device: a(),
        id: EventId::derive(&["a", &n.to_string()]),
        kind: EventType::MessageReceived,
        at: UnixMillis::from_secs(n),
        body: format!("{{\"n\":{n},\"text\":\"{}\"}}", "word ".repeat(100)).into(),
        counts: Counted::Touch { people: person(n), wrote: true },
    }
}

fn message(n: u64) -> SentMessage {
    let (id, text) = (format!("M{n}"), format!("text {n}"));
    let to = Recipient::parse("628123456789", None).unwrap();
    SentMessage {
        id: MessageId::parse(&id).unwrap(),
        created: UnixMillis::from_secs(1),
        updated: UnixMillis::from_secs(1),
        ..SentMessage::new(device("a"), SendRequest::plain(to, Content::Text { text }))
    }
}

fn endpoint() -> EndpointId {
    EndpointId::of(&a(), "http://x")
}

fn cursor() -> Cursor {
    Cursor {
        device: a(),
        acked: Seq(100),
        tries: 0,
        failures: 0,
        failing_since: None,
        next_try: None,
        state: EndpointState::Active,
        last_status: None,
        last_code: None,
        last_error: None,
        delivered: 100,
        parked: 0,
        dropped: 0,
        removed_at: None,
    }
}

/// Everything that lies in a directory: path, content without the zeros at its end, length.
type Files = Vec<(PathBuf, Vec<u8>, u64)>;

fn files(root: &Path) -> Files {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().unwrap() != "ballast" {
                let mut bytes = std::fs::read(&path).unwrap();
                let length = bytes.len() as u64;
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
                found.push((path.strip_prefix(root).unwrap().to_owned(), bytes, length));
            }
        }
    }
    found.sort();
    found
}

fn put(files: &Files, root: &Path) {
    for (path, bytes, length) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(*length).unwrap();
    }
}

/// Writes a third of everything.
async fn write(store: &Store, part: u64) {
    for n in (0..ROWS).filter(|n| n % 3 == part) {
        let mut batch = Batch::new();
        batch.put(format!("row/{n}"), vec![u8::try_from(n).unwrap(); 300]);
        batch.put(format!("session/{n}"), "ratchet");
        store.space(&a()).write(batch).await.unwrap();
    }
    for n in (1..=MESSAGES).filter(|n| n % 3 == part) {
        let key = IdempotencyKey::parse(&format!("key-{n}")).unwrap();
        store.queue().enqueue(message(n), Some(key), 99).await.unwrap();
    }
    for n in EVENTS / 3 * part + 1..=EVENTS / 3 * (part + 1) {
        store.log().append(vec![event(n)]).await.unwrap();
    }
    let letter = DeadLetter {
        seq: Seq(part + 1),
        id: event(part + 1).id,
        parked_at: UnixMillis::from_secs(part),
        tries: 1,
        status: Some(400),
        code: None,
        reason: "no".to_owned(),
        answer: "no".to_owned(),
        body: "{}".into(),
    };
    store.cursors().park(&endpoint(), letter, &cursor()).await.unwrap();
    let step = rule::step(&event(part + 1).id, part + 1, 0);
    let step = Step { handed: [endpoint()].into(), ..step };
    assert_eq!(store.queue().step(&a(), step).await.unwrap(), Stepped::Done);
}

/// A store with rows, messages, events in several segments, a cursor and dead letters; some in tables, some in
/// journals.
async fn store() -> Files {
    let opened = open().await.reopen_with(|options| options.max_size = 256 * 1024).await;
    let identity = vec![(b"D".to_vec(), bytes::Bytes::from("identity"))];
    opened.store.identities().save(&a(), &identity).unwrap();
    write(&opened.store, 0).await;
    write(&opened.store, 1).await;
    opened.store.close().await.unwrap();
    let path = opened.dir.path();
    let limits = Limits { keep: Duration::from_secs(72 * 3600), max_size: 256 * 1024 };
    let state = State::open(&path.join("state")).unwrap();
    let outbox = Outbox::open(&path.join("outbox"), limits).unwrap();
    let segments = outbox.segments();
    for keyspace in [&state.meta, &state.rows] {
        tables::empty(&state.db, keyspace);
    }
    let all = [&outbox.meta, &outbox.dead, &outbox.queue].into_iter();
    for keyspace in all.chain(segments.iter().map(|segment| &segment.rows)) {
        tables::empty(&outbox.db, keyspace);
    }
    drop((state, outbox, segments));
    let store = Store::open(options(path)).await.unwrap();
    write(&store, 2).await;
    store.close().await.unwrap();
    files(path)
}

/// What a store has. Everything in it is as it was written, or the test fails.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    rows: u64,
    sessions: u64,
    messages: u64,
    events: u64,
    /// Events after the cursor that are gone, as an endpoint is told of them.
    dropped: u64,
    cursors: u64,
    letters: u64,
    /// Who is in touch.
    people: u64,
    /// What rules handed to a webhook.
    handed: u64,
}

async fn contents(store: &Store) -> Contents {
    let mut found = Contents::default();
    for (key, value) in store.space(&a()).scan("").await.unwrap() {
        let key = String::from_utf8(key).unwrap();
        let (kind, n) = key.split_once('/').unwrap();
        let n: u64 = n.parse().unwrap();
        match kind {
            "row" => {
                assert_eq!(value, vec![u8::try_from(n).unwrap(); 300]);
                found.rows += 1;
            }
            _ => found.sessions += 1,
        }
    }
    let queued = store.queue().pending(&a(), 0, 999).await.unwrap();
    assert_eq!(queued.len(), store.queue().recent(&a(), 999).await.unwrap().len());
    for n in 1..=MESSAGES {
        let sent = store.queue().get(&a(), &message(n).id).await.unwrap();
        let Some(sent) = sent else { continue };
        assert_eq!((sent.request, sent.status), (message(n).request, MessageStatus::Queued));
        let key = IdempotencyKey::parse(&format!("key-{n}")).unwrap();
        let again = store.queue().known(&a(), &message(n).request, &key).await.unwrap();
        assert!(matches!(again, Some(Enqueued::Known(_))), "message {n} lost its key");
        found.messages += 1;
    }
    assert_eq!(queued.len() as u64, found.messages);
    let mut events = BTreeMap::new();
    let mut after = Seq(0);
    loop {
        let page = store.log().read_after(&a(), after, 50).await.unwrap();
        if after.0 >= 100 {
            found.dropped += page.dropped;
        }
        let Some(last) = page.events.last() else { break };
        after = last.seq;
        if after.0 < 100 {
            found.dropped = 0;
        }
        for event in page.events {
            events.insert(event.seq.0, event);
        }
    }
    for (seq, stored) in &events {
        assert_eq!((&stored.id, &stored.body), (&event(*seq).id, &event(*seq).body));
        assert_eq!(store.log().find(&a(), &stored.id).await.unwrap(), Some(Seq(*seq)));
    }
    found.events = events.len() as u64;
    for (id, saved) in store.cursors().all().await.unwrap() {
        assert_eq!((id, saved), (endpoint(), cursor()));
        found.cursors += 1;
    }
    let letters = store.cursors().dead_letters(&endpoint(), Seq(0), 99).await.unwrap();
    found.letters = letters.len() as u64;
    let people = (1..=EVENTS).map(person).collect();
    let strangers = store.queue().strangers(&a(), people).await.unwrap();
    found.people = strangers.iter().filter(|stranger| !**stranger).count() as u64;
    for seq in (1..=3).map(Seq) {
        found.handed += u64::from(store.queue().is_handed(&a(), seq, &endpoint()).await.unwrap());
    }
    found
}

async fn lives(store: &Store) {
    let tail = store.log().tail(&a()).borrow().0;
    let fresh = NewEvent { id: EventId::derive(&["a", "fresh"]), ..event(EVENTS + 1) };
    store.log().append(vec![fresh]).await.unwrap();
    let page = store.log().read_after(&a(), Seq(tail), 9).await.unwrap();
    assert_eq!(page.events.len(), 1, "what comes after the repair is not there");
    let fresh = SentMessage { id: MessageId::parse("FRESH").unwrap(), ..message(99) };
    let queued = store.queue().enqueue(fresh, None, 99).await.unwrap();
    assert!(matches!(queued, Enqueued::Queued(_)));
}

/// Opens a damaged store as a person would, and says how it ended.
async fn endure(what: &str, damaged: &Files, whole: &Contents) -> &'static str {
    let dir = tempfile::tempdir().unwrap();
    put(damaged, dir.path());
    match Store::open(options(dir.path())).await {
        Ok(store) => {
            let found = contents(&store).await;
            let aside = std::fs::read_dir(dir.path()).unwrap().flatten();
            let aside = aside
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("outbox.damaged-"));
            let repaired = aside.count() > 0;
            assert_eq!(found.rows, whole.rows, "{what}");
            assert!(repaired || found == *whole, "{what}: silently lost: {found:?}");
            lives(&store).await;
            store.close().await.unwrap();
            if !repaired {
                return "nothing lost";
            }
            let said = said_of(damaged).await;
            let less = found.events < whole.events
                || found.letters < whole.letters
                || found.messages < whole.messages
                || found.people < whole.people
                || found.handed < whole.handed;
            assert!(!less || said.contains("lost: "), "{what}: {found:?}\n{said}");
            let count = format!("{} that {}", found.dropped, endpoint().as_str());
            assert!(found.dropped == 0 || said.contains(&count), "{what}: {found:?}\n{said}");
            "outbox repaired by the start"
        }
        Err(error @ StoreError::Broken { .. }) => {
            let text = error.to_string();
            assert!(text.contains("moonwa repair") && text.contains("state"), "{what}: {text}");
            assert!(text.contains(" a need no new QR code"), "{what}: {text}");
            let (store, repaired) =
                Store::open_repairing(options(dir.path()), keeps).await.unwrap();
            assert!(!repaired.is_empty(), "{what}");
            let said: String = repaired.iter().map(ToString::to_string).collect();
            let found = contents(&store).await;
            assert_eq!(found.sessions, 0, "{what}: an old session stayed");
            let less = found.rows < whole.rows || found.messages < whole.messages;
            assert!(!less || said.contains("lost: "), "{what}: {found:?}\n{said}");
            for repaired in repaired {
                assert!(repaired.aside.is_some_and(|aside| aside.exists()), "{what}");
            }
            assert!(store.identities().load(&a()).is_some());
            lives(&store).await;
            store.close().await.unwrap();
            "state repaired by command"
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

/// What a repair of the same damage says.
async fn said_of(damaged: &Files) -> String {
    let dir = tempfile::tempdir().unwrap();
    put(damaged, dir.path());
    let (store, repaired) = Store::open_repairing(options(dir.path()), keeps).await.unwrap();
    store.close().await.unwrap();
    repaired.iter().map(ToString::to_string).collect()
}

/// The same places every time, all over the files: a small generator is enough.
fn places(count: usize, files: &Files) -> Vec<(usize, usize)> {
    let all: usize = files.iter().map(|(_, bytes, _)| bytes.len()).sum();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    // Every second place is in a file of its own choice, so that small files have their turn.
    let place = |n: usize| {
        if n.is_multiple_of(2) {
            let mut at = next() % all;
            for (file, (_, bytes, _)) in files.iter().enumerate() {
                if at < bytes.len() {
                    return (file, at);
                }
                at -= bytes.len();
            }
        }
        let file = next() % files.len();
        (file, next() % files[file].1.len().max(1))
    };
    (0..count).map(place).collect()
}

#[tokio::test]
async fn whatever_a_disk_does_the_store_comes_back_and_says_what_was_lost() {
    let whole_files = store().await;
    let dir = tempfile::tempdir().unwrap();
    put(&whole_files, dir.path());
    let store = Store::open(options(dir.path())).await.unwrap();
    let whole = contents(&store).await;
    store.close().await.unwrap();
    assert_eq!((whole.rows, whole.sessions, whole.messages), (ROWS, ROWS, MESSAGES));
    assert_eq!((whole.cursors, whole.letters, whole.dropped), (1, 3, 0));
    assert_eq!(whole.people, EVENTS);

    let count = asked_days().unwrap_or(12);
    let mut days: Vec<(String, Files)> = Vec::new();
    let name = |file: usize| whole_files[file].0.display().to_string();
    for (n, (file, at)) in places(count, &whole_files).into_iter().enumerate() {
        let mut damaged = whole_files.clone();
        if let Some(byte) = damaged[file].1.get_mut(at) {
            *byte ^= 1 << (n % 8);
        }
        days.push((format!("{}: bit {} of byte {at} flipped", name(file), n % 8), damaged));
    }
    for (file, at) in places(count / 2, &whole_files) {
        let mut damaged = whole_files.clone();
        damaged[file].1.truncate(at);
        damaged[file].2 = at as u64;
        days.push((format!("{}: cut at {at}", name(file)), damaged));
    }
    for file in 0..whole_files.len() {
        let mut damaged = whole_files.clone();
        damaged[file].1.clear();
        damaged[file].2 = 0;
        days.push((format!("{} emptied", name(file)), damaged));
        if asked_days().is_none() && file % 2 == 0 {
            continue;
        }
        let mut damaged = whole_files.clone();
        damaged.remove(file);
        days.push((format!("{} deleted", name(file)), damaged));
    }
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for (what, damaged) in &days {
        *ends.entry(endure(what, damaged, &whole).await).or_default() += 1;
    }
    assert!(ends.len() == 3, "the damage is not of every kind: {ends:?}");
    #[expect(clippy::print_stderr, reason = "shown with --nocapture: the figures of a long run")]
    {
        eprintln!("{} bad days: {ends:?}", days.len());
    }
}
