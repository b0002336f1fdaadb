//! Databases of others, which are read in a copy: where a gateway was killed, the newest rows are in a journal beside
//! the file, and SQLite would write to both to read them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ToSql};

use super::row::{Cell, Row, Rows};
use crate::private;

/// A database and its journals.
const ENDS: [&str; 3] = ["", "-wal", "-journal"];

pub(super) fn files(database: &Path) -> [PathBuf; 3] {
    ENDS.map(|end| {
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
    /// In the system's folder for what is temporary, or in `own`, a folder of moonwa's with the database in it.
    pub(super) fn of(database: &Path, own: Option<&Path>) -> Result<Self> {
        let copied = Self::empty(own.unwrap_or(&std::env::temp_dir()))?;
        for (from, to) in files(database).iter().zip(files(&copied.database())) {
            if own.is_some() && from.exists() {
                // It is a copy already.
                fs::hard_link(from, &to).with_context(|| from.display().to_string())?;
                continue;
            }
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

    fn empty(place: &Path) -> Result<Self> {
        let folder = place.join(format!("moonwa-adopt-{:x}", rand::random::<u64>()));
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
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

impl Rows for Connection {
    fn has_table(&mut self, name: &str) -> Result<bool> {
        Ok(self.table_exists(None, name)?)
    }

    fn rows(&mut self, query: &str, device: Option<&Cell>) -> Result<Vec<Row>> {
        let device = device.map(|device| match device {
            Cell::Number(number) => number as &dyn ToSql,
            Cell::Text(text) => text,
            Cell::Bytes(bytes) => bytes,
        });
        let mut statement = self.prepare(query)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(device.as_slice())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cell = |(place, name): (usize, &String)| {
                let cell = match row.get_ref(place).ok()? {
                    ValueRef::Integer(number) => Cell::Number(number),
                    ValueRef::Text(text) => Cell::Text(str::from_utf8(text).ok()?.to_owned()),
                    ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
                    ValueRef::Real(_) | ValueRef::Null => return None,
                };
                Some((name.clone(), cell))
            };
            found.push(Row(names.iter().enumerate().filter_map(cell).collect()));
        }
        Ok(found)
    }
}
