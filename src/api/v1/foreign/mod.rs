//! Sessions of other gateways in files that a person sends: what is in them, and how one becomes a device here. What they mean and
//! what is checked is the same as for `moonwa adopt`; that their gateway has stopped cannot be seen from here.

mod upload;

use std::sync::Arc;

use anyhow::{Result, bail};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::upload::unreadable;
use super::device_edit::settled;
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response;
use crate::api::state::State;
use crate::config::{Edit, EditRequest, shown_url};
use crate::model::DeviceName;
use crate::task::Tasks;
use crate::whatsapp::foreign::{ForeignSession, Source, Table, choose, find, stop_hint};
use crate::whatsapp::identities::{AdoptError, linked_as};
use crate::whatsapp::{Backup, ForeignDevice};

/// `POST /v1/foreign`.
pub(crate) async fn list(call: &mut Call) -> Answer {
    let read = |source: &Source, sessions: Vec<ForeignSession>| {
        let problems: Vec<_> = sessions.iter().filter_map(ForeignSession::problem).collect();
        if problems.len() == sessions.len() {
            bail!("{}", problems.join("; "));
        }
        let stop = stop_hint(source, &sessions);
        let address = |session: &ForeignSession| {
            session.device.as_ref().ok().map(|device| device.jid.clone())
        };
        let sessions: Vec<_> =
            sessions.iter().map(|session| (address(session), shown(session))).collect();
        Ok((sessions, stop))
    };
    let (sessions, stop) = look(call, read).await?;
    let mut list = Vec::new();
    for (address, mut session) in sessions {
        if let (Some(address), Some(fields)) = (address, session.as_object_mut()) {
            let known = linked_as(&call.state.api.store, &address).await?;
            fields.insert("device".to_owned(), json!(known));
        }
        list.push(session);
    }
    Ok(response::ok(&json!({ "sessions": list, "stop": stop })))
}

fn shown(session: &ForeignSession) -> Value {
    let device = session.device.as_ref().ok();
    let webhooks = session.settings.hooks.iter().map(|hook| shown_url(&hook.url));
    json!({
        "name": session.name,
        "product": session.product,
        "number": device.map(ForeignDevice::number),
        "push_name": device.map(|device| &device.push_name),
        "linked_at": device.and_then(ForeignDevice::linked_at),
        "device": null,
        "problem": session.problem(),
        "notes": session.notes,
        "webhooks": webhooks.collect::<Vec<_>>(),
    })
}

/// What is to become of a session.
struct Adoption {
    name: DeviceName,
    /// The address of its device.
    jid: String,
    identity: Backup,
    /// What is written for it, when moonwa.toml has no table of that name.
    table: Option<Table>,
    number: String,
    push_name: String,
    notes: Vec<String>,
}

/// `POST /v1/devices/{device}/adopt`.
pub(crate) async fn adopt(call: &mut Call) -> Answer {
    let (name, wanted) = (call.device_name()?, call.query("session")?);
    let is_new = !call.config.devices.contains_key(&name);
    let file = call.state.api.file.clone();
    let read = move |_: &Source, sessions: Vec<ForeignSession>| {
        let session = choose(sessions, wanted.as_deref(), "?session=")?;
        let (device, identity) = session.identity(&name)?;
        let (jid, number) = (device.jid.clone(), device.number().to_owned());
        let table = is_new.then(|| Table::new(&session.settings, &name, &file));
        let (push_name, notes) = (device.push_name.clone(), session.notes.clone());
        Ok(Adoption { name, jid, identity, table, number, push_name, notes })
    };
    let adoption = look(call, read).await?;
    // Whoever asked may go away: what is begun is done all the same.
    let (state, (reply, answer)) = (Arc::clone(&call.state), oneshot::channel());
    call.state.api.tasks.spawn("adopt", async move {
        drop(reply.send(Box::pin(adoption.carry_out(&state)).await));
    });
    answer.await.map_err(|_panicked| Problem::from(Code::Internal))?
}

impl Adoption {
    /// The edit is rehearsed first, and what it could not write in the end is not adopted.
    async fn carry_out(mut self, state: &State) -> Answer {
        let table = self.table.take();
        let done = self.become_device(state, table.as_ref()).await;
        if let (Some(table), Ok(_)) = (table, &done) {
            table.keep();
        }
        done
    }

    async fn become_device(self, state: &State, table: Option<&Table>) -> Answer {
        let Self { name, jid, identity, number, push_name, mut notes, table: _ } = self;
        let api = &state.api;
        let edit = |table: &Table, expected| EditRequest {
            edit: Edit::Put(name.clone(), Box::new(table.edit.clone())),
            expected,
        };
        let mut revision = api.reload.reports().borrow().revision;
        if let Some(table) = table {
            revision = settled(api.reload.rehearse(edit(table, None))).await?;
        }
        let in_file = || api.config.load().devices.get(&name).cloned();
        Box::pin(api.fleet.adopt(&name, &jid, identity, in_file)).await?;
        if let Some(table) = table {
            match settled(api.reload.edit(edit(table, Some(revision)))).await {
                Ok(report) => revision = report.revision,
                Err(problem) => {
                    if let Err(error) = api.fleet.forget(&name).await {
                        tracing::error!(device = %name, %error, "What was adopted and not written could not be undone.");
                    }
                    return Err(problem);
                }
            }
        }
        tracing::info!(device = %name, "A session of another gateway was adopted.");
        notes.extend(table.into_iter().flat_map(|table| table.edit.comments.clone()));
        let status = if table.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let answer = json!({
            "name": name, "number": number, "push_name": push_name, "revision": revision, "notes": notes,
        });
        Ok(response::json(status, &answer))
    }
}

/// What is made of the sessions in what was sent. The files are gone when this is done.
async fn look<T: Send + 'static>(
    call: &mut Call,
    read: impl FnOnce(&Source, Vec<ForeignSession>) -> Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let folder = upload::receive(call).await?;
    let place = format!("{}/", folder.path().display());
    let source = Source::Upload(folder.path().to_owned());
    let job = move || find(&source).and_then(|sessions| read(&source, sessions));
    let done = Tasks::on_thread("foreign", job).await;
    if let Err(error) = folder.remove().await {
        tracing::error!(%error, "Files that were sent could not be removed; the next start does it.");
    }
    let done = done.map_err(|error| {
        tracing::error!(%error, "What was sent could not be looked at.");
        Problem::from(Code::Internal)
    })?;
    done.map_err(|error| unreadable(format!("{error:#}").replace(&place, "")))
}

impl From<AdoptError> for Problem {
    fn from(error: AdoptError) -> Self {
        let detail = error.to_string();
        match error {
            AdoptError::Known(_) | AdoptError::Linked(_) => Self::new(Code::AlreadyLinked, detail),
            AdoptError::Busy(_) => Self::new(Code::Conflict, detail),
            AdoptError::Other(error) => error.into(),
        }
    }
}
