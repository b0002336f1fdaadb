//! What the last reload of `moonwa.toml` did, and asking for one. The reload itself is done above this floor; its
//! handle comes in.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::body::{self, Response};
use super::handle::Call;
use super::problem::{Code, Problem};
use crate::model::UnixMillis;

/// A reload only reads files and compares; it never waits for WhatsApp.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to hear of reloads, and to ask for one.
#[derive(Clone, Debug)]
pub struct ConfigControl {
    /// The last report.
    pub report: watch::Receiver<ConfigReport>,
    /// Asks for a reload; the report comes back.
    pub reload: mpsc::Sender<oneshot::Sender<ConfigReport>>,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigReport {
    /// The SHA-256 of the configuration in force.
    pub revision: String,
    /// `start`, `file`, `signal` or `api`.
    pub trigger: String,
    /// What came of it.
    pub outcome: ReloadOutcome,
    /// When.
    pub at: UnixMillis,
    /// Everything that is wrong with a rejected file.
    pub problems: Vec<ReportedProblem>,
    /// The tables that changed.
    pub changed: Vec<String>,
}

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// The file is in force.
    Applied,
    /// It was in force already.
    Unchanged,
    /// It is not valid; the configuration before it stays.
    Rejected,
}

/// One mistake in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedProblem {
    /// The key, dotted.
    pub path: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// `GET /v1/config`.
pub(super) fn show(call: &Call) -> Result<Response, Problem> {
    let report = call.state.api.control.report.borrow().clone();
    body::ok(&report)
}

/// `POST /v1/config/reload`. A rejected file is an answer, not an error: the report says what is wrong.
pub(super) async fn reload(call: &Call) -> Result<Response, Problem> {
    let (answer, report) = oneshot::channel();
    let control = &call.state.api.control;
    let asked = async {
        control.reload.send(answer).await.ok()?;
        report.await.ok()
    };
    let report = timeout(PATIENCE, asked).await.ok().flatten();
    body::ok(&report.ok_or(Code::ShuttingDown)?)
}
