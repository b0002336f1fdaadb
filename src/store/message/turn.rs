//! What gives a message its turn: what was sent lately, who is a stranger, and what WhatsApp allows.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::counts::Counts;
use super::{SendQueue, advance_each};
use crate::model::{DeviceName, MessageId, MessageStatus, NewChats};
use crate::store::database::committer::Promise;
use crate::store::disk::Room;
use crate::store::tally::{self, Counted, Tallies};
use crate::store::{Seq, StoreError};

impl SendQueue {
    /// Notes that a message was written to WhatsApp, whose receiver has these addresses. Like `advance` to `sent`, it
    /// is lost in a power cut together with the count of it: the message goes out again then.
    pub async fn left(
        &self,
        device: &DeviceName,
        id: &MessageId,
        known_as: Vec<String>,
    ) -> Result<(), StoreError> {
        let (device, id) = (device.clone(), id.clone());
        let (tails, changes) = (self.tails.clone(), self.changes.clone());
        self.writer
            .run(Promise::Lazy, Room::Essential, move |outbox, txn| {
                let steps = vec![(id, MessageStatus::Sent)];
                advance_each(outbox, txn, &device, steps, &known_as, (&tails, &changes))?;
                Ok(())
            })
            .await
    }

    /// Resolves when every message that was queued before survives a power cut.
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.writer.settle().await
    }

    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        self.writer.is_settled()
    }

    /// Keeps what WhatsApp said of the new chats that it allows.
    pub async fn allow(&self, device: &DeviceName, new_chats: NewChats) -> Result<(), StoreError> {
        let device = device.clone();
        self.writer
            .run(Promise::Durable, Room::Essential, move |outbox, txn| {
                tally::allowed(outbox, txn, &device, new_chats)
            })
            .await
    }

    /// How many messages of each of these devices wait to be sent.
    pub(crate) async fn waiting(&self, devices: Vec<DeviceName>) -> Result<Vec<u64>, StoreError> {
        self.readers.run(move |databases| Counts::waiting(&databases.outbox, &devices)).await
    }

    /// What the present account of a device did in the last week.
    pub async fn tallies(&self, device: &DeviceName) -> Result<Tallies, StoreError> {
        let device = device.clone();
        self.readers.run(move |databases| tally::read(databases, &device)).await
    }

    /// Of each person, known under these addresses, whether the present account was never in touch with them.
    pub async fn strangers(
        &self,
        device: &DeviceName,
        people: Vec<Vec<String>>,
    ) -> Result<Vec<bool>, StoreError> {
        let device = device.clone();
        self.readers.run(move |databases| tally::strangers(databases, &device, &people)).await
    }

    /// Whether it was noted with whom the present account was in touch before that was counted.
    pub async fn remembers(&self, device: &DeviceName) -> Result<bool, StoreError> {
        let nobody = vec![vec![String::new()]];
        Ok(self.strangers(device, nobody).await? != [true])
    }

    /// Notes with whom the present account was in touch before that was counted.
    pub async fn remember(
        &self,
        device: &DeviceName,
        people: BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let device = device.clone();
        self.writer
            .run(Promise::Lazy, Room::Essential, move |outbox, txn| {
                let people = people.into_iter().chain([String::new()]).collect();
                let touch = Counted::Touch { people, wrote: false };
                tally::happened(outbox, txn, &device, &touch).map(drop)
            })
            .await
    }

    /// Wakes whenever something was queued for the device.
    pub fn nudge(&self, device: &DeviceName) -> watch::Receiver<u64> {
        self.nudges.queued.watch(device)
    }

    /// Wakes whenever a message of the device was scheduled, or its time was changed.
    pub(crate) fn schedule(&self, device: &DeviceName) -> watch::Receiver<u64> {
        self.nudges.scheduled.watch(device)
    }

    /// Of each person, known under these addresses, whether they ever wrote to the present account.
    pub(crate) async fn wrote(
        &self,
        device: &DeviceName,
        people: Vec<Vec<String>>,
    ) -> Result<Vec<bool>, StoreError> {
        let device = device.clone();
        self.readers.run(move |databases| tally::wrote(databases, &device, &people)).await
    }

    /// Whether it was noted who wrote to the present account before that was noted with each message.
    pub(crate) async fn remembers_writers(&self, device: &DeviceName) -> Result<bool, StoreError> {
        let nobody = vec![vec![String::new()]];
        Ok(self.wrote(device, nobody).await? == [true])
    }

    /// Notes who wrote to the present account before that was noted with each message.
    pub(crate) async fn remember_writers(
        &self,
        device: &DeviceName,
        people: BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let device = device.clone();
        let people: Vec<String> = people.into_iter().chain([String::new()]).collect();
        self.writer
            .run(Promise::Lazy, Room::Essential, move |outbox, txn| {
                tally::remember_writers(outbox, txn, &device, &people)
            })
            .await
    }

    /// Wakes when somebody wrote to the device who was a stranger, or the account's owner wrote to one.
    pub fn met(&self, device: &DeviceName) -> watch::Receiver<Seq> {
        self.tails.met.watch(device)
    }
}
