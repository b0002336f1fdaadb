use std::fs::OpenOptions;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::store::database::{MIB, checkpoint};
use crate::store::repair::inspect::journals;

#[tokio::test]
async fn devices_cannot_see_each_other_and_rows_survive() {
    let opened = open().await;
    let (a, ab) = (device("a"), device("ab"));
    for (owner, value) in [(&a, "1"), (&ab, "2")] {
        let mut batch = Batch::new();
        batch.put("x/1", value);
        batch.put("x/2", value);
        batch.put("y", value);
        opened.store.space(owner).write(batch).await.unwrap();
    }
    let mut batch = Batch::new();
    batch.put("x/own", "3");
    opened.store.own_space().write(batch).await.unwrap();

    let opened = opened.reopen().await;
    let space = opened.store.space(&a);
    assert_eq!(space.get("y").await.unwrap(), Some(Bytes::from("1")));
    assert_eq!(opened.store.space(&ab).get("y").await.unwrap(), Some(Bytes::from("2")));
    let rows = space.scan("x/").await.unwrap();
    assert_eq!(rows, [(b"x/1".to_vec(), "1".into()), (b"x/2".to_vec(), Bytes::from("1"))]);
    assert_eq!(space.clone().under(b"x/").scan("").await.unwrap().len(), 2);
    assert_eq!(space.last("x/").await.unwrap(), Some((b"x/2".to_vec(), "1".into())));
    assert_eq!(opened.store.devices().await.unwrap(), [a.clone(), ab.clone()]);

    space.erase().await.unwrap();
    assert!(!space.has("").await.unwrap());
    assert!(opened.store.space(&ab).has("").await.unwrap());
    assert!(opened.store.own_space().has("").await.unwrap());
    assert_eq!(opened.store.devices().await.unwrap(), [ab]);
}

#[tokio::test]
async fn updates_at_the_same_time_lose_nothing() {
    let opened = open().await;
    let space = opened.store.space(&device("a"));
    let add = |space: Space| async move {
        space
            .update(|view| {
                let old = view.get("n")?.map_or(0, |row| row[0]);
                view.put("n", vec![old + 1]);
                Ok(old + 1)
            })
            .await
            .unwrap()
    };
    let mut seen = futures_util::future::join_all((0..200).map(|_| add(space.clone()))).await;
    seen.sort_unstable();
    assert_eq!(seen, (1..=200).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_failed_update_changes_nothing_even_in_a_group_that_succeeds() {
    let opened = open().await;
    let space = opened.store.space(&device("a"));
    let failing = space.update(|view| {
        view.put("bad", "1");
        Err::<(), _>(StoreError::Damaged("on purpose".to_owned()))
    });
    let good = space.update(|view| {
        view.put("good", "1");
        assert_eq!(view.get("bad")?, None);
        assert_eq!(view.scan(b"")?.len(), 1);
        view.remove("good");
        assert_eq!(view.scan(b"")?.len(), 0);
        view.put("good", "2");
        Ok(())
    });
    let (failed, good) = futures_util::future::join(failing, good).await;
    assert!(failed.is_err() && good.is_ok());
    assert_eq!(space.scan("").await.unwrap(), [(b"good".to_vec(), Bytes::from("2"))]);
}

#[tokio::test]
async fn a_second_process_is_refused_by_name() {
    let opened = open().await;
    let error = Store::open(options(opened.dir.path())).await.err().unwrap();
    assert!(matches!(error, StoreError::Locked(path) if path.starts_with(opened.dir.path())));
}

#[tokio::test]
async fn a_closed_store_says_so_and_a_live_one_is_alive() {
    let opened = open().await;
    assert!(opened.store.is_alive(Duration::from_secs(20)));
    let space = opened.store.space(&device("a"));
    opened.store.close().await.unwrap();
    assert!(matches!(space.get("x").await, Err(StoreError::Closed)));
    assert!(matches!(space.write(Batch::new()).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_store_that_cannot_keep_promises_says_so() {
    let opened = open().await;
    let space = opened.store.space(&device("a"));
    let broken = space.update(|_| -> Result<(), StoreError> { panic!("on purpose") });
    assert!(broken.await.is_err());
    let error = tokio::time::timeout(Duration::from_secs(60), opened.store.failed()).await;
    assert!(matches!(error, Ok(StoreError::Database(_))));
    assert!(!opened.store.is_alive(Duration::from_secs(60)));
    assert!(matches!(space.write(Batch::new()).await, Err(StoreError::Database(_))));
}

#[tokio::test]
async fn what_nobody_needs_any_more_leaves_the_spool() {
    let opened = open().await;
    let spool = opened.dir.path().join("spool");
    std::fs::write(spool.join("queued"), "x").unwrap();
    let old = std::fs::File::create(spool.join("forgotten")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    let _opened = opened.reopen().await;
    let left: Vec<_> =
        std::fs::read_dir(spool).unwrap().flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["queued"], "a message that waits keeps its file");
}

#[tokio::test]
async fn a_newer_format_is_refused_before_anything_else_is_read() {
    let opened = open().await;
    opened.store.close().await.unwrap();
    for database in ["state", "outbox"] {
        let file = opened.dir.path().join(database).join("format");
        let known = std::fs::read(&file).unwrap();
        std::fs::write(&file, format_file("moonwa store format 9")).unwrap();
        std::fs::write(opened.dir.path().join(database).join("version"), "another fjall").unwrap();
        let error = Store::open(options(opened.dir.path())).await.err().unwrap();
        assert!(matches!(error, StoreError::Newer { found: 9, reads: 4, .. }), "{error}");
        std::fs::write(file, known).unwrap();
        std::fs::write(opened.dir.path().join(database).join("version"), b"FJL\x03").unwrap();
    }
}

fn format_file(line: &str) -> String {
    format!("{line} {:016x}\n", xxhash_rust::xxh3::xxh3_64(line.as_bytes()))
}

#[tokio::test]
async fn a_format_file_that_rotted_is_not_taken_for_a_newer_one() {
    let opened = open().await;
    opened.store.close().await.unwrap();
    let file = opened.dir.path().join("outbox/format");
    let good = std::fs::read(&file).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&file, bad).unwrap();
        let store = Store::open(options(opened.dir.path())).await.unwrap();
        store.close().await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), good, "byte {at}");
    }
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let opened = open().await;
    let path = opened.dir.path().join("state");
    opened.store.close().await.unwrap();
    let state = State::open(&path).unwrap();
    state.meta.insert(b"f", 99_u64.to_be_bytes().as_slice()).unwrap();
    drop(state);
    let error = Store::open(options(opened.dir.path())).await.err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

/// The bytes that the journal of a database holds.
fn journal(opened: &Opened) -> u64 {
    checkpoint::size(&opened.dir.path().join("state"))
}

#[tokio::test]
async fn a_journal_is_emptied_early_and_what_comes_after_it_survives() {
    let mut opened = open().await;
    let row = |n: u8| vec![n; 100_000];
    for round in 0..3_u8 {
        let space = opened.store.own_space();
        for n in 0..50 {
            let mut batch = Batch::new();
            batch.put([round, n], row(n));
            space.write(batch).await.unwrap();
        }
        // 15 MB were written by now, in the last round.
        assert!(
            journal(&opened) < checkpoint::LARGE + MIB,
            "it is not emptied while the store runs"
        );
        opened = opened.reopen().await;
        assert!(journal(&opened) < checkpoint::WORTH, "it is not emptied at a stop");
        let mut batch = Batch::new();
        batch.put([round, 50], row(50));
        opened.store.own_space().write(batch).await.unwrap();
    }
    let opened = opened.reopen().await;
    let space = opened.store.own_space();
    for round in 0..3_u8 {
        for n in 0..=50 {
            assert_eq!(space.get([round, n]).await.unwrap().unwrap(), row(n));
        }
    }
    assert!(Store::inspect(opened.dir.path().to_owned()).await.is_err(), "the store is open");
    opened.store.close().await.unwrap();
    assert_eq!(Store::inspect(opened.dir.path().to_owned()).await.unwrap(), []);
}

#[tokio::test]
async fn an_empty_journal_is_damage_unless_it_was_emptied() {
    for emptied in [false, true] {
        let opened = open().await;
        for n in 0..if emptied { 50 } else { 1 } {
            let mut batch = Batch::new();
            batch.put([n], vec![n; 10_000]);
            opened.store.own_space().write(batch).await.unwrap();
        }
        opened.store.close().await.unwrap();
        let state = opened.dir.path().join("state");
        // As after a crash.
        std::fs::remove_file(state.join("closed")).unwrap();
        let journal = journals(&state).unwrap().pop().unwrap();
        assert_eq!(journal.metadata().unwrap().len() == 0, emptied);
        OpenOptions::new().write(true).open(&journal).unwrap().set_len(0).unwrap();
        let opens = Store::open(options(opened.dir.path())).await.is_ok();
        assert_eq!(opens, emptied);
    }
}

#[tokio::test]
async fn what_is_left_to_be_written_comes_before_what_is_waited_for() {
    let opened = open().await;
    let space = opened.store.space(&device("a"));
    let put = |value: &'static [u8]| {
        move |txn: &mut SpaceTxn<'_, '_>| {
            txn.put("k", value);
            Ok(())
        }
    };
    space.leave(put(b"one"), |_| panic!("it failed")).await.unwrap();
    let seen = space.update(|txn| txn.get("k")).await.unwrap();
    assert_eq!(seen.as_deref(), Some(&b"one"[..]));

    // Whoever comes after a failure knows of it.
    let failed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (told, asked) = (Arc::clone(&failed), Arc::clone(&failed));
    let tell = move |_: &StoreError| told.store(true, std::sync::atomic::Ordering::SeqCst);
    space.leave(|_| Err(StoreError::DiskFull), tell).await.unwrap();
    let known = space.update(move |_| Ok(asked.load(std::sync::atomic::Ordering::SeqCst))).await;
    assert!(known.unwrap());

    space.leave(put(b"two"), |_| panic!("it failed")).await.unwrap();
    let opened = opened.reopen().await;
    let kept = opened.store.space(&device("a")).get("k").await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"two"[..]), "lost by a clean end");
}
