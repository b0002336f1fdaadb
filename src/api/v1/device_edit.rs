//! Adding, changing and deleting devices, and making keys, by editing `moonwa.toml` as a person would. `config` edits
//! the file and the reloader applies it; this only translates.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::IF_MATCH;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{config, device};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::MAX_JSON;
use crate::api::http::response;
use crate::config::{DeviceEdit, Edit, EditError, EditRequest, ReloadReport, Revision, new_key};
use crate::model::{DeviceName, DeviceState, KeyHash};
use crate::whatsapp::WhatsAppError;

/// An edit waits until earlier reloads have stopped their devices.
const PATIENCE: Duration = Duration::from_mins(1);

/// `PUT /v1/devices/{device}`: adds or changes.
pub(crate) async fn put(call: &mut Call) -> Answer {
    let change: Box<DeviceEdit> = call.json(MAX_JSON).await?;
    let name = call.device_name()?;
    let is_new = !call.config.devices.contains_key(&name);
    let request = EditRequest { edit: Edit::Put(name.clone(), change), expected: expected(call)? };
    let report = edit(call, request).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let config = call.state.api.config.load_full();
    let mut shown = device::view(&call.state, &config, &call.who, &name);
    if let Value::Object(fields) = &mut shown {
        fields.insert("revision".into(), json!(report.revision));
    }
    Ok(response::json(status, &shown))
}

/// `DELETE /v1/devices/{device}`: logs the device out, removes its table and forgets its credentials. The edit is
/// rehearsed first, so that a table that cannot be removed does not cost the link to the phone.
pub(crate) async fn delete(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    let edit_of = |expected| EditRequest { edit: Edit::Remove(name.clone()), expected };
    let rehearsed = call.state.api.reload.rehearse(edit_of(expected(call)?));
    let revision = settled(rehearsed).await?;
    let farewell = say_farewell(call, &name).await?;
    let report = edit(call, edit_of(Some(revision))).await.map_err(|problem| {
        let why = problem.detail.clone().unwrap_or_default();
        let detail = format!("the table of {name} is still in moonwa.toml: {why}; {}", farewell.1);
        Problem { detail: Some(detail), ..problem }
    })?;
    match call.state.api.fleet.forget(&name).await {
        Ok(()) | Err(WhatsAppError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let (whatsapp, detail) = farewell;
    Ok(response::ok(&json!({
        "name": name, "revision": report.revision, "whatsapp": whatsapp, "detail": detail,
    })))
}

/// Logs a device out. Says in a word and in a sentence whether WhatsApp was told.
async fn say_farewell(
    call: &Call,
    name: &DeviceName,
) -> Result<(&'static str, &'static str), Problem> {
    let handle = call.handle()?;
    let status = handle.status();
    let online = matches!(status.state, DeviceState::Connected | DeviceState::Degraded(_));
    let untold = (
        "not_told",
        "its credentials are deleted, but WhatsApp could not be told: the phone lists it until it is removed there",
    );
    match handle.logout().await {
        Ok(()) if status.account.is_none() => Ok(("not_linked", "it was not linked")),
        Ok(()) if online => Ok(("unlinked", "it is unlinked and its credentials are deleted")),
        Ok(()) | Err(WhatsAppError::Timeout | WhatsAppError::NotConnected) => Ok(untold),
        Err(error) => {
            tracing::warn!(device = %name, %error, "The device could not be logged out.");
            Err(error.into())
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST …/key`: a new key in the place of the old one. It is shown in this answer only.
pub(crate) async fn make_key(call: &mut Call) -> Answer {
    let Nothing {} = call.json(MAX_JSON).await?;
    let (name, _) = call.device()?;
    let key = new_key();
    let hash = KeyHash::of(key.expose());
    let change = Box::new(DeviceEdit { api_key: Some(hash), ..DeviceEdit::default() });
    let request = EditRequest { edit: Edit::Put(name.clone(), change), expected: expected(call)? };
    let report = edit(call, request).await.map_err(|problem| {
        if problem.code != Code::ConfigReadOnly {
            return problem;
        }
        problem.with("key", key.expose())
    })?;
    Ok(response::ok(&json!({ "key": key.expose(), "revision": report.revision })))
}

/// The revision in `If-Match`, if there is one.
fn expected(call: &Call) -> Result<Option<Revision>, Problem> {
    let Some(text) = call.header(IF_MATCH.as_str()).filter(|text| *text != "*") else {
        return Ok(None);
    };
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let revision = quoted.and_then(Revision::parse);
    let wrong = || Problem::field("If-Match", "a revision in double quotes, from GET /v1/config");
    revision.map(Some).ok_or_else(wrong)
}

/// Writes an edit, and waits until it is in force.
pub(crate) async fn edit(call: &Call, request: EditRequest) -> Result<Arc<ReloadReport>, Problem> {
    settled(call.state.api.reload.edit(request)).await
}

/// What an edit of the file came to.
pub(super) async fn settled<T>(
    answer: impl Future<Output = Option<Result<T, EditError>>>,
) -> Result<T, Problem> {
    let answer = timeout(PATIENCE, answer).await.ok().flatten();
    Ok(answer.ok_or(Code::ShuttingDown)??)
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        let detail = error.to_string();
        match error {
            EditError::Conflict { expected, found } => Self::new(Code::EditConflict, detail)
                .with("expected", expected)
                .with("found", found),
            EditError::NotFound => Self::new(Code::Conflict, detail),
            EditError::Invalid(problems) => {
                Self::new(Code::ConfigInvalid, detail).with("problems", config::problems(&problems))
            }
            EditError::ReadOnly { file, toml } => {
                Self::new(Code::ConfigReadOnly, detail).with("file", file).with("toml", toml)
            }
            EditError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Code::DiskFull.into()
            }
            EditError::Io(error) => {
                tracing::error!(%error, "moonwa.toml could not be read or written.");
                Self::new(Code::ConfigInvalid, detail).with("problems", Vec::<Value>::new())
            }
        }
    }
}
