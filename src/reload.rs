//! A change of `moonwa.toml`, from the trigger to the report: everything that can fail happens before anything live is
//! touched, so a file with a mistake changes nothing. What differs is computed in `config`; devices and webhooks make
//! themselves match.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::api::{ConfigControl, ConfigReport, ReloadOutcome, ReportedProblem};
use crate::config::{Config, Loaded, Problem, Rejected, Revision};
use crate::hooks::Webhooks;
use crate::model::UnixMillis;
use crate::systemd;
use crate::whatsapp::Fleet;

/// Who asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The start of the program.
    Start,
    /// The file changed.
    File,
    /// SIGHUP.
    Signal,
    /// A person or program, over HTTP.
    Api,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Signal => "signal",
            Self::Api => "api",
        }
    }
}

/// Asks for a reload without waiting for it. Two asks that nobody has read yet are one.
#[derive(Clone)]
pub struct Mailbox(mpsc::Sender<Trigger>);

impl Mailbox {
    /// Asks.
    pub fn ask(&self, trigger: Trigger) {
        // Full means that a reload is due anyway.
        let _due_anyway = self.0.try_send(trigger);
    }
}

/// Owns reloads: one at a time, in one task.
pub struct Reloader {
    path: PathBuf,
    revision: Revision,
    live: Arc<ArcSwap<Config>>,
    fleet: Arc<Fleet>,
    webhooks: Arc<Webhooks>,
    report: watch::Sender<ConfigReport>,
    asked: mpsc::Receiver<Trigger>,
    mailbox: Mailbox,
    calls: mpsc::Receiver<oneshot::Sender<ConfigReport>>,
}

impl Reloader {
    /// The reloader of a gateway that has just started with `loaded`, and how the API reaches it.
    pub fn new(
        path: PathBuf,
        loaded: Loaded,
        live: Arc<ArcSwap<Config>>,
        fleet: Arc<Fleet>,
        webhooks: Arc<Webhooks>,
    ) -> (Self, ConfigControl) {
        let first =
            report(loaded.revision, Trigger::Start, ReloadOutcome::Applied, &[], Vec::new());
        let (report, seen) = watch::channel(first);
        let (ask, asked) = mpsc::channel(1);
        let (call, calls) = mpsc::channel(8);
        let control = ConfigControl { report: seen, reload: call };
        let reloader = Self {
            path,
            revision: loaded.revision,
            live,
            fleet,
            webhooks,
            report,
            asked,
            mailbox: Mailbox(ask),
            calls,
        };
        (reloader, control)
    }

    /// Where signals ask.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Reloads whenever asked, until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(trigger) = self.asked.recv() => { self.reload(trigger).await; }
                Some(answer) = self.calls.recv() => {
                    let report = self.reload(Trigger::Api).await;
                    // A caller that hung up can read the report later.
                    let _gone = answer.send(report);
                }
            }
        }
    }

    async fn reload(&mut self, trigger: Trigger) -> ConfigReport {
        systemd::reloading();
        let done = self.attempt(trigger).await;
        let line = match done.outcome {
            ReloadOutcome::Applied => format!("configuration {} applied", short(&done.revision)),
            ReloadOutcome::Unchanged => {
                format!("configuration {} unchanged", short(&done.revision))
            }
            ReloadOutcome::Rejected => {
                format!(
                    "configuration rejected, {} problems; the old one stays",
                    done.problems.len()
                )
            }
        };
        systemd::reloaded(&line);
        info!(trigger = trigger.as_str(), "{line}");
        self.report.send_replace(done.clone());
        done
    }

    async fn attempt(&mut self, trigger: Trigger) -> ConfigReport {
        let path = self.path.clone();
        let loaded = match read_off_the_runtime(path).await {
            Ok(loaded) => loaded,
            Err(rejected) => return self.rejected(trigger, &rejected.problems),
        };
        if loaded.revision == self.revision {
            return report(self.revision, trigger, ReloadOutcome::Unchanged, &[], Vec::new());
        }
        let old = self.live.load_full();
        let refused = restart_needed(&old, &loaded.config, &self.path);
        if !refused.is_empty() {
            return self.rejected(trigger, &refused);
        }
        let changed = changed_tables(&old, &loaded.config);
        // Nothing above this line touched anything live.
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        self.revision = loaded.revision;
        let devices = loaded.config.devices.clone();
        self.live.store(Arc::new(loaded.config));
        if let Err(failure) = self.webhooks.reconcile(&devices).await {
            error!(%failure, "The webhooks' cursors could not be kept; the store is failing.");
        }
        self.fleet.reconcile(&devices).await;
        report(self.revision, trigger, ReloadOutcome::Applied, &[], changed)
    }

    fn rejected(&self, trigger: Trigger, problems: &[Problem]) -> ConfigReport {
        for problem in problems {
            error!("{problem}");
        }
        report(self.revision, trigger, ReloadOutcome::Rejected, problems, Vec::new())
    }
}

/// A file on a network mount may hang: it is read on a thread of its own.
async fn read_off_the_runtime(path: PathBuf) -> Result<Loaded, Rejected> {
    let (answer, loaded) = oneshot::channel();
    let reader = std::thread::Builder::new().name("config".to_owned());
    let started = reader.spawn(move || answer.send(Config::load(&path)).is_ok());
    match (started, loaded.await) {
        (Ok(_thread), Ok(loaded)) => loaded,
        (Err(_), _) | (_, Err(_)) => {
            Err(Rejected { problems: Vec::new(), revision: None, secret_files: Vec::new() })
        }
    }
}

/// The tables and keys that differ, as a person would name them.
fn changed_tables(old: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    let sections = [
        ("server", old.server != new.server),
        ("admin", old.admin != new.admin),
        ("store", old.store != new.store),
        ("log", old.log != new.log),
        ("outbox", old.outbox != new.outbox),
        ("media", old.media != new.media),
    ];
    changed.extend(
        sections.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()),
    );
    let names: std::collections::BTreeSet<_> =
        old.devices.keys().chain(new.devices.keys()).collect();
    let differs =
        |name: &&&crate::model::DeviceName| old.devices.get(**name) != new.devices.get(**name);
    changed.extend(names.iter().filter(differs).map(|name| format!("device.{name}")));
    changed
}

fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

fn report(
    revision: Revision,
    trigger: Trigger,
    outcome: ReloadOutcome,
    problems: &[Problem],
    changed: Vec<String>,
) -> ConfigReport {
    let problems = problems.iter().map(|problem| ReportedProblem {
        path: problem.key.clone(),
        line: problem.at.map(|at| at.line),
        column: problem.at.map(|at| at.column),
        message: problem.to_string(),
    });
    ConfigReport {
        revision: revision.to_string(),
        trigger: trigger.as_str().to_owned(),
        outcome,
        at: UnixMillis::now(),
        problems: problems.collect(),
        changed,
    }
}

/// What cannot change while moonwa runs, said so that a person knows what to do.
fn restart_needed(old: &Config, new: &Config, path: &std::path::Path) -> Vec<Problem> {
    let keys = [
        ("server.listen", old.server.listen != new.server.listen),
        ("store.path", old.store.path != new.store.path),
        ("store.durability", old.store.durability != new.store.durability),
        ("outbox", old.outbox != new.outbox),
        ("media", old.media != new.media),
    ];
    let refused = keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| Problem {
        file: path.display().to_string(),
        at: None,
        key: key.to_owned(),
        message: "cannot change while moonwa runs".to_owned(),
        hint: Some("restart moonwa to apply it".to_owned()),
    });
    refused.collect()
}
