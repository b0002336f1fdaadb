//! What every request may use, and what the HTTP side itself remembers between requests.

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

/// Open event streams at once. Fewer than connections, so that open admin pages cannot use up what messages need.
const MAX_STREAMS: usize = 64;

/// The handles a request may use.
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
    /// Who owns the connections' tasks.
    pub tasks: Tasks,
    /// What the last reload did, and how to ask for one.
    pub reload: ReloadHandle,
    /// `moonwa.toml`.
    pub file: PathBuf,
    /// The hash of the command line's own token: whoever can read `control.json` is the operator.
    pub operator: KeyHash,
    /// The link that logs a person in once; printed by whoever starts the gateway on a terminal.
    pub link: LoginLink,
    /// What `/metrics` shows; without it the route answers 404.
    pub metrics: Option<PrometheusHandle>,
}

/// What all requests share.
pub(crate) struct State {
    pub(crate) api: Api,
    pub(crate) logins: Logins,
    pub(crate) throttle: Throttle,
    pub(crate) streams: Arc<Semaphore>,
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
