//! The store through its public face, on a real directory.

mod bad_day;
mod cursor;
mod formats;
mod history;
mod later;
mod log;
mod message;
mod rule;
mod salvage;
mod space;
mod start;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::model::UnixMillis;

/// A store in a directory that goes with it.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) dir: TempDir,
}

pub(super) fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        path: path.to_owned(),
        power_safe: true,
        keep: Duration::from_secs(72 * 3600),
        max_size: 256 * 1024 * 1024,
    }
}

pub(super) async fn open() -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path())).await.unwrap();
    Opened { store, dir }
}

impl Opened {
    pub(super) async fn reopen(self) -> Self {
        self.reopen_with(|_| ()).await
    }

    pub(super) async fn reopen_with(self, change: impl FnOnce(&mut StoreOptions)) -> Self {
        self.store.close().await.unwrap();
        let mut options = options(self.dir.path());
        change(&mut options);
        let store = Store::open(options).await.unwrap();
        Self { store, dir: self.dir }
    }
}

pub(super) fn device(name: &str) -> DeviceName {
    DeviceName::parse(name).unwrap()
}
