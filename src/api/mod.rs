//! HTTP in, on bare hyper: the frozen `/api` face, `/v1`, server-sent events and the embedded admin page. A request
//! becomes a value, the route's access is checked once, one exhaustive match handles it. What the operations do is
//! decided on the floors below.

mod access;
mod call;
mod compat;
mod dispatch;
mod http;
mod page;
mod route;
mod state;
mod v1;

use tokio::net::TcpListener;

pub use access::logins::LoginLink;
pub use state::Api;

impl Api {
    /// Serves until the tasks' stop token is cancelled, then drains for at most five seconds.
    pub async fn serve(self, listener: TcpListener) {
        http::server::run(dispatch::Dispatch::new(state::State::new(self)), listener).await;
    }
}
