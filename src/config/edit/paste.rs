//! The lines that a person has to paste where moonwa may not write the file: only those that the edit changes, and no
//! secrets but those that the caller has just given.

use toml_edit::{DocumentMut, InlineTable, Item, TableLike, Value};

use super::document::Edit;
use super::webhooks::EndpointEdit;
use crate::config::mask::is_masked_url;
use crate::config::read::NOT_SHOWN;
use crate::config::view::is_credential;

impl Edit {
    /// What a person has to write when moonwa cannot write the file. Secrets from the file are shown as `NOT_SHOWN`,
    /// which is refused as a value, so a person has to put the secret itself in its place.
    pub fn to_paste(&self, text: &str) -> Option<String> {
        let (name, edit) = match self {
            Self::Remove(name) => return Some(format!("# Remove the table [device.{name}].\n")),
            Self::Put(name, edit) => (name, edit),
        };
        let edited = self.apply(text)?;
        let edited: DocumentMut = edited.trim_start_matches('\u{feff}').parse().ok()?;
        let device = edited.get("device")?.get(name.as_str())?.as_table_like()?;
        let place =
            if self.concerns(text) { " # here, in place of what has the same name" } else { "" };
        let line = |key: &str| match device.get(key).and_then(Item::as_value).cloned() {
            Some(value) => format!("{key} = {}\n", tidy(value)),
            None => removal(key),
        };
        let lines: String = edit.changes().iter().map(|(key, _)| line(key)).collect();
        let webhooks = edit.webhooks.as_ref().map(|webhooks| list(device, webhooks));
        let comments = if place.is_empty() { edit.comment_lines() } else { String::new() };
        let webhooks = webhooks.unwrap_or_default();
        Some(format!("{comments}[device.{name}]{place}\n{lines}{webhooks}"))
    }
}

fn removal(key: &str) -> String {
    format!("# Remove \"{key}\" here.\n")
}

/// The webhooks after the edit, in one list, whatever form they have in the file.
fn list(device: &dyn TableLike, edits: &[EndpointEdit]) -> String {
    let entries: Vec<Value> = match device.get("webhooks") {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter().map(|table| table.clone().into_inline_table().into()).collect()
        }
        Some(Item::Value(Value::Array(array))) => array.iter().cloned().collect(),
        _ => return removal("webhooks"),
    };
    let line = |(entry, edit): (Value, &EndpointEdit)| {
        let mut entry = tidy(entry);
        if let Value::InlineTable(table) = &mut entry {
            hide(table, edit);
        } else if is_masked_url(&edit.url) {
            entry = edit.url.as_str().into();
        }
        format!("  {entry},\n")
    };
    let lines: String = entries.into_iter().zip(edits).map(line).collect();
    format!("webhooks = [\n{lines}]\n")
}

/// Hides the secrets that are in the file in clear. A value that only names where the secret is stays.
fn hide(entry: &mut InlineTable, edit: &EndpointEdit) {
    if is_masked_url(&edit.url) {
        entry.insert("url", edit.url.as_str().into());
    }
    if edit.secret.is_none() {
        entry.get_mut("secret").into_iter().for_each(cover);
    }
    let Some(Value::InlineTable(headers)) = entry.get_mut("headers") else { return };
    for (name, value) in headers.iter_mut() {
        let given = edit
            .headers
            .iter()
            .flatten()
            .any(|(given, text)| text.is_some() && given.eq_ignore_ascii_case(name.get()));
        if !given && is_credential(name.get()) {
            cover(value);
        }
    }
}

fn cover(value: &mut Value) {
    match value {
        Value::String(_) => *value = tidy(NOT_SHOWN.into()),
        Value::Array(secrets) => {
            secrets.iter_mut().for_each(cover);
            secrets.fmt();
        }
        _ => {}
    }
}

/// A value without the comments and line breaks that it has in the file: a comment might hold an old secret.
fn tidy(mut value: Value) -> Value {
    match &mut value {
        Value::Array(array) => {
            array.iter_mut().for_each(|item| *item = tidy(item.clone()));
            array.set_trailing("");
            array.set_trailing_comma(false);
            array.fmt();
        }
        Value::InlineTable(table) => {
            for (_, item) in table.iter_mut() {
                *item = tidy(item.clone());
            }
            table.fmt();
        }
        _ => {}
    }
    value.decor_mut().clear();
    value
}
