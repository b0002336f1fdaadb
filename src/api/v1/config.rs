//! The configuration in force, what the last reload of `moonwa.toml` did, and what the next one would change. The
//! reload itself is done on a floor above; it is asked for through a mailbox in `config`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Code;
use crate::api::http::response;
use crate::config::{self, ReloadReport};
use crate::task::Tasks;

/// A reload only reads and compares files; it never waits for WhatsApp.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a look at the mode of the file may take.
const LOOK: Duration = Duration::from_secs(2);

pub(crate) fn render(report: &ReloadReport) -> Value {
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

pub(crate) fn problems(problems: &[config::Problem]) -> Vec<Value> {
    let one = |problem: &config::Problem| {
        let hint = problem.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        json!({
            "file": problem.file,
            "path": problem.key,
            "line": problem.at.map(|at| at.line),
            "column": problem.at.map(|at| at.column),
            "message": format!("{}{hint}", problem.message),
        })
    };
    problems.iter().map(one).collect()
}

/// `GET /v1/config`: the report, and the configuration in force.
pub(crate) async fn show(call: &Call) -> Answer {
    let report = call.state.api.reload.reports().borrow().clone();
    let mut shown = render(&report);
    if let Value::Object(fields) = &mut shown {
        let file = call.state.api.file.file_name().unwrap_or_default().to_string_lossy();
        fields.insert("file".into(), json!(file));
        fields.insert("editable".into(), json!(is_editable(call).await));
        fields.insert("config".into(), call.config.to_json());
    }
    Ok(response::ok(&shown))
}

/// Whether this API may change the file and is able to.
async fn is_editable(call: &Call) -> bool {
    // A file system that does not answer cannot be written to either.
    call.config.admin.editable
        && timeout(LOOK, look(call)).await.is_ok_and(|found| found == Some(true))
}

/// Looks at the file on a thread of its own, one look at a time, because a network mount may hang.
async fn look(call: &Call) -> Option<bool> {
    let turn = Arc::clone(&call.state.look).acquire_owned().await.ok()?;
    let file = call.state.api.file.clone();
    let work = move || {
        let found = config::is_writable(&file);
        drop(turn);
        found
    };
    Tasks::on_thread("config look", work).await.ok()
}

/// `POST /v1/config/reload`. A rejected file is an answer, not an error: the report says what is wrong.
pub(crate) async fn reload(call: &Call) -> Answer {
    let report = timeout(PATIENCE, call.state.api.reload.reload()).await.ok().flatten();
    Ok(response::ok(&render(&*report.ok_or(Code::ShuttingDown)?)))
}

/// `POST /v1/config/plan`: reads and compares like a reload, and stops before anything would happen.
pub(crate) async fn plan(call: &Call) -> Answer {
    let plan = timeout(PATIENCE, call.state.api.reload.plan()).await.ok().flatten();
    let plan = plan.ok_or(Code::ShuttingDown)?;
    Ok(response::ok(&json!({
        "outcome": plan.outcome,
        "problems": problems(&plan.problems),
        "lines": plan.lines,
        "diff": plan.diff,
    })))
}
