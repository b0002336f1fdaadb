//! Rules: what a device answers by itself. Each device that has some has a machine that reads the log from a place of its
//! own, as webhooks do; an answer is a row in the send queue.

pub(crate) mod answer;
pub(crate) mod judge;
mod machine;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::machine::{Inputs, Machine, RuleSet};
use crate::config::{DeviceConfig, RuleConfig};
use crate::model::{DeviceName, UnixMillis};
use crate::store::{RuleState, Seq, Store, StoreError};
use crate::task::Tasks;

/// How often chats are forgotten in which nothing happened for long.
const PURGE: Duration = Duration::from_hours(6);

/// How a rule does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct RuleReport {
    /// Its place in the file, from 1.
    pub(crate) n: usize,
    /// Its name, or its place.
    pub(crate) name: String,
    /// How often it acted.
    pub(crate) hits: u64,
    /// When it acted last.
    pub(crate) last_hit: Option<UnixMillis>,
    /// How often it would have acted, had it not done so lately in that chat.
    pub(crate) skipped: u64,
}

/// The rules of all devices.
pub(super) struct Rules {
    store: Store,
    tasks: Tasks,
    scale: f64,
    running: Mutex<BTreeMap<DeviceName, Running>>,
    /// One reconciliation at a time.
    turn: tokio::sync::Mutex<()>,
}

/// What is held of a running machine.
struct Running {
    config: watch::Sender<Arc<RuleSet>>,
    shown: watch::Receiver<RuleState>,
    stop: CancellationToken,
    /// Cancelled when the machine has ended, also by a panic.
    ended: CancellationToken,
}

impl Rules {
    pub(super) fn start(store: Store, tasks: Tasks, scale: f64) -> Arc<Self> {
        let (running, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        let rules = Arc::new(Self { store, tasks, scale, running, turn });
        rules.tasks.spawn("rules", Arc::clone(&rules).keep_house());
        rules
    }

    /// Makes the rules match the file. New ones begin with the next message.
    pub(super) async fn reconcile(
        &self,
        devices: &BTreeMap<DeviceName, DeviceConfig>,
    ) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let ruled = devices.iter().filter(|(_, device)| !device.rules.is_empty());
        let set = |device: &DeviceConfig| {
            Arc::new(RuleSet { label: device.label.clone(), rules: device.rules.clone() })
        };
        let wanted: BTreeMap<DeviceName, Arc<RuleSet>> =
            ruled.map(|(name, device)| (name.clone(), set(device))).collect();
        let mut starting = Vec::new();
        for (name, set) in &wanted {
            if !self.goes_on(name, set) {
                starting.push((name.clone(), Arc::clone(set), self.position(name).await?));
            }
        }
        let removed: Vec<Running> = {
            let mut running = self.running();
            running
                .extract_if(.., |name, _| !wanted.contains_key(name))
                .map(|(_, one)| one)
                .collect()
        };
        for running in &removed {
            running.stop.cancel();
        }
        for (name, set, place) in starting {
            self.spawn(name, set, place);
        }
        for running in &removed {
            running.ended.cancelled().await;
        }
        self.retire(&wanted).await
    }

    /// How the rules of a device do.
    pub(super) fn reports(&self, device: &DeviceName) -> Vec<RuleReport> {
        let running = self.running();
        let Some(running) = running.get(device) else { return Vec::new() };
        let (set, state) = (running.config.borrow().clone(), running.shown.borrow());
        let report = |rule: &RuleConfig| {
            let count = state.rules.get(&rule.name).cloned().unwrap_or_default();
            RuleReport {
                n: rule.n,
                name: rule.name.clone(),
                hits: count.hits,
                last_hit: count.last_hit,
                skipped: count.skipped,
            }
        };
        set.rules.iter().map(report).collect()
    }

    /// Gives the rules to the machine that runs, if one does.
    fn goes_on(&self, name: &DeviceName, set: &Arc<RuleSet>) -> bool {
        let running = self.running();
        let Some(running) = running.get(name).filter(|one| !one.ended.is_cancelled()) else {
            return false;
        };
        running.config.send_if_modified(|current| {
            let modified = *current != *set;
            *current = Arc::clone(set);
            modified
        });
        true
    }

    /// Where the rules of a device begin: where they were, or with the next event. It is on disk before this returns.
    async fn position(&self, device: &DeviceName) -> Result<(RuleState, Seq), StoreError> {
        let mut state = self.store.queue().rules(device).await?;
        let tail = *self.store.log().tail(device).borrow();
        // A log that was repaired may be shorter than it was.
        let acked = state.acked.map_or(tail, |acked| acked.min(tail));
        if state.acked != Some(acked) {
            state.acked = Some(acked);
            self.store.queue().save_rules(device, &state).await?;
        }
        Ok((state, acked))
    }

    /// Where there are no rules any more, none shall answer later what came meanwhile.
    async fn retire(&self, wanted: &BTreeMap<DeviceName, Arc<RuleSet>>) -> Result<(), StoreError> {
        for (device, mut state) in self.store.queue().ruled().await? {
            if !wanted.contains_key(&device) && state.acked.take().is_some() {
                self.store.queue().save_rules(&device, &state).await?;
            }
        }
        Ok(())
    }

    fn spawn(&self, device: DeviceName, set: Arc<RuleSet>, (state, acked): (RuleState, Seq)) {
        let (config, edits) = watch::channel(set);
        let (show, shown) = watch::channel(state.clone());
        let (stop, ended) = (self.tasks.stop().child_token(), CancellationToken::new());
        let tail = self.store.log().tail(&device);
        let inputs = Inputs { config: edits, tail, stop: stop.clone() };
        let store = (self.store.clone(), self.scale);
        let machine = Machine::new(device.clone(), (state, acked), inputs, store, show);
        let guard = ended.clone().drop_guard();
        self.tasks.spawn("rules of a device", async move {
            let _guard = guard;
            machine.run().await;
        });
        self.running().insert(device, Running { config, shown, stop, ended });
    }

    /// Forgets old chats, until moonwa stops.
    async fn keep_house(self: Arc<Self>) {
        let stop = self.tasks.stop().clone();
        while stop.run_until_cancelled(tokio::time::sleep(PURGE)).await.is_some() {
            let devices: Vec<DeviceName> = self.running().keys().cloned().collect();
            for device in devices {
                if let Err(error) = self.store.queue().purge_memory(&device).await {
                    tracing::warn!(%device, %error, "Old chats could not be forgotten by the rules.");
                }
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<DeviceName, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
