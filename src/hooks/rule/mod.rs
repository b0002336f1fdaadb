//! Rules: what a device answers by itself. Each device that has some has a machine that reads the log from a place of its
//! own, as webhooks do; an answer is a row in the send queue.

pub(crate) mod answer;
mod handed;
pub(crate) mod judge;
mod machine;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::handed::{Handed, Handovers};
use self::machine::{Inputs, Machine, Outputs, RuleSet};
use crate::config::{DeviceConfig, RuleConfig};
use crate::model::{DeviceName, UnixMillis};
use crate::store::{EndpointId, RuleState, Seq, Store, StoreError};
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
    handovers: Handovers,
    news: watch::Sender<()>,
    running: Mutex<BTreeMap<DeviceName, Running>>,
    /// One reconciliation at a time.
    turn: tokio::sync::Mutex<()>,
}

/// A reconciliation under way.
pub(super) struct Turn<'r> {
    _alone: tokio::sync::MutexGuard<'r, ()>,
    wanted: BTreeMap<DeviceName, Arc<RuleSet>>,
    /// Where those begin that do not run.
    places: BTreeMap<DeviceName, (RuleState, Seq)>,
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
        let (handovers, news) = (Handovers::default(), watch::Sender::default());
        let rules = Arc::new(Self { store, tasks, scale, handovers, news, running, turn });
        rules.tasks.spawn("rules", Arc::clone(&rules).keep_house());
        rules
    }

    /// What they hand to webhooks.
    pub(super) fn handovers(&self) -> &Handovers {
        &self.handovers
    }

    /// Has the webhooks wait for the rules that the file gives, where one hands messages over, and says where rules begin.
    /// New ones begin with the next message.
    pub(super) async fn prepare(
        &self,
        devices: &BTreeMap<DeviceName, DeviceConfig>,
    ) -> Result<Turn<'_>, StoreError> {
        let alone = self.turn.lock().await;
        let ruled = devices.iter().filter(|(_, device)| !device.rules.is_empty());
        let wanted: BTreeMap<DeviceName, Arc<RuleSet>> =
            ruled.map(|(name, device)| (name.clone(), Arc::new(set(name, device)))).collect();
        for (name, set) in &wanted {
            if !set.webhooks.is_empty() {
                self.handovers.hand(name, true);
            }
        }
        // What rules handed over is handed over, also when they are gone.
        for (name, state) in self.store.queue().ruled().await? {
            if !self.runs(&name) {
                self.handovers.begin(&name, &state, state.acked.unwrap_or_default());
            }
        }
        let mut places = BTreeMap::new();
        for name in wanted.keys().filter(|name| !self.runs(name)) {
            let (state, acked) = self.position(name).await?;
            self.handovers.begin(name, &state, acked);
            places.insert(name.clone(), (state, acked));
        }
        Ok(Turn { _alone: alone, wanted, places })
    }

    /// Makes the rules match the file.
    pub(super) async fn reconcile(&self, turn: Turn<'_>) -> Result<(), StoreError> {
        let Turn { _alone, wanted, mut places } = turn;
        let mut starting = Vec::new();
        for (name, set) in &wanted {
            if self.goes_on(name, set) {
                continue;
            }
            let place = match places.remove(name) {
                Some(place) => place,
                // It ended meanwhile.
                None => self.position(name).await?,
            };
            starting.push((name.clone(), Arc::clone(set), place));
        }
        let removed: Vec<(DeviceName, Running)> = {
            let mut running = self.running();
            running.extract_if(.., |name, _| !wanted.contains_key(name)).collect()
        };
        for (_, running) in &removed {
            running.stop.cancel();
        }
        for (name, set, place) in starting {
            self.spawn(name, set, place);
        }
        for (name, running) in &removed {
            running.ended.cancelled().await;
            self.handovers.hand(name, false);
        }
        self.news.send_replace(());
        self.retire(&wanted).await
    }

    /// Woken whenever a rule does something, or another set of rules is in force.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
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

    fn runs(&self, name: &DeviceName) -> bool {
        self.running().get(name).is_some_and(|one| !one.ended.is_cancelled())
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
        let (news, handovers) = (self.news.clone(), self.handovers.clone());
        let outputs = Outputs { shown: show, news, handovers };
        let machine = Machine::new(device.clone(), (state, acked), inputs, store, outputs);
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
            if let Err(error) = self.purge().await {
                tracing::warn!(%error, "The rules could not forget what is old.");
            }
        }
    }

    async fn purge(&self) -> Result<(), StoreError> {
        let queue = self.store.queue();
        for (device, _) in queue.ruled().await? {
            queue.purge_memory(&device).await?;
            let dropped = *self.store.log().dropped(&device).borrow();
            queue.purge_handed(&device, dropped).await?;
        }
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<DeviceName, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(name: &DeviceName, device: &DeviceConfig) -> RuleSet {
    let handed = |rule: &RuleConfig| {
        let webhook = device.webhook_of(rule)?;
        Some((rule.n, EndpointId::of(name, &webhook.url)))
    };
    let webhooks = device.rules.iter().filter_map(handed).collect();
    RuleSet { label: device.label.clone(), rules: device.rules.clone(), webhooks }
}
