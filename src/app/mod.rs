//! The gateway's life: everything that can fail is done first, then systemd hears READY, then it runs until a signal,
//! and what was opened is closed in reverse order under one deadline. What the parts do is decided in the parts.

mod phones;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info, warn};

use self::phones::LinkedPhones;
use crate::api::{Api, LoginLink};
use crate::config::{self, Config, Loaded, Trigger};
use crate::console::{Exit, complain, say};
use crate::control::Control;
use crate::hooks::Webhooks;
use crate::knobs::{self, knobs};
use crate::model::{KeyHash, Secret, StatusWord};
use crate::reload::Reloader;
use crate::store::{Store, StoreError, StoreOptions};
use crate::task::Tasks;
use crate::whatsapp::{Fleet, FleetOptions, identities};
use crate::{systemd, telemetry};

/// systemd gives up after 30 s; the engine's own flushes take up to 15.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// A committer thread that did nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(20);
/// How long moonwa stays up after its store has failed, and says so: a disk heals in its own time, and systemd gives
/// up on a service that ends too often.
const AFTERMATH: Duration = Duration::from_mins(1);
/// How often the loop looks whether all is well.
const TICK: Duration = Duration::from_secs(5);

/// `moonwa run`: until a signal, or until the store cannot keep its promises.
pub(crate) fn run(config: Option<&Path>, fallback_last_good: bool) -> Exit {
    let path = match config::find(config) {
        Ok(path) => path,
        Err(problem) => {
            complain(&format!("moonwa: {problem}"));
            return Exit::Config;
        }
    };
    let loaded = match load(&path, fallback_last_good) {
        Ok(loaded) => loaded,
        Err(problems) => {
            complain(&problems);
            return Exit::Config;
        }
    };
    if let Err(problem) = knobs::check() {
        complain(&format!("moonwa: {problem}"));
        return Exit::Config;
    }
    let (metrics, log) = telemetry::install(&loaded.config.log);
    let runtime = Builder::new_multi_thread()
        // The disk, files and whatever else takes long have threads of their own.
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build();
    let outcome = runtime
        .context("the runtime could not be started")
        .and_then(|runtime| runtime.block_on(gateway(path, loaded, metrics, log)));
    match outcome {
        Ok(()) => Exit::Clean,
        Err(failure) => {
            error!("moonwa ends: {failure:#}");
            systemd::status(&format!("failed: {failure:#}"));
            Exit::Failure
        }
    }
}

fn load(path: &Path, fallback_last_good: bool) -> Result<Loaded, String> {
    Config::load(path).or_else(|rejected| {
        if !fallback_last_good {
            return Err(rejected.to_string());
        }
        complain(&rejected.to_string());
        let kept = config::last_good(path).map_err(|_absent| rejected.to_string())?;
        complain("moonwa: starting with the last configuration that worked");
        Ok(kept)
    })
}

/// How the file wants the store.
pub(crate) fn store_options(config: &Config) -> StoreOptions {
    StoreOptions {
        path: config.store.path.clone(),
        power_safe: config.store.durability == config::Durability::Power,
        keep: config.outbox.keep,
        max_size: config.outbox.max_size,
    }
}

/// Everything between the first file and the last.
async fn gateway(
    path: PathBuf,
    loaded: Loaded,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    log: telemetry::Log,
) -> Result<()> {
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let whatsapp_url = knobs().whatsapp_url.clone();
    if whatsapp_url.is_some() {
        warn!(
            "This build talks to a SIMULATED WhatsApp and checks no certificate. Never use it for a real account."
        );
    }
    let signals = Signals::new()?;
    let config = &loaded.config;
    let auto = config.store.repair == config::Repair::Auto;
    let store = identities::open(store_options(config), auto).await?;
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {} (server.listen)", config.server.listen))?;
    let address = listener.local_addr()?;

    let tasks = Tasks::new();
    let options = FleetOptions {
        whatsapp_url,
        version: config.whatsapp_version,
        max_media: config.media.max_size,
        allow_nets: config.media.allow_nets.clone(),
    };
    tasks.spawn("identities", identities::keep(store.clone(), tasks.stop().clone()));
    let fleet = Fleet::start(store.clone(), tasks.clone(), options).await?;
    fleet.limit_spool(&config.media);
    fleet.keep_history(config.history).await;
    let webhooks = Webhooks::start(store.clone(), tasks.clone()).await?;
    webhooks.publish_under(config.server.public_url.as_deref());
    introduce(&webhooks, &fleet);
    // Endpoints first: a device that connects at once must find its webhooks' cursors in place.
    webhooks.reconcile(&config.devices).await?;
    fleet.reconcile(&config.devices).await;

    let operator = Control {
        address: reachable(address),
        base_path: config.server.base_path.clone(),
        token: Secret::new(format!(
            "mwc_{}",
            data_encoding::BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())
        )),
    };
    operator.write(&config.store.path).context("control.json cannot be written")?;
    config::keep_last_good(&path, config, &loaded.others)
        .context("no copy of the configuration can be kept in the store")?;
    let link = LoginLink::new();
    announce(config, &operator, &link);

    let live = Arc::new(ArcSwap::from_pointee(config.clone()));
    let (reloader, reload) =
        Reloader::new(path.clone(), loaded, live.clone(), fleet.clone(), webhooks.clone(), log);
    let api = Api {
        config: live,
        fleet: fleet.clone(),
        webhooks,
        store: store.clone(),
        tasks: tasks.clone(),
        reload: reload.clone(),
        file: path,
        operator: KeyHash::of(operator.token.expose()),
        link,
        metrics: Some(metrics.clone()),
    };
    tasks.spawn("http", api.serve(listener));
    tasks.spawn("reload", reloader.run(tasks.stop().clone()));

    systemd::ready(address, &summary(&fleet));
    info!(%address, "moonwa is ready.");
    let (reload, upkeep) = (|| reload.nudge(Trigger::Signal), || metrics.run_upkeep());
    let outcome = run_until_told(signals, &store, &fleet, address, reload, upkeep).await;

    systemd::stopping();
    info!("moonwa stops.");
    let left = tasks.shutdown(SHUTDOWN).await;
    if left > 0 {
        warn!(left, "Tasks were still running at the deadline.");
    }
    fleet.shutdown().await;
    store.close().await.context("closing the store")?;
    outcome
}

/// The signals of a service. SIGTERM comes from systemd, SIGINT from a person's Ctrl-C, SIGHUP from `systemctl reload`, or
/// from a terminal that was closed.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether a hangup means that the terminal was closed. Asked at the start: one that is closed is no terminal any more.
    of_terminal: bool,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            of_terminal: systemd::is_absent() && on_terminal(),
        })
    }
}

async fn run_until_told(
    mut signals: Signals,
    store: &Store,
    fleet: &Fleet,
    address: SocketAddr,
    reload: impl Fn(),
    upkeep: impl Fn(),
) -> Result<()> {
    let mut failed: Option<(StoreError, Instant)> = None;
    let mut statuses = fleet.statuses();
    let period = systemd::watchdog_interval().map_or(TICK, |asked| (asked / 3).min(TICK));
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.hangup.recv() => if signals.of_terminal { return Ok(()) } else { reload() },
            failure = store.failed(), if failed.is_none() => {
                error!(
                    "The store has failed: {failure}. Nothing is taken or sent any more; moonwa ends in a minute, so that it is started anew."
                );
                systemd::status(&format!("the store has failed: {failure}"));
                failed = Some((failure, Instant::now() + AFTERMATH.mul_f64(knobs().retry_scale)));
            }
            () = ends(failed.as_ref()) => {
                let failure = failed.map_or(StoreError::Closed, |(failure, _)| failure);
                return Err(failure).context("the store has failed; a restart opens it anew");
            }
            _ = tick.tick() => {
                // Else what histograms are told would be kept until somebody asks for the metrics.
                upkeep();
                // The watchdog means something: the runtime ticks, and both writers do.
                if failed.is_some() || store.is_alive(STUCK) { systemd::watchdog() } else { error!("The store's writers are stuck.") }
            }
            Ok(()) = statuses.changed(), if failed.is_none() => systemd::status(&format!("listening on {address}; {}", summary(fleet))),
        }
    }
}

/// When a failed store has been failed long enough.
async fn ends(failed: Option<&(StoreError, Instant)>) {
    match failed {
        Some((_, end)) => tokio::time::sleep_until(*end).await,
        None => std::future::pending().await,
    }
}

/// `3 devices, 2 connected`, for one line of status.
fn summary(fleet: &Fleet) -> String {
    let statuses = fleet.statuses().borrow().clone();
    let connected =
        statuses.values().filter(|status| status.state.word() == StatusWord::Connected).count();
    format!("{} devices, {connected} connected", statuses.len())
}

/// Where a client on this machine reaches a listener.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let mut address = bound;
    if bound.ip().is_unspecified() {
        address.set_ip(if bound.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            [0, 0, 0, 0, 0, 0, 0, 1].into()
        });
    }
    address
}

/// Whether a person sits before it: whoever sends the output to a file has the terminal still.
fn on_terminal() -> bool {
    let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    input.is_terminal() || output.is_terminal() || errors.is_terminal()
}

/// Tells a person on a terminal where the admin page is. The login link is a secret: it goes to no log.
fn announce(config: &Config, operator: &Control, link: &LoginLink) {
    let page = format!("http://{}{}", operator.address, operator.base_path);
    if !config.server.listen.ip().is_loopback() && config.server.trusted_proxies.is_empty() {
        warn!(listen = %config.server.listen, "moonwa answers beyond this machine without TLS; put a reverse proxy before it.");
    }
    let seen = std::io::stdout().is_terminal();
    if seen && config.admin.token.is_none() {
        say(&format!(
            "\n  Admin page (this link logs in once):\n  {page}login?t={}\n",
            link.secret()
        ));
    } else {
        let how = if config.admin.token.is_some() {
            ""
        } else {
            &format!(" (a link that logs in once: {})", systemd::as_its_user("moonwa login"))
        };
        say(&format!("Admin page: {page}{how}"));
    }
    if seen && std::env::var_os("SSH_CONNECTION").is_some() && operator.address.ip().is_loopback() {
        let (host, port) = (operator.address, operator.address.port());
        say(&format!(
            "  From your own machine: ssh -L {port}:{host} you@this-host, then open that address there.\n"
        ));
    }
    if seen {
        say(&format!("  Process {}; Ctrl-C stops it.\n", process::id()));
    }
}

/// Tells the webhooks what they may know of the devices.
fn introduce(webhooks: &Webhooks, fleet: &Arc<Fleet>) {
    webhooks.know(fleet.statuses());
    webhooks.ask_phones(Arc::new(LinkedPhones(Arc::clone(fleet))));
}
