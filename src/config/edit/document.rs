//! The admin page's edits of `moonwa.toml`, made as a person would make them: comments, order and form of everything
//! else stay. This works on text only: `write` puts it on the disk, and `load` says whether it is a good
//! configuration.

use serde::Deserialize;
use toml_edit::{DocumentMut, InlineTable, Item, Table};

use super::table::{Change, add, change, move_to, text, text_or_table};
use super::webhooks::{EndpointEdit, change_webhooks};
use crate::model::{DeviceName, KeyHash, Secret};

#[derive(Clone, Debug)]
pub enum Edit {
    /// Changes a device, or adds it.
    Put(DeviceName, Box<DeviceEdit>),
    Remove(DeviceName),
}

/// What to change in a device. An absent field leaves its key as it is; an empty text removes the key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceEdit {
    pub label: Option<String>,
    pub enabled: Option<bool>,
    /// Made by moonwa, never taken from a request.
    #[serde(skip)]
    pub api_key: Option<KeyHash>,
    pub country_code: Option<String>,
    pub pace: Option<String>,
    pub presence: Option<String>,
    pub shown_as: Option<String>,
    pub proxy: Option<Secret>,
    /// The whole list of webhooks, in its new order.
    pub webhooks: Option<Vec<EndpointEdit>>,
    /// What stands above the table of a new device for people to read. Never taken from a request.
    #[serde(skip)]
    pub comments: Vec<String>,
}

impl DeviceEdit {
    pub(super) fn changes(&self) -> Vec<Change<'static>> {
        let changes = [
            ("label", self.label.as_deref().map(text)),
            ("enabled", self.enabled.map(|on| Some(on.into()))),
            ("api_key", self.api_key.map(|hash| Some(hash.to_string().into()))),
            ("country_code", self.country_code.as_deref().map(text)),
            ("pace", self.pace.as_deref().map(text_or_table)),
            ("presence", self.presence.as_deref().map(text)),
            ("shown_as", self.shown_as.as_deref().map(text)),
            ("proxy", self.proxy.as_ref().map(|proxy| text(proxy.expose()))),
        ];
        changes.into_iter().filter_map(|(key, change)| Some((key, change?))).collect()
    }

    /// The comments as lines of the file.
    pub(super) fn comment_lines(&self) -> String {
        // A line break would end the comment.
        let line = |comment: &String| format!("# {}.\n", comment.replace(char::is_control, " "));
        self.comments.iter().map(line).collect()
    }
}

impl Edit {
    /// Whether this text has a table of the device.
    pub(super) fn concerns(&self, text: &str) -> bool {
        let (Self::Put(name, _) | Self::Remove(name)) = self;
        let document = text.trim_start_matches('\u{feff}').parse::<DocumentMut>().ok();
        let device = |document: DocumentMut| document.get("device")?.get(name.as_str()).cloned();
        document.and_then(device).is_some()
    }

    /// The file's text after the edit; `None` when it cannot be parsed or the device to remove is not there.
    pub fn apply(&self, text: &str) -> Option<String> {
        let (mark, body) = match text.strip_prefix('\u{feff}') {
            Some(body) => ("\u{feff}", body),
            None => ("", text),
        };
        let crlf = body.contains("\r\n");
        let mut document: DocumentMut = body.replace("\r\n", "\n").parse().ok()?;
        self.change(&mut document)?;
        let mut edited = document.to_string();
        if let (Self::Remove(name), true) = (self, edited.trim().is_empty()) {
            // An empty file would be refused, because it may be one being written.
            edited = format!("# The device {name} was here.\n");
        }
        let edited = if crlf { edited.replace('\n', "\r\n") } else { edited };
        Some(format!("{mark}{edited}"))
    }

    fn change(&self, document: &mut DocumentMut) -> Option<()> {
        let is_empty = document.to_string().is_empty();
        let trailing = document.trailing().as_str().unwrap_or_default();
        let above = if is_empty { String::new() } else { format!("{trailing}\n") };
        let mut implicit = Table::new();
        implicit.set_implicit(true);
        let devices = document.entry("device").or_insert(Item::Table(implicit));
        let inline = devices.is_inline_table();
        let devices = devices.as_table_like_mut()?;
        match self {
            Self::Remove(name) => {
                let removed = devices.remove(name.as_str())?;
                if let Item::Table(table) = removed {
                    keep_what_stood_before(document, &table);
                }
            }
            Self::Put(name, edit) => {
                let is_new = !devices.contains_key(name.as_str());
                if is_new && inline {
                    add(devices, name.as_str(), InlineTable::new().into());
                } else if is_new {
                    devices.insert(name.as_str(), Item::Table(Table::new()));
                }
                let device = devices.get_mut(name.as_str())?.as_table_like_mut()?;
                change(device, edit.changes());
                if let Some(webhooks) = &edit.webhooks {
                    change_webhooks(device, webhooks);
                }
                if is_new && !inline {
                    at_the_end(document, name, above + &edit.comment_lines())?;
                }
            }
        }
        Some(())
    }
}

/// Moves a new device to the end of the file, below the comments there, which belong to what is above them.
fn at_the_end(document: &mut DocumentMut, name: &DeviceName, above: String) -> Option<()> {
    document.set_trailing("");
    let table = document.get_mut("device")?.get_mut(name.as_str())?.as_table_mut()?;
    table.decor_mut().set_prefix(above);
    move_to(table, Some(isize::MAX));
    Some(())
}

/// Keeps the comments above a removed table that are not about it: those above the last empty line.
fn keep_what_stood_before(document: &mut DocumentMut, removed: &Table) {
    let (Some(place), Some(prefix)) = (removed.position(), prefix(removed)) else { return };
    let Some((kept, _)) = prefix.rsplit_once("\n\n").filter(|(kept, _)| !kept.trim().is_empty())
    else {
        return;
    };
    let mut next = None;
    each_table(document.as_table_mut(), &mut |table| {
        let after = table.position().filter(|at| *at > place);
        next = after.into_iter().chain(next).min();
    });
    if next.is_none() {
        let trailing = document.trailing().as_str().unwrap_or_default();
        document.set_trailing(format!("{kept}\n{trailing}"));
    }
    each_table(document.as_table_mut(), &mut |table| {
        if next.is_some() && table.position() == next {
            let own = self::prefix(table).unwrap_or_default();
            table.decor_mut().set_prefix(format!("{kept}\n{own}"));
        }
    });
}

fn prefix(table: &Table) -> Option<String> {
    table.decor().prefix()?.as_str().map(ToOwned::to_owned)
}

fn each_table(table: &mut Table, visit: &mut dyn FnMut(&mut Table)) {
    visit(table);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => each_table(inner, visit),
            Item::ArrayOfTables(list) => {
                list.iter_mut().for_each(|inner| each_table(inner, visit));
            }
            _ => {}
        }
    }
}
