//! What the phone tells of the time before: after it was linked, and when it is asked for older messages. It goes to the
//! history, never to a webhook.

use std::sync::Arc;

use chrono::DateTime;
use futures_util::FutureExt as _;
use wa_rs::client::Client;
use wa_rs::types::events::{Event, LazyHistorySync};
use wa_rs::types::message::{MessageInfo, MessageSource};
use wa_rs::wacore_binary::{Jid, JidExt as _};
use wa_rs::waproto::whatsapp as wa;

use crate::model::{ChatKind, EventData, EventType, MessageId, Recipient, UnixMillis};
use crate::store::{About, Batch, Kept, Learned, Note, Reaction, Said, Source, StoreError};
use crate::task::Tasks;
use crate::whatsapp::context::Context;
use crate::whatsapp::directory::{addresses, chat, chat_kind, person};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, inside, timely};
use crate::whatsapp::receive::decode;

/// How many older messages the phone is asked for, as WhatsApp Web does.
const OLDER: i32 = 50;

/// When a mute ends that has no end: 9999-12-31.
pub(crate) const FOR_EVER: UnixMillis = UnixMillis::from_secs(253_402_214_400);

/// Takes what the phone tells, if a history is kept.
pub(crate) async fn take(context: &Context, client: &Client, told: LazyHistorySync) {
    let Some(limits) = context.store.history().limits() else { return };
    let decode = move || {
        let mut stream = told.stream();
        let mut all = Vec::new();
        while let Ok(Some(conversation)) = stream.next_conversation() {
            all.push(conversation);
        }
        all
    };
    let conversations = match Tasks::on_thread("history", decode).await {
        Ok(conversations) => conversations,
        Err(error) => {
            tracing::error!(device = %context.name, %error, "What the phone told of earlier messages could not be read.");
            return;
        }
    };
    for conversation in conversations {
        let horizon = limits.horizon();
        if let Err(error) = keep(context, client, conversation, horizon).await {
            tracing::error!(device = %context.name, %error, "Earlier messages could not be written.");
        }
    }
}

/// What an event says of what the account's owner did with a chat on another device.
pub(crate) fn said(event: &Event) -> Option<(&Jid, Said)> {
    Some(match event {
        Event::MarkChatAsReadUpdate(update) => {
            let at = UnixMillis::from_millis(millis(update.timestamp.timestamp_millis()));
            (&update.jid, Said::Marked { read: update.action.read.unwrap_or(true), at })
        }
        Event::ArchiveUpdate(update) => {
            (&update.jid, Said::Archived(update.action.archived.unwrap_or_default()))
        }
        Event::PinUpdate(update) => {
            (&update.jid, Said::Pinned(update.action.pinned.unwrap_or_default()))
        }
        Event::MuteUpdate(update) => {
            // A negative time stands for ever.
            let end = update.action.mute_end_timestamp.and_then(|end| u64::try_from(end).ok());
            let until = end.map_or(FOR_EVER, UnixMillis::from_millis);
            let muted = update.action.muted.unwrap_or_default();
            (&update.jid, Said::Muted(muted.then_some(until)))
        }
        Event::DeleteChatUpdate(update) => (&update.jid, Said::Deleted),
        Event::DeleteMessageForMeUpdate(update) => {
            let at = UnixMillis::from_millis(millis(update.timestamp.timestamp_millis()));
            let hidden = About::hidden(&update.message_id, update.from_me, at);
            (&update.chat_jid, Said::About(hidden))
        }
        _ => return None,
    })
}

/// Whether that is the account itself.
pub(crate) fn is_own(client: &Client, jid: &Jid) -> bool {
    [client.pn(), client.lid()].into_iter().flatten().any(|own| own.user == jid.user)
}

fn millis(at: i64) -> u64 {
    u64::try_from(at).unwrap_or_default()
}

async fn keep(
    context: &Context,
    client: &Client,
    conversation: wa::Conversation,
    horizon: UnixMillis,
) -> Result<(), StoreError> {
    let Ok(jid) = conversation.id.parse::<Jid>() else { return Ok(()) };
    let kind = chat_kind(&jid);
    if !kind.is_answerable() {
        return Ok(());
    }
    let addresses = every_address(client, &jid).await;
    let (mut learned, mut notes) = (Vec::new(), Vec::new());
    let (mut rows, mut any_row) = (Batch::new(), false);
    for entry in conversation.messages {
        let Some(told) = entry.message.into_option() else { continue };
        if told.message_timestamp.map(UnixMillis::from_secs).is_none_or(|at| at < horizon) {
            continue;
        }
        let (message, media) = match decoded(context, client, &jid, &told).await {
            Some(Told::Message(message, media)) => (*message, media),
            Some(Told::About(about)) => {
                notes.push(Note { addresses: addresses.clone(), what: Said::About(about) });
                continue;
            }
            None => continue,
        };
        if let (Some(media), Some(id)) = (media, MessageId::parse(&message.id)) {
            media.put(&mut rows, &id);
            any_row = true;
        }
        let at = UnixMillis::from_secs(told.message_timestamp.unwrap_or_default());
        let reactions = reactions(client, &told.reactions, &jid).await;
        let addresses = addresses.clone();
        learned.push(Learned { addresses, kind, at, kept: message, reactions });
    }
    // The phone tells the newest first; of the same second, the order is all that is known.
    learned.reverse();
    learned.sort_by_key(|learned| learned.at);
    if any_row {
        context.store.space(&context.name).write(rows).await?;
    }
    context.store.history().learn(&context.name, learned).await?;
    let pinned = conversation.pinned.map(|order| order > 0);
    let (unread, archived) = (conversation.unread_count, conversation.archived);
    let saved = conversation.name.or(conversation.display_name).filter(|name| !name.is_empty());
    let what = Said::Chat { saved, unread, archived, pinned };
    notes.push(Note { addresses, what });
    context.store.history().note(&context.name, notes).await
}

/// What the phone tells of.
enum Told {
    /// A message as the history keeps it, and how its file is fetched.
    Message(Box<Kept>, Option<super::row::MediaRow>),
    /// What was said of a message.
    About(About),
}

async fn decoded(
    context: &Context,
    client: &Client,
    jid: &Jid,
    told: &wa::WebMessageInfo,
) -> Option<Told> {
    let (key, message) = (told.key.as_option()?, told.message.as_option()?);
    let from_me = key.from_me.unwrap_or_default();
    let author = key.participant.as_deref().or(told.participant.as_deref());
    let author = author.and_then(|author| author.parse::<Jid>().ok());
    let own = || client.pn().map(|jid| jid.to_non_ad());
    let sender = match author {
        Some(author) if jid.is_group() => author.to_non_ad(),
        _ if from_me => own()?,
        _ => jid.to_non_ad(),
    };
    let seconds = i64::try_from(told.message_timestamp?).ok()?;
    let info = MessageInfo {
        source: MessageSource {
            chat: jid.to_non_ad(),
            sender,
            is_from_me: from_me,
            is_group: jid.is_group(),
            ..MessageSource::default()
        },
        id: key.id.clone()?,
        push_name: told.push_name.clone().unwrap_or_default(),
        timestamp: DateTime::from_timestamp(seconds, 0)?,
        ..MessageInfo::default()
    };
    let (from, chat) = (person(client, &info).await, chat(client, &info).await);
    let decoded = decode::message(&context.name, &info, message, from, chat)?;
    let EventData::Message(data) = &decoded.event.data else { return None };
    // As a rule, what only says something about another message is told with that one.
    if !matches!(decoded.event.kind, EventType::MessageReceived | EventType::MessageSent) {
        let at = UnixMillis::from_secs(told.message_timestamp?);
        return About::of(decoded.event.kind, data, at).map(Told::About);
    }
    let mut kept = Kept::of(data, Source::History);
    kept.status = status(told).filter(|_| from_me).map(str::to_owned);
    Some(Told::Message(Box::new(kept), decoded.media))
}

fn status(told: &wa::WebMessageInfo) -> Option<&'static str> {
    use wa::web_message_info::Status;
    Some(match told.status? {
        Status::ERROR => "failed",
        Status::PENDING => "sent",
        Status::SERVER_ACK => "accepted",
        Status::DELIVERY_ACK => "delivered",
        Status::READ => "read",
        Status::PLAYED => "played",
    })
}

async fn reactions(client: &Client, told: &[wa::Reaction], chat: &Jid) -> Vec<Reaction> {
    let mut reactions = Vec::new();
    for reaction in told {
        let (Some(key), Some(emoji)) = (reaction.key.as_option(), reaction.text.clone()) else {
            continue;
        };
        let from_me = key.from_me.unwrap_or_default();
        let author = key.participant.as_deref().and_then(|author| author.parse::<Jid>().ok());
        let info = MessageInfo {
            source: MessageSource {
                sender: author.unwrap_or_else(|| chat.clone()).to_non_ad(),
                ..MessageSource::default()
            },
            ..MessageInfo::default()
        };
        let from = if from_me { None } else { Some(person(client, &info).await) };
        let at = reaction.sender_timestamp_ms.map(|at| UnixMillis::from_secs(millis(at) / 1000));
        reactions.push(Reaction { emoji, from_me, from, at });
    }
    reactions
}

/// The chat's address, and the other one of a person.
pub(crate) async fn every_address(client: &Client, jid: &Jid) -> Vec<String> {
    if chat_kind(jid) == ChatKind::Person {
        addresses(client, jid, None).await
    } else {
        vec![jid.to_non_ad_string()]
    }
}

/// Writes down what the account's owner did with a chat, if a history is kept.
pub(crate) fn note(context: &Arc<Context>, client: Arc<Client>, chat: Jid, what: Said) {
    if context.store.history().limits().is_none() {
        return;
    }
    let told = Arc::clone(context);
    context.tasks.spawn("note chat", async move {
        let addresses = every_address(&client, &chat).await;
        let noted = told.store.history().note(&told.name, vec![Note { addresses, what }]).await;
        if let Err(error) = noted {
            tracing::error!(device = %told.name, %error, "What happened to a chat could not be written.");
        }
    });
}

impl DeviceHandle {
    /// Asks the phone for messages of a chat that are older than those in the history.
    pub(crate) async fn ask_older(&self, chat: &Recipient) -> Result<(), WhatsAppError> {
        let (client, history) = (self.client()?, self.context.store.history());
        let known = history.chat(&self.context.name, chat.jid().as_str()).await?;
        let known = known.ok_or(WhatsAppError::NotFound)?;
        let oldest = history.oldest(&self.context.name, known).await?;
        let oldest = oldest.ok_or(WhatsAppError::NotFound)?;
        let jid = self.address(&client, chat).await?;
        let jid = if jid.is_group() { inside(&chat.jid())? } else { jid };
        let at = i64::try_from(oldest.place.time.millis()).unwrap_or(i64::MAX);
        let (id, from_me) = (oldest.kept.id, oldest.kept.from_me);
        let asked = client.fetch_message_history(&jid, &id, from_me, at, OLDER);
        let asked = timely(asked.boxed()).await?;
        asked.map(drop).map_err(|error| WhatsAppError::Refused(error.to_string()))
    }
}
