//! Reads the files of a database without fjall, which opens a database whole or not at all, does not check all of it,
//! and removes files that it does not know. Finds what is damaged, and shows every row that can still be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lsm_tree::{CompressionType, ValueType};
use xxhash_rust::xxh3::xxh3_128;

use crate::store::database::format;
use crate::store::repair::checked::Checked;
use crate::store::repair::damage::Damage;
use crate::store::repair::journal_file;
use crate::store::repair::journal_file::{Commit, Mark, read_commit, rest_of};
use crate::store::repair::table_file::{List, Table, all_tables, each_row};

/// A row as one file has it. Other files may have an older or a newer version of it.
pub(crate) struct Found<'a> {
    pub(crate) keyspace: u64,
    pub(crate) key: &'a [u8],
    /// The version with the highest number counts.
    pub(crate) version: u64,
    /// `None` removes the row.
    pub(crate) value: Option<&'a [u8]>,
}

/// What was seen of a database.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) damages: Vec<Damage>,
    /// The names of the keyspaces, as far as they could be read.
    pub(crate) names: BTreeMap<u64, String>,
    /// Commits that could not be read, as far as their numbers show.
    pub(crate) lost_commits: u64,
}

/// The keyspace that fjall keeps for itself.
const NAMES: u64 = 0;

/// Looks for damage only.
pub(crate) fn verify(path: &Path) -> io::Result<Vec<Damage>> {
    Ok(Inspection::of(path, false, &mut |_| ()).run()?.damages)
}

/// The same, but for the tables that were whole before and look the same.
pub(crate) fn verify_news(path: &Path) -> io::Result<Vec<Damage>> {
    let mut show = |_: Found<'_>| ();
    let mut inspection = Inspection::of(path, false, &mut show);
    inspection.checked = Checked::load(path);
    Ok(inspection.run()?.damages)
}

/// Shows every row that can be read, whatever is damaged.
pub(crate) fn read(path: &Path, show: &mut dyn FnMut(Found<'_>)) -> io::Result<Seen> {
    Inspection::of(path, true, show).run()
}

struct Inspection<'a> {
    path: &'a Path,
    /// Whether the caller wants the rows. Without that, whole tables are only checked.
    all: bool,
    show: &'a mut dyn FnMut(Found<'_>),
    /// What need not be read.
    checked: Checked,
    seen: Seen,
    first_commit: Option<u64>,
    last_commit: Option<u64>,
    last_version: u64,
    /// The number of the last commit that is in a table.
    flushed: u64,
}

impl<'a> Inspection<'a> {
    fn of(path: &'a Path, all: bool, show: &'a mut dyn FnMut(Found<'_>)) -> Self {
        let (seen, checked) = (Seen::default(), Checked::default());
        let (first_commit, last_commit) = (None, None);
        Self {
            path,
            all,
            show,
            checked,
            seen,
            first_commit,
            last_commit,
            last_version: 0,
            flushed: 0,
        }
    }

    fn run(mut self) -> io::Result<Seen> {
        match fs::read(self.path.join("version")) {
            Ok(version) if version == b"FJL\x03" => {}
            Err(error) if is_refusal(&error) => return Err(error),
            Ok(_) | Err(_) => self.damaged(&self.path.join("version"), "is not what fjall wrote"),
        }
        self.tables()?;
        self.journals()?;
        self.ends_match();
        Ok(self.seen)
    }

    fn damaged(&mut self, file: &Path, what: impl Into<String>) {
        self.seen.damages.push(Damage { file: file.to_owned(), what: what.into() });
    }

    /// A file's bytes; what the disk cannot read is zeros.
    fn bytes(&mut self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_refusal(&error) => Err(error),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.damaged(file, "is missing");
                Ok(None)
            }
            Err(error) => {
                self.damaged(file, error.to_string());
                Ok(read_around(file).ok())
            }
        }
    }

    // --- Journals

    fn journals(&mut self) -> io::Result<()> {
        let journals = journals(self.path)?;
        if journals.is_empty() {
            self.damaged(self.path, "has no journal");
        }
        let newest = journals.len().saturating_sub(1);
        for (place, journal) in journals.iter().enumerate() {
            match self.journal(journal, place == newest) {
                Err(error) if is_refusal(&error) => return Err(error),
                Err(error) => self.damaged(journal, error.to_string()),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn journal(&mut self, journal: &Path, newest: bool) -> io::Result<()> {
        let mut file = journal_file::open(journal)?;
        let emptied = format::emptied_at(self.path) == Some(self.flushed);
        if fs::metadata(journal)?.len() == 0 && !emptied && format::is_made(self.path) {
            self.damaged(journal, "is empty");
        }
        let mut at = 0;
        while let Commit::Whole { length, mark, version, rows } = read_commit(&mut file, self.all)?
        {
            self.commit(journal, at, mark, version, &rows);
            at += length;
        }
        let rest = rest_of(&mut file, at)?;
        let mut found = false;
        let mut from = 0;
        while let Some(mut bytes) = rest.get(from..).filter(|bytes| !bytes.is_empty()) {
            from += match read_commit(&mut bytes, self.all)? {
                Commit::Whole { length, mark, version, rows } => {
                    found = true;
                    self.commit(journal, at + from as u64, mark, version, &rows);
                    usize::try_from(length).unwrap_or(usize::MAX)
                }
                Commit::Refused | Commit::Broken => 1,
            };
        }
        // The end of the newest journal may have been torn by a crash. fjall drops that.
        if found || (!newest && !rest.is_empty()) {
            self.damaged(journal, format!("is damaged at byte {at}"));
        }
        Ok(())
    }

    fn commit(
        &mut self,
        journal: &Path,
        at: u64,
        mark: Option<Mark>,
        version: u64,
        rows: &[(u64, Vec<u8>, Option<Bytes>)],
    ) {
        if version < self.last_version {
            self.damaged(journal, format!("has a wrong number at byte {at}"));
        }
        self.last_version = self.last_version.max(version);
        if let Some(mark) = mark {
            let missing = self.last_commit.map_or(0, |last| mark.commit.saturating_sub(last + 1));
            if missing > 0 {
                self.seen.lost_commits += missing;
                self.damaged(journal, format!("lacks {missing} writes before byte {at}"));
            }
            self.first_commit.get_or_insert(mark.commit);
            self.last_commit = Some(mark.commit);
        }
        for (keyspace, key, value) in rows {
            let (keyspace, value) = (*keyspace, value.as_deref());
            (self.show)(Found { keyspace, key, version, value });
        }
    }

    /// Whether what lies in the tables and in the journals is all that there was.
    fn ends_match(&mut self) {
        let path = self.path.to_owned();
        let first = self.first_commit.map_or(0, |first| first.saturating_sub(self.flushed + 1));
        if first > 0 {
            self.seen.lost_commits += first;
            self.damaged(&path, format!("lacks a journal with {first} writes"));
        }
        let last = self.last_commit.unwrap_or(0).max(self.flushed);
        let missing = format::closed_at(&path).map_or(0, |closed| closed.saturating_sub(last));
        if missing > 0 {
            self.seen.lost_commits += missing;
            let file = journals(&path).ok().and_then(|mut all| all.pop()).unwrap_or(path);
            self.damaged(&file, format!("lacks the last {missing} writes"));
        }
    }

    // --- Tables

    fn tables(&mut self) -> io::Result<()> {
        let folder = self.path.join("keyspaces");
        let mut folders = BTreeSet::new();
        match fs::read_dir(&folder) {
            Ok(entries) => {
                for entry in entries {
                    folders
                        .extend(entry?.file_name().to_str().and_then(|id| id.parse::<u64>().ok()));
                }
            }
            Err(error) if is_refusal(&error) => return Err(error),
            Err(error) => self.damaged(&folder, error.to_string()),
        }
        let before = self.seen.damages.len();
        let mut names = BTreeMap::new();
        self.keyspace(NAMES, &mut |found| {
            newer(&mut names, found.key, found.version, found.value);
        })?;
        let sure = self.seen.damages.len() == before;
        for (key, (_, name)) in names {
            if let Some((b'n', id)) = key.split_first()
                && let Ok(id) = <[u8; 8]>::try_from(id)
                && let Some(name) = name.and_then(|name| String::from_utf8(name.to_vec()).ok())
            {
                self.seen.names.insert(u64::from_be_bytes(id), name);
            }
        }
        if sure {
            // What has no name was just made, or is being removed.
            folders = self.seen.names.keys().copied().collect();
        }
        folders.remove(&NAMES);
        for id in folders {
            let is_meta = self.seen.names.get(&id).is_none_or(|name| name == "meta");
            let mut flushed = self.flushed;
            let mut rows = Vec::new();
            self.keyspace_rows(id, self.all || is_meta, &mut |item| {
                if is_meta && item.key == [Mark::KEY] {
                    let mark = item.value.and_then(Mark::parse);
                    flushed = flushed.max(mark.map_or(0, |mark| mark.commit));
                }
                rows.push((item.key.to_vec(), item.version, item.value.map(<[u8]>::to_vec)));
            })?;
            self.flushed = flushed;
            for (key, version, value) in &rows {
                let (version, value) = (*version, value.as_deref());
                (self.show)(Found { keyspace: id, key, version, value });
            }
        }
        Ok(())
    }

    fn keyspace(&mut self, id: u64, show: &mut dyn FnMut(Found<'_>)) -> io::Result<()> {
        self.keyspace_rows(id, true, show)
    }

    fn keyspace_rows(
        &mut self,
        id: u64,
        all: bool,
        show: &mut dyn FnMut(Found<'_>),
    ) -> io::Result<()> {
        let folder = self.path.join("keyspaces").join(id.to_string());
        // fjall asks the newest table first and believes it. Its own rows are not numbered in order. fjall may know
        // the name of a segment that was dropped. Whether one is missing is seen by the outbox's own list.
        let segment = self
            .seen
            .names
            .get(&id)
            .is_some_and(|name| name.starts_with("log.") || name.starts_with("history"));
        if segment && !folder.join("current").exists() && all_tables(&folder).is_empty() {
            return Ok(());
        }
        for (age, Table { id: table, checksum, base }) in (0..).zip(self.list(&folder)?) {
            let file = folder.join("tables").join(table.to_string());
            if !all && self.checked.has(self.path, &file) {
                continue;
            }
            let Some(bytes) = self.bytes(&file)? else { continue };
            let whole = checksum.is_none_or(|checksum| checksum == xxh3_128(&bytes));
            if !whole {
                self.damaged(&file, "is damaged");
            }
            if all {
                let compression =
                    if id == NAMES { CompressionType::None } else { CompressionType::Lz4 };
                each_row(&bytes, compression, &mut |item| {
                    let value = match item.key.value_type {
                        ValueType::Value => Some(item.value.as_ref()),
                        _ => None,
                    };
                    let key = item.key.user_key.as_ref();
                    let version = if id == NAMES { u64::MAX - age } else { item.key.seqno + base };
                    show(Found { keyspace: id, key, version, value });
                });
            }
        }
        Ok(())
    }

    /// The tables of a keyspace, newest first.
    fn list(&mut self, folder: &Path) -> io::Result<Vec<Table>> {
        let current = folder.join("current");
        let Some(bytes) = self.bytes(&current)? else { return Ok(all_tables(folder)) };
        let Some(named) = List::parse(&bytes) else {
            self.damaged(&current, "is too short");
            return Ok(all_tables(folder));
        };
        let list = folder.join(&named.file);
        let Some(bytes) = self.bytes(&list)? else { return Ok(all_tables(folder)) };
        Ok(named.read(&bytes).unwrap_or_else(|| {
            self.damaged(&list, "is damaged");
            all_tables(folder)
        }))
    }
}

/// Whether the system does not let us look, which is no damage.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::OutOfMemory)
}

/// Keeps the newer of two versions of a row.
pub(crate) fn newer(
    rows: &mut BTreeMap<Vec<u8>, (u64, Option<Bytes>)>,
    key: &[u8],
    version: u64,
    value: Option<&[u8]>,
) {
    let known = rows.get(key).map(|(version, _)| *version);
    if known.is_none_or(|known| known < version) {
        rows.insert(key.to_vec(), (version, value.map(Bytes::copy_from_slice)));
    }
}

/// The journals of a database, oldest first.
pub(crate) fn journals(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let stem = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl"));
        if let Some(number) = stem.and_then(|stem| stem.parse::<u64>().ok()) {
            found.push((number, file));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

/// A file with zeros where the disk cannot read it.
fn read_around(path: &Path) -> io::Result<Vec<u8>> {
    const SECTOR: usize = 4096;
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut bytes = vec![0; length];
    for (place, sector) in bytes.chunks_mut(SECTOR).enumerate() {
        if file.read_exact_at(sector, (place * SECTOR) as u64).is_err() {
            sector.fill(0);
        }
    }
    Ok(bytes)
}
