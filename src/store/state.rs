//! The database `state/` on disk.

use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace};

use super::StoreError;
use super::database::{self, Base, MIB, check_format, keyspace};

/// `state/`: credentials and Signal state.
pub(super) struct State {
    path: PathBuf,
    pub(super) db: Database,
    pub(super) meta: Keyspace,
    pub(super) rows: Keyspace,
}

impl State {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = database::open(path)?;
        let meta = keyspace(&db, "meta", MIB)?;
        check_format(path, &db, &meta)?;
        let rows = keyspace(&db, "rows", 2 * MIB)?;
        Ok(Self { path: path.to_owned(), db, meta, rows })
    }
}

impl Base for State {
    const MAY_BE_HELD: bool = false;
    fn path(&self) -> &Path {
        &self.path
    }
    fn db(&self) -> &Database {
        &self.db
    }
    fn meta(&self) -> &Keyspace {
        &self.meta
    }
}
