//! The database `state/` on disk.

use std::path::Path;

use fjall::{Database, Keyspace};

use super::StoreError;
use super::database::{self, Base, MIB, check_format, keyspace};

/// `state/`: credentials and Signal state.
pub(super) struct State {
    pub(super) db: Database,
    pub(super) meta: Keyspace,
    pub(super) rows: Keyspace,
}

impl State {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = database::open(path)?;
        let meta = keyspace(&db, "meta", MIB)?;
        check_format(path, &meta)?;
        let rows = keyspace(&db, "rows", 2 * MIB)?;
        Ok(Self { db, meta, rows })
    }
}

impl Base for State {
    const MAY_BE_HELD: bool = false;
    fn db(&self) -> &Database {
        &self.db
    }
    fn meta(&self) -> &Keyspace {
        &self.meta
    }
}
