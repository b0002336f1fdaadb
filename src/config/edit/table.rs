//! Changes to a TOML table that leave everything else as it was written.

use toml_edit::{Array, Item, Table, TableLike, Value};

/// A key and its new value; `None` removes it.
pub(super) type Change<'k> = (&'k str, Option<Value>);

pub(super) fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| text.into())
}

/// A value that may also be a table, as `{ gap = "8s..15s" }`.
pub(super) fn text_or_table(written: &str) -> Option<Value> {
    let table = written.trim_start().starts_with('{');
    let table = table.then(|| written.trim().parse().ok()).flatten();
    table.or_else(|| text(written))
}

pub(super) fn texts(list: &[String]) -> Option<Value> {
    (!list.is_empty()).then(|| list.iter().map(String::as_str).collect::<Array>().into())
}

/// Sets and removes keys; a value that stays the same keeps its form.
pub(super) fn change(table: &mut dyn TableLike, changes: Vec<Change<'_>>) {
    for (key, value) in changes {
        let Some(mut value) = value else {
            remove(table, key);
            continue;
        };
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) if same(old, &value) => {}
            Some(old) => {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => add(table, key, value),
        }
    }
}

/// Adds a key at the end. In an inline table, the space before the closing bracket stays before the bracket.
pub(super) fn add(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(blank) = last_value(table).and_then(take_blank) {
        value.decor_mut().set_prefix(" ");
        value.decor_mut().set_suffix(blank);
    }
    table.insert(key, Item::Value(value));
}

/// Removes a key. In an inline table, the space before the closing bracket stays.
pub(super) fn remove(table: &mut dyn TableLike, key: &str) {
    let mut gone = table.remove(key);
    let blank = gone.as_mut().and_then(Item::as_value_mut).and_then(take_blank);
    if let (Some(blank), Some(last)) = (blank, last_value(table)) {
        last.decor_mut().set_suffix(blank);
    }
}

fn last_value(table: &mut dyn TableLike) -> Option<&mut Value> {
    table.iter_mut().last().and_then(|(_, item)| item.as_value_mut())
}

/// Takes away the spaces that follow a value, and returns them. Comments stay where they are.
fn take_blank(value: &mut Value) -> Option<String> {
    let suffix = value.decor().suffix()?.as_str()?.to_owned();
    let blank = !suffix.is_empty() && suffix.bytes().all(|byte| byte == b' ');
    blank.then(|| value.decor_mut().set_suffix(""));
    blank.then_some(suffix)
}

/// Whether two values mean the same, however they are written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            let in_both = |(key, a): (&str, &Value)| b.get(key).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(in_both)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        _ => false,
    }
}

pub(super) fn move_to(table: &mut Table, place: Option<isize>) {
    table.set_position(place);
    for (_, item) in table.iter_mut() {
        if let Item::Table(inner) = item {
            move_to(inner, place);
        }
    }
}
