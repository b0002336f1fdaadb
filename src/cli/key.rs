//! `moonwa key new`: an API key, or the token of the admin page, and the line that lets it in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::user::configuration;
use crate::config::{self, DeviceEdit, Edit, EditError, KeyConfig, nearest};
use crate::console::{Exit, say};
use crate::model::{DeviceName, KeyHash};

/// The key, once. With `write` its hash goes into the file, otherwise the line is printed.
pub(super) fn new(config: Option<&Path>, device: &str, write: bool) -> Result<Exit> {
    let key = config::new_key();
    let hash = KeyHash::of(key.expose());
    // "admin" is no device here: the token of the admin page is made the same way, also where there is no file yet.
    let lines = if device == "admin" {
        if write {
            bail!(
                "--write is for the keys of devices; put the token's line below [admin] yourself"
            );
        }
        format!("For moonwa.toml, below [admin]:\n\ntoken = \"{hash}\"")
    } else {
        of_device(config, device, hash, write)?
    };
    say(&format!("The key (it is shown once and stored nowhere):\n\n  {}\n", key.expose()));
    say(&lines);
    Ok(Exit::Clean)
}

fn of_device(config: Option<&Path>, device: &str, hash: KeyHash, write: bool) -> Result<String> {
    let (path, config) = configuration(config)?;
    let name = DeviceName::parse(device).ok();
    let Some((name, now)) = name.and_then(|name| Some((name.clone(), config.devices.get(&name)?)))
    else {
        let known: Vec<&str> = config.devices.keys().map(DeviceName::as_str).collect();
        let near = match nearest(device, &known) {
            Some(near) => format!("; did you mean {near}?"),
            None if known.is_empty() => String::new(),
            None => format!("; known: {}", known.join(", ")),
        };
        bail!("there is no device \"{device}\" in {}{near}", path.display());
    };
    let had_one = now.keys.iter().any(|key| key.id == KeyConfig::DEFAULT);
    let put = DeviceEdit { api_key: Some(hash), ..DeviceEdit::default() };
    let edit = Edit::Put(name.clone(), Box::new(put));
    if write {
        edit.write(&path, None, &config).context("without --write the line is printed")?;
        let ends = if had_one { " The key that was there is not valid any more." } else { "" };
        return Ok(format!("Its hash stands in the table [device.{name}] now.{ends}"));
    }
    let file = match edit.file(&path, &config) {
        Ok(file) => file,
        Err(EditError::ReadOnly { file, .. }) => PathBuf::from(file),
        Err(_) => path,
    };
    let place = if had_one { ", in place of the api_key that is there" } else { "" };
    Ok(format!(
        "For the table [device.{name}] in {}{place} (--write puts it there):\n\napi_key = \"{hash}\"",
        file.display()
    ))
}
