//! Reads what WhatsApp says when it restricts an account. It says these things once, so nothing of them may be lost.

use serde_json::Value;
use wa_rs::types::events::{ConnectFailure, LoggedOut, TemporaryBan};
use wa_rs::wacore_binary::Node;

use super::notice::Notice;
use crate::model::{NewChats, Refusal, Secret, UnixMillis};

/// The code with which WhatsApp says that the account unlinked this device.
const UNLINKED: i32 = 401;

/// Why WhatsApp refuses the login; `None` when the device was just unlinked.
pub(crate) fn of_logout(out: &LoggedOut) -> Option<Refusal> {
    let code = out.reason.code();
    if code == UNLINKED {
        return None;
    }
    let said = out.logout_message.as_ref().map(|said| {
        let parts = [said.header.as_deref(), said.subtext.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    let read = |name| out.raw.as_ref().and_then(|raw| attribute(raw, name));
    Some(Refusal {
        code: u16::try_from(code).unwrap_or(0),
        text: said.or_else(|| read("message")).or_else(|| read("violation_reason")),
        url: read("url"),
        until: None,
        appeal: read("appeal_token").map(Secret::new),
    })
}

/// A ban, until when, and why.
pub(crate) fn of_ban(ban: &TemporaryBan) -> Refusal {
    Refusal {
        code: 402,
        text: Some(ban.message.clone().unwrap_or_else(|| ban.code.to_string())),
        url: ban.url.clone(),
        until: ban.expire.to_std().ok().map(|left| UnixMillis::now().after(left)),
        appeal: None,
    }
}

/// A ban of which WhatsApp says less.
pub(crate) fn of_failure(failure: &ConnectFailure) -> Refusal {
    let url = failure.raw.as_ref().and_then(|raw| attribute(raw, "url"));
    Refusal { code: 402, text: failure.message.clone(), url, ..Refusal::default() }
}

/// What WhatsApp tells a connected account about its restrictions. The name of the update is that of WhatsApp Web's
/// program, with changing words around what matters.
pub(crate) fn of_update(name: &str, payload: &Value) -> Option<Notice> {
    if name.contains("ReachoutTimelock") {
        return Some(match find(payload, "is_active") {
            Some(lock) if lock.get("is_active") == Some(&Value::Bool(false)) => Notice::NotLocked,
            Some(lock) => {
                Notice::LockedUntil(lock.get("time_enforcement_ends").and_then(instant_of))
            }
            // It is another form than the known one: WhatsApp is asked.
            None => Notice::SendingLocked,
        });
    }
    if !name.contains("MessageCapping") {
        return None;
    }
    let quota = find(payload, "total_quota")?;
    let number = |key| quota.get(key).and_then(number);
    Some(Notice::NewChats(NewChats {
        used: number("used_quota").unwrap_or(0),
        total: number("total_quota")?,
        until: quota.get("cycle_end_timestamp").and_then(instant_of),
    }))
}

/// The object that has this key, wherever it is.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) if map.contains_key(key) => Some(value),
        Value::Object(map) => map.values().find_map(|inner| find(inner, key)),
        Value::Array(list) => list.iter().find_map(|inner| find(inner, key)),
        _ => None,
    }
}

/// Numbers come as such and as texts.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn instant_of(value: &Value) -> Option<UnixMillis> {
    match value {
        Value::String(text) => instant(text),
        other => other.as_u64().filter(|secs| *secs > 0).map(UnixMillis::from_secs),
    }
}

/// Seconds since 1970, or a date.
pub(crate) fn instant(text: &str) -> Option<UnixMillis> {
    let secs = text.parse().ok().filter(|secs| *secs > 0).map(UnixMillis::from_secs);
    secs.or_else(|| UnixMillis::parse(text))
}

fn attribute(node: &Node, name: &str) -> Option<String> {
    node.attrs().optional_string(name).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn updates_are_read_in_each_of_their_forms() {
        let lock = |body: Value| {
            of_update("NotificationUserReachoutTimelockUpdate", &json!({"data": {"x": body}}))
        };
        let at = UnixMillis::from_secs(1_800_000_000);
        for ends in [json!("1800000000"), json!(1_800_000_000), json!("2027-01-15T08:00:00Z")] {
            let told = lock(json!({ "is_active": true, "time_enforcement_ends": ends }));
            assert!(
                matches!(told, Some(Notice::LockedUntil(Some(until))) if until == at),
                "{ends}"
            );
        }
        let told = lock(json!({ "is_active": true, "time_enforcement_ends": "0" }));
        assert!(matches!(told, Some(Notice::LockedUntil(None))));
        assert!(matches!(lock(json!({ "is_active": false })), Some(Notice::NotLocked)));
        assert!(matches!(lock(json!({ "something": "else" })), Some(Notice::SendingLocked)));

        let quota = json!([{ "total_quota": "50", "used_quota": 13, "cycle_end_timestamp": 0 }]);
        let told = of_update("NotificationNewChatMessageCappingUpdate", &quota);
        let Some(Notice::NewChats(quota)) = told else { panic!("no quota") };
        assert_eq!((quota.used, quota.total, quota.until), (13, 50, None));
        assert!(of_update("NotificationNewsletterUpdate", &json!({ "total_quota": 1 })).is_none());
    }
}
