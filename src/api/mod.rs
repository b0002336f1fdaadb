//! HTTP in, on bare hyper: the frozen `/api` face, `/v1`, server-sent events and the embedded admin page. A request
//! becomes a value, the route's access is checked once, one exhaustive match handles it. What the operations do is
//! decided on the floors below.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::hooks::Webhooks;
use crate::store::Store;
use crate::task::Tasks;
use crate::whatsapp::Fleet;

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
}

impl Api {
    /// Serves until the tasks' stop token is cancelled, then drains for at most five seconds.
    pub async fn serve(self, _listener: TcpListener) {
        todo!()
    }
}
