//! Empties the journal once everything in it is in tables. A journal is read three times before a start is ready, and takes
//! its place on the disk; fjall would let it grow to 64 MB.

use std::fs::{self, File};
use std::path::Path;

use fjall::{Database, PersistMode};

use crate::store::StoreError;
use crate::store::database::tables::{self, flush_all};
use crate::store::database::{MIB, format};
use crate::store::disk::Disk;
use crate::store::repair::file::sync_folder;
use crate::store::repair::inspect::journals;
use crate::store::repair::journal_file;

/// The bytes of a journal that is emptied while the gateway runs: a thousand messages or two. What is in it is in tables as well,
/// or will be, and takes more room here: each commit is written out, and nothing is compressed.
pub(crate) const LARGE: u64 = MIB;
/// The bytes of a journal that is worth emptying at a stop: one with less is read at once, and a table for it is not worth
/// its wear.
pub(crate) const WORTH: u64 = MIB / 4;
/// More than the rows in memory take as tables.
const ROOM: u64 = 16 * MIB;

/// The bytes that the journals of a database hold, without the hole at the end of one.
pub(crate) fn size(path: &Path) -> u64 {
    let limit = |journal| journal_file::open(journal).map_or(0, |file| file.get_ref().limit());
    journals(path).unwrap_or_default().iter().map(|journal| limit(journal)).sum()
}

/// Moves every row to a table, and empties the journal. Only the committer may do it, between its commits, of which `commit`
/// is the last. `false` when the disk has no room for it.
pub(crate) fn run(
    path: &Path,
    db: &Database,
    disk: &Disk,
    commit: u64,
) -> Result<bool, StoreError> {
    if !disk.fits(ROOM) {
        return Ok(false);
    }
    db.persist(PersistMode::SyncAll).map_err(StoreError::database)?;
    match flush_all(db) {
        Err(error) if tables::is_for_lack_of_room(&error) => return Ok(false),
        done => done.map_err(StoreError::database)?,
    }
    let emptied = || {
        format::emptied(path, commit)?;
        let mut journals = journals(path)?;
        let newest = journals.pop();
        for older in journals {
            fs::remove_file(older)?;
        }
        if let Some(newest) = newest {
            // fjall has it open for writing at its end, wherever that is.
            let file = File::options().write(true).open(&newest)?;
            file.set_len(0)?;
            file.sync_all()?;
            sync_folder(&newest)?;
        }
        Ok(())
    };
    emptied().map_err(StoreError::io(path))?;
    Ok(true)
}
