//! Mends what a crash can leave behind, where fjall would refuse to open the database or would silently drop commits
//! that were promised: a database that was only half made, and a journal whose last commit was torn by a power cut.
//! Damage that no power cut explains is reported, all of it, and left as it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::Duration;

use crate::private;
use crate::store::StoreError;
use crate::store::database::format;
use crate::store::repair::damage::Damage;
use crate::store::repair::inspect;
use crate::store::repair::inspect::journals;
use crate::store::repair::journal_file;
use crate::store::repair::journal_file::{Commit, Mark, read_commit, rest_of};

/// Mends a database before fjall opens it.
pub(crate) fn before_open(path: &Path) -> Result<(), StoreError> {
    let _lock = lock(path)?;
    if !format::is_made(path) && !is_finished(path) {
        return clear(path);
    }
    let journal = journals(path).map_err(StoreError::io(path))?.pop();
    let torn = journal.map_or(Ok(None), |journal| mend(path, &journal))?;
    let mut damages = inspect::verify_news(path).map_err(StoreError::io(path))?;
    if let Some(torn) = torn {
        damages.retain(|damage| *damage != torn);
        damages.insert(0, torn);
    }
    if damages.is_empty() { Ok(()) } else { Err(StoreError::broken(path, damages)) }
}

/// Keeps other processes away from a database until it is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, StoreError> {
    let lock = path.join("lock");
    // It holds nothing, so one that is lost can be made again.
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock);
    let lock = opened.map_err(StoreError::io(&lock))?;
    hold(&lock).map_err(|_held| StoreError::Locked(path.to_owned()))?;
    Ok(lock)
}

/// A process that is stopped while its successor starts lets go within a moment.
fn hold(lock: &File) -> Result<(), TryLockError> {
    for _try in 0..3 {
        if lock.try_lock().is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    lock.try_lock()
}

/// fjall writes this file last when it makes a database.
pub(crate) fn is_finished(path: &Path) -> bool {
    std::fs::read(path.join("version")).is_ok_and(|version| version.starts_with(b"FJL"))
}

/// Removes a database whose making was interrupted, so that it can be made again. Only when nothing was ever written.
fn clear(path: &Path) -> Result<(), StoreError> {
    let journals = journals(path).map_err(StoreError::io(path))?;
    for journal in &journals {
        let mut first = [0];
        let read = File::open(journal).and_then(|mut file| file.read(&mut first));
        read.map_err(StoreError::io(journal))?;
        if first != [0] {
            let file = path.join("version");
            return Err(StoreError::broken(path, vec![Damage { file, what: "is missing".into() }]));
        }
    }
    if !journals.is_empty() {
        tracing::warn!(path = %path.display(), "A database was left half made; making it again.");
    }
    for file in journals.into_iter().chain([path.join("version")]) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io(&file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Cuts a torn last commit off a journal, keeping a copy of the journal as it was. What must not be cut is returned.
fn mend(path: &Path, journal: &Path) -> Result<Option<Damage>, StoreError> {
    // What was in tables before the journal was emptied is no business of its.
    let emptied = format::emptied_at(path);
    let closed = format::closed_at(path).filter(|closed| emptied.is_none_or(|at| at < *closed));
    let find = || find_tear(&mut journal_file::open(journal)?, closed);
    let Some(tear) = find().map_err(StoreError::io(journal))? else { return Ok(None) };
    if tear.promised {
        let what = format!("is damaged at byte {}", tear.at);
        return Ok(Some(Damage { file: journal.to_owned(), what }));
    }
    // The name contains the place of the tear, so that a second attempt does not overwrite the first copy.
    let copy = journal.with_extension(format!("jnl.torn-{}", tear.at));
    let cut = || -> io::Result<()> {
        io::copy(&mut File::open(journal)?, &mut private::create(&copy)?)?;
        let file = OpenOptions::new().write(true).open(journal)?;
        file.set_len(tear.at)?;
        file.sync_all()
    };
    cut().map_err(StoreError::io(journal))?;
    tracing::warn!(
        journal = %journal.display(), copy = %copy.display(), at = tear.at,
        "The last commit was torn by a power cut and is gone; it was never promised to anybody."
    );
    Ok(None)
}

/// Where a journal is damaged in a way that fjall does not handle itself.
pub(crate) struct Tear {
    /// The end of the last good commit.
    pub(crate) at: u64,
    /// Whether a later commit proves that the damaged part had been synced.
    promised: bool,
}

pub(crate) fn find_tear(
    file: &mut (impl Read + Seek),
    closed: Option<u64>,
) -> io::Result<Option<Tear>> {
    let (mut at, mut commit) = (0, None);
    let refused = loop {
        match read_commit(file, false)? {
            Commit::Whole { length, mark, .. } => {
                at += length;
                commit = mark.map(|mark| mark.commit).or(commit);
            }
            Commit::Refused => break true,
            Commit::Broken => break false,
        }
    };
    let rest = rest_of(file, at)?;
    if rest.is_empty() {
        return Ok(None);
    }
    let later = later_marks(&rest)?;
    // A database that was closed had everything on the disk.
    let closed = closed.is_some_and(|closed| commit.is_none_or(|commit| commit < closed));
    let Some(first) = later.first() else {
        // fjall itself drops a commit that was cut short.
        return Ok((refused || closed).then_some(Tear { at, promised: closed }));
    };
    let damaged = commit.map_or(first.commit.saturating_sub(1), |commit| commit + 1);
    let promised = closed || later.iter().any(|mark| mark.synced >= damaged);
    Ok(Some(Tear { at, promised }))
}

/// The marks of the whole commits that come after a damaged one.
fn later_marks(rest: &[u8]) -> io::Result<Vec<Mark>> {
    let mut marks = Vec::new();
    let mut from = 1;
    while let Some(mut bytes) = rest.get(from..).filter(|bytes| !bytes.is_empty()) {
        from += match read_commit(&mut bytes, false)? {
            Commit::Whole { length, mark, .. } => {
                marks.extend(mark);
                usize::try_from(length).unwrap_or(usize::MAX)
            }
            Commit::Refused | Commit::Broken => 1,
        };
    }
    Ok(marks)
}
