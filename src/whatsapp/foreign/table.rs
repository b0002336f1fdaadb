//! The table of an adopted device, with what its gateway was told to do.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::settings::{ForeignHook, ForeignSettings};
use crate::config::{DeviceEdit, EndpointEdit, shown_url};
use crate::model::{DeviceName, web_url};
use crate::private;

/// A device has at most so many webhooks.
const MOST: usize = 4;

/// So many bytes moonwa wants of a secret at least; others take any, and GOWA's own has six.
const SHORTEST: usize = 24;

/// What is written for a device. The files with its secrets are there already; unless it is kept, they go again.
pub(crate) struct Table {
    /// With what has no counterpart, or a person has to do, as comments.
    pub(crate) edit: DeviceEdit,
    notes: Vec<String>,
    secrets: Vec<PathBuf>,
}

impl Table {
    pub(crate) fn new(settings: &ForeignSettings, name: &DeviceName, config: &Path) -> Self {
        let mut this = Self {
            edit: DeviceEdit::default(),
            notes: settings.notes.clone(),
            secrets: Vec::new(),
        };
        let mut webhooks: Vec<EndpointEdit> = Vec::new();
        for hook in &settings.hooks {
            if webhooks.iter().any(|known| known.url == hook.url) {
                continue;
            }
            if web_url(&hook.url).is_err() {
                let url = shown_url(&hook.url);
                this.notes.push(format!("The webhook {url:?} was left out: that is no URL"));
                continue;
            }
            if webhooks.len() == MOST {
                this.notes.push(format!(
                    "A device has at most {MOST} webhooks: the others were left out"
                ));
                break;
            }
            let file = format!("{name}.webhook-{}.secret", webhooks.len() + 1);
            webhooks.push(this.webhook(hook, &file, config));
        }
        if !webhooks.is_empty() {
            if webhooks.iter().any(|webhook| webhook.format.is_some()) {
                let note = "The bodies are in the form that the receiver knows; without \"format\" they are moonwa's own";
                this.notes.push(note.to_owned());
            }
            this.edit.webhooks = Some(webhooks);
        }
        this.edit.comments = std::mem::take(&mut this.notes);
        this
    }

    fn webhook(&mut self, hook: &ForeignHook, file: &str, config: &Path) -> EndpointEdit {
        let path = config.with_file_name(file);
        let long = hook.secret.as_ref().filter(|secret| secret.expose().len() >= SHORTEST);
        if hook.secret.is_some() && long.is_none() {
            self.notes.push(format!(
                "The secret of {} has fewer than {SHORTEST} bytes, so its requests are not signed. Make one with \"openssl rand \
                 -hex 32\", give it to the receiver, put it into {file}, and write secret = {{ file = {file:?} }} beside the url",
                shown_url(&hook.url)
            ));
        }
        let secret = long.and_then(|secret| {
            // What is there is somebody's.
            let new = if path.exists() { None } else { private::create(&path).ok() };
            let written = new.is_some_and(|mut new| new.write_all(secret.expose().as_bytes()).is_ok());
            if !written {
                self.notes.push(format!(
                    "{} cannot be written: put the secret of the other gateway there, and secret = {{ file = {file:?} }} \
                     beside the url",
                    path.display()
                ));
            }
            written.then(|| file.to_owned())
        });
        if secret.is_some() {
            self.secrets.push(path);
        }
        let headers = hook.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), Some(value.clone())));
        EndpointEdit {
            url: hook.url.clone(),
            secret_file: secret,
            events: Some(hook.events.iter().map(|event| (*event).to_owned()).collect()),
            format: hook.format.map(str::to_owned),
            qr: hook.qr.then_some(true),
            headers: (!hook.headers.is_empty()).then(|| headers.collect()),
            ..EndpointEdit::default()
        }
    }

    /// The table is written: its secrets stay.
    pub(crate) fn keep(mut self) {
        self.secrets.clear();
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for secret in &self.secrets {
            let _gone = fs::remove_file(secret);
        }
    }
}
