//! For load balancers and Prometheus: alive, ready, numbers.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;

use super::body::{self, Response};
use super::handle::Call;
use super::problem::{Code, Problem};

/// Longer than any healthy disk takes for one write.
const PATIENCE: Duration = Duration::from_mins(1);
/// What a ready store needs at most.
const READY: Duration = Duration::from_secs(10);

/// `GET /healthz`: the process is up and its store can still keep promises.
pub(super) fn alive(call: &Call) -> Result<Response, Problem> {
    answer(call.state.api.store.is_alive(PATIENCE))
}

/// `GET /readyz`: requests will be answered soon.
pub(super) fn ready(call: &Call) -> Result<Response, Problem> {
    if call.state.api.tasks.stop().is_cancelled() {
        return Err(Code::ShuttingDown.into());
    }
    answer(call.state.api.store.is_alive(READY))
}

fn answer(fine: bool) -> Result<Response, Problem> {
    if fine { body::ok(&json!({ "status": "ok" })) } else { Err(Code::StoreFailed.into()) }
}

/// `GET /metrics`.
pub(super) fn metrics(call: &Call) -> Result<Response, Problem> {
    let handle = call.state.api.metrics.as_ref().ok_or(Code::NotFound)?;
    Ok(body::bytes_of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", handle.render()))
}
