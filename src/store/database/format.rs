//! Small files beside each database: which format its rows have, and how far it had been written when it was closed, and
//! when its journal was emptied. Without them a database whose journal is gone would look like a new one.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::private;
use crate::store::StoreError;
use crate::store::repair::file::replace;

/// The format of the rows. A newer one is refused, an older one is converted when it is opened.
///
/// 1: without the files here. 2: with them. 3: messages may be scheduled. 4: rows may be packed.
pub(crate) const FORMAT: u64 = 4;

const FORMAT_FILE: &str = "format";
const FORMAT_LINE: &str = "moonwa store format ";
const CLOSED_FILE: &str = "closed";
const EMPTIED_FILE: &str = "emptied";

/// Whether the database was made completely, by a version that writes the file.
pub(crate) fn is_made(path: &Path) -> bool {
    path.join(FORMAT_FILE).exists()
}

/// Refuses a database of a newer version before anything else looks at it. A file that is damaged says nothing: the row in
/// the database says the same, and the file is written anew.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    let file = path.join(FORMAT_FILE);
    match fs::read(&file) {
        Ok(text) => match parse(&text) {
            Some(found) if found > FORMAT => {
                Err(StoreError::Newer { path: path.to_owned(), found, reads: FORMAT })
            }
            _ => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(&file)(error)),
    }
}

pub(crate) fn write(path: &Path) -> Result<(), StoreError> {
    let file = path.join(FORMAT_FILE);
    if fs::read(&file).is_ok_and(|text| parse(&text) == Some(FORMAT)) {
        return Ok(());
    }
    let line = format!("{FORMAT_LINE}{FORMAT}");
    replace(&file, format!("{line} {}\n", checksum(&line)).as_bytes())
        .map_err(StoreError::io(&file))
}

/// The format that the file names; `None` when it is damaged, or from the time before it had a checksum.
fn parse(text: &[u8]) -> Option<u64> {
    let (line, sum) = std::str::from_utf8(text).ok()?.trim_end().rsplit_once(' ')?;
    let number = line.strip_prefix(FORMAT_LINE)?.parse().ok()?;
    (sum == checksum(line)).then_some(number)
}

fn checksum(text: &str) -> String {
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// The number of the last commit before the database was closed; `None` when it is open, or was not closed.
pub(crate) fn closed_at(path: &Path) -> Option<u64> {
    noted(&path.join(CLOSED_FILE))
}

/// The number of the last commit before the journal was emptied, all of it in tables; `None` when it never was.
pub(crate) fn emptied_at(path: &Path) -> Option<u64> {
    noted(&path.join(EMPTIED_FILE))
}

/// Notes that the journal is about to be emptied, on the disk before `Ok`.
pub(crate) fn emptied(path: &Path, commit: u64) -> std::io::Result<()> {
    replace(&path.join(EMPTIED_FILE), note(commit).as_bytes())
}

fn noted(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let (commit, sum) = text.trim_end().split_once(' ')?;
    commit.parse().ok().filter(|_| sum == checksum(commit))
}

fn note(commit: u64) -> String {
    let commit = commit.to_string();
    format!("{commit} {}\n", checksum(&commit))
}

/// Writes down how far the database was written. When this file is missing, less damage is noticed.
pub(crate) fn close(path: &Path, commit: u64) {
    let written = private::create(&path.join(CLOSED_FILE))
        .and_then(|mut file| file.write_all(note(commit).as_bytes()));
    if let Err(error) = written {
        tracing::debug!(%error, "No note of the last write could be made.");
    }
}

pub(crate) fn open(path: &Path) {
    fs::remove_file(path.join(CLOSED_FILE)).ok();
}
