//! What the rules of a device tell its webhooks: how far they have got, and what they handed over. A webhook waits for them
//! where it would pass a message by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::DeviceName;
use crate::store::{EndpointId, RuleState, Seq};

/// What is known of one device.
#[derive(Clone, Debug, Default)]
pub(in crate::hooks) struct Handed {
    /// Whether a rule hands messages over.
    hands: bool,
    /// Up to here the rules were asked.
    judged: Seq,
    /// The newest message that was handed to each webhook.
    newest: BTreeMap<EndpointId, Seq>,
}

impl Handed {
    /// Up to where of a log with that tail it is known what is handed over.
    pub(in crate::hooks) fn known(&self, tail: Seq) -> Seq {
        if self.hands { self.judged.min(tail) } else { tail }
    }

    /// Whether the event may have been handed to the webhook; where it was, there is a row.
    pub(in crate::hooks) fn may_have(&self, endpoint: &EndpointId, seq: Seq) -> bool {
        self.newest.get(endpoint).is_some_and(|newest| *newest >= seq)
    }
}

/// What is known of every device. Clones share it.
#[derive(Clone, Default)]
pub(in crate::hooks) struct Handovers(Arc<Mutex<BTreeMap<DeviceName, watch::Sender<Handed>>>>);

impl Handovers {
    pub(in crate::hooks) fn watch(&self, device: &DeviceName) -> watch::Receiver<Handed> {
        self.sender(device).subscribe()
    }

    /// From now on webhooks wait for the rules, or do not.
    pub(super) fn hand(&self, device: &DeviceName, hands: bool) {
        self.sender(device).send_if_modified(|known| {
            let changed = known.hands != hands;
            known.hands = hands;
            changed
        });
    }

    /// What is on the disk.
    pub(super) fn begin(&self, device: &DeviceName, state: &RuleState, judged: Seq) {
        self.sender(device).send_modify(|known| {
            (known.judged, known.newest) = (judged, state.handed.clone());
        });
    }

    /// The rules were asked about an event, which was handed to these.
    pub(super) fn judged<'i>(
        &self,
        device: &DeviceName,
        seq: Seq,
        to: impl IntoIterator<Item = &'i EndpointId>,
    ) {
        self.sender(device).send_if_modified(|known| {
            known.judged = seq;
            known.newest.extend(to.into_iter().map(|endpoint| (endpoint.clone(), seq)));
            known.hands
        });
    }

    fn sender(&self, device: &DeviceName) -> watch::Sender<Handed> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(device.clone()).or_default().clone()
    }
}
