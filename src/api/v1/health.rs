//! What load balancers ask: is it alive, is it ready.

use std::time::Duration;

use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Code;
use crate::api::http::response;
use crate::store::SpoolFull;

/// A healthy disk never takes this long for one write.
const PATIENCE: Duration = Duration::from_mins(1);
/// A store that is ready answers within this.
const READY: Duration = Duration::from_secs(10);

/// `GET /healthz`: the process is up and its store still writes.
pub(crate) fn alive(call: &Call) -> Answer {
    if !call.state.api.store.is_alive(PATIENCE) {
        return Err(Code::StoreFailed.into());
    }
    Ok(response::ok(&json!({ "status": "ok" })))
}

/// `GET /readyz`: requests will be answered without delay.
pub(crate) fn ready(call: &Call) -> Answer {
    if call.state.api.tasks.stop().is_cancelled() {
        return Err(Code::ShuttingDown.into());
    }
    let store = &call.state.api.store;
    if !store.is_alive(READY) || !store.has_room() {
        return Err(Code::StoreFailed.into());
    }
    // Texts are taken all the same, so this does not make it unready.
    let files = store.spool().refuses().map_or("ok", SpoolFull::word);
    Ok(response::ok(&json!({ "status": "ok", "files": files })))
}
