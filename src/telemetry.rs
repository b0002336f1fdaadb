//! Log lines and metrics. Under systemd each line carries its journal priority; elsewhere it is plain text or JSON.
//! What may be logged is decided where it is logged: no message text, no QR code, no secret.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::config::LogConfig;
use crate::model::show_full_numbers;

/// Other crates stay silent but for the database: the engine logs pair codes and chats under target names of its own,
/// and what its errors mean for a device is in the device's state.
const OTHERS: [(&str, LevelFilter); 2] =
    [("fjall", LevelFilter::WARN), ("lsm_tree", LevelFilter::WARN)];

/// Whether a line may be written whatever `$RUST_LOG` asks for: the promise that no code, name or message reaches the
/// log is ours alone.
fn is_safe(line: &Metadata<'_>) -> bool {
    let of = |name: &str| {
        line.target()
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    of("moonwa") || (*line.level() <= Level::WARN && (of("fjall") || of("lsm_tree")))
}

/// What the log says, while it runs.
#[derive(Clone, Debug, Default)]
pub struct Log(Option<reload::Handle<Targets, Registry>>);

impl Log {
    /// Makes the log say what the configuration asks for.
    pub fn follow(&self, log: &LogConfig) {
        show_full_numbers(log.full_jids);
        let Some(filter) = &self.0 else { return };
        if let Err(error) = filter.reload(ours(log)) {
            tracing::error!(%error, "The log keeps its level.");
        }
    }
}

/// The upper bounds of a histogram's buckets, in seconds. Buckets of several gateways add up, and cost little memory.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn ours(log: &LogConfig) -> Targets {
    let level: LevelFilter = log.level.into();
    Targets::new().with_targets(OTHERS).with_target("moonwa", level)
}

/// Installs the subscriber and the metrics recorder. Call once, first. `$RUST_LOG` has the last word on our own lines.
pub(crate) fn install(log: &LogConfig) -> (PrometheusHandle, Log) {
    show_full_numbers(log.full_jids);
    let asked: Option<Targets> =
        std::env::var("RUST_LOG").ok().and_then(|asked| asked.parse().ok());
    let is_ours = asked.is_none();
    let (filter, handle) = reload::Layer::new(asked.unwrap_or_else(|| ours(log)));
    let unsafe_dependencies = log.unsafe_dependencies;
    let safe = filter_fn(move |line| unsafe_dependencies || is_safe(line));
    let registry = tracing_subscriber::registry().with(filter).with(safe);
    let writer = std::io::stderr;
    let installed = if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(fmt::layer().with_writer(writer).event_format(journal::Format)).try_init()
    } else if std::env::var("MOONWA_LOG_FORMAT").is_ok_and(|format| format == "json") {
        registry.with(fmt::layer().with_writer(writer).json().flatten_event(true)).try_init()
    } else {
        // Colours would need a library of their own.
        let plain = fmt::layer().with_writer(writer).with_ansi(false).with_target(false);
        registry.with(plain).try_init()
    };
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
    let recorder = builder.unwrap_or_default().build_recorder();
    let metrics = recorder.handle();
    if unsafe_dependencies {
        tracing::warn!(
            "log.unsafe_dependencies: the log may hold QR codes, names and messages. Keep it to yourself."
        );
    }
    if installed.is_err() || metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("Telemetry was installed before.");
    }
    (metrics, Log(Some(handle).filter(|_| is_ours)))
}

/// Lines for systemd's journal: `<priority>` in front, no time (the journal has it), fields after the message.
mod journal {
    use std::fmt;

    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::fmt::FmtContext;
    use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
    use tracing_subscriber::registry::LookupSpan;

    pub(super) struct Format;

    impl<S, N> FormatEvent<S, N> for Format
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        fn format_event(
            &self,
            context: &FmtContext<'_, S, N>,
            mut writer: Writer<'_>,
            event: &Event<'_>,
        ) -> fmt::Result {
            let priority = match *event.metadata().level() {
                Level::ERROR => 3,
                Level::WARN => 4,
                Level::INFO => 6,
                Level::DEBUG | Level::TRACE => 7,
            };
            write!(writer, "<{priority}>")?;
            context.format_fields(writer.by_ref(), event)?;
            writeln!(writer)
        }
    }
}
