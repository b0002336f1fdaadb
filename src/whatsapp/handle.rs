//! What the rest of moonwa may ask of one device. Changes of state go through the actor. Questions go straight to the
//! client that is connected now, on the caller's task.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use wa_rs::client::Client;

use super::contact::row::push_name;
use super::context::Context;
use super::device::notice::{Answer, DeviceCommand};
use super::directory::Listing;
use super::error::WhatsAppError;
use super::history::lookup::{self, find};
use super::history::row::MediaRow;
use super::later::people::{Acquaintance, acquaintances};
use super::media::transfer;
use super::media::transfer::MediaStream;
use super::send::ack::read_receipt_id;
use super::send::claim::Claim;
use super::send::forward;
use super::send::hold::Hold;
use super::standing::{LockedUntil, Standing, standing};
use crate::model::{
    ChatKind, Content, DeviceStatus, Jid, MessageId, PhoneNumber, Recipient, SendRequest,
    SentMessage, UnixMillis,
};
use crate::store::{Enqueued, QUEUE_LIMIT};

/// How long a question to WhatsApp may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a pair code may take: a connection may have to be made first.
const PAIR_PATIENCE: Duration = Duration::from_mins(1);

/// One device. Clones talk to the same actor.
#[derive(Clone)]
pub struct DeviceHandle {
    pub(crate) context: Arc<Context>,
    pub(crate) mailbox: mpsc::UnboundedSender<DeviceCommand>,
    pub(crate) live: watch::Receiver<Option<Arc<Client>>>,
}

impl DeviceHandle {
    pub fn status(&self) -> DeviceStatus {
        self.context.status.watch().borrow().clone()
    }

    /// The status, with every change.
    pub fn watch(&self) -> watch::Receiver<DeviceStatus> {
        self.context.status.watch()
    }

    /// START SESSION: connects a linked device, begins linking an unlinked one. Idempotent while linking.
    pub async fn start(&self) -> Result<(), WhatsAppError> {
        self.tell(DeviceCommand::Start, PATIENCE).await
    }

    /// Stops it (or cancels the linking) until `start`.
    pub async fn stop(&self) -> Result<(), WhatsAppError> {
        self.tell(DeviceCommand::Stop, PATIENCE).await
    }

    /// Drops the connection and makes a new one now.
    pub async fn reconnect(&self) -> Result<(), WhatsAppError> {
        self.tell(DeviceCommand::Reconnect, PATIENCE).await
    }

    /// Unlinks on WhatsApp's side and forgets the credentials.
    pub async fn logout(&self) -> Result<(), WhatsAppError> {
        self.tell(DeviceCommand::Logout, PATIENCE).await
    }

    /// A code to type on the phone of that number; begins linking when need be. It is also in the status.
    pub async fn pair_code(&self, phone: &PhoneNumber) -> Result<(), WhatsAppError> {
        let phone = phone.clone();
        self.tell(|answer| DeviceCommand::PairCode(phone, answer), PAIR_PATIENCE).await
    }

    /// Answers WhatsApp's passkey request with a browser's assertion.
    pub async fn passkey_response(
        &self,
        assertion_json: String,
        credential_id: String,
    ) -> Result<(), WhatsAppError> {
        let command =
            |answer| DeviceCommand::PasskeyResponse(assertion_json, credential_id, answer);
        self.tell(command, PATIENCE).await
    }

    pub async fn passkey_confirm(&self) -> Result<(), WhatsAppError> {
        self.tell(DeviceCommand::PasskeyConfirm, PATIENCE).await
    }

    /// Whether a number is on WhatsApp. `None`: it is not.
    pub async fn lookup(&self, phone: &PhoneNumber) -> Result<Option<Lookup>, WhatsAppError> {
        let Some(found) = self.listing(phone).await? else { return Ok(None) };
        let name = match found.name {
            Some(name) => Some(name),
            None => self.push_name(phone.as_str()).await?,
        };
        Ok(Some(Lookup { jid: address(&found.jid)?, lid: found.lid, name }))
    }

    /// The name that a person chose, as their newest message to this account had it.
    pub(crate) async fn push_name(&self, phone: &str) -> Result<Option<String>, WhatsAppError> {
        let account = self.status().account.and_then(|account| account.phone);
        let Some(account) = account else { return Ok(None) };
        let space = self.context.store.space(&self.context.name);
        Ok(push_name(&space, account.as_str(), phone).await?)
    }

    /// Under which address WhatsApp knows a number: what `lookup` says, without the name.
    pub async fn on_whatsapp(&self, phone: &PhoneNumber) -> Result<Option<Jid>, WhatsAppError> {
        let found = self.listing(phone).await?;
        found.map(|found| address(&found.jid)).transpose()
    }

    async fn listing(&self, phone: &PhoneNumber) -> Result<Option<Listing>, WhatsAppError> {
        let client = self.client()?;
        let space = self.context.store.space(&self.context.name);
        Ok(timely(self.context.directory.find(&space, &client, phone)).await??)
    }

    /// Under which address WhatsApp knows a receiver; `None` while it was not looked up.
    pub async fn canonical(&self, to: &Recipient) -> Result<Option<Jid>, WhatsAppError> {
        let Recipient::Phone(phone) = to else { return Ok(Some(to.jid())) };
        let space = self.context.store.space(&self.context.name);
        let known = Listing::find(&space, phone).await?;
        known.map(|listing| address(&listing.jid)).transpose()
    }

    /// Whether a message went to or came from there lately, as far as the log and the send queue tell. Groups count as
    /// in touch.
    pub async fn in_touch(&self, to: &Recipient) -> Result<bool, WhatsAppError> {
        let jid = to.jid();
        if jid.chat_kind() != ChatKind::Person {
            return Ok(true);
        }
        Ok(lookup::in_touch(&self.context.store, &self.context.name, &jid).await?)
    }

    /// What is known of each of these people, in their order.
    pub(crate) async fn acquaintances(
        &self,
        people: &[Recipient],
    ) -> Result<Vec<Acquaintance>, WhatsAppError> {
        Ok(acquaintances(&self.context, people).await?)
    }

    /// Why a queued message waits although the device is connected.
    pub fn hold(&self, message: &MessageId) -> Option<Hold> {
        self.context.holds.of(message)
    }

    /// Resolves when it is known that a message will not have its turn before that time.
    pub async fn held_later_than(&self, message: &MessageId, time: UnixMillis) {
        self.context.holds.later_than(message, time).await;
    }

    /// How the account stands with WhatsApp.
    pub async fn standing(&self) -> Result<Standing, WhatsAppError> {
        let tallies = self.context.store.queue().tallies(&self.context.name).await?;
        let (pace, lock) = (*self.context.pace.borrow(), self.context.holds.lock());
        let lock = lock.map(|lock| LockedUntil { until: lock.until });
        Ok(standing(&tallies, pace.as_ref(), lock, UnixMillis::now()))
    }

    pub async fn groups(&self) -> Result<Vec<GroupSummary>, WhatsAppError> {
        let client = self.client()?;
        let groups = timely(client.groups().get_participating()).await?.map_err(group_error)?;
        let mut list = Vec::with_capacity(groups.len());
        for group in groups.into_values() {
            let id = outside(&group.id)?;
            list.push(GroupSummary { id, name: group.subject, members: Vec::new() });
        }
        list.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(list)
    }

    pub async fn group(&self, id: &Jid) -> Result<GroupSummary, WhatsAppError> {
        let client = self.client()?;
        let jid = inside(id)?;
        let group = timely(client.groups().get_metadata(&jid)).await?.map_err(group_error)?;
        let members = group.participants.iter().map(member).collect::<Result<_, _>>()?;
        Ok(GroupSummary { id: outside(&group.id)?, name: group.subject, members })
    }

    /// The file of a received message, decrypted.
    pub async fn media(&self, message: &MessageId) -> Result<MediaStream, WhatsAppError> {
        let space = self.context.store.space(&self.context.name);
        let row = MediaRow::find(&space, message).await?;
        transfer::download(&self.context, &*self.client()?, message, row).await
    }

    /// Fails unless a message can be passed on: it came in, or went out, not too long ago.
    pub async fn can_forward(&self, message: &MessageId) -> Result<(), WhatsAppError> {
        if forward::original(&self.context, message).await?.is_some() {
            return Ok(());
        }
        Err(find(&self.context.store, &self.context.name, message).await?.missing())
    }

    /// Takes a queued message back: while the claim is held, the engine does not begin to send it. `None` when it may
    /// be on its way already.
    pub fn withdraw(&self, message: &MessageId) -> Option<Claim> {
        self.context.claims.withdraw(message)
    }

    /// Marks a received message as read: the receipt waits in the send queue until WhatsApp has it.
    pub async fn mark_read(&self, message: &MessageId) -> Result<(), WhatsAppError> {
        let sight = find(&self.context.store, &self.context.name, message).await?;
        let missing = sight.missing();
        let found = sight.found.filter(|found| !found.from_me).ok_or(missing)?;
        let chat = Jid::parse(&found.chat).map_err(|_unreadable| WhatsAppError::NotFound)?;
        let sender = Jid::parse(&found.from.jid).map_err(|_unreadable| WhatsAppError::NotFound)?;
        // In a chat of two people the receipt goes to the address that the message came from.
        let (to, author) = if chat.is_group() { (chat, Some(sender)) } else { (sender, None) };
        let content = Content::Read { message: message.clone(), author };
        let request = SendRequest::plain(Recipient::Jid(to), content);
        let row = SentMessage {
            id: read_receipt_id(message),
            ..SentMessage::new(self.context.name.clone(), request)
        };
        match self.context.store.queue().enqueue(row, None, QUEUE_LIMIT).await? {
            Enqueued::Full => Err(WhatsAppError::QueueFull),
            // Asked for twice is asked for once.
            Enqueued::Queued(_) | Enqueued::Known(_) | Enqueued::Conflict => Ok(()),
        }
    }

    /// Who wrote a message that came in, or was sent from the phone; `None` when the account itself did.
    pub async fn author(&self, message: &MessageId) -> Result<Option<Jid>, WhatsAppError> {
        let sight = find(&self.context.store, &self.context.name, message).await?;
        let missing = sight.missing();
        let found = sight.found.ok_or(missing)?;
        let author = || Jid::parse(&found.from.jid).map_err(|_unreadable| WhatsAppError::NotFound);
        if found.from_me { Ok(None) } else { author().map(Some) }
    }

    /// The newest message that came in a chat; `None` when none is found.
    pub async fn newest_in(&self, chat: &Jid) -> Result<Option<MessageId>, WhatsAppError> {
        let newest = lookup::latest_in(&self.context.store, &self.context.name, chat).await?;
        Ok(newest.and_then(|found| MessageId::parse(&found.id)))
    }

    /// Shows "typing…" in a chat, or stops showing it.
    pub async fn typing(&self, chat: &Jid, on: bool) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let chat = inside(chat)?;
        let states = client.chatstate();
        let sent = if on {
            timely(states.send_composing(&chat)).await?
        } else {
            timely(states.send_paused(&chat)).await?
        };
        sent.map_err(|_gone| WhatsAppError::NotConnected)
    }

    pub(crate) fn client(&self) -> Result<Arc<Client>, WhatsAppError> {
        self.live.borrow().clone().ok_or(WhatsAppError::NotConnected)
    }

    async fn tell(
        &self,
        command: impl FnOnce(Answer) -> DeviceCommand,
        patience: Duration,
    ) -> Result<(), WhatsAppError> {
        let (answer, answered) = oneshot::channel();
        self.mailbox.send(command(answer)).map_err(|_gone| WhatsAppError::NotConnected)?;
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(WhatsAppError::NotConnected),
            Err(_) => Err(WhatsAppError::Timeout),
        }
    }
}

pub(crate) async fn timely<T>(question: impl Future<Output = T>) -> Result<T, WhatsAppError> {
    tokio::time::timeout(PATIENCE, question).await.map_err(|_elapsed| WhatsAppError::Timeout)
}

pub(crate) fn inside(jid: &Jid) -> Result<wa_rs::Jid, WhatsAppError> {
    jid.as_str().parse().map_err(|_unreadable| WhatsAppError::NotFound)
}

pub(super) fn outside(jid: &wa_rs::Jid) -> Result<Jid, WhatsAppError> {
    address(&jid.to_non_ad_string())
}

pub(crate) fn address(text: &str) -> Result<Jid, WhatsAppError> {
    Jid::parse(text).map_err(|error| WhatsAppError::Refused(error.to_string()))
}

pub(crate) fn group_error(error: wa_rs::GroupError) -> WhatsAppError {
    match error {
        wa_rs::GroupError::Iq(error) => match error {
            // WhatsApp also answers "forbidden" or "gone" for groups that the account is not in.
            wa_rs::IqError::ServerError { code: 401 | 403 | 410, .. } => WhatsAppError::NotFound,
            error => error.into(),
        },
        error => WhatsAppError::Refused(error.to_string()),
    }
}

fn member(participant: &wa_rs::GroupParticipant) -> Result<GroupMember, WhatsAppError> {
    let jid = &participant.jid;
    let phone = participant.phone_number.as_ref().or(jid.is_pn().then_some(jid));
    let lid = participant.lid.as_ref().or(jid.is_lid().then_some(jid));
    Ok(GroupMember {
        jid: outside(jid)?,
        phone: phone.and_then(|phone| PhoneNumber::exact(&phone.user).ok()),
        lid: lid.map(|lid| lid.user.to_string()),
        admin: participant.is_admin(),
    })
}

/// A number that is on WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lookup {
    pub jid: Jid,
    /// The digits of the LID, if it is known.
    pub lid: Option<String>,
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GroupSummary {
    pub id: Jid,
    pub name: String,
    /// Empty in lists of groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<GroupMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GroupMember {
    pub jid: Jid,
    pub phone: Option<PhoneNumber>,
    /// The digits of the LID, if it is known.
    pub lid: Option<String>,
    pub admin: bool,
}
