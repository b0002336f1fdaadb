//! Requests to reload or to edit the configuration, and the report of the last reload. The reloader that answers is
//! on a higher floor than those who ask, and imports go downwards only, so both meet here.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Edit, EditError, Problem, Revision};
use crate::model::UnixMillis;

/// Who asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Start,
    /// The file, or a secret's file, changed.
    File,
    /// SIGHUP.
    Signal,
    /// A person or a program, through the API.
    Api,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// The new configuration is in force.
    Applied,
    /// The file's configuration was in force already.
    Unchanged,
    /// The file has problems; the old configuration stays in force.
    Rejected,
}

/// What the last reload did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReloadReport {
    pub at: UnixMillis,
    pub trigger: Trigger,
    pub outcome: ReloadOutcome,
    pub revision: Revision,
    /// The revision of the file, when it is another and could be read.
    pub rejected: Option<Revision>,
    pub problems: Vec<Problem>,
    /// What is unwise in the configuration in force.
    pub warnings: Vec<Problem>,
    /// What changed, in the words of `ConfigDiff::lines`.
    pub changed: Vec<String>,
}

/// What a reload would do, as far as it can be known without doing it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReloadPlan {
    /// How the reload would end.
    pub outcome: ReloadOutcome,
    /// Why it would be rejected.
    pub problems: Vec<Problem>,
    /// What would change, for people.
    pub lines: Vec<String>,
    /// What would change, for programs.
    pub diff: Option<serde_json::Value>,
}

/// Asks for reloads and edits. Clones write to the same mailbox.
#[derive(Clone, Debug)]
pub struct ReloadHandle {
    requests: mpsc::Sender<ReloadRequest>,
    nudges: watch::Sender<Trigger>,
    last: watch::Receiver<Arc<ReloadReport>>,
}

#[derive(Debug)]
pub struct ReloadRequest {
    pub trigger: Trigger,
    pub ask: Ask,
}

/// What is asked for, and where the answer goes.
#[derive(Debug)]
pub enum Ask {
    /// A reload. Without a sender, nobody waits for its report.
    Reload(Option<oneshot::Sender<Arc<ReloadReport>>>),
    /// What a reload would do.
    Plan(oneshot::Sender<ReloadPlan>),
    /// An edit of the file, and a reload of the result.
    Edit(EditRequest, oneshot::Sender<Result<Arc<ReloadReport>, EditError>>),
    /// Whether such an edit could be made; the answer is the revision that it would change.
    Rehearse(EditRequest, oneshot::Sender<Result<Revision, EditError>>),
}

/// An edit, and the revision that it was made for.
#[derive(Clone, Debug)]
pub struct EditRequest {
    pub edit: Edit,
    /// The edit is refused when the file has another revision; absent when any will do.
    pub expected: Option<Revision>,
}

/// Where the reloader reads requests and publishes reports.
#[derive(Debug)]
pub struct ReloadMailbox {
    requests: mpsc::Receiver<ReloadRequest>,
    nudges: watch::Receiver<Trigger>,
    last: watch::Sender<Arc<ReloadReport>>,
}

impl ReloadHandle {
    /// A handle and the mailbox that it writes to; `first` is the report of the start.
    pub fn new(first: ReloadReport) -> (Self, ReloadMailbox) {
        let (sender, requests) = mpsc::channel(1);
        let (nudger, nudges) = watch::channel(first.trigger);
        let (last, reports) = watch::channel(Arc::new(first));
        let handle = Self { requests: sender, nudges: nudger, last: reports };
        (handle, ReloadMailbox { requests, nudges, last })
    }

    /// Asks for a reload without waiting for it. Several that come before it begins are one, and it sees all changes.
    /// A request that waits in the mailbox does not take its place: not every request reads the file.
    pub fn nudge(&self, trigger: Trigger) {
        self.nudges.send_replace(trigger);
    }

    /// Asks for a reload and waits for its report; `None` when moonwa is stopping.
    pub async fn reload(&self) -> Option<Arc<ReloadReport>> {
        self.ask(|reply| Ask::Reload(Some(reply))).await
    }

    /// Asks what a reload would do; `None` when moonwa is stopping.
    pub async fn plan(&self) -> Option<ReloadPlan> {
        self.ask(Ask::Plan).await
    }

    /// Asks for an edit of the file and waits until the result is in force; edits are made one after the other.
    /// `None` when moonwa is stopping.
    pub async fn edit(&self, request: EditRequest) -> Option<Result<Arc<ReloadReport>, EditError>> {
        self.ask(|reply| Ask::Edit(request, reply)).await
    }

    /// Asks whether an edit could be made now; `None` when moonwa is stopping.
    pub async fn rehearse(&self, request: EditRequest) -> Option<Result<Revision, EditError>> {
        self.ask(|reply| Ask::Rehearse(request, reply)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(ReloadRequest { trigger: Trigger::Api, ask: ask(reply) }).await.ok()?;
        answer.await.ok()
    }

    /// The report of the last reload; older reports are not kept.
    pub fn reports(&self) -> watch::Receiver<Arc<ReloadReport>> {
        self.last.clone()
    }
}

impl ReloadMailbox {
    /// The next request; `None` when no handle is left.
    pub async fn next(&mut self) -> Option<ReloadRequest> {
        tokio::select! {
            request = self.requests.recv() => request,
            Ok(()) = self.nudges.changed() => {
                let trigger = *self.nudges.borrow_and_update();
                Some(ReloadRequest { trigger, ask: Ask::Reload(None) })
            }
        }
    }

    /// Tells everybody how a reload went.
    pub fn publish(&self, report: ReloadReport) -> Arc<ReloadReport> {
        let report = Arc::new(report);
        self.last.send_replace(report.clone());
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(trigger: Trigger) -> ReloadReport {
        ReloadReport {
            at: UnixMillis::from_millis(0),
            trigger,
            outcome: ReloadOutcome::Unchanged,
            revision: Revision::parse(&"0".repeat(64)).unwrap(),
            rejected: None,
            problems: Vec::new(),
            warnings: Vec::new(),
            changed: Vec::new(),
        }
    }

    #[tokio::test]
    async fn nudges_coalesce_and_an_asker_gets_the_report_of_its_own_request() {
        let (handle, mut mailbox) = ReloadHandle::new(report(Trigger::Start));
        handle.nudge(Trigger::Signal);
        handle.nudge(Trigger::File);
        assert_eq!(mailbox.next().await.unwrap().trigger, Trigger::File);
        let asker = handle.clone();
        let (answer, ()) = tokio::join!(asker.reload(), async {
            let request = mailbox.next().await.unwrap();
            let report = mailbox.publish(report(request.trigger));
            let Ask::Reload(Some(asker)) = request.ask else { panic!("{request:?}") };
            asker.send(report).unwrap();
        });
        assert_eq!(answer.unwrap().trigger, Trigger::Api);
        assert_eq!(handle.reports().borrow().trigger, Trigger::Api);
        drop(mailbox);
        assert!(handle.reload().await.is_none());
    }

    #[tokio::test]
    async fn a_nudge_counts_although_a_request_waits() {
        let (handle, mut mailbox) = ReloadHandle::new(report(Trigger::Start));
        let asker = handle.clone();
        let (plan, ()) = tokio::join!(asker.plan(), async {
            tokio::task::yield_now().await;
            handle.nudge(Trigger::File);
            let both = [mailbox.next().await.unwrap().ask, mailbox.next().await.unwrap().ask];
            assert!(both.iter().any(|ask| matches!(ask, Ask::Plan(_))), "{both:?}");
            assert!(both.iter().any(|ask| matches!(ask, Ask::Reload(None))), "{both:?}");
        });
        assert!(plan.is_none(), "nobody answered");
        drop(handle);
        drop(asker);
        assert!(mailbox.next().await.is_none());
    }
}
