//! All devices. The configuration says which there should be; one actor each says how they are. An actor that panics is
//! started again without touching the others.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};

use super::backup::Backup;
use super::chat::rejected::Rejected;
use super::contact::row::PushNames;
use super::contact::watched::Watched;
use super::context::Context;
use super::device::actor::Device;
use super::device::notice::DeviceCommand;
use super::device::phase::Phase;
use super::device::status::{AllStatuses, StatusCell};
use super::directory::Directory;
use super::error::WhatsAppError;
use super::handle::DeviceHandle;
use super::history::row;
use super::identities::{AdoptError, refuse_taken};
use super::later;
use super::media::fetch::Fetcher;
use super::media::place::Places;
use super::net::Net;
use super::receive::post::OwnPosts;
use super::recorder::{Notes, Recorder};
use super::send::ack::{Acks, Written};
use super::send::claim::Claims;
use super::send::fresh::Fresh;
use super::send::hold::Holds;
use super::send::queue::SendLoop;
use super::session::Holders;
use crate::config::{DeviceConfig, HistoryConfig, MediaConfig};
use crate::model::{DeviceName, DeviceStatus};
use crate::store::{HistoryLimits, SpoolLimits, Store};
use crate::task::Tasks;

/// How long a device may take to go down. After that the fleet goes on without it.
const LEAVING: Duration = Duration::from_secs(25);
/// How long a reconcile waits for new devices to look at their credentials.
const WAKING: Duration = Duration::from_secs(5);
const PRUNE: Duration = Duration::from_hours(12);

/// What a fleet must know beside its devices.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Where WhatsApp is, when it is a simulated one (`simulator` builds only).
    pub whatsapp_url: Option<String>,
    /// `media.max_size`, in bytes.
    pub max_media: u64,
    /// `media.allow_nets`: private networks that media URLs may point into.
    pub allow_nets: Vec<ipnet::IpNet>,
    /// `whatsapp_version`: what to claim, instead of what is fetched.
    pub version: Option<(u32, u32, u32)>,
}

pub struct Fleet {
    store: Store,
    tasks: Tasks,
    max_media: u64,
    net: Net,
    fetcher: Fetcher,
    places: Places,
    statuses: watch::Sender<AllStatuses>,
    devices: Mutex<BTreeMap<DeviceName, Member>>,
    /// One reconcile at a time: a device must be down before it is started again.
    turn: tokio::sync::Mutex<()>,
}

struct Member {
    handle: DeviceHandle,
    gone: oneshot::Receiver<()>,
}

impl Fleet {
    /// A fleet without devices.
    #[expect(clippy::unused_async, reason = "callers need not know that nothing is waited for yet")]
    pub async fn start(
        store: Store,
        tasks: Tasks,
        options: FleetOptions,
    ) -> Result<Arc<Self>, WhatsAppError> {
        let net =
            Net::new(options.whatsapp_url, options.version, options.max_media, store.own_space())?;
        Ok(Arc::new(Self {
            store,
            tasks,
            max_media: options.max_media,
            net,
            fetcher: Fetcher::new(options.max_media, options.allow_nets),
            places: Places::new(),
            statuses: watch::Sender::default(),
            devices: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Makes the fleet match the file: starts what is new, stops what is gone (credentials stay), and touches a
    /// connection only where the change needs it.
    pub async fn reconcile(&self, devices: &BTreeMap<DeviceName, DeviceConfig>) {
        let _turn = self.turn.lock().await;
        let gone: Vec<DeviceName> =
            self.names().into_iter().filter(|name| !devices.contains_key(name)).collect();
        self.end(gone, true).await;
        let mut waking = Vec::new();
        for (name, config) in devices {
            match self.device(name) {
                Some(handle) => {
                    drop(handle.mailbox.send(DeviceCommand::Enable(config.enabled)));
                    if handle.context.proxy.send_replace(config.proxy.clone()) != config.proxy {
                        drop(handle.mailbox.send(DeviceCommand::Reroute));
                    }
                    handle.context.pace.send_if_modified(|pace| {
                        std::mem::replace(pace, config.pace) != config.pace
                    });
                    handle.context.calls.send_replace(config.calls.clone());
                    handle.context.presence.send_if_modified(|presence| {
                        std::mem::replace(presence, config.presence) != config.presence
                    });
                    handle.context.shown_as.send_replace(config.shown_as);
                }
                None => waking.push(self.begin(name, config)),
            }
        }
        // Until a device knows whether it is linked, its state says little.
        drop(tokio::time::timeout(WAKING, join_all(waking)).await);
    }

    /// Keeps as much of the history as the file says; nothing of it is left when it says nothing. A history that cannot be
    /// kept is told of, and keeps no device from its messages.
    pub async fn keep_history(&self, history: Option<HistoryConfig>) {
        let limits =
            history.map(|HistoryConfig { keep, max_size }| HistoryLimits { keep, max_size });
        if let Err(error) = self.store.history().turn(limits).await {
            tracing::error!(%error, "The history cannot be kept, or not deleted; the next start tries again.");
            return;
        }
        if limits.is_some() {
            let store = self.store.clone();
            self.tasks.spawn("fill the history", async move {
                if let Err(error) = store.fill_history().await {
                    tracing::error!(%error, "What there was before could not be taken into the history; the next start tries again.");
                }
            });
        }
    }

    /// Gives the files on their way the room that the file allows.
    pub fn limit_spool(&self, media: &MediaConfig) {
        let limits = SpoolLimits { device: media.device_spool, all: media.spool };
        self.store.spool().limit(limits);
    }

    /// A device that is in the file.
    pub fn device(&self, name: &DeviceName) -> Option<DeviceHandle> {
        self.lock().get(name).map(|member| member.handle.clone())
    }

    /// Every device's status; latest wins.
    pub fn statuses(&self) -> watch::Receiver<Arc<BTreeMap<DeviceName, DeviceStatus>>> {
        self.statuses.subscribe()
    }

    /// Deletes the stored credentials of a device that is not in the file.
    pub async fn forget(&self, name: &DeviceName) -> Result<(), WhatsAppError> {
        let _turn = self.turn.lock().await;
        if self.device(name).is_some() {
            return Err(WhatsAppError::Refused(format!(
                "{name} is in the file; log it out instead"
            )));
        }
        if !self.store.devices().await?.contains(name) {
            return Err(WhatsAppError::NotFound);
        }
        self.store.space(name).erase().await?;
        self.store.queue().forget_rules(name).await?;
        Ok(())
    }

    /// Makes a device of another gateway's that one here; `identity` is a backup of it. It connects at once if the file has it,
    /// and otherwise as soon as it does. What is linked, or being linked, is left as it is.
    pub(crate) async fn adopt(
        &self,
        name: &DeviceName,
        jid: &str,
        identity: Backup,
        in_file: impl FnOnce() -> Option<DeviceConfig>,
    ) -> Result<(), AdoptError> {
        let _turn = self.turn.lock().await;
        refuse_taken(&self.store, name, jid).await?;
        if let Some(handle) = self.device(name) {
            if !handle.status().state.rests() {
                return Err(AdoptError::Busy(name.clone()));
            }
            // Old credentials may still be on their way out.
            handle.stop().await?;
            self.end(vec![name.clone()], false).await;
        }
        // Nobody writes for the device now, and it may have been linked until then.
        let done = self.become_foreign(name, jid, identity).await;
        if let Some(config) = in_file() {
            drop(tokio::time::timeout(WAKING, self.begin(name, &config)).await);
        }
        done
    }

    async fn become_foreign(
        &self,
        name: &DeviceName,
        jid: &str,
        identity: Backup,
    ) -> Result<(), AdoptError> {
        refuse_taken(&self.store, name, jid).await?;
        identity.restore(&self.store).await?;
        Ok(())
    }

    /// Stops every device, flushing Signal state.
    pub async fn shutdown(&self) {
        let _turn = self.turn.lock().await;
        self.end(self.names(), false).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<DeviceName, Member>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> Vec<DeviceName> {
        self.lock().keys().cloned().collect()
    }

    /// Takes devices out of the fleet and waits until they are down.
    async fn end(&self, names: Vec<DeviceName>, retire: bool) {
        let members: Vec<Member> = {
            let mut devices = self.lock();
            names.iter().filter_map(|name| devices.remove(name)).collect()
        };
        join_all(members.into_iter().map(async |member| {
            drop(member.handle.mailbox.send(DeviceCommand::Quit));
            if tokio::time::timeout(LEAVING, member.gone).await.is_err() {
                tracing::error!(device = %member.handle.context.name, "The device did not go down in time.");
            }
            if retire {
                member.handle.context.status.retire();
            }
        }))
        .await;
    }

    /// Starts a device; the receiver resolves once it knows whether it is linked.
    fn begin(&self, name: &DeviceName, config: &DeviceConfig) -> oneshot::Receiver<()> {
        let (notes, records) = Notes::new();
        let (notices, heard) = mpsc::unbounded_channel();
        let (mailbox, commands) = mpsc::unbounded_channel();
        let live = watch::Sender::new(None);
        let phase = Phase::first(config.enabled);
        let status =
            StatusCell::new(name.clone(), phase.shown(), self.statuses.clone(), notes.clone());
        let context = Arc::new(Context {
            name: name.clone(),
            store: self.store.clone(),
            tasks: self.tasks.clone(),
            net: self.net.clone(),
            max_media: self.max_media,
            fetcher: self.fetcher.clone(),
            places: self.places.of_device(),
            directory: Directory::default(),
            acks: Acks::default(),
            claims: Claims::default(),
            holds: Holds::new(name.clone()),
            fresh: Fresh::default(),
            holders: Holders::default(),
            timers_asked: Fresh::default(),
            read_receipts: Written::default(),
            own_posts: OwnPosts::default(),
            status,
            pace: watch::Sender::new(config.pace),
            wire: tokio::sync::Mutex::default(),
            calls: watch::Sender::new(config.calls.clone()),
            rejected: Rejected::default(),
            presence: watch::Sender::new(config.presence),
            making: tokio::sync::Mutex::default(),
            push_names: PushNames::default(),
            watched: Watched::default(),
            shown_as: watch::Sender::new(config.shown_as),
            proxy: watch::Sender::new(config.proxy.clone()),
            crowded: Arc::default(),
            notes,
            notices,
        });
        let crew = Crew {
            recorder: Recorder::new(self.store.clone(), name.clone(), records),
            send_loop: SendLoop::new(Arc::clone(&context), live.subscribe()),
            context: Arc::clone(&context),
            device: Device::new(
                Arc::clone(&context),
                commands,
                heard,
                live.clone(),
                phase,
                config.enabled,
            ),
        };
        let (went, gone) = oneshot::channel();
        let (woke, awake) = oneshot::channel();
        let handle = DeviceHandle { context, mailbox, live: live.subscribe() };
        self.tasks.spawn("device", async move {
            crew.run(woke).await;
            // Nobody waits for it when the whole process ends.
            went.send(()).ok();
        });
        self.lock().insert(name.clone(), Member { handle, gone });
        awake
    }
}

/// Everything that works for one device, side by side on one task.
struct Crew {
    context: Arc<Context>,
    device: Device,
    send_loop: SendLoop,
    recorder: Recorder,
}

impl Crew {
    async fn run(mut self, woke: oneshot::Sender<()>) {
        self.device.wake().await;
        woke.send(()).ok();
        if let Err(error) = self.context.backend().drop_unindexed_sent().await {
            tracing::warn!(device = %self.context.name, %error, "What an older version kept could not be removed.");
        }
        loop {
            let working = async {
                tokio::select! {
                    () = self.device.run() => {}
                    () = self.send_loop.run() => {}
                    () = self.recorder.run() => {}
                    () = prune(&self.context) => {}
                    () = later::run(&self.context) => {}
                }
            };
            if AssertUnwindSafe(Box::pin(working)).catch_unwind().await.is_ok() {
                break;
            }
            tracing::error!(device = %self.context.name, "The device's actor panicked and is started again.");
            self.device.recover();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // What the connection still has to say waits for what the recorder still has to write.
        tokio::select! {
            () = self.device.leave() => {}
            () = self.recorder.run() => {}
        }
        self.recorder.drain().await;
    }
}

async fn prune(context: &Context) {
    let space = context.store.space(&context.name);
    loop {
        let kept = context.store.history().limits().map(|limits| limits.keep);
        if let Err(error) = row::prune(&space, kept.unwrap_or_default()).await {
            tracing::warn!(device = %context.name, %error, "Old rows could not be removed.");
        }
        tokio::time::sleep(PRUNE).await;
    }
}
