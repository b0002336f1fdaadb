//! The list of webhooks in an edit: entries keep their comments and their form, whichever of TOML's forms the list has.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml_edit::{
    Array, ArrayOfTables, Decor, InlineTable, Item, RawString, Table, TableLike, Value,
};

use super::table::{Change, add, change, move_to, remove, text, texts};
use crate::config::mask::masked_url;
use crate::model::encoded_url;

/// A webhook in the new list. What is absent stays as it is in the old entry; an empty text or list removes its key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointEdit {
    /// Which entry of the old list this was, counted from 1; absent for a new one.
    pub n: Option<usize>,
    pub url: String,
    pub secret: Option<String>,
    /// Where the secret is, beside `moonwa.toml`. Never taken from a request.
    #[serde(skip)]
    pub secret_file: Option<String>,
    pub events: Option<Vec<String>>,
    pub chats: Option<Vec<String>>,
    pub only: Option<Vec<String>>,
    pub ignore: Option<Vec<String>>,
    pub from_me: Option<bool>,
    pub format: Option<String>,
    pub compat: Option<Vec<String>>,
    pub timeout: Option<String>,
    pub qr: Option<bool>,
    pub paused: Option<bool>,
    pub start: Option<String>,
    /// The inbox of Chatwoot; 0 removes the key.
    pub account: Option<u32>,
    pub inbox: Option<u32>,
    pub token: Option<String>,
    /// The whole list of headers; one with `null` keeps its value.
    pub headers: Option<BTreeMap<String, Option<String>>>,
}

impl EndpointEdit {
    fn changes(&self) -> Vec<Change<'static>> {
        let changes = [
            ("url", Some(Some(self.url.as_str().into()))),
            ("secret", self.secret.as_deref().map(text)),
            ("secret", self.secret_file.as_deref().map(|file| Some(in_file(file)))),
            ("events", self.events.as_deref().map(texts)),
            ("chats", self.chats.as_deref().map(texts)),
            ("only", self.only.as_deref().map(texts)),
            ("ignore", self.ignore.as_deref().map(texts)),
            ("from_me", self.from_me.map(|on| Some(on.into()))),
            ("format", self.format.as_deref().map(text)),
            ("compat", self.compat.as_deref().map(texts)),
            ("timeout", self.timeout.as_deref().map(text)),
            ("qr", self.qr.map(|on| Some(on.into()))),
            ("paused", self.paused.map(|on| Some(on.into()))),
            ("start", self.start.as_deref().map(text)),
            ("account", self.account.map(number)),
            ("inbox", self.inbox.map(number)),
            ("token", self.token.as_deref().map(text)),
        ];
        changes.into_iter().filter_map(|(key, change)| Some((key, change?))).collect()
    }

    /// Whether the edit sets nothing but the URL, so that an entry that is only a URL can stay one.
    fn is_plain(&self) -> bool {
        let headers = self.headers.iter().flat_map(BTreeMap::values).all(Option::is_none);
        headers && self.changes().iter().all(|(key, value)| *key == "url" || value.is_none())
    }

    /// The same edit, where a URL as it is shown means the one in the file.
    fn unmasked(&self, old: Option<&str>) -> Self {
        let url = old
            .filter(|old| masked_url(&encoded_url(old)) == self.url)
            .unwrap_or(&self.url)
            .to_owned();
        Self { url, ..self.clone() }
    }

    fn to_inline(&self) -> Value {
        let mut table = InlineTable::new();
        table.insert("url", self.url.as_str().into());
        self.change(&mut table);
        table.into()
    }

    fn change(&self, entry: &mut dyn TableLike) {
        change(entry, self.changes());
        if let Some(headers) = &self.headers {
            change_headers(entry, headers);
        }
    }
}

/// No inbox has the number 0.
fn number(number: u32) -> Option<Value> {
    (number > 0).then(|| i64::from(number).into())
}

/// A rule goes on naming the webhook that it named. The number of none says that it is gone, so that the edit is refused.
fn renumber(rule: &mut dyn TableLike, webhooks: &[EndpointEdit]) {
    let Some(named) = rule.get("webhook").and_then(Item::as_integer) else { return };
    let is_named =
        |webhook: &EndpointEdit| webhook.n.is_some_and(|n| i64::try_from(n) == Ok(named));
    let place = (1..).zip(webhooks).find(|(_, webhook)| is_named(webhook)).map_or(0, |(n, _)| n);
    change(rule, vec![("webhook", Some(Value::from(place)))]);
}

fn in_file(file: &str) -> Value {
    InlineTable::from_iter([("file", file)]).into()
}

pub(super) fn change_webhooks(device: &mut dyn TableLike, webhooks: &[EndpointEdit]) {
    match device.get_mut("rules") {
        Some(Item::ArrayOfTables(rules)) => {
            rules.iter_mut().for_each(|rule| renumber(rule, webhooks));
        }
        Some(Item::Value(Value::Array(rules))) => {
            let rules = rules.iter_mut().filter_map(Value::as_inline_table_mut);
            rules.for_each(|rule| renumber(rule, webhooks));
        }
        _ => {}
    }
    if webhooks.is_empty() {
        remove(device, "webhooks");
        return;
    }
    match device.get_mut("webhooks") {
        Some(Item::ArrayOfTables(tables)) => change_tables(tables, webhooks),
        Some(Item::Value(Value::Array(array))) => change_array(array, webhooks),
        _ => {
            let mut array = Array::new();
            change_array(&mut array, webhooks);
            device.insert("webhooks", Item::Value(array.into()));
        }
    }
}

/// `webhooks = ["…", { url = "…" }]`.
fn change_array(array: &mut Array, webhooks: &[EndpointEdit]) {
    let old: Vec<Value> = array.iter().cloned().collect();
    let layout = Layout::of(array);
    array.clear();
    let mut places = Vec::new();
    for webhook in webhooks {
        let place = webhook.n.and_then(|n| n.checked_sub(1)).filter(|place| *place < old.len());
        let was = place.and_then(|place| old.get(place));
        let url = was
            .and_then(|was| was.as_str().or_else(|| was.as_inline_table()?.get("url")?.as_str()));
        let webhook = &webhook.unmasked(url);
        let value = match was {
            Some(Value::InlineTable(table)) => {
                let mut table = table.clone();
                webhook.change(&mut table);
                table.into()
            }
            Some(Value::String(url)) if webhook.is_plain() && *url.value() == webhook.url => {
                Value::String(url.clone())
            }
            _ if webhook.is_plain() => webhook.url.as_str().into(),
            _ => webhook.to_inline(),
        };
        array.push_formatted(value);
        places.push(place);
    }
    if layout.in_lines || (old.is_empty() && webhooks.len() > 1) {
        layout.in_lines(array, &places);
    } else {
        layout.in_one_line(array);
    }
}

/// Where a list breaks its lines, and which entry each comment belongs to: a comment at the end of a line belongs to
/// the entry on that line.
struct Layout {
    in_lines: bool,
    /// What follows the opening bracket on its line.
    head: String,
    /// For each entry, what is above it, and what follows it on its line after the comma.
    around: Vec<(String, String)>,
    /// What stands below the last entry.
    tail: String,
    /// The space before the closing bracket of a list in one line.
    closing: String,
}

impl Layout {
    fn of(array: &Array) -> Self {
        let cut = |gap: Option<&RawString>| {
            let gap = gap.and_then(RawString::as_str).unwrap_or_default();
            let (same, below) = gap.split_at(gap.find('\n').unwrap_or(gap.len()));
            (same.to_owned(), below.to_owned())
        };
        let prefixes = array.iter().map(|value| cut(value.decor().prefix()));
        let (same, below): (Vec<_>, Vec<_>) = prefixes.chain([cut(Some(array.trailing()))]).unzip();
        let last = array.iter().last().and_then(|value| value.decor().suffix()?.as_str());
        Self {
            in_lines: below.iter().any(|below| !below.is_empty()),
            head: same.first().cloned().unwrap_or_default(),
            tail: below.last().cloned().unwrap_or_default(),
            around: below.into_iter().zip(same.into_iter().skip(1)).collect(),
            closing: last.unwrap_or_default().to_owned(),
        }
    }

    /// Puts each entry on its own line, with the comments that it had at its old place.
    fn in_lines(&self, array: &mut Array, places: &[Option<usize>]) {
        let own_line = |after: &str, below: &str, or: &str| {
            let crowded = after.contains('#') && !below.starts_with('\n');
            if crowded { or.to_owned() } else { below.to_owned() }
        };
        let mut after = self.head.as_str();
        for (value, place) in array.iter_mut().zip(places) {
            let around = place.and_then(|place| self.around.get(place));
            let (above, next) = around.map_or(("\n  ", ""), |(a, b)| (a.as_str(), b.as_str()));
            value.decor_mut().set_prefix(format!("{after}{}", own_line(after, above, "\n  ")));
            after = next;
        }
        let tail = if self.in_lines { self.tail.as_str() } else { "\n" };
        array.set_trailing_comma(array.trailing_comma() || !self.in_lines || after.contains('#'));
        array.set_trailing(format!("{after}{}", own_line(after, tail, "\n")));
    }

    fn in_one_line(&self, array: &mut Array) {
        let between = self.around.first().filter(|_| self.around.len() > 1);
        let between = between.map_or(" ", |(_, after)| after.as_str());
        let last = array.len().saturating_sub(1);
        for (place, value) in array.iter_mut().enumerate() {
            let before = if place == 0 { self.head.as_str() } else { between };
            let after = if place == last { self.closing.as_str() } else { "" };
            *value.decor_mut() = Decor::new(before, after);
        }
    }
}

/// `[[device.NAME.webhooks]]`.
fn change_tables(tables: &mut ArrayOfTables, webhooks: &[EndpointEdit]) {
    let old: Vec<Table> = tables.iter().cloned().collect();
    let place = old.first().and_then(Table::position);
    tables.clear();
    for webhook in webhooks {
        let was = webhook.n.and_then(|n| old.get(n.checked_sub(1)?));
        let mut table = was.cloned().unwrap_or_default();
        let url = was.and_then(|was| was.get("url")?.as_str());
        webhook.unmasked(url).change(&mut table);
        // Tables are written in the order of their positions, so the same position for all keeps the order of the
        // list.
        move_to(&mut table, place);
        tables.push(table);
    }
}

/// Gives an entry exactly these headers. Names are compared without regard to upper and lower case.
fn change_headers(entry: &mut dyn TableLike, headers: &BTreeMap<String, Option<String>>) {
    let values = headers.values().any(Option::is_some);
    if values && entry.get("headers").is_none_or(|item| !item.is_table_like()) {
        add(entry, "headers", InlineTable::new().into());
    }
    let Some(table) = entry.get_mut("headers").and_then(Item::as_table_like_mut) else { return };
    let written: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
    let as_written = |name: &String| written.iter().find(|old| old.eq_ignore_ascii_case(name));
    for old in &written {
        if !headers.keys().any(|name| name.eq_ignore_ascii_case(old)) {
            remove(table, old);
        }
    }
    for (name, text) in headers {
        if let Some(text) = text {
            let name = as_written(name).unwrap_or(name);
            change(table, vec![(name.as_str(), Some(text.as_str().into()))]);
        }
    }
    if table.is_empty() {
        remove(entry, "headers");
    }
}
