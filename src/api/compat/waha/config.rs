//! Making, changing and deleting sessions. moonwa's devices are tables in `moonwa.toml`, so each of these is an edit of
//! it, as from the page.

use std::collections::BTreeMap;

use hyper::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::form::done;
use super::view;
use crate::api::call::{Answer, Call, PathName};
use crate::api::compat::body::Given;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response;
use crate::api::v1::device_edit;
use crate::config::{DeviceConfig, DeviceEdit, Edit, EditRequest, EndpointEdit};
use crate::model::{DeviceName, Secret};

/// What WAHA tells of, and what moonwa calls it. Its other events have no counterpart.
const EVENTS: &[(&str, &[&str])] = &[
    ("*", &["*"]),
    ("message", &["message.received"]),
    ("message.any", &["message.received", "message.sent"]),
    ("message.ack", &["message.status"]),
    ("message.reaction", &["message.reaction"]),
    ("message.edited", &["message.edited"]),
    ("message.revoked", &["message.revoked"]),
    ("session.status", &["device.state"]),
    ("group.v2.join", &["group.updated"]),
    ("group.v2.leave", &["group.updated"]),
    ("group.v2.participants", &["group.updated"]),
    ("group.v2.update", &["group.updated"]),
    ("call.received", &["call.offer"]),
];

/// `POST /api/sessions`.
pub(super) async fn create(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let name = DeviceName::parse(&given.need("name")?)
        .map_err(|error| Problem::field("name", error.to_string()))?;
    if call.config.devices.contains_key(&name) {
        let words = format!("Session \"{name}\" already exists. Use PUT to update it.");
        return Err(Problem::new(Code::Conflict, words));
    }
    call.path.set(PathName::Device, name.to_string());
    put(call, &name, &given).await?;
    if given.flag_or("start", true) {
        // It is newer than what the file said when the request came.
        let device = call.state.api.fleet.device(&name).ok_or(Code::DeviceNotFound)?;
        device.start().await?;
    }
    shown(call, &name, StatusCode::CREATED)
}

/// `PUT /api/sessions/{session}`.
pub(super) async fn change(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let (name, _) = call.device()?;
    put(call, &name, &given).await?;
    shown(call, &name, StatusCode::OK)
}

/// `DELETE /api/sessions/{session}`: it is logged out, too.
pub(super) async fn delete(call: &Call) -> Answer {
    device_edit::delete(call).await?;
    Ok(done(StatusCode::OK))
}

fn shown(call: &Call, name: &DeviceName, status: StatusCode) -> Answer {
    let config = call.state.api.config.load_full();
    let device = config.devices.get(name).ok_or(Code::DeviceNotFound)?;
    Ok(response::json(status, &view::session(call, name, device)))
}

async fn put(call: &Call, name: &DeviceName, given: &Given) -> Result<(), Problem> {
    let edit = edit_of(&given.inner("config"), call.config.devices.get(name))?;
    let request = EditRequest { edit: Edit::Put(name.clone(), Box::new(edit)), expected: None };
    device_edit::edit(call, request).await.map(drop)
}

/// What is said of webhooks and the proxy; what is not said stays as it is.
fn edit_of(config: &Given, known: Option<&DeviceConfig>) -> Result<DeviceEdit, Problem> {
    let mut edit = DeviceEdit::default();
    if config.has("webhooks") {
        let hooks = config.inners("webhooks");
        let hooks = hooks.iter().map(|hook| webhook(hook, known));
        edit.webhooks = Some(hooks.collect::<Result<_, _>>()?);
    }
    if let Some(server) = config.inner("proxy").text("server") {
        let proxy = config.inner("proxy");
        let coded = |text: String| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        let person = match (proxy.text("username"), proxy.text("password")) {
            (Some(name), Some(password)) => format!("{}:{}@", coded(name), coded(password)),
            _ => String::new(),
        };
        let server = server.trim_start_matches("http://");
        edit.proxy = Some(Secret::new(format!("http://{person}{server}")));
    }
    Ok(edit)
}

fn webhook(hook: &Given, known: Option<&DeviceConfig>) -> Result<EndpointEdit, Problem> {
    let url = hook.text("url").ok_or_else(|| Problem::field("config.webhooks.url", "required"))?;
    let same = known.and_then(|device| device.webhooks.iter().find(|known| known.url == url));
    let mut events = Vec::new();
    for event in hook.list("events") {
        let ours = EVENTS.iter().find(|(theirs, _)| *theirs == event);
        let (_, ours) = ours.ok_or_else(|| {
            Problem::field("config.webhooks.events", format!("moonwa has no event \"{event}\""))
        })?;
        events.extend(ours.iter().map(|event| (*event).to_owned()));
    }
    events.sort();
    events.dedup();
    let headers: BTreeMap<_, _> = hook
        .inners("customHeaders")
        .iter()
        .filter_map(|header| Some((header.text("name")?, header.text("value"))))
        .collect();
    Ok(EndpointEdit {
        n: same.map(|known| known.n),
        url,
        secret: hook.inner("hmac").text("key"),
        events: (!events.is_empty()).then_some(events),
        format: Some("waha".to_owned()),
        headers: (!headers.is_empty()).then_some(headers),
        ..EndpointEdit::default()
    })
}
