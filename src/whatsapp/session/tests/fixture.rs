//! A store in a directory of its own, for sessions to be kept in.

use tempfile::TempDir;

use crate::model::{DeviceName, UnixMillis};
use crate::store::{Store, StoreOptions};
use crate::whatsapp::session::SessionStore;

pub(crate) struct Ours {
    pub(crate) store: Store,
    dir: TempDir,
}

impl Ours {
    async fn open(dir: TempDir) -> Self {
        let options = StoreOptions {
            path: dir.path().to_owned(),
            power_safe: false,
            keep: std::time::Duration::from_secs(3600),
            max_size: 1 << 20,
        };
        Self { store: Store::open(options).await.unwrap(), dir }
    }

    pub(crate) async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn reopen(self) -> Self {
        self.store.close().await.unwrap();
        Self::open(self.dir).await
    }

    pub(crate) fn session(&self, device: &str) -> SessionStore {
        SessionStore::new(self.store.space(&DeviceName::parse(device).unwrap()))
    }
}

/// The engine counts in seconds.
pub(crate) fn now() -> i64 {
    i64::try_from(UnixMillis::now().secs()).unwrap()
}
