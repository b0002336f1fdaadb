//! HTTP in, on bare hyper: the frozen `/api` face, `/v1`, server-sent events and the embedded admin page. A request
//! becomes a value, the route's access is checked once, one exhaustive match handles it. What the operations do is
//! decided on the floors below.

mod access;
mod asset;
mod call;
mod compat;
mod config;
mod content;
mod delivery;
mod device;
mod edit;
mod handle;
mod health;
mod http;
mod journal;
mod lookup;
mod message;
mod multipart;
mod qr;
mod refusal;
mod route;
mod spool;
mod sse;
mod state;

use tokio::net::TcpListener;

pub use access::logins::LoginLink;
pub use state::Api;

impl Api {
    /// Serves until the tasks' stop token is cancelled, then drains for at most five seconds.
    pub async fn serve(self, listener: TcpListener) {
        http::server::run(handle::Dispatch::new(state::State::new(self)), listener).await;
    }
}
