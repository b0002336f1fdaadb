//! Knows all endpoints: starts and stops their machines as the file says, forgets the cursors of endpoints removed
//! long ago, and gathers the reports. It does not deliver.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::chatwoot::Rows;
use super::delivery::{Deliverer, Statuses};
use super::endpoint::{Action, ActionRequest, Inputs, Machine};
use super::monitor::Monitor;
use super::qr;
use super::report::EndpointReport;
use super::rule::Handovers;
use crate::config::{DeviceConfig, EndpointConfig, Format, Start};
use crate::model::{DeviceName, Shown, UnixMillis};
use crate::store::{Cursor, EndpointId, EndpointState, Seq, StoreError};
use crate::task::Tasks;

/// How long the cursor of a removed endpoint is kept, so that a bad edit loses nothing.
const KEPT: Duration = Duration::from_hours(24);
/// How often old cursors are looked for.
const PURGE: Duration = Duration::from_hours(1);
/// The shortest time between two publications: a busy endpoint changes its report a thousand times a second.
const CALM: Duration = Duration::from_millis(100);

type Reports = Arc<BTreeMap<DeviceName, Vec<EndpointReport>>>;

/// All endpoints.
pub(super) struct Registry {
    deliverer: Deliverer,
    handovers: Handovers,
    tasks: Tasks,
    endpoints: Mutex<BTreeMap<EndpointId, Arc<RunningEndpoint>>>,
    /// One reconciliation at a time.
    turn: tokio::sync::Mutex<()>,
    changed: Arc<Notify>,
    reports: watch::Sender<Reports>,
}

/// What the rest of moonwa holds of a running machine.
pub(super) struct RunningEndpoint {
    pub(super) id: EndpointId,
    pub(super) monitor: Arc<Monitor>,
    device: DeviceName,
    config: watch::Sender<Arc<EndpointConfig>>,
    actions: mpsc::Sender<ActionRequest>,
    stop: CancellationToken,
    /// Cancelled when the machine has ended, also by a panic.
    ended: CancellationToken,
}

impl RunningEndpoint {
    /// The endpoint as the file has it.
    pub(super) fn config(&self) -> Arc<EndpointConfig> {
        self.config.borrow().clone()
    }

    /// Asks the machine for an action and waits until its effect is on disk.
    pub(super) async fn request(&self, action: Action) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        let sent = self.actions.send(ActionRequest { action, done }).await;
        sent.map_err(|_ended| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Registry {
    /// No endpoints yet; reports are published and old cursors purged from now on.
    pub(super) fn start(deliverer: Deliverer, handovers: Handovers, tasks: Tasks) -> Arc<Self> {
        let registry = Arc::new(Self {
            deliverer,
            handovers,
            tasks,
            endpoints: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            changed: Arc::default(),
            reports: watch::Sender::default(),
        });
        registry.tasks.spawn("webhook registry", registry.clone().keep_house());
        registry
    }

    /// From now on, posts the codes that devices show.
    pub(super) fn tell_codes(self: &Arc<Self>, statuses: Statuses) {
        let (registry, stop) = (self.clone(), self.tasks.stop().clone());
        self.tasks.spawn("webhook codes", async move {
            let post = |device: &DeviceName, shown: &Shown| registry.post_code(device, shown);
            stop.run_until_cancelled(qr::tell(statuses, post)).await;
        });
    }

    /// Posts a code that the device shows to those of its endpoints that want it.
    fn post_code(&self, device: &DeviceName, shown: &Shown) {
        for running in self.endpoints().values().filter(|running| running.device == *device) {
            let config = running.config();
            if config.qr && !config.paused {
                let post = qr::post(self.deliverer.clone(), config, device.clone(), shown.clone());
                let stop = self.tasks.stop().clone();
                self.tasks.spawn("webhook code", async move {
                    stop.run_until_cancelled(post).await;
                });
            }
        }
    }

    pub(super) fn reports(&self) -> watch::Receiver<Reports> {
        self.reports.subscribe()
    }

    /// The `n`-th endpoint of a device.
    pub(super) fn find(&self, device: &DeviceName, n: usize) -> Option<Arc<RunningEndpoint>> {
        let endpoints = self.endpoints();
        let found = endpoints
            .values()
            .find(|running| running.device == *device && running.config.borrow().n == n);
        found.cloned()
    }

    /// Makes the endpoints match the file.
    pub(super) async fn reconcile(
        &self,
        devices: &BTreeMap<DeviceName, DeviceConfig>,
    ) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let wanted = wanted(devices);
        let mut stored: BTreeMap<EndpointId, Cursor> =
            self.deliverer.store.cursors().all().await?.into_iter().collect();
        // The positions come first, so that no event is missed while the machines start.
        let mut starting = Vec::new();
        for (id, (device, config)) in &wanted {
            if !self.is_running(id) {
                let cursor = self.position(id, device, config, stored.remove(id)).await?;
                starting.push((id.clone(), device.clone(), config.clone(), cursor));
            }
        }
        // Everything that can fail has been done: from here on the new set of endpoints is in force.
        let removed: Vec<Arc<RunningEndpoint>> = self
            .endpoints()
            .extract_if(.., |id, _| !wanted.contains_key(id))
            .map(|(_, h)| h)
            .collect();
        for running in &removed {
            running.stop.cancel();
        }
        for running in self.endpoints().values() {
            if let Some((_, config)) = wanted.get(&running.id) {
                running.config.send_if_modified(|current| {
                    let modified = *current != *config;
                    *current = config.clone();
                    modified
                });
            }
        }
        for (id, device, config, cursor) in starting {
            self.spawn(id, device, config, cursor);
        }
        for running in &removed {
            running.ended.cancelled().await;
        }
        self.changed.notify_one();
        self.mark_and_purge(&wanted).await
    }

    /// Where an endpoint begins: where it was, or as the file says. It is on disk before this returns.
    async fn position(
        &self,
        id: &EndpointId,
        device: &DeviceName,
        config: &EndpointConfig,
        stored: Option<Cursor>,
    ) -> Result<Cursor, StoreError> {
        let cursors = self.deliverer.store.cursors();
        if let Some(mut cursor) = stored {
            let Some(removed) = cursor.removed_at else { return Ok(cursor) };
            if UnixMillis::now().since(removed) < KEPT {
                cursor.removed_at = None;
                cursor.next_try = None;
                if cursor.state == EndpointState::Gone {
                    cursor.state = EndpointState::Active;
                }
                cursors.save(id, &cursor).await?;
                return Ok(cursor);
            }
            cursors.forget(id).await?;
        }
        let log = self.deliverer.store.log();
        let acked = match config.start {
            Start::Tail => *log.tail(device).borrow(),
            Start::Earliest => log.before(device, UnixMillis::default()).await?,
        };
        let cursor = new_cursor(device, acked);
        cursors.save(id, &cursor).await?;
        Ok(cursor)
    }

    fn spawn(
        &self,
        id: EndpointId,
        device: DeviceName,
        config: Arc<EndpointConfig>,
        cursor: Cursor,
    ) {
        let (config, edits) = watch::channel(config);
        let (actions, mailbox) = mpsc::channel(8);
        let shutdown = self.tasks.stop().clone();
        let (stop, ended) = (shutdown.child_token(), CancellationToken::new());
        let log = self.deliverer.store.log();
        let (tail, dropped, at_risk) =
            (log.tail(&device), log.dropped(&device), log.at_risk(&device));
        let monitor = Arc::new(Monitor::new(device.clone(), self.changed.clone()));
        let inputs = Inputs {
            config: edits,
            actions: mailbox,
            tail,
            dropped,
            at_risk,
            handed: self.handovers.watch(&device),
            shutdown,
            stop: stop.clone(),
        };
        let machine =
            Machine::new(id.clone(), cursor, inputs, self.deliverer.clone(), monitor.clone());
        let guard = ended.clone().drop_guard();
        self.tasks.spawn("webhook endpoint", async move {
            let _guard = guard;
            machine.run().await;
        });
        let running =
            RunningEndpoint { id: id.clone(), monitor, device, config, actions, stop, ended };
        self.endpoints().insert(id, Arc::new(running));
    }

    /// Whether a machine runs; one that panicked is started again by the next reconciliation.
    fn is_running(&self, id: &EndpointId) -> bool {
        self.endpoints().get(id).is_some_and(|running| !running.ended.is_cancelled())
    }

    /// Notes when an endpoint was removed from the file, and forgets it when that is long ago.
    async fn mark_and_purge(&self, wanted: &Wanted) -> Result<(), StoreError> {
        let cursors = self.deliverer.store.cursors();
        let now = UnixMillis::now();
        for (id, mut cursor) in cursors.all().await? {
            if wanted.contains_key(&id) {
                continue;
            }
            match cursor.removed_at {
                Some(removed) if now.since(removed) >= KEPT => {
                    Rows::of(&self.deliverer.store, &cursor.device, &id).erase().await?;
                    cursors.forget(&id).await?;
                }
                Some(_) => {}
                None => {
                    cursor.removed_at = Some(now);
                    cursors.save(&id, &cursor).await?;
                }
            }
        }
        Ok(())
    }

    /// Publishes reports as they change and purges cursors, until moonwa stops.
    async fn keep_house(self: Arc<Self>) {
        let stop = self.tasks.stop().clone();
        let mut purge = tokio::time::interval(PURGE);
        // The first tick comes at once, before there is anything to purge.
        purge.tick().await;
        loop {
            select! {
                biased;
                () = stop.cancelled() => return,
                _ = purge.tick() => self.purge().await,
                () = self.changed.notified() => {
                    self.publish();
                    select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(CALM) => {}
                    }
                }
            }
        }
    }

    async fn purge(&self) {
        let _turn = self.turn.lock().await;
        let wanted: Wanted = self
            .endpoints()
            .iter()
            .map(|(id, running)| (id.clone(), (running.device.clone(), running.config())))
            .collect();
        if let Err(error) = self.mark_and_purge(&wanted).await {
            tracing::warn!(%error, "Cursors of removed webhooks could not be purged.");
        }
        for (id, (device, config)) in &wanted {
            if config.format == Format::Chatwoot
                && let Err(error) = Rows::of(&self.deliverer.store, device, id).tidy().await
            {
                tracing::warn!(%device, n = config.n, %error, "Old rows about Chatwoot could not be removed.");
            }
        }
    }

    fn publish(&self) {
        let mut reports: BTreeMap<DeviceName, Vec<EndpointReport>> = BTreeMap::new();
        for running in self.endpoints().values() {
            if let Some(report) = running.monitor.report() {
                reports.entry(running.device.clone()).or_default().push(report);
            }
        }
        for reports in reports.values_mut() {
            reports.sort_by_key(|report| report.n);
        }
        self.reports.send_replace(Arc::new(reports));
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<EndpointId, Arc<RunningEndpoint>>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Wanted = BTreeMap<EndpointId, (DeviceName, Arc<EndpointConfig>)>;

/// The endpoints in the file. A URL named twice is one endpoint: two would race for one cursor.
fn wanted(devices: &BTreeMap<DeviceName, DeviceConfig>) -> Wanted {
    let mut wanted = Wanted::new();
    for (name, device) in devices {
        for endpoint in &device.webhooks {
            let id = EndpointId::of(name, &endpoint.url);
            if wanted.contains_key(&id) {
                tracing::warn!(device = %name, n = endpoint.n, url = endpoint.shown_url(), "The URL is named twice; once is enough.");
                continue;
            }
            wanted.insert(id, (name.clone(), Arc::new(endpoint.clone())));
        }
    }
    wanted
}

fn new_cursor(device: &DeviceName, acked: Seq) -> Cursor {
    Cursor {
        device: device.clone(),
        acked,
        tries: 0,
        failures: 0,
        failing_since: None,
        next_try: None,
        state: EndpointState::Active,
        last_status: None,
        last_code: None,
        last_error: None,
        delivered: 0,
        parked: 0,
        dropped: 0,
        removed_at: None,
    }
}
