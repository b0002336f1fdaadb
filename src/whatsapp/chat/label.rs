//! The labels of a WhatsApp Business account, and which chats carry them. WhatsApp keeps them among the account's settings and
//! tells the account's devices of changes; what it told is kept here.

use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::json;
use wa_rs::client::Client;
use wa_rs::schemas::{self, IndexPart, Schema};
use wa_rs::types::events::{LabelAssociationUpdate, LabelEditUpdate};
use wa_rs::wacore_binary::JidExt as _;
use wa_rs::waproto::buffa::MessageField;
use wa_rs::waproto::whatsapp::SyncActionValue;
use wa_rs::waproto::whatsapp::sync_action_value::LabelAssociationAction;
use wa_rs::{AppStateError, Jid};

use super::labels::{LABELED, Label, Labeling, What, all, label};
use crate::model::{Event, EventData, EventId, EventType, MessageId, Recipient, UnixMillis};
use crate::store::Space;
use crate::whatsapp::contact::both;
use crate::whatsapp::context::Context;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, timely};
use crate::whatsapp::recorder::Record;

/// The most labels that an account may have; WhatsApp's apps show 20.
const MOST: usize = 100;

/// The engine knows labels on chats only.
const LABEL_MESSAGE: Schema = Schema {
    key: "LabelMessage",
    name: "label_message",
    index_parts: &[
        IndexPart::Literal { value: "label_message" },
        IndexPart::StringPart { name: "labelId" },
        IndexPart::Jid { name: "chatJid" },
        IndexPart::StringPart { name: "messageId" },
        IndexPart::StringPart { name: "fromMe" },
        IndexPart::StringPart { name: "participant" },
    ],
    ..schemas::LABEL_JID
};

/// What is to be changed of a label.
#[derive(Debug)]
pub(crate) struct LabelChange {
    pub(crate) name: Option<String>,
    pub(crate) color: Option<i32>,
}

fn account(client: &Client) -> Option<String> {
    client.pn().map(|own| own.user.to_string())
}

/// Takes in that a label was made, changed or deleted.
pub(crate) fn edited(context: &Context, client: &Client, update: &LabelEditUpdate) {
    let Some(account) = account(client) else { return };
    let (id, action) = (update.label_id.clone(), &update.action);
    let deleted = action.deleted == Some(true);
    let (name, color) = (action.name.clone().unwrap_or_default(), action.color.unwrap_or_default());
    let label = Label { id: id.clone(), name, color };
    let word = if deleted { "deleted" } else { "saved" };
    let what = if deleted { What::Deleted(id.clone()) } else { What::Saved(label.clone()) };
    context.notes.note(Record::Label(Labeling { account, what }));
    if !update.from_full_sync {
        let at = update.timestamp.timestamp_millis();
        let told = (!deleted).then_some(label);
        context.notes.note(Record::Event(event(context, word, (&id, told), None, at)));
    }
}

/// Takes in that a label was put on a chat, or taken off.
pub(crate) fn associated(
    context: &Arc<Context>,
    client: &Arc<Client>,
    update: &LabelAssociationUpdate,
) {
    let Some(account) = account(client) else { return };
    let on = update.action.labeled == Some(true);
    let (id, chat) = (update.label_id.clone(), update.chat_jid.to_non_ad_string());
    let what = if on { What::Put { id, chat } } else { What::Taken { id, chat } };
    context.notes.note(Record::Label(Labeling { account: account.clone(), what }));
    if update.from_full_sync {
        return;
    }
    let (context, client, update) = (Arc::clone(context), Arc::clone(client), update.clone());
    context.tasks.clone().spawn("tell label", async move {
        let space = context.store.space(&context.name);
        let known = label(&space, &account, &update.label_id).await.ok().flatten();
        let (_, phone) = both(&client, &update.chat_jid).await;
        let chat = phone.map(|phone| format!("{phone}@s.whatsapp.net"));
        let chat = chat.unwrap_or_else(|| update.chat_jid.to_non_ad_string());
        let word = if on { "added" } else { "removed" };
        let at = update.timestamp.timestamp_millis();
        let told = event(&context, word, (&update.label_id, known), Some(&chat), at);
        context.notes.note(Record::Event(told));
    });
}

fn event(
    context: &Context,
    what: &str,
    (id, label): (&str, Option<Label>),
    chat: Option<&str>,
    at: i64,
) -> Event {
    let kind = EventType::LabelUpdated;
    let device = context.name.clone();
    let (name, color) = label.map(|label| (label.name, label.color)).unzip();
    let data = json!({
        "what": what, "chat": chat, "label": { "id": id, "name": name, "color": color },
    });
    let moment = at.to_string();
    let parts = [device.as_str(), chat.unwrap_or_default(), id, &moment, what, kind.as_str()];
    let timestamp = UnixMillis::from_millis(u64::try_from(at).unwrap_or_default());
    Event { id: EventId::derive(&parts), kind, timestamp, device, data: EventData::Other(data) }
}

impl DeviceHandle {
    fn labels_of(&self) -> Result<(Arc<Client>, Space, String), WhatsAppError> {
        let client = self.client()?;
        let account = account(&client).ok_or(WhatsAppError::NotConnected)?;
        Ok((client, self.context.store.space(&self.context.name), account))
    }

    /// The account's labels, oldest first.
    pub(crate) async fn labels(&self) -> Result<Vec<Label>, WhatsAppError> {
        let (_, space, account) = self.labels_of()?;
        Ok(all(&space, &account).await?)
    }

    async fn known_label(&self, id: &str) -> Result<Label, WhatsAppError> {
        let (_, space, account) = self.labels_of()?;
        label(&space, &account, id).await?.ok_or(WhatsAppError::NoLabel)
    }

    /// Makes a label. Done when WhatsApp has it, as with all that follows.
    pub(crate) async fn make_label(
        &self,
        name: String,
        color: i32,
    ) -> Result<Label, WhatsAppError> {
        let labels = self.labels().await?;
        if labels.len() >= MOST {
            return Err(WhatsAppError::Refused(format!("an account has at most {MOST} labels")));
        }
        let newest = labels.iter().filter_map(|label| label.id.parse::<u64>().ok()).max();
        let id = newest.unwrap_or_default().saturating_add(1).to_string();
        self.save_label(Label { id, name, color }).await
    }

    pub(crate) async fn change_label(
        &self,
        id: &str,
        change: LabelChange,
    ) -> Result<Label, WhatsAppError> {
        let old = self.known_label(id).await?;
        let (name, color) = (change.name.unwrap_or(old.name), change.color.unwrap_or(old.color));
        self.save_label(Label { id: old.id, name, color }).await
    }

    async fn save_label(&self, label: Label) -> Result<Label, WhatsAppError> {
        let (client, space, account) = self.labels_of()?;
        let labels = client.labels();
        let saved = labels.create_label(&label.id, &label.name, label.color);
        timely(saved.boxed()).await??;
        Labeling { account, what: What::Saved(label.clone()) }.write(&space).await?;
        Ok(label)
    }

    /// Deletes a label, which takes it off all that carries it.
    pub(crate) async fn delete_label(&self, id: &str) -> Result<(), WhatsAppError> {
        let label = self.known_label(id).await?;
        let (client, space, account) = self.labels_of()?;
        timely(client.labels().delete_label(&label.id).boxed()).await??;
        Ok(Labeling { account, what: What::Deleted(label.id) }.write(&space).await?)
    }

    /// The labels on a chat.
    pub(crate) async fn labels_on(&self, chat: &Recipient) -> Result<Vec<Label>, WhatsAppError> {
        let (client, space, account) = self.labels_of()?;
        let jid = self.address(&client, chat).await?;
        let mut ids = Vec::new();
        for address in addresses(&client, &jid).await {
            let prefix = format!("{LABELED}{account}/{address}/");
            for (key, _) in space.scan(prefix.as_str()).await? {
                let id = key.strip_prefix(prefix.as_bytes()).map(String::from_utf8_lossy);
                ids.extend(id.map(std::borrow::Cow::into_owned));
            }
        }
        let mut labels = all(&space, &account).await?;
        labels.retain(|label| ids.contains(&label.id));
        Ok(labels)
    }

    /// Puts a label on a chat, or takes it off.
    pub(crate) async fn label_chat(
        &self,
        chat: &Recipient,
        id: &str,
        on: bool,
    ) -> Result<(), WhatsAppError> {
        let id = self.known_label(id).await?.id;
        let (client, space, account) = self.labels_of()?;
        let jid = self.address(&client, chat).await?;
        let labels = client.labels();
        if on {
            timely(labels.add_chat_label(&id, &jid).boxed()).await??;
            let chat = jid.to_non_ad_string();
            return Ok(Labeling { account, what: What::Put { id, chat } }.write(&space).await?);
        }
        timely(labels.remove_chat_label(&id, &jid).boxed()).await??;
        for chat in addresses(&client, &jid).await {
            let (account, id) = (account.clone(), id.clone());
            Labeling { account, what: What::Taken { id, chat } }.write(&space).await?;
        }
        Ok(())
    }

    /// Puts a label on a message, or takes it off. What carries it is not kept here: WhatsApp's devices do.
    pub(crate) async fn label_message(
        &self,
        message: &MessageId,
        id: &str,
        on: bool,
    ) -> Result<(), WhatsAppError> {
        let id = self.known_label(id).await?.id;
        let client = self.client()?;
        let place = self.place(message).await?;
        let chat = self.address(&client, &place.chat).await?.to_string();
        let action = LabelAssociationAction { labeled: Some(on), ..Default::default() };
        let value = SyncActionValue {
            label_association_action: MessageField::some(action),
            timestamp: i64::try_from(UnixMillis::now().millis()).ok(),
            ..Default::default()
        };
        let index = [id.as_str(), &chat, message.as_str(), "0", "0"];
        let sent = client.send_app_state_action(&LABEL_MESSAGE, &index, &value);
        let sent: Result<(), AppStateError> = timely(sent.boxed()).await?;
        Ok(sent?)
    }
}

/// Under which addresses a chat may carry labels: those that it had before the account's chats moved to LIDs, too.
async fn addresses(client: &Client, jid: &Jid) -> Vec<String> {
    if jid.is_group() {
        return vec![jid.to_non_ad_string()];
    }
    crate::whatsapp::directory::addresses(client, jid, None).await
}
