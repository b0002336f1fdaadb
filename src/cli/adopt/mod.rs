//! `moonwa adopt`: the identity of a session that another gateway has linked, so that it connects here without a QR
//! code. Its files are only read. What they mean is known to one module for each product; from there on the way is that
//! of `moonwa restore`.

mod busy;
mod running;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub(super) use self::running::OldUrl;
use super::local::on_runtime;
use super::user::own;
use crate::app;
use crate::config::{self, Config, Edit, EditError};
use crate::console::{Exit, confirm, say};
use crate::model::DeviceName;
use crate::store::{Store, StoreError};
use crate::whatsapp::foreign::{
    ForeignSession, Source, Table, choose, find, settings_of_file, stop_hint as hint,
};
use crate::whatsapp::identities::refuse_taken;
use crate::whatsapp::{ForeignDevice, identities};

/// What a person asks for.
pub(super) struct Wish {
    pub(super) device: String,
    pub(super) from: Source,
    pub(super) session: Option<String>,
    pub(super) old_url: Option<OldUrl>,
    /// What starts the other gateway, and has its settings.
    pub(super) settings: Option<PathBuf>,
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
    for line in hint(from, &find(from)?) {
        say(&line);
    }
    Ok(Exit::Clean)
}

/// `moonwa adopt DEVICE`: into a store that nobody uses, and into moonwa.toml.
pub(super) fn adopt(config: Option<&Path>, wish: &Wish) -> Result<Exit> {
    let name = DeviceName::parse(&wish.device)?;
    let mut session = choose(find(&wish.from)?, wish.session.as_deref(), "--session")?;
    if let Some(file) = &wish.settings {
        session.settings = settings_of_file(file)?;
    }
    let (foreign, backup) = session.identity(&name)?;
    refuse_busy(wish, &session, foreign)?;
    let path = config::find(config)?;
    let config = Config::load(&path)?.config;
    own(&config.store.path)?;
    let table = config.devices.get(&name);
    let is_taken = async |store: &Store| match identities::linked_as(store, &foreign.jid).await? {
        // It was adopted before, but not written into the file.
        Some(known) if known == name && table.is_none() => Ok(false),
        _ => refuse_taken(store, &name, &foreign.jid).await.map(|()| true).map_err(Into::into),
    };
    on_store(&config, is_taken)?;

    say(&format!("{} of {}: {}", session.name, session.product, description(foreign)));
    for note in &session.notes {
        say(&format!("{note}; the device can live without it."));
    }
    let new = Table::new(&session.settings, &name, &path);
    let edit = Edit::Put(name.clone(), Box::new(new.edit.clone()));
    match table {
        None => show_lines(&edit, &path, &config)?,
        Some(_) => say(&format!("{}: [device.{name}] is there and stays.", path.display())),
    }
    if !wish.sure && !confirm(&format!("Adopt it as {name}? The old gateway must stay stopped."))? {
        say("Nothing was changed.");
        return Ok(Exit::Failure);
    }
    on_store(&config, async |store| {
        if is_taken(store).await? {
            backup.restore(store).await?;
        }
        Ok(())
    })?;
    if table.is_none() {
        edit.write(&path, None, &config).context(
            "the device is adopted, but not in the file: run the same command again once this is solved",
        )?;
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
            Source::Files(_) | Source::Upload(_) => busy::refuse(&session.files),
            // Where its API has answered, whoever else uses the database is another program.
            Source::Server(_) if wish.old_url.is_some() => Ok(()),
            Source::Server(url) => url.refuse_others(),
        }
    };
    refuse().map_err(|error| {
        let lines = hint(&wish.from, std::slice::from_ref(session)).join("\n  ");
        anyhow::anyhow!("{error:#}\n  {lines}")
    })
}

/// Shows what the file gets. When moonwa may not write it, a person must do so first, and nothing is adopted.
fn show_lines(edit: &Edit, path: &Path, config: &Config) -> Result<()> {
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
    Ok(())
}

fn on_store<T>(config: &Config, work: impl AsyncFnOnce(&Store) -> Result<T>) -> Result<T> {
    on_runtime(async {
        let store = Store::open(app::store_options(config)).await.map_err(|error| match error {
            StoreError::Locked(_) => anyhow::anyhow!(
                "{error}, or have its page do this (Add Device, Move from another gateway)"
            ),
            error => error.into(),
        })?;
        let done = work(&store).await;
        store.close().await?;
        done
    })
}

fn description(device: &ForeignDevice) -> String {
    let linked = device.linked_at().map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    format!("+{} {:?}, linked {linked}", device.number(), device.push_name)
}
