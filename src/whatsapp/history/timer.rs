//! After how long the messages of a chat disappear. Whoever writes there says it in each message: one that says nothing stays
//! for ever. The timer is known from what is said in the chat, and of a group from WhatsApp.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wa_rs::Jid;
use wa_rs::client::Client;
use wa_rs::types::events::GroupUpdate;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::stanza::groups::GroupNotificationAction;
use wa_rs::waproto::whatsapp as wa;

use crate::model::{ChatKind, UnixMillis};
use crate::store::{Batch, Space, StoreError};
use crate::whatsapp::context::Context;
use crate::whatsapp::directory::{addresses, chat_kind};
use crate::whatsapp::history::row::Timer;
use crate::whatsapp::receive::body::unwrap;
use crate::whatsapp::receive::decode::context;

/// A message does not wait long for what WhatsApp says of its group.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a chat's timer is kept under: an account that the device is linked to later has other ones.
fn key(client: &Client, chat: &str) -> String {
    let account = client.pn().map(|own| own.user.to_string()).unwrap_or_default();
    format!("{account}/{chat}")
}

/// The timers that a batch of messages tells.
#[derive(Default)]
pub(crate) struct Told(BTreeMap<String, Timer>);

impl Told {
    /// Takes in what a message of that chat says.
    pub(crate) async fn hear(
        &mut self,
        space: &Space,
        client: &Client,
        (info, message): (&MessageInfo, &wa::Message),
        chat: &str,
    ) -> Result<(), StoreError> {
        let Some(timer) = said(info, message) else { return Ok(()) };
        let key = key(client, chat);
        let known = match self.0.get(&key) {
            Some(known) => Some(*known),
            None => Timer::find(space, &key).await?,
        };
        // Of a group WhatsApp knows better than a member, who may not have heard of a change.
        let open = known.is_none() || chat_kind(&info.source.chat) == ChatKind::Person;
        if open && timer.replaces(known.as_ref()) {
            self.0.insert(key, timer);
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn put(&self, batch: &mut Batch) {
        for (key, timer) in &self.0 {
            timer.put(batch, key);
        }
    }
}

/// What a message says of its chat's timer.
fn said(info: &MessageInfo, message: &wa::Message) -> Option<Timer> {
    use wa::message::protocol_message::Type;
    if !matches!(chat_kind(&info.source.chat), ChatKind::Person | ChatKind::Group) {
        return None;
    }
    let sent = u64::try_from(info.timestamp.timestamp()).unwrap_or_default();
    // A time to come would stand for ever.
    let set = |at: Option<i64>| {
        at.and_then(|at| u64::try_from(at).ok()).filter(|at| *at > 0).map(|at| at.min(sent))
    };
    let base = unwrap(message);
    if let Some(protocol) = base.protocol_message.as_option() {
        let setting = protocol.r#type == Some(Type::EPHEMERAL_SETTING);
        let at = set(protocol.ephemeral_setting_timestamp).unwrap_or(sent);
        return setting.then(|| Timer::new(at, protocol.ephemeral_expiration.unwrap_or_default()));
    }
    let context = context(base)?;
    match (context.expiration?, set(context.ephemeral_setting_timestamp)) {
        // Programs write 0 without meaning it.
        (0, None) => None,
        (seconds, at) => Some(Timer::new(at.unwrap_or(sent), seconds)),
    }
}

/// What a notification says of its group's timer, and what that is kept under.
pub(crate) fn changed(client: &Client, update: &GroupUpdate) -> Option<(String, Timer)> {
    let GroupNotificationAction::Ephemeral { expiration, .. } = &update.action else { return None };
    let set = u64::try_from(update.timestamp.timestamp()).unwrap_or_default();
    Some((key(client, &update.group_jid.to_string()), Timer::new(set, *expiration)))
}

/// After how many seconds a message to that chat disappears; `None` when it stays.
pub(crate) async fn of(
    context: &Context,
    client: &Client,
    to: &Jid,
) -> Result<Option<u32>, StoreError> {
    let space = context.store.space(&context.name);
    let chats = match chat_kind(to) {
        ChatKind::Group => vec![to.to_string()],
        ChatKind::Person => addresses(client, to, None).await,
        _ => return Ok(None),
    };
    let keys: Vec<String> = chats.iter().map(|chat| key(client, chat)).collect();
    let timers = Timer::find_all(&space, &keys).await?;
    let mut newest = timers.into_iter().max_by_key(|timer| timer.set);
    if newest.is_none() && chat_kind(to) == ChatKind::Group {
        newest = ask(context, client, to).await;
        if let Some(timer) = newest {
            timer.save(&space, &key(client, &to.to_string())).await?;
        }
    }
    Ok(newest.map(|timer| timer.seconds).filter(|seconds| *seconds > 0))
}

/// Keeps the timer that the account has set in a chat with a person.
pub(crate) async fn keep(
    context: &Context,
    client: &Client,
    to: &Jid,
    seconds: u32,
) -> Result<(), StoreError> {
    let space = context.store.space(&context.name);
    for chat in addresses(client, to, None).await {
        Timer::new(UnixMillis::now().secs(), seconds).save(&space, &key(client, &chat)).await?;
    }
    Ok(())
}

/// What WhatsApp says of a group. When it does not answer, the message goes without: it is asked again in an hour.
async fn ask(context: &Context, client: &Client, group: &Jid) -> Option<Timer> {
    if !context.timers_asked.is_due(&group.to_string(), Instant::now()) {
        return None;
    }
    let asked = UnixMillis::now().millis() / 1000;
    let answer = tokio::time::timeout(PATIENCE, client.groups().get_metadata(group)).await;
    let seconds = |timer: wa_rs::GroupEphemeralSettings| timer.expiration.unwrap_or_default();
    match answer {
        Ok(Ok(group)) => Some(Timer::new(asked, group.ephemeral.map_or(0, seconds))),
        Ok(Err(error)) => {
            tracing::debug!(device = %context.name, %error, "A group's timer is not known.");
            None
        }
        Err(_) => None,
    }
}
