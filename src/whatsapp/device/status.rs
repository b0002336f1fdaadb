//! Publishes the status of each device, alone and in a map of all; only the latest counts. A change of state that
//! people would notice also becomes a `device.state` event; a new QR code does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{
    Account, DeviceData, DeviceName, DeviceState, DeviceStatus, Event, EventData, EventId,
    EventType, NewChats, UnixMillis,
};
use crate::whatsapp::recorder::{Notes, Record};

pub(crate) type AllStatuses = Arc<BTreeMap<DeviceName, DeviceStatus>>;

/// Where a device's status is published.
#[derive(Clone)]
pub(crate) struct StatusCell {
    name: DeviceName,
    own: watch::Sender<DeviceStatus>,
    all: watch::Sender<AllStatuses>,
    notes: Notes,
}

impl StatusCell {
    /// Publishes `state` as the device's first one, without an event.
    pub(crate) fn new(
        name: DeviceName,
        state: DeviceState,
        all: watch::Sender<AllStatuses>,
        notes: Notes,
    ) -> Self {
        let status = DeviceStatus::new(state, UnixMillis::now());
        let own = watch::Sender::new(status.clone());
        all.send_modify(|map| drop(Arc::make_mut(map).insert(name.clone(), status)));
        Self { name, own, all, notes }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<DeviceStatus> {
        self.own.subscribe()
    }

    /// Moves to `state`; nothing happens when it is the state already.
    pub(crate) fn set(&self, state: DeviceState) {
        let now = UnixMillis::now();
        let (name, reason, status) = (state.as_str(), state.reason(), state.word());
        let (detail, until) = (state.detail(), state.until());
        let url = state.refusal().and_then(|refusal| refusal.url.clone());
        let mut noticed = false;
        let changed = self.own.send_if_modified(|shown| {
            let old = (shown.state.as_str(), shown.state.reason(), shown.state.until());
            noticed = old != (name, reason, until);
            if old.0 != name {
                shown.since = now;
            }
            let changed = shown.state != state;
            shown.state = state;
            changed
        });
        if changed {
            self.copy();
        }
        if noticed {
            tracing::info!(device = %self.name, state = name, reason, "The device's state changed.");
            if let Some(kind @ ("sending_locked" | "banned" | "refused" | "unlinked")) = reason {
                restricted(&self.name, kind);
            }
            let (state, reason) = (name.to_owned(), reason.map(str::to_owned));
            self.tell(DeviceData { status, state, reason, detail, until, url }, now);
        }
    }

    /// Whose account it is; `None` once the credentials are gone.
    pub(crate) fn set_account(&self, account: Option<Account>) {
        self.amend(|status| {
            let changed = status.account != account;
            status.account = account;
            changed
        });
    }

    /// When WhatsApp was last heard from. Shown to the nearest few seconds: a busy device would otherwise wake
    /// every open admin page with every stanza.
    pub(crate) fn proven(&self, at: UnixMillis) {
        self.amend(|status| newer(&mut status.proof_at, at, 5));
    }

    pub(crate) fn heard(&self, at: UnixMillis) {
        self.amend(|status| newer(&mut status.last_in, at, 1));
    }

    pub(crate) fn spoke(&self, at: UnixMillis) {
        self.amend(|status| newer(&mut status.last_out, at, 1));
    }

    /// WhatsApp said how many new chats it allows.
    pub(crate) fn allowed(&self, quota: NewChats) {
        let left = quota.total.saturating_sub(quota.used);
        #[expect(clippy::cast_precision_loss, reason = "a gauge, and small numbers")]
        metrics::gauge!("moonwa_new_chats_left", "device" => self.name.to_string())
            .set(left as f64);
        self.amend(|status| status.new_chats.replace(quota) != Some(quota));
        self.notes.note(Record::NewChats(quota));
    }

    /// The file no longer names the device.
    pub(crate) fn retire(&self) {
        self.all.send_modify(|map| drop(Arc::make_mut(map).remove(&self.name)));
    }

    fn amend(&self, change: impl FnOnce(&mut DeviceStatus) -> bool) {
        if self.own.send_if_modified(change) {
            self.copy();
        }
    }

    fn copy(&self) {
        let status = self.own.borrow().clone();
        self.all.send_modify(|map| drop(Arc::make_mut(map).insert(self.name.clone(), status)));
    }

    fn tell(&self, data: DeviceData, now: UnixMillis) {
        let id = EventId::derive(&[
            self.name.as_str(),
            &data.state,
            data.reason.as_deref().unwrap_or_default(),
            &now.millis().to_string(),
            EventType::DeviceState.as_str(),
        ]);
        let event = Event {
            id,
            kind: EventType::DeviceState,
            timestamp: now,
            device: self.name.clone(),
            data: EventData::Device(data),
        };
        self.notes.note(Record::Event(event));
    }
}

/// Counts what WhatsApp did against an account.
pub(crate) fn restricted(device: &DeviceName, kind: &'static str) {
    let labels = [("device", device.to_string()), ("kind", kind.to_owned())];
    metrics::counter!("moonwa_restrictions_total", &labels).increment(1);
}

fn newer(slot: &mut Option<UnixMillis>, at: UnixMillis, seconds: u64) -> bool {
    // A clock that went back must not hold the last sign of life in the future.
    if slot.is_some_and(|old| at >= old && at.secs() < old.secs().saturating_add(seconds)) {
        return false;
    }
    *slot = Some(at);
    true
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::model::{Linking, Pending, Secret, Shown};
    use crate::whatsapp::recorder::Debt;

    fn cell() -> (StatusCell, mpsc::UnboundedReceiver<(Record, Option<Debt>)>) {
        let (notes, records) = Notes::new();
        let name = DeviceName::parse("toko").unwrap();
        let state = DeviceState::Pending(Pending::NotStarted);
        (StatusCell::new(name, state, watch::Sender::default(), notes), records)
    }

    #[test]
    fn a_new_qr_is_published_but_is_no_event() {
        let (cell, mut records) = cell();
        cell.set(DeviceState::Linking(Linking::default()));
        assert!(matches!(records.try_recv(), Ok((Record::Event(_), None))));
        let qr = Shown { code: Secret::new("2@x"), expires_at: UnixMillis::from_secs(1) };
        cell.set(DeviceState::Linking(Linking { qr: Some(qr), ..Linking::default() }));
        assert!(records.try_recv().is_err());
        let all = cell.all.borrow().clone();
        assert!(matches!(
            all.values().next().map(|status| &status.state),
            Some(DeviceState::Linking(Linking { qr: Some(_), .. }))
        ));
    }

    #[test]
    fn a_proof_moves_forward_in_steps() {
        let (cell, _entries) = cell();
        cell.proven(UnixMillis::from_secs(100));
        cell.proven(UnixMillis::from_secs(102));
        assert_eq!(cell.own.borrow().proof_at, Some(UnixMillis::from_secs(100)));
        cell.proven(UnixMillis::from_secs(105));
        assert_eq!(cell.own.borrow().proof_at, Some(UnixMillis::from_secs(105)));
        cell.proven(UnixMillis::from_secs(50));
        assert_eq!(
            cell.own.borrow().proof_at,
            Some(UnixMillis::from_secs(50)),
            "the clock went back"
        );
    }
}
