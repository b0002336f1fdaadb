//! HTTP in, on bare hyper: the frozen `/api` face, `/v1`, server-sent events and the embedded admin page. A request
//! becomes a value, the route's access is checked once, one exhaustive match handles it. What the operations do is
//! decided on the floors below.

mod asset;
mod auth;
mod body;
mod compat;
mod config;
mod content;
mod delivery;
mod device;
mod edit;
mod form;
mod handle;
mod health;
mod journal;
mod lookup;
mod message;
mod multipart;
mod origin;
mod problem;
mod qr;
mod refusal;
mod route;
mod server;
mod session;
mod spool;
mod sse;
mod stall;
mod throttle;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use session::LoginLink;

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

impl Api {
    /// Serves until the tasks' stop token is cancelled, then drains for at most five seconds.
    pub async fn serve(self, listener: TcpListener) {
        server::run(Arc::new(State::new(self)), listener).await;
    }
}

/// What all requests share: the handles, and what the HTTP side itself remembers.
struct State {
    api: Api,
    routes: route::Routes,
    sessions: session::AdminSessions,
    throttle: throttle::Throttle,
    streams: Arc<Semaphore>,
    look: Arc<Semaphore>,
}

impl State {
    fn new(api: Api) -> Self {
        Self {
            sessions: session::AdminSessions::new(api.link.clone()),
            routes: route::Routes::new(),
            throttle: throttle::Throttle::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            look: Arc::new(Semaphore::new(1)),
            api,
        }
    }
}
