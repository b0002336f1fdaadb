//! What the last reload of `moonwa.toml` did, asking for one, and what one would change. The reload itself is done
//! above this floor; its mailbox is in `config`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::body::{self, Response};
use super::handle::Call;
use super::problem::{Code, Problem};
use crate::config::{self, ReloadReport};

/// A reload only reads files and compares; it never waits for WhatsApp.
const PATIENCE: Duration = Duration::from_secs(30);

/// A report as callers see it.
pub(super) fn render(report: &ReloadReport) -> Value {
    json!({
        "revision": report.revision,
        "trigger": report.trigger,
        "outcome": report.outcome,
        "at": report.at,
        "problems": problems(&report.problems),
        "warnings": problems(&report.warnings),
        "changed": report.changed,
    })
}

fn problems(problems: &[config::Problem]) -> Vec<Value> {
    let one = |problem: &config::Problem| {
        let hint = problem.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        json!({
            "path": problem.key,
            "line": problem.at.map(|at| at.line),
            "column": problem.at.map(|at| at.column),
            "message": format!("{}{hint}", problem.message),
        })
    };
    problems.iter().map(one).collect()
}

/// `GET /v1/config`.
pub(super) fn show(call: &Call) -> Result<Response, Problem> {
    let report = call.state.api.reload.reports().borrow().clone();
    body::ok(&render(&report))
}

/// `POST /v1/config/reload`. A rejected file is an answer, not an error: the report says what is wrong.
pub(super) async fn reload(call: &Call) -> Result<Response, Problem> {
    let report = timeout(PATIENCE, call.state.api.reload.reload()).await.ok().flatten();
    body::ok(&render(&*report.ok_or(Code::ShuttingDown)?))
}

/// `POST /v1/config/plan`: the same reading and comparing, up to the line where something would happen.
pub(super) async fn plan(call: &Call) -> Result<Response, Problem> {
    let plan = timeout(PATIENCE, call.state.api.reload.plan()).await.ok().flatten();
    let plan = plan.ok_or(Code::ShuttingDown)?;
    body::ok(&json!({
        "outcome": plan.outcome,
        "problems": problems(&plan.problems),
        "lines": plan.lines,
        "diff": plan.diff,
    }))
}
