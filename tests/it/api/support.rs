//! A gateway with its HTTP face, in one process: real listener, real store, no binary.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use arc_swap::ArcSwap;
use moonwa::facade::api::{Api, LoginLink};
use moonwa::facade::config::{Config, Context};
use moonwa::facade::hooks::Webhooks;
use moonwa::facade::model::{DeviceName, DeviceState, KeyHash};
use moonwa::facade::reload::Reloader;
use moonwa::facade::store::{Store, StoreOptions};
use moonwa::facade::task::Tasks;
use moonwa::facade::telemetry::Log;
use moonwa::facade::whatsapp::{Fleet, FleetOptions};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::Rest;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fleet::support::phones_ring;

pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
pub(crate) const ADMIN: &str = "admin-token-0123456789abcdef";
pub(crate) const KEY: &str = "key-of-toko-0123456789abcdef";
pub(crate) const OTHER: &str = "key-of-gudang-0123456789abcdef";

const DEVICES: &str = r#"
[device.toko]
label = "Toko"
country_code = "62"
api_key = "key-of-toko-0123456789abcdef"

[device.gudang]
api_key = "key-of-gudang-0123456789abcdef"
"#;

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) link: LoginLink,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) file: PathBuf,
    store: Store,
    tasks: Tasks,
    directory: TempDir,
    sim: Option<Simulator>,
}

impl Gateway {
    pub(crate) async fn start() -> Result<Self> {
        Self::with("", None).await
    }

    pub(crate) async fn with(server: &str, sim: Option<Simulator>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("moonwa.toml");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[admin]\ntoken = \"{}\"\n{DEVICES}",
            KeyHash::of(ADMIN)
        );
        std::fs::write(&file, &text)?;
        let context = Context { world_readable: false, ..Context::of(&file) };
        let loaded = Config::parse(&text, &context)?;
        let store = Store::open(StoreOptions {
            path: directory.path().join("data"),
            power_safe: false,
            keep: Duration::from_hours(1),
            max_size: 64 << 20,
        })
        .await?;
        let tasks = Tasks::new();
        let options = FleetOptions {
            whatsapp_url: sim.as_ref().map(Simulator::ws_url),
            max_media: 8 << 20,
            version: None,
            allow_nets: vec!["127.0.0.0/8".parse()?],
        };
        let fleet = Fleet::start(store.clone(), tasks.clone(), options).await?;
        let webhooks = Webhooks::start(store.clone(), tasks.clone()).await?;
        webhooks.reconcile(&loaded.config.devices).await?;
        fleet.reconcile(&loaded.config.devices).await;
        let config = Arc::new(ArcSwap::from_pointee(loaded.config.clone()));
        let (reloader, reload) = Reloader::new(
            file.clone(),
            loaded,
            config.clone(),
            fleet.clone(),
            webhooks.clone(),
            Log::default(),
        );
        tasks.spawn("reload", reloader.run(tasks.stop().clone()));
        let link = LoginLink::new();
        let api = Api {
            config,
            fleet: fleet.clone(),
            webhooks,
            store: store.clone(),
            tasks: tasks.clone(),
            reload,
            file: file.clone(),
            operator: KeyHash::of("operator-token"),
            link: link.clone(),
            metrics: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tasks.spawn("http", api.serve(listener));
        Ok(Self { address, link, fleet, file, store, tasks, directory, sim })
    }

    pub(crate) fn anyone(&self) -> Rest {
        Rest::new(self.address.to_string())
    }

    pub(crate) fn key(&self) -> Rest {
        self.anyone().with_token(KEY)
    }

    pub(crate) fn admin(&self) -> Rest {
        self.anyone().with_token(ADMIN)
    }

    /// Writes bytes and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        // The server may answer and close before it has read everything.
        stream.write_all(bytes).await.ok();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await?.ok();
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// How many uploads are kept.
    pub(crate) fn spooled(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("data/spool")).map_or(0, Iterator::count)
    }

    pub(crate) async fn wait_connected(&self, device: &str) {
        let name = DeviceName::parse(device).expect("a name");
        let mut watch = self.fleet.device(&name).expect("the device").watch();
        let connected = watch.wait_for(|status| status.state == DeviceState::Connected);
        timeout(PATIENCE, connected).await.expect("in time").expect("the device lives");
    }

    pub(crate) async fn stop(self) {
        if let Some(sim) = &self.sim {
            phones_ring(sim, &self.fleet).await;
        }
        self.fleet.shutdown().await;
        assert_eq!(self.tasks.shutdown(PATIENCE).await, 0, "every task ends");
        self.store.close().await.expect("the store closes");
    }
}
