//! Databases of others, which are read in a copy: where a gateway was killed, the newest rows are in a journal beside
//! the file, and SQLite would write to both to read them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, OpenFlags, Row};

use crate::private;

/// A database and its journals.
pub(super) fn files(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-journal"].map(|end| {
        let mut file = database.as_os_str().to_owned();
        file.push(end);
        file.into()
    })
}

/// A copy of a database in a folder of its own, for this user alone. Dropping it removes it.
pub(super) struct Copied {
    folder: PathBuf,
}

impl Copied {
    pub(super) fn of(database: &Path) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("moonwa-adopt-{:x}", rand::random::<u64>()));
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| folder.display().to_string())?;
        let copied = Self { folder };
        for (from, to) in files(database).iter().zip(files(&copied.database())) {
            match File::open(from) {
                // A journal that is not there.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => {
                    opened.and_then(|mut file| io::copy(&mut file, &mut private::create(&to)?))
                }
            }
            .with_context(|| from.display().to_string())?;
        }
        Ok(copied)
    }

    fn database(&self) -> PathBuf {
        self.folder.join("database")
    }

    pub(super) fn open(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.database(), flags)?;
        // Nothing in its schema is run.
        connection.pragma_update(None, "trusted_schema", false)?;
        Ok(connection)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

/// Every row that a query finds for one device.
pub(super) fn all<T>(
    store: &Connection,
    query: &str,
    device: &impl ToSql,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    store.prepare(query)?.query_and_then([device], read)?.collect()
}

pub(super) fn field<T: FromSql>(row: &Row<'_>, name: &str) -> Result<T> {
    row.get(name).with_context(|| format!("its {name} is missing or damaged"))
}
