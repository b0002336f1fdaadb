//! Which events the endpoint gets: those that it wants, and those that a rule handed to it.

use bytes::Bytes;

use super::{Machine, Plan, STORE_PAUSE};
use crate::config::Format;
use crate::hooks::filter;
use crate::model::EventType;
use crate::store::{Seq, StoreError, StoredEvent};

/// What becomes of an event at this endpoint.
pub(super) enum Fate {
    /// This is posted of it.
    Post(Bytes),
    /// Its type is wanted, and its chat is not.
    Filtered,
    Unwanted,
    /// It is not wanted, but a rule may yet hand it over.
    Open,
}

/// Whether an event is for this endpoint.
#[derive(PartialEq, Eq)]
enum For {
    Us,
    /// Its type is wanted, and its chat is not.
    OtherChats,
    Others,
    /// The rules were not asked yet.
    Open,
}

impl Machine {
    /// What to do with what is left of the page; `None` when that is nothing, and the next one is due.
    pub(super) async fn next(&mut self) -> Option<Plan> {
        // Marked as seen before the events are looked at, so that a rule which acts in between wakes `idle`.
        self.inputs.handed.mark_unchanged();
        while let Some(event) = self.page.front().cloned() {
            if !self.overtook.remove(&event.seq) {
                match self.fate(&event).await {
                    Ok(Fate::Post(body)) => return Some(Plan::Post(event, body)),
                    Ok(Fate::Open) => return Some(Plan::Wait),
                    Ok(Fate::Filtered) => {
                        self.monitor.count("moonwa_webhook_filtered_total", &self.current, 1);
                    }
                    Ok(Fate::Unwanted) => {}
                    Err(error) => {
                        self.log_unread(&error);
                        self.hold(STORE_PAUSE);
                        return Some(Plan::Wait);
                    }
                }
            }
            self.advance(event.seq);
            self.unsaved += 1;
        }
        None
    }

    pub(super) async fn fate(&mut self, event: &StoredEvent) -> Result<Fate, StoreError> {
        Ok(match self.is_for(event).await? {
            For::Us => {
                let body = self.deliverer.body(&self.current, &event.body);
                body.map_or(Fate::Unwanted, Fate::Post)
            }
            For::OtherChats => Fate::Filtered,
            For::Others => Fate::Unwanted,
            For::Open => Fate::Open,
        })
    }

    /// Whether it is posted. The standard body says everything, which costs nothing to know; others pass some events over.
    pub(super) async fn gets(&mut self, event: &StoredEvent) -> Result<bool, StoreError> {
        Ok(match self.current.format {
            Format::Standard => self.is_for(event).await? == For::Us,
            _ => matches!(self.fate(event).await?, Fate::Post(_)),
        })
    }

    /// Up to where it is known what the endpoint gets.
    pub(super) fn known(&self) -> Seq {
        self.inputs.handed.borrow().known(*self.inputs.tail.borrow())
    }

    async fn is_for(&mut self, event: &StoredEvent) -> Result<For, StoreError> {
        let kind = self.current.events.wants(event.kind);
        if kind && filter::passes(&self.current, event.kind, &event.body) {
            return Ok(For::Us);
        }
        // Rules are about nothing else.
        if event.kind == EventType::MessageReceived {
            let (known, may_have) = {
                let handed = self.inputs.handed.borrow();
                (handed.known(event.seq), handed.may_have(&self.id, event.seq))
            };
            if known < event.seq {
                return Ok(For::Open);
            }
            let queue = self.deliverer.store.queue();
            if may_have && queue.is_handed(&self.cursor.device, event.seq, &self.id).await? {
                return Ok(For::Us);
            }
        }
        Ok(if kind { For::OtherChats } else { For::Others })
    }
}
