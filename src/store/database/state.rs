//! The database `state/` on disk.

use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace};

use crate::store::StoreError;
use crate::store::database;
use crate::store::database::{Base, META, check_format, keyspace};

/// `state/`: credentials and Signal state.
pub(crate) struct State {
    path: PathBuf,
    pub(crate) db: Database,
    pub(crate) meta: Keyspace,
    pub(crate) rows: Keyspace,
}

impl State {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = database::open(path)?;
        let meta = keyspace(&db, META)?;
        check_format(path, &db, &meta)?;
        let rows = keyspace(&db, "rows")?;
        Ok(Self { path: path.to_owned(), db, meta, rows })
    }
}

impl Base for State {
    const NAME: &'static str = "state";
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
