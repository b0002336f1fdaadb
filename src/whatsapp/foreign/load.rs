//! The files with which another gateway was told what to do.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

use super::gowa;
use super::settings::ForeignSettings;

/// The longest file that starts a gateway, in bytes.
const LONGEST: u64 = 1 << 20;

/// What stands beside a session: WAHA's settings, or what GOWA is started with.
pub(super) fn settings_of_folder(folder: &Path) -> ForeignSettings {
    if let Ok(text) = fs::read(folder.join(".waha.session.config.json")) {
        return ForeignSettings::of_waha(&text);
    }
    // GOWA's database is in a folder below.
    let folders = [Some(folder), folder.parent()];
    folders.into_iter().flatten().find_map(settings_of_start).unwrap_or_default()
}

/// What a file says that starts another gateway.
pub(crate) fn settings_of_file(file: &Path) -> Result<ForeignSettings> {
    let place = || file.display().to_string();
    let mut text = String::new();
    let opened = File::open(file).with_context(place)?;
    opened.take(LONGEST).read_to_string(&mut text).with_context(place)?;
    if file.extension().is_some_and(|kind| kind == "json") {
        return Ok(ForeignSettings::of_waha(text.as_bytes()));
    }
    let found = gowa::settings(&text);
    found.with_context(|| format!("{} has no setting of GOWA's", file.display()))
}

fn settings_of_start(folder: &Path) -> Option<ForeignSettings> {
    let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter(|file| starts_gateway(file)).collect();
    files.sort();
    files.iter().find_map(|file| settings_of_file(file).ok())
}

/// Whether a file by this name may say how a gateway is started: for Compose, systemd or a shell.
fn starts_gateway(file: &Path) -> bool {
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    match kind {
        "env" | "service" | "container" | "sh" => true,
        "yml" | "yaml" => stem.contains("compose"),
        _ => false,
    }
}
