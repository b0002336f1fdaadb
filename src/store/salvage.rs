//! Mends what a crash can leave behind, where fjall would refuse to open the database or would silently drop commits
//! that were promised: a database that was only half made, and a journal whose last commit was torn by a power cut.
//! Damage that no power cut explains is reported and left as it is.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::journal_file::{Commit, Mark, read_commit};

/// Mends a database before fjall opens it.
pub(super) fn before_open(path: &Path) -> Result<(), StoreError> {
    let lock = path.join("lock");
    let lock = match OpenOptions::new().read(true).write(true).open(&lock) {
        Ok(file) => file,
        // A database that has no lock file has nothing else either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(&lock)(error)),
    };
    if lock.try_lock().is_err() {
        // Another process has the database; opening it will report that.
        return Ok(());
    }
    let Some(journal) = newest_journal(path).map_err(StoreError::io(path))? else { return Ok(()) };
    if is_finished(path) { mend(&journal) } else { clear(path, &journal) }
}

/// fjall writes this file last when it makes a database.
fn is_finished(path: &Path) -> bool {
    std::fs::read(path.join("version")).is_ok_and(|version| version.starts_with(b"FJL"))
}

/// Removes a database whose making was interrupted, so that it can be made again. Only when nothing was ever written.
fn clear(path: &Path, journal: &Path) -> Result<(), StoreError> {
    let mut first = [0];
    let read = File::open(journal).and_then(|mut file| file.read(&mut first));
    read.map_err(StoreError::io(journal))?;
    if first != [0] {
        return Err(StoreError::Journal { path: path.join("version"), at: 0 });
    }
    tracing::warn!(path = %path.display(), "A database was left half made; making it again.");
    std::fs::remove_file(journal).map_err(StoreError::io(journal))?;
    match std::fs::remove_file(path.join("version")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(&path.join("version"))(error))
        }
        _ => Ok(()),
    }
}

/// Cuts a torn last commit off a journal, keeping a copy of the journal as it was.
fn mend(journal: &Path) -> Result<(), StoreError> {
    let find = || find_tear(&mut BufReader::new(File::open(journal)?));
    let Some(tear) = find().map_err(StoreError::io(journal))? else { return Ok(()) };
    if tear.promised {
        return Err(StoreError::Journal { path: journal.to_owned(), at: tear.at });
    }
    // The name contains the place of the tear, so that a second attempt does not overwrite the first copy.
    let copy = journal.with_extension(format!("jnl.torn-{}", tear.at));
    let cut = || -> io::Result<()> {
        std::fs::copy(journal, &copy)?;
        let file = OpenOptions::new().write(true).open(journal)?;
        file.set_len(tear.at)?;
        file.sync_all()
    };
    cut().map_err(StoreError::io(journal))?;
    tracing::warn!(
        journal = %journal.display(), copy = %copy.display(), at = tear.at,
        "The last commit was torn by a power cut and is gone; it was never promised to anybody."
    );
    Ok(())
}

/// Where a journal is damaged in a way that fjall does not handle itself.
pub(super) struct Tear {
    /// The end of the last good commit.
    pub(super) at: u64,
    /// Whether a later commit proves that the damaged part had been synced.
    promised: bool,
}

pub(super) fn find_tear(file: &mut (impl Read + Seek)) -> io::Result<Option<Tear>> {
    let (mut at, mut commit) = (0, None);
    let refused = loop {
        match read_commit(file)? {
            Commit::Whole { length, mark } => {
                at += length;
                commit = mark.map(|mark| mark.commit).or(commit);
            }
            Commit::Refused => break true,
            Commit::Broken => break false,
        }
    };
    file.seek(SeekFrom::Start(at))?;
    let later = later_marks(file)?;
    let Some(first) = later.first() else {
        // fjall itself drops a commit that was cut short.
        return Ok(refused.then_some(Tear { at, promised: false }));
    };
    let damaged = commit.map_or(first.commit.saturating_sub(1), |commit| commit + 1);
    Ok(Some(Tear { at, promised: later.iter().any(|mark| mark.synced >= damaged) }))
}

/// The marks of the whole commits that come after a damaged one.
fn later_marks(file: &mut impl Read) -> io::Result<Vec<Mark>> {
    let rest = without_end(file)?;
    let mut marks = Vec::new();
    let mut from = 1;
    while let Some(mut bytes) = rest.get(from..).filter(|bytes| !bytes.is_empty()) {
        from += match read_commit(&mut bytes)? {
            Commit::Whole { length, mark } => {
                marks.extend(mark);
                usize::try_from(length).unwrap_or(usize::MAX)
            }
            Commit::Refused | Commit::Broken => 1,
        };
    }
    Ok(marks)
}

/// The rest of a journal without the zeros at its end. A journal is created 64 MiB long and is mostly empty, so the zeros
/// are recognised page by page and not kept in memory.
fn without_end(file: &mut impl Read) -> io::Result<Vec<u8>> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let (mut rest, mut zeros) = (Vec::new(), 0);
    loop {
        let mut page = Vec::with_capacity(ZEROS.len());
        let size = file.take(ZEROS.len() as u64).read_to_end(&mut page)?;
        if size == 0 {
            return Ok(rest);
        }
        if ZEROS.starts_with(&page) {
            zeros += size;
        } else {
            rest.resize(rest.len() + zeros, 0);
            rest.append(&mut page);
            zeros = 0;
        }
    }
}

fn newest_journal(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let stem = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl"));
        if let Some(number) = stem.and_then(|stem| stem.parse().ok())
            && newest.as_ref().is_none_or(|(most, _)| number > *most)
        {
            newest = Some((number, file));
        }
    }
    Ok(newest.map(|(_, file)| file))
}
