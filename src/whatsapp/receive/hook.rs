//! Takes messages in: they are decoded here, and the recorder has them on the disk before WhatsApp gets its ack. Meanwhile
//! the engine goes on with the next one. When they cannot be written they are not acked, and WhatsApp sends them again; the
//! ids of the events make that harmless.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use wa_rs::client::Client;
use wa_rs::types::events::InboundMessage;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::{InboundDurabilityHook, anyhow};

use super::body::word;
use super::decode::Decoded;
use super::undecryptable::{Unread, Why};
use super::{decode, notification};
use crate::model::{Body, MessageId, Person, UnixMillis};
use crate::store::{Batch, Space, StoreError};
use crate::whatsapp::context::Context;
use crate::whatsapp::directory::{chat, mentioned, person};
use crate::whatsapp::history::poll;
use crate::whatsapp::history::row::PollRow;
use crate::whatsapp::history::timer;
use crate::whatsapp::recorder::{Debt, Record};

/// Where the engine hands over messages before it acks them.
pub(crate) struct Inbox {
    context: Arc<Context>,
}

impl Inbox {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        Self { context: Arc::clone(context) }
    }
}

#[async_trait]
impl InboundDurabilityHook for Inbox {
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        keep(&self.context, &client, batch, None).await?;
        Ok(())
    }
}

/// Keeps messages that did not come through the hook (channels, recoveries). Their ack does not wait for an answer,
/// so a failure can only be logged.
pub(crate) async fn keep_late(
    context: &Context,
    client: &Client,
    batch: &[InboundMessage],
    debt: Debt,
) {
    if let Err(error) = keep(context, client, batch, Some(debt)).await {
        tracing::error!(device = %context.name, %error, "Messages could not be written.");
    }
}

/// Records a message that WhatsApp gives to phones only. Its content cannot be fetched.
pub(crate) async fn keep_unavailable(
    context: &Context,
    client: &Client,
    info: &MessageInfo,
    kind: &str,
    debt: Debt,
) {
    let (from, chat) = (person(client, info).await, chat(client, info).await);
    if let Some(event) = notification::unavailable(&context.name, info, kind, from, chat) {
        context.notes.pay(debt, Record::Event(event));
        context.status.heard(UnixMillis::now());
    }
}

/// Records a message that could not be decrypted.
pub(crate) async fn keep_unread(
    context: &Context,
    client: &Client,
    info: &MessageInfo,
    why: Why,
    debt: Debt,
) {
    let (from, chat) = (person(client, info).await, chat(client, info).await);
    note_unread(context, Unread::of(info, why), &from, &chat, debt);
}

/// Records a message that is written as if it could not be read by anybody.
pub(crate) fn note_unread(
    context: &Context,
    unread: Unread,
    from: &Person,
    chat: &str,
    debt: Debt,
) {
    let why = unread.why.as_str();
    metrics::counter!("moonwa_messages_undecryptable_total", "device" => context.name.to_string(), "why" => why)
        .increment(1);
    tracing::warn!(device = %context.name, why, "A message cannot be read.");
    context.notes.pay(debt, Record::Event(unread.event(&context.name, from, chat)));
    context.status.heard(UnixMillis::now());
}

async fn keep(
    context: &Context,
    client: &Client,
    batch: &[InboundMessage],
    owed: Option<Debt>,
) -> Result<(), StoreError> {
    let space = context.store.space(&context.name);
    let mut events = Vec::with_capacity(batch.len());
    let mut rows = Batch::new();
    let mut any_row = false;
    let mut polls = BTreeMap::new();
    let mut timers = timer::Told::default();
    let account = client.pn().map(|own| own.user.to_string()).unwrap_or_default();
    let mut named = Vec::new();
    for InboundMessage { message, info, .. } in batch {
        let from = person(client, info).await;
        if !info.source.is_from_me
            && let Some(name) = context.push_names.put(&mut rows, &account, &from)
        {
            named.push(name);
            any_row = true;
        }
        let chat = chat(client, info).await;
        timers.hear(&space, client, (info, message), &chat).await?;
        let Some(mut decoded) = decode::message(&context.name, info, message, from, chat) else {
            continue;
        };
        decoded.mention(mentioned(client, decoded.mentions()).await);
        // Under an id that is not valid nobody could ask for the file.
        if let (Some(row), Some(id)) = (&decoded.media, MessageId::parse(&info.id)) {
            row.put(&mut rows, &id);
            any_row = true;
        }
        // The first poll under an id stays: whoever copies the id must not make the first one's votes unreadable.
        if let Some(poll) = poll::received(info, message)
            && !polls.contains_key(&info.id)
            && PollRow::find(&space, &info.id).await?.is_none()
        {
            poll.put(&mut rows, &info.id);
            any_row = true;
            polls.insert(info.id.clone(), poll);
        }
        answered(&space, client, (info, message), &polls, &mut decoded).await?;
        events.push(decoded.event);
    }
    if !timers.is_empty() {
        timers.put(&mut rows);
        any_row = true;
    }
    // Taken back on the phone: what was sent here goes to nobody any more.
    for InboundMessage { message, info, .. } in batch {
        if let (true, Some(id)) = (info.source.is_from_me, decode::revoked(message)) {
            context.backend().forget_sent(id).await?;
        }
    }
    // Before the events: whoever hears of a file may ask for it at once.
    if any_row {
        space.write(rows).await?;
        context.push_names.remember(named);
    }
    if events.is_empty() {
        return Ok(());
    }
    context.notes.take_in(events, owed).await;
    context.status.heard(UnixMillis::now());
    Ok(())
}

/// Adds what an encrypted answer to a poll or an event says. What it answers may be in the same batch.
async fn answered(
    space: &Space,
    client: &Client,
    (info, message): (&MessageInfo, &wa::Message),
    batch: &BTreeMap<String, PollRow>,
    decoded: &mut Decoded,
) -> Result<(), StoreError> {
    let base = message.get_base_message();
    let (vote, response) =
        (base.poll_update_message.as_option(), base.enc_event_response_message.as_option());
    let key = vote
        .and_then(|vote| vote.poll_creation_message_key.as_option())
        .or_else(|| response.and_then(|response| response.event_creation_message_key.as_option()));
    let Some(id) = key.and_then(|key| key.id.as_ref()) else { return Ok(()) };
    let known = match batch.get(id) {
        Some(row) => Some(row.clone()),
        None => PollRow::find(space, id).await?,
    };
    let Some(known) = known else { return Ok(()) };
    if let Some(vote) = vote
        && let Some(options) = poll::choices(client, info, vote, &known).await
        && let Some(Body::PollVote(vote)) = decoded.body()
    {
        vote.options = Some(options);
    }
    if let Some(response) = response
        && let Some(said) = poll::response(client, info, response, &known).await
        && let Some(Body::EventResponse(answer)) = decoded.body()
    {
        answer.response = said.response.map(word);
        answer.guests = Some(said.extra_guest_count.unwrap_or_default());
    }
    Ok(())
}
