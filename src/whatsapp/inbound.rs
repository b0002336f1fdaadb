//! Messages in: decoded and on disk before WhatsApp gets its ack. When the disk says no, so do we, and WhatsApp sends
//! them again; the events' ids make that harmless.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use wa_rs::client::Client;
use wa_rs::types::events::InboundMessage;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::{InboundDurabilityHook, Jid, anyhow};

use super::link::Parts;
use super::{decode, history, poll, recorder};
use crate::model::{MessageId, Person, UnixMillis};
use crate::store::{Batch, StoreError};

/// The engine's way to hand over messages before it acks them.
pub(crate) struct Inbox {
    parts: Arc<Parts>,
}

impl Inbox {
    /// The inbox of a device.
    pub(crate) fn new(parts: &Arc<Parts>) -> Self {
        Self { parts: Arc::clone(parts) }
    }
}

#[async_trait]
impl InboundDurabilityHook for Inbox {
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        keep(&self.parts, &client, batch).await?;
        Ok(())
    }
}

/// Keeps messages that came past the hook (channels, recoveries): acked already, so an error is all there is to say.
pub(crate) async fn keep_late(parts: &Parts, client: &Client, batch: &[InboundMessage]) {
    if let Err(error) = keep(parts, client, batch).await {
        tracing::error!(device = %parts.name, %error, "Messages could not be written.");
    }
}

/// Tells of a message that WhatsApp gives to phones only. There is nothing to fetch, and nothing to be acked again.
pub(crate) async fn keep_unavailable(
    parts: &Parts,
    client: &Client,
    info: &MessageInfo,
    kind: &str,
) {
    let (from, chat) = (person(client, info).await, chat(client, info).await);
    if let Some(event) = decode::unavailable(&parts.name, info, kind, from, chat) {
        drop(parts.ledger.send(recorder::Entry::Event(event)));
        parts.status.heard(UnixMillis::now());
    }
}

async fn keep(parts: &Parts, client: &Client, batch: &[InboundMessage]) -> Result<(), StoreError> {
    let space = parts.store.space(&parts.name);
    let mut events = Vec::with_capacity(batch.len());
    let mut rows = Batch::new();
    let mut any_row = false;
    let mut polls = BTreeMap::new();
    for InboundMessage { message, info, .. } in batch {
        let from = person(client, info).await;
        let chat = chat(client, info).await;
        let Some(mut decoded) = decode::message(&parts.name, info, message, from, chat) else {
            continue;
        };
        // A file under an id that is none cannot be asked for.
        if let (Some(row), Some(id)) = (&decoded.media, MessageId::parse(&info.id)) {
            history::put(&mut rows, &id, row);
            any_row = true;
        }
        // The first poll of an id stays: who copies an id must not make the other's votes unreadable.
        if let Some(poll) = poll::received(info, message)
            && !polls.contains_key(&info.id)
            && poll::find(&space, &info.id).await?.is_none()
        {
            poll::put(&mut rows, &info.id, &poll);
            any_row = true;
            polls.insert(info.id.clone(), poll);
        }
        if let Some(vote) = message.get_base_message().poll_update_message.as_option() {
            // The poll may be in this very batch.
            let known = match vote.poll_creation_message_key.as_option().and_then(|k| k.id.as_ref())
            {
                Some(id) => match polls.get(id) {
                    Some(poll) => Some(poll.clone()),
                    None => poll::find(&space, id).await?,
                },
                None => None,
            };
            if let Some(known) = known
                && let Some(options) = poll::choices(client, info, vote, &known).await
            {
                decoded.chose(options);
            }
        }
        events.extend(recorder::row(&decoded.event));
    }
    if events.is_empty() {
        return Ok(());
    }
    let rows = async { if any_row { space.write(rows).await } else { Ok(()) } };
    let (appended, written) = tokio::join!(parts.store.log().append(events), rows);
    appended?;
    written?;
    parts.status.heard(UnixMillis::now());
    Ok(())
}

/// Who wrote a message, under every address known.
async fn person(client: &Client, info: &MessageInfo) -> Person {
    let sender = &info.source.sender;
    let (lid, phone) = both(client, sender, info.source.sender_alt.as_ref()).await;
    Person {
        jid: sender.to_non_ad_string(),
        phone,
        lid,
        name: Some(info.push_name.clone()).filter(|name| !name.is_empty()),
    }
}

/// The conversation: people are shown by their number where it is known, because that is what a receiver answers to.
async fn chat(client: &Client, info: &MessageInfo) -> String {
    let source = &info.source;
    if !source.chat.is_lid() {
        return source.chat.to_non_ad_string();
    }
    let alt = if source.is_from_me {
        source.recipient_alt.as_ref().or(info.peer_recipient_pn.as_ref())
    } else {
        source.sender_alt.as_ref()
    };
    match both(client, &source.chat, alt).await {
        (_, Some(phone)) => format!("{phone}@s.whatsapp.net"),
        _ => source.chat.to_non_ad_string(),
    }
}

/// The LID and the phone number of a person, as far as known.
pub(crate) async fn both(
    client: &Client,
    jid: &Jid,
    alt: Option<&Jid>,
) -> (Option<String>, Option<String>) {
    let known = [Some(jid), alt];
    let user = |wanted: fn(&Jid) -> bool| {
        known.into_iter().flatten().find(|jid| wanted(jid)).map(|jid| jid.user.to_string())
    };
    let (lid, phone) = (user(Jid::is_lid), user(Jid::is_pn));
    if (lid.is_some() && phone.is_some()) || (lid.is_none() && phone.is_none()) {
        return (lid, phone);
    }
    // The engine's own map, from memory or our store; never a question to WhatsApp.
    match client.get_lid_pn_entry(jid).await {
        Ok(Some(entry)) => (Some(entry.lid.to_string()), Some(entry.phone_number.to_string())),
        _ => (lid, phone),
    }
}
