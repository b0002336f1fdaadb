//! What load balancers and Prometheus ask: is it alive, is it ready, and the metrics.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Code;
use crate::api::http::response;
use crate::config::ReloadReport;
use crate::store::SpoolFull;

/// A healthy disk never takes this long for one write.
const PATIENCE: Duration = Duration::from_mins(1);
/// A store that is ready answers within this.
const READY: Duration = Duration::from_secs(10);
/// The metrics name no more problems of the configuration than these; the admin page shows all.
const MOST_PROBLEMS: usize = 50;

/// `GET /healthz`: the process is up and its store still writes.
pub(crate) fn alive(call: &Call) -> Answer {
    if !call.state.api.store.is_alive(PATIENCE) {
        return Err(Code::StoreFailed.into());
    }
    Ok(response::ok(&json!({ "status": "ok" })))
}

/// `GET /readyz`: requests will be answered without delay.
pub(crate) fn ready(call: &Call) -> Answer {
    if call.state.api.tasks.stop().is_cancelled() {
        return Err(Code::ShuttingDown.into());
    }
    let store = &call.state.api.store;
    if !store.is_alive(READY) || !store.has_room() {
        return Err(Code::StoreFailed.into());
    }
    // Texts are taken all the same, so this does not make it unready.
    let files = store.spool().refuses().map_or("ok", SpoolFull::word);
    Ok(response::ok(&json!({ "status": "ok", "files": files })))
}

/// `GET /metrics`.
pub(crate) fn metrics(call: &Call) -> Answer {
    let handle = call.state.api.metrics.as_ref().ok_or(Code::NotFound)?;
    let report = call.state.api.reload.reports().borrow().clone();
    let text = format!("{}{}", handle.render(), configuration(&report));
    Ok(response::bytes_of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}

/// The metrics whose labels are texts about the configuration. They are not recorded like the others, because the
/// recorder would keep the texts of every earlier configuration beside the present ones.
fn configuration(report: &ReloadReport) -> String {
    let info = family("moonwa_config_info", [vec![("revision", report.revision.to_string())]]);
    let rejected = report.rejected.map(|revision| vec![("revision", revision.to_string())]);
    let problems = report.problems.iter().take(MOST_PROBLEMS).map(|problem| {
        let at = problem.at.map(|at| (at.line.to_string(), at.column.to_string()));
        let (line, column) = at.unwrap_or_default();
        vec![
            ("file", problem.file.clone()),
            ("line", line),
            ("column", column),
            ("key", problem.key.clone()),
            ("message", problem.message.clone()),
        ]
    });
    let rejected = family("moonwa_config_rejected_info", rejected);
    [info, rejected, family("moonwa_config_problem_info", problems)].concat()
}

/// A gauge with the value 1 for each set of labels.
fn family(name: &str, sets: impl IntoIterator<Item = Vec<(&'static str, String)>>) -> String {
    let escaped =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let label = |(name, value): &(&str, String)| format!("{name}=\"{}\"", escaped(value));
    let line = |labels: Vec<(&str, String)>| {
        let labels: Vec<String> = labels.iter().map(label).collect();
        format!("{name}{{{}}} 1\n", labels.join(","))
    };
    let lines: String = sets.into_iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("# TYPE {name} gauge\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_prometheus_reads_them() {
        assert_eq!(family("a", Vec::new()), "");
        let sets = ["x", "say \"no\\yes\"\n"].map(|value| vec![("m", value.to_owned())]);
        let text = "# TYPE a gauge\na{m=\"x\"} 1\na{m=\"say \\\"no\\\\yes\\\"\\n\"} 1\n";
        assert_eq!(family("a", sets), text);
    }
}
