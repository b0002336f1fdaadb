//! What every request may use: the parts of the gateway, and what the HTTP side itself has to remember.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use crate::api::access::logins::{LoginLink, Logins};
use crate::api::access::throttle::Throttle;
use crate::config::{Config, ReloadHandle};
use crate::hooks::Webhooks;
use crate::model::KeyHash;
use crate::store::Store;
use crate::task::Tasks;
use crate::whatsapp::Fleet;

/// How many event streams may be open at once: fewer than connections, so that open admin pages leave some for
/// messages.
const MAX_STREAMS: usize = 64;

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
    pub(crate) throttle: Throttle,
    pub(crate) streams: Arc<Semaphore>,
    /// One look at the mode of moonwa.toml at a time.
    pub(crate) look: Arc<Semaphore>,
}

impl State {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            logins: Logins::new(api.link.clone()),
            throttle: Throttle::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            look: Arc::new(Semaphore::new(1)),
            api,
        }
    }
}
