//! The history: earlier messages by chat, for as long as moonwa.toml says. Its rows are written in the transactions of
//! the log and the send queue, so that it never says anything else than these. Off, it costs nothing.

mod about;
mod desk;
mod fill;
mod find;
mod learn;
mod look;
mod own;
mod part;
mod row;
mod state;
mod take;
mod words;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

pub(crate) use self::about::About;
pub(crate) use self::learn::{Learned, Note, Said};
pub(crate) use self::look::{ChatView, Message};
pub(crate) use self::part::retire;
pub(crate) use self::row::{ChatRow, Kept, Place, Reaction, Source};
pub use self::state::HistoryLimits;
pub(crate) use self::state::Slot;
pub(crate) use self::take::{event, moved, sent, turned};

use self::look::{Leaf, Look};
use crate::model::DeviceName;
use crate::store::StoreError;
use crate::store::database::committer::Promise;
use crate::store::database::outbox::Outbox;
use crate::store::database::reader::Readers;
use crate::store::database::writer::Writer;
use crate::store::disk::Room;

/// Messages that are taken in one transaction.
const BATCH: usize = 100;

/// The history of all devices.
pub struct History {
    writer: Writer<Outbox>,
    readers: Readers,
    limits: RwLock<Option<HistoryLimits>>,
    /// Whether everything that the log has is here.
    whole: AtomicBool,
}

impl History {
    pub(super) fn new(writer: Writer<Outbox>, readers: Readers) -> Self {
        Self { writer, readers, limits: RwLock::default(), whole: AtomicBool::new(false) }
    }

    /// Begins to keep it, or goes on with other limits. `None` deletes it.
    pub async fn turn(&self, limits: Option<HistoryLimits>) -> Result<(), StoreError> {
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                part::turn(outbox, txn, limits)
            })
            .await?;
        if limits.is_none() {
            self.whole.store(false, Ordering::Relaxed);
        }
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        Ok(())
    }

    /// How much is kept; `None` when nothing is.
    pub fn limits(&self) -> Option<HistoryLimits> {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message that is not found here is not in the log either.
    pub(crate) fn is_whole(&self) -> bool {
        self.limits().is_some() && self.whole.load(Ordering::Relaxed)
    }

    /// How many bytes it has, before they are packed.
    pub async fn bytes(&self) -> Result<u64, StoreError> {
        self.readers
            .run(|databases| {
                let outbox = &databases.outbox;
                outbox.history.get().map_or(Ok(0), |kept| kept.bytes(outbox))
            })
            .await
    }

    /// Takes messages that the phone told of afterwards, and what it told of their chats.
    pub(crate) async fn learn(
        &self,
        device: &DeviceName,
        mut learned: Vec<Learned>,
    ) -> Result<(), StoreError> {
        while !learned.is_empty() {
            let rest = learned.split_off(learned.len().min(BATCH));
            let (device, some) = (device.clone(), std::mem::replace(&mut learned, rest));
            self.writer
                .run(Promise::Lazy, Room::Promise, move |outbox, txn| {
                    learn::learn(outbox, txn, &device, &some)
                })
                .await?;
        }
        Ok(())
    }

    /// Takes what happened to chats.
    pub(crate) async fn note(
        &self,
        device: &DeviceName,
        notes: Vec<Note>,
    ) -> Result<(), StoreError> {
        let device = device.clone();
        self.writer
            .run(Promise::Lazy, Room::Essential, move |outbox, txn| {
                learn::note(outbox, txn, &device, &notes)
            })
            .await
    }

    async fn look<T: Send + 'static>(
        &self,
        device: &DeviceName,
        read: impl FnOnce(&Look<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        if self.limits().is_none() {
            return Ok(None);
        }
        let device = device.clone();
        self.readers
            .run(move |databases| {
                let look = Look::open(&databases.outbox, &device)?;
                look.map(|look| read(&look)).transpose()
            })
            .await
    }

    /// The chats with the newest messages, newest first; `None` when no history is kept.
    pub(crate) async fn chats(
        &self,
        device: &DeviceName,
        before: Option<Place>,
        limit: usize,
        unread: bool,
    ) -> Result<Option<Leaf<ChatView>>, StoreError> {
        let before = before.unwrap_or(Place::END);
        self.look(device, move |look| look.chats(before, limit, unread)).await
    }

    /// The chat of that address.
    pub(crate) async fn chat(
        &self,
        device: &DeviceName,
        address: &str,
    ) -> Result<Option<ChatRow>, StoreError> {
        let address = address.to_owned();
        Ok(self.look(device, move |look| look.known(&address)).await?.flatten())
    }

    /// The newest messages of a chat, newest first.
    pub(crate) async fn messages(
        &self,
        device: &DeviceName,
        chat: ChatRow,
        before: Option<Place>,
        limit: usize,
    ) -> Result<Option<Leaf<Message>>, StoreError> {
        let before = before.unwrap_or(Place::END);
        self.look(device, move |look| look.messages(&chat, before, limit)).await
    }

    /// The oldest message of a chat.
    pub(crate) async fn oldest(
        &self,
        device: &DeviceName,
        chat: ChatRow,
    ) -> Result<Option<Message>, StoreError> {
        Ok(self.look(device, move |look| look.oldest(&chat)).await?.flatten())
    }

    /// The newest messages that have all these words; the last word may be the beginning of one.
    pub(crate) async fn search(
        &self,
        device: &DeviceName,
        query: String,
        chat: Option<ChatRow>,
        before: Option<Place>,
        limit: usize,
    ) -> Result<Option<Leaf<(Message, ChatRow)>>, StoreError> {
        let before = before.unwrap_or(Place::END);
        self.look(device, move |look| look.search(&query, chat.as_ref(), before, limit)).await
    }

    /// The messages under an id, newest first, each with its chat; `None` when no history is kept.
    pub(crate) async fn find(
        &self,
        device: &DeviceName,
        id: &str,
    ) -> Result<Option<Vec<(Message, ChatRow)>>, StoreError> {
        let id = id.to_owned();
        self.look(device, move |look| look.find(&id)).await
    }
}
