//! `moonwa adopt`: the identity of a session that another gateway has linked, so that it connects here without a QR
//! code. Its files are only read. What they mean is known to one module for each product; from there on the way is that
//! of `moonwa restore`.

mod baileys;
mod busy;
mod session;
#[cfg(feature = "adopt")]
mod sqlite;
#[cfg(feature = "adopt")]
mod whatsmeow;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use self::session::Session;
use super::local::on_runtime;
use super::user::own;
use crate::app;
use crate::config::{self, Config, Edit, EditError};
use crate::console::{Exit, say};
use crate::model::DeviceName;
use crate::store::Store;
use crate::whatsapp::{Backup, ForeignDevice, identities};

/// What was found in a source.
struct Found {
    /// The product that keeps its sessions like this.
    product: &'static str,
    sessions: Vec<Session>,
}

/// `moonwa adopt --list`: a line for each session.
pub(super) fn list(from: &Path) -> Result<Exit> {
    let found = find(from)?;
    let mut exit = Exit::Clean;
    say(&format!("{}: {} sessions of {}.", from.display(), found.sessions.len(), found.product));
    for Session { name, device, .. } in found.sessions {
        match device.and_then(|device| Ok(device.rows().map(|_| device)?)) {
            Ok(device) => say(&format!("{name} {}", description(&device))),
            Err(error) => {
                say(&format!("{name} cannot be adopted: {error:#}"));
                exit = Exit::Failure;
            }
        }
    }
    Ok(exit)
}

/// `moonwa adopt DEVICE`: into a store that nobody uses, and into moonwa.toml.
pub(super) fn adopt(
    config: Option<&Path>,
    device: &str,
    from: &Path,
    session: Option<&str>,
) -> Result<Exit> {
    let name = DeviceName::parse(device)?;
    let found = find(from)?;
    let product = found.product;
    let session = choose(found.sessions, session)?;
    let foreign = session.device.with_context(|| format!("{} cannot be adopted", session.name))?;
    busy::refuse(&session.files)?;
    let backup = Backup::adopted(name.clone(), &foreign)
        .with_context(|| format!("{} cannot be adopted", session.name))?;
    let path = config::find(config)?;
    let config = Config::load(&path)?.config;
    own(&config.store.path)?;

    say(&format!("{} of {product}: {}", session.name, description(&foreign)));
    for note in &session.notes {
        say(&format!("{note}; the device can live without it."));
    }
    let edit = Edit::Put(name.clone(), Box::default());
    let is_new = !config.devices.contains_key(&name);
    if is_new {
        match edit.rehearse(&path, None, &config) {
            Ok(_) => say(&format!("{}:\n+ [device.{name}]", path.display())),
            // A person has to write it then.
            Err(EditError::ReadOnly { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    on_runtime(async {
        let store = Store::open(app::store_options(&config)).await?;
        let done = into(&store, backup, &foreign).await;
        store.close().await?;
        done
    })?;
    if is_new {
        match edit.write(&path, None, &config) {
            Ok(_) => {}
            Err(EditError::ReadOnly { file, toml }) => say(&format!("Add to {file}:\n{toml}")),
            Err(error) => return Err(error).context("the device is adopted, but not in the file"),
        }
    }
    say(&format!(
        "{name} is adopted; it connects when moonwa starts. The old gateway must stay stopped, or WhatsApp may log the \
         device out. To go back: stop moonwa, set enabled = false for {name} (no moonwa logout: that unlinks the phone), \
         and start the old gateway."
    ));
    Ok(Exit::Clean)
}

async fn into(store: &Store, backup: Backup, foreign: &ForeignDevice) -> Result<()> {
    if let Some(name) = identities::linked_as(store, &foreign.jid).await? {
        bail!("this session is adopted already: it is the device {name}");
    }
    for (name, restored) in backup.restore(store).await? {
        if !restored {
            bail!("{name} is linked already and was left as it is");
        }
    }
    Ok(())
}

/// Recognises the product by what is there.
fn find(from: &Path) -> Result<Found> {
    let metadata = from.metadata().with_context(|| from.display().to_string())?;
    let folder = match from.parent() {
        Some(parent) if from.ends_with(baileys::CREDENTIALS) => parent,
        _ => from,
    };
    if metadata.is_dir() || folder != from {
        let sessions = baileys::sessions(folder)?;
        if !sessions.is_empty() {
            return Ok(Found { product: "Baileys", sessions });
        }
    } else if let Some(sessions) = in_database(from)? {
        return Ok(Found { product: "whatsmeow", sessions });
    }
    bail!(
        "{} has no session that moonwa knows: it reads folders of Baileys, with a creds.json in them, \
         and SQLite files of whatsmeow",
        from.display()
    )
}

#[cfg(feature = "adopt")]
fn in_database(file: &Path) -> Result<Option<Vec<Session>>> {
    if !is_database(file) {
        return Ok(None);
    }
    whatsmeow::sessions(file).with_context(|| format!("{} is damaged", file.display()))
}

#[cfg(not(feature = "adopt"))]
fn in_database(file: &Path) -> Result<Option<Vec<Session>>> {
    if !is_database(file) {
        return Ok(None);
    }
    bail!(
        "{} is a SQLite database, which this build of moonwa cannot read: adopt it with one of the releases, there run \
         moonwa backup, and here moonwa restore",
        file.display()
    )
}

fn is_database(file: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(file).and_then(|file| file.take(16).read_to_end(&mut start));
    read.is_ok() && start == b"SQLite format 3\0"
}

/// The session that is called so, or whose number that is; the only one there is, when none is asked for.
fn choose(sessions: Vec<Session>, wanted: Option<&str>) -> Result<Session> {
    let names: Vec<_> = sessions.iter().map(|session| session.name.clone()).collect();
    let is_number = |device: &ForeignDevice, wanted: &str| {
        device.number() == wanted.strip_prefix('+').unwrap_or(wanted)
    };
    let fits = |session: &Session| {
        wanted.is_none_or(|wanted| {
            let device = session.device.as_ref();
            session.name == wanted || device.is_ok_and(|device| is_number(device, wanted))
        })
    };
    let mut fitting = sessions.into_iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(session), None) => Ok(session),
        _ => bail!("say which session with --session; there are: {}", names.join(", ")),
    }
}

fn description(device: &ForeignDevice) -> String {
    let linked = device.linked_at().map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    format!("+{} {:?}, linked {linked}", device.number(), device.push_name)
}
