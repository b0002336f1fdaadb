//! The HTTP side, on hyper: the documented `/api` routes, `/v1` with its server-sent events, and the files of the
//! admin page. `http` reads requests and writes answers, `access` says who may do what, `route` has a row for every
//! route, and `dispatch` leads a request through them. Handlers only translate: what a request does is decided on the
//! floors below.

mod access;
mod call;
mod compat;
mod dispatch;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod http;
mod mcp;
mod page;
mod route;
mod state;
mod v1;

use std::sync::Arc;

use tokio::net::TcpListener;

pub use access::logins::LoginLink;
pub use state::Api;

impl Api {
    /// Serves until the tasks' stop token is cancelled, then drains for at most five seconds.
    pub async fn serve(self, listener: TcpListener) {
        let state = Arc::new(state::State::new(self));
        state.load_logins().await;
        state.api.tasks.spawn("logins", Arc::clone(&state).keep_logins());
        http::server::run(dispatch::Dispatch::new(state), listener).await;
    }
}
