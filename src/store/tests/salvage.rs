use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use fjall::{Database, PersistMode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::store::repair::journal_file::{Commit, Mark, read_commit};

const PAGE: usize = 4096;

fn journal(database: &Path) -> PathBuf {
    let file = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path();
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|end| end == "jnl");
    std::fs::read_dir(database).unwrap().map(file).filter(is_journal).max().unwrap()
}

/// Where every commit starts, and where the last one ends.
fn commits(journal: &Path) -> Vec<u64> {
    let mut file = BufReader::new(File::open(journal).unwrap());
    let mut starts = vec![0];
    while let Commit::Whole { length, .. } = read_commit(&mut file, false).unwrap() {
        starts.push(starts.last().unwrap() + length);
    }
    starts
}

fn zero(journal: &Path, at: u64, length: usize) {
    let mut file = OpenOptions::new().write(true).open(journal).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![0; length]).unwrap();
}

fn value(n: u8) -> Vec<u8> {
    (0..3 * PAGE).map(|i| u8::try_from(i % 251).unwrap().wrapping_mul(n) | 1).collect()
}

/// A database with commits as the committer marks them, and where they start.
fn marked(path: &Path, marks: &[(u64, u64)]) -> Vec<u64> {
    drop(State::open(path).unwrap());
    let state = State::open(path).unwrap();
    for (n, (commit, synced)) in (1..).zip(marks) {
        let mut batch = state.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&state.rows, vec![0, n], value(n));
        batch.insert(
            &state.meta,
            [Mark::KEY],
            Mark { commit: *commit, synced: *synced }.into_bytes(),
        );
        batch.commit().unwrap();
    }
    drop(state);
    let starts = commits(&journal(path));
    starts[starts.len() - marks.len() - 1..].to_vec()
}

fn rows(path: &Path) -> Vec<u8> {
    let state = State::open(path).unwrap();
    let keys = state.rows.iter().map(|guard| guard.key().unwrap()[1]);
    keys.inspect(|n| assert_eq!(state.rows.get([0, *n]).unwrap().unwrap(), value(*n))).collect()
}

#[test]
fn fjall_refuses_what_a_power_cut_does_to_the_last_commit_and_salvage_cuts_it_off() {
    let dir = tempfile::tempdir().unwrap();
    let starts = marked(dir.path(), &[(1, 0), (2, 1)]);
    let journal = journal(dir.path());
    zero(&journal, starts[1] + PAGE as u64, PAGE);
    let damaged = std::fs::read(&journal).unwrap();

    let refused = Database::builder(dir.path()).open().err().unwrap();
    assert!(matches!(refused, fjall::Error::JournalRecovery(_)), "{refused}");

    assert_eq!(rows(dir.path()), [1]);
    let copy = journal.with_extension(format!("jnl.torn-{}", starts[1]));
    assert!(std::fs::read(copy).unwrap() == damaged, "the copy is not the journal as it was");
}

/// Ends a store as a crash does: nothing says that it was closed.
async fn die(store: Store, path: &Path) {
    store.close().await.unwrap();
    std::fs::remove_file(path.join("state/closed")).unwrap();
}

#[tokio::test]
async fn a_torn_store_opens_and_goes_on() {
    let opened = open().await;
    let space = opened.store.own_space();
    for key in ["one", "two"] {
        let mut batch = Batch::new();
        batch.put(key, value(7));
        space.write(batch).await.unwrap();
    }
    die(opened.store, opened.dir.path()).await;
    let journal = journal(&opened.dir.path().join("state"));
    let starts = commits(&journal);
    zero(&journal, starts[starts.len() - 2] + PAGE as u64, PAGE);
    let store = Store::open(options(opened.dir.path())).await.unwrap();
    let space = store.own_space();
    assert_eq!((space.has("one").await.unwrap(), space.has("two").await.unwrap()), (true, false));
    let mut batch = Batch::new();
    batch.put("three", "3");
    space.write(batch).await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(options(opened.dir.path())).await.unwrap();
    assert_eq!(store.own_space().scan("").await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_written_in_order_is_there_when_anything_after_it_is() {
    let mut seen = Vec::new();
    for lost in 0..=2 {
        let opened = open().await;
        let (space, row) = (opened.store.own_space(), |key| {
            let mut batch = Batch::new();
            batch.put(key, value(7));
            batch
        });
        space.write_in_order(row("message")).await.unwrap();
        space.write(row("ratchet")).await.unwrap();
        die(opened.store, opened.dir.path()).await;
        let journal = journal(&opened.dir.path().join("state"));
        let starts = commits(&journal);
        let file = OpenOptions::new().write(true).open(&journal).unwrap();
        file.set_len(starts[starts.len() - 1 - lost]).unwrap();
        let store = Store::open(options(opened.dir.path())).await.unwrap();
        let space = store.own_space();
        seen.push((space.has("message").await.unwrap(), space.has("ratchet").await.unwrap()));
    }
    assert_eq!(seen, [(true, true), (true, false), (false, false)]);
}

#[test]
fn wherever_the_last_commit_is_torn_the_others_survive() {
    for page in 0..=3 {
        for length in [1, PAGE, 4 * PAGE] {
            let dir = tempfile::tempdir().unwrap();
            let starts = marked(dir.path(), &[(1, 0), (2, 1)]);
            zero(&journal(dir.path()), starts[1] + (page * PAGE) as u64, length);
            assert_eq!(rows(dir.path()), [1], "page {page}, {length} bytes");
        }
    }
}

#[test]
fn a_short_journal_keeps_every_whole_commit() {
    let dir = tempfile::tempdir().unwrap();
    let starts = marked(dir.path(), &[(1, 0), (2, 1)]);
    for end in [starts[2], starts[2] - 1, starts[1] + 5000, starts[1] + 1] {
        let file = OpenOptions::new().write(true).open(journal(dir.path())).unwrap();
        file.set_len(end).unwrap();
        let expected: &[u8] = if end == starts[2] { &[1, 2] } else { &[1] };
        assert_eq!(rows(dir.path()), expected, "cut at {end}");
    }
}

#[test]
fn damage_that_no_power_cut_explains_is_named_and_left_alone() {
    // A page of zeros inside a value, and one over a commit's beginning, where fjall would just stop reading.
    for offset in [PAGE as u64, 0] {
        let dir = tempfile::tempdir().unwrap();
        let starts = marked(dir.path(), &[(1, 0), (2, 1), (3, 2)]);
        let journal = journal(dir.path());
        zero(&journal, starts[1] + offset, 100);
        let damaged = std::fs::read(&journal).unwrap();
        let error = State::open(dir.path()).err().unwrap();
        let place = format!("byte {}", starts[1]);
        let named =
            matches!(&error, StoreError::Broken { .. }) && error.to_string().contains(&place);
        assert!(named, "{error}");
        assert!(std::fs::read(&journal).unwrap() == damaged, "it was changed");
    }
}

#[test]
fn lazy_commits_after_the_tear_may_go_with_it() {
    // The second was not synced when the third and fourth were written: a power cut may take any of them.
    let dir = tempfile::tempdir().unwrap();
    let starts = marked(dir.path(), &[(1, 0), (2, 1), (3, 1), (4, 1)]);
    zero(&journal(dir.path()), starts[1] + PAGE as u64, PAGE);
    assert_eq!(rows(dir.path()), [1]);
    // The fourth knows that the second was.
    let dir = tempfile::tempdir().unwrap();
    let starts = marked(dir.path(), &[(1, 0), (2, 1), (3, 1), (4, 3)]);
    zero(&journal(dir.path()), starts[1] + PAGE as u64, PAGE);
    assert!(matches!(State::open(dir.path()), Err(StoreError::Broken { .. })));
}

/// The journal of a few real commits, without the zeros behind them, and where each starts.
fn real_journal() -> &'static (Vec<u8>, Vec<u64>) {
    static REAL: OnceLock<(Vec<u8>, Vec<u64>)> = OnceLock::new();
    REAL.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        for n in 1..=6_u64 {
            let mut batch = state.db.batch().durability(Some(PersistMode::SyncAll));
            for row in 0..n {
                let value = vec![b'v'; usize::try_from(n * row * 7).unwrap()];
                batch.insert(&state.rows, format!("{row}"), value);
            }
            batch.remove(&state.rows, "0");
            let mark = Mark { commit: n, synced: n - 1 };
            batch.insert(&state.meta, [Mark::KEY], mark.into_bytes());
            batch.commit().unwrap();
        }
        drop(state);
        let journal = journal(dir.path());
        let starts = commits(&journal);
        let mut bytes = std::fs::read(journal).unwrap();
        bytes.truncate(usize::try_from(*starts.last().unwrap()).unwrap());
        (bytes, starts)
    })
}

/// What a commit says: all but its sequence number, which no checksum covers.
fn content(commit: &[u8]) -> (&[u8], &[u8]) {
    (&commit[..5], &commit[13..])
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Zero(Index, usize),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            1 => (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Self::Zero(at, length)),
            1 => any::<Index>().prop_map(Self::Cut),
            1 => (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Self::Remove(at, length)),
            1 => (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Self::Repeat(at, length)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let range = |at: &Index, length: usize| {
            let at = at.index(bytes.len());
            at..(at + length).min(bytes.len())
        };
        match self {
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Zero(at, length) => {
                let range = range(at, *length);
                bytes[range].fill(0);
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Remove(at, length) => drop(bytes.drain(range(at, *length))),
            Self::Repeat(at, length) => {
                let range = range(at, *length);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, copy);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_commit_is_never_taken_for_a_whole_one(
        damage in vec(Damage::any(), 1..4),
    ) {
        let (real, starts) = real_journal();
        let commit = |bounds: &[u64]| {
            let [from, to] = [bounds[0], bounds[1]].map(|at| usize::try_from(at).unwrap());
            content(&real[from..to])
        };
        let written: Vec<_> = starts.windows(2).map(commit).collect();
        let mut bytes = real.clone();
        for damage in &damage {
            damage.apply(&mut bytes);
        }
        // From everywhere, as salvage looks behind a damaged commit.
        for from in 0..bytes.len() {
            let rest = &bytes[from..];
            if let Commit::Whole { length, .. } = read_commit(&mut &rest[..], false).unwrap() {
                let found = content(&rest[..usize::try_from(length).unwrap()]);
                prop_assert!(written.contains(&found), "at {from}");
            }
        }
    }
}

#[test]
fn a_database_that_was_half_made_is_made_again() {
    for version in [None, Some(b"".as_slice())] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keyspaces")).unwrap();
        std::fs::write(dir.path().join("lock"), "").unwrap();
        File::create(dir.path().join("0.jnl")).unwrap().set_len(64 * 1024 * 1024).unwrap();
        if let Some(version) = version {
            std::fs::write(dir.path().join("version"), version).unwrap();
        }
        assert!(Database::builder(dir.path()).open().is_err(), "fjall can do it alone now");
        assert!(rows(dir.path()).is_empty());
    }
}

#[test]
fn a_database_that_lost_its_version_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    marked(dir.path(), &[(1, 0)]);
    let version = dir.path().join("version");
    let kept = std::fs::read(&version).unwrap();
    std::fs::remove_file(&version).unwrap();
    assert!(State::open(dir.path()).is_err());
    std::fs::write(&version, kept).unwrap();
    assert_eq!(rows(dir.path()), [1]);
}

#[tokio::test]
async fn a_journal_in_use_is_left_alone() {
    let opened = open().await;
    let mut batch = Batch::new();
    batch.put("x", value(1));
    opened.store.own_space().write(batch).await.unwrap();
    let journal = journal(&opened.dir.path().join("state"));
    let starts = commits(&journal);
    // What a scan could see while the owner is writing.
    zero(&journal, starts[starts.len() - 2] + PAGE as u64, PAGE);
    let before = journal.metadata().unwrap().len();
    assert!(matches!(Store::open(options(opened.dir.path())).await, Err(StoreError::Locked(_))));
    assert_eq!(journal.metadata().unwrap().len(), before);
}
