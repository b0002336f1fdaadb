//! The tables that were whole, and how their files looked then, so that a start reads none of them again, however much is stored.
//! A table is never changed: a file that looks the same has what was written, but for what a disk forgets by itself. That is
//! found when it is read, and by a look at one table a minute after a start.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::store::repair::file::replace;
use crate::store::repair::table_file::List;

const FILE: &str = "checked";

/// What every write to a file changes: its inode, its size, and when it was written.
type Look = [i64; 4];

/// The list. Its file has a line for each table, and then its checksum.
#[derive(Default)]
pub(crate) struct Checked(BTreeMap<PathBuf, Look>);

impl Checked {
    /// The list of a database; empty when there is none, or when it is damaged.
    pub(crate) fn load(database: &Path) -> Self {
        let text = fs::read_to_string(database.join(FILE)).unwrap_or_default();
        let parsed = || {
            let (lines, sum) = text.trim_end().rsplit_once('\n')?;
            (sum == checksum(lines)).then(|| lines.lines().filter_map(parse).collect())
        };
        Self(parsed().unwrap_or_default())
    }

    /// Whether a table is on the list and looks as it did then.
    pub(crate) fn has(&self, database: &Path, table: &Path) -> bool {
        let known = table.strip_prefix(database).ok().and_then(|name| self.0.get(name));
        known.is_some_and(|known| fs::metadata(table).is_ok_and(|file| look(&file) == *known))
    }

    /// Its tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// Writes the list anew. What is there was written by this process, or read at its start: all but a table that was on the
    /// list and looks different now.
    pub(crate) fn renew(database: &Path) -> io::Result<()> {
        let old = Self::load(database);
        let mut new = BTreeMap::new();
        for keyspace in fs::read_dir(database.join("keyspaces"))? {
            let tables = match fs::read_dir(keyspace?.path().join("tables")) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                tables => tables?,
            };
            for table in tables {
                let table = table?.path();
                let Ok(name) = table.strip_prefix(database) else { continue };
                // It may be gone by now.
                let Ok(file) = fs::metadata(&table) else { continue };
                if old.0.get(name).is_none_or(|known| *known == look(&file)) {
                    new.insert(name.to_owned(), look(&file));
                }
            }
        }
        if new == old.0 {
            return Ok(());
        }
        let line = |(name, look): (&PathBuf, &Look)| {
            let [inode, size, seconds, nanos] = look;
            format!("{inode} {size} {seconds} {nanos} {}", name.display())
        };
        let lines = new.iter().map(line).collect::<Vec<_>>().join("\n");
        replace(&database.join(FILE), format!("{lines}\n{}\n", checksum(&lines)).as_bytes())
    }

    /// Removes the list: the next start reads everything.
    pub(crate) fn forget(database: &Path) -> io::Result<()> {
        fs::remove_file(database.join(FILE))
    }
}

fn parse(line: &str) -> Option<(PathBuf, Look)> {
    let mut parts = line.splitn(5, ' ');
    let mut number = || parts.next()?.parse().ok();
    let look = [number()?, number()?, number()?, number()?];
    Some((PathBuf::from(parts.next()?), look))
}

fn look(file: &Metadata) -> Look {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    [number(file.ino()), number(file.size()), file.mtime(), file.mtime_nsec()]
}

fn checksum(text: &str) -> String {
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// Whether a table, by its name in the database, is as its keyspace's list says. One that is on no list is nobody's.
pub(crate) fn is_whole(database: &Path, table: &Path) -> io::Result<bool> {
    let number = table.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
    let Some(folder) = table.parent().and_then(Path::parent) else { return Ok(true) };
    let folder = database.join(folder);
    let read = || {
        let list = List::parse(&fs::read(folder.join("current")).ok()?)?;
        list.read(&fs::read(folder.join(&list.file)).ok()?)
    };
    let tables = read().unwrap_or_default();
    let Some(expected) = tables.iter().find(|known| Some(known.id) == number) else {
        return Ok(true);
    };
    let mut file = match File::open(database.join(table)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    let (mut hash, mut part) = (Xxh3::new(), vec![0; 64 * 1024]);
    loop {
        let length = file.read(&mut part)?;
        if length == 0 {
            break;
        }
        hash.update(part.get(..length).unwrap_or_default());
    }
    Ok(expected.checksum.is_none_or(|checksum| checksum == hash.digest128()))
}
