//! What an inbox of Chatwoot posts: messages that its agents write, delete and are typing. Whoever can sign as Chatwoot
//! does, or knows the secret, may post it.

use serde_json::{Value, json};

use crate::api::access::throttle::Attempt;
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::{self, MAX_JSON};
use crate::api::http::response;
use crate::api::v1::message::queue::{check_lock, check_state};
use crate::config::{EndpointConfig, Format};
use crate::hooks::chatwoot::{Asked, Rows, Told, Wanted, is_genuine};
use crate::model::{
    Content, DeviceName, Jid, MessageId, MessageStatus, Recipient, SendRequest, SentMessage,
};
use crate::store::{EndpointId, Enqueued, QUEUE_LIMIT};
use crate::whatsapp::DeviceHandle;

/// `POST …/chatwoot/{inbox}`.
pub(crate) async fn receive(call: &mut Call) -> Answer {
    let body = call.read(MAX_JSON).await?;
    let Some(endpoint) = endpoint(call, &body)? else {
        // A right secret was compared already, and is never held up.
        call.guessed_wrong(Attempt::Key)?;
        let detail = "no inbox of that number has a webhook here with this secret; copy the inbox's secret from Chatwoot, \
                      or put ?key= and the secret behind the address";
        return Err(Problem::new(Code::Unauthorized, detail));
    };
    let posted: Value = request::parse(&body)?;
    let inbox = call.inbox()?;
    let (device, _) = call.device()?;
    let id = EndpointId::of(&device, &endpoint.url);
    let rows = Rows::of(&call.state.api.store, &device, &id);
    let desk = Desk { call, rows, device, seed: format!("{}/{inbox}", id.as_str()) };
    let done = match Asked::read(&posted, inbox) {
        Asked::Send(wanted) => json!({ "sent": desk.send(&wanted).await? }),
        Asked::Delete { message } => json!({ "deleted": desk.delete(message).await? }),
        Asked::Typing { conversation, on } => {
            desk.typing(conversation, on).await?;
            json!({ "typing": on })
        }
        Asked::Nothing(why) => json!({ "ignored": why }),
    };
    Ok(response::ok(&done))
}

/// The webhook of the inbox in the path, if the request has its signature or its secret.
fn endpoint(call: &Call, body: &[u8]) -> Result<Option<EndpointConfig>, Problem> {
    let (Ok((_, device)), Ok(inbox)) = (call.device(), call.inbox()) else { return Ok(None) };
    let key = call.query("key")?;
    let told = Told {
        timestamp: call.header("x-chatwoot-timestamp"),
        signature: call.header("x-chatwoot-signature"),
        key: key.as_deref(),
    };
    let is_it = |endpoint: &&EndpointConfig| {
        let number = endpoint.inbox.and_then(|of| u64::try_from(of.inbox).ok());
        endpoint.format == Format::Chatwoot
            && number == Some(inbox)
            && is_genuine(&endpoint.secrets, &told, body)
    };
    Ok(device.webhooks.iter().find(is_it).cloned())
}

/// Where the wishes of one inbox are seen to.
struct Desk<'a> {
    call: &'a Call,
    rows: Rows,
    device: DeviceName,
    /// What the ids of its messages are made from.
    seed: String,
}

impl Desk<'_> {
    /// Queues what an agent wrote. Its ids follow from Chatwoot's number, so that it goes once however often it is posted.
    async fn send(&self, wanted: &Wanted) -> Result<Vec<MessageId>, Problem> {
        let handle = self.call.handle()?;
        let to = self.receiver(wanted).await?;
        let seed = format!("{}/{}", self.seed, wanted.message);
        let reply_to = self.answered(wanted).await?;
        let requests = wanted.contents().into_iter().zip(0..).map(|(content, n)| {
            let reply_to = reply_to.clone().filter(|_| n == 0);
            let request = SendRequest { reply_to, ..SendRequest::plain(to.clone(), content) };
            (MessageId::asked(&seed, n), request)
        });
        let requests: Vec<(MessageId, SendRequest)> = requests.collect();
        let ids: Vec<MessageId> = requests.iter().map(|(id, _)| id.clone()).collect();
        if !self.is_queued(&ids).await? {
            check_state(&handle.status().state)?;
            check_lock(&handle, &to).await?;
        }
        let jid = to.jid();
        let address = jid.as_str();
        let texts = ids.iter().map(|id| id.as_str().to_owned()).collect();
        self.rows.sending(wanted.conversation, wanted.message, address, texts).await?;
        for (id, request) in requests {
            self.queue(SentMessage { id, ..SentMessage::new(self.device.clone(), request) })
                .await?;
        }
        let written = self.rows.written_to(wanted.conversation, wanted.contact, address.to_owned());
        if let Some(unread) = written.await? {
            mark_read(&handle, &unread).await;
        }
        Ok(ids)
    }

    /// Whether all of it was queued before, so that it does not matter what has happened to the device since.
    async fn is_queued(&self, ids: &[MessageId]) -> Result<bool, Problem> {
        let queue = self.call.state.api.store.queue();
        for id in ids {
            if queue.get(&self.device, id).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn queue(&self, message: SentMessage) -> Result<(), Problem> {
        let queue = self.call.state.api.store.queue();
        match queue.enqueue(message, None, QUEUE_LIMIT).await? {
            // A text that was changed in Chatwoot since stays as it was sent.
            Enqueued::Queued(_) | Enqueued::Known(_) | Enqueued::Conflict => Ok(()),
            Enqueued::Full => {
                let wait = std::time::Duration::from_mins(1);
                Err(Problem::from(Code::QueueFull).retry_after(wait))
            }
        }
    }

    /// Whom the conversation is with: as moonwa knows it, or as Chatwoot says when it was begun there.
    async fn receiver(&self, wanted: &Wanted) -> Result<Recipient, Problem> {
        if let Some(known) = self.rows.conversation(wanted.conversation).await? {
            let jid = Jid::parse(&known.address).map_err(|_other| Problem::from(Code::Internal))?;
            return Ok(Recipient::Jid(jid));
        }
        let jid = wanted.identifier.as_deref().and_then(|text| Jid::parse(text).ok());
        if let Some(jid) = jid.filter(|jid| jid.chat_kind().is_answerable()) {
            return Ok(Recipient::Jid(jid));
        }
        let phone = wanted.phone.as_deref().unwrap_or_default();
        Recipient::parse(phone, None).map_err(|_other| {
            Problem::new(Code::Conflict, "the contact has no phone number to write to")
        })
    }

    /// The message that is answered, by its id on WhatsApp.
    async fn answered(&self, wanted: &Wanted) -> Result<Option<MessageId>, Problem> {
        if let Some(id) = wanted.answers_id.as_deref().and_then(MessageId::parse) {
            return Ok(Some(id));
        }
        let Some(number) = wanted.answers else { return Ok(None) };
        let sent = self.rows.sent(number).await?;
        Ok(sent.and_then(|sent| MessageId::parse(sent.ids.first()?)))
    }

    /// Takes back what Chatwoot had sent. What came back from WhatsApp as deleted is deleted there already.
    async fn delete(&self, message: u64) -> Result<Vec<MessageId>, Problem> {
        let mut deleted = Vec::new();
        let Some(sent) = self.rows.sent(message).await? else { return Ok(deleted) };
        let to = Jid::parse(&sent.address).map_err(|_other| Problem::from(Code::Internal))?;
        let queue = self.call.state.api.store.queue();
        for id in sent.ids.iter().filter_map(|id| MessageId::parse(id)) {
            let own = queue.get(&self.device, &id).await?;
            let failed = |own: &SentMessage| matches!(own.status, MessageStatus::Failed { .. });
            if own.is_none_or(|own| failed(&own)) {
                continue;
            }
            let request = SendRequest::plain(
                Recipient::Jid(to.clone()),
                Content::Revoke { message: id.clone(), author: None },
            );
            let taking_back = MessageId::asked(&format!("{}/deleted/{id}", self.seed), 0);
            self.rows.hide(taking_back.as_str()).await?;
            let new = SentMessage::new(self.device.clone(), request);
            self.queue(SentMessage { id: taking_back, ..new }).await?;
            deleted.push(id);
        }
        Ok(deleted)
    }

    /// Shows that somebody is typing. Nobody misses it when the device is not there.
    async fn typing(&self, conversation: u64, on: bool) -> Result<(), Problem> {
        let Some(known) = self.rows.conversation(conversation).await? else { return Ok(()) };
        let Ok(jid) = Jid::parse(&known.address) else { return Ok(()) };
        if let Err(error) = self.call.handle()?.typing(&jid, on).await {
            tracing::debug!(device = %self.device, %error, "Typing in Chatwoot was not shown.");
        }
        Ok(())
    }
}

/// Whoever is answered sees that their message was read.
async fn mark_read(handle: &DeviceHandle, message: &str) {
    let Some(message) = MessageId::parse(message) else { return };
    if let Err(error) = handle.mark_read(&message).await {
        tracing::debug!(%error, "An answered message was not marked as read.");
    }
}
