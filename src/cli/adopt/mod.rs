//! `moonwa adopt`: the identity of a session that another gateway has linked, so that it connects here without a QR
//! code. Its files are only read. What they mean is known to one module for each product; from there on the way is that
//! of `moonwa restore`.

mod busy;
mod hint;
mod running;
mod settings;

use std::path::Path;

use anyhow::{Context, Result, bail};

pub(super) use self::running::OldUrl;
use self::settings::Table;
use super::local::on_runtime;
use super::user::own;
use crate::app;
use crate::config::{self, Config, Edit, EditError};
use crate::console::{Exit, confirm, say};
use crate::model::DeviceName;
use crate::store::Store;
use crate::whatsapp::foreign::{ForeignSession, Source, find};
use crate::whatsapp::{Backup, ForeignDevice, identities};

/// What a person asks for.
pub(super) struct Wish {
    pub(super) device: String,
    pub(super) from: Source,
    pub(super) session: Option<String>,
    pub(super) old_url: Option<OldUrl>,
    /// Nothing is asked.
    pub(super) sure: bool,
}

/// `moonwa adopt --list`: a line for each session.
pub(super) fn list(from: &Source) -> Result<Exit> {
    let sessions = find(from)?;
    let mut exit = Exit::Clean;
    let mut products: Vec<_> = sessions.iter().map(|session| session.product).collect();
    products.dedup();
    say(&format!("{from}: {} sessions of {}.", sessions.len(), products.join(" and ")));
    for ForeignSession { name, device, .. } in sessions {
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

/// `moonwa adopt --stop-hint`: what to type to stop the gateway that has these sessions.
pub(super) fn stop_hint(from: &Source) -> Result<Exit> {
    for line in hint::lines(from, &find(from)?) {
        say(&line);
    }
    Ok(Exit::Clean)
}

/// `moonwa adopt DEVICE`: into a store that nobody uses, and into moonwa.toml.
pub(super) fn adopt(config: Option<&Path>, wish: &Wish) -> Result<Exit> {
    let name = DeviceName::parse(&wish.device)?;
    let session = choose(find(&wish.from)?, wish.session.as_deref())?;
    let foreign = match &session.device {
        Ok(device) => device,
        Err(error) => bail!("{} cannot be adopted: {error:#}", session.name),
    };
    let backup = Backup::adopted(name.clone(), foreign)
        .with_context(|| format!("{} cannot be adopted", session.name))?;
    refuse_busy(wish, &session, foreign)?;
    let path = config::find(config)?;
    let config = Config::load(&path)?.config;
    own(&config.store.path)?;
    on_store(&config, async |store| refuse_linked(store, &name, foreign).await)?;

    say(&format!("{} of {}: {}", session.name, session.product, description(foreign)));
    for note in &session.notes {
        say(&format!("{note}; the device can live without it."));
    }
    let new = Table::new(&session.settings, &name, &path);
    let edit = Edit::Put(name.clone(), Box::new(new.edit.clone()));
    let table = config.devices.get(&name);
    match table {
        None => show_lines(&edit, &new.notes, &path, &config)?,
        Some(_) => say(&format!("{}: [device.{name}] is there and stays.", path.display())),
    }
    if !wish.sure && !confirm(&format!("Adopt it as {name}? The old gateway must stay stopped."))? {
        say("Nothing was changed.");
        return Ok(Exit::Failure);
    }
    on_store(&config, async |store| {
        refuse_linked(store, &name, foreign).await?;
        backup.restore(store).await?;
        Ok(())
    })?;
    if table.is_none() {
        edit.write(&path, None, &config).context(
            "the device is adopted, but not in the file: run the same command again once this is solved",
        )?;
    }
    if table.is_none() {
        new.keep();
        say(&format!("Its programs need a key: moonwa key new {name} --write"));
    }
    let start = if table.is_some_and(|device| !device.enabled) {
        "connects once enabled = false is taken out of its table"
    } else {
        "connects when moonwa starts"
    };
    say(&format!(
        "{name} is adopted; it {start}. The old gateway must stay stopped, or WhatsApp may log the device out. To go \
         back: stop moonwa, set enabled = false for {name} (no moonwa logout: that unlinks the phone), and start the old \
         gateway."
    ));
    Ok(Exit::Clean)
}

/// Refuses a session that its gateway still uses, as far as that can be seen, and says how to stop it.
fn refuse_busy(wish: &Wish, session: &ForeignSession, foreign: &ForeignDevice) -> Result<()> {
    let refuse = || {
        if let Some(old) = &wish.old_url {
            old.refuse(foreign.number())?;
        }
        match &wish.from {
            Source::Files(_) => busy::refuse(&session.files),
            // Where its API has answered, whoever else uses the database is another program.
            Source::Server(_) if wish.old_url.is_some() => Ok(()),
            Source::Server(url) => url.refuse_others(),
        }
    };
    refuse().map_err(|error| {
        let lines = hint::lines(&wish.from, std::slice::from_ref(session)).join("\n  ");
        anyhow::anyhow!("{error:#}\n  {lines}")
    })
}

/// Shows what the file gets. When moonwa may not write it, a person must do so first, and nothing is adopted.
fn show_lines(edit: &Edit, notes: &[String], path: &Path, config: &Config) -> Result<()> {
    match edit.rehearse(path, None, config) {
        Ok(_) => {}
        Err(EditError::ReadOnly { file, toml }) => {
            bail!("moonwa may not write {file}: add these lines there, then run this again\n{toml}")
        }
        Err(error) => return Err(error.into()),
    }
    say(&format!("{}:", path.display()));
    for line in edit.to_paste("").unwrap_or_default().lines() {
        say(&format!("+ {line}"));
    }
    for note in notes {
        say(&format!("# {note}."));
    }
    Ok(())
}

fn on_store<T>(config: &Config, work: impl AsyncFnOnce(&Store) -> Result<T>) -> Result<T> {
    on_runtime(async {
        let store = Store::open(app::store_options(config)).await?;
        let done = work(&store).await;
        store.close().await?;
        done
    })
}

async fn refuse_linked(store: &Store, name: &DeviceName, foreign: &ForeignDevice) -> Result<()> {
    if let Some(name) = identities::linked_as(store, &foreign.jid).await? {
        bail!("this session is adopted already: it is the device {name}");
    }
    if identities::is_linked(store, name).await? {
        bail!("{name} is linked already: take another name, or run moonwa logout {name} first");
    }
    Ok(())
}

/// The session that is called so, or whose number that is; the only one there is, when none is asked for.
fn choose(sessions: Vec<ForeignSession>, wanted: Option<&str>) -> Result<ForeignSession> {
    let names: Vec<_> = sessions.iter().map(|session| session.name.clone()).collect();
    let is_number = |device: &ForeignDevice, wanted: &str| {
        device.number() == wanted.strip_prefix('+').unwrap_or(wanted)
    };
    let fits = |session: &ForeignSession| {
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
