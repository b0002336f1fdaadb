//! What the reader of a product finds.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::settings::ForeignSettings;
use crate::model::DeviceName;
use crate::whatsapp::backup::Backup;
use crate::whatsapp::session::ForeignDevice;

/// One linked device of another gateway.
pub(crate) struct ForeignSession {
    pub(crate) name: String,
    /// The product, or the library, that keeps its sessions like this.
    pub(crate) product: &'static str,
    /// The files that its gateway writes.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) device: Result<ForeignDevice>,
    /// What is not as it should be, though the device can live without it.
    pub(crate) notes: Vec<String>,
    /// What its gateway was told to do, as far as that is known.
    pub(crate) settings: ForeignSettings,
}

impl ForeignSession {
    pub(super) fn new(product: &'static str, name: String, device: Result<ForeignDevice>) -> Self {
        let settings = ForeignSettings::default();
        Self { name, product, files: Vec::new(), device, notes: Vec::new(), settings }
    }

    /// Its device, and what a backup of it would be under that name here.
    pub(crate) fn identity(&self, name: &DeviceName) -> Result<(&ForeignDevice, Backup)> {
        let device = match &self.device {
            Ok(device) => device,
            Err(error) => bail!("{} cannot be adopted: {error:#}", self.name),
        };
        let backup = Backup::adopted(name.clone(), device);
        Ok((device, backup.with_context(|| format!("{} cannot be adopted", self.name))?))
    }

    /// Why it cannot be adopted.
    pub(crate) fn problem(&self) -> Option<String> {
        match &self.device {
            Ok(device) => device.rows().err().map(|error| error.to_string()),
            Err(error) => Some(format!("{error:#}")),
        }
    }
}

/// The session that is called so, or whose number that is; the only one there is, when none is asked for. `how` one is
/// asked for is told to whoever must.
pub(crate) fn choose(
    sessions: Vec<ForeignSession>,
    wanted: Option<&str>,
    how: &str,
) -> Result<ForeignSession> {
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
        _ => bail!("say which session with {how}; there are: {}", names.join(", ")),
    }
}
