//! Whether people are there, and whether they write: of those about whom somebody asked.

use std::sync::Arc;

use futures_util::FutureExt;
use wa_rs::client::Client;
use wa_rs::wacore_binary::NodeRef;
use wa_rs::{Jid, PresenceError};

use super::both;
use super::watched::{Doing, Heard, MOST, Seen};
use crate::config::Presence;
use crate::model::{Recipient, UnixMillis};
use crate::whatsapp::context::Context;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, timely};
use crate::whatsapp::recorder::Record;

/// Takes in a stanza that says whether somebody is there, or writes.
pub(crate) fn look(context: &Arc<Context>, stanza: &NodeRef<'_>) {
    let jid = |name: &str| {
        let text = stanza.get_attr(name).map(|value| value.as_str().into_owned());
        text.and_then(|text| text.parse::<Jid>().ok())
    };
    let text = |node: &NodeRef<'_>, name: &str| {
        node.get_attr(name).map(|value| value.as_str().into_owned())
    };
    let Some(from) = jid("from") else { return };
    let at = UnixMillis::now();
    match stanza.tag.as_ref() {
        "presence" => {
            let doing = match text(stanza, "type").as_deref() {
                None | Some("available") => Doing::Available,
                Some("unavailable") => Doing::Unavailable,
                Some(_) => return,
            };
            // It may also say that they do not let it be known.
            let last = text(stanza, "last").and_then(|last| last.parse().ok());
            let last_seen = last.map(UnixMillis::from_secs);
            hear(context, &from, Heard { doing, chat: None, last_seen, at });
        }
        "chatstate" => {
            let doing = match stanza.get_optional_child("composing") {
                Some(child) if text(child, "media").as_deref() == Some("audio") => Doing::Recording,
                Some(_) => Doing::Composing,
                None => Doing::Paused,
            };
            let who = jid("participant").unwrap_or_else(|| from.clone());
            let chat = Some(from.to_non_ad());
            hear(context, &who, Heard { doing, chat, last_seen: None, at });
        }
        _ => {}
    }
}

fn hear(context: &Arc<Context>, who: &Jid, heard: Heard) {
    let Some(key) = context.watched.hear(who, heard) else { return };
    match context.watched.due(&context.name, &key, false) {
        Some(Ok(event)) => context.notes.note(Record::Event(event)),
        Some(Err(mut wait)) => {
            let later = Arc::clone(context);
            context.tasks.spawn("tell presence", async move {
                loop {
                    tokio::time::sleep(wait).await;
                    match later.watched.due(&later.name, &key, true) {
                        Some(Ok(event)) => return later.notes.note(Record::Event(event)),
                        Some(Err(longer)) => wait = longer,
                        None => return,
                    }
                }
            });
        }
        None => {}
    }
}

/// Asks again about everybody: WhatsApp forgets it with the connection.
pub(crate) async fn ask_again(context: &Context, client: &Client) {
    for jid in context.watched.addresses() {
        if let Err(error) = client.presence().subscribe(jid).await {
            tracing::debug!(device = %context.name, %error, "A presence was not asked for.");
            return;
        }
    }
}

impl DeviceHandle {
    /// About whom it is to be known whether they are there, and what was heard last.
    pub(crate) fn presences(&self) -> Vec<Seen> {
        self.context.watched.list()
    }

    /// Lets it be known whether somebody is there. It holds for as long as moonwa runs.
    pub(crate) async fn watch_presence(&self, who: &Recipient) -> Result<(), WhatsAppError> {
        if *self.context.presence.borrow() == Presence::Unavailable {
            return Err(WhatsAppError::Unseen);
        }
        let client = self.client()?;
        let jid = self.address(&client, who).await?;
        let (lid, phone) = both(&client, &jid).await;
        if !self.context.watched.add(&jid, lid, phone) {
            return Err(WhatsAppError::Crowded(MOST));
        }
        done(timely(client.presence().subscribe(jid).boxed()).await?)
    }

    pub(crate) async fn unwatch_presence(&self, who: &Recipient) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let jid = self.address(&client, who).await?;
        let (lid, phone) = both(&client, &jid).await;
        let (lid, phone) = (lid.as_deref(), phone.as_deref());
        for key in self.context.watched.remove(&jid, lid, phone) {
            let Ok(jid) = key.parse() else { continue };
            done(timely(client.presence().unsubscribe(&jid).boxed()).await?)?;
        }
        Ok(())
    }
}

fn done(outcome: Result<(), PresenceError>) -> Result<(), WhatsAppError> {
    outcome.map_err(|error| match error {
        PresenceError::Client(_) => WhatsAppError::NotConnected,
        other => WhatsAppError::Refused(other.to_string()),
    })
}
