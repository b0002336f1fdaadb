//! `GET /metrics`: what was recorded while the gateway ran, and what it is like now. The latter is asked for here, so that
//! nothing stays of a device or a webhook that is gone.

use std::collections::BTreeMap;

use hyper::StatusCode;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Code;
use crate::api::http::response;
use crate::config::ReloadReport;
use crate::hooks::{EndpointReport, host_of};
use crate::model::{DeviceName, DeviceStatus, StatusWord, UnixMillis};

/// The metrics name no more problems of the configuration than these; the admin page shows all.
const MOST_PROBLEMS: usize = 50;

type Labels = Vec<(&'static str, String)>;

/// `GET /metrics`.
pub(crate) async fn metrics(call: &Call) -> Answer {
    let api = &call.state.api;
    let handle = api.metrics.as_ref().ok_or(Code::NotFound)?;
    let report = api.reload.reports().borrow().clone();
    let statuses = api.fleet.statuses().borrow().clone();
    let reports = api.webhooks.reports().borrow().clone();
    let names: Vec<DeviceName> = statuses.keys().cloned().collect();
    // What a store that has failed does not tell is missing; the rest is wanted then more than ever.
    let queued = api.store.queue().waiting(names.clone()).await.unwrap_or_default();
    let queued = names.iter().zip(queued).map(|(name, count)| (device(name), whole(count)));
    let sizes = api.store.sizes().await.ok();
    let bytes = |count: u64| (Labels::new(), whole(count));
    let text = [
        handle.render(),
        configuration(&report),
        devices(&statuses),
        family("moonwa_send_queue", queued),
        webhooks(&reports),
        family("moonwa_store_bytes", sizes.map(|(used, _)| bytes(used))),
        family("moonwa_disk_free_bytes", sizes.map(|(_, free)| bytes(free))),
    ];
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(response::bytes_of(StatusCode::OK, kind, text.concat()))
}

fn device(name: &DeviceName) -> Labels {
    vec![("device", name.to_string())]
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and close enough")]
fn whole(count: u64) -> f64 {
    count as f64
}

fn devices(all: &BTreeMap<DeviceName, DeviceStatus>) -> String {
    let now = UnixMillis::now();
    let states = all.iter().map(|(name, status)| {
        (vec![("device", name.to_string()), ("state", status.state.as_str().to_owned())], 1.0)
    });
    let connected = all.iter().map(|(name, status)| {
        (device(name), f64::from(status.state.word() == StatusWord::Connected))
    });
    let proven = all.iter().filter_map(|(name, status)| {
        Some((device(name), now.since(status.proof_at?).as_secs_f64()))
    });
    [
        family("moonwa_device_state", states),
        family("moonwa_device_connected", connected),
        family("moonwa_device_proof_age_seconds", proven),
    ]
    .concat()
}

fn webhooks(all: &BTreeMap<DeviceName, Vec<EndpointReport>>) -> String {
    let each =
        || all.iter().flat_map(|(device, reports)| reports.iter().map(move |one| (device, one)));
    let gauge = |name, value: fn(&EndpointReport) -> u64| {
        let rows = each().map(|(device, report)| {
            let host = host_of(&report.url);
            let labels =
                vec![("device", device.to_string()), ("n", report.n.to_string()), ("host", host)];
            (labels, whole(value(report)))
        });
        family(name, rows)
    };
    [
        gauge("moonwa_webhook_backlog", |report| report.backlog),
        gauge("moonwa_webhook_dead_letters", |report| report.dead_letters),
        gauge("moonwa_webhook_failing", |report| report.failing_since.is_some().into()),
        gauge("moonwa_webhook_at_risk", |report| report.at_risk.into()),
    ]
    .concat()
}

/// The metrics whose labels are texts about the configuration.
fn configuration(report: &ReloadReport) -> String {
    let info = (vec![("revision", report.revision.to_string())], 1.0);
    let info = family("moonwa_config_info", [info]);
    let rejected = report.rejected.map(|revision| (vec![("revision", revision.to_string())], 1.0));
    let problems = report.problems.iter().take(MOST_PROBLEMS).map(|problem| {
        let at = problem.at.map(|at| (at.line.to_string(), at.column.to_string()));
        let (line, column) = at.unwrap_or_default();
        let labels = vec![
            ("file", problem.file.clone()),
            ("line", line),
            ("column", column),
            ("key", problem.key.clone()),
            ("message", problem.message.clone()),
        ];
        (labels, 1.0)
    });
    let rejected = family("moonwa_config_rejected_info", rejected);
    [info, rejected, family("moonwa_config_problem_info", problems)].concat()
}

/// A gauge, with its value for each set of labels.
fn family(name: &str, rows: impl IntoIterator<Item = (Labels, f64)>) -> String {
    let escaped =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let label = |(name, value): &(&str, String)| format!("{name}=\"{}\"", escaped(value));
    let line = |(labels, value): (Labels, f64)| {
        let labels: Vec<String> = labels.iter().map(label).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        format!("{name}{labels} {value}\n")
    };
    let lines: String = rows.into_iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("# TYPE {name} gauge\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_prometheus_reads_them() {
        assert_eq!(family("a", Vec::new()), "");
        assert_eq!(family("a", [(Labels::new(), 0.5)]), "# TYPE a gauge\na 0.5\n");
        let rows = ["x", "say \"no\\yes\"\n"].map(|value| (vec![("m", value.to_owned())], 1.0));
        let text = "# TYPE a gauge\na{m=\"x\"} 1\na{m=\"say \\\"no\\\\yes\\\"\\n\"} 1\n";
        assert_eq!(family("a", rows), text);
    }
}
