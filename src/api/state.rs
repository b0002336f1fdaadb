//! What every request may use: the parts of the gateway, and what the HTTP side itself has to remember.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::api::access::logins::{LoginLink, Logins};
use crate::api::access::streams::Streams;
use crate::api::access::throttle::Throttle;
use crate::api::compat::wanted::Wanted;
use crate::config::{Config, ReloadHandle};
use crate::hooks::Webhooks;
use crate::model::KeyHash;
use crate::store::{Space, Store, StoreError};
use crate::task::Tasks;
use crate::whatsapp::Fleet;

/// How often the use of logins is written down.
const NOTED: Duration = Duration::from_mins(1);

/// The parts of the gateway that requests use.
#[derive(Clone)]
pub struct Api {
    /// The configuration in force.
    pub config: Arc<ArcSwap<Config>>,
    /// The devices.
    pub fleet: Arc<Fleet>,
    /// The webhooks.
    pub webhooks: Arc<Webhooks>,
    /// The store.
    pub store: Store,
    /// Owns the tasks of the connections.
    pub tasks: Tasks,
    /// What the last reload did, and how to ask for one.
    pub reload: ReloadHandle,
    /// The path of `moonwa.toml`.
    pub file: PathBuf,
    /// The hash of the token that the command line finds in `control.json`. A caller who can read that file counts as
    /// the admin.
    pub operator: KeyHash,
    /// The link that logs a person in once. It is printed when the gateway is started on a terminal.
    pub link: LoginLink,
    /// What `/metrics` shows; without it the route answers 404.
    pub metrics: Option<PrometheusHandle>,
}

/// What all requests share: the gateway, and what must be remembered from one request to the next.
pub(crate) struct State {
    pub(crate) api: Api,
    pub(crate) logins: Logins,
    login_rows: Space,
    pub(crate) throttle: Throttle,
    pub(crate) streams: Streams,
    pub(crate) wanted: Wanted,
    /// One look at the mode of moonwa.toml at a time.
    pub(crate) look: Arc<Semaphore>,
}

impl State {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            logins: Logins::new(api.link.clone()),
            login_rows: api.store.own_space().under(b"login/"),
            throttle: Throttle::default(),
            streams: Streams::default(),
            wanted: Wanted::default(),
            look: Arc::new(Semaphore::new(1)),
            api,
        }
    }

    /// Writes down who is logged in, durable before `Ok`.
    pub(crate) async fn save_logins(&self) -> Result<(), StoreError> {
        self.logins.save(&self.login_rows).await
    }

    /// Takes up the logins of before the restart.
    pub(crate) async fn load_logins(&self) {
        if let Err(error) = self.logins.load(&self.login_rows).await {
            tracing::error!(%error, "The logins to the admin page could not be read; everybody signs in again.");
        }
    }

    /// Keeps the rows of the logins as the logins are, until moonwa stops.
    pub(crate) async fn keep_logins(self: Arc<Self>) {
        let stop = self.api.tasks.stop().clone();
        while stop.run_until_cancelled(sleep(NOTED)).await.is_some() {
            self.logins.sweep(self.api.config.load().admin.token);
            if let Err(error) = self.save_logins().await {
                tracing::warn!(%error, "When logins were used could not be written down.");
            }
        }
    }
}
