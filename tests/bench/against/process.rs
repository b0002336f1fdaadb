//! What the kernel says about a process, and the machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use moonwa_simulator::harness::{PATIENCE, eventually_within};

/// A process that has used up nothing for so long has done its work.
const CALM: Duration = Duration::from_millis(300);

/// What a process has used up so far.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Used {
    /// Processor time in seconds.
    pub(crate) processor: f64,
    /// Bytes that it has caused to be written to the disk; what was cut off before it got there is not counted.
    pub(crate) written: f64,
}

/// A value of a file with lines such as `name: 12 kB`.
fn value(path: &str, name: &str) -> Result<f64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let line = line.with_context(|| format!("{path} has no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

pub(crate) fn used(pid: u32) -> Result<Used> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a strange /proc")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let ticks = ticks.sum::<Result<f64, _>>()?;
    let io = format!("/proc/{pid}/io");
    let written = value(&io, "write_bytes")? - value(&io, "cancelled_write_bytes")?;
    Ok(Used { processor: ticks / 100.0, written })
}

/// What a process has used up once it rests: what it does after its last answer (receipts, the store) is part of the work.
pub(crate) async fn used_at_rest(pid: u32) -> Result<Used> {
    let (mut last, mut since) = (used(pid)?, Instant::now());
    let look = || {
        let seen = used(pid);
        if let Ok(seen) = &seen
            && *seen != last
        {
            (last, since) = (*seen, Instant::now());
        }
        std::future::ready((seen.is_err(), since.elapsed()))
    };
    eventually_within(PATIENCE, "rest", look, |(gone, calm)| *gone || *calm >= CALM).await;
    used(pid)
}

/// What it has in memory, in MB.
pub(crate) fn resident(pid: u32) -> Result<f64> {
    Ok(value(&format!("/proc/{pid}/status"), "VmRSS")? / 1024.0)
}

pub(crate) fn threads(pid: u32) -> Result<f64> {
    value(&format!("/proc/{pid}/status"), "Threads")
}

/// The processor time of each of its threads in ms, which is finer than ticks, and how often it has woken up.
pub(crate) fn awake(pid: u32) -> Result<BTreeMap<OsString, (f64, f64)>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?.map(|thread| {
        let thread = thread?;
        let spent = fs::read_to_string(thread.path().join("schedstat"))?;
        let time = spent.split(' ').next().unwrap_or_default().parse::<f64>()? / 1e6;
        let status = thread.path().join("status");
        let wakes = value(&status.to_string_lossy(), "voluntary_ctxt_switches")?;
        Ok((thread.file_name(), (time, wakes)))
    });
    threads.collect()
}

/// What the threads that are still there did since `before`, in ms and wake-ups.
pub(crate) fn stirred(pid: u32, before: &BTreeMap<OsString, (f64, f64)>) -> Result<(f64, f64)> {
    let now = awake(pid)?;
    let since = now.iter().map(|(thread, (time, wakes))| {
        let (then, woken) = before.get(thread).copied().unwrap_or_default();
        (time - then, wakes - woken)
    });
    Ok(since.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1)))
}

/// What a folder takes on the disk, in bytes.
pub(crate) fn size(folder: &Path) -> Result<f64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut size = 0.0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let info = entry.metadata()?;
        // The kernel counts in halves of a KiB, whatever the blocks are.
        size +=
            if info.is_dir() { self::size(&entry.path())? } else { info.blocks() as f64 * 512.0 };
    }
    Ok(size)
}

/// The machine in words.
pub(crate) fn machine() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model =
        models.first().map_or("a processor", |model| model.trim_start_matches(['\t', ':', ' ']));
    let memory = value("/proc/meminfo", "MemTotal")? / 1024.0 / 1024.0;
    Ok(format!("{} × {model}, {memory:.0} GiB", models.len().max(1)))
}
