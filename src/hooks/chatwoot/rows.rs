//! What is remembered of an inbox of Chatwoot: whose conversation is which, and which message is which. Chatwoot has all
//! of it too, so rows that are lost cost questions, and at worst the connection between an old message and what becomes
//! of it.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{DeviceName, UnixMillis};
use crate::store::{Batch, EndpointId, Space, Store, StoreError};

/// How long it is remembered which message is which.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// A conversation of Chatwoot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conversation {
    pub(super) contact: u64,
    /// Whom the messages in it go to.
    pub(crate) address: String,
    /// A message in it, later ones than which are looked through for one whose answer was lost.
    pub(super) last: u64,
    /// Whether its contact has the name that they chose.
    pub(super) named: bool,
    /// The newest message of the contact that nobody has answered.
    pub(crate) unread: Option<String>,
}

/// Where a message is in Chatwoot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) conversation: u64,
    pub(crate) message: u64,
    at: UnixMillis,
}

/// What became of something that was to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Try {
    pub(super) conversation: u64,
    /// The message that it is; absent as long as no answer has come.
    pub(super) message: Option<u64>,
    /// Messages up to this one were there before.
    pub(super) after: u64,
    at: UnixMillis,
}

/// The messages on WhatsApp that one of Chatwoot is, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) address: String,
    pub(crate) ids: Vec<String>,
    at: UnixMillis,
}

/// The rows of one endpoint:
///
/// ```text
/// a/address       -> the number of its conversation
/// c/conversation  -> Conversation
/// t/key           -> Try
/// m/id            -> Place, by the id on WhatsApp
/// s/message       -> Sent, by the number in Chatwoot
/// ```
#[derive(Clone)]
pub(crate) struct Rows(Space);

/// The start of every key.
const PREFIX: &str = "chatwoot/";

impl Rows {
    pub(crate) fn of(store: &Store, device: &DeviceName, endpoint: &EndpointId) -> Self {
        let prefix = format!("{PREFIX}{}/", endpoint.as_str());
        Self(store.space(device).under(prefix.as_bytes()))
    }

    /// The conversation that somebody has under one of these addresses.
    pub(super) async fn conversation_of(
        &self,
        addresses: &[String],
    ) -> Result<Option<(u64, Conversation)>, StoreError> {
        let keys = addresses.iter().map(|address| key("a", address)).collect();
        let rows = self.0.get_all(keys).await?;
        let Some(number) = rows.iter().flatten().find_map(|row| read::<u64>(row)) else {
            return Ok(None);
        };
        if rows.iter().any(Option::is_none) {
            let mut batch = Batch::new();
            for address in addresses {
                batch.put(key("a", address), row(&number)?);
            }
            self.0.write(batch).await?;
        }
        Ok(self.conversation(number).await?.map(|conversation| (number, conversation)))
    }

    pub(crate) async fn conversation(
        &self,
        number: u64,
    ) -> Result<Option<Conversation>, StoreError> {
        self.get("c", number).await
    }

    /// Remembers a conversation, and under which addresses it is.
    pub(super) async fn remember(
        &self,
        number: u64,
        conversation: &Conversation,
        addresses: &[String],
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for address in addresses {
            batch.put(key("a", address), row(&number)?);
        }
        batch.put(key("c", number), row(conversation)?);
        self.0.write(batch).await
    }

    /// Notes that somebody in Chatwoot writes to that address in this conversation. One that was begun there later than
    /// the one that is known is the address's from now on. Gives what was unread in it, which is read now.
    pub(crate) async fn written_to(
        &self,
        number: u64,
        contact: u64,
        address: String,
    ) -> Result<Option<String>, StoreError> {
        self.0
            .update(move |txn| {
                let at = key("c", number);
                let known = txn.get(&at)?.and_then(|row| read::<Conversation>(&row));
                let unread = known.as_ref().and_then(|known| known.unread.clone());
                let conversation = match known {
                    Some(known) => Conversation { unread: None, ..known },
                    None => Conversation {
                        contact,
                        address: address.clone(),
                        last: 0,
                        named: true,
                        unread: None,
                    },
                };
                txn.put(at, row(&conversation)?);
                let by_address = key("a", &address);
                let newest = txn.get(&by_address)?.and_then(|row| read::<u64>(&row));
                if newest.is_none_or(|newest| newest < number) {
                    txn.put(by_address, row(&number)?);
                }
                Ok(unread)
            })
            .await
    }

    /// Forgets a conversation that Chatwoot does not have any more.
    pub(super) async fn forget(&self, number: u64, addresses: &[String]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.remove(key("c", number));
        for address in addresses {
            batch.remove(key("a", address));
        }
        self.0.write(batch).await
    }

    pub(super) async fn tried(&self, what: &str) -> Result<Option<Try>, StoreError> {
        self.get("t", what).await
    }

    /// Notes that something is about to be said: from now on Chatwoot may have it.
    pub(super) async fn begin(
        &self,
        what: &str,
        conversation: u64,
        after: u64,
    ) -> Result<(), StoreError> {
        let begun = Try { conversation, message: None, after, at: UnixMillis::now() };
        self.put("t", what, &begun).await
    }

    /// Notes which message it has become, in one commit with all that follows from it.
    pub(super) async fn done(&self, what: &str, done: Done) -> Result<(), StoreError> {
        let what = what.to_owned();
        self.0
            .update(move |txn| {
                let Done { conversation, message, id, unread } = done;
                let at = UnixMillis::now();
                let tried = Try { conversation, message: Some(message), after: 0, at };
                txn.put(key("t", what), row(&tried)?);
                let key_of = key("c", conversation);
                let known = txn.get(&key_of)?.and_then(|row| read::<Conversation>(&row));
                let Some(mut known) = known else { return Ok(()) };
                if let Some(id) = id {
                    txn.put(key("m", &id), row(&Place { conversation, message, at })?);
                    let sent = Sent { address: known.address.clone(), ids: vec![id.clone()], at };
                    txn.put(key("s", message), row(&sent)?);
                    if unread {
                        known.unread = Some(id);
                    }
                }
                known.last = known.last.max(message);
                txn.put(key_of, row(&known)?);
                Ok(())
            })
            .await
    }

    /// Where a message of WhatsApp is in Chatwoot.
    pub(crate) async fn place(&self, id: &str) -> Result<Option<Place>, StoreError> {
        self.get("m", id).await
    }

    /// Which messages on WhatsApp one of Chatwoot is.
    pub(crate) async fn sent(&self, message: u64) -> Result<Option<Sent>, StoreError> {
        self.get("s", message).await
    }

    /// Notes, before they are queued, which messages one of Chatwoot becomes: so none of them comes back as a new one.
    pub(crate) async fn sending(
        &self,
        conversation: u64,
        message: u64,
        address: &str,
        ids: Vec<String>,
    ) -> Result<(), StoreError> {
        let (mut batch, at) = (Batch::new(), UnixMillis::now());
        for id in &ids {
            batch.put(key("m", id), row(&Place { conversation, message, at })?);
        }
        let sent = Sent { address: address.to_owned(), ids, at };
        batch.put(key("s", message), row(&sent)?);
        self.0.write(batch).await
    }

    /// Notes that a message that is queued is nothing to be shown in Chatwoot.
    pub(crate) async fn hide(&self, id: &str) -> Result<(), StoreError> {
        let at = UnixMillis::now();
        let shown = Try { conversation: 0, message: Some(0), after: 0, at };
        self.put("t", format!("sent/{id}"), &shown).await
    }

    /// Forgets what is old.
    pub(crate) async fn tidy(&self) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Aged {
            at: UnixMillis,
        }
        let (mut batch, now) = (Batch::new(), UnixMillis::now());
        for table in ["t/", "m/", "s/"] {
            for (key, row) in self.0.scan(table).await? {
                if read::<Aged>(&row).is_none_or(|row| now.since(row.at) > KEPT) {
                    batch.remove(key);
                }
            }
        }
        self.0.write(batch).await
    }

    /// Forgets everything.
    pub(crate) async fn erase(&self) -> Result<(), StoreError> {
        self.0.erase().await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        table: &str,
        name: impl std::fmt::Display,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.0.get(key(table, name)).await?.and_then(|row| read(&row)))
    }

    async fn put<T: Serialize>(
        &self,
        table: &str,
        name: impl std::fmt::Display,
        value: &T,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(key(table, name), row(value)?);
        self.0.write(batch).await
    }
}

/// A message that Chatwoot has taken.
pub(super) struct Done {
    pub(super) conversation: u64,
    pub(super) message: u64,
    /// Its id on WhatsApp, when it can be answered and deleted.
    pub(super) id: Option<String>,
    /// Whether somebody is to answer it.
    pub(super) unread: bool,
}

fn key(table: &str, name: impl std::fmt::Display) -> Vec<u8> {
    format!("{table}/{name}").into_bytes()
}

fn row<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// A row of another version is as none: Chatwoot is asked again.
fn read<T: DeserializeOwned>(row: &[u8]) -> Option<T> {
    serde_json::from_slice(row).ok()
}
