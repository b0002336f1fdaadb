//! One client of the engine, from its start until it is down and flushed. A client is never used twice: the engine's
//! `disconnect` is terminal, and one that was reconnected goes deaf. Whether another one follows is the actor's decision.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wa_rs::bot::Bot;
use wa_rs::client::Client;
use wa_rs::store::traits::Backend;
use wa_rs::wacore::store::DevicePropsOverride;
use wa_rs::waproto::whatsapp::device_props::PlatformType;

use super::fetch::Fetcher;
use super::hands::Hands;
use super::inbound::Inbox;
use super::net::Net;
use super::observe::{Observer, interest};
use super::recorder::{Entry, resolved};
use super::session::SessionStore;
use super::status::StatusCell;
use crate::model::{DeviceName, Passkey, Secret, UnixMillis};
use crate::store::Store;
use crate::task::Tasks;

/// How long a client may take to flush and go down; then it is dropped as it is.
const CLOSING: Duration = Duration::from_secs(20);

/// How long something may hold on to a linked client that is down.
const LINGERING: Duration = Duration::from_secs(5);
/// The same for an unlinked one: the engine's rotation of QR codes sleeps through the end, and writes nothing.
const LINGERING_UNLINKED: Duration = Duration::from_millis(500);

/// What every part of a device uses.
pub(crate) struct Parts {
    pub(crate) name: DeviceName,
    pub(crate) store: Store,
    pub(crate) tasks: Tasks,
    pub(crate) net: Net,
    pub(crate) max_media: u64,
    pub(crate) fetcher: Fetcher,
    /// Permits for work with whole files, shared by all devices.
    pub(crate) heavy: Arc<tokio::sync::Semaphore>,
    pub(crate) hands: Hands,
    pub(crate) status: StatusCell,
    pub(crate) ledger: mpsc::UnboundedSender<Entry>,
    pub(crate) signals: mpsc::UnboundedSender<(u64, Signal)>,
}

impl Parts {
    /// The engine's storage for this device.
    pub(crate) fn backend(&self) -> Arc<SessionStore> {
        let (device, ledger) = (self.name.clone(), self.ledger.clone());
        let told = Arc::new(move |lid: &str, phone: &str| {
            drop(ledger.send(Entry::Event(resolved(&device, lid, phone))));
        });
        Arc::new(SessionStore::new(self.store.space(&self.name)).telling(told))
    }
}

/// What a client tells the actor.
pub(crate) enum Signal {
    /// The client exists.
    Up(Arc<Client>),
    /// A QR code is live for that long.
    Qr(Secret, Duration),
    /// A pair code is live for that long.
    PairCode(Secret, Duration),
    /// The QR codes ran out.
    QrExhausted,
    /// The scan was confirmed, and the credentials are on disk.
    Paired,
    /// The scan was refused.
    PairFailed,
    /// A passkey step is due.
    Passkey(Passkey),
    /// The engine is ready.
    Ready,
    /// The account's own name became known.
    Named,
    /// The account unlinked us (its code).
    LoggedOut(u16),
    /// Another program uses the same credentials.
    Replaced,
    /// The account is banned.
    Banned(Option<UnixMillis>),
    /// This version is refused.
    Outdated,
    /// The server failed or refused (its code).
    Server(u16),
    /// A send was refused with 463.
    SendingLocked,
    /// Until when sending is locked, when WhatsApp says so.
    LockedUntil(Option<UnixMillis>),
    /// WhatsApp says that it is not locked: the refusal was about that one receiver.
    NotLocked,
    /// The client is down: whoever holds it lets go.
    Down,
    /// The client is flushed and gone; nothing of it touches the store any more.
    Ended(Ending),
    /// The credentials are gone from the disk, or not.
    Erased(bool),
    /// A pair code was asked for; the outcome.
    PairCodeAsked(Result<(), super::WhatsAppError>),
}

/// What is known of a connection when it is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending {
    /// Whether WhatsApp was heard from at all.
    pub(crate) reached: bool,
    /// Whether WhatsApp said that we come too often (429).
    pub(crate) throttled: bool,
}

/// The actor's end of a running client.
pub(crate) struct Link {
    stop: CancellationToken,
    farewell: Arc<AtomicBool>,
}

impl Link {
    /// Starts a client.
    pub(crate) fn open(parts: &Arc<Parts>, generation: u64) -> Self {
        let link = Self { stop: CancellationToken::new(), farewell: Arc::default() };
        let running = Running {
            parts: Arc::clone(parts),
            generation,
            stop: link.stop.clone(),
            farewell: Arc::clone(&link.farewell),
            ending: Ending::default(),
        };
        parts.tasks.spawn("whatsapp link", running.run());
        link
    }

    /// Begins to close it; `Signal::Ended` follows.
    pub(crate) fn close(&self) {
        self.stop.cancel();
    }

    /// The same, and unlinks on WhatsApp's side first.
    pub(crate) fn say_farewell(&self) {
        self.farewell.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }
}

struct Running {
    parts: Arc<Parts>,
    generation: u64,
    stop: CancellationToken,
    farewell: Arc<AtomicBool>,
    ending: Ending,
}

impl Drop for Running {
    /// Also when the engine panics: the actor must not wait for ever.
    fn drop(&mut self) {
        self.tell(Signal::Ended(self.ending));
    }
}

impl Running {
    fn tell(&self, signal: Signal) {
        drop(self.parts.signals.send((self.generation, signal)));
    }

    async fn run(mut self) {
        let backend = self.parts.backend();
        let linked = self.connect(&backend).await;
        self.tell(Signal::Down);
        // Tasks of the engine may outlive it for a moment, its last flush among them. None may write after the next
        // client has read, or after the credentials were erased.
        let alone = async {
            while Arc::strong_count(&backend) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = if linked { LINGERING } else { LINGERING_UNLINKED };
        if tokio::time::timeout(patience, alone).await.is_err() && linked {
            tracing::warn!(device = %self.parts.name, "Something still holds a client that is down.");
        }
        if let Err(error) = backend.halt().await {
            tracing::warn!(device = %self.parts.name, %error, "A client that is down may still be writing.");
        }
    }

    /// Runs a client to its end; says whether it was linked.
    async fn connect(&mut self, backend: &Arc<SessionStore>) -> bool {
        let parts = Arc::clone(&self.parts);
        let observer = Arc::new(Observer {
            parts: Arc::clone(&parts),
            generation: self.generation,
            client: OnceLock::new(),
        });
        let props =
            DevicePropsOverride::new().with_os("Linux").with_platform_type(PlatformType::CHROME);
        let backend: Arc<dyn Backend> = Arc::<SessionStore>::clone(backend);
        let mut builder = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(parts.net.transport())
            .with_http_client(parts.net.http())
            .with_device_props(props)
            .with_inbound_durability_hook(Inbox::new(&parts));
        if let Some(version) = parts.net.version() {
            builder = builder.with_version(version);
        }
        let bot = match builder.build().await {
            Ok(bot) => bot,
            Err(error) => {
                tracing::error!(device = %parts.name, %error, "A client could not be built.");
                return false;
            }
        };
        let client = bot.client();
        // One connection per client: when and whether to try again is decided, and shown, by the actor.
        client.enable_auto_reconnect.store(false, Ordering::Relaxed);
        drop(observer.client.set(Arc::downgrade(&client)));
        let subscription = client.subscribe(interest(), observer);
        self.tell(Signal::Up(Arc::clone(&client)));

        let mut engine = Box::pin(bot.run());
        let over = tokio::select! {
            () = &mut engine => true,
            () = self.stop.cancelled() => false,
        };
        let stats = client.stats();
        self.ending = Ending {
            reached: stats.frames_received > 0,
            // The engine counts a 429 as five failures, and tells nobody else.
            throttled: stats.reconnect_errors >= 5,
        };
        let goodbye = async {
            if self.farewell.load(Ordering::Relaxed) {
                client.logout().await;
            } else {
                // Also after the engine ended by itself: this flushes what is only in memory.
                client.disconnect().await;
            }
        };
        let rest = async {
            if !over {
                engine.await;
            }
        };
        // Side by side: a goodbye waits for locks that the engine holds until it is polled again.
        let closing = async { tokio::join!(goodbye, rest) };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::error!(device = %parts.name, "A client did not go down in time and was dropped.");
        }
        drop(subscription);
        client.pn().is_some()
    }
}
