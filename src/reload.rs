//! A change of `moonwa.toml`, from the request to the report: everything that can fail happens before anything live is
//! touched, so a file with a mistake changes nothing. What differs is computed in `config`; devices and webhooks make
//! themselves match.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{
    self, Ask, Config, ConfigDiff, EditError, EditRequest, Loaded, Notice, Others, Problem,
    Rejected, ReloadHandle, ReloadMailbox, ReloadOutcome, ReloadPlan, ReloadReport, ReloadRequest,
    Revision, Trigger, Watcher,
};
use crate::hooks::Webhooks;
use crate::model::UnixMillis;
use crate::systemd;
use crate::task::Tasks;
use crate::telemetry::Log;
use crate::whatsapp::Fleet;

/// A file on a network mount may hang: whatever touches it has a thread of its own.
const THREAD: &str = "config";

/// Owns reloads: one at a time, in one task.
pub struct Reloader {
    path: PathBuf,
    revision: Revision,
    live: Arc<ArcSwap<Config>>,
    fleet: Arc<Fleet>,
    webhooks: Arc<Webhooks>,
    log: Log,
    mailbox: ReloadMailbox,
    watcher: Option<Watcher>,
}

/// What reading the file said, before anything live is touched.
enum Read {
    /// What is unwise in it, still.
    Unchanged(Vec<Problem>),
    Rejected(Rejected),
    Good(Box<Loaded>, Box<ConfigDiff>),
}

impl Reloader {
    /// The reloader of a gateway that has just started with `loaded`, and the handle by which others ask.
    pub fn new(
        path: PathBuf,
        loaded: Loaded,
        live: Arc<ArcSwap<Config>>,
        fleet: Arc<Fleet>,
        webhooks: Arc<Webhooks>,
        log: Log,
    ) -> (Self, ReloadHandle) {
        let revision = loaded.revision;
        let first = ReloadReport {
            at: UnixMillis::now(),
            trigger: Trigger::Start,
            outcome: ReloadOutcome::Applied,
            revision,
            rejected: None,
            problems: Vec::new(),
            warnings: loaded.warnings,
            changed: Vec::new(),
        };
        let (handle, mailbox) = ReloadHandle::new(first);
        let watched = Watcher::start(
            path.clone(),
            revision,
            loaded.others,
            Notice::default(),
            handle.clone(),
        );
        let watcher = watched
            .inspect_err(|error| warn!(%error, "The file is not watched; `systemctl reload moonwa` still works."))
            .ok();
        metrics::gauge!("moonwa_config_last_reload_successful").set(1.0);
        (Self { path, revision, live, fleet, webhooks, log, mailbox, watcher }, handle)
    }

    /// Reloads whenever asked, until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let request = tokio::select! {
                () = stop.cancelled() => return,
                request = self.mailbox.next() => request,
            };
            let Some(ReloadRequest { trigger, ask }) = request else { return };
            self.answer(trigger, ask).await;
        }
    }

    /// Whoever asked may have gone away since: the work is done all the same.
    async fn answer(&mut self, trigger: Trigger, ask: Ask) {
        match ask {
            Ask::Plan(reply) => drop(reply.send(self.plan().await)),
            Ask::Rehearse(request, reply) => drop(reply.send(self.rehearse(request).await)),
            Ask::Edit(request, reply) => drop(reply.send(self.edit(request).await)),
            Ask::Reload(reply) => {
                let report = self.reload_and_tell(trigger).await;
                if let Some(reply) = reply {
                    drop(reply.send(report));
                }
            }
        }
    }

    async fn reload_and_tell(&mut self, trigger: Trigger) -> Arc<ReloadReport> {
        systemd::reloading();
        let report = self.reload(trigger).await;
        tell(&report);
        self.mailbox.publish(report)
    }

    async fn rehearse(&self, request: EditRequest) -> Result<Revision, EditError> {
        let (path, running) = (self.path.clone(), self.live.load_full());
        let EditRequest { edit, expected } = request;
        Tasks::on_thread(THREAD, move || edit.rehearse(&path, expected, &running)).await?
    }

    /// An edit is a save like any other; only that whoever made it is told at once.
    async fn edit(&mut self, request: EditRequest) -> Result<Arc<ReloadReport>, EditError> {
        let (path, running) = (self.path.clone(), self.live.load_full());
        let EditRequest { edit, expected } = request;
        Tasks::on_thread(THREAD, move || edit.write(&path, expected, &running)).await??;
        let report = self.reload_and_tell(Trigger::Api).await;
        if report.outcome == ReloadOutcome::Rejected {
            // Somebody else saved a mistake in the same moment.
            return Err(EditError::Invalid(report.problems.clone()));
        }
        Ok(report)
    }

    async fn read(&self) -> Result<Loaded, Rejected> {
        let path = self.path.clone();
        Tasks::on_thread(THREAD, move || Config::load(&path)).await.unwrap_or_else(|error| {
            let (file, message) =
                (self.path.display().to_string(), format!("cannot be read: {error}"));
            let problem = Problem { file, at: None, key: String::new(), message, hint: None };
            Err(Rejected { problems: vec![problem], revision: None, others: Box::default() })
        })
    }

    /// What the file says now, against what is in force: everything that can fail.
    fn judge(&self, read: Result<Loaded, Rejected>) -> Read {
        let loaded = match read {
            Ok(loaded) if loaded.revision == self.revision => {
                return Read::Unchanged(loaded.warnings);
            }
            Ok(loaded) => loaded,
            Err(rejected) => return Read::Rejected(rejected),
        };
        let diff = ConfigDiff::between(&self.live.load_full(), &loaded.config);
        let problems = diff.refusals(&self.path.display().to_string());
        if problems.is_empty() {
            return Read::Good(Box::new(loaded), Box::new(diff));
        }
        Read::Rejected(Rejected {
            problems,
            revision: Some(loaded.revision),
            others: Box::new(loaded.others),
        })
    }

    async fn plan(&self) -> ReloadPlan {
        let plan = |outcome, problems, lines, diff| ReloadPlan { outcome, problems, lines, diff };
        match self.judge(self.read().await) {
            Read::Unchanged(_) => plan(ReloadOutcome::Unchanged, Vec::new(), Vec::new(), None),
            Read::Rejected(rejected) => {
                let lines = rejected.problems.iter().map(Problem::to_string).collect();
                plan(ReloadOutcome::Rejected, rejected.problems, lines, None)
            }
            Read::Good(_, diff) if diff.is_empty() => {
                plan(ReloadOutcome::Unchanged, Vec::new(), Vec::new(), Some(diff.to_json()))
            }
            Read::Good(_, diff) => {
                plan(ReloadOutcome::Applied, Vec::new(), diff.lines(), Some(diff.to_json()))
            }
        }
    }

    async fn reload(&mut self, trigger: Trigger) -> ReloadReport {
        let report = |outcome, revision| ReloadReport {
            at: UnixMillis::now(),
            trigger,
            outcome,
            revision,
            rejected: None,
            problems: Vec::new(),
            warnings: Vec::new(),
            changed: Vec::new(),
        };
        let read = self.read().await;
        self.watch(&read);
        match self.judge(read) {
            Read::Unchanged(warnings) => {
                ReloadReport { warnings, ..report(ReloadOutcome::Unchanged, self.revision) }
            }
            Read::Rejected(rejected) => {
                let failed = report(ReloadOutcome::Rejected, self.revision);
                ReloadReport { rejected: rejected.revision, problems: rejected.problems, ..failed }
            }
            Read::Good(loaded, diff) => {
                let Loaded { config, warnings, revision, others } = *loaded;
                self.revision = revision;
                self.apply(config, &others).await;
                ReloadReport {
                    warnings,
                    changed: diff.lines(),
                    ..report(ReloadOutcome::Applied, revision)
                }
            }
        }
    }

    /// Watches what a reload has read, whatever comes of it: a file may be put right byte for byte, which changes
    /// nothing, and yet the watch has to return to what it watched before.
    fn watch(&self, read: &Result<Loaded, Rejected>) {
        let Some(watcher) = &self.watcher else { return };
        match read {
            Ok(loaded) => watcher.follow(Some(loaded.revision), loaded.others.clone()),
            Err(rejected) => watcher.follow(rejected.revision, (*rejected.others).clone()),
        }
    }

    /// Puts a configuration into force. It was accepted before; nothing here can refuse it.
    async fn apply(&self, config: Config, others: &Others) {
        let devices = config.devices.clone();
        if let Err(problem) = config::keep_last_good(&self.path, &config, others) {
            warn!(%problem, "No copy of the configuration could be kept for --fallback-last-good.");
        }
        self.log.follow(&config.log);
        self.fleet.limit_spool(&config.media);
        self.fleet.keep_history(config.history).await;
        self.webhooks.publish_under(config.server.public_url.as_deref());
        self.live.store(Arc::new(config));
        if let Err(failure) = self.webhooks.reconcile(&devices).await {
            error!(%failure, "The webhooks' cursors could not be kept; the store is failing.");
        }
        self.fleet.reconcile(&devices).await;
    }
}

/// Says how a reload went: to systemd, the log and the metrics.
fn tell(report: &ReloadReport) {
    let revision = report.revision.to_string();
    let revision = revision.get(..12).unwrap_or_default();
    let line = match report.outcome {
        ReloadOutcome::Applied => format!("configuration {revision} applied"),
        ReloadOutcome::Unchanged => format!("configuration {revision} unchanged"),
        ReloadOutcome::Rejected => {
            format!(
                "configuration rejected, {} problems; {revision} stays in force",
                report.problems.len()
            )
        }
    };
    systemd::reloaded(&line);
    for problem in &report.problems {
        error!("{problem}");
    }
    for warning in &report.warnings {
        warn!("{warning}");
    }
    for change in &report.changed {
        info!("{change}");
    }
    info!(trigger = ?report.trigger, "{line}");
    let good = report.outcome != ReloadOutcome::Rejected;
    metrics::gauge!("moonwa_config_last_reload_successful").set(if good { 1.0 } else { 0.0 });
    if good {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        metrics::gauge!("moonwa_config_last_reload_success_timestamp_seconds")
            .set(report.at.secs() as f64);
    }
}
