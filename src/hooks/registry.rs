//! Which endpoints there are: starts and stops their machines as the file says, forgets cursors nobody asks for any
//! more, and gathers the reports. It never delivers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::EndpointReport;
use super::delivery::Delivery;
use super::endpoint::{Command, Machine, Order, Wires};
use super::view::View;
use crate::config::{DeviceConfig, EndpointConfig, Start};
use crate::model::{DeviceName, UnixMillis};
use crate::store::{Cursor, EndpointId, EndpointState, Seq, StoreError};
use crate::task::Tasks;

/// How long the cursor of a removed endpoint is kept: a bad edit must lose nothing.
const KEPT: Duration = Duration::from_hours(24);
/// How often cursors kept too long are looked for.
const PURGE: Duration = Duration::from_hours(1);
/// The least time between two publications of the reports: a busy endpoint changes its own a thousand times a second.
const CALM: Duration = Duration::from_millis(100);

type Reports = Arc<BTreeMap<DeviceName, Vec<EndpointReport>>>;

/// All endpoints.
pub(super) struct Registry {
    delivery: Delivery,
    tasks: Tasks,
    endpoints: Mutex<BTreeMap<EndpointId, Arc<Handle>>>,
    /// One reconciliation at a time.
    turn: tokio::sync::Mutex<()>,
    changed: Arc<Notify>,
    reports: watch::Sender<Reports>,
}

/// The outside of a machine.
pub(super) struct Handle {
    pub(super) id: EndpointId,
    pub(super) view: Arc<View>,
    device: DeviceName,
    config: watch::Sender<Arc<EndpointConfig>>,
    orders: mpsc::Sender<Order>,
    stop: CancellationToken,
    /// Cancelled when the machine is gone, however it went.
    ended: CancellationToken,
}

impl Handle {
    /// The endpoint as the file has it.
    pub(super) fn config(&self) -> Arc<EndpointConfig> {
        self.config.borrow().clone()
    }

    /// Gives a command and waits until it is on disk.
    pub(super) async fn order(&self, command: Command) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        let sent = self.orders.send(Order { command, done }).await;
        sent.map_err(|_ended| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Registry {
    /// No endpoints yet; reports are published and old cursors purged from now on.
    pub(super) fn start(delivery: Delivery, tasks: Tasks) -> Arc<Self> {
        let registry = Arc::new(Self {
            delivery,
            tasks,
            endpoints: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            changed: Arc::default(),
            reports: watch::Sender::default(),
        });
        registry.tasks.spawn("webhook registry", registry.clone().keep_house());
        registry
    }

    pub(super) fn reports(&self) -> watch::Receiver<Reports> {
        self.reports.subscribe()
    }

    /// The `n`-th endpoint of a device.
    pub(super) fn find(&self, device: &DeviceName, n: usize) -> Option<Arc<Handle>> {
        let endpoints = self.endpoints();
        let found = endpoints
            .values()
            .find(|handle| handle.device == *device && handle.config.borrow().n == n);
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
            self.delivery.store.cursors().all().await?.into_iter().collect();
        // Positions first: an event that comes while the machines start is not missed.
        let mut starting = Vec::new();
        for (id, (device, config)) in &wanted {
            if !self.is_running(id) {
                let cursor = self.position(id, device, config, stored.remove(id)).await?;
                starting.push((id.clone(), device.clone(), config.clone(), cursor));
            }
        }
        // Above this line everything can fail, below it nothing that matters.
        let removed: Vec<Arc<Handle>> = self
            .endpoints()
            .extract_if(.., |id, _| !wanted.contains_key(id))
            .map(|(_, h)| h)
            .collect();
        for handle in &removed {
            handle.stop.cancel();
        }
        for handle in self.endpoints().values() {
            if let Some((_, config)) = wanted.get(&handle.id) {
                handle.config.send_if_modified(|current| {
                    let modified = *current != *config;
                    *current = config.clone();
                    modified
                });
            }
        }
        for (id, device, config, cursor) in starting {
            self.spawn(id, device, config, cursor);
        }
        for handle in &removed {
            handle.ended.cancelled().await;
        }
        self.changed.notify_one();
        self.mark_and_purge(&wanted).await
    }

    /// Where an endpoint begins: where it was, or as the file says. On disk before `Ok`.
    async fn position(
        &self,
        id: &EndpointId,
        device: &DeviceName,
        config: &EndpointConfig,
        stored: Option<Cursor>,
    ) -> Result<Cursor, StoreError> {
        let cursors = self.delivery.store.cursors();
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
        let log = self.delivery.store.log();
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
        let (orders, mailbox) = mpsc::channel(8);
        let shutdown = self.tasks.stop().clone();
        let (stop, ended) = (shutdown.child_token(), CancellationToken::new());
        let tail = self.delivery.store.log().tail(&device);
        let view = Arc::new(View::new(device.clone(), self.changed.clone()));
        let wires = Wires { config: edits, orders: mailbox, tail, shutdown, stop: stop.clone() };
        let machine = Machine::new(id.clone(), cursor, wires, self.delivery.clone(), view.clone());
        let guard = ended.clone().drop_guard();
        self.tasks.spawn("webhook endpoint", async move {
            let _guard = guard;
            machine.run().await;
        });
        let handle = Handle { id: id.clone(), view, device, config, orders, stop, ended };
        self.endpoints().insert(id, Arc::new(handle));
    }

    /// Whether a machine runs; one that panicked is started again by the next reconciliation.
    fn is_running(&self, id: &EndpointId) -> bool {
        self.endpoints().get(id).is_some_and(|handle| !handle.ended.is_cancelled())
    }

    /// Notes since when an endpoint is not in the file, and forgets it when that is long ago.
    async fn mark_and_purge(&self, wanted: &Wanted) -> Result<(), StoreError> {
        let cursors = self.delivery.store.cursors();
        let now = UnixMillis::now();
        for (id, mut cursor) in cursors.all().await? {
            if wanted.contains_key(&id) {
                continue;
            }
            match cursor.removed_at {
                Some(removed) if now.since(removed) >= KEPT => cursors.forget(&id).await?,
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
        // The first tick is at once, before anything was reconciled: there is nothing to purge yet.
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
        let wanted = self
            .endpoints()
            .iter()
            .map(|(id, handle)| (id.clone(), (handle.device.clone(), handle.config())))
            .collect();
        if let Err(error) = self.mark_and_purge(&wanted).await {
            tracing::warn!(%error, "Cursors of removed webhooks could not be purged.");
        }
    }

    fn publish(&self) {
        let mut reports: BTreeMap<DeviceName, Vec<EndpointReport>> = BTreeMap::new();
        for handle in self.endpoints().values() {
            if let Some(report) = handle.view.report() {
                handle.view.gauge(&report);
                reports.entry(handle.device.clone()).or_default().push(report);
            }
        }
        for reports in reports.values_mut() {
            reports.sort_by_key(|report| report.n);
        }
        self.reports.send_replace(Arc::new(reports));
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<EndpointId, Arc<Handle>>> {
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
