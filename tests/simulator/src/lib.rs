//! A simulated WhatsApp for tests and the sandbox: the real wire protocol (Noise, binary stanzas,
//! Signal), real cryptography, and phones that behave like people's. It proves what the public
//! clients believe about the protocol; it does not prove the policies of the real service.

#![expect(clippy::disallowed_methods, reason = "a test tool has its own tasks and clock")]
#![expect(clippy::unused_async, reason = "the calls stay the same when the work moves elsewhere")]

mod card;
mod chain;
mod channels;
mod compose;
mod conn;
mod control;
mod fault;
mod group;
pub mod harness;
mod http;
mod iq;
mod journal;
mod keys_used;
mod login;
mod media;
mod membership;
mod noise;
mod pairing;
mod participants;
mod person;
mod phone;
mod presence;
mod receipts;
mod route;
mod trust;
mod util;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::chain::Identity;
pub use crate::compose::File;
pub use crate::fault::{Armed, Fault, Target};
pub use crate::journal::{Direction, Entry, Violation};
pub use crate::person::{DeviceSummary, Group, Phone, PhoneOptions};
pub use crate::phone::owner::ChatSetting;
pub use crate::phone::{InboxItem, InboxMessage, ItemKind};
pub use crate::world::Address;
use crate::world::World;
pub use buffa::MessageField;
pub use waproto::whatsapp as wa;

/// How long the waiting calls wait at most. A device that WhatsApp sends away comes back after some seconds of its own.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What can be set for a simulator.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// How many QR references an unpaired device gets. The client shows the first for 60 seconds
    /// and the others for 20 each.
    pub qr_refs: usize,
    /// Where to listen; port 0 takes a free one.
    pub whatsapp: SocketAddr,
    /// Where to serve HTTP; port 0 takes a free one.
    pub http: SocketAddr,
}

impl Default for SimConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { qr_refs: 6, whatsapp: loopback, http: loopback }
    }
}

struct Shared {
    world: Mutex<World>,
    ws: SocketAddr,
    http: SocketAddr,
    root: [u8; 32],
    /// Who has connected, on either port.
    visitors: Mutex<Vec<SocketAddr>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Shared {
    fn visited(&self, visitor: SocketAddr) {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner).push(visitor);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        for task in tasks.drain(..) {
            task.abort();
        }
    }
}

/// A running simulator. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

impl Simulator {
    /// Starts one on free ports.
    pub async fn start() -> Result<Self> {
        Self::start_with(SimConfig::default()).await
    }

    /// Starts one.
    pub async fn start_with(config: SimConfig) -> Result<Self> {
        ensure!(config.whatsapp.ip().is_loopback() && config.http.ip().is_loopback());
        let ws = TcpListener::bind(config.whatsapp).await.context("the WhatsApp port")?;
        let http = TcpListener::bind(config.http).await.context("the HTTP port")?;
        let (ws_address, http_address) = (ws.local_addr()?, http.local_addr()?);
        let identity = Identity::generate()?;
        let root = identity.root;
        let world = World::new(config, identity, http_address.to_string());
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            ws: ws_address,
            http: http_address,
            root,
            visitors: Mutex::default(),
            tasks: Mutex::default(),
        });
        // The tasks hold no strong reference while they wait for connections: the last clone of
        // the simulator ends them.
        let weak = Arc::downgrade(&shared);
        let accept = tokio::spawn(async move {
            while let Ok((stream, visitor)) = ws.accept().await {
                let Some(shared) = weak.upgrade() else { return };
                shared.visited(visitor);
                Simulator { shared }.accept(stream);
            }
        });
        let weak = Arc::downgrade(&shared);
        let serve = tokio::spawn(async move {
            while let Ok((stream, visitor)) = http.accept().await {
                let Some(shared) = weak.upgrade() else { return };
                shared.visited(visitor);
                tokio::spawn(http::serve(Simulator { shared }, stream));
            }
        });
        let sim = Self { shared };
        let handles = [accept.abort_handle(), serve.abort_handle()];
        sim.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(handles);
        Ok(sim)
    }

    fn accept(self, stream: TcpStream) {
        let (refuse, mute) = {
            let world = self.world();
            (world.refuse, world.mute)
        };
        if refuse {
            return;
        }
        tokio::spawn(async move {
            if mute {
                // Accepted and never answered, until the other side gives up; how it does so
                // does not matter.
                let mut stream = stream;
                drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
                return;
            }
            let sim = self.clone();
            if let Err(error) = conn::serve(self, stream).await {
                sim.world().journal.note(0, None, "connection error", format!("{error:#}"));
            }
        });
    }

    /// The state, locked. Never held across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From where connections came, to WhatsApp and to the media host.
    pub fn visitors(&self) -> Vec<SocketAddr> {
        self.shared.visitors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where clients connect.
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", self.shared.ws)
    }

    /// The media host and the control API.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.shared.http)
    }

    /// The key that signs the server's certificate chain.
    pub fn root_public_key(&self) -> [u8; 32] {
        self.shared.root
    }

    /// An account with a phone. Contacts are made the same way.
    pub async fn phone(&self, pn: &str, name: &str) -> Phone {
        self.phone_with(pn, name, PhoneOptions::default())
    }

    /// A group; the first phone makes it.
    pub async fn group(&self, subject: &str, members: &[&Phone]) -> Result<Group> {
        let members: Vec<String> = members.iter().map(|p| p.number().to_owned()).collect();
        let id = {
            let mut world = self.world();
            let id = world.create_group(subject, &members)?;
            world.run_phones();
            world.touch();
            id
        };
        Ok(Group::new(self.clone(), id))
    }

    /// The group of that id, when it exists.
    pub fn find_group(&self, id: &str) -> Option<Group> {
        let id = self.world().groups.get(id)?.id.clone();
        Some(Group::new(self.clone(), id))
    }

    /// Closes all connections and forgets all accounts, groups, files, faults and the journal.
    pub fn reset(&self) {
        self.world().reset();
    }

    /// Everything that happened so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.world().journal.entries.clone()
    }

    /// The number of the newest journal entry: the cursor for what comes next.
    pub fn cursor(&self) -> u64 {
        self.world().journal.entries.len() as u64
    }

    /// Whether stanzas are recorded: in a run of hours they would fill the memory. Notes always are.
    pub fn record(&self, stanzas: bool) {
        self.world().journal.closed = !stanzas;
    }

    /// Waits for a journal entry after a cursor.
    pub async fn wait_journal(&self, after: u64, what: impl Fn(&Entry) -> bool) -> Result<Entry> {
        let found = self
            .wait(|world| {
                world.journal.entries.iter().filter(|e| e.seq > after).find(|e| what(e)).cloned()
            })
            .await;
        match found {
            Some(entry) => Ok(entry),
            None => bail!("not in the journal after {after}:\n{}", self.tail(after)),
        }
    }

    /// Waits until something is true of the state; `None` when the patience ends.
    pub(crate) async fn wait<T>(&self, look: impl Fn(&World) -> Option<T>) -> Option<T> {
        self.wait_for(PATIENCE, look).await
    }

    /// The same with another patience.
    pub(crate) async fn wait_for<T>(
        &self,
        patience: Duration,
        look: impl Fn(&World) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.world().subscribe();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look(&self.world()) {
                    return Some(found);
                }
                if changes.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.ok().flatten()
    }

    pub(crate) fn tail(&self, after: u64) -> String {
        let world = self.world();
        let entries = world.journal.entries.iter().filter(|e| e.seq > after);
        let lines: Vec<String> = entries
            .map(|e| {
                let who = e
                    .device
                    .as_ref()
                    .map_or_else(String::new, |d| format!("{}:{}", d.pn, d.device));
                let text: String = e.text.chars().take(300).collect();
                format!("{:4} {:?} {who} {} {text}", e.seq, e.direction, e.tag)
            })
            .collect();
        let skip = lines.len().saturating_sub(60);
        lines.into_iter().skip(skip).collect::<Vec<_>>().join("\n")
    }

    /// The rules broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.world().journal.violations.clone()
    }

    /// Fails when a rule was broken.
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "broken rules: {violations:#?}\n{}", self.tail(0));
    }

    /// Accounts, devices, connections, groups and waiting faults.
    pub fn state(&self) -> serde_json::Value {
        let world = self.world();
        let accounts: Vec<_> = world
            .accounts
            .values()
            .map(|a| {
                serde_json::json!({
                    "number": a.pn,
                    "lid": a.lid,
                    "name": a.name,
                    "migrated": a.migrated,
                    "online": a.phone.online,
                    "inbox": a.phone.inbox.len(),
                    "devices": person::summaries(a),
                })
            })
            .collect();
        let groups: Vec<_> = world
            .groups
            .values()
            .map(|g| serde_json::json!({"id": g.id, "subject": g.subject, "members": g.members}))
            .collect();
        serde_json::json!({
            "accounts": accounts,
            "groups": groups,
            "connections": world.conns.len(),
            "faults": world.faults.0,
            "journal": world.journal.entries.len(),
            "violations": world.journal.violations.len(),
        })
    }
}
