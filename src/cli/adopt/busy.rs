//! Whether another gateway still uses its files. Two that run as one device throw each other out, and WhatsApp may log
//! the device out for it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

/// A gateway that runs writes every few minutes at most; for so long nothing must have been written.
const QUIET: Duration = Duration::from_secs(60);

/// Refuses files that somebody has open or has just written.
pub(super) fn refuse(files: &[PathBuf]) -> Result<()> {
    let mut ids = BTreeMap::new();
    for file in files {
        let Ok(metadata) = file.metadata() else { continue };
        ids.insert((metadata.dev(), metadata.ino()), file);
        let age = metadata.modified()?.elapsed().unwrap_or(QUIET);
        if age < QUIET {
            bail!(
                "{} was written {} s ago: stop the gateway that uses it, wait a minute, and try again",
                file.display(),
                age.as_secs()
            );
        }
    }
    if let Some((process, file)) = holder(&ids) {
        bail!("{} is in use by process {process}: stop that gateway first", file.display());
    }
    Ok(())
}

/// A process that has one of the files open, as far as this user may see it. A process in a container counts.
fn holder<'a>(ids: &BTreeMap<(u64, u64), &'a PathBuf>) -> Option<(String, &'a PathBuf)> {
    let open = |process: &Path| {
        let fds = fs::read_dir(process.join("fd")).ok()?;
        fds.flatten().find_map(|fd| {
            let metadata = fs::metadata(fd.path()).ok()?;
            ids.get(&(metadata.dev(), metadata.ino())).copied()
        })
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.map(|process| process.path()).find_map(|process| {
        let file = open(&process)?;
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let id = process.file_name()?.to_string_lossy().into_owned();
        Some((format!("{id} ({})", name.trim()), file))
    })
}
