//! Which events the endpoint gets.

use super::{Fate, Machine};
use crate::config::Format;
use crate::hooks::filter;
use crate::store::StoredEvent;

impl Machine {
    pub(super) fn fate(&self, event: &StoredEvent) -> Fate {
        if !self.current.events.wants(event.kind) {
            return Fate::Unwanted;
        }
        if !self.wants(event) {
            return Fate::Filtered;
        }
        self.deliverer.body(&self.current, &event.body).map_or(Fate::Unwanted, Fate::Post)
    }

    /// Whether it is posted. The standard body says everything, which costs nothing to know; others pass some events over.
    pub(super) fn gets(&self, event: &StoredEvent) -> bool {
        match self.current.format {
            Format::Standard => self.wants(event),
            _ => matches!(self.fate(event), Fate::Post(_)),
        }
    }

    /// Whether its type and its chat are wanted.
    fn wants(&self, event: &StoredEvent) -> bool {
        self.current.events.wants(event.kind)
            && filter::passes(&self.current, event.kind, &event.body)
    }
}
