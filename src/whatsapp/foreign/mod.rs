//! The sessions that other gateways keep, so that they can be adopted. What their files mean is known to one module for
//! each product; from there on the way is that of a backup. Everything is only read. It blocks.

mod baileys;
#[cfg(feature = "adopt")]
mod evolution;
mod gowa;
mod hint;
mod load;
#[cfg(feature = "adopt")]
mod postgres;
#[cfg(feature = "adopt")]
mod row;
mod session;
mod settings;
mod source;
#[cfg(feature = "adopt")]
mod sqlite;
mod table;
#[cfg(feature = "adopt")]
mod waxum;
#[cfg(feature = "adopt")]
mod whatsmeow;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::baileys::CREDENTIALS;
pub(crate) use self::hint::lines as stop_hint;
pub(crate) use self::load::settings_of_file;
#[cfg(feature = "adopt")]
use self::load::settings_of_folder;
pub(crate) use self::session::{ForeignSession, choose};
pub(crate) use self::source::Source;
use self::source::{Url, is_database};
pub(crate) use self::table::Table;

/// Gateways keep a session at most so far below the folder that a person names: `.sessions/noweb/default`.
const DEEPEST: usize = 3;

const KNOWN: &str = "it reads folders of Baileys, with a creds.json in them, SQLite files of whatsmeow and \
                     whatsapp-rust, and PostgreSQL databases of whatsmeow and Evolution";

#[cfg(not(feature = "adopt"))]
const UNREAD: &str = "is a database, which this build of moonwa cannot read: adopt it with one of the releases, there run \
                      moonwa backup, and here moonwa restore";

/// The sessions in a source; there is at least one.
pub(crate) fn find(source: &Source) -> Result<Vec<ForeignSession>> {
    let sessions = match source {
        Source::Files(path) => in_files(path)?,
        Source::Upload(folder) => in_upload(folder)?,
        Source::Server(url) => in_server(url)?,
    };
    if !sessions.is_empty() {
        return Ok(sessions);
    }
    let unread = match source {
        Source::Files(path) => path.is_file() && path.extension().is_some() && is_unknown(path),
        Source::Upload(folder) => {
            fs::read_dir(folder)?.flatten().any(|entry| is_unknown(&entry.path()))
        }
        Source::Server(_) => false,
    };
    let hint = if unread { ENCRYPTED } else { "" };
    bail!("{source} has no session that moonwa knows: {KNOWN}{hint}")
}

const ENCRYPTED: &str = ". If it should be a SQLite file: it does not begin like one, so it is encrypted (SQLCipher) or damaged";

/// Whether a file is neither a database nor called like one of Baileys'.
fn is_unknown(path: &Path) -> bool {
    !is_database(path) && path.extension().is_none_or(|kind| kind != "json")
}

fn in_files(path: &Path) -> Result<Vec<ForeignSession>> {
    let metadata = path.metadata().with_context(|| path.display().to_string())?;
    let folder = match path.parent() {
        Some(parent) if path.ends_with(CREDENTIALS) => parent,
        _ => path,
    };
    if !metadata.is_dir() && folder == path {
        return if is_database(path) { in_database(path, None) } else { Ok(Vec::new()) };
    }
    let mut found = Vec::new();
    in_folder(folder, &last_name(&fs::canonicalize(folder)?), DEEPEST, &mut found)?;
    Ok(found)
}

/// What was sent is one session of Baileys', or databases. A damaged one is no session among others.
fn in_upload(folder: &Path) -> Result<Vec<ForeignSession>> {
    let mut sessions = Vec::new();
    if folder.join(CREDENTIALS).is_file() {
        let mut session = baileys::session(folder, "Baileys".to_owned())?;
        if let Ok(device) = &session.device {
            device.number().clone_into(&mut session.name);
        }
        sessions.push(session);
    } else {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
        files.sort();
        for file in files.iter().filter(|file| is_database(file)) {
            sessions.extend(in_database(file, Some(folder))?);
        }
    }
    Ok(sessions)
}

fn last_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn in_folder(
    folder: &Path,
    name: &str,
    deeper: usize,
    found: &mut Vec<ForeignSession>,
) -> Result<()> {
    if folder.join(CREDENTIALS).is_file() {
        found.push(baileys::session(folder, name.to_owned())?);
        return Ok(());
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if deeper > 0 {
                in_folder(&path, &last_name(&path), deeper - 1, found)?;
            }
        } else if is_database(&path) {
            match in_database(&path, None) {
                // A gateway with a database for each session names the folder after it.
                Ok(mut sessions) if deeper < DEEPEST && sessions.len() == 1 => {
                    for session in &mut sessions {
                        name.clone_into(&mut session.name);
                    }
                    found.extend(sessions);
                }
                Ok(sessions) => found.extend(sessions),
                Err(error) => {
                    let name = last_name(&path);
                    found.push(ForeignSession::new("an unknown gateway", name, Err(error)));
                }
            }
        }
    }
    Ok(())
}

#[cfg(feature = "adopt")]
fn in_database(file: &Path, own: Option<&Path>) -> Result<Vec<ForeignSession>> {
    let read = || {
        let copied = sqlite::Copied::of(file, own)?;
        in_rows(&mut copied.open()?)
    };
    let mut sessions = read().with_context(|| format!("{} is damaged", file.display()))?;
    for session in &mut sessions {
        session.files = sqlite::files(file).into();
        // One database of wuzapi's has both.
        if let Some(folder) = file.parent().filter(|_| session.settings.hooks.is_empty()) {
            session.settings = settings_of_folder(folder);
        }
    }
    // Another of wuzapi's has them apart.
    let users = file.with_file_name("users.db");
    if users != file && is_database(&users) {
        let copied = sqlite::Copied::of(&users, own)?;
        whatsmeow::settings_of_wuzapi(&mut copied.open()?, &mut sessions)?;
    }
    Ok(sessions)
}

#[cfg(feature = "adopt")]
fn in_rows(store: &mut dyn row::Rows) -> Result<Vec<ForeignSession>> {
    for sessions in [whatsmeow::sessions, waxum::sessions] {
        if let Some(sessions) = sessions(store)? {
            return Ok(sessions);
        }
    }
    Ok(Vec::new())
}

#[cfg(not(feature = "adopt"))]
fn in_database(file: &Path, _own: Option<&Path>) -> Result<Vec<ForeignSession>> {
    bail!("{} {UNREAD}", file.display())
}

#[cfg(feature = "adopt")]
fn in_server(url: &Url) -> Result<Vec<ForeignSession>> {
    let mut store = postgres::Database::open(url.expose())?;
    let of_whatsmeow = whatsmeow::sessions(&mut store)?.unwrap_or_default();
    let of_evolution = evolution::sessions(&mut store)?.unwrap_or_default();
    Ok(of_whatsmeow.into_iter().chain(of_evolution).collect())
}

#[cfg(not(feature = "adopt"))]
fn in_server(url: &Url) -> Result<Vec<ForeignSession>> {
    bail!("{url} {UNREAD}")
}

impl Url {
    /// Refuses a database that somebody is connected to.
    pub(crate) fn refuse_others(&self) -> Result<()> {
        #[cfg(feature = "adopt")]
        postgres::Database::open(self.expose())?.refuse_others()?;
        Ok(())
    }
}
