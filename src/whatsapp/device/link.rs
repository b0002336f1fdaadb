//! One client of the engine, from its start until it is down and flushed. A client is never used twice: the engine's
//! `disconnect` is final, and a client that was reconnected no longer receives anything. The actor decides whether
//! another one follows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wa_rs::bot::Bot;
use wa_rs::store::traits::Backend;

use super::companion::companion;
use super::notice::{Ending, Notice};
use super::observe::{Observer, interest};
use super::presence;
use crate::whatsapp::context::Context;
use crate::whatsapp::net::Obstacles;
use crate::whatsapp::receive::hook::Inbox;
use crate::whatsapp::receive::missed;
use crate::whatsapp::session::SessionStore;

/// How long a client may take to flush and go down. After that it is dropped.
const CLOSING: Duration = Duration::from_secs(20);

/// How long the engine's tasks may hold on to a linked client that is down.
const LINGERING: Duration = Duration::from_secs(5);
/// The same for an unlinked one, of which only the rotation of QR codes remains: it sleeps, and writes nothing.
const LINGERING_UNLINKED: Duration = Duration::from_millis(500);

/// The actor's end of a running client.
pub(crate) struct Link {
    stop: CancellationToken,
    farewell: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn open(context: &Arc<Context>, generation: u64) -> Self {
        let link = Self { stop: CancellationToken::new(), farewell: Arc::default() };
        let running = Running {
            context: Arc::clone(context),
            generation,
            stop: link.stop.clone(),
            farewell: Arc::clone(&link.farewell),
            ending: Ending::default(),
        };
        context.tasks.spawn("whatsapp link", running.run());
        link
    }

    /// Begins to close it; `Notice::Ended` follows.
    pub(crate) fn close(&self) {
        self.stop.cancel();
    }

    /// Closes it too, but unlinks on WhatsApp's side first.
    pub(crate) fn say_farewell(&self) {
        self.farewell.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }
}

struct Running {
    context: Arc<Context>,
    generation: u64,
    stop: CancellationToken,
    farewell: Arc<AtomicBool>,
    ending: Ending,
}

impl Drop for Running {
    /// Also sent when the engine panics, or the actor would wait for ever.
    fn drop(&mut self) {
        self.tell(Notice::Ended);
    }
}

impl Running {
    fn tell(&self, notice: Notice) {
        drop(self.context.notices.send((self.generation, notice)));
    }

    /// Tells of what stands in the way of the connection.
    fn obstacles(&self) -> Obstacles {
        let (notices, generation) = (self.context.notices.clone(), self.generation);
        Arc::new(move |obstacle| drop(notices.send((generation, Notice::Obstacle(obstacle)))))
    }

    async fn run(mut self) {
        let backend = self.context.backend();
        if let Err(error) = backend.forget_unnamed().await {
            tracing::warn!(device = %self.context.name, %error, "Whether the account's name is known could not be read.");
        }
        let linked = self.connect(&backend).await;
        self.tell(Notice::Down(self.ending));
        // Tasks of the engine, its last flush among them, may outlive the client for a moment. None of them may write
        // after the next client has read, or after the credentials were erased.
        let alone = async {
            while Arc::strong_count(&backend) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = if linked { LINGERING } else { LINGERING_UNLINKED };
        if tokio::time::timeout(patience, alone).await.is_err() && linked {
            tracing::warn!(device = %self.context.name, "Something still holds a client that is down.");
        }
        if let Err(error) = backend.halt().await {
            tracing::warn!(device = %self.context.name, %error, "A client that is down may still be writing.");
        }
    }

    /// Runs a client to its end; says whether it was linked.
    async fn connect(&mut self, backend: &Arc<SessionStore>) -> bool {
        let context = Arc::clone(&self.context);
        let observer = Arc::new(Observer {
            context: Arc::clone(&context),
            generation: self.generation,
            client: OnceLock::new(),
        });
        let proxy = context.proxy.borrow().clone();
        let http = match context.net.http(proxy.as_ref()) {
            Ok(http) => http,
            Err(error) => {
                tracing::error!(device = %context.name, %error, "The proxy cannot be used.");
                return false;
            }
        };
        let transport = context.net.transport(context.notes.clone(), self.obstacles(), proxy);
        let props = companion(*context.shown_as.borrow());
        let mut builder = Bot::builder()
            .with_backend_arc(Arc::<SessionStore>::clone(backend) as Arc<dyn Backend>)
            .with_transport_factory(transport)
            .with_http_client(http)
            .with_device_props(props)
            .with_inbound_durability_hook(Inbox::new(&context));
        if let Some(version) = context.net.version() {
            builder = builder.with_version(version);
        }
        let bot = match builder.build().await {
            Ok(bot) => bot,
            Err(error) => {
                tracing::error!(device = %context.name, %error, "A client could not be built.");
                return false;
            }
        };
        let client = bot.client();
        context.fresh.forget();
        context.timers_asked.forget();
        // One connection per client: the actor decides, and shows, whether and when to try again.
        client.enable_auto_reconnect.store(false, Ordering::Relaxed);
        drop(observer.client.set(Arc::downgrade(&client)));
        backend.tell_missed(missed::asking(&context, &client));
        let subscription = client.subscribe(interest(), observer);
        // Without it the engine tells nothing of messages that it drops.
        let stanzas = client.acquire_raw_node_forwarding();
        self.tell(Notice::Up(Arc::clone(&client)));

        let mut engine = Box::pin(bot.run());
        let over = tokio::select! {
            () = &mut engine => true,
            () = self.stop.cancelled() => false,
            never = presence::keep(&context, &client) => match never {},
        };
        self.ending = Ending::of(&client);
        let goodbye = async {
            if self.farewell.load(Ordering::Relaxed) {
                client.logout().await;
            } else {
                // Needed even when the engine ended by itself: it flushes what is only in memory.
                client.disconnect().await;
            }
        };
        let rest = async {
            if !over {
                engine.await;
            }
        };
        // At the same time, because the goodbye waits for locks that the engine holds until it is polled again.
        let closing = async { tokio::join!(goodbye, rest) };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::error!(device = %context.name, "A client did not go down in time and was dropped.");
        }
        drop((subscription, stanzas));
        client.pn().is_some()
    }
}
