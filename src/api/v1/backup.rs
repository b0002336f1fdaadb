//! The backup of the devices' credentials, with which another machine can take over their links.

use crate::api::call::{Answer, Call};
use crate::api::http::response;
use crate::whatsapp::Backup;

/// `GET /v1/backup`.
pub(crate) async fn show(call: &Call) -> Answer {
    Ok(response::ok(&Backup::of(&call.state.api.store).await?))
}
