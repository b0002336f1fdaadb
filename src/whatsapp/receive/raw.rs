//! A message that is not understood, as JSON for programs: without keys and secrets, and not without end.

use serde_json::{Map, Value};

/// The most that is shown of one, in bytes.
const MOST: usize = 16 << 10;
/// The longest text of one when all of it would be too much.
const TEXT: usize = 256;
/// What carries keys between devices, and says nothing to people.
const PLUMBING: [&str; 8] = [
    "sender_key_distribution_message",
    "fast_ratchet_key_sender_key_distribution_message",
    "message_context_info",
    "device_sent_message",
    "message_history_bundle",
    "sticker_sync_rmr_message",
    "group_root_key_share",
    "root_secret_distribute_message",
];
/// What a name has in it when its value opens something.
const SECRET: [&str; 7] = ["secret", "token", "path", "sha256", "signature", "enc_", "_hash"];

pub(crate) fn is_plumbing(name: &str) -> bool {
    // Fields that the protocol's library keeps for itself.
    name.starts_with("__") || PLUMBING.contains(&name)
}

pub(crate) fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// What may be shown of a message's fields; nothing when even short texts are too much.
pub(crate) fn shown(fields: Map<String, Value>) -> Option<Value> {
    let mut shown = without_secrets(Value::Object(fields))?;
    if length(&shown) > MOST {
        shorten(&mut shown);
    }
    (length(&shown) <= MOST).then_some(shown)
}

fn length(value: &Value) -> usize {
    value.to_string().len()
}

fn without_secrets(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(list) => {
            // Bytes: keys, hashes and small pictures.
            if list.iter().all(Value::is_number) {
                return None;
            }
            Some(list.into_iter().filter_map(without_secrets).collect())
        }
        Value::Object(fields) => {
            let kept = fields.into_iter().filter_map(|(name, value)| {
                // The key of a message names it and opens nothing.
                let opens = (name.ends_with("key") && !value.is_object())
                    || SECRET.iter().any(|part| name.contains(part));
                (!opens && !is_plumbing(&name)).then(|| Some((name, without_secrets(value)?)))?
            });
            Some(Value::Object(kept.collect()))
        }
        plain => Some(plain),
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT => {
            let end = (0..=TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        Value::Array(list) => list.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: Value) -> Option<Value> {
        let Value::Object(fields) = value else { panic!() };
        shown(fields)
    }

    #[test]
    fn keys_secrets_and_bytes_are_left_out() {
        let message = json!({
            "__unknown": [1],
            "message_context_info": { "message_secret": [1, 2] },
            "x_message": {
                "media_key": "abc", "direct_path": "/v/x", "file_sha256": [1], "url_token": "t",
                "key": { "id": "3EB0" }, "name": "halo", "thumbnail": [255, 216], "nothing": null,
                "list": [{ "title": "one", "enc_iv": "x" }],
            },
        });
        let kept = json!({ "x_message": { "key": { "id": "3EB0" }, "name": "halo", "list": [{ "title": "one" }] } });
        assert_eq!(raw(message), Some(kept));
    }

    #[test]
    fn a_long_one_is_shortened_and_an_endless_one_left_out() {
        let long = raw(json!({ "a": "é".repeat(MOST), "b": "short" })).unwrap();
        assert_eq!(long["b"], "short");
        assert!(long.to_string().len() < 2 * TEXT, "{long}");
        let endless: Vec<Value> = (0..MOST).map(|n| json!(format!("part {n}"))).collect();
        assert_eq!(raw(json!({ "a": endless })), None);
    }
}
